"""ListUsers at the door: filter, pages, attributes, and its refusals."""

from typing import Any

import pytest

from app.env import Env
from app.models import Pool
from tests import build
from tests.api.conftest import Api


@pytest.fixture
def people(env: Env, pool: Pool) -> Pool:
    build.a_user(env, pool, "alice", email="Alice@example.com", given_name="Alice", phone_number="+4930111")
    build.a_user(env, pool, "bob", email="bob@example.com", status="UNCONFIRMED")
    build.a_user(env, pool, "carl", email=None, given_name="Ali")
    return pool


def usernames(reply: dict[str, Any]) -> list[str]:
    return sorted(user["Username"] for user in reply["Users"])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["alice", "bob", "carl"]),
        ({"Filter": ""}, ["alice", "bob", "carl"]),
        ({"Filter": 'email = "ALICE@example.com"'}, ["alice"]),
        ({"Filter": 'given_name^="ali"'}, ["alice", "carl"]),
        ({"Filter": 'cognito:user_status = "unconfirmed"'}, ["bob"]),
        ({"Filter": 'status = "Disabled"'}, []),
        ({"Filter": 'username = "nobody"'}, []),
    ],
)
def test_whom_a_filter_finds(api: Api, people: Pool, asked: dict[str, Any], found: list[str]) -> None:
    reply = api("ListUsers", UserPoolId=people.id, **asked)
    assert usernames(reply) == found
    assert reply.keys() == {"Users"}, "the last page has no token"


def test_a_user_is_told_whole(api: Api, people: Pool) -> None:
    [user] = api("ListUsers", UserPoolId=people.id, Filter='username = "bob"')["Users"]
    assert user == {
        "Username": "bob",
        "Attributes": [
            {"Name": "sub", "Value": user["Attributes"][0]["Value"]},
            {"Name": "email", "Value": "bob@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ],
        "UserCreateDate": 1772366400.0,
        "UserLastModifiedDate": 1772366400.0,
        "Enabled": True,
        "UserStatus": "UNCONFIRMED",
    }


def test_pages_follow_each_other_by_their_token(api: Api, people: Pool) -> None:
    first = api("ListUsers", UserPoolId=people.id, Filter='given_name ^= "a"', Limit=1)
    second = api(
        "ListUsers", UserPoolId=people.id, Filter='given_name ^= "a"', Limit=1, PaginationToken=first["PaginationToken"]
    )
    assert usernames(first) + usernames(second) == ["carl", "alice"], "by what is searched: Ali comes before Alice"
    assert "PaginationToken" not in second


def test_a_limit_of_zero_is_none(api: Api, people: Pool) -> None:
    assert len(api("ListUsers", UserPoolId=people.id, Limit=0)["Users"]) == 3


def test_only_the_attributes_that_are_asked_for(api: Api, people: Pool) -> None:
    """A user who has none of them is there all the same, with an empty list."""
    reply = api("ListUsers", UserPoolId=people.id, AttributesToGet=["phone_number", "given_name"])
    assert {user["Username"]: {one["Name"] for one in user["Attributes"]} for user in reply["Users"]} == {
        "alice": {"phone_number", "given_name"},
        "bob": set(),
        "carl": {"given_name"},
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"Filter": "email = x"}, "Error while parsing filter."),
        ({"Filter": 'email = "x" and name = "y"'}, "Error while parsing filter."),
        ({"Filter": 'custom:x = "y"'}, "Invalid search attribute: custom:x"),
        ({"Filter": 'nickname = "y"'}, "Invalid search attribute: nickname"),
        ({"PaginationToken": "nonsense"}, "Invalid pagination token."),
        ({"AttributesToGet": ["email", "custom:x"]}, "One or more requested attributes do not exist."),
        (
            {"Limit": 61},
            "1 validation error detected: Value '61' at 'limit' failed to satisfy constraint: "
            "Member must have value less than or equal to 60",
        ),
        (
            {"Filter": 'name = "' + "x" * 250 + '"'},
            "1 validation error detected: Value 'name = \""
            + "x" * 250
            + "\"' at 'filter' failed to satisfy constraint: "
            "Member must have length less than or equal to 256",
        ),
    ],
)
def test_what_cannot_be_asked(api: Api, people: Pool, given: dict[str, Any], sentence: str) -> None:
    assert api.refused("ListUsers", UserPoolId=people.id, **given) == ("InvalidParameter", sentence)


def test_half_a_character_cannot_be_asked_for(api: Api, people: Pool) -> None:
    """JSON can write a lone surrogate; no database can be asked for one."""
    kind, _ = api.refused("ListUsers", UserPoolId=people.id, Filter='name = "\ud800"')
    assert kind == "Serialization"


def test_a_token_cannot_be_taken_to_another_filter_or_pool(api: Api, env: Env, people: Pool) -> None:
    other = build.a_pool(env, algorithm="ES256")
    token = api("ListUsers", UserPoolId=people.id, Filter='email ^= "b"', Limit=1)
    assert "PaginationToken" not in token
    token = api("ListUsers", UserPoolId=people.id, Limit=1)["PaginationToken"]
    for wrong in ({"UserPoolId": people.id, "Filter": 'email ^= "b"'}, {"UserPoolId": other.id}):
        assert api.refused("ListUsers", **wrong, PaginationToken=token) == (
            "InvalidParameter",
            "Invalid pagination token.",
        )
