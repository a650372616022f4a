"""How a client proves who it is, at /oauth2/token and /oauth2/revoke (RFC 6749, 2.3)."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from werkzeug.test import TestResponse

from app.env import Env
from app.pools import app_clients, client_secrets
from app.tokens.scopes import granted
from tests import build
from tests.oauth.relying_party import RelyingParty, basic, error

GRANT = {"grant_type": "client_credentials"}


def ask(party: RelyingParty, authorization: str | None = None, **form: str) -> TestResponse:
    """Nothing but what is given here."""
    headers = {"Authorization": authorization} if authorization is not None else {}
    return party.http.post(f"/{party.pool.id}/oauth2/token", data={**GRANT, **form}, headers=headers)


def right(party: RelyingParty) -> str:
    assert party.secret
    return party.secret


def with_secret(env: Env, machine: RelyingParty, secret: str) -> RelyingParty:
    """Another machine of the same pool, with a secret that somebody chose."""
    row = app_clients.create(
        env, machine.pool, name="M", settings=machine.client.settings, generate_secret=False, secret=secret
    )
    return RelyingParty.of(env, machine.http, row)


def test_client_secret_basic(machine: RelyingParty) -> None:
    assert ask(machine, basic(machine.client.id, right(machine))).status_code == 200


def test_client_secret_post(machine: RelyingParty) -> None:
    """Authlib's grant knows client_secret_basic only."""
    assert ask(machine, client_id=machine.client.id, client_secret=right(machine)).status_code == 200


def test_the_scheme_is_in_any_case_and_the_client_id_may_be_repeated(machine: RelyingParty) -> None:
    header = basic(machine.client.id, right(machine)).replace("Basic", "bASIC")
    assert ask(machine, header, client_id=machine.client.id).status_code == 200


def test_two_ways_at_once_are_refused(machine: RelyingParty) -> None:
    header = basic(machine.client.id, right(machine))
    response = ask(machine, header, client_id=machine.client.id, client_secret=right(machine))
    assert error(response) == "invalid_request"


def test_two_clients_at_once_are_refused(env: Env, machine: RelyingParty) -> None:
    other = build.a_client(env, machine.pool)
    assert error(ask(machine, basic(machine.client.id, right(machine)), client_id=other.id)) == "invalid_request"


def test_who_used_the_header_gets_a_challenge_and_who_did_not_gets_none(machine: RelyingParty) -> None:
    """RFC 6749, 5.2."""
    by_header = ask(machine, basic(machine.client.id, "wrong"))
    assert error(by_header, 401) == "invalid_client"
    assert by_header.headers["WWW-Authenticate"].startswith("Basic realm=")
    by_form = ask(machine, client_id=machine.client.id, client_secret="wrong")
    assert error(by_form) == "invalid_client"
    assert "WWW-Authenticate" not in by_form.headers


def test_a_wrong_secret_and_an_unknown_client_are_answered_alike(env: Env, machine: RelyingParty) -> None:
    elsewhere = build.a_machine(env, build.a_pool(env))
    secret = client_secrets.of(env, elsewhere)[0]
    answers = {
        ask(machine, basic(client_id, given)).data
        for client_id, given in [
            (machine.client.id, "wrong"),
            (machine.client.id, right(machine) + "x"),
            (machine.client.id, right(machine)[:-1]),
            (machine.client.id, right(machine).upper()),
            (machine.client.id.upper(), right(machine)),
            ("nobody", right(machine)),
            ("", ""),
            (elsewhere.id, secret),
        ]
    }
    assert len(answers) == 1


def test_an_unknown_client_costs_the_hash_of_a_known_one(
    machine: RelyingParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def count(env: Env, client_id: str, plain: str) -> str:
        hashed.append(client_id)
        return "x" * 43

    monkeypatch.setattr(client_secrets, "digest", count)
    for client_id in (machine.client.id, "nobody"):
        ask(machine, basic(client_id, "a-secret"))
    assert hashed == [machine.client.id, "nobody"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YQ",
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode("ключ:ключ".encode()).decode(),
        "Basic " + base64.b64encode(b"a\0b:c\0d").decode(),
        "Basic " + base64.b64encode(b"%00:%FF%FE").decode(),
        "Bearer abc",
        "Digest username=x",
        "Basic ключ",
    ],
)
def test_a_header_that_makes_no_sense_is_refused_and_never_fails(machine: RelyingParty, header: str) -> None:
    response = machine.http.post(
        f"/{machine.pool.id}/oauth2/token", data=GRANT, headers={"Authorization": header.encode().decode("latin-1")}
    )
    assert error(response, 401) == "invalid_client"


