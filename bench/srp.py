"""The client's half of a sign-in by SRP: what Amplify and pycognito compute, with as little work as is honest.

A is made once for each seat, because that is the generator's to save. S depends on the server's B, so each sign-in
has one power with an exponent of some 512 bits: about as much as the server's half.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import gmpy2

# RFC 3526, group 15. Written down here once more, because importing the server would cost each generator a second.
N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
g = 2


def pad(number: int) -> bytes:
    """Fewest big-endian bytes, with 00 in front where the top bit is set."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


k = int.from_bytes(hashlib.sha256(pad(N) + pad(g)).digest(), "big")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Client:
    """One person's SDK."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._a = secrets.randbits(256)
        self._A = int(gmpy2.powmod(g, self._a, N))
        self.public = f"{self._A:x}"
        # x and k * g^x depend on nothing that changes between sign-ins.
        self._known: dict[tuple[str, str, str], tuple[int, int]] = {}

    def respond(self, pool_id: str, parameters: dict[str, str]) -> dict[str, str]:
        """ChallengeResponses for the parameters of PASSWORD_VERIFIER."""
        pool_name = pool_id.partition("_")[2]
        user_id = parameters["USER_ID_FOR_SRP"]
        x, base = self._of(pool_name, user_id, parameters["SALT"])
        B = int(parameters["SRP_B"], 16)
        u = int.from_bytes(hashlib.sha256(pad(self._A) + pad(B)).digest(), "big")
        shared = int(gmpy2.powmod((B - base) % N, self._a + u * x, N))
        prk = hmac.digest(pad(u), pad(shared), "sha256")
        key = hmac.digest(prk, b"Caldera Derived Key\x01", "sha256")[:16]
        block, now = parameters["SECRET_BLOCK"], _timestamp()
        message = pool_name.encode() + user_id.encode() + b64decode(block) + now.encode()
        return {
            "USERNAME": user_id,
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "PASSWORD_CLAIM_SIGNATURE": b64encode(hmac.digest(key, message, "sha256")).decode("ascii"),
            "TIMESTAMP": now,
        }

    def _of(self, pool_name: str, user_id: str, salt: str) -> tuple[int, int]:
        about = (pool_name, user_id, salt)
        if about not in self._known:
            identity = hashlib.sha256(f"{pool_name}{user_id}:{self._password}".encode()).digest()
            x = int.from_bytes(hashlib.sha256(pad(int(salt, 16)) + identity).digest(), "big")
            self._known[about] = (x, k * int(gmpy2.powmod(g, x, N)) % N)
        return self._known[about]


def _timestamp() -> str:
    """In English, whatever the locale, and the day without a leading zero."""
    now = datetime.now(UTC)
    return f"{_DAYS[now.weekday()]} {_MONTHS[now.month - 1]} {now.day} {now:%H:%M:%S} UTC {now.year}"
