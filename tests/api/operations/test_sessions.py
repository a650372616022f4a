"""Sessions at the door: listed and ended by their user and by administrators."""

from typing import Any

import pytest

from app.accounts import sessions
from app.env import Env
from app.models import Client, Pool, User
from app.pools import find
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import tokens_of
from tests.conftest import Clock

MADE_UP = "tkn" + "0" * 25


@pytest.fixture
def tracked(api: Api, pool: Pool) -> Pool:
    which = {"UserPoolId": pool.id, "UserSessionTracking": "ENABLED"}
    api("SetUserPoolSessionConfiguration", **which, TokenSession={"MaxPerUser": 20})
    return pool


@pytest.fixture
def client(env: Env, tracked: Pool) -> Client:
    return find.client(env, build.a_client(env, tracked).id)


@pytest.fixture
def alice(env: Env, tracked: Pool) -> User:
    return build.a_user(env, tracked)


def sign_in(api: Api, client: Client) -> dict[str, Any]:
    how = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    given = {"ClientId": client.id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": how}
    result: dict[str, Any] = api("InitiateAuth", **given)["AuthenticationResult"]
    return result


def test_a_user_sees_his_sessions_and_which_one_he_is_in(api: Api, client: Client, alice: User, clock: Clock) -> None:
    mine = sign_in(api, client)
    clock.forward(minutes=1)
    sign_in(api, client)
    newest, oldest = api("ListUserSessions", AccessToken=mine["AccessToken"])["Sessions"]
    assert (newest["IsCurrentSession"], oldest["IsCurrentSession"]) == (False, True)
    assert oldest == {
        "SessionId": oldest["SessionId"],
        "SessionType": "TOKEN",
        "ClientId": client.id,
        "CreateDate": clock.moment.timestamp() - 60,
        "LastActiveDate": clock.moment.timestamp() - 60,
        "DeviceType": "Werkzeug",
        "LastIPAddress": "127.0.0.1",
        "IsCurrentSession": True,
    }
    which = {"UserPoolId": client.pool_id, "Username": "alice@example.com"}
    seen = api("AdminListUserSessions", **which)["Sessions"]
    assert seen == [newest, {**oldest, "IsCurrentSession": False}]


def test_a_user_ends_another_session_of_his_and_not_the_one_he_is_in(api: Api, client: Client, alice: User) -> None:
    mine, lost = sign_in(api, client), sign_in(api, client)
    token = mine["AccessToken"]
    found = api("ListUserSessions", AccessToken=token)["Sessions"]
    by_current = {one["IsCurrentSession"]: one["SessionId"] for one in found}
    said = api.refused("RevokeUserSession", AccessToken=token, SessionId=by_current[True])
    assert said == ("InvalidParameter", "The current session cannot be revoked.")
    assert api("RevokeUserSession", AccessToken=token, SessionId=by_current[False]) == {}
    gone = ("NotAuthorized", "Access Token has been revoked")
    assert api.refused("GetUser", AccessToken=lost["AccessToken"]) == gone
    assert api("GetUser", AccessToken=token)
    again = {"AccessToken": token, "SessionId": by_current[False]}
    assert api.refused("RevokeUserSession", **again) == ("ResourceNotFound", "Session does not exist.")


def test_an_administrator_ends_any_session_of_the_user_he_names(
    api: Api, env: Env, client: Client, alice: User
) -> None:
    build.a_user(env, client.pool, "bob", email=None)
    tokens = sign_in(api, client)
    which = {"UserPoolId": client.pool_id, "Username": "alice"}
    (one,) = api("AdminListUserSessions", **which)["Sessions"]
    named = {"SessionId": one["SessionId"], "RevokeAssociatedSessions": "LINKED"}
    assert api.refused("AdminRevokeUserSession", **{**which, "Username": "bob"}, **named)[0] == "ResourceNotFound"
    assert api("AdminRevokeUserSession", **which, **named) == {}
    assert api("AdminListUserSessions", **which)["Sessions"] == []
    assert api.refused("GetUser", AccessToken=tokens["AccessToken"])[0] == "NotAuthorized"
    for operation, more in (("AdminListUserSessions", {}), ("AdminRevokeUserSession", named)):
        assert api.refused(operation, UserPoolId=client.pool_id, Username="nobody", **more)[0] == "UserNotFound"


@pytest.mark.parametrize("name", ["tkn" + "0" * 24, "abc" + "0" * 25, "tkn" + "A" * 25, "tkn" + "٣" * 25, ""])
def test_what_is_no_name_of_a_session_is_refused_by_its_shape(
    api: Api, env: Env, client: Client, alice: User, name: str
) -> None:
    token = tokens_of(env, client, alice).access
    assert api.refused("RevokeUserSession", AccessToken=token, SessionId=name)[0] == "InvalidParameter"


def test_all_is_on_one_page(api: Api, env: Env, client: Client, alice: User) -> None:
    token = tokens_of(env, client, alice).access
    assert "NextToken" not in api("ListUserSessions", AccessToken=token)
    for operation, who in (
        ("ListUserSessions", {"AccessToken": token}),
        ("AdminListUserSessions", {"UserPoolId": client.pool_id, "Username": "alice"}),
    ):
        said = api.refused(operation, **who, NextToken="x")
        assert said == ("InvalidParameter", "Invalid pagination token.")


def test_a_pool_that_does_not_track_says_so(api: Api, env: Env, pool: Pool) -> None:
    client, alice = build.a_client(env, pool), build.a_user(env, pool)
    mine = {"AccessToken": tokens_of(env, client, alice).access}
    which = {"UserPoolId": pool.id, "Username": "alice"}
    off = ("InvalidParameter", "Session tracking is not enabled for the user pool.")
    assert api.refused("ListUserSessions", **mine) == off
    assert api.refused("AdminListUserSessions", **which) == off
    assert api.refused("RevokeUserSession", **mine, SessionId=MADE_UP) == off
    assert api.refused("AdminRevokeUserSession", **which, SessionId=MADE_UP) == off


def test_a_session_that_is_ended_by_its_token_is_no_longer_listed(
    api: Api, env: Env, client: Client, alice: User
) -> None:
    tokens = sign_in(api, client)
    api("RevokeToken", ClientId=client.id, Token=tokens["RefreshToken"], RevokeAssociatedSessions="LINKED")
    assert sessions.listed(env, client.pool, alice) == []
