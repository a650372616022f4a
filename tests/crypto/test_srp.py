from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from pycognito import aws_srp

from app.crypto import seal, srp
from app.crypto.srp import BadPublicValue

# Appendix C of the Cognito dossier: made there, checked against pycognito's routine.
POOL, USER, PASSWORD = "ABCdefGHI", "testuser", "P@ssw0rd!"
SALT = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
CLIENT_A = int.from_bytes(hashlib.sha512(b"client a").digest() * 2, "big")
SERVER_B = int.from_bytes(hashlib.sha512(b"server b").digest() * 2, "big")
SECRET_BLOCK = base64.b64decode("Y29nbml0by10ZXN0LXNlY3JldC1ibG9jaw==")
TIMESTAMP = "Tue Apr 5 09:07:01 UTC 2022"


def padded_hash(number_hex: str) -> str:
    return hashlib.sha256(srp.pad(int(number_hex, 16))).hexdigest()


def test_the_group() -> None:
    assert srp.N == int(aws_srp.N_HEX, 16)
    assert srp.N.bit_length() == 3072
    assert f"{srp.k:x}" == "538282c4354742d7cbbde2359fcf67f9f5b3a6b08791e5011b43b8a5b66d9ee6"


@pytest.mark.parametrize(
    ("number", "padded"),
    [(0, "00"), (1, "01"), (0x7F, "7f"), (0x80, "0080"), (0xFF, "00ff"), (0x100, "0100"), (0x8000, "008000")],
)
def test_padding(number: int, padded: str) -> None:
    assert srp.pad(number).hex() == padded


def test_the_vector_from_password_to_signature() -> None:
    A = f"{pow(srp.g, CLIENT_A, srp.N):x}"
    assert A.startswith("c1859e521115d24d115cc9bb2dc44801")
    assert padded_hash(A) == "d7d15aa421bd960c91d39adcf87f2d8f71736d55a756efe644a116a1612cc9aa"

    verifier = srp.verifier(POOL, USER, PASSWORD, SALT)
    x = 0xC6519D633CF53B3ABAE5C4761EDE89D3CAF9FF80E67DCA831C67CA55C8E5E1A8
    assert int(verifier, 16) == pow(srp.g, x, srp.N)
    assert padded_hash(verifier) == "434aba43f7cbfe2bbaeed84cfd703f375bb2b5a3cd3c20f86ed57a8b80e14b7c"

    B = srp.server_public(verifier, SERVER_B)
    assert B.startswith("61440e92a18b223b2bfccea2889a8f46")
    assert padded_hash(B) == "8dc3c76e5fb1d2cba6f78c4eb4e68003f716f5484563e8f2a755746746039075"

    key = srp.session_key(verifier=verifier, b=SERVER_B, A=A, B=B)
    assert key.hex() == "ac42b441fbb9a7f0599addccda896508"
    assert srp.signature(key, POOL, USER, SECRET_BLOCK, TIMESTAMP) == "NgzFZC/KB87ufOsodP8QfXktJ6U5Nye8UAcsixmvtF0="


def test_the_vector_on_the_way_u_and_s() -> None:
    A = pow(srp.g, CLIENT_A, srp.N)
    verifier = int(srp.verifier(POOL, USER, PASSWORD, SALT), 16)
    B = int(srp.server_public(f"{verifier:x}", SERVER_B), 16)
    u = int.from_bytes(hashlib.sha256(srp.pad(A) + srp.pad(B)).digest(), "big")
    assert f"{u:x}" == "2c58f959fbe939dbb5776a17db95a0c5168827e7d21bbe02f10b9a4b12689d8e"
    S = pow(A * pow(verifier, u, srp.N), SERVER_B, srp.N)
    assert padded_hash(f"{S:x}") == "7d666cca37b9b3d281c2ed578591029703423d8a9bf00a2eea738d9a52bf40c1"


def test_the_vector_of_a_device() -> None:
    verifier = srp.verifier(
        "-abcdEFGH",
        "us-east-1_11111111-2222-3333-4444-555555555555",
        "cmFuZG9tcGFzc3dvcmQ=",
        "7f000102030405060708090a0b0c0d0e",
    )
    padded = srp.pad(int(verifier, 16))
    assert hashlib.sha256(padded).hexdigest() == "5686bd092860fabe39d404e6f9ac8bb32673f909bbc2707efd690414021f74ea"
    assert len(padded) == 384


