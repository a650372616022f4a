"""Recovery codes: ten, for paper, each once."""

import re
from collections.abc import Callable

import pytest

from app import errors
from app.accounts import administer, find, mfa, passkeys, passwords, profile, recovery_codes
from app.accounts.factors import EMAIL, PASSKEY, SMS, TOTP
from app.accounts.mfa import Setting
from app.env import Env, Origin
from app.models import Client, OutboxMessage, RecoveryCode, User
from app.signin import flow
from app.signin.state import Ask
from tests.build import (
    PASSWORD,
    a_client,
    a_passkey,
    a_pool,
    a_pool_with_passkeys,
    a_user,
    an_app,
    app_code,
    recovery_codes_left,
    with_factors,
)


def test_ten_codes_of_74_bits_that_nobody_misreads(env: Env) -> None:
    user = a_user(env, a_pool(env))
    with env.transaction():
        codes = recovery_codes.make(env, user)
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"[a-hjkmnp-z2-9]{5}(-[a-hjkmnp-z2-9]{5}){2}", code)
    assert recovery_codes_left(env, user) == 10


def test_only_digests_are_kept_and_each_is_its_owners(env: Env) -> None:
    pool = a_pool(env)
    user, other = a_user(env, pool), a_user(env, pool, "bob", email="bob@example.com")
    with env.transaction():
        code = recovery_codes.make(env, user)[0]
        with env.db.no_autoflush:
            digests = [row.digest for row in env.db.query(RecoveryCode)]
    assert code not in str(digests)
    assert recovery_codes.fits(env, user, code)
    assert not recovery_codes.fits(env, other, code)


def test_a_code_may_be_typed_without_hyphens_in_capitals_or_with_spaces(env: Env) -> None:
    user = a_user(env, a_pool(env))
    with env.transaction():
        code = recovery_codes.make(env, user)[0]
    for typed in (code.replace("-", ""), code.upper(), f" {code.replace('-', ' ')} "):
        assert recovery_codes.fits(env, user, typed)
    for wrong in ("", "-", code[:-1], code + "a"):
        assert not recovery_codes.fits(env, user, wrong)


def test_new_codes_make_the_old_ones_worthless(env: Env) -> None:
    user = a_user(env, a_pool(env))
    with env.transaction():
        old = recovery_codes.make(env, user)
    with env.transaction():
        new = recovery_codes.make(env, user)
    assert not any(recovery_codes.fits(env, user, code) for code in old)
    assert all(recovery_codes.fits(env, user, code) for code in new)
    assert recovery_codes_left(env, user) == 10


# -- their end -------------------------------------------------------------------------------------------------

ON, OFF = Setting(True, None), Setting(False, None)
HERE = Origin(ip="192.0.2.1")
NEW = "Another-horse-8"


@pytest.fixture
def client(env: Env) -> Client:
    """Of a pool with all second factors."""
    pool = with_factors(env, a_pool_with_passkeys(env), "OPTIONAL", SMS, TOTP, EMAIL)
    return a_client(env, pool)


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    """She has an app and a phone, is asked for a code of the app, and has ten codes on paper."""
    user = a_user(env, client.pool, phone_number="+15555550100", phone_number_verified="true")
    an_app(env, user)
    mfa.prefer(env, user, {TOTP: ON})
    with env.transaction():
        recovery_codes.make(env, find.locked(env, user.sub))
    return find.existing(env, client.pool, "alice").user


def replace_the_app(env: Env, client: Client, user: User) -> None:
    secret = mfa.associate(env, client, user)
    mfa.verify(env, client, user, code=app_code(secret, env.now()), name=None, origin=HERE)


def remove_the_app(env: Env, client: Client, user: User) -> None:
    mfa.remove_token(env, client.pool, username="alice")


def switch_it_off(env: Env, client: Client, user: User) -> None:
    mfa.prefer(env, user, {TOTP: OFF})


def have_it_switched_off(env: Env, client: Client, user: User) -> None:
    mfa.prefer_by_administrator(env, client.pool, username="alice", wanted={TOTP: OFF})


