"""The tables of docs/quick-starts/claims.md, held against tokens that are issued."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app.accounts import groups as memberships
from app.env import Env, Origin
from app.models import Client, Membership, Pool, User
from app.tokens import exchange, issue
from app.tokens.claims import API_SCOPE
from app.tokens.exchange import Presented
from tests.build import a_client, a_machine, a_pool, a_user
from tests.journeys.people import payload
from tests.quick_start_pages import code, table

PAGE = "claims.md"
KINDS = {"ID token": "id", "access token": "access", "machine": "machine"}
API = "https://api.example.com"
ATTRIBUTES = {
    "email": "alice@example.com",
    "email_verified": "true",
    "phone_number": "+15550100",
    "phone_number_verified": "false",
    "name": "Alice",
    "given_name": "Alice",
    "family_name": "Doe",
    "middle_name": "B.",
    "nickname": "Al",
    "preferred_username": "al",
    "profile": "https://example.com/alice",
    "picture": "https://example.com/alice.png",
    "website": "https://example.com",
    "gender": "female",
    "birthdate": "1990-01-01",
    "zoneinfo": "Europe/Berlin",
    "locale": "en",
    "updated_at": "1772370000",
    "address": "1 Main Street",
    "custom:score": "7",
}
Tokens = list[dict[str, Any]]


def tokens(
    env: Env, client: Client, user: User, *, oauth: bool, nonce: str | None = None, **session: Any
) -> issue.Tokens:
    given = {"scope": API_SCOPE, "auth_time": env.now(), "methods": ["PASSWORD"], "origin": Origin(), **session}
    with env.transaction():
        opened = issue.open_session(env, client, user, **given)
    return issue.signed(env, client, user, opened.session, oauth=oauth, nonce=nonce)


def with_everything(env: Env) -> Pool:
    return a_pool(
        env,
        algorithm="ES256",
        schema=[{"name": "score", "attribute_data_type": "Number"}],
    )


@pytest.fixture
def issued(env: Env) -> dict[str, Tokens]:
    """By kind: one with as little in it as there can be, and others that have everything between them."""
    plain = a_pool(env, algorithm="ES256")
    bare = tokens(env, a_client(env, plain, enable_token_revocation=False), a_user(env, plain, email=None), oauth=False)

    pool = a_pool(env, algorithm="ES256")
    machine = a_machine(env, pool)
    both = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION", "ALLOW_TOKEN_EXCHANGE_DELEGATION"]
    scopes = ["openid", "email", f"{API}/read"]
    client = a_client(env, pool, allowed_oauth_scopes=scopes)
    service = a_client(env, pool, explicit_auth_flows=both, allowed_oauth_scopes=scopes)
    user = a_user(env, pool)
    for name, precedence in (("admins", 1), ("editors", 2)):
        role = f"arn:aws:iam::123456789012:role/{name}"
        memberships.create(env, pool, name=name, description=None, precedence=precedence, role_arn=role)
        memberships.add(env, pool, name=name, username=user.username)
    with env.reading() as database:
        user = (
            database.scalars(
                select(User)
                .where(User.sub == user.sub)
                .options(joinedload(User.memberships).joinedload(Membership.group))
            )
            .unique()
            .one()
        )
    full = tokens(
        env,
        client,
        user,
        oauth=True,
        nonce="n-0S6_WzA2Mj",
        scope=" ".join(scopes),
        methods=["PASSWORD", "SOFTWARE_TOKEN_MFA"],
        acr_asked=True,
        device_key="us-east-1_6f1b0c2d-3e4f-4a5b-8c6d-7e8f9a0b1c2d",
    )
    acting = issue.for_machine(env, machine, f"{API}/read")

    def derived(wanted: str, resource: str | None) -> dict[str, Any]:
        made = exchange.derive(
            env,
            service,
            subject=Presented(full.access, "access"),
            actor=Presented(acting.access, "access"),
            wanted=wanted,
            scopes=[],
            existing=scopes,
            audience=None,
            resource=resource,
            oauth=True,
        )
        return payload(made.token)

    assert bare.id and full.id
    return {
        "id": [payload(bare.id), payload(full.id), derived("id", None)],
        "access": [payload(bare.access), payload(full.access), derived("access", API)],
        "machine": [payload(acting.access)],
    }


def kind(value: Any) -> str:
    """The name of a JSON type."""
    return {bool: "boolean", int: "number", str: "string", list: "array", dict: "object"}[type(value)]


@pytest.mark.parametrize("column", KINDS)
def test_the_table_lists_every_claim_and_says_when_it_is_there(issued: dict[str, Tokens], column: str) -> None:
    of_user = {"email", "email_verified"}  # the table after that one
    listed = {code(row["claim"])[0]: row[column] for row in table(PAGE, "Claims of each token")}
    found = [claims.keys() - of_user for claims in issued[KINDS[column]]]
    assert {name for name, when in listed.items() if when != "–"} == set.union(*map(set, found))
    assert {name for name, when in listed.items() if when == "always"} == set.intersection(*map(set, found))


def test_the_examples_are_of_the_type_that_the_claims_are(issued: dict[str, Tokens]) -> None:
    for row in table(PAGE, "Claims of each token"):
        name, example = code(row["claim"])[0], json.loads(code(row["example"])[0])
        values = [claims[name] for each in issued.values() for claims in each if name in claims]
        assert {kind(value) for value in values} == {kind(example)}, name


def identity(env: Env, scope: str, oauth: bool = True) -> dict[str, Any] | None:
    """The attributes of a user who has them all, in an ID token."""
    pool = with_everything(env)
    given = {name: value for name, value in ATTRIBUTES.items() if name not in ("email", "email_verified")}
    token = tokens(env, a_client(env, pool), a_user(env, pool, **given), oauth=oauth, scope=scope).id
    if token is None:
        return None
    return {name: value for name, value in payload(token).items() if name in ATTRIBUTES}


def test_attributes_have_the_types_that_the_table_says(env: Env) -> None:
    found = identity(env, API_SCOPE, oauth=False)
    assert found is not None and found.keys() == ATTRIBUTES.keys()
    types: dict[str, str] = {}
    for row in table(PAGE, "Attributes"):
        assert kind(json.loads(code(row["example"])[0])) == row["type"]
        types |= dict.fromkeys(code(row["attribute"]), row["type"])
    assert types.pop("custom:…") == "string"
    assert {name: kind(value) for name, value in found.items()} == {name: types.get(name, "string") for name in found}


def test_scopes_choose_the_attributes_that_the_table_says(env: Env) -> None:
    four = {"email", "email_verified", "phone_number", "phone_number_verified"}
    for row in table(PAGE, "Scopes"):
        scopes, words = code(row["scopes asked for"])[0], row["attributes in the ID token"]
        if row["scopes asked for"].startswith("without"):
            assert identity(env, "email profile") is None
            continue
        expected = {"all": set(ATTRIBUTES), "all but those four": ATTRIBUTES.keys() - four}.get(words, set(code(words)))
        found = identity(env, scopes)
        assert found is not None and found.keys() == expected, scopes
