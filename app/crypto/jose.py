"""Signed JWTs (RFC 7515, 7519) in the three algorithms that we offer: RS256, ES256 and EdDSA with Ed25519.

joserfc reads and writes the keys as JWK; the tokens are put together here, on `cryptography` itself. Measured, whole
tokens, in microseconds, by hand and with joserfc: signing RS256 252 and 265, ES256 25 and 46, EdDSA 35 and 51;
verifying RS256 31 and 43, ES256 74 and 90, EdDSA 115 and 128. It is also the stricter reader: see `base64url.decode`
and `crit`.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from app import telemetry
from app.crypto import base64url

ALGORITHMS = ("RS256", "ES256", "EdDSA")

_RSA_BITS = 2048
_ECDSA_HALF_BYTES = 32
_RSA_PADDING = PKCS1v15()
_SHA256 = SHA256()
_ECDSA = ec.ECDSA(_SHA256)


class BadToken(Exception):
    """A token that must not be believed, and why: `reason`."""

    def __init__(self, reason: Literal["malformed", "unknown key", "signature"]) -> None:
        super().__init__(reason)
        self.reason = reason


def generate(algorithm: str) -> bytes:
    """A fresh private key as PKCS #8 DER, to be sealed. RS256 takes some 40 ms of one core. Raises ValueError."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    match algorithm:
        case "RS256":
            key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        case "ES256":
            key = ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            key = ed25519.Ed25519PrivateKey.generate()
        case _:
            raise ValueError(f"unknown algorithm {algorithm!r}")
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def new_kid() -> str:
    """A key id in the form of Cognito's: base64 of 32 random bytes, 44 characters ending in `=`."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that is ready to sign. Keep the object: it carries what is the same in every token."""

    kid: str
    algorithm: str
    public_jwk: dict[str, str]
    _head: str = field(repr=False)
    _sign: Callable[[bytes], bytes] = field(repr=False)

    @classmethod
    def load(cls, der: bytes, algorithm: str, kid: str) -> Self:
        """From what `generate` gave. Raises ValueError when it is not a key for this algorithm."""
        # Checking an RSA key costs 35 ms, a hundred signatures; ours come out of a seal that nobody can forge, and
        # they were whole when they were made. Do not load keys of strangers with this.
        key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        jwk: RSAKey | ECKey | OKPKey
        sign: Callable[[bytes], bytes]
        match algorithm, key:
            case "RS256", rsa.RSAPrivateKey():
                jwk, sign = RSAKey.import_key(key.public_key()), _rs256(key)
            case "ES256", ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
                jwk, sign = ECKey.import_key(key.public_key()), _es256(key)
            case "EdDSA", ed25519.Ed25519PrivateKey():
                jwk, sign = OKPKey.import_key(key.public_key()), key.sign
            case _:
                raise ValueError(f"not a private key for {algorithm}")
        numbers = {name: str(value) for name, value in jwk.as_dict(private=False).items() if name in _JWK_MEMBERS}
        public_jwk = {"kty": jwk.key_type, "use": "sig", "alg": algorithm, "kid": kid} | numbers
        # Cognito's header: these two members in this order, and no typ.
        return cls(kid, algorithm, public_jwk, _head(kid, algorithm, {}), sign)

    def sign(self, claims: Mapping[str, object], *, typ: str | None = None) -> str:
        """The JWT with these claims, as they stand. `typ` says in its header what it is (RFC 7519, 5.1)."""
        head = self._head if typ is None else _head(self.kid, self.algorithm, {"typ": typ})
        signed = head + base64url.encode(orjson.dumps(dict(claims)))
        with telemetry.signing(self.algorithm):
            signature = self._sign(signed.encode("ascii"))
        return f"{signed}.{base64url.encode(signature)}"


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, and the one algorithm it verifies."""

    algorithm: str
    _check: Callable[[bytes, bytes], None] = field(repr=False)

    @classmethod
    def load(cls, jwk: Mapping[str, str]) -> Self:
        """From a public JWK (RFC 7517) that names its `alg`. Raises ValueError for one that we would not trust."""
        algorithm = jwk.get("alg", "")
        check: Callable[[bytes, bytes], None]
        try:
            match algorithm:
                case "RS256":
                    rsa_key = RSAKey.import_key(dict(jwk)).public_key
                    if rsa_key.key_size < _RSA_BITS:
                        raise ValueError("an RSA key of fewer than 2048 bits")
                    check = _rs256_check(rsa_key)
                case "ES256":
                    ec_key = ECKey.import_key(dict(jwk)).public_key
                    if not isinstance(ec_key.curve, ec.SECP256R1):
                        raise ValueError("ES256 is over P-256")
                    check = _es256_check(ec_key)
                case "EdDSA":
                    okp_key = OKPKey.import_key(dict(jwk)).public_key
                    if not isinstance(okp_key, ed25519.Ed25519PublicKey):
                        raise ValueError("EdDSA is over Ed25519")
                    check = okp_key.verify
                case _:
                    raise ValueError(f"unknown algorithm {algorithm!r}")
        except (JoseError, KeyError, TypeError) as failure:
            raise ValueError(f"not a public key for {algorithm}") from failure
        return cls(algorithm, check)

    def check(self, signature: bytes, signed: bytes) -> None:
        """Raises BadToken unless `signature` is this key's over `signed`."""
        try:
            self._check(signature, signed)
        except InvalidSignature:
            raise BadToken("signature") from None


