"""`cognate recovery-codes`."""

import pytest

from app.accounts import find, recovery_codes
from app.env import Env
from app.models import Pool
from tests.build import a_pool, a_user, recovery_codes_left
from tests.cli.conftest import Run


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


def test_an_administrator_counts_and_ends_them(run: Run, env: Env, pool: Pool) -> None:
    alice = a_user(env, pool)
    with env.transaction():
        recovery_codes.make(env, find.locked(env, alice.sub))
    assert run("recovery-codes", "count", pool.id, "alice@example.com").output == (
        "alice@example.com has 10 recovery codes left.\n"
    )
    assert run("recovery-codes", "end", pool.id, "alice").output == "10 recovery codes of alice ended.\n"
    assert recovery_codes_left(env, alice) == 0
    assert run("recovery-codes", "count", pool.id, "alice").output == "alice has 0 recovery codes left.\n"


def test_a_name_that_means_nobody_and_a_pool_that_is_not_there(run: Run, pool: Pool) -> None:
    for which in ((pool.id, "nobody"), ("us-east-1_nothing", "alice")):
        done = run("recovery-codes", "end", *which)
        assert done.exit_code != 0 and done.output == ""
