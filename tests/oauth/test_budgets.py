"""How many statements a request may cost, when configuration is in the cache."""

from __future__ import annotations

from collections.abc import Callable

from flask.testing import FlaskClient

from app.env import Env
from app.oauth import well_known
from tests import build
from tests.oauth.relying_party import RelyingParty

Statements = Callable[[], list[str]]


def test_client_credentials_cost_none(machine: RelyingParty, statements: Statements) -> None:
    form = {"grant_type": "client_credentials"}
    machine.post("/oauth2/token", form)
    statements()
    assert machine.post("/oauth2/token", form).status_code == 200
    assert statements() == []


def test_documents_cost_none(machine: RelyingParty, statements: Statements) -> None:
    for document in (well_known.DISCOVERY, well_known.JWKS):
        machine.http.get(f"/{machine.pool.id}{document}")
        statements()
        machine.http.get(f"/{machine.pool.id}{document}")
        assert statements() == []


def test_userinfo_costs_one(relying_party: RelyingParty, statements: Statements) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    relying_party.userinfo(token)
    statements()
    assert relying_party.userinfo(token).status_code == 200
    assert len(statements()) == 1


def test_a_refresh_costs_one(relying_party: RelyingParty, statements: Statements) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    statements()
    assert relying_party.refresh(token).status_code == 200
    assert len(statements()) == 1


def test_a_refresh_that_rotates_costs_two(env: Env, http: FlaskClient, statements: Statements) -> None:
    rotating = {"explicit_auth_flows": [], "refresh_token_rotation": {"feature": "ENABLED"}}
    party = RelyingParty.of_new_pool(env, http, **rotating)
    party.user_signs_in()
    token = party.refresh(party.tokens()["refresh_token"]).json["refresh_token"]
    statements()
    assert party.refresh(token).status_code == 200
    assert len(statements()) == 2


def test_an_exchange_costs_one(env: Env, relying_party: RelyingParty, statements: Statements) -> None:
    flows = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION"]
    row = build.a_client(env, relying_party.pool, explicit_auth_flows=flows)
    service = RelyingParty.of(env, relying_party.http, row)
    relying_party.user_signs_in()
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": relying_party.tokens()["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    service.post("/oauth2/token", form)
    statements()
    assert service.post("/oauth2/token", form).status_code == 200
    assert len(statements()) == 1


def test_a_code_costs_two_and_its_redemption_three(relying_party: RelyingParty, statements: Statements) -> None:
    relying_party.user_signs_in()
    relying_party.tokens()
    statements()
    code = relying_party.code()
    assert len(statements()) == 2
    assert relying_party.redeem(code).status_code == 200
    assert len(statements()) == 3


def test_a_revocation_costs_two_of_them_one_for_the_audit(relying_party: RelyingParty, statements: Statements) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    statements()
    assert relying_party.revoke(token).status_code == 200
    assert len(statements()) == 2
