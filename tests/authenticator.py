"""A browser with an authenticator, in a few lines: makes registrations and assertions as `navigator.credentials` does.

    key = Authenticator()
    registration = key.register(options, "https://app.example.com")
    assertion = key.sign(options, "https://app.example.com")

It does what it is told, also what no browser would: the tests lie with it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from app.crypto.base64url import decode, encode

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
NAMELESS = "00000000-0000-0000-0000-000000000000"


def es256(key: ec.EllipticCurvePublicKey) -> dict[int, Any]:
    """A COSE key (RFC 9053, 7.1.1)."""
    numbers = key.public_numbers()
    return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}


def rs256(key: rsa.RSAPublicKey) -> dict[int, Any]:
    """A COSE key (RFC 8230, 4)."""
    numbers = key.public_numbers()
    return {1: 3, 3: -257, -1: numbers.n.to_bytes(-(-key.key_size // 8), "big"), -2: numbers.e.to_bytes(3, "big")}


@dataclass
class Authenticator:
    """One passkey of one user, on a security key unless it is `synced`."""

    synced: bool = False
    verifies: bool = True
    """Whether it can verify its user, and then does."""
    count: int = 0
    """What its counter says next; None of it where `counting` is off."""
    counting: bool = True
    aaguid: str = NAMELESS
    attachment: str = "cross-platform"
    transports: tuple[str, ...] = ("usb",)
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    handle: str | None = None
    """Of the user, as the registration gave it."""

    @property
    def name(self) -> str:
        return encode(self.id)

    @property
    def cose(self) -> dict[int, Any]:
        public = self.key.public_key()
        return rs256(public) if isinstance(public, rsa.RSAPublicKey) else es256(public)

    def register(
        self,
        options: dict[str, Any],
        origin: str,
        *,
        rp_id: str | None = None,
        cose: dict[int, Any] | None = None,
        attestation: dict[str, Any] | None = None,
        **client: Any,
    ) -> dict[str, Any]:
        """A RegistrationResponseJSON. `client` and `attestation` go over what is true."""
        self.handle = options["user"]["id"]
        data = self._data(rp_id or options["rp"]["id"], ATTESTED)
        data += bytes.fromhex(self.aaguid.replace("-", "")) + struct.pack(">H", len(self.id)) + self.id
        data += cbor2.dumps(self.cose if cose is None else cose)
        said = {"fmt": "none", "attStmt": {}, "authData": data, **(attestation or {})}
        return self._response(
            {
                "clientDataJSON": self._client("webauthn.create", options, origin, client),
                "attestationObject": encode(cbor2.dumps(said)),
                "transports": list(self.transports),
            }
        )

    def sign(
        self, options: dict[str, Any], origin: str, *, rp_id: str | None = None, flags: int | None = None, **client: Any
    ) -> dict[str, Any]:
        """An AuthenticationResponseJSON."""
        data = self._data(rp_id or options["rpId"], 0, flags)
        said = self._client("webauthn.get", options, origin, client)
        signed = data + hashlib.sha256(decode(said)).digest()
        if isinstance(self.key, rsa.RSAPrivateKey):
            signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self._response(
            {
                "clientDataJSON": said,
                "authenticatorData": encode(data),
                "signature": encode(signature),
                "userHandle": self.handle,
            }
        )

    def _data(self, rp_id: str, more: int, flags: int | None = None) -> bytes:
        self.count += 1
        if flags is None:
            flags = PRESENT | (VERIFIED if self.verifies else 0) | (ELIGIBLE | BACKED_UP if self.synced else 0)
        counter = self.count if self.counting else 0
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags | more, counter)

    def _client(self, ceremony: str, options: dict[str, Any], origin: str, other: dict[str, Any]) -> str:
        said = {"type": ceremony, "challenge": options["challenge"], "origin": origin, "crossOrigin": False, **other}
        return encode(json.dumps(said).encode())

    def _response(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self.name,
            "rawId": self.name,
            "type": "public-key",
            "authenticatorAttachment": self.attachment,
            "clientExtensionResults": {},
            "response": response,
        }
