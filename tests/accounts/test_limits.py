"""How often in an hour: calls are counted, whoever makes them, however many at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from app import errors
from app.accounts import limits
from app.env import Env
from app.models import Pool, Throttle
from tests.build import a_pool
from tests.conftest import Clock


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


def call(env: Env, pool: Pool, what: str = "change_password", who: str = "somebody") -> bool:
    """Whether one more call is allowed; it is counted as a refusal with `keep` would."""
    try:
        with env.transaction():
            limits.count(env, pool, what, who)
    except errors.LimitExceeded as refused:
        assert refused.message == "Attempt limit exceeded, please try after some time."
        return False
    return True


@pytest.mark.parametrize("what", limits.PER_HOUR)
def test_so_many_are_allowed_and_no_more(env: Env, pool: Pool, what: str) -> None:
    assert [call(env, pool, what) for _ in range(limits.PER_HOUR[what] + 2)].count(True) == limits.PER_HOUR[what]


def test_an_hour_after_the_first_it_begins_anew(env: Env, pool: Pool, clock: Clock) -> None:
    for _ in range(3):
        assert call(env, pool)
    clock.forward(minutes=59)
    assert call(env, pool) and call(env, pool)
    for _ in range(3):  # what is refused does not extend it
        assert not call(env, pool)
    clock.forward(minutes=1)
    assert [call(env, pool) for _ in range(6)] == [True] * 5 + [False]


def test_others_are_counted_on_their_own(env: Env, pool: Pool) -> None:
    while call(env, pool):
        pass
    assert call(env, pool, who="somebody else")
    assert call(env, pool, "verify_attribute")
    assert call(env, a_pool(env, algorithm="ES256"))


def test_what_is_rolled_back_was_not_counted(env: Env, pool: Pool) -> None:
    for _ in range(10):
        with pytest.raises(errors.AliasExists), env.transaction():
            limits.count(env, pool, "change_password", "somebody")
            raise errors.AliasExists
    assert call(env, pool)


def test_what_is_used_up_can_be_seen_before_slow_work(env: Env, pool: Pool, clock: Clock) -> None:
    limits.check(env, pool, "change_password", "somebody")
    while call(env, pool):
        pass
    with pytest.raises(errors.LimitExceeded):
        limits.check(env, pool, "change_password", "somebody")
    clock.forward(hours=1)
    limits.check(env, pool, "change_password", "somebody")


def test_calls_in_parallel_are_all_counted(app: Flask, env: Env, pool: Pool) -> None:
    """From the first, which makes the counter, on."""
    start = threading.Barrier(20)

    def one(_: int) -> bool:
        with app.app_context():
            start.wait()
            return call(env, pool, "verify_attribute")

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(one, range(20))) == 15


def test_nobody_can_be_found_in_the_counters(env: Env, pool: Pool) -> None:
    call(env, pool, who="alice@example.com")
    with env.reading() as session:
        (row,) = session.scalars(select(Throttle))
    assert "alice" not in row.key and len(row.key) == 43
