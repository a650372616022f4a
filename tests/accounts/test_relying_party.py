"""For which name passkeys are made, and which pages may ask for them."""

from typing import Any

import pytest
from flask import Flask

from app import errors
from app.accounts import relying_party
from app.config import Settings
from app.env import Env
from app.models import Pool
from app.pools import app_clients, domains, find, mfa
from tests.build import a_client, a_pool
from tests.conftest import test_settings

DOMAIN = {"custom_domain_config": {"certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/x"}}


@pytest.fixture
def settings(database_url: str, tmp_path: Any, request: pytest.FixtureRequest) -> Settings:
    """A server at https://auth.example.com, unless a test says otherwise."""
    marker = request.node.get_closest_marker("parametrize")
    base = (
        request.getfixturevalue("base_url") if marker and "base_url" in marker.args[0] else "https://auth.example.com"
    )
    return test_settings(database_url, data_dir=tmp_path, base_url=base)


def configured(env: Env, pool: Pool, rp_id: str) -> Pool:
    return mfa.configure(env, pool, {"web_authn_configuration": {"relying_party_id": rp_id}})


def test_it_is_the_name_that_is_configured_or_the_nearest_of_the_pools_own(env: Env) -> None:
    pool = a_pool(env)
    assert relying_party.of(env, pool).id == "auth.example.com"
    domains.create(env, pool, domain="people", custom=False, settings={})
    assert relying_party.of(env, pool).id == "people.auth.example.com"
    domains.create(env, pool, domain="login.example.net", custom=True, settings=DOMAIN)
    assert relying_party.of(env, pool).id == "login.example.net"
    assert relying_party.of(env, configured(env, pool, "example.com")).id == "example.com"
    assert relying_party.of(env, a_pool(env)).id == "auth.example.com"


@pytest.mark.parametrize("base_url", ["https://192.0.2.1", "https://[2001:db8::1]:8443"])
def test_an_address_is_none(env: Env, base_url: str) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.WebAuthnConfigurationMissing):
        relying_party.of(env, pool)
    assert relying_party.of(env, configured(env, pool, "example.com")).id == "example.com"


def test_pages_at_or_below_the_name_may_ask_if_they_are_the_pools_or_its_clients(env: Env) -> None:
    pool = configured(env, a_pool(env), "example.com")
    domains.create(env, pool, domain="people", custom=False, settings={})
    domains.create(env, pool, domain="login.example.net", custom=True, settings=DOMAIN)
    a_client(
        env,
        pool,
        callback_urls=[
            "https://app.example.com/callback?x=1",
            "https://App.Example.com:443/other",
            "https://app.example.com:8443/",
            "https://example.com.evil.example/",
            "https://notexample.com/",
            "https://example.com@evil.example/",
            "http://localhost:3000/",
            "myapp://app.example.com/",
        ],
        logout_urls=["https://www.example.com/bye"],
    )
    a_client(env, a_pool(env), callback_urls=["https://other.example.com/"])
    assert relying_party.of(env, pool).origins == {
        "https://example.com",
        "https://auth.example.com",
        "https://people.auth.example.com",
        "https://app.example.com",
        "https://app.example.com:8443",
        "https://www.example.com",
    }


def test_what_a_client_registers_counts_at_once(env: Env) -> None:
    pool = configured(env, a_pool(env), "example.com")
    assert "https://new.example.com" not in relying_party.of(env, pool).origins
    client = a_client(env, pool, callback_urls=["https://new.example.com/"])
    assert "https://new.example.com" in relying_party.of(env, pool).origins
    app_clients.delete(env, client)
    assert "https://new.example.com" not in relying_party.of(env, pool).origins


@pytest.mark.parametrize("base_url", ["http://localhost:8080"])
def test_on_a_laptop_http_does(env: Env, base_url: str) -> None:
    pool = a_pool(env)
    a_client(env, pool, callback_urls=["http://localhost:3000/", "http://127.0.0.1:3000/"], logout_urls=[])
    assert relying_party.of(env, pool) == relying_party.RelyingParty(
        "localhost", frozenset({"https://localhost", "http://localhost:8080", "http://localhost:3000"})
    )
    domains.create(env, pool, domain="people", custom=False, settings={})
    assert relying_party.of(env, pool) == relying_party.RelyingParty(
        "people.localhost", frozenset({"https://people.localhost", "http://people.localhost:8080"})
    )


@pytest.mark.parametrize("base_url", ["https://auth.example.com:8443"])
def test_a_custom_domain_is_reached_with_the_servers_port_or_through_a_proxy_without(env: Env, base_url: str) -> None:
    pool = a_pool(env)
    domains.create(env, pool, domain="login.example.net", custom=True, settings=DOMAIN)
    assert relying_party.of(env, pool).origins == {"https://login.example.net", "https://login.example.net:8443"}


def test_it_is_asked_for_without_a_statement_once_it_is_known(app: Flask, env: Env, statements: Any) -> None:
    pool = find.pool(env, configured(env, a_pool(env), "example.com").id)
    relying_party.of(env, pool)
    statements()
    relying_party.of(env, pool)
    assert statements() == []
