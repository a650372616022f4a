"""Names and attributes: look-alikes are one name, and values have the form that their attribute says."""

from typing import Any

import pytest

from app import errors
from app.models import Pool
from app.policy import attributes as policy
from app.pools.user_pools import with_defaults


def pool(**settings: Any) -> Pool:
    return Pool(id="us-east-1_abcdefghi", name="p", algorithm="RS256", settings=with_defaults(settings))


INSENSITIVE = {"username_configuration": {"case_sensitive": False}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("José", "Jose\u0301", True),  # composed and decomposed
        ("ﬁnn", "finn", True),  # a ligature
        ("ＡＬＩＣＥ", "alice", True),  # full width
        ("STRASSE", "straße", True),
        ("alice", "alicе", False),  # a Cyrillic е is another letter: nothing can be told from its look
        ("alice", "alice2", False),
    ],
)
def test_names_that_are_written_alike_are_one(one: str, other: str, same: bool) -> None:
    insensitive = pool(**INSENSITIVE)
    assert (policy.name_key(insensitive, one) == policy.name_key(insensitive, other)) is same


def test_letter_case_counts_where_the_pool_says_so() -> None:
    assert policy.name_key(pool(), "Alice") != policy.name_key(pool(), "alice")


@pytest.mark.parametrize(
    ("settings", "username", "sentence"),
    [
        ({"alias_attributes": ["email"]}, "a@example.com", "Username cannot be of email format"),
        ({"alias_attributes": ["phone_number"]}, "+4420794600", "Username cannot be of phone number format"),
        ({"username_attributes": ["email"]}, "alice", "Username should be an email."),
        ({"username_attributes": ["phone_number"]}, "a@example.com", "Username should be a phone number."),
        ({"username_attributes": ["email", "phone_number"]}, "x", "either an email or a phone number"),
    ],
)
def test_a_username_of_the_wrong_form_is_refused(settings: dict[str, Any], username: str, sentence: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=sentence):
        policy.check_username(pool(**settings), username)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("email", "no-at", "Invalid email address format."),
        ("email", "a@b@c", "Invalid email address format."),
        ("email", "a b@c.d", "Invalid email address format."),
        ("email", "a@b.c\nBcc: x@y.z", "Invalid email address format."),
        ("email", "a@" + "b" * 400, "Invalid email address format."),
        ("phone_number", "0123", "Invalid phone number format."),
        ("phone_number", "+1234567890123456", "Invalid phone number format."),
        ("phone_number", "+12345\n", "Invalid phone number format."),
        ("birthdate", "2020-02-30", "The date must be YYYY-MM-DD"),
        ("birthdate", "2020-2-3", "at least 10"),
        ("updated_at", "now", "whole number"),
        ("updated_at", "-1", "no less than 0"),
        ("email_verified", "yes", "true or false"),
        ("custom:nope", "x", "could not be determined"),
        ("custom:tier", "toolong", "no longer than 4"),
        ("name", "x" * 2049, "no longer than 2048"),
    ],
)
def test_values_have_the_form_that_their_attribute_says(name: str, value: str, sentence: str) -> None:
    schema = [{"name": "tier", "attribute_data_type": "String", "string_attribute_constraints": {"max_length": "4"}}]
    with pytest.raises(errors.InvalidParameter, match=sentence) as refused:
        policy.check_values(pool(schema=schema), {name: value})
    assert refused.value.field == name


def test_a_client_may_not_write_what_only_the_server_knows() -> None:
    for name in ("sub", "email_verified", "phone_number_verified", "identities"):
        with pytest.raises(errors.NotAuthorized, match="unauthorized attribute"):
            policy.check_writable({name: "true"}, None)
    with pytest.raises(errors.NotAuthorized):
        policy.check_writable({"email": "a@b.c"}, frozenset({"name"}))
    policy.check_writable({"email": "a@b.c"}, None)


def test_an_address_that_is_not_there_cannot_be_verified() -> None:
    with pytest.raises(errors.InvalidParameter, match="Email is required to verify/un-verify an email"):
        policy.check_verified_flags({"email_verified": "true"})
