"""What one caller may take of a server, and what that takes from others: nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import errors
from app.env import Env
from app.models import Client
from app.pools import own_settings
from app.throttling import callers, categories
from tests.build import a_client, a_pool, a_user
from tests.conftest import Clock

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
SIGN_IN = "UserAuthentication"


def limited(env: Env, **limits: int | bool) -> Env:
    off = dict.fromkeys(("requests_per_address", "requests_per_account", "requests_per_client"), 0)
    return replace(env, settings=replace(env.settings, **{**off, "provisioned_limits": False, **limits}))


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env, algorithm="ES256"))


def wait(env: Env, client: Client, ip: str = HERE, *, category: str = SIGN_IN, **whose: object) -> int | None:
    """Seconds that a request has to wait; None if it is let in."""
    try:
        callers.check(env, category, ip, pool=client.pool, client=client, **whose)  # type: ignore[arg-type]
    except errors.RateLimited as refused:
        return refused.retry_after
    return None


def test_an_address_is_limited_and_another_is_not(env: Env, client: Client, clock: Clock) -> None:
    env = limited(env, requests_per_address=3)
    assert [wait(env, client) for _ in range(4)] == [None, None, None, 60]
    assert wait(env, client, ELSEWHERE) is None
    assert wait(env, client, category="UserCreation") is None
    clock.forward(seconds=60)
    assert wait(env, client) is None


def test_all_addresses_of_an_ipv6_network_are_one(env: Env, client: Client) -> None:
    env = limited(env, requests_per_address=3)
    same = [f"2001:db8:0:1{n:02x}:{n}::{n}" for n in range(4)]
    assert [wait(env, client, ip) for ip in same] == [None, None, None, 60]
    assert wait(env, client, "2001:db8:0:200::1") is None


def test_to_have_no_address_is_no_way_round_its_limit(env: Env, client: Client) -> None:
    env = limited(env, requests_per_address=2)
    assert [wait(env, client, ip) for ip in ("", "unknown", "")] == [None, None, 60]
    assert wait(env, client, HERE) is None


def test_a_server_that_has_shown_a_secret_has_no_address(env: Env, client: Client) -> None:
    env = limited(env, requests_per_address=1)
    assert {wait(env, client, server=True) for _ in range(5)} == {None}
    assert wait(env, client) is None


def test_a_stranger_uses_up_a_name_for_themselves_only(env: Env, client: Client) -> None:
    env = limited(env, requests_per_account=2)
    flood = [wait(env, client, ELSEWHERE, name=name) for name in ("owner", "Owner", "OWNER")]
    assert flood == [None, None, 60]
    assert wait(env, client, HERE, name="owner") is None
    assert wait(env, client, ELSEWHERE, name="another") is None


def test_who_has_a_token_is_counted_by_their_account_wherever_they_are(env: Env, client: Client) -> None:
    env = limited(env, requests_per_account=2, requests_per_address=1)
    user, other = (a_user(env, client.pool, name, email=None) for name in ("one", "other"))
    assert [wait(env, client, ip, user=user) for ip in (HERE, ELSEWHERE, HERE)] == [None, None, 60]
    assert wait(env, client, user=other) is None


def test_a_client_does_not_take_from_the_others_of_its_pool(env: Env, client: Client, clock: Clock) -> None:
    env = limited(env, requests_per_client=2)
    other = a_client(env, client.pool)
    assert [wait(env, client, f"192.0.2.{n}") for n in range(3)] == [None, None, 1]
    assert wait(env, other) is None
    clock.forward(seconds=1)
    assert wait(env, client) is None


def test_a_flood_of_one_pool_starves_no_other(env: Env, client: Client) -> None:
    env = limited(env, provisioned_limits=True)
    other = a_client(env, a_pool(env, algorithm="ES256"))
    free = categories.FREE["UserCreation"]
    waits = [wait(env, client, f"192.0.2.{n}", category="UserCreation") for n in range(free + 1)]
    assert waits == [None] * free + [1]
    assert wait(env, other, category="UserCreation") is None
    assert wait(env, client, category="UserRead") is None


def test_what_one_address_sends_in_excess_takes_nothing_from_its_pool(env: Env, client: Client) -> None:
    env = limited(env, provisioned_limits=True, requests_per_address=5, requests_per_client=40)
    for _ in range(500):
        wait(env, client, ELSEWHERE, category="UserCreation")
    assert {wait(env, client, f"192.0.2.{n}", category="UserCreation") for n in range(35)} == {None}


def test_a_pool_has_limits_of_its_own(env: Env, client: Client) -> None:
    """With which an application can be tested against a refusal in development too, where the installation has none."""
    env = limited(env)
    assert {wait(env, client) for _ in range(50)} == {None}
    pool = own_settings.configure(env, client.pool, {"requests_per_address": 1})
    assert [wait(env, replace_pool(client, pool)), wait(env, replace_pool(client, pool))] == [None, 60]
    env = limited(env, requests_per_address=1)
    pool = own_settings.configure(env, pool, {"requests_per_address": 0})
    assert {wait(env, replace_pool(client, pool)) for _ in range(50)} == {None}


def replace_pool(client: Client, pool: object) -> Client:
    """The client as it is read again after its pool was changed."""
    return Client(id=client.id, pool_id=client.pool_id, settings=client.settings, pool=pool)


def test_whoever_gets_secrets_wrong_is_refused_before_the_next_is_looked_at(env: Env, clock: Clock) -> None:
    env = limited(env, requests_per_address=2)
    for _ in range(2):
        callers.check_unproven(env, HERE)
        callers.count_unproven(env, HERE)
    with pytest.raises(errors.RateLimited):
        callers.check_unproven(env, HERE)
    callers.check_unproven(env, ELSEWHERE)
    clock.forward(minutes=1)
    callers.check_unproven(env, HERE)


def test_counting_asks_the_database_nothing(env: Env, client: Client, statements: Callable[[], list[str]]) -> None:
    env = limited(env, provisioned_limits=True, requests_per_address=5, requests_per_client=5, requests_per_account=5)
    wait(env, client, name="somebody")
    statements()
    wait(env, client, name="somebody")
    assert statements() == []
