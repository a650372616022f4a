"""CreateUserPoolClient and DescribeUserPoolClient at the door."""

import re
from typing import Any

import pytest

from app.models import Pool
from tests.api.conftest import Api


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


def test_what_was_given_is_described_back(api: Api, pool: Pool) -> None:
    given = {
        "RefreshTokenValidity": 60,
        "AccessTokenValidity": 10,
        "IdTokenValidity": 20,
        "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "hours"},
        "ReadAttributes": ["email", "name"],
        "WriteAttributes": ["name"],
        "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        "SupportedIdentityProviders": ["COGNITO"],
        "CallbackURLs": ["https://app.example.com/cb", "myapp://cb"],
        "LogoutURLs": ["http://localhost:3000/"],
        "DefaultRedirectURI": "https://app.example.com/cb",
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": ["openid", "email"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "PreventUserExistenceErrors": "ENABLED",
        "EnableTokenRevocation": False,
        "AuthSessionValidity": 15,
    }
    made = create(api, pool, **given)
    assert {member: made[member] for member in given} == given


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
            {"RefreshTokenRotation": {"Feature": "ENABLED"}},
            "InvalidParameter",
            "Refresh token rotation is not available in this version of Cognate.",
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
