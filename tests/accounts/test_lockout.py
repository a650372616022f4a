"""How often may be tried: counted before it is looked at, and never to keep the owner out."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import lockout
from app.env import Env, Origin
from app.models import Client, Throttle, User
from app.signin import flow, granting
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock
from tests.parallel import in_parallel

HOME, ABROAD = Origin(ip="192.0.2.1"), Origin(ip="203.0.113.9")


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env, algorithm="ES256"), prevent_user_existence_errors="ENABLED")


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def test_who_is_locked_out_costs_what_a_name_of_nobody_costs(
    env: Env, client: Client, alice: User, statements: Callable[[], list[str]]
) -> None:
    """No hash hides then how long it took."""

    def asked(name: str) -> list[str]:
        statements()
        with pytest.raises(errors.NotAuthorized):
            flow.begin(
                env, client, flow="USER_PASSWORD_AUTH", given={"USERNAME": name, "PASSWORD": "wrong"}, origin=ABROAD
            )
        return statements()

    for _ in range(lockout.FREE):
        asked("alice")
        asked("nobody")
    assert asked("alice") == asked("nobody") != []


def counter(env: Env, client: Client, user: User, origin: Origin = ABROAD) -> lockout.Counter:
    return lockout.counter(env, client.pool, sub=user.sub, origin=origin)


def attempt(env: Env, counted: lockout.Counter) -> None:
    """A wrong one. Raises errors.LockedOut."""
    try:
        with lockout.attempt(env, counted):
            raise errors.CodeMismatch
    except errors.CodeMismatch:
        pass


def opened(env: Env, counted: lockout.Counter) -> str:
    """A right one, whose write is still to come."""
    with lockout.attempt(env, counted) as key:
        return key


def forgive(env: Env, key: str) -> None:
    with env.transaction():
        lockout.forgive(env, key)


def failures(env: Env, counted: lockout.Counter) -> int | None:
    with env.reading() as session:
        return session.scalar(select(Throttle.count).where(Throttle.key == counted.common))


def try_it(env: Env, client: Client, password: str, origin: Origin, name: str = "alice") -> Any:
    given = {"USERNAME": name, "PASSWORD": password}
    return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=origin)


def sign_in(env: Env, client: Client, origin: Origin) -> None:
    granting.tokens(env, try_it(env, client, PASSWORD, origin))


def guess_until_locked(env: Env, client: Client, origin: Origin) -> int:
    """How many were looked at."""
    for looked_at in range(50):
        try:
            try_it(env, client, "wrong", origin)
        except errors.LockedOut:
            return looked_at
        except errors.NotAuthorized:
            pass
    raise AssertionError("fifty guesses, and no lock")


def test_the_fifth_attempt_locks_and_each_further_one_for_twice_as_long_up_to_a_quarter_of_an_hour(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    mine = counter(env, client, alice)
    for _ in range(4):
        attempt(env, mine)
        lockout.check(env, mine)
    for seconds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900):
        attempt(env, mine)
        clock.forward(seconds=seconds - 0.001)
        with pytest.raises(errors.LockedOut):
            lockout.check(env, mine)
        clock.forward(seconds=0.001)
        lockout.check(env, mine)


def test_what_is_refused_while_locked_is_not_counted(env: Env, client: Client, alice: User, clock: Clock) -> None:
    """Otherwise a stranger could keep a lock closed by knocking at it."""
    mine = counter(env, client, alice)
    for _ in range(5):
        attempt(env, mine)
    for _ in range(40):
        with pytest.raises(errors.LockedOut):
            attempt(env, mine)
    clock.forward(seconds=1)
    attempt(env, mine)
    assert failures(env, mine) == 6


def test_a_quarter_of_an_hour_of_quiet_after_the_lock_forgets(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    mine = counter(env, client, alice)
    for _ in range(5):
        attempt(env, mine)
    clock.forward(minutes=15)
    attempt(env, mine)
    assert failures(env, mine) == 6  # the quiet begins when the lock ends
    clock.forward(minutes=15, seconds=2)
    attempt(env, mine)
    assert failures(env, mine) == 1


def test_each_user_and_each_name_that_means_nobody_is_counted_by_itself(env: Env, client: Client, alice: User) -> None:
    bob = a_user(env, client.pool, "bob", email=None)
    strangers = [lockout.counter(env, client.pool, nobody=name, origin=ABROAD) for name in ("x", "y")]
    other_pool = lockout.counter(env, a_pool(env, algorithm="ES256"), nobody="x", origin=ABROAD)
    for _ in range(5):
        attempt(env, counter(env, client, alice))
        attempt(env, strangers[0])
    for locked in (counter(env, client, alice), strangers[0]):
        with pytest.raises(errors.LockedOut):
            attempt(env, locked)
    for free in (counter(env, client, bob), strangers[1], other_pool):
        attempt(env, free)


def test_an_attempt_that_was_right_is_taken_back_and_no_failure(env: Env, client: Client, alice: User) -> None:
    mine = counter(env, client, alice)
    for _ in range(4):
        attempt(env, mine)
    for _ in range(9):
        forgive(env, opened(env, mine))
    attempt(env, mine)
    with pytest.raises(errors.LockedOut):
        attempt(env, mine)


def test_a_slow_answer_that_was_right_does_not_open_the_lock_of_wrong_ones(
    env: Env, client: Client, alice: User
) -> None:
    mine = counter(env, client, alice)
    slow = opened(env, mine)
    for _ in range(5):
        attempt(env, mine)
    forgive(env, slow)
    with pytest.raises(errors.LockedOut):
        lockout.check(env, mine)


@pytest.mark.parametrize("reason", [errors.TooManyRequests, errors.ServiceUnavailable])
def test_what_was_not_looked_at_is_no_failure(
    env: Env, client: Client, alice: User, reason: type[errors.Refusal]
) -> None:
    mine = counter(env, client, alice)
    for _ in range(2 * lockout.OPEN):
        with pytest.raises(reason):
            with lockout.attempt(env, mine):
                raise reason
    attempt(env, mine)


def test_only_so_many_are_open_at_once_and_none_below_nothing(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    mine = counter(env, client, alice)
    keys = [opened(env, mine) for _ in range(lockout.OPEN)]
    with pytest.raises(errors.LockedOut):
        opened(env, mine)
    for key in keys * 2:  # one that is taken back twice gives nobody a guess for nothing
        forgive(env, key)
    for _ in range(lockout.OPEN):
        opened(env, mine)
    with pytest.raises(errors.LockedOut):
        opened(env, mine)


def test_what_was_open_when_something_failed_does_not_stay_open(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    """A worker that died, or a database that went away: nobody takes the attempt back. Failures stay counted."""
    mine = counter(env, client, alice)
    for _ in range(4):
        with pytest.raises(errors.NotAuthorized), lockout.attempt(env, mine):
            raise errors.NotAuthorized
    for _ in range(lockout.OPEN):
        with pytest.raises(ConnectionError), lockout.attempt(env, mine):
            raise ConnectionError
    with pytest.raises(errors.LockedOut):
        opened(env, mine)
    clock.forward(seconds=59)
    with pytest.raises(errors.LockedOut):  # which extends nothing
        opened(env, mine)
    clock.forward(seconds=1)
    for _ in range(lockout.OPEN):
        opened(env, mine)
    with pytest.raises(errors.LockedOut):
        opened(env, mine)
    clock.forward(minutes=1)
    with pytest.raises(errors.NotAuthorized), lockout.attempt(env, mine):
        raise errors.NotAuthorized
    with pytest.raises(errors.LockedOut):  # by the fifth failure
        opened(env, mine)


# -- strangers cannot keep the owner out -----------------------------------------------------------------------


def test_a_stranger_does_not_lock_the_owner_out_where_he_has_signed_in_before(
    env: Env, client: Client, alice: User
) -> None:
    sign_in(env, client, HOME)
    assert guess_until_locked(env, client, ABROAD) == 5
    sign_in(env, client, HOME)


def test_but_where_nobody_knows_him_he_waits_like_the_stranger(env: Env, client: Client, alice: User) -> None:
    sign_in(env, client, HOME)
    guess_until_locked(env, client, ABROAD)
    with pytest.raises(errors.LockedOut):
        try_it(env, client, PASSWORD, Origin(ip="198.51.100.7"))
    with pytest.raises(errors.LockedOut):
        try_it(env, client, PASSWORD, Origin())


def test_a_known_address_has_no_more_guesses_than_a_lock_of_its_own(env: Env, client: Client, alice: User) -> None:
    """A stranger in the same house: five, and then five."""
    sign_in(env, client, HOME)
    assert guess_until_locked(env, client, HOME) == 10
    with pytest.raises(errors.LockedOut):
        try_it(env, client, PASSWORD, HOME)


def test_srp_begins_where_a_password_would_be_looked_at(env: Env, client: Client, alice: User) -> None:
    sign_in(env, client, HOME)
    guess_until_locked(env, client, ABROAD)
    given = {"USERNAME": "alice", "SRP_A": "ab" * 384}
    with pytest.raises(errors.LockedOut):
        flow.begin(env, client, flow="USER_SRP_AUTH", given=given, origin=ABROAD)
    assert flow.begin(env, client, flow="USER_SRP_AUTH", given=given, origin=HOME)


def test_an_address_of_another_user_is_not_his(env: Env, client: Client, alice: User) -> None:
    a_user(env, client.pool, "bob", email=None)
    granting.tokens(env, try_it(env, client, PASSWORD, ABROAD, "bob"))
    assert guess_until_locked(env, client, ABROAD) == 5


# -- in parallel -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True], ids=["from a strange address", "from a known one"])
def test_parallel_guesses_are_never_more_than_the_limit(
    app: Flask, env: Env, client: Client, alice: User, known: bool
) -> None:
    """Those that are open when the fifth has failed are looked at still; they lock for so much longer."""
    if known:
        sign_in(env, client, HOME)
    outcomes = in_parallel(app, *(lambda: try_it(env, client, "wrong", HOME) for _ in range(48)))
    looked_at = [one for one in outcomes if not isinstance(one, errors.LockedOut)]
    assert 5 <= len(looked_at) <= (2 * lockout.OPEN + 5 if known else lockout.OPEN + 5)
    with pytest.raises(errors.LockedOut):
        try_it(env, client, PASSWORD, HOME)


def test_right_passwords_in_parallel_lock_nobody(app: Flask, env: Env, client: Client, alice: User) -> None:
    outcomes = in_parallel(app, *(lambda: sign_in(env, client, ABROAD) for _ in range(16)))
    assert outcomes == [None] * 16
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(Throttle)) == 0
