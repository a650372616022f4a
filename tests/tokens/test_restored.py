"""Refresh tokens after a backup was restored: what clients hold is newer than what the database knows."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from app import errors
from app.db import table
from app.env import Env
from app.models import Client, LoginSession, Pool, Restoration, User
from app.tokens import issue
from tests.build import a_client, a_pool, a_user
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.tokens.test_refresh import chain, only_session, renew, rotating
from tests.tokens.test_tokens import issued


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return rotating(env, pool)


@pytest.fixture
def user(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def restored(env: Env, clock: Clock, *, known: LoginSession, accepting: timedelta | None) -> None:
    """The database is what it was when the session was this row."""
    with env.transaction():
        env.db.execute(
            update(table(LoginSession)).values(
                refresh_digest=known.refresh_digest,
                previous_digest=known.previous_digest,
                rotated_at=known.rotated_at,
            )
        )
        env.db.execute(
            insert(Restoration).values(
                id=1, made_at=clock(), restored_at=clock(), accept_older_until=accepting and clock() + accepting
            )
        )


@pytest.fixture
def newest(env: Env, client: Client, user: User, clock: Clock) -> str:
    """The token of a client that has refreshed three times since the backup; it is restored with twelve hours."""
    first = issued(env, client, user).refresh
    second = chain(env, client, first, clock, 1)[-1]
    known = only_session(env)
    token = chain(env, client, second, clock, 3)[-1]
    clock.forward(hours=1)
    restored(env, clock, known=known, accepting=timedelta(hours=12))
    return token


def test_a_token_that_is_newer_than_the_backup_goes_on(env: Env, client: Client, newest: str, clock: Clock) -> None:
    clock.forward(hours=11, minutes=59)
    following = chain(env, client, renew(env, client, newest).refresh or "", clock, 3)
    assert len(set(following)) == 4 and only_session(env).revoked_at is None
    # It is the token that it would have become without the restoration.
    assert following[0][: issue.FAMILY] == newest[: issue.FAMILY]


def test_without_the_option_it_ends_the_session(env: Env, client: Client, newest: str) -> None:
    with env.transaction():
        env.db.execute(update(Restoration).values(accept_older_until=None))
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, newest)
    assert only_session(env).revoked_at is not None


def test_after_the_duration_it_ends_the_session(env: Env, client: Client, newest: str, clock: Clock) -> None:
    clock.forward(hours=12)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, newest)


def test_a_lost_answer_may_be_asked_for_again(env: Env, client: Client, newest: str) -> None:
    assert renew(env, client, newest).refresh == renew(env, client, newest).refresh


def test_it_is_accepted_once_and_reuse_is_noticed_from_then_on(
    env: Env, client: Client, newest: str, clock: Clock
) -> None:
    """A thief who has an older token comes second: the session has been refreshed since, and is known again."""
    good = renew(env, client, newest).refresh or ""
    clock.forward(minutes=1)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, newest)
    with pytest.raises(errors.RefreshTokenRefused):
        renew(env, client, good)


def test_of_many_at_once_one_line_of_tokens_is_left(app: Flask, env: Env, client: Client, newest: str) -> None:
    outcomes = in_parallel(app, *[lambda: renew(env, client, newest).refresh] * 10)
    assert len(set(outcomes)) == 1 and isinstance(outcomes[0], str)


def test_a_session_that_was_refreshed_since_the_restoration_is_known_completely(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    """The client whose token the backup knows simply goes on; what was used before that is used."""
    first = issued(env, client, user).refresh
    second = chain(env, client, first, clock, 1)[-1]
    clock.forward(minutes=1)
    restored(env, clock, known=only_session(env), accepting=timedelta(days=1))
    clock.forward(minutes=1)
    renew(env, client, second)
    clock.forward(minutes=1)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, first)


def test_a_session_that_was_begun_since_is_guarded_as_ever(env: Env, client: Client, user: User, clock: Clock) -> None:
    with env.transaction():
        env.db.execute(
            insert(Restoration).values(
                id=1, made_at=clock(), restored_at=clock(), accept_older_until=clock() + timedelta(days=1)
            )
        )
    first = issued(env, client, user).refresh
    invented = first[: issue.FAMILY] + "A" * (len(first) - issue.FAMILY)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, invented)


def test_a_family_that_the_backup_does_not_know_stays_unknown(env: Env, client: Client, newest: str) -> None:
    with pytest.raises(errors.RefreshTokenRefused):
        renew(env, client, "A" * len(newest))


def test_another_client_and_clients_that_do_not_rotate_gain_nothing(
    env: Env, pool: Pool, client: Client, newest: str
) -> None:
    for other in (rotating(env, pool), a_client(env, pool)):
        with pytest.raises(errors.RefreshTokenRefused):
            renew(env, other, newest)
    assert only_session(env).revoked_at is None


def test_a_refresh_of_a_good_token_does_not_ask_for_it(
    env: Env, client: Client, user: User, statements: Callable[[], list[str]]
) -> None:
    first = issued(env, client, user).refresh
    statements()
    renew(env, client, first)
    assert not [one for one in statements() if "restoration" in one]
    with env.reading() as session:
        assert session.scalars(select(Restoration)).all() == []
