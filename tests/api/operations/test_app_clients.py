"""App clients and their secrets at the door."""

import base64
import hashlib
import hmac
import re
from typing import Any

import pytest

from app.api import registry
from app.env import Env
from app.models import Pool
from tests import build
from tests.api.conftest import Api
from tests.conftest import Clock


def create(api: Api, pool: Pool, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = api("CreateUserPoolClient", UserPoolId=pool.id, ClientName="App", **given)["UserPoolClient"]
    return found


def test_a_client_is_described_with_every_default(api: Api, pool: Pool) -> None:
    made = create(api, pool)
    client_id = made["ClientId"]
    assert re.fullmatch("[a-z0-9]{26}", client_id)
    assert made == {
        "UserPoolId": pool.id,
        "ClientId": client_id,
        "ClientName": "App",
        "ClientType": "REGULAR",
        "CreationDate": 1772366400.0,
        "LastModifiedDate": 1772366400.0,
        "RefreshTokenValidity": 30,
        "AuthSessionValidity": 3,
        "AllowedOAuthFlowsUserPoolClient": False,
        "EnablePropagateAdditionalUserContextData": False,
        "EnableTokenRevocation": True,
        "PreventUserExistenceErrors": "LEGACY",
    }
    assert made == api("DescribeUserPoolClient", UserPoolId=pool.id, ClientId=client_id)["UserPoolClient"]


FIRST: dict[str, Any] = {
    "RefreshTokenValidity": 60,
    "AccessTokenValidity": 10,
    "IdTokenValidity": 20,
    "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "hours"},
    "ReadAttributes": ["email", "name"],
    "WriteAttributes": ["name"],
    "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_AUTH"],
    "SupportedIdentityProviders": ["COGNITO"],
    "CallbackURLs": ["https://app.example.com/cb", "myapp://cb"],
    "LogoutURLs": ["http://localhost:3000/"],
    "DefaultRedirectURI": "https://app.example.com/cb",
    "AllowedOAuthFlows": ["code", "implicit"],
    "AllowedOAuthScopes": ["openid", "email"],
    "AllowedOAuthFlowsUserPoolClient": True,
    "AnalyticsConfiguration": {
        "ApplicationId": "d70b2ba36a8c4dc5a04a0451a31a1e12",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "ExternalId": "x",
        "UserDataShared": True,
    },
    "PreventUserExistenceErrors": "ENABLED",
    "EnableTokenRevocation": False,
    "EnablePropagateAdditionalUserContextData": True,
    "AuthSessionValidity": 15,
    "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 60},
}
SECOND: dict[str, Any] = {
    "RefreshTokenValidity": 1,
    "AccessTokenValidity": 900,
    "IdTokenValidity": 1,
    "TokenValidityUnits": {"AccessToken": "seconds", "IdToken": "hours", "RefreshToken": "days"},
    "ReadAttributes": ["phone_number"],
    "WriteAttributes": ["phone_number"],
    "ExplicitAuthFlows": ["ADMIN_NO_SRP_AUTH"],
    "SupportedIdentityProviders": [],
    "CallbackURLs": ["myapp://cb"],
    "LogoutURLs": [],
    "DefaultRedirectURI": "myapp://cb",
    "AllowedOAuthFlows": ["client_credentials"],
    "AllowedOAuthScopes": ["aws.cognito.signin.user.admin"],
    "AllowedOAuthFlowsUserPoolClient": False,
    "AnalyticsConfiguration": {"UserDataShared": False},
    "PreventUserExistenceErrors": "LEGACY",
    "EnableTokenRevocation": True,
    "EnablePropagateAdditionalUserContextData": False,
    "AuthSessionValidity": 4,
    "RefreshTokenRotation": {"Feature": "DISABLED"},
}


