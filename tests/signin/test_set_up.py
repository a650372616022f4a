"""An authenticator app, set up in the middle of a sign-in."""

from functools import partial

import pytest
from flask import Flask

from app import errors
from app.accounts import find, mfa, software_token
from app.env import Env, Origin
from app.models import Client, SoftwareToken, User
from app.signin import granting, set_up
from app.signin.state import Ask
from tests.build import a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.challenges.signing_in import answer, asked

HERE = Origin()


def a_world(env: Env, *factors: str) -> Client:
    """A client of a pool that requires one of these factors, and alice, who has none."""
    client = a_client(env, with_factors(env, a_pool(env), "ON", *(factors or ("SOFTWARE_TOKEN_MFA",))))
    a_user(env, client.pool)
    return client


def alice(env: Env, client: Client) -> User:
    return find.existing(env, client.pool, "alice").user


def finish(env: Env, client: Client, step: Ask, session: str) -> str:
    granted = answer(env, client, Ask(step.challenge, {}, session))
    assert granted.proven == ("PASSWORD", "MFA_SETUP", "SOFTWARE_TOKEN_MFA")
    return granting.tokens(env, granted).access


def test_the_app_is_set_up_signs_in_and_is_asked_for_from_then_on(env: Env, clock: Clock) -> None:
    client = a_world(env)
    step = asked(env, client)
    assert step.challenge == "MFA_SETUP"
    assert step.params["MFAS_CAN_SETUP"] == '["SOFTWARE_TOKEN_MFA"]'
    secret, second = set_up.begin(env, step.handle or "", origin=HERE)
    third = set_up.verify(env, second, code=app_code(secret, env.now()), name="Phone", origin=HERE)
    assert finish(env, client, step, third)
    assert alice(env, client).mfa == {"on": ["SOFTWARE_TOKEN_MFA"], "preferred": "SOFTWARE_TOKEN_MFA"}
    again = asked(env, client)
    assert (again.challenge, again.params["FRIENDLY_DEVICE_NAME"]) == ("SOFTWARE_TOKEN_MFA", "Phone")
    with pytest.raises(errors.CodeUsed):  # the code that set it up signs nobody in
        answer(env, client, again, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()))
    clock.forward(seconds=30)
    granting.tokens(env, answer(env, client, again, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now())))


def test_an_app_that_was_verified_is_asked_for_although_the_sign_in_was_given_up(env: Env) -> None:
    client = a_world(env)
    secret, second = set_up.begin(env, asked(env, client).handle or "", origin=HERE)
    set_up.verify(env, second, code=app_code(secret, env.now()), name=None, origin=HERE)
    assert asked(env, client).challenge == "SOFTWARE_TOKEN_MFA"


def test_without_a_verified_app_the_challenge_is_not_met(env: Env) -> None:
    client = a_world(env)
    step = asked(env, client)
    with pytest.raises(errors.InvalidParameter, match="User has not verified software token mfa"):
        answer(env, client, step)
    _, second = set_up.begin(env, step.handle or "", origin=HERE)
    with pytest.raises(errors.InvalidParameter, match="User has not verified software token mfa"):
        answer(env, client, Ask("MFA_SETUP", {}, second))
    with pytest.raises(errors.InvalidParameter, match="cannot set up a second factor by e-mail"):
        answer(env, client, Ask("MFA_SETUP", {}, second), EMAIL="mine@example.com")


def test_each_session_is_used_once_and_each_step_gives_a_fresh_one(env: Env) -> None:
    client = a_world(env)
    first = asked(env, client).handle or ""
    secret, second = set_up.begin(env, first, origin=HERE)
    with pytest.raises(errors.SessionUsed):
        set_up.begin(env, first, origin=HERE)
    third = set_up.verify(env, second, code=app_code(secret, env.now()), name=None, origin=HERE)
    assert len({first, second, third}) == 3
    with pytest.raises(errors.Refusal):
        set_up.verify(env, second, code=app_code(secret, env.now()), name=None, origin=HERE)


def test_a_wrong_code_leaves_the_session_and_is_counted(env: Env, clock: Clock) -> None:
    client = a_world(env)
    secret, second = set_up.begin(env, asked(env, client).handle or "", origin=HERE)
    right = app_code(secret, env.now())
    for _ in range(5):
        with pytest.raises(errors.EnableSoftwareTokenMFA, match="Code mismatch and fail enable Software Token MFA"):
            set_up.verify(env, second, code=f"{(int(right) + 1) % 10**6:06}", name=None, origin=HERE)
    with pytest.raises(errors.LockedOut):
        set_up.verify(env, second, code=right, name=None, origin=HERE)
    clock.forward(seconds=1)
    set_up.verify(env, second, code=right, name=None, origin=HERE)


