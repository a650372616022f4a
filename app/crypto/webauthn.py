"""Passkeys: what a browser is asked for, and whether its answer is right (Web Authentication Level 3, 7).

The package `webauthn` does the reading and the cryptography. It tells what is wrong in prose only, so whatever a caller
has to tell apart is looked at here first; it then looks at everything once more. Loading it takes 80 ms, which a worker
spends at its first passkey and not at its start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from app.crypto.base64url import decode, encode
from app.crypto.seal import same

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticatorData

TIMEOUT_MS = 180_000
"""What a browser is told; it may take another."""
ES256, RS256 = -7, -257
ALGORITHMS = (ES256, RS256)
"""In COSE's numbers (reference: 10.6)."""
LONGEST_ID = 1023
"""Bytes of a credential's id (Web Authentication Level 3, 4)."""
TRANSPORTS = ("ble", "hybrid", "internal", "nfc", "smart-card", "usb")
_P256 = 1
_RSA_BITS = range(2048, 4096 + 1)
_RSA_LONGEST_EXPONENT = 4

T = TypeVar("T")


class Reason(Enum):
    """Why an answer is refused."""

    MALFORMED = auto()
    """It is not what a browser sends."""
    CHALLENGE = auto()
    ORIGIN = auto()
    """Made for a page of another origin, or inside somebody else's page."""
    RELYING_PARTY = auto()
    USER = auto()
    """Of another user than the one who is asked."""
    NOT_VERIFIED = auto()
    """The authenticator has not seen its user, or not verified him where it has to."""
    UNSUPPORTED = auto()
    SIGNATURE = auto()


class Refused(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.name)


@dataclass(frozen=True)
class Credential:
    """A passkey as options name it."""

    id: str
    """base64url."""
    transports: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """What an answer must have been made for."""

    challenge: str
    """base64url."""
    rp_id: str
    origins: Collection[str]
    user_verification: bool
    """Whether the authenticator must have verified its user, by a finger or a PIN."""


@dataclass(frozen=True)
class Registered:
    """A new passkey. `credential_id` and `public_key` (COSE) are base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    aaguid: str
    """The model of the authenticator, as a UUID; all zeros where it does not say. Nobody vouches for it."""
    attachment: str | None
    transports: tuple[str, ...]
    synced: bool
    """Whether it may be on several devices."""
    backed_up: bool


@dataclass(frozen=True)
class Assertion:
    """An answer that nobody has looked at yet, but for its form. Both texts are base64url."""

    credential_id: str
    user_handle: str | None
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Asserted:
    """What a right answer says of its passkey."""

    sign_count: int
    backed_up: bool


def creation_options(
    *,
    challenge: str,
    rp_id: str,
    rp_name: str,
    user_handle: str,
    user_name: str,
    display_name: str,
    user_verification: bool,
    exclude: Iterable[Credential],
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON for a passkey that its authenticator finds by itself later. What model it
    is need not be attested: people bring their own. `challenge` and `user_handle` are base64url."""
    return {
        "challenge": challenge,
        "rp": {"id": rp_id, "name": rp_name},
        "user": {"id": user_handle, "name": user_name, "displayName": display_name},
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": [_described(one) for one in exclude],
        "authenticatorSelection": {
            "requireResidentKey": True,
            "residentKey": "required",
            "userVerification": _verification(user_verification),
        },
        "attestation": "none",
        "extensions": {},
    }