def test_every_member_is_described_back_changed_and_put_back(api: Api, pool: Pool, clock: Clock) -> None:
    """The three lives of a client: made with everything, changed in everything, updated with nothing."""
    of_an_update = registry.OPERATIONS["UpdateUserPoolClient"].input.members.keys()
    assert FIRST.keys() == SECOND.keys() == of_an_update - {"UserPoolId", "ClientId", "ClientName"}
    plain = create(api, pool)

    made = create(api, pool, GenerateSecret=True, **FIRST)
    which = {"UserPoolId": pool.id, "ClientId": made["ClientId"]}
    assert {member: made[member] for member in FIRST} == FIRST
    assert made == api("DescribeUserPoolClient", **which)["UserPoolClient"]

    clock.forward(minutes=1)
    changed = api("UpdateUserPoolClient", ClientName="Other", **which, **SECOND)["UserPoolClient"]
    assert {member: changed[member] for member in SECOND} == SECOND
    assert changed["ClientName"] == "Other"
    assert changed["LastModifiedDate"] == made["LastModifiedDate"] + 60
    assert (changed["ClientSecret"], changed["CreationDate"]) == (made["ClientSecret"], made["CreationDate"])
    assert changed == api("DescribeUserPoolClient", **which)["UserPoolClient"]

    reset = api("UpdateUserPoolClient", **which)["UserPoolClient"]
    assert reset == {
        **plain,
        "ClientId": made["ClientId"],
        "ClientName": "Other",
        "ClientSecret": made["ClientSecret"],
        "LastModifiedDate": changed["LastModifiedDate"],
    }


def test_units_are_told_only_where_they_were_given(api: Api, pool: Pool) -> None:
    made = create(api, pool, AccessTokenValidity=10, TokenValidityUnits={"AccessToken": "minutes"})
    assert made["TokenValidityUnits"] == {"AccessToken": "minutes"}
    assert "IdTokenValidity" not in made


def test_a_client_of_another_pool_is_not_found(api: Api, env: Env, pool: Pool) -> None:
    client_id = create(api, pool)["ClientId"]
    other = build.a_pool(env, algorithm="ES256")
    gone = ("ResourceNotFound", f"User pool client {client_id} does not exist.")
    which = {"UserPoolId": other.id, "ClientId": client_id}
    for operation, given in (
        ("UpdateUserPoolClient", {}),
        ("DeleteUserPoolClient", {}),
        ("AddUserPoolClientSecret", {}),
        ("ListUserPoolClientSecrets", {}),
        ("DeleteUserPoolClientSecret", {"ClientSecretId": "x"}),
        ("GetUserPoolClientSessionConfiguration", {}),
        ("SetUserPoolClientSessionConfiguration", {"SSOSession": {"MaxValidityMinutes": 1}}),
    ):
        assert api.refused(operation, **which, **given) == gone


