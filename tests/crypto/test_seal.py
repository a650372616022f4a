from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from app.crypto import seal
from app.crypto.seal import KeyedHash, Seal, SealBroken

KEY = bytes(range(32))
NEXT_KEY = bytes(range(1, 33))


def test_a_key_id_names_the_key_and_no_other() -> None:
    assert seal.key_id(KEY) == seal.key_id(bytes(KEY))
    assert seal.key_id(KEY) != seal.key_id(NEXT_KEY)
    assert len(seal.key_id(KEY)) == 8
    assert seal.key_id(KEY) != hashlib.sha256(KEY).hexdigest()[:8]


@pytest.mark.parametrize("plain", [b"", b"seed", bytes(range(256)) * 20])
def test_what_was_sealed_is_opened(plain: bytes) -> None:
    box = Seal(KEY)
    sealed = box.seal(plain, about="totp seed of alice")
    assert box.open(sealed, about="totp seed of alice") == plain
    assert sealed.startswith(f"v1.{seal.key_id(KEY)}.")


def test_the_same_thing_sealed_twice_looks_different() -> None:
    box = Seal(KEY)
    assert box.seal(b"seed", about="alice") != box.seal(b"seed", about="alice")


def test_a_sealed_value_moved_into_another_row_does_not_open() -> None:
    box = Seal(KEY)
    sealed = box.seal(b"seed of mallory", about="totp seed of mallory")
    with pytest.raises(SealBroken):
        box.open(sealed, about="totp seed of alice")


def test_any_altered_character_breaks_the_seal() -> None:
    box = Seal(KEY)
    sealed = box.seal(b"seed", about="alice")
    for place, letter in enumerate(sealed):
        altered = sealed[:place] + ("A" if letter != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            box.open(altered, about="alice")


@pytest.mark.parametrize(
    "sealed",
    ["", "v1", "v1..", f"v1.{seal.key_id(KEY)}.", f"v1.{seal.key_id(KEY)}.AAAA", f"v1.{seal.key_id(KEY)}.ö", "a.b.c.d"],
)
def test_what_never_was_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(SealBroken):
        Seal(KEY).open(sealed, about="alice")


def test_another_version_of_the_form_is_not_taken_for_ours() -> None:
    box = Seal(KEY)
    with pytest.raises(SealBroken):
        box.open("v2" + box.seal(b"seed", about="alice")[2:], about="alice")


def test_after_a_change_of_key_old_values_open_and_new_ones_use_the_new_key() -> None:
    old = Seal(KEY).seal(b"seed", about="alice")
    box = Seal(NEXT_KEY, KEY)
    assert box.open(old, about="alice") == b"seed"
    assert box.seal(b"seed", about="alice").split(".")[1] == seal.key_id(NEXT_KEY)


def test_after_the_old_key_is_gone_old_values_stay_shut() -> None:
    old = Seal(KEY).seal(b"seed", about="alice")
    with pytest.raises(SealBroken):
        Seal(NEXT_KEY).open(old, about="alice")


def test_a_value_that_names_another_key_than_its_own_does_not_open() -> None:
    version, _, text = Seal(KEY).seal(b"seed", about="alice").split(".")
    with pytest.raises(SealBroken):
        Seal(NEXT_KEY, KEY).open(f"{version}.{seal.key_id(NEXT_KEY)}.{text}", about="alice")


@pytest.mark.parametrize("key", [b"", b"short", bytes(31), bytes(33)])
def test_a_key_is_32_bytes(key: bytes) -> None:
    with pytest.raises(ValueError):
        Seal(key)
    with pytest.raises(ValueError):
        Seal(KEY, key)
    with pytest.raises(ValueError):
        KeyedHash(key)


def test_a_digest_is_the_hmac_of_the_framed_parts() -> None:
    message = b"".join(len(part).to_bytes(8, "big") + part for part in (b"digest", b"code", b"123456"))
    expected = base64.urlsafe_b64encode(hmac.new(KEY, message, hashlib.sha256).digest()).rstrip(b"=").decode()
    assert KeyedHash(KEY).digest("code", "123456") == expected
    assert len(expected) == 43


def test_digests_differ_by_key_purpose_and_value() -> None:
    hashed = KeyedHash(KEY)
    digests = {
        hashed.digest("code", "123456"),
        hashed.digest("code", "123457"),
        hashed.digest("refresh token", "123456"),
        hashed.digest("code1", "23456"),
        hashed.digest("", "code123456"),
        KeyedHash(NEXT_KEY).digest("code", "123456"),
    }
    assert len(digests) == 6
    assert hashed.digest("code", "123456") in digests


def test_a_digest_takes_any_text() -> None:
    assert len(KeyedHash(KEY).digest("code", "пароль \ud800")) == 43


@pytest.mark.parametrize("size", [0, 1, 16, 32, 33, 100])
def test_a_number_has_its_size_and_is_the_same_every_time(size: int) -> None:
    number = KeyedHash(KEY).number("salt", "nobody", size)
    assert len(number) == size
    assert number == KeyedHash(KEY).number("salt", "nobody", size)


def test_numbers_differ_by_key_purpose_and_value_and_do_not_repeat_inside() -> None:
    hashed = KeyedHash(KEY)
    number = hashed.number("salt", "nobody", 64)
    assert number[:32] != number[32:]
    assert number != hashed.number("salt", "somebody", 64)
    assert number != hashed.number("user id", "nobody", 64)
    assert number != KeyedHash(NEXT_KEY).number("salt", "nobody", 64)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("", "", True),
        ("secret", "secret", True),
        ("secret", "Secret", False),
        ("secret", "secret ", False),
        ("größe", "größe", True),
        ("größe", "grosse", False),
        ("\ud800", "\ud800", True),
        ("\ud800", "x", False),
    ],
)
def test_same(a: str, b: str, equal: bool) -> None:
    assert seal.same(a, b) is equal
