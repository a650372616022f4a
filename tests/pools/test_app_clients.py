"""App clients: what they may have, what an update puts back, who is told that there is none."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select

from app import errors
from app.db import table
from app.env import Env
from app.models import Client, UICustomization
from app.pools import app_clients, client_secrets, client_settings, find
from tests.build import CALLBACK, a_client, a_pool
from tests.conftest import Clock
from tests.pools.test_user_pools import at_once


def client_with(env: Env, pool: Any, *, secret: bool = False, **settings: Any) -> Any:
    return app_clients.create(env, pool, name="C", settings=settings, generate_secret=secret, secret=None)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://app.example.com/cb?x=1", True),
        ("http://localhost:3000/cb", True),
        ("http://127.0.0.1/cb", True),
        ("http://[::1]:8/cb", True),
        ("myapp://callback", True),
        ("com.example.app:/cb", True),
        ("http://app.example.com/cb", False),
        ("http://localhost.example.com/cb", False),
        ("https:///cb", False),
        ("https://app.example.com/#f", False),
        ("https://app.example.com/cb#", False),
        ("javascript://h/%0aalert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("/relative", False),
        ("https://a b", False),
        ("https://app.example.com/\r\nX: y", False),
        ("//app.example.com", False),
        ("https://[::1", False),
        ("https://app.example.com:99999/cb", False),
    ],
)
def test_which_urls_a_browser_may_be_sent_to(url: str, fine: bool) -> None:
    if fine:
        client_settings.check_url(url)
        return
    with pytest.raises(errors.InvalidParameter, match="is not a valid redirect URI"):
        client_settings.check_url(url)


CODE = {"allowed_oauth_flows": ["code"], "allowed_oauth_flows_user_pool_client": True, "callback_urls": [CALLBACK]}
MACHINE = {"allowed_oauth_flows_user_pool_client": True, "allowed_oauth_scopes": ["aws.cognito.signin.user.admin"]}


@pytest.mark.parametrize(
    ("given", "refusal", "sentence"),
    [
        ({**CODE, "allowed_oauth_scopes": ["nope"]}, errors.ScopeDoesNotExist, "Invalid scope requested: nope"),
        ({**CODE, "allowed_oauth_scopes": ["email"]}, errors.InvalidParameter, "openid must be present"),
        ({**CODE}, errors.InvalidParameter, "are required"),
        ({**MACHINE, "allowed_oauth_flows": ["client_credentials"]}, errors.InvalidOAuthFlow, "does not have a client"),
        ({**MACHINE, "allowed_oauth_flows": ["client_credentials", "code"]}, errors.InvalidOAuthFlow, "along with"),
        ({"explicit_auth_flows": ["ADMIN_NO_SRP_AUTH", "ALLOW_USER_SRP_AUTH"]}, errors.InvalidParameter, "mixed"),
        ({"access_token_validity": 2, "token_validity_units": {"access_token": "days"}}, errors.InvalidParameter,
         "Invalid range for token validity."),
        ({"access_token_validity": 20, "refresh_token_validity": 2, "token_validity_units": {"refresh_token": "hours"}},
         errors.InvalidParameter, "must not live longer"),
        ({"read_attributes": ["custom:nope"]}, errors.InvalidParameter, "Invalid read attributes"),
        ({"default_redirect_uri": "https://x.example/"}, errors.InvalidParameter, "one of the callback URLs"),
        ({"refresh_token_rotation": {"feature": "ENABLED"}, "explicit_auth_flows": ["ALLOW_REFRESH_TOKEN_AUTH"]},
         errors.InvalidParameter, "cannot be combined with ALLOW_REFRESH_TOKEN_AUTH"),
        ({"token_validity_units": {"access_token": "minutes"}}, errors.InvalidParameter, "Invalid range"),
        ({"token_validity_units": {"refresh_token": "minutes"}}, errors.InvalidParameter, "Invalid range"),
        ({"refresh_token_validity": 3651}, errors.InvalidParameter, "Invalid range"),
        ({"write_attributes": ["email_verified"]}, errors.InvalidParameter, "Invalid write attributes"),
        ({"write_attributes": ["sub"]}, errors.InvalidParameter, "Invalid write attributes"),
        ({"enable_propagate_additional_user_context_data": True}, errors.InvalidParameter, "a client with a secret"),
        ({"supported_identity_providers": ["Google"]}, errors.InvalidParameter, "The provider Google does not exist"),
        ({"logout_urls": ["http://app.example.com/"]}, errors.InvalidParameter, "is not a valid redirect URI"),
        ({**CODE, "allowed_oauth_flows": ["implicit"], "callback_urls": [], "allowed_oauth_scopes": ["openid"]},
         errors.InvalidParameter, "at least one callback URL"),
    ],
)  # fmt: skip
def test_clients_whose_settings_do_not_fit_are_neither_made_nor_changed_to_them(
    env: Env, given: dict[str, Any], refusal: type[errors.Refusal], sentence: str
) -> None:
    pool = a_pool(env)
    with pytest.raises(refusal, match=sentence):
        client_with(env, pool, **given)
    client = client_with(env, pool)
    with pytest.raises(refusal, match=sentence):
        app_clients.update(env, client, name="Other", settings=given)
    after = find.client(env, client.id)
    assert (after.name, after.settings) == (client.name, client.settings)


@pytest.mark.parametrize(
    ("flows", "allowed"),
    [
        ([], {"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"}),
        (["ADMIN_NO_SRP_AUTH"], {"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH",
                                 "ALLOW_ADMIN_USER_PASSWORD_AUTH"}),
        (["CUSTOM_AUTH_FLOW_ONLY"], {"ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}),
        (["ALLOW_USER_PASSWORD_AUTH"], {"ALLOW_USER_PASSWORD_AUTH"}),
    ],
)  # fmt: skip
def test_flows_of_the_old_style_mean_those_of_the_new(env: Env, flows: list[str], allowed: set[str]) -> None:
    assert client_with(env, a_pool(env), explicit_auth_flows=flows).auth_flows == allowed


def test_a_client_is_of_its_pool(env: Env) -> None:
    client = a_client(env, a_pool(env))
    assert find.client(env, client.id, client.pool).id == client.id
    for lookup in (lambda: find.client(env, client.id, a_pool(env)), lambda: find.client(env, "nope")):
        with pytest.raises(errors.UnknownClient, match="User pool client .* does not exist."):
            lookup()


def test_a_unit_without_a_number_is_of_the_default_number(env: Env) -> None:
    units = {"access_token": "days", "refresh_token": "hours"}
    client = client_with(env, a_pool(env), token_validity_units=units)
    hours = [
        life.total_seconds() / 3600 for life in (client.access_validity, client.id_validity, client.refresh_validity)
    ]
    assert hours == [24, 1, 30]


def test_a_refresh_token_that_would_live_for_nothing_lives_for_thirty_days(env: Env) -> None:
    assert client_with(env, a_pool(env), refresh_token_validity=0).refresh_validity.days == 30


def test_flows_and_factors_that_are_not_built_are_kept_all_the_same(env: Env) -> None:
    implicit = {**CODE, "allowed_oauth_flows": ["implicit"], "allowed_oauth_scopes": ["openid"]}
    given = {**implicit, "explicit_auth_flows": ["ALLOW_USER_AUTH"], "refresh_token_rotation": {"feature": "ENABLED"}}
    client = client_with(env, a_pool(env), **given)
    assert {name: client.settings[name] for name in given} == given


@pytest.mark.parametrize("flows", [[], ["ADMIN_NO_SRP_AUTH"]])
def test_what_rotates_is_not_refreshed_by_the_flow_that_rotates_nothing(env: Env, flows: list[str]) -> None:
    rotating = {"refresh_token_rotation": {"feature": "ENABLED", "retry_grace_period_seconds": 10}}
    client = client_with(env, a_pool(env), explicit_auth_flows=flows, **rotating)
    assert client.rotates
    assert "ALLOW_REFRESH_TOKEN_AUTH" not in client.auth_flows
    assert "ALLOW_USER_SRP_AUTH" in client.auth_flows


def test_required_attributes_stay_writable(env: Env) -> None:
    pool = a_pool(env, schema=[{"name": "name", "required": True}])
    with pytest.raises(errors.InvalidParameter, match="Required attributes must be writable: name"):
        client_with(env, pool, write_attributes=["email"])
    assert client_with(env, pool, write_attributes=["email", "name"]).writable == {"email", "name"}


def test_an_update_puts_back_everything_but_name_secrets_and_session(env: Env, clock: Clock) -> None:
    client = a_client(env, a_pool(env), secret=True, auth_session_validity=15, enable_token_revocation=False)
    app_clients.set_session(env, client, longest=5)
    secrets = client_secrets.of(env, client)
    clock.forward(minutes=1)
    after = app_clients.update(env, client, name=None, settings={})
    assert client_secrets.of(env, after) == secrets
    assert (after.name, after.settings["session_configuration"]) == (
        client.name,
        {"sso_session": {"max_validity_minutes": 5}},
    )
    assert (after.oauth_flows, after.callback_urls, after.revocable) == (frozenset(), [], True)
    assert after.session_validity.total_seconds() == 180
    assert after.modified_at > after.created_at
    plain = client_with(env, client.pool)
    theirs = {name: value for name, value in after.settings.items() if name not in client_settings.KEPT}
    assert theirs == plain.settings


def test_a_thousand_clients_are_all_unless_the_operator_has_raised_the_limit(
    env: Env, limited: Callable[..., Env]
) -> None:
    pool = a_pool(env)
    settings = client_settings.with_defaults({})
    made = {"pool_id": pool.id, "name": "C", "settings": settings, "created_at": env.now(), "modified_at": env.now()}
    with env.transaction():
        env.db.execute(insert(table(Client)), [{"id": f"client{n}", **made} for n in range(999)])
    client_with(env, pool)
    with pytest.raises(errors.LimitExceeded, match="at most 1000 clients"):
        client_with(env, pool)
    client_with(env, a_pool(env))
    client_with(limited(clients=1001), pool)


def test_clients_are_listed_by_pages(env: Env) -> None:
    pool = a_pool(env)
    made = sorted(client_with(env, pool, secret=n % 2 == 0).id for n in range(5))
    client_with(env, a_pool(env))
    seen: list[str] = []
    token = None
    while True:
        page = app_clients.listed(env, pool, limit=2, token=token, kind=None)
        assert len(page.rows) <= 2
        seen += [client.id for client in page.rows]
        token = page.token
        if token is None:
            break
    assert seen == made
    assert [one.id for one in app_clients.listed(env, pool, limit=60, token=None, kind="REGULAR").rows] == made
    assert app_clients.listed(env, pool, limit=60, token=None, kind="DCR").rows == []


def test_a_page_of_one_pool_is_none_of_anothers(env: Env) -> None:
    pool, other = a_pool(env), a_pool(env)
    for _ in range(2):
        client_with(env, pool)
    token = app_clients.listed(env, pool, limit=1, token=None, kind=None).token
    for elsewhere, kind in ((other, None), (pool, "REGULAR")):
        with pytest.raises(errors.InvalidParameter, match="Invalid pagination token"):
            app_clients.listed(env, elsewhere, limit=1, token=token, kind=kind)


def test_a_deleted_client_leaves_nothing_behind(env: Env) -> None:
    pool = a_pool(env)
    client, other = a_client(env, pool, secret=True), a_client(env, pool)
    look = {"pool_id": pool.id, "css": ".x{}", "css_version": "1", "created_at": env.now(), "modified_at": env.now()}
    with env.transaction():
        env.db.add_all(UICustomization(client_id=of, **look) for of in (client.id, other.id, "ALL"))
    app_clients.delete(env, client)
    with pytest.raises(errors.UnknownClient):
        find.client(env, client.id)
    with env.reading() as session:
        assert sorted(session.scalars(select(UICustomization.client_id))) == sorted([other.id, "ALL"])


def test_whoever_comes_after_the_deletion_is_told_that_there_is_no_client(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env), secret=True)
    seen = at_once(
        app,
        lambda: app_clients.delete(env, client),
        lambda: app_clients.delete(env, client),
        lambda: app_clients.update(env, client, name="Late", settings={}) and None,
        lambda: app_clients.set_session(env, client, longest=1) and None,
        lambda: client_secrets.add(env, client, None) and None,
    )
    gone = f"User pool client {client.id} does not exist."
    assert sorted(map(str, seen[:2])) == ["None", gone]
    assert {str(one) for one in seen[2:]} <= {"None", gone}
    with pytest.raises(errors.UnknownClient):
        find.client(env, client.id)


def test_of_updates_at_once_one_has_the_last_word_in_everything(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env))

    def updating(n: int) -> Any:
        given = {"auth_session_validity": 3 + n, "logout_urls": [f"https://x.example/{n}"]}
        return lambda: app_clients.update(env, client, name=f"Client {n}", settings=given) and None

    assert at_once(app, *map(updating, range(6))) == [None] * 6
    after = find.client(env, client.id)
    n = int(after.name.split()[1])
    assert (after.settings["auth_session_validity"], after.logout_urls) == (3 + n, [f"https://x.example/{n}"])