def test_clients_are_listed_without_their_settings(api: Api, pool: Pool) -> None:
    made = [create(api, pool, GenerateSecret=True)["ClientId"] for _ in range(3)]
    first = api("ListUserPoolClients", UserPoolId=pool.id, MaxResults=2)
    second = api("ListUserPoolClients", UserPoolId=pool.id, MaxResults=2, NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert first["UserPoolClients"] + second["UserPoolClients"] == [
        {"ClientId": client_id, "UserPoolId": pool.id, "ClientName": "App"} for client_id in sorted(made)
    ]
    assert len(api("ListUserPoolClients", UserPoolId=pool.id, ClientType="REGULAR")["UserPoolClients"]) == 3
    assert api("ListUserPoolClients", UserPoolId=pool.id, ClientType="DCR") == {"UserPoolClients": []}
    said = api.refused("ListUserPoolClients", UserPoolId=pool.id, NextToken="made-up")
    assert said == ("InvalidParameter", "Invalid pagination token.")


def test_a_deleted_client_is_gone_at_once_and_its_users_are_signed_out(api: Api, env: Env, pool: Pool) -> None:
    client_id = create(api, pool, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"])["ClientId"]
    build.a_user(env, pool)
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    signing_in = {"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": client_id, "AuthParameters": given}
    token = api("InitiateAuth", **signing_in)["AuthenticationResult"]["AccessToken"]
    assert api("GetUser", AccessToken=token)["Username"] == "alice"
    assert api("DeleteUserPoolClient", UserPoolId=pool.id, ClientId=client_id) == {}
    gone = ("ResourceNotFound", f"User pool client {client_id} does not exist.")
    assert api.refused("InitiateAuth", **signing_in) == gone
    assert api.refused("DeleteUserPoolClient", UserPoolId=pool.id, ClientId=client_id) == gone
    assert api.refused("GetUser", AccessToken=token) == ("NotAuthorized", "Access Token has been revoked")


def secret_hash(secret: str, client_id: str) -> str:
    made = hmac.digest(secret.encode(), ("alice" + client_id).encode(), hashlib.sha256)
    return base64.b64encode(made).decode()


def test_of_two_secrets_either_is_taken_and_a_deleted_one_is_not(api: Api, env: Env, pool: Pool) -> None:
    made = create(api, pool, GenerateSecret=True, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"])
    which = {"UserPoolId": pool.id, "ClientId": made["ClientId"]}
    build.a_user(env, pool)
    added = api("AddUserPoolClientSecret", **which)["ClientSecretDescriptor"]
    assert added["ClientSecretId"].startswith(made["ClientId"] + "--")
    assert re.fullmatch("[a-z0-9]{52}", added["ClientSecretValue"])
    listed = api("ListUserPoolClientSecrets", **which)
    assert [one.keys() for one in listed["ClientSecrets"]] == [{"ClientSecretId", "ClientSecretCreateDate"}] * 2
    assert "NextToken" not in listed
    assert api.refused("AddUserPoolClientSecret", **which)[0] == "LimitExceeded"

    def sign_in(secret: str) -> dict[str, Any]:
        proof = secret_hash(secret, made["ClientId"])
        given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD, "SECRET_HASH": proof}
        return {"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": made["ClientId"], "AuthParameters": given}

    for secret in (made["ClientSecret"], added["ClientSecretValue"]):
        assert api("InitiateAuth", **sign_in(secret))["AuthenticationResult"]
    oldest = listed["ClientSecrets"][0]["ClientSecretId"]
    assert api("DeleteUserPoolClientSecret", ClientSecretId=oldest, **which) == {}
    assert api.refused("InitiateAuth", **sign_in(made["ClientSecret"])) == (
        "NotAuthorized",
        f"Unable to verify secret hash for client {made['ClientId']}",
    )
    assert api("InitiateAuth", **sign_in(added["ClientSecretValue"]))["AuthenticationResult"]
    assert api("DescribeUserPoolClient", **which)["UserPoolClient"]["ClientSecret"] == added["ClientSecretValue"]
    last = added["ClientSecretId"]
    assert api.refused("DeleteUserPoolClientSecret", ClientSecretId=last, **which)[0] == "InvalidParameter"
    assert api.refused("DeleteUserPoolClientSecret", ClientSecretId=oldest, **which) == (
        "ResourceNotFound",
        f"Client secret {oldest} does not exist.",
    )


def test_a_secret_that_was_given_is_not_told(api: Api, pool: Pool) -> None:
    made = create(api, pool, GenerateSecret=True)
    which = {"UserPoolId": pool.id, "ClientId": made["ClientId"]}
    added = api("AddUserPoolClientSecret", ClientSecret="b" * 24, **which)["ClientSecretDescriptor"]
    assert added.keys() == {"ClientSecretId", "ClientSecretCreateDate"}
    assert api("DescribeUserPoolClient", **which)["UserPoolClient"]["ClientSecret"] == "b" * 24


def test_the_session_of_browsers_is_configured(api: Api, pool: Pool) -> None:
    which = {"UserPoolId": pool.id, "ClientId": create(api, pool)["ClientId"]}
    default = {**which, "SSOSession": {"MaxValidityMinutes": 60}}
    assert api("GetUserPoolClientSessionConfiguration", **which) == default
    for minutes in (0, 129600):
        given = {**which, "SSOSession": {"MaxValidityMinutes": minutes}}
        assert api("SetUserPoolClientSessionConfiguration", **given) == given
    api("UpdateUserPoolClient", **which)
    assert api("GetUserPoolClientSessionConfiguration", **which) == given


def test_rotating_tokens_are_not_refreshed_without_rotating_them(api: Api, env: Env, pool: Pool) -> None:
    client_id = create(api, pool, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])[
        "ClientId"
    ]
    build.a_user(env, pool)
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    signed_in = api("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", ClientId=client_id, AuthParameters=given)
    refresh = {
        "AuthFlow": "REFRESH_TOKEN_AUTH",
        "ClientId": client_id,
        "AuthParameters": {"REFRESH_TOKEN": signed_in["AuthenticationResult"]["RefreshToken"]},
    }
    assert api("InitiateAuth", **refresh)["AuthenticationResult"]
    rotating = {"RefreshTokenRotation": {"Feature": "ENABLED"}}
    api("UpdateUserPoolClient", UserPoolId=pool.id, ClientId=client_id, **rotating)
    assert api.refused("InitiateAuth", **refresh) == ("InvalidParameter", "Auth flow not enabled for this client")


def test_a_generated_secret_is_shown_when_made_and_when_described(api: Api, pool: Pool) -> None:
    made = create(api, pool, GenerateSecret=True)
    assert re.fullmatch("[a-z0-9]{52}", made["ClientSecret"])
    found = api("DescribeUserPoolClient", UserPoolId=pool.id, ClientId=made["ClientId"])["UserPoolClient"]
    assert found["ClientSecret"] == made["ClientSecret"]


def test_a_secret_can_be_brought_along(api: Api, pool: Pool) -> None:
    secret = "My_own_secret+of+24_or_more"
    assert create(api, pool, ClientSecret=secret)["ClientSecret"] == secret


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        (
            {"GenerateSecret": True, "ClientSecret": "x" * 30},
            "InvalidParameter",
            "Only one of GenerateSecret and ClientSecret can be given.",
        ),
        (
            {"AllowedOAuthFlows": ["code", "client_credentials"], "GenerateSecret": True},
            "InvalidOAuthFlow",
            "client_credentials flow can not be selected along with code flow or implicit flow",
        ),
        (
            {"AllowedOAuthFlows": ["client_credentials"]},
            "InvalidOAuthFlow",
            "client_credentials flow can not be selected if client does not have a client secret.",
        ),
        ({"AllowedOAuthScopes": ["nobody/read"]}, "ScopeDoesNotExist", "Invalid scope requested: nobody/read"),
        (
            {"ExplicitAuthFlows": ["ADMIN_NO_SRP_AUTH", "ALLOW_USER_SRP_AUTH"]},
            "InvalidParameter",
            "The auth flows of the old and of the new style cannot be mixed.",
        ),
        ({"AccessTokenValidity": 25}, "InvalidParameter", "Invalid range for token validity."),
        (
            {"RefreshTokenRotation": {"Feature": "ENABLED"}, "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"]},
            "InvalidParameter",
            "Refresh token rotation cannot be combined with ALLOW_REFRESH_TOKEN_AUTH.",
        ),
        (
            {"CallbackURLs": ["javascript:alert(1)"]},
            "InvalidParameter",
            "javascript:alert(1) is not a valid redirect URI: it needs https, or http on localhost.",
        ),
        (
            {"SupportedIdentityProviders": ["COGNITO", "Google"]},
            "InvalidParameter",
            "The provider Google does not exist for User Pool {pool}.",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(api: Api, pool: Pool, given: Any, code: str, sentence: str) -> None:
    said = api.refused("CreateUserPoolClient", UserPoolId=pool.id, ClientName="App", **given)
    assert said == (code, sentence.replace("{pool}", pool.id))
