"""Tokens at the door: the next ones, a client's own, derived ones, and what ends them."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from app.accounts import devices
from app.crypto.base64url import decode
from app.env import Env, Origin
from app.models import Client, Pool, User
from app.pools import client_secrets, resource_servers
from app.tokens import issue
from app.tokens.claims import API_SCOPE
from tests import build
from tests.api.conftest import TARGET, Api
from tests.api.test_caller import tokens_of
from tests.conftest import Clock

GONE = ("NotAuthorized", "Access Token has been revoked")


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool)


def refreshes(api: Api, client: Client, token: str | None) -> bool:
    given: dict[str, Any] = {"REFRESH_TOKEN": token}
    answer = api.answer("InitiateAuth", ClientId=client.id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=given)
    return answer.status_code == 200


def test_a_revoked_token_takes_its_access_tokens_along_and_nobody_elses(
    api: Api, env: Env, client: Client, alice: User
) -> None:
    one, other = tokens_of(env, client, alice), tokens_of(env, client, alice)
    assert api("RevokeToken", ClientId=client.id, Token=one.refresh) == {}
    assert not refreshes(api, client, one.refresh)
    assert api.refused("GetUser", AccessToken=one.access) == GONE
    assert refreshes(api, client, other.refresh)
    assert api("GetUser", AccessToken=other.access)


def test_what_is_unknown_revoked_or_somebody_elses_is_passed_over(
    api: Api, env: Env, pool: Pool, client: Client, alice: User
) -> None:
    other = build.a_client(env, pool)
    token = tokens_of(env, client, alice).refresh
    assert api("RevokeToken", ClientId=client.id, Token="unknown") == {}
    assert api("RevokeToken", ClientId=other.id, Token=token) == {}
    assert refreshes(api, client, token)
    assert api("RevokeToken", ClientId=client.id, Token=token) == {}
    assert api("RevokeToken", ClientId=client.id, Token=token) == {}


def test_a_confidential_client_shows_its_secret(api: Api, env: Env, pool: Pool, client: Client, alice: User) -> None:
    confidential = build.a_client(env, pool, secret=True)
    token = tokens_of(env, confidential, alice).refresh
    [secret] = client_secrets.of(env, confidential)
    for wrong in ({}, {"ClientSecret": "x" * 52}):
        said = api.refused("RevokeToken", ClientId=confidential.id, Token=token, **wrong)
        assert said == ("Unauthorized", "Unauthorized.")
    assert api("RevokeToken", ClientId=confidential.id, Token=token, ClientSecret=secret) == {}
    assert api.refused("RevokeToken", ClientId=client.id, Token=token, ClientSecret=secret)[0] == "Unauthorized"


def test_an_unknown_client_is_unauthorized(api: Api) -> None:
    """The operation has no word for a thing that does not exist."""
    assert api.refused("RevokeToken", ClientId="nobody", Token="x") == ("Unauthorized", "Unauthorized.")


def test_other_kinds_of_tokens_cannot_be_revoked(api: Api, env: Env, client: Client, alice: User) -> None:
    token = tokens_of(env, client, alice).access
    assert api.refused("RevokeToken", ClientId=client.id, Token=token)[0] == "UnsupportedTokenType"


def test_a_client_without_revocation_cannot_revoke(api: Api, env: Env, pool: Pool, alice: User) -> None:
    client = build.a_client(env, pool, enable_token_revocation=False)
    token = tokens_of(env, client, alice).refresh
    assert api.refused("RevokeToken", ClientId=client.id, Token=token)[0] == "UnsupportedOperation"


def test_signing_out_everywhere_ends_every_session_of_the_user(
    api: Api, env: Env, pool: Pool, client: Client, alice: User
) -> None:
    bob = build.a_user(env, pool, "bob", email=None)
    one = tokens_of(env, client, alice)
    other = tokens_of(env, build.a_client(env, pool), alice)
    bobs = tokens_of(env, client, bob)
    assert api("GlobalSignOut", AccessToken=one.access) == {}
    for token in (one.access, other.access):
        assert api.refused("GetUser", AccessToken=token) == GONE
        assert api.refused("GlobalSignOut", AccessToken=token) == GONE
    assert not refreshes(api, client, one.refresh)
    assert api("GetUser", AccessToken=bobs.access)


# -- GetTokensFromRefreshToken -----------------------------------------------------------------------------------


def rotating(env: Env, pool: Pool, **more: Any) -> Client:
    rotation = {"feature": "ENABLED", "retry_grace_period_seconds": 10}
    return build.a_client(env, pool, explicit_auth_flows=[], refresh_token_rotation=rotation, **more)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(decode(token.split(".")[1]))
    return found


def test_the_next_tokens_and_no_refresh_token_where_they_do_not_rotate(
    api: Api, env: Env, client: Client, alice: User
) -> None:
    token = tokens_of(env, client, alice).refresh
    for _ in range(2):
        result = api("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=token)["AuthenticationResult"]
        assert result.keys() == {"AccessToken", "ExpiresIn", "IdToken", "TokenType"}
        assert (result["TokenType"], result["ExpiresIn"]) == ("Bearer", 3600)
        assert api("GetUser", AccessToken=result["AccessToken"])["Username"] == "alice"


def test_a_rotating_client_gets_the_next_one_and_a_used_one_ends_all(
    api: Api, env: Env, pool: Pool, alice: User, clock: Clock
) -> None:
    client = rotating(env, pool)
    first = tokens_of(env, client, alice).refresh
    given = {"ClientId": client.id, "RefreshToken": first}
    second = api("GetTokensFromRefreshToken", **given)["AuthenticationResult"]
    assert api("GetTokensFromRefreshToken", **given)["AuthenticationResult"]["RefreshToken"] == second["RefreshToken"]
    clock.forward(seconds=10)
    said = api.refused("GetTokensFromRefreshToken", **given)
    assert said == ("RefreshTokenReuse", "Refresh token has been reused")
    said = api.refused("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=second["RefreshToken"])
    assert said == ("NotAuthorized", "Refresh Token has been revoked")
    assert api.refused("GetUser", AccessToken=second["AccessToken"]) == GONE


def test_a_request_that_is_executed_late_is_refused_and_the_session_goes_on(
    api: Api, env: Env, pool: Pool, alice: User, clock: Clock
) -> None:
    client = rotating(env, pool)

    def refreshed(token: str) -> Any:
        return api("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=token)["AuthenticationResult"]

    first = tokens_of(env, client, alice).refresh
    third = refreshed(refreshed(first)["RefreshToken"])
    clock.forward(seconds=9)
    said = api.refused("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=first)
    assert said == ("NotAuthorized", "Refresh Token has been superseded")
    assert api("GetUser", AccessToken=third["AccessToken"])["Username"] == "alice"
    assert refreshed(third["RefreshToken"])["RefreshToken"]


def test_a_rotating_client_has_no_refresh_token_auth(api: Api, env: Env, pool: Pool, alice: User) -> None:
    """Reference 5.4: that flow gives no next token. And trying it costs the session nothing."""
    client = rotating(env, pool)
    token = tokens_of(env, client, alice).refresh
    asked = {"ClientId": client.id, "AuthParameters": {"REFRESH_TOKEN": token}}
    for flow in ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"):
        said = api.refused("InitiateAuth", AuthFlow=flow, **asked)
        assert said == ("InvalidParameter", "Auth flow not enabled for this client")
    assert api("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=token)


def test_a_client_that_may_not_refresh_does_not(api: Api, env: Env, pool: Pool, alice: User) -> None:
    client = build.a_client(env, pool, explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH"])
    token = tokens_of(env, client, alice).refresh
    said = api.refused("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=token)
    assert said == ("InvalidParameter", "Auth flow not enabled for this client")


def test_what_is_no_refresh_token_of_the_client_is_refused(
    api: Api, env: Env, pool: Pool, client: Client, alice: User, clock: Clock
) -> None:
    tokens = tokens_of(env, client, alice)
    other = build.a_client(env, pool)
    for given in ({"ClientId": client.id, "RefreshToken": "x"}, {"ClientId": other.id, "RefreshToken": tokens.refresh}):
        assert api.refused("GetTokensFromRefreshToken", **given) == ("NotAuthorized", "Invalid Refresh Token")
    clock.forward(days=30)
    said = api.refused("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=tokens.refresh)
    assert said == ("NotAuthorized", "Refresh Token has expired")


def test_refreshing_a_confidential_client_takes_its_secret_and_costs_a_stranger_nothing(
    api: Api, env: Env, pool: Pool, alice: User, clock: Clock
) -> None:
    """Without the secret a used token raises no alarm either: who has it alone cannot sign anybody out."""
    client = rotating(env, pool, secret=True)
    [secret] = client_secrets.of(env, client)
    first = tokens_of(env, client, alice).refresh
    right = {"ClientId": client.id, "ClientSecret": secret}
    second = api("GetTokensFromRefreshToken", **right, RefreshToken=first)["AuthenticationResult"]["RefreshToken"]
    clock.forward(minutes=1)
    for wrong, sentence in (
        ({}, f"Client {client.id} is configured for secret but secret was not received"),
        ({"ClientSecret": "x" * 52}, f"Unable to verify secret for client {client.id}"),
    ):
        refused = api.refused("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=first, **wrong)
        assert refused == ("NotAuthorized", sentence)
    assert api("GetTokensFromRefreshToken", **right, RefreshToken=second)


def test_the_key_of_the_device_comes_along(api: Api, env: Env) -> None:
    pool = build.a_pool(env, algorithm="ES256", device_configuration={})
    client, alice = build.a_client(env, pool), build.a_user(env, pool)
    key = "us-east-1_0a1b2c3d-0000-4000-8000-000000000001"
    origin = {"methods": [], "origin": Origin(), "auth_time": env.now()}
    with env.transaction():
        opened = issue.open_session(env, client, alice, scope=API_SCOPE, device_key=key, **origin)
    made = build.a_verifier("-abcdEFGH", key)
    devices.confirm(env, client, alice, opened.session, key=key, name=None, origin=Origin(), **made)
    token = opened.refresh
    given = {"ClientId": client.id, "RefreshToken": token}
    flow = {"ClientId": client.id, "AuthFlow": "REFRESH_TOKEN_AUTH"}
    invalid = ("NotAuthorized", "Invalid Refresh Token")
    assert api.refused("GetTokensFromRefreshToken", **given) == invalid
    assert api.refused("GetTokensFromRefreshToken", **given, DeviceKey=key[:-1] + "2") == invalid
    assert api.refused("InitiateAuth", **flow, AuthParameters={"REFRESH_TOKEN": token}) == invalid
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client.id}
    refused = api.http.post(f"/{pool.id}/oauth2/token", data=form)
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_grant")
    result = api("GetTokensFromRefreshToken", **given, DeviceKey=key)["AuthenticationResult"]
    assert claims(result["AccessToken"])["device_key"] == key
    assert api("InitiateAuth", **flow, AuthParameters={"REFRESH_TOKEN": token, "DEVICE_KEY": key})


# -- what ends what --------------------------------------------------------------------------------------------


def alive(api: Api, env: Env, client: Client, tokens: issue.Tokens) -> set[str]:
    """Which doors still open to a user's tokens."""
    pool = client.pool
    bearer = {"Authorization": f"Bearer {tokens.access}"}
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": client.id}
    tried = {
        "GetUser": api.answer("GetUser", AccessToken=tokens.access),
        "userInfo": api.http.get(f"/{pool.id}/oauth2/userInfo", headers=bearer),
        "refresh": api.answer("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=tokens.refresh),
        "token endpoint": api.http.post(f"/{pool.id}/oauth2/token", data=form),
    }
    return {door for door, answer in tried.items() if answer.status_code == 200}


ALL = {"GetUser", "userInfo", "refresh", "token endpoint"}
ENDS: dict[str, Callable[[Api, Client, issue.Tokens], object]] = {
    "RevokeToken": lambda api, client, tokens: api("RevokeToken", ClientId=client.id, Token=tokens.refresh),
    "GlobalSignOut": lambda api, client, tokens: api("GlobalSignOut", AccessToken=tokens.access),
    "AdminUserGlobalSignOut": lambda api, client, tokens: api(
        "AdminUserGlobalSignOut", UserPoolId=client.pool_id, Username="alice@example.com"
    ),
    "AdminDisableUser": lambda api, client, tokens: api(
        "AdminDisableUser", UserPoolId=client.pool_id, Username="alice"
    ),
    "AdminDeleteUser": lambda api, client, tokens: api("AdminDeleteUser", UserPoolId=client.pool_id, Username="alice"),
    "DeleteUser": lambda api, client, tokens: api("DeleteUser", AccessToken=tokens.access),
    "DeleteUserPoolClient": lambda api, client, tokens: api(
        "DeleteUserPoolClient", UserPoolId=client.pool_id, ClientId=client.id
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_closes_every_door_at_once_and_no_other_users(
    api: Api, env: Env, client: Client, alice: User, end: str
) -> None:
    """Requirement 67."""
    scope = f"openid {API_SCOPE}"
    bob = build.a_user(env, client.pool, "bob", email=None)
    other = build.a_client(env, client.pool)
    hers, elsewhere, bobs = (
        tokens_of(env, client, alice, scope),
        tokens_of(env, other, alice, scope),
        tokens_of(env, other, bob, scope),
    )
    assert alive(api, env, client, hers) == alive(api, env, other, elsewhere) == alive(api, env, other, bobs) == ALL
    ENDS[end](api, client, hers)
    assert alive(api, env, client, hers) == set()
    assert alive(api, env, other, elsewhere) == (ALL if end in ("RevokeToken", "DeleteUserPoolClient") else set())
    assert alive(api, env, other, bobs) == ALL


def test_what_ended_does_not_come_back_when_the_user_does(api: Api, env: Env, client: Client, alice: User) -> None:
    tokens = tokens_of(env, client, alice, f"openid {API_SCOPE}")
    which = {"UserPoolId": client.pool_id, "Username": "alice"}
    api("AdminDisableUser", **which)
    api("AdminEnableUser", **which)
    assert alive(api, env, client, tokens) == set()
    assert alive(api, env, client, tokens_of(env, client, alice, f"openid {API_SCOPE}")) == ALL


def test_nobody_who_is_not_there_is_signed_out(api: Api, pool: Pool) -> None:
    said = api.refused("AdminUserGlobalSignOut", UserPoolId=pool.id, Username="nobody")
    assert said == ("UserNotFound", "User does not exist.")


# -- GetClientToken ------------------------------------------------------------------------------------------------

API = "https://api.example.com"


@pytest.fixture
def resources(env: Env, pool: Pool) -> Pool:
    scopes = [("read", "Read"), ("write", "Write")]
    resource_servers.create(env, pool, identifier=API, name="API", scopes=scopes)
    return pool


def a_machine(api: Api, pool: Pool, **more: Any) -> dict[str, Any]:
    """Made through the API, whose model does not know the flow."""
    given = {"ExplicitAuthFlows": ["ALLOW_CLIENT_TOKEN_AUTH"], "AllowedOAuthScopes": [f"{API}/read", f"{API}/write"]}
    made: dict[str, Any] = api(
        "CreateUserPoolClient", UserPoolId=pool.id, ClientName="M", GenerateSecret=True, **{**given, **more}
    )["UserPoolClient"]
    return made


def unsigned(api: Api, operation: str, **members: Any) -> tuple[int, dict[str, Any]]:
    headers = {"X-Amz-Target": TARGET + operation}
    answer = api.http.post("/", json=members, headers=headers, content_type="application/x-amz-json-1.1")
    return answer.status_code, orjson.loads(answer.data)


def test_a_client_gets_a_token_of_its_own_by_its_secret(api: Api, resources: Pool) -> None:
    """Signed or not (reference 1.3)."""
    made = a_machine(api, resources)
    given = {"ClientId": made["ClientId"], "Secret": made["ClientSecret"]}
    status, reply = unsigned(api, "GetClientToken", **given)
    assert status == 200
    result = reply["ClientAuthenticationResult"]
    assert (result["ExpiresIn"], result["TokenType"]) == (3600, "Bearer")
    said = claims(result["AccessToken"])
    assert said["sub"] == said["client_id"] == made["ClientId"]
    assert said["scope"] == f"{API}/read {API}/write"
    one = api("GetClientToken", **given, Scopes=[f"{API}/write"])["ClientAuthenticationResult"]
    assert claims(one["AccessToken"])["scope"] == f"{API}/write"


def test_a_client_token_is_not_given_to_everybody(api: Api, env: Env, resources: Pool, client: Client) -> None:
    made = a_machine(api, resources)
    given = {"ClientId": made["ClientId"], "Secret": made["ClientSecret"]}
    assert api.refused("GetClientToken", **{**given, "Secret": "x" * 52})[0] == "NotAuthorized"
    assert api.refused("GetClientToken", ClientId=client.id, Secret="x" * 52)[0] == "NotAuthorized"
    assert api.refused("GetClientToken", ClientId=client.id, Secret=made["ClientSecret"])[0] == "NotAuthorized"
    for scope in ("openid", API_SCOPE, f"{API}/none"):
        said = api.refused("GetClientToken", **given, Scopes=[scope])
        assert said == ("InvalidParameter", "The client may not have this scope.")
    bare = a_machine(api, resources, AllowedOAuthScopes=[])
    said = api.refused("GetClientToken", ClientId=bare["ClientId"], Secret=bare["ClientSecret"])
    assert said == ("InvalidParameter", "The client has no scope of a resource server.")
    other = build.a_client(env, resources, secret=True)
    [secret] = client_secrets.of(env, other)
    said = api.refused("GetClientToken", ClientId=other.id, Secret=secret)
    assert said == ("InvalidParameter", "Auth flow not enabled for this client")


def test_a_pool_whose_trigger_would_speak_gives_no_client_token(api: Api, resources: Pool) -> None:
    made = a_machine(api, resources)
    trigger = {"LambdaVersion": "V3_0", "LambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:f"}
    api("UpdateUserPool", UserPoolId=resources.id, LambdaConfig={"PreTokenGenerationConfig": trigger})
    said = api.refused("GetClientToken", ClientId=made["ClientId"], Secret=made["ClientSecret"])
    assert said[0] == "UnexpectedLambda"


def test_a_client_of_tokens_of_its_own_signs_nobody_in(api: Api, resources: Pool) -> None:
    with_secret = {"UserPoolId": resources.id, "ClientName": "M", "GenerateSecret": True}
    for flows in (
        ["ALLOW_CLIENT_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"],
        ["ALLOW_CLIENT_TOKEN_AUTH", "USER_PASSWORD_AUTH"],
    ):
        assert api.refused("CreateUserPoolClient", **with_secret, ExplicitAuthFlows=flows)[0] == "InvalidParameter"
    public = {**with_secret, "GenerateSecret": False, "ExplicitAuthFlows": ["ALLOW_CLIENT_TOKEN_AUTH"]}
    assert api.refused("CreateUserPoolClient", **public)[0] == "InvalidParameter"


# -- GetDerivedToken -----------------------------------------------------------------------------------------------


@pytest.fixture
def service(env: Env, resources: Pool) -> Client:
    flows = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION", "ALLOW_TOKEN_EXCHANGE_DELEGATION"]
    return build.a_client(env, resources, explicit_auth_flows=flows, allowed_oauth_scopes=["openid", f"{API}/read"])


def test_a_token_for_a_service_behind_the_client(
    api: Api, env: Env, client: Client, service: Client, alice: User
) -> None:
    subject = tokens_of(env, client, alice, f"openid {API}/read {API}/write")
    given = {"ClientId": service.id, "SubjectToken": subject.access, "SubjectTokenType": "ACCESS_TOKEN"}
    status, derived = unsigned(api, "GetDerivedToken", **given, Resources=[API], Scopes=[f"{API}/read", f"{API}/write"])
    assert status == 200
    assert derived.keys() == {"IssuedToken", "IssuedTokenType", "TokenType", "ExpiresIn", "Scopes"}
    assert (derived["IssuedTokenType"], derived["TokenType"]) == ("ACCESS_TOKEN", "Bearer")
    assert derived["Scopes"] == [f"{API}/read"]
    said = claims(derived["IssuedToken"])
    assert (said["aud"], said["client_id"], said["sub"]) == (API, service.id, alice.sub)
    acting = {"ActorToken": subject.id, "ActorTokenType": "ID_TOKEN", "Audiences": [API]}
    said = claims(api("GetDerivedToken", **given, **acting)["IssuedToken"])
    assert (said["aud"], said["act"]) == (API, {"sub": alice.sub})


def test_an_id_token_is_no_bearer(api: Api, env: Env, client: Client, service: Client, alice: User) -> None:
    subject = tokens_of(env, client, alice, "openid").id
    given = {"ClientId": service.id, "SubjectToken": subject, "SubjectTokenType": "ID_TOKEN"}
    derived = api("GetDerivedToken", **given, RequestedTokenType="ID_TOKEN")
    assert (derived["IssuedTokenType"], derived["TokenType"]) == ("ID_TOKEN", "N_A")
    assert claims(derived["IssuedToken"])["aud"] == service.id


def test_what_cannot_be_exchanged_is_said(
    api: Api, env: Env, client: Client, service: Client, alice: User, clock: Clock
) -> None:
    subject = tokens_of(env, client, alice, "openid").access
    given = {"ClientId": service.id, "SubjectToken": subject, "SubjectTokenType": "ACCESS_TOKEN"}
    for wrong in (
        {"SubjectTokenType": "SAML2"},
        {"SubjectTokenProviderName": "Google"},
        {"ActorTokenProviderName": "Google"},
        {"ActorToken": subject},
        {"ActorTokenType": "ACCESS_TOKEN"},
        {"Audiences": ["a"], "Resources": [API]},
        {"Scopes": [f"{API}/write"]},
        {"ClientId": client.id},
    ):
        assert api.refused("GetDerivedToken", **{**given, **wrong})[0] == "InvalidParameter", wrong
    for named in ("x", client.id, service.id):
        for member in ("Resources", "Audiences"):
            assert api.refused("GetDerivedToken", **given, **{member: [named]})[0] == "ResourceNotFound"
    clock.forward(hours=1)
    assert api.refused("GetDerivedToken", **given) == ("NotAuthorized", "Access Token has expired")


def test_a_confidential_service_shows_its_secret(api: Api, env: Env, client: Client, alice: User) -> None:
    flows = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION"]
    service = build.a_client(env, client.pool, explicit_auth_flows=flows, secret=True)
    [secret] = client_secrets.of(env, service)
    subject = tokens_of(env, client, alice, "openid").access
    given = {"ClientId": service.id, "SubjectToken": subject, "SubjectTokenType": "ACCESS_TOKEN"}
    for wrong in ({}, {"ClientSecret": "x" * 52}):
        assert api.refused("GetDerivedToken", **given, **wrong)[0] == "NotAuthorized"
    assert api("GetDerivedToken", **given, ClientSecret=secret)


def test_a_derived_token_may_do_what_its_own_client_may(api: Api, env: Env, client: Client, alice: User) -> None:
    """Not what the client may through which the user signed in."""
    flows = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION"]
    limits = {"read_attributes": ["name"], "write_attributes": ["name"], "allowed_oauth_scopes": [API_SCOPE]}
    service = build.a_client(env, client.pool, explicit_auth_flows=flows, **limits)
    subject = tokens_of(env, client, alice).access
    given = {"ClientId": service.id, "SubjectToken": subject, "SubjectTokenType": "ACCESS_TOKEN"}
    derived = api("GetDerivedToken", **given)["IssuedToken"]
    assert api("GetUser", AccessToken=derived)["UserAttributes"] == [{"Name": "sub", "Value": alice.sub}]
    email = [{"Name": "email", "Value": "mallory@example.com"}]
    assert api.refused("UpdateUserAttributes", AccessToken=derived, UserAttributes=email)[0] == "NotAuthorized"