def verify(token: str, keys: Mapping[str, VerifyingKey]) -> dict[str, Any]:
    """The claims of a token that one of `keys` (by kid) signed. Raises BadToken.

    Only the signature is looked at: whether it is expired, ours, or of the right kind is for the caller to check.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("malformed")
    head, payload, signature = (_decoded(part) for part in parts)
    header = _object(head)
    # RFC 7515, 4.1.11: who does not understand a critical extension must refuse; we understand none.
    if "crit" in header:
        raise BadToken("malformed")
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise BadToken("malformed")
    # Keys come from `keys` and nowhere else: a key or an address in the header (jwk, jku, x5c, x5u) is the sender's
    # own word, and is not read.
    key = keys.get(kid) if kid is not None else None
    if key is None:
        raise BadToken("unknown key")
    # The key knows its algorithm; the header may only repeat it. So `none` is no algorithm, and a public RSA key
    # never becomes the shared secret of an HS256 token (RFC 8725, 2.1).
    if header.get("alg") != key.algorithm:
        raise BadToken("signature")
    key.check(signature, f"{parts[0]}.{parts[1]}".encode("ascii"))
    return _object(payload)


def at_hash(access_token: str, algorithm: str) -> str:
    """The `at_hash` of an ID token signed with `algorithm` (OpenID Connect Core 1.0, 3.1.3.6), base64url.

    The left half of SHA-256; of SHA-512 for EdDSA, which is the hash inside Ed25519. `c_hash` is made alike.
    """
    match algorithm:
        case "RS256" | "ES256":
            digest = hashlib.sha256(access_token.encode("ascii")).digest()
        case "EdDSA":
            digest = hashlib.sha512(access_token.encode("ascii")).digest()
        case _:
            raise ValueError(f"unknown algorithm {algorithm!r}")
    return base64url.encode(digest[: len(digest) // 2])


def _head(kid: str, algorithm: str, more: Mapping[str, str]) -> str:
    return base64url.encode(orjson.dumps({"kid": kid, "alg": algorithm, **more})) + "."


_JWK_MEMBERS = ("n", "e", "crv", "x", "y")


def _rs256(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    return lambda signed: key.sign(signed, _RSA_PADDING, _SHA256)


def _rs256_check(key: rsa.RSAPublicKey) -> Callable[[bytes, bytes], None]:
    return lambda signature, signed: key.verify(signature, signed, _RSA_PADDING, _SHA256)


def _es256(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    def sign(signed: bytes) -> bytes:
        # JWS wants r and s side by side at full width (RFC 7518, 3.4), not the DER of X.509.
        r, s = decode_dss_signature(key.sign(signed, _ECDSA))
        return r.to_bytes(_ECDSA_HALF_BYTES, "big") + s.to_bytes(_ECDSA_HALF_BYTES, "big")

    return sign


def _es256_check(key: ec.EllipticCurvePublicKey) -> Callable[[bytes, bytes], None]:
    def check(signature: bytes, signed: bytes) -> None:
        if len(signature) != 2 * _ECDSA_HALF_BYTES:
            raise InvalidSignature
        r = int.from_bytes(signature[:_ECDSA_HALF_BYTES], "big")
        s = int.from_bytes(signature[_ECDSA_HALF_BYTES:], "big")
        key.verify(encode_dss_signature(r, s), signed, _ECDSA)

    return check


def _decoded(segment: str) -> bytes:
    try:
        return base64url.decode(segment)
    except ValueError:
        raise BadToken("malformed") from None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadToken("malformed") from None
    if not isinstance(value, dict):
        raise BadToken("malformed")
    return value