def a_client(password: str) -> aws_srp.AWSSRP:
    """pycognito's arithmetic; it asks nobody."""
    return aws_srp.AWSSRP(
        username="alice", password=password, pool_id=f"us-east-1_{POOL}", client_id="client", client=object()
    )


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize(
    ("password", "salt"),
    [
        ("P@ssw0rd!", None),
        ("pässwörd ☂ with spaces", None),
        ("top bit set", "ff" * 16),
        ("first digit zero", "0a" + "11" * 15),
    ],
)
def test_a_client_that_knows_the_password_signs_as_we_do(password: str, salt: str | None) -> None:
    salt = salt or srp.new_salt()
    client = a_client(password)
    verifier = srp.verifier(POOL, "sub-of-alice", password, salt)
    b = srp.server_ephemeral()
    B = srp.server_public(verifier, b)
    answer = client.process_challenge(
        {
            "USERNAME": "sub-of-alice",
            "USER_ID_FOR_SRP": "sub-of-alice",
            "SALT": salt,
            "SRP_B": B,
            "SECRET_BLOCK": base64.b64encode(SECRET_BLOCK).decode(),
        },
        client.get_auth_params(),
    )
    assert srp.parse_timestamp(answer["TIMESTAMP"]) is not None
    key = srp.session_key(verifier=verifier, b=b, A=client.get_auth_params()["SRP_A"], B=B)
    expected = srp.signature(key, POOL, "sub-of-alice", SECRET_BLOCK, answer["TIMESTAMP"])
    assert seal.same(answer["PASSWORD_CLAIM_SIGNATURE"], expected)


def test_a_client_with_a_wrong_password_or_another_user_derives_another_key() -> None:
    salt = srp.new_salt()
    verifier = srp.verifier(POOL, "alice", "right", salt)
    b = srp.server_ephemeral()
    B = srp.server_public(verifier, b)
    for user, password in (("alice", "wrong"), ("bob", "right")):
        client = a_client(password)
        theirs = client.get_password_authentication_key(user, password, int(B, 16), salt)
        ours = srp.session_key(verifier=verifier, b=b, A=client.get_auth_params()["SRP_A"], B=B)
        assert theirs != ours


def test_a_device_registered_by_pycognito_signs_in() -> None:
    secret, config = aws_srp.generate_hash_device("-group", "device-key")
    verifier = base64.b64decode(config["PasswordVerifier"]).hex()
    salt = base64.b64decode(config["Salt"]).hex()
    assert int(srp.verifier("-group", "device-key", secret, salt), 16) == int(verifier, 16)
    b = srp.server_ephemeral()
    B = srp.server_public(verifier, b)
    client = a_client("unused")
    theirs = client.get_device_authentication_key("-group", "device-key", secret, int(B, 16), salt)
    assert srp.session_key(verifier=verifier, b=b, A=client.get_auth_params()["SRP_A"], B=B) == theirs


def test_a_salt_with_leading_zeros_is_read_as_a_number_as_amplify_does() -> None:
    assert srp.verifier(POOL, USER, PASSWORD, "0000" + "12" * 14) == srp.verifier(POOL, USER, PASSWORD, "12" * 14)


def test_a_password_is_taken_as_it_was_typed() -> None:
    salt = srp.new_salt()
    assert srp.verifier(POOL, USER, "caf\u00e9", salt) != srp.verifier(POOL, USER, "cafe\u0301", salt)


def test_a_new_salt_leaves_clients_nothing_to_disagree_about() -> None:
    salts = {srp.new_salt() for _ in range(500)}
    assert len(salts) == 500
    for salt in salts:
        assert len(salt) == 32
        assert 0x10 <= int(salt[:2], 16) < 0x80
        assert srp.pad(int(salt, 16)).hex() == salt == f"{int(salt, 16):x}"


def test_an_invented_salt_begins_as_real_ones_do() -> None:
    first_bytes = {srp.salt_from(bytes([first, *range(15)]))[:2] for first in range(256)}
    assert first_bytes == {f"{byte:02x}" for byte in range(0x10, 0x80)}
    assert srp.salt_from(bytes(16)) == srp.salt_from(bytes(16))
    with pytest.raises(ValueError):
        srp.salt_from(bytes(15))


