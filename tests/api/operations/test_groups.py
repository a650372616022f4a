"""Groups at the door."""

from typing import Any

import pytest

from app.env import Env
from app.models import Client, Pool
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import payload
from tests.conftest import START, Clock

ROLE = "arn:aws:iam::123456789012:role/Staff"
NOT_FOUND = ("ResourceNotFound", "Group not found.")


def named(api: Api, pool: Pool, name: str = "staff", **other: Any) -> dict[str, Any]:
    return api("CreateGroup", UserPoolId=pool.id, GroupName=name, **other)["Group"]


def test_a_group_is_made_shown_changed_and_removed(api: Api, pool: Pool, clock: Clock) -> None:
    whole = {"Description": "Who works here", "RoleArn": ROLE, "Precedence": 0}
    made = named(api, pool, **whole)
    begun = START.timestamp()
    dates = {"CreationDate": begun, "LastModifiedDate": begun}
    assert made == {"GroupName": "staff", "UserPoolId": pool.id, **whole, **dates}
    this = {"UserPoolId": pool.id, "GroupName": "staff"}
    assert api("GetGroup", **this) == {"Group": made}
    clock.forward(minutes=1)
    changed = api("UpdateGroup", **this, Precedence=4)
    assert changed == {"Group": {**made, "Precedence": 4, "LastModifiedDate": begun + 60}}
    assert api("GetGroup", **this) == changed
    assert api("DeleteGroup", **this) == {}
    assert api.refused("GetGroup", **this) == NOT_FOUND


def test_what_a_group_does_not_have_is_not_said(api: Api, pool: Pool) -> None:
    assert set(named(api, pool)) == {"GroupName", "UserPoolId", "CreationDate", "LastModifiedDate"}


def test_a_name_is_taken_once(api: Api, pool: Pool) -> None:
    named(api, pool)
    said = api.refused("CreateGroup", UserPoolId=pool.id, GroupName="staff")
    assert said == ("GroupExists", "A group with the name already exists.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"GroupName": "with space"},
        {"GroupName": "nul\0"},
        {"GroupName": "x" * 129},
        {"GroupName": "a", "Precedence": -1},
        {"GroupName": "a", "Description": "x" * 2049},
        {"GroupName": "a", "RoleArn": "role/Staff-of-this-company"},
    ],
)
def test_what_the_model_does_not_allow(api: Api, pool: Pool, wrong: dict[str, Any]) -> None:
    assert api.refused("CreateGroup", UserPoolId=pool.id, **wrong)[0] == "InvalidParameter"


@pytest.mark.parametrize("precedence", [2147483648, 10**30])
def test_a_precedence_that_no_column_holds_is_refused(api: Api, pool: Pool, precedence: int) -> None:
    answer = api.answer("CreateGroup", UserPoolId=pool.id, GroupName="a", Precedence=precedence)
    assert answer.status_code == 400


def test_a_member_comes_and_goes(api: Api, env: Env, pool: Pool) -> None:
    user = build.a_user(env, pool)
    group = named(api, pool)
    this = {"UserPoolId": pool.id, "GroupName": "staff"}
    for _ in range(2):
        assert api("AdminAddUserToGroup", **this, Username="alice@example.com") == {}
    assert api("AdminListGroupsForUser", UserPoolId=pool.id, Username=user.sub) == {"Groups": [group]}
    listed = api("ListUsersInGroup", **this)
    assert listed == {"Users": api("ListUsers", UserPoolId=pool.id)["Users"]}
    assert listed["Users"][0]["Username"] == "alice"
    for _ in range(2):
        assert api("AdminRemoveUserFromGroup", **this, Username="alice") == {}
    assert api("ListUsersInGroup", **this) == {"Users": []}
    assert api("AdminListGroupsForUser", UserPoolId=pool.id, Username="alice") == {"Groups": []}


