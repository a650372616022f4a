"""Names and attributes: look-alikes are one name, and values have the form that their attribute says."""

from typing import Any

import pytest

from app import errors
from app.models import Pool
from app.policy import attributes as policy
from app.pools import pool_settings


def pool(**settings: Any) -> Pool:
    return Pool(id="us-east-1_abcdefghi", name="p", algorithm="RS256", settings=pool_settings.for_new_pool(settings))


INSENSITIVE = {"username_configuration": {"case_sensitive": False}}
CUSTOM = [
    {
        "name": "tier",
        "attribute_data_type": "String",
        "string_attribute_constraints": {"min_length": "2", "max_length": "4"},
    },
    {
        "name": "age",
        "attribute_data_type": "Number",
        "number_attribute_constraints": {"min_value": "18", "max_value": "120"},
    },
    {"name": "since", "attribute_data_type": "DateTime"},
    {"name": "vip", "attribute_data_type": "Boolean"},
    {"name": "once", "attribute_data_type": "String", "mutable": False},
    {"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True},
]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("José", "Jose\u0301", True),  # composed and decomposed
        ("ﬁnn", "finn", True),  # a ligature
        ("ＡＬＩＣＥ", "alice", True),  # full width
        ("STRASSE", "straße", True),
        ("alice\ufe0f", "alice", True),  # a variation selector
        ("ali\u3164ce", "alice", True),  # a Hangul filler, which is a letter
        ("admin\u200d\U000e0041", "admin", True),
        ("alice", "alicе", False),  # a Cyrillic е is another letter: nothing can be told from its look
        ("alice", "alice2", False),
    ],
)
def test_names_that_are_written_alike_are_one(one: str, other: str, same: bool) -> None:
    insensitive = pool(**INSENSITIVE)
    assert (policy.name_key(insensitive, one) == policy.name_key(insensitive, other)) is same


def test_what_is_longer_than_any_name_is_not_normalised() -> None:
    """See passwords.normalise: a stranger may ask for any name."""
    text = "E\u0315\u0300" * 40_000
    assert policy.name_key(pool(), text) == text
    assert policy.name_key(pool(), "E\u0315\u0300" * 600) != "E\u0315\u0300" * 600


def test_letter_case_counts_where_the_pool_says_so() -> None:
    assert policy.name_key(pool(), "Alice") != policy.name_key(pool(), "alice")


@pytest.mark.parametrize(
    ("settings", "username", "sentence"),
    [
        ({"alias_attributes": ["email"]}, "a@example.com", "Username cannot be of email format"),
        ({"alias_attributes": ["phone_number"]}, "+4420794600", "Username cannot be of phone number format"),
        # As names are compared, these are the same (NFKC): they would take somebody's address from him.
        ({"alias_attributes": ["email"]}, "a\uff20example.com", "Username cannot be of email format"),
        ({"alias_attributes": ["phone_number"]}, "\uff0b4420794600", "Username cannot be of phone number format"),
        ({}, "\u3164\ufe0f", "Username must have a character that can be seen."),
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
        ("birthdate", "2020-W01-1", "The date must be YYYY-MM-DD"),
        ("birthdate", "٢٠٢٠-01-01", "The date must be YYYY-MM-DD"),
        ("birthdate", "2020-02-300", "no longer than 10"),
        ("custom:nope", "x", "could not be determined"),
        ("tier", "x", "could not be determined"),
        ("custom:tier", "toolong", "no longer than 4"),
        ("custom:tier", "x", "at least 2"),
        ("custom:tier", "a\0b", "null character"),
        ("custom:age", "17", "no less than 18"),
        ("custom:age", "121", "no greater than 120"),
        ("custom:age", "1.5", "whole number"),
        ("custom:age", "१८", "whole number"),
        ("custom:age", " 18", "whole number"),
        ("custom:since", "yesterday", "ISO 8601"),
        ("custom:since", "2020-13-01T00:00:00Z", "ISO 8601"),
        ("custom:since", "-1", "ISO 8601"),
        ("custom:vip", "1", "true or false"),
        ("preferred_username", "x" * 257, "no longer than 256"),
        ("name", "x" * 2049, "no longer than 2048"),
    ],
)
def test_values_have_the_form_that_their_attribute_says(name: str, value: str, sentence: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=sentence) as refused:
        policy.check_values(pool(schema=CUSTOM), {name: value})
    assert refused.value.field == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("birthdate", "2020-02-29"),
        ("custom:tier", "gold"),
        ("custom:age", "18"),
        ("custom:age", "120"),
        ("custom:since", "2020-12-01T08:30:00Z"),
        ("custom:since", "2020-12-01T08:30:00.125+02:00"),
        ("custom:since", "2020-12-01"),
        ("custom:since", "1600000000"),
        ("custom:since", "1600000000.5"),
        ("custom:vip", "TRUE"),
        ("dev:custom:score", "7"),
        ("phone_number", "+123456789012345"),
    ],
)
def test_values_of_every_kind_are_taken(name: str, value: str) -> None:
    policy.check_values(pool(schema=CUSTOM), {name: value})


