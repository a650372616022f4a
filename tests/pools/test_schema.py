"""Attribute schemas and values that nobody thought of: what is accepted is described as it was meant, and holds.

The rules are written down here a second time, in another way, so that the two can contradict each other.
"""

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import errors
from app.accounts import attributes as writing
from app.models import Pool, User
from app.policy import attributes as policy
from app.pools import pool_settings, schema
from tests.conftest import START

QUICK = settings(max_examples=150, deadline=None, derandomize=True)
STANDARD = policy.standard_attributes()
BOUNDS = st.one_of(
    st.none(),
    st.integers(-5, 40).map(str),
    st.sampled_from(["", "2048", "2049", "-1", "x", "1.5", "007", "9" * 18, "9" * 19, "-" + "9" * 18, " 3", "٣"]),
)
NAMES = st.one_of(
    st.sampled_from(sorted(STANDARD)),
    st.sampled_from(["tier", "Tier", "a", "n" * 20, "n" * 21, "custom:tier", "größe"]),
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
)


def attribute(name: str, kind: str | None, low: str | None, high: str | None, **flags: bool | None) -> dict[str, Any]:
    """A member of Schema, as the door passes it on; what is None was not given."""
    asked: dict[str, Any] = {"name": name, "attribute_data_type": kind, **flags}
    if kind == "Number":
        asked["number_attribute_constraints"] = {"min_value": low, "max_value": high}
    else:
        asked["string_attribute_constraints"] = {"min_length": low, "max_length": high}
    return {key: value for key, value in asked.items() if value is not None}


ATTRIBUTES = st.builds(
    attribute,
    name=NAMES,
    kind=st.sampled_from(["String", "Number", "DateTime", "Boolean", None]),
    low=BOUNDS,
    high=BOUNDS,
    mutable=st.none() | st.booleans(),
    required=st.none() | st.booleans(),
    developer_only_attribute=st.none() | st.booleans(),
)


def asked_again(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition in the words in which it could have been asked for."""
    developer = definition["name"].startswith(policy.DEVELOPER)
    low, high = ("least", "greatest") if definition["kind"] == "Number" else ("shortest", "longest")
    bounds = [str(definition[key]) if key in definition else None for key in (low, high)]
    return attribute(
        definition["name"].removeprefix(policy.DEVELOPER).removeprefix("custom:"),
        definition["kind"],
        *bounds,
        mutable=definition["mutable"],
        required=definition["required"],
        developer_only_attribute=developer or None,
    )


@QUICK
@given(st.lists(ATTRIBUTES, max_size=4))
def test_a_schema_is_refused_or_becomes_what_it_says(asked: list[dict[str, Any]]) -> None:
    try:
        found = schema.for_new_pool(asked)
    except errors.InvalidParameter as refusal:
        assert refusal.message
        return
    by_name = {one["name"]: one for one in found}
    assert len(by_name) == len(found) and STANDARD.keys() <= by_name.keys()
    assert by_name["sub"] == STANDARD["sub"]
    for one in asked:
        prefix = "" if one["name"] in STANDARD else "dev:custom:" if one.get("developer_only_attribute") else "custom:"
        defined = by_name[prefix + one["name"]]
        assert defined["kind"] == one.get("attribute_data_type", defined["kind"])
        assert prefix == "" or not defined["required"]
        low, high = (defined.get(key) for key in ("least", "greatest"))
        assert low is None or high is None or low <= high
    # And it can be asked for again: that is how a pool is copied.
    renamed = [asked_again(one) for one in found if one["name"] not in STANDARD or one != STANDARD[one["name"]]]
    if not any(one["name"].startswith("custom:custom:") for one in found):
        assert {one["name"]: one for one in schema.for_new_pool(renamed)} == by_name


@QUICK
@given(st.lists(ATTRIBUTES, min_size=1, max_size=3), st.lists(ATTRIBUTES, min_size=1, max_size=3))
def test_what_is_added_later_takes_no_name_and_changes_nothing(
    first: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    try:
        present = schema.for_new_pool(first)
        found = schema.with_custom(present, later)
    except errors.InvalidParameter:
        return
    assert found[: len(present)] == present
    plain = [one["name"].removeprefix(policy.DEVELOPER) for one in found]
    assert len(set(plain)) == len(plain) == len(present) + len(later)


# -- values ----------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.text(max_size=12),
    st.integers(-100, 100).map(str),
    st.sampled_from(["True", "false", "TRUE", "yes", "", "+49151", "+", "a@b", "a@b@c", "1990-12-31", "1990-13-01"]),
    st.sampled_from(["2026-11-21T08:00:00Z", "1700000000", "1e9", "0x10", "１２", "\x00", "x" * 2048, "x" * 2049]),
)
KINDS = [
    {"name": "short", "attribute_data_type": "String", "string_attribute_constraints": {"max_length": "4"}},
    {"name": "long", "attribute_data_type": "String", "string_attribute_constraints": {"min_length": "3"}},
    {
        "name": "age",
        "attribute_data_type": "Number",
        "number_attribute_constraints": {"min_value": "-7", "max_value": "70"},
    },
    {"name": "vip", "attribute_data_type": "Boolean"},
]
POOL = Pool(id="us-east-1_abcdefghi", settings=pool_settings.for_new_pool({"schema": KINDS}), generation=0)
RULES = {
    "custom:short": lambda value: len(value) <= 4,
    "custom:long": lambda value: 3 <= len(value) <= 2048,
    "custom:age": lambda value: bool(re.fullmatch("-?[0-9]{1,18}", value)) and -7 <= int(value) <= 70,
    "custom:vip": lambda value: value.lower() in ("true", "false"),
    "birthdate": lambda value: bool(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value)) and is_date(value),
    "nickname": lambda value: len(value) <= 2048,
    "phone_number": lambda value: bool(re.fullmatch(r"\+[0-9]{1,15}", value)),
}


def is_date(value: str) -> bool:
    year, month, day = map(int, value.split("-"))
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


@QUICK
@given(st.sampled_from(sorted(RULES)), VALUES)
def test_a_value_is_taken_where_its_attributes_rules_say_so(name: str, value: str) -> None:
    fits = not value or ("\x00" not in value and RULES[name](value))
    if fits:
        policy.check_values(POOL, {name: value})
    else:
        with pytest.raises(errors.InvalidParameter) as refused:
            policy.check_values(POOL, {name: value})
        assert refused.value.field == name


WRITTEN = st.dictionaries(
    st.sampled_from(["email", "name", "given_name", "nickname", "custom:short", "preferred_username", "phone_number"]),
    st.sampled_from(["", "a@example.com", "Anna", "ÄÖÜ", "+49151", "straße"]),
    max_size=5,
)


@QUICK
@given(st.lists(WRITTEN, min_size=1, max_size=4))
def test_what_was_written_last_is_what_is_read(writes: list[dict[str, str]]) -> None:
    user = User(sub="s", attributes={}, created_at=START, modified_at=START)
    expected: dict[str, str] = {}
    for values in writes:
        writing.write(user, values)
        writing.write(user, values)  # twice is once
        expected.update(values)
    kept = {name: value for name, value in expected.items() if value}
    assert user.all_attributes == {"sub": "s", **kept}
    for name in ("email", "name", "given_name", "preferred_username"):
        key = getattr(user, f"{name}_key")
        assert key == (policy.search_key(kept[name]) if name in kept else None)