def test_unknown_people_and_groups(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool)
    named(api, pool)
    for operation in ("AdminAddUserToGroup", "AdminRemoveUserFromGroup"):
        said = api.refused(operation, UserPoolId=pool.id, GroupName="staff", Username="nobody")
        assert said == ("UserNotFound", "User does not exist.")
        assert api.refused(operation, UserPoolId=pool.id, GroupName="none", Username="alice") == NOT_FOUND
    said = api.refused("AdminListGroupsForUser", UserPoolId=pool.id, Username="nobody")
    assert said == ("UserNotFound", "User does not exist.")
    for operation in ("UpdateGroup", "DeleteGroup", "ListUsersInGroup"):
        assert api.refused(operation, UserPoolId=pool.id, GroupName="none") == NOT_FOUND
    elsewhere = api.refused("ListGroups", UserPoolId="us-east-1_AAAAAAAAA")
    assert elsewhere == ("ResourceNotFound", "User pool us-east-1_AAAAAAAAA does not exist.")


def test_a_pool_has_groups_of_its_own(api: Api, env: Env, pool: Pool) -> None:
    other = build.a_pool(env, algorithm="ES256")
    named(api, other)
    build.a_user(env, pool)
    assert api.refused("GetGroup", UserPoolId=pool.id, GroupName="staff") == NOT_FOUND
    assert api("ListGroups", UserPoolId=pool.id) == {"Groups": []}
    said = api.refused("AdminAddUserToGroup", UserPoolId=other.id, GroupName="staff", Username="alice")
    assert said[0] == "UserNotFound"


def test_lists_come_in_pages(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool)
    for name in ("a", "b", "c"):
        named(api, pool, name)
        build.a_user(env, pool, f"user-{name}", email=None)
        api("AdminAddUserToGroup", UserPoolId=pool.id, GroupName=name, Username="alice")
        api("AdminAddUserToGroup", UserPoolId=pool.id, GroupName="a", Username=f"user-{name}")
    for operation, key, about, sizes in (
        ("ListGroups", "Groups", {}, [2, 1]),
        ("AdminListGroupsForUser", "Groups", {"Username": "alice"}, [2, 1]),
        ("ListUsersInGroup", "Users", {"GroupName": "a"}, [2, 2]),
    ):
        first = api(operation, UserPoolId=pool.id, **about, Limit=2)
        second = api(operation, UserPoolId=pool.id, **about, Limit=2, NextToken=first["NextToken"])
        assert [len(first[key]), len(second[key])] == sizes
        assert "NextToken" not in second
        everything = api(operation, UserPoolId=pool.id, **about, Limit=0)
        assert everything == {key: first[key] + second[key]}
        assert api.refused(operation, UserPoolId=pool.id, **about, NextToken="made-up")[0] == "InvalidParameter"
        assert api.refused(operation, UserPoolId=pool.id, **about, Limit=61)[0] == "InvalidParameter"


def test_groups_are_in_the_tokens_of_a_sign_in_and_of_its_refresh(
    api: Api, env: Env, pool: Pool, client: Client
) -> None:
    build.a_user(env, pool)
    named(api, pool, RoleArn=ROLE, Precedence=1)
    api("AdminAddUserToGroup", UserPoolId=pool.id, GroupName="staff", Username="alice")
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    begun = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    tokens = begun["AuthenticationResult"]
    assert payload(tokens["AccessToken"])["cognito:groups"] == ["staff"]
    identity = payload(tokens["IdToken"])
    assert (identity["cognito:groups"], identity["cognito:roles"]) == (["staff"], [ROLE])
    assert identity["cognito:preferred_role"] == ROLE
    api("DeleteGroup", UserPoolId=pool.id, GroupName="staff")
    given = {"REFRESH_TOKEN": tokens["RefreshToken"]}
    again = api("InitiateAuth", ClientId=client.id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=given)
    assert "cognito:groups" not in payload(again["AuthenticationResult"]["AccessToken"])
