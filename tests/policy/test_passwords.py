"""Which passwords a pool allows; the first reason is given, length first (reference: 2.5)."""

import pytest

from app import errors
from app.models import Pool
from app.policy import passwords
from app.pools.pool_settings import for_new_pool


def pool(**policy: object) -> Pool:
    settings = for_new_pool({"policies": {"password_policy": policy}} if policy else {})
    return Pool(id="us-east-1_abcdefghi", name="p", algorithm="RS256", settings=settings)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("Aa1!", "Password not long enough"),
        ("aaaa1111!", "Password must have uppercase characters"),
        ("AAAA1111!", "Password must have lowercase characters"),
        ("AAAAaaaa!", "Password must have numeric characters"),
        ("AAAAaaa11", "Password must have symbol characters"),
        (" AAaa11!!", "Password must not begin or end with a space"),
        ("\tAAaa11!!", "Password must not begin or end with a space"),
        ("AAaa11!!\n", "Password must not begin or end with a space"),
        ("AAAAaaa1§", "Password must have symbol characters"),
        ("AAAAaaa1€", "Password must have symbol characters"),
        ("AAAAaaa1\u00b2!"[:8], "Password must have symbol characters"),
        ("AAAAaaa\u0663!", "Password must have numeric characters"),
        ("a", "Password not long enough"),
        ("Aa1!" * 64 + "x", "Password too long"),
        ("ÄÖÜäöü11!", "Password must have uppercase characters"),
    ],
)
def test_a_pool_without_a_policy_demands_everything(password: str, reason: str) -> None:
    with pytest.raises(errors.InvalidPassword) as refused:
        passwords.check(pool(), password)
    assert refused.value.message == f"Password did not conform with policy: {reason}"
    assert refused.value.field == "password"


@pytest.mark.parametrize("password", ["AAaa11!!", "Correct horse 7", "AAaa11!! 漢字", "Aa1!" * 64])
def test_what_it_allows(password: str) -> None:
    passwords.check(pool(), password)


def test_a_policy_that_is_given_has_what_it_names() -> None:
    passwords.check(pool(minimum_length=8), "aaaaaaaa")
    with pytest.raises(errors.InvalidPassword):
        passwords.check(pool(minimum_length=8, require_numbers=True), "aaaaaaaa")


def test_length_is_counted_in_code_points_after_composition() -> None:
    passwords.check(pool(minimum_length=8), "👍" * 8)
    with pytest.raises(errors.InvalidPassword):
        passwords.check(pool(minimum_length=8), "e\u0301" * 7)  # seven letters, whatever their encoding


@pytest.mark.parametrize("symbol", "^ $ * . [ ] { } ( ) ? \" ! @ # % & / \\ , > < ' : ; | _ ~ ` = + -".split() + [" "])
def test_every_symbol_of_the_list_is_one(symbol: str) -> None:
    passwords.check(pool(), f"AAaa{symbol}1111")


def test_nothing_else_is_a_symbol() -> None:
    listed = set("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-")
    assert passwords.SYMBOLS == listed
