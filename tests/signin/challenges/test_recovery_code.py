"""A recovery code in place of a second factor that is lost."""

from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask

from app import errors
from app.accounts import recovery_codes
from app.env import Env
from app.models import Client, OutboxMessage, User
from app.signin import granting
from tests.build import a_client, a_pool, a_user, an_app, recovery_codes_left, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.challenges.signing_in import answer, asked, signed_in

Sent = Callable[..., list[OutboxMessage]]


def a_world(env: Env, *factors: str) -> tuple[Client, User, list[str]]:
    """A pool that requires these factors; alice has an app if that is one of them, and her codes on paper."""
    client = a_client(env, with_factors(env, a_pool(env), "ON", *factors))
    user = a_user(env, client.pool, phone_number="+15555550100")
    if "SOFTWARE_TOKEN_MFA" in factors:
        an_app(env, user)
    with env.transaction():
        codes = recovery_codes.make(env, user)
    return client, user, codes


@pytest.mark.parametrize("factor", ["SOFTWARE_TOKEN_MFA", "SMS_MFA"])
def test_it_answers_whatever_factor_is_asked_for(env: Env, factor: str) -> None:
    client, user, codes = a_world(env, factor)
    step = asked(env, client)
    assert step.challenge == factor
    granted = answer(env, client, step, challenge="RECOVERY_CODE", RECOVERY_CODE=codes[3])
    assert granted.proven == ("PASSWORD", "RECOVERY_CODE")
    granting.tokens(env, granted)
    assert recovery_codes_left(env, user) == 9


def test_each_is_used_once(env: Env) -> None:
    client, _, codes = a_world(env, "SOFTWARE_TOKEN_MFA")
    granting.tokens(env, answer(env, client, asked(env, client), challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0]))
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, asked(env, client), challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0])
    granting.tokens(env, answer(env, client, asked(env, client), challenge="RECOVERY_CODE", RECOVERY_CODE=codes[1]))


def test_one_code_in_several_sign_ins_at_one_moment_is_used_once(app: Flask, env: Env) -> None:
    client, user, codes = a_world(env, "SOFTWARE_TOKEN_MFA")
    steps = [asked(env, client) for _ in range(4)]

    def sign_in(which: int) -> str:
        granted = answer(env, client, steps[which], challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0])
        return granting.tokens(env, granted).access

    outcomes = in_parallel(app, *(partial(sign_in, which) for which in range(len(steps))))
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert recovery_codes_left(env, user) == 9


def test_guesses_are_counted_and_leave_the_session(env: Env, clock: Clock) -> None:
    client, _, codes = a_world(env, "SOFTWARE_TOKEN_MFA")
    step = asked(env, client)
    for _ in range(5):
        with pytest.raises(errors.CodeMismatch):
            answer(env, client, step, challenge="RECOVERY_CODE", RECOVERY_CODE="aaaaa-aaaaa-aaaaa")
    with pytest.raises(errors.LockedOut):
        answer(env, client, step, challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0])
    clock.forward(seconds=1)
    assert signed_in(answer(env, client, step, challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0]))


def test_it_takes_the_place_of_no_password(env: Env) -> None:
    """Not before one was given, and not where a new one is asked for."""
    client, _, codes = a_world(env, "SOFTWARE_TOKEN_MFA")
    a_user(env, client.pool, "bob", email="bob@example.com", status="FORCE_CHANGE_PASSWORD")
    step = asked(env, client, "bob")
    assert step.challenge == "NEW_PASSWORD_REQUIRED"
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0])


def test_a_strangers_code_is_wrong(env: Env) -> None:
    client, _, codes = a_world(env, "SOFTWARE_TOKEN_MFA")
    bob = a_user(env, client.pool, "bob", email="bob@example.com")
    an_app(env, bob)
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, asked(env, client, "bob"), challenge="RECOVERY_CODE", RECOVERY_CODE=codes[0])