@pytest.mark.parametrize("secret", ["ключ-от-двери", "ü" * 30, "\ud83e", "a\0b", "x" * 10_000])
def test_a_secret_of_any_text_is_compared_without_failing(machine: RelyingParty, secret: str) -> None:
    """Authlib's mixin answers 500 to a secret outside ASCII."""
    encoded = base64.b64encode(f"{machine.client.id}:{quote(secret, errors='replace')}".encode()).decode()
    assert error(ask(machine, f"Basic {encoded}"), 401) == "invalid_client"
    posted = {"client_id": machine.client.id, "client_secret": secret.encode("utf-8", "replace").decode()}
    assert error(ask(machine, **posted)) == "invalid_client"


def test_credentials_in_the_header_are_form_urlencoded(env: Env, machine: RelyingParty) -> None:
    """RFC 6749, 2.3.1; and taken as they stand from the many clients that do not encode them."""
    party = with_secret(env, machine, "a+secret_with+pluses+in_it")
    every = "".join(f"%{byte:02X}" for byte in right(party).encode())
    for sent in (quote_plus(right(party)), right(party), every):
        assert ask(party, basic(party.client.id, sent)).status_code == 200
    encoded_id = "%" + f"{ord(party.client.id[0]):02x}" + party.client.id[1:]
    assert ask(party, basic(encoded_id, quote_plus(right(party)))).status_code == 200
    assert error(ask(party, basic(party.client.id, right(party).replace("+", " "))), 401) == "invalid_client"


def test_a_public_client_needs_its_id_only(relying_party: RelyingParty) -> None:
    assert error(relying_party.redeem("no-code")) == "invalid_grant"
    # Libraries send an empty password for a client that has none.
    response = relying_party.redeem("no-code", client_id=None)
    assert error(response) == "invalid_grant"
    path, form = f"/{relying_party.pool.id}/oauth2/token", {"grant_type": "refresh_token", "refresh_token": "x"}
    header = {"Authorization": basic(relying_party.client.id, "")}
    assert error(relying_party.http.post(path, data=form, headers=header)) == "invalid_grant"


def test_a_public_client_with_a_secret_is_refused(relying_party: RelyingParty) -> None:
    """Passed over, it would look like a client that has proven itself."""
    assert error(ask(relying_party, basic(relying_party.client.id, "guess")), 401) == "invalid_client"
    assert error(ask(relying_party, client_id=relying_party.client.id, client_secret="guess")) == "invalid_client"


def test_a_confidential_client_must_authenticate(confidential: RelyingParty) -> None:
    """Requirement 29."""
    for form in ({}, {"client_id": confidential.client.id}, {"client_id": confidential.client.id, "client_secret": ""}):
        assert error(ask(confidential, **form)) == "invalid_client"
    assert error(ask(confidential, basic(confidential.client.id, "")), 401) == "invalid_client"


def test_credentials_in_the_url_are_none(machine: RelyingParty) -> None:
    """Requirement: URLs are logged. Authlib's Flask request reads them."""
    query = {"client_id": machine.client.id, "client_secret": right(machine), **GRANT}
    response = machine.http.post(f"/{machine.pool.id}/oauth2/token", query_string=query, data=GRANT)
    assert error(response) == "invalid_client"


@pytest.mark.parametrize(
    ("asked", "allowed", "existing", "scope"),
    [
        (None, ["a", "b"], ["a", "b"], "a b"),
        ("", ["a", "b"], ["a", "b"], "a b"),
        ("b a", ["a", "b"], ["a", "b"], "b a"),
        ("a a", ["a", "b"], ["a", "b"], "a"),
        ("a b", ["a", "b"], ["a"], "a"),
        (None, ["a", "b"], ["b"], "b"),
        ("c", ["a", "b"], ["a", "b", "c"], None),
        ("a c", ["a", "b"], ["a", "b"], None),
        ("a  b", ["a", "b"], ["a", "b"], None),
        ("b", ["a", "b"], ["a"], None),
        (None, ["a"], [], None),
        (None, [], [], None),
    ],
)
def test_what_scope_is_granted(asked: str | None, allowed: list[str], existing: list[str], scope: str | None) -> None:
    if scope is None:
        with pytest.raises(ValueError):
            granted(asked, allowed, existing)
    else:
        assert granted(asked, allowed, existing) == scope