def request_options(
    *, challenge: str, rp_id: str, user_verification: bool, allow: Iterable[Credential]
) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON for one of these passkeys."""
    return {
        "challenge": challenge,
        "timeout": TIMEOUT_MS,
        "rpId": rp_id,
        "allowCredentials": [_described(one) for one in allow],
        "userVerification": _verification(user_verification),
        "extensions": {},
    }


def register(given: Any, expected: Expected) -> Registered:
    """The passkey of a RegistrationResponseJSON. Raises Refused."""
    from webauthn import verify_registration_response
    from webauthn.helpers import aaguid_to_string, parse_attestation_object, parse_registration_credential_json
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    read = _or_malformed(lambda: parse_registration_credential_json(dict(given)))
    _check_client_data(read.response.client_data_json, "webauthn.create", expected)
    data = _or_malformed(lambda: parse_attestation_object(read.response.attestation_object)).auth_data
    _check_authenticator(data, expected)
    attested = data.attested_credential_data
    if attested is None or attested.credential_id != read.raw_id or not 0 < len(read.raw_id) <= LONGEST_ID:
        raise Refused(Reason.MALFORMED)
    _check_key(attested.credential_public_key)
    try:
        verified = verify_registration_response(
            credential=read,
            expected_challenge=decode(expected.challenge),
            expected_rp_id=expected.rp_id,
            expected_origin=list(expected.origins),
            require_user_verification=expected.user_verification,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(algorithm) for algorithm in ALGORITHMS],
        )
    except Exception:  # its own, and others: an attestation, which nobody asked for, may hold certificates of any kind
        raise Refused(Reason.UNSUPPORTED) from None
    return Registered(
        credential_id=encode(verified.credential_id),
        public_key=encode(verified.credential_public_key),
        sign_count=verified.sign_count,
        aaguid=aaguid_to_string(attested.aaguid),
        attachment=read.authenticator_attachment.value if read.authenticator_attachment else None,
        transports=tuple(sorted({one.value for one in read.response.transports or ()} & {*TRANSPORTS})),
        synced=data.flags.be,
        backed_up=data.flags.bs,
    )


def assertion(text: str) -> Assertion:
    """The AuthenticationResponseJSON of a text, for `verify` once its passkey has been found. Raises Refused."""
    given = _or_malformed(lambda: orjson.loads(text))
    response = given.get("response") if isinstance(given, dict) else None
    if not isinstance(response, dict):
        raise Refused(Reason.MALFORMED)
    name, handle = given.get("id"), response.get("userHandle")
    # Authenticators that were told which passkeys would do may leave the handle out; some browsers then say "".
    if not isinstance(name, str) or not (handle is None or isinstance(handle, str)):
        raise Refused(Reason.MALFORMED)
    if not 0 < len(_or_malformed(lambda: decode(name))) <= LONGEST_ID:
        raise Refused(Reason.MALFORMED)
    return Assertion(name, handle or None, given)


def verify(given: Assertion, expected: Expected, *, public_key: str, user_handle: str) -> Asserted:
    """Whether an answer was made for this, with the private half of this key. The counter is the caller's affair: what
    it means depends on the passkey. Raises Refused."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import parse_authentication_credential_json, parse_authenticator_data

    read = _or_malformed(lambda: parse_authentication_credential_json(dict(given.raw)))
    _check_client_data(read.response.client_data_json, "webauthn.get", expected)
    data = _or_malformed(lambda: parse_authenticator_data(read.response.authenticator_data))
    _check_authenticator(data, expected)
    if given.user_handle is not None and not same(given.user_handle, user_handle):
        raise Refused(Reason.USER)
    try:
        verify_authentication_response(
            credential=read,
            expected_challenge=decode(expected.challenge),
            expected_rp_id=expected.rp_id,
            expected_origin=list(expected.origins),
            credential_public_key=decode(public_key),
            credential_current_sign_count=0,
            require_user_verification=expected.user_verification,
        )
    except Exception:  # besides its own, whatever the libraries below it raise for a signature that is none
        raise Refused(Reason.SIGNATURE) from None
    return Asserted(data.sign_count, data.flags.bs)


def _described(one: Credential) -> dict[str, Any]:
    found: dict[str, Any] = {"id": one.id, "type": "public-key"}
    return {**found, "transports": list(one.transports)} if one.transports else found


def _verification(required: bool) -> str:
    return "required" if required else "preferred"


def _or_malformed(read: Callable[[], T]) -> T:
    """Strangers send this: whatever the reading of it raises, also a RecursionError, means that it cannot be read."""
    try:
        return read()
    except Exception:
        raise Refused(Reason.MALFORMED) from None


def _check_client_data(raw: bytes, ceremony: str, expected: Expected) -> None:
    """What the browser says of the page, and of what the page asked for."""
    said = _or_malformed(lambda: orjson.loads(raw))
    if not isinstance(said, dict) or said.get("type") != ceremony:
        raise Refused(Reason.MALFORMED)
    challenge, origin = said.get("challenge"), said.get("origin")
    if not isinstance(challenge, str) or not isinstance(origin, str):
        raise Refused(Reason.MALFORMED)
    if not same(challenge, expected.challenge):
        raise Refused(Reason.CHALLENGE)
    # A page inside another one's frame: its user may not see what he agrees to.
    if origin not in expected.origins or said.get("crossOrigin") not in (None, False):
        raise Refused(Reason.ORIGIN)


def _check_authenticator(data: AuthenticatorData, expected: Expected) -> None:
    if data.rp_id_hash != hashlib.sha256(expected.rp_id.encode("ascii")).digest():
        raise Refused(Reason.RELYING_PARTY)
    if not data.flags.up or (expected.user_verification and not data.flags.uv):
        raise Refused(Reason.NOT_VERIFIED)
    if data.flags.bs and not data.flags.be:
        raise Refused(Reason.MALFORMED)


def _check_key(cose: bytes) -> None:
    """Refuse a key that could never sign anything in, and one that would take seconds at every attempt: an RSA key is
    as large as whoever registers it likes."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
    from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey, DecodedRSAPublicKey

    try:
        key = decode_credential_public_key(cose)
        if isinstance(key, DecodedEC2PublicKey):
            usable = (int(key.alg), int(key.crv)) == (ES256, _P256)
        elif isinstance(key, DecodedRSAPublicKey):
            bits = int.from_bytes(key.n, "big").bit_length()
            usable = int(key.alg) == RS256 and bits in _RSA_BITS and len(key.e) <= _RSA_LONGEST_EXPONENT
        else:
            usable = False
        if usable:
            decoded_public_key_to_cryptography(key)  # which refuses what is no point of the curve
    except Exception:
        raise Refused(Reason.UNSUPPORTED) from None
    if not usable:
        raise Refused(Reason.UNSUPPORTED)
