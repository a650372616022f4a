"""SRP-6a as Cognito speaks it: 3072-bit group, SHA-256, its own padding, HKDF and signature.

The server's half. The same arithmetic serves passwords (pool name, user id, password) and remembered devices (device
group key, device key, device password).

    verifier          v = g^x,  x = H(pad(salt) | H(pool name | user id | ":" | password))
    first request     client sends A; server draws b and sends salt and B = k*v + g^b
    second request    both derive K from S = (A * v^u)^b,  u = H(pad(A) | pad(B));  client signs with K
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime

import gmpy2

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
"""The prime of RFC 3526, group 15."""

g = 2

_SALT_BYTES = 16
_EPHEMERAL_BITS = 256
_KEY_BYTES = 16
_INFO = b"Caldera Derived Key"

# N has 768 hex digits; some clients pad. What is longer by far only costs arithmetic.
_PUBLIC_VALUE = re.compile(r"[0-9A-Fa-f]{1,1024}")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIMESTAMP = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) UTC ([0-9]{4})"
)


class BadPublicValue(Exception):
    """The client's A is not a number of the group, or one that would let it sign without knowing the password."""


def pad(number: int) -> bytes:
    """Fewest big-endian bytes, with 00 in front where the top bit is set: how Cognito's clients hash numbers."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest(), "big")


k = _hash(pad(N), pad(g))


def new_salt() -> str:
    """A random salt for a verifier, 32 hex digits, shaped by `salt_from`."""
    return salt_from(secrets.token_bytes(_SALT_BYTES))


def salt_from(raw: bytes) -> str:
    """16 bytes as a salt on which all clients agree, 32 hex digits.

    Amplify reads the salt as a number, so that leading zeros vanish; pycognito keeps the text; some clients forget the
    00 in front of a top bit. A first byte from 10 to 7f leaves nothing to disagree about. A salt invented for a user
    who does not exist has to come through here as well: one that starts with any other byte gives the invention away.
    """
    if len(raw) != _SALT_BYTES:
        raise ValueError(f"a salt is {_SALT_BYTES} bytes, not {len(raw)}")
    return bytes([0x10 + raw[0] % 0x70, *raw[1:]]).hex()


def verifier(pool_name: str, user_id: str, password: str, salt: str) -> str:
    """What the server keeps instead of the password, in hex. As good as a fast hash of it to a thief: seal it.

    `pool_name` is the pool id after its `_`, `user_id` the immutable USER_ID_FOR_SRP; for a device: device group key
    and device key. The password goes in as it was typed, not normalised, because clients do not normalise either.
    """
    identity = hashlib.sha256(f"{pool_name}{user_id}:{password}".encode("utf-8", "surrogatepass")).digest()
    x = _hash(pad(int(salt, 16)), identity)
    return f"{_power_secretly(g, x):x}"


def server_ephemeral() -> int:
    """b: 256 random bits, the top one set. To be used for one sign-in, then forgotten."""
    return secrets.randbits(_EPHEMERAL_BITS) | 1 << (_EPHEMERAL_BITS - 1)


def server_public(verifier: str, b: int) -> str:
    """SRP_B, in hex."""
    return f"{(k * int(verifier, 16) + _power_of_g(b)) % N:x}"


def public_value(A: str) -> int:
    """SRP_A as a number. Raises BadPublicValue for what is not hexadecimal, too long, or zero in the group."""
    if not _PUBLIC_VALUE.fullmatch(A):
        raise BadPublicValue("A is not a hexadecimal number of the group's size")
    # A = 0, N, 2N, ... makes S = 0 whatever the password was (RFC 5054, 2.5.4).
    if int(A, 16) % N == 0:
        raise BadPublicValue("A is zero in the group")
    return int(A, 16)


def session_key(*, verifier: str, b: int, A: str, B: str) -> bytes:
    """The 16-byte key which client and server share if the client knew the password; `A`, `B` and `verifier` in hex.

    Raises BadPublicValue. The key proves nothing until the client has signed with it: compare `signature`.
    """
    public = public_value(A)
    u = _hash(pad(public), pad(int(B, 16)))
    # u = 0 takes the verifier out of the sum.
    if u == 0:
        raise BadPublicValue("u is zero")
    # u is known to everyone who listened; only b must not show in the time taken.
    shared = _power_secretly(public * _power(int(verifier, 16), u) % N, b)
    prk = hmac.digest(pad(u), pad(shared), "sha256")
    return hmac.digest(prk, _INFO + b"\x01", "sha256")[:_KEY_BYTES]


def signature(key: bytes, pool_name: str, user_id: str, secret_block: bytes, timestamp: str) -> str:
    """PASSWORD_CLAIM_SIGNATURE as an honest client makes it, base64. Compare in constant time: `seal.same`."""
    message = b"".join(
        (
            pool_name.encode("utf-8", "surrogatepass"),
            user_id.encode("utf-8", "surrogatepass"),
            secret_block,
            timestamp.encode("utf-8", "surrogatepass"),
        )
    )
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode("ascii")


def parse_timestamp(text: str) -> datetime | None:
    """TIMESTAMP of the response, such as `Tue Apr 5 09:07:01 UTC 2022`; None for anything else.

    By hand, because strptime follows the locale of the process. A zero in front of the day is let pass.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None or match[1] not in _MONTHS:
        return None
    day, hour, minute, second, year = (int(match[i]) for i in range(2, 7))
    try:
        return datetime(year, _MONTHS.index(match[1]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _table() -> list[list[gmpy2.mpz]]:
    """g raised to every value that each group of digits of an exponent can have."""
    rows, x = [], gmpy2.mpz(g)
    for _ in range(-(-_EPHEMERAL_BITS // _DIGIT_BITS)):
        row = [gmpy2.mpz(1)]
        for _ in range((1 << _DIGIT_BITS) - 1):
            row.append(row[-1] * x % N)
        rows.append(row)
        x = row[-1] * x % N
    return rows


_DIGIT_BITS = 5
_TABLE = _table()


def _power_of_g(b: int) -> int:
    """g^b for an ephemeral b, an eighth of the cost of a power (0.13 against 1.04 ms).

    The trade: how long it takes hardly depends on b, but which entries are read does, and who shares this machine's
    caches might see one reading of them. Each b is used for one sign-in and forgotten, so nothing adds up; what lasts,
    x of a verifier, and the power of what a stranger sent, stay with the function that shows nothing.
    """
    if b >> _EPHEMERAL_BITS:  # longer than ours are, as in published vectors
        return _power_secretly(g, b)
    result = gmpy2.mpz(1)
    for row in _TABLE:
        result = result * row[b & (1 << _DIGIT_BITS) - 1] % N
        b >>= _DIGIT_BITS
    return int(result)


def _power(base: int, exponent: int) -> int:
    _release_gil()
    return int(gmpy2.powmod(base, exponent, N))


def _power_secretly(base: int, exponent: int) -> int:
    """base^exponent mod N, in a time and with memory accesses that do not depend on the exponent's bits.

    Measured, 256-bit exponent: powmod 0.77 ms, powmod_sec 1.06 ms, CPython's pow 4.3 ms. With powmod for the public u
    and powmod_sec for b, the two requests of a sign-in compute for 2.8 ms rather than 2.0 ms, about a fifth of all that
    they cost: paid, because x is as good as the password, and from b and B follows the verifier.
    """
    _release_gil()
    return int(gmpy2.powmod_sec(base, exponent, N))


def _release_gil() -> None:
    # gmpy2 keeps its settings per thread, and keeps the GIL unless told: two threads then do 960 powers a second
    # together, and 1870 with this, on two cores. Setting it costs 0.07 us.
    gmpy2.get_context().allow_release_gil = True
