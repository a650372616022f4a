from __future__ import annotations

import re
import uuid
from itertools import product

import pytest

from app.crypto import codes

SYMBOLS_OF_COGNITO = set("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+- ")


@pytest.mark.parametrize(
    ("made", "form"),
    [
        (lambda: codes.digits(6), r"[0-9]{6}"),
        (lambda: codes.digits(1), r"[0-9]"),
        (lambda: codes.token(), r"[A-Za-z0-9_-]{43}"),
        (lambda: codes.token(16), r"[A-Za-z0-9_-]{22}"),
        (lambda: codes.uuid(), r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        (lambda: codes.pool_id("eu-west-1"), r"eu-west-1_[0-9A-Za-z]{9}"),
        (lambda: codes.client_id(), r"[0-9a-z]{26}"),
        (lambda: codes.client_secret(), r"[0-9a-z]{52}"),
        (lambda: codes.access_key_id(), r"AKIA[A-Z2-7]{16}"),
        (lambda: codes.access_key_secret(), r"[A-Za-z0-9+/]{40}"),
    ],
)
def test_each_has_the_form_that_clients_expect(made: object, form: str) -> None:
    assert callable(made)
    assert all(re.fullmatch(form, made()) for _ in range(50))


def test_none_comes_twice() -> None:
    for make in (codes.token, codes.uuid, codes.client_id, codes.client_secret, codes.access_key_id):
        assert len({make() for _ in range(100)}) == 100


def test_digits_keep_their_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda below: 42)
    assert codes.digits(6) == "000042"


def test_a_uuid_says_that_it_is_random() -> None:
    assert uuid.UUID(codes.uuid()).version == 4


@pytest.mark.parametrize(("upper", "lower", "digits", "symbols"), list(product([False, True], repeat=4)))
@pytest.mark.parametrize(("asked", "given"), [(6, 12), (12, 12), (15, 15), (99, 99)])
def test_a_temporary_password_keeps_the_policy(
    asked: int, given: int, upper: bool, lower: bool, digits: bool, symbols: bool
) -> None:
    for _ in range(20):
        password = codes.temporary_password(asked, upper=upper, lower=lower, digits=digits, symbols=symbols)
        assert len(password) == given
        assert not upper or re.search("[A-Z]", password)
        assert not lower or re.search("[a-z]", password)
        assert not digits or re.search("[0-9]", password)
        assert bool(symbols) == bool(SYMBOLS_OF_COGNITO & set(password))


def test_what_is_required_stands_in_no_known_place() -> None:
    places = set()
    for _ in range(500):
        password = codes.temporary_password(12, upper=True, lower=True, digits=True, symbols=True)
        places |= {i for i, letter in enumerate(password) if letter in SYMBOLS_OF_COGNITO}
    assert places == set(range(12))


def test_a_recovery_code_has_more_than_64_bits_and_nothing_that_is_confused() -> None:
    made = {codes.recovery_code() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"[a-hjkmnp-z2-9]{5}(-[a-hjkmnp-z2-9]{5}){2}", code) for code in made)
    assert set("".join(made)) - {"-"} == set("abcdefghjkmnpqrstuvwxyz23456789")
