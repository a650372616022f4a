from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from app.crypto import base64url, jose
from app.crypto.jose import BadToken, SigningKey, VerifyingKey

CLAIMS: dict[str, object] = {"sub": "alice", "exp": 1700003600, "cognito:groups": ["ä", "b"], "email_verified": True}


def der(algorithm: str, which: int = 0) -> bytes:
    """The same private key for the same arguments all through the run: RSA keys are slow to make."""
    return made(algorithm, which)


@cache
def made(algorithm: str, which: int) -> bytes:
    return jose.generate(algorithm)


def a_key(algorithm: str, kid: str = "kid", which: int = 0) -> SigningKey:
    return SigningKey.load(der(algorithm, which), algorithm, kid)


def known(*keys: SigningKey) -> dict[str, VerifyingKey]:
    return {key.kid: VerifyingKey.load(key.public_jwk) for key in keys}


def segment(value: object) -> str:
    return base64url.encode(json.dumps(value).encode())


def resigned(key: SigningKey, header: dict[str, Any], payload: str | None = None) -> str:
    """A token under any header at all, with a signature by `key` that is right for it."""
    signed = f"{segment(header)}.{segment(CLAIMS) if payload is None else payload}"
    return f"{signed}.{base64url.encode(key._sign(signed.encode()))}"


def refused(token: str, *keys: SigningKey) -> str:
    with pytest.raises(BadToken) as caught:
        jose.verify(token, known(*keys))
    return caught.value.reason


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_what_was_signed_is_verified(algorithm: str) -> None:
    key = a_key(algorithm)
    assert jose.verify(key.sign(CLAIMS), known(key)) == CLAIMS


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_another_library_verifies_what_we_sign(algorithm: str) -> None:
    key = a_key(algorithm)
    if algorithm == "EdDSA":
        # The library names it by RFC 9864 and warns about the older name, which is the one clients know.
        signed, signature = key.sign(CLAIMS).rsplit(".", 1)
        public = OKPKey.import_key(dict(key.public_jwk)).public_key
        assert isinstance(public, ed25519.Ed25519PublicKey)
        public.verify(base64url.decode(signature), signed.encode())
    else:
        assert jwt.decode(key.sign(CLAIMS), import_key(dict(key.public_jwk)), algorithms=[algorithm]).claims == CLAIMS


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_we_verify_what_another_library_signs(algorithm: str) -> None:
    theirs = import_key(der(algorithm), "RSA" if algorithm == "RS256" else "EC")
    token = jwt.encode({"alg": algorithm, "kid": "kid", "typ": "JWT"}, CLAIMS, theirs, algorithms=[algorithm])
    assert jose.verify(token, known(a_key(algorithm))) == CLAIMS


def test_the_vector_of_rfc_8037_for_ed25519() -> None:
    # Appendix A.1 and A.4; its header has no kid and its payload is no claims set, so it is checked below `verify`.
    key = VerifyingKey.load(
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    )
    signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = base64url.decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    key.check(signature, signed)
    with pytest.raises(BadToken):
        key.check(signature, signed + b"x")


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_the_header_is_cognitos_to_the_byte(algorithm: str) -> None:
    header = base64url.decode(a_key(algorithm, kid="a+b/c=").sign(CLAIMS).split(".")[0])
    assert header == f'{{"kid":"a+b/c=","alg":"{algorithm}"}}'.encode()


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        ("RS256", {"kty": "RSA", "e": "AQAB"}),
        ("ES256", {"kty": "EC", "crv": "P-256"}),
        ("EdDSA", {"kty": "OKP", "crv": "Ed25519"}),
    ],
)
def test_the_public_key_as_jwk(algorithm: str, members: dict[str, str]) -> None:
    jwk = a_key(algorithm).public_jwk
    assert members.items() <= jwk.items()
    assert jwk["use"] == "sig" and jwk["alg"] == algorithm and jwk["kid"] == "kid"
    numbers = {"RS256": {"n", "e"}, "ES256": {"crv", "x", "y"}, "EdDSA": {"crv", "x"}}[algorithm]
    assert set(jwk) == {"kty", "use", "alg", "kid"} | numbers