def test_an_empty_value_has_no_form() -> None:
    """It removes, or is not there: it is neither too short nor no number."""
    everything = pool(schema=CUSTOM)
    policy.check_values(everything, dict.fromkeys(everything.schema, ""))


def test_booleans_have_one_letter_case_where_they_are_kept() -> None:
    given = {"custom:vip": "TRUE", "email_verified": "False", "custom:tier": "GOLD"}
    assert policy.stored(pool(schema=CUSTOM), given) == {
        "custom:vip": "true",
        "email_verified": "false",
        "custom:tier": "GOLD",
    }


# -- changing a user -------------------------------------------------------------------------------------------


def test_what_the_pool_does_not_know_is_called_so_in_other_words_once_the_user_exists() -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        policy.check_values(pool(), {"custom:a": "1", "name": "x", "custom:b": ""}, new=False)
    assert refused.value.message == (
        "Invalid user attributes: user.custom:a: Attribute does not exist in the schema.\n"
        "user.custom:b: Attribute does not exist in the schema.\n"
    )


def test_what_is_written_once_is_not_changed_and_what_is_required_not_removed() -> None:
    schema = [*CUSTOM, {"name": "phone_number", "required": True}]
    for name, value in (("custom:once", "x"), ("custom:once", ""), ("sub", "x")):
        with pytest.raises(errors.InvalidParameter) as refused:
            policy.check_changes(pool(schema=schema), {name: value})
        assert refused.value.message == (f"user.{name}: Attribute cannot be updated. (changing an immutable attribute)")
    with pytest.raises(errors.InvalidParameter) as refused:
        policy.check_changes(pool(schema=schema), {"phone_number": ""})
    assert refused.value.message == "Invalid user attributes: phone_number: Required attribute cannot be deleted."
    policy.check_changes(pool(schema=schema), {"phone_number": "+123", "custom:tier": "", "email": ""})


def test_all_that_is_missing_is_named_in_one_sentence_and_in_the_words_of_cognito() -> None:
    schema = [{"name": name, "required": True} for name in ("phone_number", "name", "email", "birthdate")]
    with pytest.raises(errors.InvalidParameter) as refused:
        policy.check_required(pool(schema=schema), {"name": ""})
    assert refused.value.message == (
        "Attributes did not conform to the schema: name.formatted: The attribute name.formatted is required, "
        "emails: The attribute emails is required, phoneNumbers: The attribute phoneNumbers is required, "
        "birthdate: The attribute is required"
    )
    assert refused.value.field == "name"


def test_a_client_may_not_write_what_only_the_server_knows() -> None:
    for name in ("sub", "email_verified", "phone_number_verified", "identities"):
        with pytest.raises(errors.NotAuthorized, match="unauthorized attribute"):
            policy.check_writable({name: "true"}, None)
    with pytest.raises(errors.NotAuthorized):
        policy.check_writable({"email": "a@b.c"}, frozenset({"name"}))
    policy.check_writable({"email": "a@b.c", "custom:tier": "gold"}, None)


def test_what_is_for_developers_only_is_for_no_client_whatever_its_lists_say() -> None:
    listed = frozenset({"dev:custom:score", "name"})
    for writable in (None, listed):
        with pytest.raises(errors.NotAuthorized, match="unauthorized attribute"):
            policy.check_writable({"dev:custom:score": "7"}, writable)
    values = {"sub": "s", "name": "Alice", "email": "a@b.c", "dev:custom:score": "7", "custom:tier": "gold"}
    assert policy.readable(values, listed) == {"sub": "s", "name": "Alice"}
    assert policy.readable(values, None).keys() == {"sub", "name", "email", "custom:tier"}


def test_whether_an_address_is_verified_is_told_only_to_who_may_read_that() -> None:
    values = {"sub": "s", "email": "a@b.c", "email_verified": "true"}
    assert policy.readable(values, frozenset({"email"})) == {"sub": "s", "email": "a@b.c"}


def test_an_address_that_is_not_there_cannot_be_verified() -> None:
    with pytest.raises(errors.InvalidParameter, match="Email is required to verify/un-verify an email"):
        policy.check_verified_flags({"email_verified": "true"})
    with pytest.raises(errors.InvalidParameter, match="Phone number is required to verify/un-verify a phone number"):
        policy.check_verified_flags({"phone_number_verified": "false", "phone_number": ""}, {"phone_number": "+123"})
    policy.check_verified_flags({"email_verified": "true"}, {"email": "a@b.c"})