def test_the_ephemeral_has_256_bits_and_is_never_the_same() -> None:
    drawn = {srp.server_ephemeral() for _ in range(100)}
    assert len(drawn) == 100
    assert {b.bit_length() for b in drawn} == {256}


@pytest.mark.parametrize(
    "A",
    [
        pytest.param("0", id="zero"),
        pytest.param("00" * 384, id="zero, at length"),
        pytest.param(f"{srp.N:x}", id="N"),
        pytest.param(f"{2 * srp.N:X}", id="twice N"),
        pytest.param("", id="nothing"),
        pytest.param("0x12", id="a prefix"),
        pytest.param("-5", id="a sign"),
        pytest.param("1_2", id="what int() would take"),
        pytest.param(" 12", id="a space"),
        pytest.param("12\n", id="a line end"),
        pytest.param("١٢", id="digits of another script"),
        pytest.param("zz", id="not hexadecimal"),
        pytest.param("1" * 1025, id="longer than any client sends"),
    ],
)
def test_a_public_value_that_proves_nothing_is_refused(A: str) -> None:
    verifier = srp.verifier(POOL, USER, PASSWORD, SALT)
    with pytest.raises(BadPublicValue):
        srp.session_key(verifier=verifier, b=SERVER_B, A=A, B=srp.server_public(verifier, SERVER_B))


def test_a_public_value_may_be_padded_or_in_capitals() -> None:
    verifier = srp.verifier(POOL, USER, PASSWORD, SALT)
    B = srp.server_public(verifier, SERVER_B)
    A = f"{pow(srp.g, CLIENT_A, srp.N):x}"
    keys = {srp.session_key(verifier=verifier, b=SERVER_B, A=form, B=B) for form in (A, "00" + A, A.upper())}
    assert len(keys) == 1


def test_a_u_of_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = srp.verifier(POOL, USER, PASSWORD, SALT)
    B = srp.server_public(verifier, SERVER_B)
    monkeypatch.setattr(srp, "_hash", lambda *parts: 0)
    with pytest.raises(BadPublicValue):
        srp.session_key(verifier=verifier, b=SERVER_B, A="2", B=B)


@pytest.mark.parametrize(
    "changed",
    [
        (b"k" * 16, POOL, USER, SECRET_BLOCK, "Tue Apr 5 09:07:02 UTC 2022"),
        (b"k" * 16, POOL, USER, SECRET_BLOCK + b"x", TIMESTAMP),
        (b"k" * 16, POOL, "another", SECRET_BLOCK, TIMESTAMP),
        (b"l" * 16, POOL, USER, SECRET_BLOCK, TIMESTAMP),
    ],
)
def test_a_signature_is_over_all_that_it_should_be(changed: tuple[bytes, str, str, bytes, str]) -> None:
    assert srp.signature(*changed) != srp.signature(b"k" * 16, POOL, USER, SECRET_BLOCK, TIMESTAMP)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Tue Apr 5 09:07:01 UTC 2022", datetime(2022, 4, 5, 9, 7, 1, tzinfo=UTC)),
        ("Tue Apr 05 09:07:01 UTC 2022", datetime(2022, 4, 5, 9, 7, 1, tzinfo=UTC)),
        ("Sat Dec 31 23:59:59 UTC 2022", datetime(2022, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Thu Feb 29 00:00:00 UTC 2024", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_a_timestamp(text: str, moment: datetime) -> None:
    assert srp.parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022-04-05T09:07:01Z",
        "Tue Apr 5 09:07:01 CET 2022",
        "Di Apr 5 09:07:01 UTC 2022",
        "Tue Mai 5 09:07:01 UTC 2022",
        "Tue Apr 31 09:07:01 UTC 2022",
        "Tue Apr 5 24:00:00 UTC 2022",
        "Tue Apr 5 09:07:01 UTC 0000",
        "Tue Apr 5 09:07:01 UTC 2022\n",
        "Tue Apr ٥ 09:07:01 UTC 2022",
    ],
)
def test_what_is_no_timestamp(text: str) -> None:
    assert srp.parse_timestamp(text) is None


@pytest.mark.parametrize("b", [0, 1, 31, 32, 2**255, 2**256 - 1, 2**256, 2**300 + 12345])
def test_the_quick_power_of_g_is_the_power_of_g(b: int) -> None:
    assert int(srp.server_public("0", b), 16) == pow(2, b, srp.N)