def test_a_private_key_does_not_show_in_a_repr() -> None:
    key = a_key("RS256")
    private = load_der_private_key(der("RS256"), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert str(private.private_numbers().d) not in repr(key)
    assert "_sign" not in repr(key)


def test_the_same_claims_give_a_fresh_signature_that_is_64_bytes_wide_in_es256() -> None:
    # r or s begins with a zero byte in one signature of 128: the width has to be kept.
    key = a_key("ES256")
    for _ in range(300):
        token = key.sign({"sub": "alice"})
        assert len(base64url.decode(token.rsplit(".", 1)[1])) == 64
        jose.verify(token, known(key))


def test_a_kid_looks_like_cognitos() -> None:
    kid = jose.new_kid()
    assert len(base64.b64decode(kid, validate=True)) == 32
    assert kid.endswith("=") and len(kid) == 44
    assert jose.new_kid() != kid


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "", "Ed25519"])
def test_other_algorithms_are_not_offered(algorithm: str) -> None:
    with pytest.raises(ValueError):
        jose.generate(algorithm)
    with pytest.raises(ValueError):
        SigningKey.load(der("RS256"), algorithm, "kid")
    with pytest.raises(ValueError):
        VerifyingKey.load(a_key("RS256").public_jwk | {"alg": algorithm})
    with pytest.raises(ValueError):
        jose.at_hash("token", algorithm)


@pytest.mark.parametrize("made_for", jose.ALGORITHMS)
@pytest.mark.parametrize("used_for", jose.ALGORITHMS)
def test_a_key_serves_its_own_algorithm_only(made_for: str, used_for: str) -> None:
    if made_for == used_for:
        return
    with pytest.raises(ValueError):
        SigningKey.load(der(made_for), used_for, "kid")
    with pytest.raises(ValueError):
        VerifyingKey.load(a_key(made_for).public_jwk | {"alg": used_for})


def test_a_curve_that_is_not_the_algorithms_is_refused() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(ValueError):
        SigningKey.load(p384.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "ES256", "kid")
    with pytest.raises(ValueError):
        VerifyingKey.load({**ECKey.import_key(p384.public_key()).as_dict(), "alg": "ES256"})  # type: ignore[dict-item]
    x448 = OKPKey.import_key(ed448.Ed448PrivateKey.generate().public_key())
    with pytest.raises(ValueError):
        VerifyingKey.load({**x448.as_dict(), "alg": "EdDSA"})  # type: ignore[dict-item]


def test_a_short_rsa_key_is_refused() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505
    with pytest.warns(SecurityWarning):
        jwk = RSAKey.import_key(short).as_dict()
    with pytest.warns(SecurityWarning), pytest.raises(ValueError):
        VerifyingKey.load({**jwk, "alg": "RS256"})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
        {"kty": "RSA", "alg": "RS256"},
        {"kty": "RSA", "alg": "RS256", "n": "!", "e": "AQAB"},
        {"kty": "EC", "alg": "ES256", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "alg": "ES256", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "OKP", "alg": "EdDSA", "crv": "Ed25519", "x": "AA"},
    ],
)
def test_a_jwk_that_is_no_public_key_is_refused(jwk: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        VerifyingKey.load(jwk)


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_altered_claims_or_signature_are_refused(algorithm: str) -> None:
    key = a_key(algorithm)
    head, _, signature = key.sign(CLAIMS).split(".")
    assert refused(f"{head}.{segment({'sub': 'mallory'})}.{signature}", key) == "signature"
    raw = bytearray(base64url.decode(signature))
    raw[10] ^= 1
    assert refused(f"{head}.{segment(CLAIMS)}.{base64url.encode(bytes(raw))}", key) == "signature"
    assert refused(f"{head}.{segment(CLAIMS)}.{base64url.encode(bytes(raw[:-1]))}", key) == "signature"
    assert refused(f"{head}.{segment(CLAIMS)}.", key) == "signature"


def test_an_es256_signature_of_zeros_is_refused() -> None:
    key = a_key("ES256")
    head, payload, _ = key.sign(CLAIMS).split(".")
    assert refused(f"{head}.{payload}.{base64url.encode(bytes(64))}", key) == "signature"


@pytest.mark.parametrize("none", ["none", "None", "NONE", "", None, 0, ["RS256"]])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_token_without_algorithm_is_refused(none: object, signature: str) -> None:
    token = f"{segment({'alg': none, 'kid': 'kid'})}.{segment(CLAIMS)}.{signature}"
    assert refused(token, a_key("RS256")) == "signature"


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused() -> None:
    key = a_key("RS256")
    public = load_der_private_key(der("RS256"), None).public_key()
    for form in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(key.public_jwk).encode(),
    ):
        for alg in ("HS256", "RS256"):
            signed = f"{segment({'alg': alg, 'kid': 'kid'})}.{segment(CLAIMS)}"
            forged = hmac.new(form, signed.encode(), hashlib.sha256).digest()
            assert refused(f"{signed}.{base64url.encode(forged)}", key) == "signature"


