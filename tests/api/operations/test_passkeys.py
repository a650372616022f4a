"""Passkeys by the API, with an access token: StartWebAuthnRegistration and the three others."""

from typing import Any

import pytest

from app.env import Env
from app.models import Client, Pool
from app.pools import mfa
from tests import build
from tests.api.conftest import Api
from tests.authenticator import Authenticator
from tests.build import PAGE, PASSWORD
from tests.conftest import START


@pytest.fixture
def pool(env: Env) -> Pool:
    return build.a_pool_with_passkeys(env, algorithm="ES256")


@pytest.fixture
def token(env: Env, api: Api, client: Client) -> str:
    """alice's."""
    build.a_user(env, client.pool)
    return sign_in(api, client)


def sign_in(api: Api, client: Client, name: str = "alice") -> str:
    how = {"USERNAME": name, "PASSWORD": PASSWORD}
    reply = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=how)
    return str(reply["AuthenticationResult"]["AccessToken"])


def started(api: Api, token: str) -> dict[str, Any]:
    found: dict[str, Any] = api("StartWebAuthnRegistration", AccessToken=token)["CredentialCreationOptions"]
    return found


def registered(api: Api, token: str, **how: Any) -> Authenticator:
    key = Authenticator(**how)
    made = key.register(started(api, token), PAGE)
    assert api("CompleteWebAuthnRegistration", AccessToken=token, Credential=made) == {}
    return key


def test_a_passkey_is_registered_listed_and_deleted(api: Api, token: str) -> None:
    assert api("ListWebAuthnCredentials", AccessToken=token) == {"Credentials": []}
    options = started(api, token)
    assert isinstance(options, dict)
    assert (options["rp"], options["user"]["name"]) == ({"id": "example.com", "name": "People"}, "alice")
    key = registered(api, token, aaguid="bada5566-a7aa-401f-bd96-45619a55120d", transports=("internal", "hybrid"))
    described = {
        "CredentialId": key.name,
        "FriendlyCredentialName": "1Password",
        "RelyingPartyId": "example.com",
        "AuthenticatorAttachment": "cross-platform",
        "AuthenticatorTransports": ["hybrid", "internal"],
        "CreatedAt": START.timestamp(),
    }
    assert api("ListWebAuthnCredentials", AccessToken=token, MaxResults=0) == {"Credentials": [described]}
    assert api("DeleteWebAuthnCredential", AccessToken=token, CredentialId=key.name) == {}
    assert api("ListWebAuthnCredentials", AccessToken=token) == {"Credentials": []}
    said = api.refused("DeleteWebAuthnCredential", AccessToken=token, CredentialId=key.name)
    assert said == ("ResourceNotFound", "The passkey does not exist.")


def test_an_authenticator_that_does_not_say_how_it_is_attached_is_listed(api: Api, token: str) -> None:
    made = Authenticator().register(started(api, token), PAGE)
    made["authenticatorAttachment"] = None
    made["response"]["transports"] = None
    api("CompleteWebAuthnRegistration", AccessToken=token, Credential=made)
    [shown] = api("ListWebAuthnCredentials", AccessToken=token)["Credentials"]
    assert "AuthenticatorAttachment" not in shown
    assert (shown["FriendlyCredentialName"], shown["AuthenticatorTransports"]) == ("Passkey", [])


def test_a_list_comes_in_pages(api: Api, token: str) -> None:
    names = {registered(api, token).name for _ in range(3)}
    first = api("ListWebAuthnCredentials", AccessToken=token, MaxResults=2)
    rest = api("ListWebAuthnCredentials", AccessToken=token, MaxResults=2, NextToken=first["NextToken"])
    assert len(first["Credentials"]) == 2 and "NextToken" not in rest
    assert {one["CredentialId"] for page in (first, rest) for one in page["Credentials"]} == names
    code, _ = api.refused("ListWebAuthnCredentials", AccessToken=token, MaxResults=21)
    assert code == "InvalidParameter"


def test_nobody_lists_or_deletes_anothers(env: Env, api: Api, client: Client, token: str) -> None:
    key = registered(api, token)
    build.a_user(env, client.pool, "bob", email=None)
    bob = sign_in(api, client, "bob")
    assert api("ListWebAuthnCredentials", AccessToken=bob) == {"Credentials": []}
    code, _ = api.refused("DeleteWebAuthnCredential", AccessToken=bob, CredentialId=key.name)
    assert code == "ResourceNotFound"
    assert len(api("ListWebAuthnCredentials", AccessToken=token)["Credentials"]) == 1


def test_each_mistake_has_its_own_name(env: Env, api: Api, client: Client, token: str) -> None:
    def complete(credential: Any, using: str = token) -> str:
        return api.refused("CompleteWebAuthnRegistration", AccessToken=using, Credential=credential)[0]

    assert complete({}) == "WebAuthnChallengeNotFound"
    key, options = Authenticator(), started(api, token)
    for malformed in ({}, [], "text", 7, {"id": "x"}):
        assert complete(malformed) == "InvalidParameter"
    assert complete(key.register(options, "https://evil.example.com")) == "WebAuthnOriginNotAllowed"
    assert complete(key.register(options, PAGE, rp_id="evil.example")) == "WebAuthnRelyingPartyMismatch"
    assert complete(key.register(options, PAGE, challenge="A" * 43)) == "WebAuthnChallengeNotFound"
    assert complete(key.register(options, PAGE, cose={1: 9, 3: 9})) == "WebAuthnCredentialNotSupported"
    other = sign_in(api, build.a_client(env, client.pool))
    made = key.register(options, PAGE)
    assert complete(made, other) == "WebAuthnClientMismatch"
    assert api("CompleteWebAuthnRegistration", AccessToken=token, Credential=made) == {}
    assert complete(made) == "WebAuthnChallengeNotFound"
    options = started(api, token)
    assert complete(key.register(options, PAGE)) == "InvalidParameter"
    for _ in range(19):
        registered(api, token)
    assert api.refused("StartWebAuthnRegistration", AccessToken=token)[0] == "LimitExceeded"


def test_a_pool_without_passkeys_says_so(env: Env, api: Api) -> None:
    client = build.a_client(env, build.a_pool(env, algorithm="ES256"))
    build.a_user(env, client.pool)
    token = sign_in(api, client)
    assert api.refused("StartWebAuthnRegistration", AccessToken=token)[0] == "WebAuthnNotEnabled"
    said = api.refused("CompleteWebAuthnRegistration", AccessToken=token, Credential={})
    assert said[0] == "WebAuthnNotEnabled"
    assert api("ListWebAuthnCredentials", AccessToken=token) == {"Credentials": []}


def test_another_name_of_the_pool_ends_what_was_started(env: Env, api: Api, client: Client, token: str) -> None:
    made = Authenticator().register(started(api, token), PAGE)
    mfa.configure(env, client.pool, {"web_authn_configuration": {"relying_party_id": "app.example.com"}})
    said = api.refused("CompleteWebAuthnRegistration", AccessToken=token, Credential=made)
    assert said[0] == "WebAuthnRelyingPartyMismatch"


def test_a_token_that_is_none_does_nothing(api: Api, token: str) -> None:
    signed = token.rpartition(".")[0]
    for operation, more in (
        ("StartWebAuthnRegistration", {}),
        ("CompleteWebAuthnRegistration", {"Credential": {}}),
        ("ListWebAuthnCredentials", {}),
        ("DeleteWebAuthnCredential", {"CredentialId": "x"}),
    ):
        assert api.refused(operation, AccessToken=f"{signed}.{'A' * 86}", **more)[0] == "NotAuthorized"