def change_the_password(env: Env, client: Client, user: User) -> None:
    passwords.change(env, client, user, previous=PASSWORD, proposed=NEW)


def forget_the_password(env: Env, client: Client, user: User) -> None:
    passwords.forgot(env, client, username="alice", origin=HERE)
    with env.reading() as session:
        code = session.query(OutboxMessage).order_by(OutboxMessage.sent_at.desc()).first().code
    passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)


def have_another_password_set(env: Env, client: Client, user: User) -> None:
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=True)


def have_them_ended(env: Env, client: Client, user: User) -> None:
    assert recovery_codes.end_by_administrator(env, client.pool, username="alice") == 10


@pytest.mark.parametrize(
    "ends",
    [
        replace_the_app,
        remove_the_app,
        switch_it_off,
        have_it_switched_off,
        change_the_password,
        forget_the_password,
        have_another_password_set,
        have_them_ended,
    ],
)
def test_they_end_with_the_factor_and_the_password_of_their_day(
    env: Env, client: Client, alice: User, ends: Callable[[Env, Client, User], None]
) -> None:
    """Somebody who had the password and the app for a moment, and wrote ten codes down, must not keep them."""
    assert recovery_codes.left_by_administrator(env, client.pool, username="alice") == 10
    ends(env, client, alice)
    assert recovery_codes.left_by_administrator(env, client.pool, username="alice") == 0


def test_old_codes_open_nothing_when_the_owner_has_set_a_new_app_up(env: Env, client: Client, alice: User) -> None:
    """The attack: codes that were copied before the owner took the account back."""
    with env.transaction():
        stolen = recovery_codes.make(env, find.locked(env, alice.sub))[0]
    remove_the_app(env, client, alice)
    an_app(env, alice)
    mfa.prefer(env, alice, {TOTP: ON})
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=HERE)
    assert isinstance(step, Ask)
    with pytest.raises(errors.CodeMismatch):
        flow.answer(
            env,
            client,
            challenge="RECOVERY_CODE",
            session=step.handle,
            given={"USERNAME": "alice", "RECOVERY_CODE": stolen},
            origin=HERE,
        )


def test_one_factor_of_two_may_go_and_one_more_may_come(env: Env, client: Client, alice: User) -> None:
    mfa.prefer(env, alice, {SMS: ON})
    a_passkey(env, client, alice)
    mfa.prefer(env, alice, {PASSKEY: ON})
    remove_the_app(env, client, alice)
    assert recovery_codes_left(env, alice) == 10
    mfa.prefer(env, alice, {SMS: OFF})
    assert recovery_codes_left(env, alice) == 10
    (passkey,) = passkeys.listed(env, alice).rows
    passkeys.delete(env, alice, credential_id=passkey.credential_id)
    assert recovery_codes_left(env, alice) == 0


@pytest.mark.parametrize(("factor", "left"), [(TOTP, 10), (SMS, 0)])
def test_another_phone_takes_the_place_of_the_one_that_codes_went_to(
    env: Env, client: Client, alice: User, factor: str, left: int
) -> None:
    mfa.prefer(env, alice, {SMS: OFF, TOTP: OFF, factor: ON})
    with env.transaction():
        recovery_codes.make(env, find.locked(env, alice.sub))
    profile.update_attributes(env, client, alice, attributes={"phone_number": "+15555550199"})
    assert recovery_codes_left(env, alice) == left


def test_what_changes_neither_leaves_them(env: Env, client: Client, alice: User) -> None:
    profile.update_attributes(env, client, alice, attributes={"nickname": "Al"})
    mfa.prefer(env, alice, {TOTP: Setting(True, True)})
    administer.disable(env, client.pool, username="alice")
    administer.enable(env, client.pool, username="alice")
    assert recovery_codes_left(env, alice) == 10


def test_nobody_has_none(env: Env, client: Client) -> None:
    for act in (recovery_codes.left_by_administrator, recovery_codes.end_by_administrator):
        with pytest.raises(errors.UserNotFound):
            act(env, client.pool, username="nobody")
