"""Secrets of app clients: how one is replaced by another, and what two who do it at once can never come to."""

from collections import Counter

import pytest
from flask import Flask

from app import errors
from app.env import Env
from app.models import Client
from app.pools import app_clients, client_secrets, find
from tests.build import a_client, a_machine, a_pool
from tests.pools.test_user_pools import at_once


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env), secret=True)


def ids(env: Env, client: Client) -> list[str]:
    return [row.id for row in client_secrets.listed(env, client, token=None).rows]


def test_a_secret_is_sealed_shown_again_and_recognised(env: Env) -> None:
    client = a_machine(env, a_pool(env))
    (plain,) = client_secrets.of(env, client)
    assert len(plain) >= 51
    (row,) = client.secrets
    assert plain not in row.sealed
    assert row.digest == client_secrets.digest(env, client.id, plain)
    with pytest.raises(errors.InvalidParameter, match="Only one of"):
        app_clients.create(env, client.pool, name="C", settings={}, generate_secret=True, secret="x" * 24)


def test_a_second_secret_is_made_or_given_and_a_third_is_not(env: Env, client: Client) -> None:
    first = client_secrets.of(env, client)
    added = client_secrets.add(env, client, None)
    assert client_secrets.of(env, find.client(env, client.id)) == [*first, added.value]
    with pytest.raises(errors.LimitExceeded):
        client_secrets.add(env, client, None)
    client_secrets.remove(env, client, ids(env, client)[0])
    client_secrets.add(env, client, "a" * 24)
    assert client_secrets.of(env, find.client(env, client.id)) == [added.value, "a" * 24]


def test_the_last_secret_stays(env: Env, client: Client) -> None:
    (only,) = ids(env, client)
    with pytest.raises(errors.InvalidParameter, match="The last secret of a client cannot be deleted."):
        client_secrets.remove(env, client, only)
    assert ids(env, client) == [only]


def test_a_client_without_a_secret_is_given_none(env: Env) -> None:
    """Everybody who uses it now would be refused."""
    public = a_client(env, a_pool(env))
    with pytest.raises(errors.InvalidParameter, match="cannot be given one"):
        client_secrets.add(env, public, None)
    assert not find.client(env, public.id).confidential


def test_the_same_secret_twice_would_not_end_with_one_of_them(env: Env, client: Client) -> None:
    (plain,) = client_secrets.of(env, client)
    with pytest.raises(errors.InvalidParameter, match="has this secret already"):
        client_secrets.add(env, client, plain)


def test_ids_made_in_one_second_differ_and_never_come_again(env: Env, client: Client) -> None:
    """The clock stands still: a deletion that is sent twice must not meet the next secret."""
    seen = ids(env, client)
    for _ in range(3):
        added = client_secrets.add(env, client, None).row.id
        assert added not in seen
        seen.append(added)
        client_secrets.remove(env, client, added)
        with pytest.raises(errors.ResourceNotFound):
            client_secrets.remove(env, client, added)
    app_clients.update(env, client, name=None, settings={})
    assert client_secrets.add(env, client, None).row.id not in seen


def test_a_secret_of_another_client_is_not_there(env: Env, client: Client) -> None:
    other = a_client(env, client.pool, secret=True)
    client_secrets.add(env, client, None)
    with pytest.raises(errors.ResourceNotFound):
        client_secrets.remove(env, client, ids(env, other)[0])
    assert len(ids(env, other)) == 1


def test_however_many_are_added_at_once_there_are_two(app: Flask, env: Env, client: Client) -> None:
    seen = at_once(app, *[lambda: client_secrets.add(env, client, None)] * 6)
    assert Counter(type(one) for one in seen) == {client_secrets.Added: 1, errors.LimitExceeded: 5}
    assert len(ids(env, client)) == 2


def test_of_two_who_delete_one_secret_each_one_is_refused(app: Flask, env: Env, client: Client) -> None:
    client_secrets.add(env, client, None)
    one, two = ids(env, client)
    seen = at_once(
        app, lambda: client_secrets.remove(env, client, one), lambda: client_secrets.remove(env, client, two)
    )
    assert sorted(map(str, seen)) == ["None", "The last secret of a client cannot be deleted."]
    assert len(ids(env, client)) == 1
