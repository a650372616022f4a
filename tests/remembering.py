"""The client's half of SRP, made from the formulas (reference: 5.2, 5.7); a device as an SDK plays it, and how it is
confirmed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime

import gmpy2
from sqlalchemy import select

from app.accounts import devices
from app.crypto.srp import N, g, k, pad
from app.env import Env, Origin
from app.models import Client, LoginSession, User


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest(), "big")


class Secret:
    """What a client proves by SRP: a password, by the names that both sides hash with it."""

    def __init__(self, group: str, name: str, password: str) -> None:
        self.group, self.name, self.password = group, name, password
        self.a = secrets.randbits(256)

    @property
    def public(self) -> str:
        """SRP_A."""
        return f"{int(gmpy2.powmod(g, self.a, N)):x}"

    def x(self, salt: int) -> int:
        return _hash(pad(salt), hashlib.sha256(f"{self.group}{self.name}:{self.password}".encode()).digest())

    def claim(self, params: Mapping[str, str], now: datetime) -> dict[str, str]:
        """The answer to a challenge with SALT, SRP_B and SECRET_BLOCK."""
        A, B = int(self.public, 16), int(params["SRP_B"], 16)
        u, x = _hash(pad(A), pad(B)), self.x(int(params["SALT"], 16))
        shared = int(gmpy2.powmod(B - k * int(gmpy2.powmod(g, x, N)), self.a + u * x, N))
        prk = hmac.digest(pad(u), pad(shared), "sha256")
        key = hmac.digest(prk, b"Caldera Derived Key\x01", "sha256")[:16]
        stamp = f"{now:%a %b} {now.day} {now:%H:%M:%S} UTC {now.year}"
        block = params["SECRET_BLOCK"]
        message = f"{self.group}{self.name}".encode() + base64.b64decode(block) + stamp.encode()
        return {
            "USERNAME": params["USERNAME"],
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(hmac.digest(key, message, "sha256")).decode(),
            "TIMESTAMP": stamp,
        }


class Device:
    """What an application keeps of its device. `password` is the secret; `salt` 16 bytes."""

    def __init__(self, key: str, group: str, *, password: str | None = None, salt: bytes | None = None) -> None:
        self.key, self.group = key, group
        self.secret = Secret(group, key, password or base64.b64encode(secrets.token_bytes(40)).decode())
        self.salt = int.from_bytes(salt or secrets.token_bytes(16), "big")

    @property
    def verifier(self) -> int:
        return int(gmpy2.powmod(g, self.secret.x(self.salt), N))

    @property
    def config(self) -> dict[str, str]:
        """DeviceSecretVerifierConfig."""
        both = {"PasswordVerifier": self.verifier, "Salt": self.salt}
        return {name: base64.b64encode(pad(number)).decode() for name, number in both.items()}

    def first(self, name: str = "alice") -> dict[str, str]:
        return {"USERNAME": name, "DEVICE_KEY": self.key, "SRP_A": self.secret.public}

    def second(self, params: Mapping[str, str], now: datetime) -> dict[str, str]:
        return {**self.secret.claim(params, now), "DEVICE_KEY": self.key}


def confirm(env: Env, client: Client, user: User, device: Device) -> bool:
    """With the access token that came with the key."""
    with env.reading() as database:
        session = database.scalars(select(LoginSession).where(LoginSession.device_key == device.key)).one()
    return devices.confirm(
        env,
        client,
        user,
        session,
        key=device.key,
        password_verifier=device.config["PasswordVerifier"],
        salt=device.config["Salt"],
        name="laptop",
        origin=Origin(ip="192.0.2.1"),
    )
