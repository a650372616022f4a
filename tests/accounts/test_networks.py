"""How many may sign up from one network."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app import errors
from app.accounts import find, networks, sign_up
from app.api.caller import identified
from app.api.registry import OPERATIONS
from app.env import Env, Origin
from app.models import Client
from tests.build import PASSWORD, a_client, a_pool
from tests.conftest import Clock
from tests.parallel import in_parallel


@pytest.fixture
def env(env: Env) -> Env:
    return replace(env, settings=replace(env.settings, sign_ups_per_network=3))


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env, algorithm="ES256", auto_verified_attributes=[]))


def register(env: Env, client: Client, name: str, origin: Origin) -> bool:
    try:
        sign_up.sign_up(env, client, username=name, password=PASSWORD, attributes={}, origin=origin)
    except errors.LimitExceeded as refused:
        assert refused.message == "Attempt limit exceeded, please try after some time."
        assert find.by_name(env, client.pool, name) is None
        return False
    return True


@pytest.mark.parametrize(
    ("ip", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("2001:db8:1:200:ffff::", "2001:db8:1:200::/56"),
        ("2001:db8:1:300::1", "2001:db8:1:300::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("", None),
        ("unix:", None),
    ],
)
def test_what_counts_as_one_network(ip: str, counted: str | None) -> None:
    assert networks.network(ip) == counted


def test_accounts_cannot_be_made_by_the_thousand_from_one_network(env: Env, client: Client, clock: Clock) -> None:
    spread = [Origin(ip=f"2001:db8:0:1{n:02x}::{n}") for n in range(5)]
    assert [register(env, client, f"m{n}", origin) for n, origin in enumerate(spread)] == [True] * 3 + [False] * 2
    assert register(env, client, "elsewhere", Origin(ip="2001:db8:0:200::1"))
    assert register(env, client, "at home", Origin(ip="192.0.2.1"))
    other = a_client(env, a_pool(env, algorithm="ES256", auto_verified_attributes=[]))
    assert register(env, other, "another pool", spread[0])
    clock.forward(hours=1)
    assert register(env, client, "later", spread[0])


def test_sign_ups_in_parallel_are_all_counted(app: Flask, env: Env, client: Client) -> None:
    origin = Origin(ip="192.0.2.1")
    outcomes = in_parallel(app, *(lambda n=n: register(env, client, f"m{n}", origin) for n in range(8)))
    assert outcomes.count(True) == 3


def test_a_name_that_was_taken_counts_for_nothing(env: Env, client: Client) -> None:
    origin = Origin(ip="192.0.2.1")
    assert register(env, client, "alice", origin)
    for _ in range(5):
        with pytest.raises(errors.UsernameExists):
            register(env, client, "alice", origin)
    assert register(env, client, "bob", origin)


def test_a_server_that_has_shown_its_secret_is_not_counted(env: Env) -> None:
    for secret in (True, False):
        pool = a_pool(env, algorithm="ES256", auto_verified_attributes=[])
        client: Any = a_client(env, pool, secret=secret)
        operation = OPERATIONS["ForgetDevice"]
        assert identified(env, operation, {"ClientId": client.id}, Origin("192.0.2.1")).origin.server is secret
    assert networks.count_sign_up(env, pool, Origin("192.0.2.1", server=True)) is None


def test_by_default_development_takes_any_number(app: Flask, client: Client) -> None:
    testing: Env = app.extensions["cognate"]
    assert testing.settings.sign_ups_per_network == 0
    assert all(register(testing, client, f"n{n}", Origin(ip="127.0.0.1")) for n in range(5))