def test_a_code_before_a_secret_was_asked_for(env: Env) -> None:
    client = a_world(env)
    with pytest.raises(errors.InvalidParameter, match="User has not set up software token mfa"):
        set_up.verify(env, asked(env, client).handle or "", code="123456", name=None, origin=HERE)


@pytest.mark.parametrize("session", ["", "x" * 43, "\0" * 20])
def test_what_is_no_session(env: Env, session: str) -> None:
    a_world(env)
    with pytest.raises(errors.SessionInvalid):
        set_up.begin(env, session, origin=HERE)


def test_a_session_that_asks_for_something_else_sets_nothing_up(env: Env) -> None:
    """Who has the password, and not the factor, must not get another by this door."""
    client = a_world(env)
    an_app(env, alice(env, client))
    step = asked(env, client)
    assert step.challenge == "SOFTWARE_TOKEN_MFA"
    with pytest.raises(errors.SessionInvalid):
        set_up.begin(env, step.handle or "", origin=HERE)


def test_a_factor_that_came_meanwhile_ends_what_the_password_alone_had_begun(env: Env) -> None:
    """A stranger who knows the password keeps a session ready; the owner sets her app up; his must not replace it."""
    client = a_world(env)
    strangers = asked(env, client)
    his, second = set_up.begin(env, strangers.handle or "", origin=HERE)
    secret, hers = set_up.begin(env, asked(env, client).handle or "", origin=HERE)
    third = set_up.verify(env, hers, code=app_code(secret, env.now()), name=None, origin=HERE)
    with pytest.raises(errors.SessionInvalid):
        set_up.verify(env, second, code=app_code(his, env.now()), name=None, origin=HERE)
    with pytest.raises(errors.SessionInvalid):
        set_up.begin(env, second, origin=HERE)
    finish(env, client, strangers, third)
    with pytest.raises(errors.SessionInvalid):
        set_up.begin(env, second, origin=HERE)


def test_a_verified_app_does_not_outlive_another_factor_in_the_same_sign_in(env: Env) -> None:
    client = a_world(env, "SOFTWARE_TOKEN_MFA", "SMS_MFA")
    step = asked(env, client)
    secret, second = set_up.begin(env, step.handle or "", origin=HERE)
    third = set_up.verify(env, second, code=app_code(secret, env.now()), name=None, origin=HERE)
    with env.transaction():
        row = find.locked(env, alice(env, client).sub)
        row.phone_number = "+15555550100"
    mfa.prefer_by_administrator(env, client.pool, username="alice", wanted={"SMS_MFA": mfa.Setting(True, True)})
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, Ask("MFA_SETUP", {}, third))


def test_of_parallel_verifications_one_gives_a_session(app: Flask, env: Env) -> None:
    client = a_world(env)
    secret, second = set_up.begin(env, asked(env, client).handle or "", origin=HERE)
    code = app_code(secret, env.now())
    outcomes = in_parallel(
        app, *(partial(set_up.verify, env, second, code=code, name=None, origin=HERE) for _ in range(4))
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1


def test_too_late_and_when_disabled_and_when_the_pool_offers_none(env: Env, clock: Clock) -> None:
    client = a_world(env)
    step = asked(env, client)
    with env.transaction():
        find.locked(env, alice(env, client).sub).enabled = False
    with pytest.raises(errors.SessionInvalid):
        set_up.begin(env, step.handle or "", origin=HERE)
    with env.transaction():
        find.locked(env, alice(env, client).sub).enabled = True
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        set_up.begin(env, step.handle or "", origin=HERE)
    by_mail = a_client(env, with_factors(env, a_pool(env), "ON", "EMAIL_OTP"))
    a_user(env, by_mail.pool, email=None)
    with pytest.raises(errors.SoftwareTokenMFANotFound):
        set_up.begin(env, asked(env, by_mail).handle or "", origin=HERE)


def test_a_new_secret_waits_sealed_beside_the_one_in_use(env: Env) -> None:
    user = a_user(env, a_pool(env))
    old = an_app(env, user)
    secret, write = software_token.begin(env, user)
    with env.transaction():
        write()
    with env.reading() as session:
        row = session.get_one(SoftwareToken, user.sub)
    assert row.secret and row.pending
    assert old not in row.secret and secret not in row.pending
    assert software_token.fits(env, user, row.secret, app_code(old, env.now()))
    assert software_token.fits(env, user, row.pending, app_code(secret, env.now()))
