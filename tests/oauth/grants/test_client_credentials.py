"""A token for the client itself."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.env import Env
from app.pools import app_clients, resource_servers
from tests.conftest import START
from tests.oauth.relying_party import RelyingParty, error

READ, WRITE = "https://api.example.com/read", "https://api.example.com/write"


def ask(machine: RelyingParty, scope: str | None = None, **more: str) -> TestResponse:
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope is not None else {}), **more}
    return machine.post("/oauth2/token", form)


def test_the_token_is_cognitos(machine: RelyingParty) -> None:
    """Reference 6.2: the client is the subject; there is no person, no session, no other token."""
    body: dict[str, Any] = ask(machine, READ).json
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, READ)
    now = int(START.timestamp())
    claims = machine.verified(body["access_token"])
    assert claims == {
        "sub": machine.client.id,
        "client_id": machine.client.id,
        "token_use": "access",
        "scope": READ,
        "auth_time": now,
        "iat": now,
        "exp": now + 3600,
        "iss": machine.issuer,
        "version": 2,
        "jti": claims["jti"],
    }


@pytest.mark.parametrize(
    ("asked", "scope"),
    [
        (None, f"{READ} {WRITE}"),
        ("", f"{READ} {WRITE}"),
        (f"{WRITE} {READ}", f"{WRITE} {READ}"),
        (f"{READ} {READ}", READ),
    ],
)
def test_the_scope_is_what_was_asked_for_or_everything(machine: RelyingParty, asked: str | None, scope: str) -> None:
    body = ask(machine, asked).json
    assert body["scope"] == machine.verified(body["access_token"])["scope"] == scope


@pytest.mark.parametrize("scope", ["nope", f"{READ} nope", "openid", "https://api.example.com/", READ.upper(), "ключ"])
def test_a_scope_that_the_client_does_not_have_is_invalid(machine: RelyingParty, scope: str) -> None:
    """Requirement 23; Authlib drops unknown scopes in silence."""
    assert error(ask(machine, scope)) == "invalid_scope"


def test_a_machine_cannot_have_scopes_of_people(env: Env, machine: RelyingParty) -> None:
    settings = {**machine.client.settings, "allowed_oauth_scopes": ["openid", READ]}
    row = app_clients.create(env, machine.pool, name="M", settings=settings, generate_secret=True, secret=None)
    party = RelyingParty.of(env, machine.http, row)
    assert ask(party).json["scope"] == READ
    assert error(ask(party, "openid")) == "invalid_scope"


def test_a_scope_that_was_deleted_is_passed_over_and_back_when_it_is_made_again(
    env: Env, machine: RelyingParty
) -> None:
    """Reference 11.2. The client keeps it all the while."""
    api = {"identifier": "https://api.example.com", "name": "API"}
    resource_servers.update(env, machine.pool, **api, scopes=[("read", "Read")])
    assert ask(machine).json["scope"] == READ
    assert ask(machine, f"{READ} {WRITE}").json["scope"] == READ
    assert error(ask(machine, WRITE)) == "invalid_scope"
    resource_servers.delete(env, machine.pool, identifier=api["identifier"])
    assert error(ask(machine)) == error(ask(machine, READ)) == "invalid_scope"
    resource_servers.create(env, machine.pool, **api, scopes=[("write", "Write"), ("new", "New")])
    assert ask(machine).json["scope"] == WRITE
    assert error(ask(machine, "https://api.example.com/new")) == "invalid_scope"


def test_the_token_is_none_of_a_person(machine: RelyingParty) -> None:
    token = ask(machine).json["access_token"]
    assert error(machine.userinfo(token), 401) == "invalid_token"


def test_a_machines_token_can_be_made_out_to_a_resource(env: Env, machine: RelyingParty) -> None:
    """RFC 8707, 2.2."""
    api = "https://api.example.com"
    body = ask(machine, resource=f"{api}/").json
    claims = machine.verified(body["access_token"])
    assert (claims["aud"], claims["scope"], body["scope"]) == (
        api,
        f"{api}/read {api}/write",
        f"{api}/read {api}/write",
    )
    assert "aud" not in machine.verified(ask(machine).json["access_token"])
    resource_servers.create(env, machine.pool, identifier="other", name="Other", scopes=[])
    for wrong in ("other", "https://nobody.example", machine.client.id):
        assert error(ask(machine, resource=wrong)) == "invalid_target"
