"""AdminCreateUser, AdminGetUser and ListUsers at the door."""

from collections.abc import Callable
from typing import Any

import pytest

from app.env import Env
from app.models import Client, OutboxMessage, Pool
from tests import build
from tests.api.conftest import Api

EMAIL = [{"Name": "email", "Value": "bob@example.com"}, {"Name": "email_verified", "Value": "true"}]
Sent = Callable[..., list[OutboxMessage]]


def test_an_invited_person_chooses_a_password(api: Api, pool: Pool, client: Client, sent: Sent) -> None:
    made = api(
        "AdminCreateUser",
        UserPoolId=pool.id,
        Username="bob",
        UserAttributes=EMAIL,
        DesiredDeliveryMediums=["EMAIL"],
    )["User"]
    assert made == {
        "Username": "bob",
        "Attributes": [{"Name": "sub", "Value": made["Attributes"][0]["Value"]}, *EMAIL],
        "UserCreateDate": 1772366400.0,
        "UserLastModifiedDate": 1772366400.0,
        "Enabled": True,
        "UserStatus": "FORCE_CHANGE_PASSWORD",
    }
    [invitation] = sent("bob@example.com")
    given = {"USERNAME": "bob", "PASSWORD": invitation.code}
    asked = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"


def test_a_user_can_be_made_in_silence(api: Api, pool: Pool, sent: Sent) -> None:
    api("AdminCreateUser", UserPoolId=pool.id, Username="bob", UserAttributes=EMAIL, MessageAction="SUPPRESS")
    assert sent() == []


def test_an_invitation_can_be_sent_again(api: Api, pool: Pool, sent: Sent) -> None:
    given = {"UserPoolId": pool.id, "Username": "bob", "DesiredDeliveryMediums": ["EMAIL"]}
    api("AdminCreateUser", **given, UserAttributes=EMAIL)
    again = api("AdminCreateUser", **given, MessageAction="RESEND")["User"]
    assert again["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    second, first = sent("bob@example.com")
    assert second.code != first.code


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"Username": "alice"}, ("UsernameExists", "User account already exists")),
        (
            {"Username": "bob", "UserAttributes": [{"Name": "email_verified", "Value": "true"}]},
            ("InvalidParameter", "Email is required to verify/un-verify an email"),
        ),
        (
            {"Username": "bob", "TemporaryPassword": "short1"},
            ("InvalidPassword", "Password did not conform with policy: Password not long enough"),
        ),
        (
            {"Username": "bob", "UserAttributes": [{"Name": "email", "Value": "alice@example.com"}, EMAIL[1]]},
            ("AliasExists", "An account with the given email already exists."),
        ),
        ({"Username": "nobody", "MessageAction": "RESEND"}, ("UserNotFound", "User does not exist.")),
        (
            {"Username": "alice", "MessageAction": "RESEND"},
            ("UnsupportedUserState", "Resend not possible. alice status is not FORCE_CHANGE_PASSWORD"),
        ),
    ],
)
def test_what_an_administrator_may_not_make(api: Api, env: Env, pool: Pool, given: Any, refusal: Any) -> None:
    build.a_user(env, pool)
    assert api.refused("AdminCreateUser", UserPoolId=pool.id, **given) == refusal


def test_a_user_is_found_by_every_name_he_has(api: Api, env: Env, pool: Pool) -> None:
    alice = build.a_user(env, pool, name="Alice")
    for name in ("alice", "ALICE", "alice@example.com", alice.sub):
        found = api("AdminGetUser", UserPoolId=pool.id, Username=name)
        assert found["Username"] == "alice"
        assert found["UserAttributes"] == [
            {"Name": "sub", "Value": alice.sub},
            {"Name": "email", "Value": "alice@example.com"},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "name", "Value": "Alice"},
        ]
    assert api.refused("AdminGetUser", UserPoolId=pool.id, Username="nobody")[0] == "UserNotFound"


def test_a_user_of_another_pool_is_not_found(api: Api, env: Env, pool: Pool) -> None:
    other = build.a_pool(env, algorithm="ES256")
    alice = build.a_user(env, other)
    for name in ("alice", alice.sub):
        assert api.refused("AdminGetUser", UserPoolId=pool.id, Username=name)[0] == "UserNotFound"


def test_users_are_listed_a_page_at_a_time(api: Api, env: Env, pool: Pool) -> None:
    for name in ("a", "b", "c"):
        build.a_user(env, pool, name, email=None)
    first = api("ListUsers", UserPoolId=pool.id, Limit=2)
    second = api("ListUsers", UserPoolId=pool.id, Limit=2, PaginationToken=first["PaginationToken"])
    assert "PaginationToken" not in second
    assert {user["Username"] for user in first["Users"] + second["Users"]} == {"a", "b", "c"}
    assert len(api("ListUsers", UserPoolId=pool.id, Limit=0)["Users"]) == 3


def test_only_the_attributes_that_were_asked_for_are_listed(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool)
    [alice] = api("ListUsers", UserPoolId=pool.id, AttributesToGet=["email", "birthdate"])["Users"]
    assert alice["Attributes"] == [{"Name": "email", "Value": "alice@example.com"}]


def test_a_page_token_is_of_one_pool(api: Api, env: Env, pool: Pool) -> None:
    for name in ("a", "b"):
        build.a_user(env, pool, name, email=None)
    token = api("ListUsers", UserPoolId=pool.id, Limit=1)["PaginationToken"]
    other = build.a_pool(env, algorithm="ES256")
    for given in ({"UserPoolId": other.id, "PaginationToken": token}, {"UserPoolId": pool.id, "PaginationToken": "x"}):
        assert api.refused("ListUsers", **given) == ("InvalidParameter", "Invalid pagination token.")


def test_a_filter_is_refused_and_not_ignored(api: Api, env: Env, pool: Pool) -> None:
    """Whoever asks for one user must not be answered with all of them."""
    build.a_user(env, pool)
    assert api.refused("ListUsers", UserPoolId=pool.id, Filter='email = "x"') == (
        "InvalidParameter",
        "Filter is not available in this version of Cognate; leave it out.",
    )
    assert len(api("ListUsers", UserPoolId=pool.id, Filter="")["Users"]) == 1
