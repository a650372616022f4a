"""New recovery codes, for who may have them."""

from collections.abc import Iterable

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import find, lockout, passwords, recovery_codes
from app.env import Env, Origin
from app.models import Pool, RecoveryCode, User
from app.signin import recovery
from app.signin.browser import SignedIn
from tests.build import PASSWORD, a_pool, a_user, recovery_codes_left
from tests.conftest import Clock
from tests.parallel import in_parallel

HOME = Origin(ip="192.0.2.1")


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env)


@pytest.fixture
def user(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def by(env: Env, user: User, *methods: str) -> SignedIn:
    return SignedIn(user, env.now(), methods, "session", "client")


def renewed(env: Env, pool: Pool, user: User, password: str = PASSWORD) -> list[str]:
    signed_in = by(env, user, "PASSWORD", "SOFTWARE_TOKEN_MFA")
    return recovery.renew(env, pool, signed_in, password=password, origin=HOME)


@pytest.mark.parametrize(
    ("methods", "may"),
    [
        (("PASSWORD", "SOFTWARE_TOKEN_MFA"), True),
        (("PASSWORD", "NEW_PASSWORD_REQUIRED", "SMS_MFA"), True),
        (("PASSWORD", "EMAIL_OTP"), True),
        (("PASSWORD", "RECOVERY_CODE"), True),
        (("PASSWORD", "MFA_SETUP", "SOFTWARE_TOKEN_MFA"), True),
        (("PASSWORD",), False),
        (("PASSWORD", "NEW_PASSWORD_REQUIRED"), False),
        (("EMAIL_OTP",), False),
        (("WEB_AUTHN",), False),
        ((), False),
    ],
)
def test_a_session_without_a_second_factor_makes_nothing_that_stands_in_for_one(
    env: Env, pool: Pool, user: User, methods: Iterable[str], may: bool
) -> None:
    signed_in = by(env, user, *methods)
    assert recovery.may_renew(signed_in) is may
    if may:
        assert len(recovery.renew(env, pool, signed_in, password=PASSWORD, origin=HOME)) == 10
    else:
        with pytest.raises(errors.NotAuthorized):
            recovery.renew(env, pool, signed_in, password=PASSWORD, origin=HOME)
        assert recovery_codes_left(env, user) == 0


def test_new_codes_replace_the_old_ones(env: Env, pool: Pool, user: User) -> None:
    old = recovery.first(env, user)
    new = renewed(env, pool, user)
    assert recovery_codes_left(env, user) == 10
    assert not any(recovery_codes.fits(env, user, code) for code in old)
    assert all(recovery_codes.fits(env, user, code) for code in new)


def test_a_wrong_password_is_counted_and_changes_nothing(env: Env, pool: Pool, user: User, clock: Clock) -> None:
    old = recovery.first(env, user)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized) as refused:
            renewed(env, pool, user, "Wrong-horse-7")
        assert refused.value.field == "password"
    with pytest.raises(errors.LockedOut):
        renewed(env, pool, user)
    assert all(recovery_codes.fits(env, user, code) for code in old)
    clock.forward(minutes=16)
    assert len(renewed(env, pool, user)) == 10


def test_the_right_password_locks_nobody(env: Env, pool: Pool, user: User) -> None:
    for _ in range(7):
        renewed(env, pool, user)
    lockout.check(env, lockout.counter(env, pool, sub=user.sub, origin=HOME))


def test_who_was_disabled_or_deleted_meanwhile_gets_none(env: Env, pool: Pool, user: User) -> None:
    with env.transaction():
        find.locked(env, user.sub).enabled = False
    with pytest.raises(errors.UserDisabled):
        renewed(env, pool, user)
    with env.transaction():
        env.db.delete(find.locked(env, user.sub))
    with pytest.raises(errors.NotAuthorized):
        renewed(env, pool, user)


def test_the_password_of_before_is_not_enough(env: Env, pool: Pool, user: User) -> None:
    passwords.set_by_administrator(env, pool, username="alice", password="Another-horse-8", permanent=True)
    with pytest.raises(errors.NotAuthorized):
        renewed(env, pool, user)
    assert len(renewed(env, pool, user, "Another-horse-8")) == 10


def test_of_two_pages_at_one_moment_one_has_the_codes_that_work(app: Flask, env: Env, pool: Pool, user: User) -> None:
    """Nobody ends up with twenty."""

    outcomes = in_parallel(app, *[lambda: renewed(env, pool, user)] * 4)
    made = [codes for codes in outcomes if isinstance(codes, list)]
    assert made
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 10
    assert sum(all(recovery_codes.fits(env, user, code) for code in codes) for codes in made) == 1
