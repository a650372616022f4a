"""What is good once, although no row waits for it."""

from datetime import timedelta

import pytest
from flask import Flask

from app import errors
from app.accounts import sweep
from app.env import Env
from app.signin import once
from tests.conftest import Clock
from tests.parallel import in_parallel


def use(env: Env, digest: str) -> None:
    with env.transaction():
        once.use(env, digest, until=env.now() + timedelta(minutes=10))


def test_the_second_who_comes_is_refused(env: Env) -> None:
    use(env, "one")
    use(env, "another")
    with pytest.raises(errors.SessionUsed):
        use(env, "one")


def test_of_many_who_come_at_once_one_is_let_in(app: Flask, env: Env) -> None:
    outcomes = in_parallel(app, *[lambda: use(env, "one")] * 8)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, errors.SessionUsed) for outcome in outcomes) == 7


def test_what_was_rolled_back_was_not_used(env: Env) -> None:
    with pytest.raises(errors.InvalidParameter), env.transaction():
        once.use(env, "one", until=env.now() + timedelta(minutes=10))
        raise errors.InvalidParameter
    use(env, "one")


def test_it_is_remembered_until_it_is_worthless(env: Env, clock: Clock) -> None:
    use(env, "one")
    clock.forward(minutes=9)
    sweep.expired(env)
    with pytest.raises(errors.SessionUsed):
        use(env, "one")
    clock.forward(minutes=2)
    sweep.expired(env)
    use(env, "one")
