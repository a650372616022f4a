"""Codes of an authenticator app."""

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.crypto import totp
from tests.build import app_code

RFC = base64.b32encode(b"12345678901234567890").decode()
"""The secret of RFC 6238, appendix B."""
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_the_rfc_cut_to_six_digits(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert app_code(RFC, moment) == code[-6:]
    assert totp.step_of(RFC, code[-6:], moment) == seconds // 30


def test_a_secret_has_256_bits_and_is_never_the_same() -> None:
    one, other = totp.new_secret(), totp.new_secret()
    assert len(one) == 52
    assert one != other
    assert len(base64.b32decode(one + "====")) == 32


@pytest.mark.parametrize(("late", "taken"), [(-31, False), (-30, True), (0, True), (30, True), (59, True), (60, False)])
def test_a_code_is_taken_a_step_early_and_a_step_late(late: int, taken: bool) -> None:
    """`late`: seconds from the beginning of the code's step."""
    code = app_code(RFC, NOON)
    step = totp.step_of(RFC, code, datetime.fromtimestamp(NOON.timestamp() + late, UTC))
    assert step == (int(NOON.timestamp()) // 30 if taken else None)


@pytest.mark.parametrize(
    "code", ["", " ", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "-12345", "1" * 10_000]
)
def test_what_is_no_code_is_wrong_and_breaks_nothing(code: str) -> None:
    assert totp.step_of(RFC, code, NOON) is None


def test_a_code_may_be_typed_as_apps_show_it() -> None:
    code = app_code(RFC, NOON)
    assert totp.step_of(RFC, f" {code[:3]} {code[3:]} ", NOON) is not None


@pytest.mark.parametrize("issuer", ["People", "Smith & Sons: Web?", "Kaffeehaus Zäh", "a/b%2F#c"])
@pytest.mark.parametrize("account", ["alice", "alice+x@example.com", "a:b/c?d&e"])
def test_an_app_reads_back_what_the_uri_was_made_of(issuer: str, account: str) -> None:
    said = urlsplit(totp.uri(RFC, issuer=issuer, account=account))
    asked = parse_qs(said.query, strict_parsing=True)
    assert (said.scheme, said.netloc, said.fragment) == ("otpauth", "totp", "")
    assert asked["secret"] == [RFC]
    assert asked["issuer"] == [issuer]
    before, _, after = said.path.removeprefix("/").partition(":")
    assert (unquote(before), unquote(after)) == (issuer, account)
