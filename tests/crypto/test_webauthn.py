"""Passkeys: which answers of a browser are taken, and which are not."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.crypto import webauthn
from app.crypto.base64url import decode, encode
from app.crypto.webauthn import Credential, Expected, Reason, Refused
from tests.authenticator import BACKED_UP, ELIGIBLE, NAMELESS, PRESENT, VERIFIED, Authenticator, es256, rs256

ORIGIN = "https://app.example.com"
CHALLENGE = encode(b"c" * 32)
HANDLE = encode(b"h" * 32)
EXPECTED = Expected(CHALLENGE, "example.com", {ORIGIN, "https://example.com"}, user_verification=True)
CREATION = webauthn.creation_options(
    challenge=CHALLENGE,
    rp_id="example.com",
    rp_name="Example",
    user_handle=HANDLE,
    user_name="alice",
    display_name="Alice",
    user_verification=True,
    exclude=[],
)
REQUEST = webauthn.request_options(challenge=CHALLENGE, rp_id="example.com", user_verification=True, allow=[])


def refusal(act: Callable[[], Any]) -> Reason:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.reason


def a_passkey(key: Authenticator) -> webauthn.Registered:
    return webauthn.register(key.register(CREATION, ORIGIN), EXPECTED)


def verified(key: Authenticator, answer: dict[str, Any], expected: Expected = EXPECTED) -> webauthn.Asserted:
    public_key = encode(cbor2.dumps(key.cose))
    return webauthn.verify(
        webauthn.assertion(json.dumps(answer)), expected, public_key=public_key, user_handle=HANDLE
    )  # fmt: skip


# -- what is asked for -----------------------------------------------------------------------------------------


def test_options_are_what_a_browser_reads() -> None:
    known = [Credential("AAAA", ("usb",)), Credential("BBBB", ())]
    shown = webauthn.creation_options(
        challenge=CHALLENGE,
        rp_id="example.com",
        rp_name="Example",
        user_handle=HANDLE,
        user_name="alice",
        display_name="Alice",
        user_verification=False,
        exclude=known,
    )
    described = [{"id": "AAAA", "type": "public-key", "transports": ["usb"]}, {"id": "BBBB", "type": "public-key"}]
    assert shown == {
        "challenge": CHALLENGE,
        "rp": {"id": "example.com", "name": "Example"},
        "user": {"id": HANDLE, "name": "alice", "displayName": "Alice"},
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
        "timeout": 180_000,
        "excludeCredentials": described,
        "authenticatorSelection": {
            "requireResidentKey": True,
            "residentKey": "required",
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": {},
    }
    asked = webauthn.request_options(challenge=CHALLENGE, rp_id="example.com", user_verification=True, allow=known)
    assert asked == {
        "challenge": CHALLENGE,
        "timeout": 180_000,
        "rpId": "example.com",
        "allowCredentials": described,
        "userVerification": "required",
        "extensions": {},
    }


def test_the_package_is_not_loaded_before_the_first_passkey() -> None:
    """It would add 80 ms to the start of every worker."""
    script = (
        "import sys; from app.crypto import webauthn; from app.signin import flow; "
        "print([name for name in sys.modules if name == 'webauthn' or name.startswith('webauthn.')])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# -- registration ----------------------------------------------------------------------------------------------


def test_a_registration_is_read() -> None:
    key = Authenticator(aaguid="2fc0579f-8113-47ea-b116-bb5a8db9202a", transports=("usb", "nfc", "carrier-pigeon"))
    made = a_passkey(key)
    assert made == webauthn.Registered(
        credential_id=key.name,
        public_key=encode(cbor2.dumps(key.cose)),
        sign_count=1,
        aaguid="2fc0579f-8113-47ea-b116-bb5a8db9202a",
        attachment="cross-platform",
        transports=("nfc", "usb"),
        synced=False,
        backed_up=False,
    )
    synced = a_passkey(Authenticator(synced=True, counting=False, attachment="platform", transports=()))
    assert (synced.synced, synced.backed_up, synced.sign_count) == (True, True, 0)
    assert (synced.aaguid, synced.attachment, synced.transports) == (NAMELESS, "platform", ())


def test_an_rsa_key_does() -> None:
    key = Authenticator(key=rsa.generate_private_key(65537, 2048))
    made = a_passkey(key)
    said = verified(key, key.sign(REQUEST, ORIGIN))
    assert (decode(made.public_key)[:1], said.sign_count) == (b"\xa4", 2)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"challenge": encode(b"d" * 32)}, Reason.CHALLENGE),
        ({"challenge": CHALLENGE + "="}, Reason.CHALLENGE),
        ({"challenge": None}, Reason.MALFORMED),
        ({"origin": "https://evil.example.com"}, Reason.ORIGIN),
        ({"origin": "https://app.example.com.evil.example"}, Reason.ORIGIN),
        ({"origin": "http://app.example.com"}, Reason.ORIGIN),
        ({"origin": "https://app.example.com:8443"}, Reason.ORIGIN),
        ({"origin": [ORIGIN]}, Reason.MALFORMED),
        ({"crossOrigin": True}, Reason.ORIGIN),
        ({"crossOrigin": "false"}, Reason.ORIGIN),
        ({"type": "webauthn.get"}, Reason.MALFORMED),
        ({"type": None}, Reason.MALFORMED),
    ],
)
def test_what_a_browser_did_not_say_for_this_page_and_this_challenge_is_refused(
    lie: dict[str, Any], reason: Reason
) -> None:
    key = Authenticator()
    other = {name: value for name, value in lie.items() if name != "origin"}
    origin = lie.get("origin", ORIGIN)
    assert refusal(lambda: webauthn.register(key.register(CREATION, origin, **other), EXPECTED)) is reason
    if lie.get("type") == "webauthn.get":
        lie = other = {"type": "webauthn.create"}
    assert refusal(lambda: verified(key, key.sign(REQUEST, origin, **other))) is reason


def test_another_relying_party_is_refused() -> None:
    key = Authenticator()
    made = key.register(CREATION, ORIGIN, rp_id="app.example.com")
    assert refusal(lambda: webauthn.register(made, EXPECTED)) is Reason.RELYING_PARTY
    assert refusal(lambda: verified(key, key.sign(REQUEST, ORIGIN, rp_id="evil.example"))) is Reason.RELYING_PARTY


def test_who_must_be_verified_must_be_verified() -> None:
    lax = replace(EXPECTED, user_verification=False)
    key = Authenticator(verifies=False)
    made = key.register(CREATION, ORIGIN)
    assert refusal(lambda: webauthn.register(made, EXPECTED)) is Reason.NOT_VERIFIED
    assert webauthn.register(made, lax).credential_id == key.name
    answer = key.sign(REQUEST, ORIGIN)
    assert refusal(lambda: verified(key, answer)) is Reason.NOT_VERIFIED
    assert verified(key, answer, lax).sign_count == 2


def test_somebody_must_be_there() -> None:
    key = Authenticator()
    lax = replace(EXPECTED, user_verification=False)
    for flags in (0, VERIFIED):
        answer = key.sign(REQUEST, ORIGIN, flags=flags)
        assert refusal(lambda answer=answer: verified(key, answer, lax)) is Reason.NOT_VERIFIED


def test_what_cannot_be_on_several_devices_has_no_copy() -> None:
    key = Authenticator()
    answer = key.sign(REQUEST, ORIGIN, flags=PRESENT | VERIFIED | BACKED_UP)
    assert refusal(lambda: verified(key, answer)) is Reason.MALFORMED
    moved = key.sign(REQUEST, ORIGIN, flags=PRESENT | VERIFIED | ELIGIBLE)
    assert verified(key, moved) == webauthn.Asserted(sign_count=2, backed_up=False)


OFF_THE_CURVE = {**Authenticator().cose, -3: b"\x01" * 32}
P384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
HUGE = {1: 3, 3: -257, -1: b"\xff" * 8192, -2: b"\x01\x00\x01"}
SLOW = {**rs256(rsa.generate_private_key(65537, 2048).public_key()), -2: b"\xff" * 200}
SMALL = rs256(rsa.generate_private_key(65537, 1024).public_key())


@pytest.mark.parametrize(
    "cose",
    [
        OFF_THE_CURVE,
        {1: 2, 3: -7, -1: 2, -2: P384.x.to_bytes(48, "big"), -3: P384.y.to_bytes(48, "big")},
        {**Authenticator().cose, 3: -35},
        {**Authenticator().cose, 3: -257},
        {1: 1, 3: -8, -1: 6, -2: b"\x01" * 32},
        {1: 2, 3: -7},
        {1: 2, 3: -7, -1: 1, -2: "x", -3: "y"},
        {1: 9, 3: -7},
        {},
        [],
        HUGE,
        SLOW,
        SMALL,
    ],
    ids=[
        "off the curve",
        "another curve",
        "another algorithm",
        "an algorithm of other keys",
        "EdDSA",
        "no point",
        "text",
        "unknown type",
        "empty",
        "no key",
        "RSA of 65536 bits",
        "RSA with a long exponent",
        "RSA of 1024 bits",
    ],
)
def test_a_key_that_would_never_do_or_take_for_ever_is_not_supported(cose: Any) -> None:
    made = Authenticator().register(CREATION, ORIGIN, cose=cose)
    assert refusal(lambda: webauthn.register(made, EXPECTED)) in (Reason.UNSUPPORTED, Reason.MALFORMED)


@pytest.mark.parametrize(
    "attestation",
    [
        {"fmt": "none", "attStmt": {"sig": b"x"}},
        {"fmt": "packed", "attStmt": {}},
        {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}},
        {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x", "x5c": [b"no certificate"]}},
        {"fmt": "tpm", "attStmt": {"certInfo": b"", "pubArea": b"", "sig": b"", "x5c": [b""], "ver": "2.0"}},
        {"fmt": "android-key", "attStmt": {"x5c": [b"x"], "alg": -7, "sig": b"x"}},
        {"fmt": "apple", "attStmt": {"x5c": [b"x"]}},
        {"fmt": "android-safetynet", "attStmt": {"ver": "1", "response": b"x.y.z"}},
        {"fmt": "fido-u2f", "attStmt": {"x5c": [b"x"], "sig": b"x"}},
        {"fmt": "of my own"},
        {"fmt": 7},
    ],
)
def test_an_attestation_that_proves_nothing_is_not_supported(attestation: dict[str, Any]) -> None:
    made = Authenticator().register(CREATION, ORIGIN, attestation=attestation)
    assert refusal(lambda: webauthn.register(made, EXPECTED)) is Reason.UNSUPPORTED


def without(given: dict[str, Any], *path: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(given))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return copy


def changed(given: dict[str, Any], **response: Any) -> dict[str, Any]:
    return {**given, "response": {**given["response"], **response}}


def test_a_registration_that_is_none_is_malformed() -> None:
    key = Authenticator()
    made = key.register(CREATION, ORIGIN)
    bombs = [b"\x81" * 100_000, b"\x9b" + b"\x7f" * 8, b"\xc5\x82\x1b" + b"\x7f" * 8 + b"\x01", b"", b"\xff", b"\xa0"]
    wrong: list[Any] = [
        *(None, 7, "text", [], [1], {}, json.dumps(made)),
        without(made, "id"),
        without(made, "rawId"),
        without(made, "type"),
        without(made, "response"),
        without(made, "response", "clientDataJSON"),
        without(made, "response", "attestationObject"),
        {**made, "type": "password"},
        {**made, "response": []},
        {**made, "authenticatorAttachment": "glued on"},
        {**made, "id": encode(b"another"), "rawId": encode(b"another")},
        changed(made, clientDataJSON="ü"),
        changed(made, clientDataJSON=encode(b"[" * 5000)),
        changed(made, clientDataJSON=encode(b"null")),
        changed(made, attestationObject="***"),
        *(changed(made, attestationObject=encode(bomb)) for bomb in bombs),
        Authenticator(id=b"").register(CREATION, ORIGIN),
        Authenticator(id=b"x" * 1024).register(CREATION, ORIGIN),
    ]
    for one in wrong:
        assert refusal(lambda one=one: webauthn.register(one, EXPECTED)) is Reason.MALFORMED, one
    assert webauthn.register(made, EXPECTED).credential_id == key.name


def test_an_id_is_written_in_one_way_only() -> None:
    """A passkey is found by it: two ways to write it would be two passkeys."""
    key = Authenticator()
    for name in (key.name + "=", base64.b64encode(key.id).decode() + "===", key.name[:-1] + "#"):
        made = key.register(CREATION, ORIGIN)
        assert refusal(lambda made=made, name=name: webauthn.register({**made, "id": name}, EXPECTED))
        answer = {**key.sign(REQUEST, ORIGIN), "id": name}
        assert refusal(lambda answer=answer: verified(key, answer)) is Reason.MALFORMED


# -- signing in ------------------------------------------------------------------------------------------------


def test_a_right_answer_is_taken_with_or_without_the_users_handle() -> None:
    key = Authenticator()
    a_passkey(key)
    assert verified(key, key.sign(REQUEST, ORIGIN)) == webauthn.Asserted(sign_count=2, backed_up=False)
    for handle in (None, ""):
        assert verified(key, changed(key.sign(REQUEST, ORIGIN), userHandle=handle))
    assert verified(key, without(key.sign(REQUEST, ORIGIN), "response", "userHandle"))


def test_another_users_handle_is_refused() -> None:
    key = Authenticator()
    a_passkey(key)
    for handle in (encode(b"i" * 32), HANDLE + "=", "ü"):
        answer = changed(key.sign(REQUEST, ORIGIN), userHandle=handle)
        assert refusal(lambda answer=answer: verified(key, answer)) in (Reason.USER, Reason.MALFORMED)


def test_whatever_is_tampered_with_breaks_the_signature() -> None:
    key, other = Authenticator(), Authenticator()
    a_passkey(key)
    answer = key.sign(REQUEST, ORIGIN)
    data = bytearray(decode(answer["response"]["authenticatorData"]))
    data[36] += 1  # the counter
    said = json.loads(decode(answer["response"]["clientDataJSON"])) | {"more": 1}
    for tampered in (
        changed(answer, authenticatorData=encode(bytes(data))),
        changed(answer, clientDataJSON=encode(json.dumps(said).encode())),
        changed(answer, signature=encode(b"\x30\x06\x02\x01\x01\x02\x01\x01")),
        changed(answer, signature=encode(b"no signature")),
        changed(answer, signature=""),
        changed(answer, signature=other.sign(REQUEST, ORIGIN)["response"]["signature"]),
        {**answer, "rawId": other.name},
    ):
        assert refusal(lambda tampered=tampered: verified(key, tampered)) is Reason.SIGNATURE
    assert verified(key, answer).sign_count == 2


def test_the_signature_of_another_key_is_refused() -> None:
    key, other = Authenticator(), Authenticator()
    a_passkey(key)
    other.id, other.handle = key.id, key.handle
    assert refusal(lambda: verified(key, other.sign(REQUEST, ORIGIN))) is Reason.SIGNATURE


def test_an_answer_that_is_none_is_malformed() -> None:
    key = Authenticator()
    a_passkey(key)
    answer = key.sign(REQUEST, ORIGIN)
    wrong: list[Any] = [
        *(None, 7, "text", [], {}, {"response": {}}),
        without(answer, "id"),
        without(answer, "rawId"),
        without(answer, "response", "clientDataJSON"),
        without(answer, "response", "authenticatorData"),
        without(answer, "response", "signature"),
        {**answer, "id": ""},
        {**answer, "id": 7},
        {**answer, "id": encode(b"x" * 1024)},
        {**answer, "type": "password"},
        changed(answer, userHandle=7),
        changed(answer, authenticatorData=encode(b"short")),
        changed(answer, authenticatorData=encode(decode(answer["response"]["authenticatorData"]) + b"more")),
    ]
    for one in wrong:
        assert refusal(lambda one=one: verified(key, one)) is Reason.MALFORMED, one
    for text in ("", "{", "[" * 100_000, "\ud800", '{"a": NaN}'):
        assert refusal(lambda text=text: webauthn.assertion(text)) is Reason.MALFORMED
    assert es256(key.key.public_key()) == key.cose  # type: ignore[arg-type]