@pytest.mark.parametrize("signed_with", jose.ALGORITHMS)
@pytest.mark.parametrize("claimed", jose.ALGORITHMS)
def test_a_token_that_names_another_keys_kid_or_algorithm_is_refused(signed_with: str, claimed: str) -> None:
    own, other = a_key(signed_with, "own"), a_key(claimed, "other", which=1)
    assert refused(resigned(own, {"alg": claimed, "kid": "other"}), own, other) == "signature"
    assert refused(resigned(own, {"alg": signed_with, "kid": "other"}), own, other) == "signature"
    if signed_with != claimed:
        assert refused(resigned(own, {"alg": claimed, "kid": "own"}), own, other) == "signature"


@pytest.mark.parametrize("header", [{}, {"kid": ""}, {"kid": None}, {"kid": "random"}, {"kid": "KID"}])
def test_a_kid_that_we_do_not_know_is_refused(header: dict[str, Any]) -> None:
    key = a_key("RS256")
    assert refused(resigned(key, {"alg": "RS256", **header}), key) == "unknown key"
    assert refused(resigned(key, {"alg": "RS256", **header})) == "unknown key"


def test_a_key_or_an_address_of_a_key_in_the_header_is_not_looked_at() -> None:
    ours, theirs = a_key("RS256"), a_key("RS256", which=1)
    extra = {"jwk": theirs.public_jwk, "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": []}
    assert refused(resigned(theirs, {"alg": "RS256", "kid": "kid", **extra}), ours) == "signature"
    assert jose.verify(resigned(ours, {"alg": "RS256", "kid": "kid", **extra}), known(ours)) == CLAIMS


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], None])
def test_a_critical_extension_is_refused(crit: object) -> None:
    key = a_key("RS256")
    assert refused(resigned(key, {"alg": "RS256", "kid": "kid", "crit": crit, "b64": False}), key) == "malformed"


@pytest.mark.parametrize("kid", [5, ["kid"], {"kid": "kid"}, True])
def test_a_kid_that_is_no_text_is_malformed(kid: object) -> None:
    key = a_key("RS256")
    assert refused(resigned(key, {"alg": "RS256", "kid": kid}), key) == "malformed"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        "é.b.c",
        "\ud800.b.c",
        "W10.W10.",
        "e30",
        "bnVsbA.e30.AA",
        "{}.{}.{}",
    ],
)
def test_what_is_no_token_is_malformed(token: str) -> None:
    assert refused(token, a_key("RS256")) == "malformed"


@pytest.mark.parametrize("payload", ["[]", '"alice"', "null", "{", "", '{"a":NaN}', "[" * 5000])
def test_a_signed_payload_that_is_no_claims_set_is_malformed(payload: str) -> None:
    key = a_key("ES256")
    token = resigned(key, {"alg": "ES256", "kid": "kid"}, base64url.encode(payload.encode()))
    assert refused(token, key) == "malformed"


def test_a_token_has_one_spelling() -> None:
    key = a_key("RS256")
    token = key.sign(CLAIMS)
    head, payload, signature = token.split(".")
    for altered in (
        token + "=",
        token + "\n",
        " " + token,
        f"{head}.{payload[:5]}!{payload[5:]}.{signature}",
        f"{head}.{payload}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",
    ):
        assert refused(altered, key) == "malformed"


def test_expiry_is_not_looked_at_here() -> None:
    key = a_key("EdDSA")
    assert jose.verify(key.sign({"exp": 1}), known(key)) == {"exp": 1}


def test_at_hash_by_the_examples_of_openid_connect_core() -> None:
    # Core 1.0, appendix A.4 (id_token token) and A.6 (c_hash, which is the same function of a code).
    assert jose.at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"
    code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"
    assert jose.at_hash(code, "ES256") == "LDktKdoQak3Pk0cnXxCltA"


def test_at_hash_of_eddsa_is_half_of_sha_512() -> None:
    expected = base64.urlsafe_b64encode(hashlib.sha512(b"token").digest()[:32]).decode().rstrip("=")
    assert jose.at_hash("token", "EdDSA") == expected
