"""The authenticator app as a second factor: each code once, and no million of guesses."""

from functools import partial

import pytest
from flask import Flask
from sqlalchemy import update

from app import errors
from app.accounts import find
from app.env import Env
from app.models import Client, SoftwareToken, User
from app.signin import granting
from tests.build import a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.challenges.signing_in import answer, asked, begin, signed_in

WRONG = "Invalid code received for user"
USED = "Your software token has already been used once."


def a_world(env: Env, demand: str = "ON") -> tuple[Client, User, str]:
    """A client of a pool with authenticator apps, alice, and the secret in her app."""
    client = a_client(env, with_factors(env, a_pool(env), demand, "SOFTWARE_TOKEN_MFA"))
    user = a_user(env, client.pool)
    return client, user, an_app(env, user)


def shown(env: Env, secret: str) -> str:
    return app_code(secret, env.now())


def test_a_verified_app_is_asked_for_where_the_pool_requires_a_factor(env: Env) -> None:
    client, user, secret = a_world(env)
    step = asked(env, client)
    assert step.challenge == "SOFTWARE_TOKEN_MFA"
    assert step.params == {"USER_ID_FOR_SRP": user.username}
    granted = answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret))
    assert granted.proven == ("PASSWORD", "SOFTWARE_TOKEN_MFA")
    assert granting.tokens(env, granted).access


def test_an_app_that_was_only_verified_is_not_asked_for_where_the_factor_is_optional(env: Env) -> None:
    client, _, _ = a_world(env, "OPTIONAL")
    assert signed_in(begin(env, client))


def test_a_wrong_code_leaves_the_session_as_it_was(env: Env) -> None:
    client, _, secret = a_world(env)
    step = asked(env, client)
    right = shown(env, secret)
    for wrong in (f"{(int(right) + 1) % 10**6:06}", "", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16"):
        refusal = errors.CodeMismatch if wrong else errors.InvalidParameter
        with pytest.raises(refusal, match=WRONG if wrong else "SOFTWARE_TOKEN_MFA_CODE"):
            answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=wrong)
    assert signed_in(answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=right))


def test_a_code_signs_in_once(env: Env, clock: Clock) -> None:
    """Whoever looked over her shoulder has the password and the code, and half a minute."""
    client, _, secret = a_world(env)
    code = shown(env, secret)
    granting.tokens(env, answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=code))
    with pytest.raises(errors.ExpiredCode, match=USED):
        answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=code)
    clock.forward(seconds=30)
    with pytest.raises(errors.ExpiredCode, match=USED):
        answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=code)
    code = shown(env, secret)
    granting.tokens(env, answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=code))


def test_a_code_of_the_step_before_is_not_taken_after_a_later_one(env: Env, clock: Clock) -> None:
    client, _, secret = a_world(env)
    earlier = shown(env, secret)
    clock.forward(seconds=30)
    step = asked(env, client)
    granting.tokens(env, answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret)))
    with pytest.raises(errors.ExpiredCode, match=USED):
        answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=earlier)


def test_of_one_code_shown_by_many_at_one_moment_one_is_taken(app: Flask, env: Env) -> None:
    """Each in a sign-in of his own: it is the code that is spent, not the session."""
    client, _, secret = a_world(env)
    steps = [asked(env, client) for _ in range(4)]
    code = shown(env, secret)

    def sign_in(which: int) -> str:
        granted = answer(env, client, steps[which], SOFTWARE_TOKEN_MFA_CODE=code)
        return granting.tokens(env, granted).access

    outcomes = in_parallel(app, *(partial(sign_in, which) for which in range(len(steps))))
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    refused = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    assert {type(one) for one in refused} <= {errors.CodeUsed, errors.LockedOut}


def test_a_loser_of_that_race_may_answer_again(env: Env, clock: Clock) -> None:
    client, _, secret = a_world(env)
    first, second = asked(env, client), asked(env, client)
    code = shown(env, secret)
    granted = [answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=code) for step in (first, second)]
    granting.tokens(env, granted[0])
    with pytest.raises(errors.CodeUsed):
        granting.tokens(env, granted[1])
    clock.forward(seconds=30)
    granting.tokens(env, answer(env, client, second, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret)))


def test_guesses_lock_although_the_password_is_right_each_time(env: Env, clock: Clock) -> None:
    """A fresh sign-in for each guess: what knows the password must not get a million guesses by it."""
    client, _, secret = a_world(env)
    guesses = 0
    for _ in range(40):  # for ten minutes, every quarter of one
        try:
            step = asked(env, client)
            wrong = f"{(int(shown(env, secret)) + 1) % 10**6:06}"
            with pytest.raises(errors.CodeMismatch):
                answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=wrong)
            guesses += 1
        except errors.LockedOut:
            pass
        clock.forward(seconds=15)
    assert guesses <= 5 + 9  # locks of 1, 2, 4 … 256 seconds fit into ten minutes
    clock.forward(minutes=15)
    step = asked(env, client)
    granting.tokens(env, answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret)))


def test_while_locked_the_right_code_helps_nobody(env: Env, clock: Clock) -> None:
    client, _, secret = a_world(env)
    step = asked(env, client)
    right = shown(env, secret)
    for _ in range(5):
        with pytest.raises(errors.CodeMismatch):
            answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=f"{(int(right) + 1) % 10**6:06}")
    with pytest.raises(errors.LockedOut):
        answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=right)
    clock.forward(seconds=1)
    assert signed_in(answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=right))


def test_the_code_of_one_user_helps_no_other(env: Env) -> None:
    client, _, secret = a_world(env)
    mallory = a_user(env, client.pool, "mallory", email="mallory@example.com")
    own = an_app(env, mallory)
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=shown(env, own))
    assert signed_in(answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=shown(env, secret)))


def test_a_secret_that_was_copied_into_another_users_row_opens_nothing(env: Env) -> None:
    """Whoever can write to the database, but has not the key, must not put his own app in place of hers."""
    client, user, _ = a_world(env)
    mallory = a_user(env, client.pool, "mallory", email="mallory@example.com")
    own = an_app(env, mallory)
    with env.transaction():
        row = env.db.get_one(SoftwareToken, mallory.sub)
        env.db.execute(update(SoftwareToken).where(SoftwareToken.user_sub == user.sub).values(secret=row.secret))
    with pytest.raises(Exception, match="sealed about something else"):
        answer(env, client, asked(env, client), SOFTWARE_TOKEN_MFA_CODE=shown(env, own))


def test_an_answer_comes_too_late_or_twice_or_with_another_client(env: Env, clock: Clock) -> None:
    client, _, secret = a_world(env)
    other = a_client(env, client.pool)
    step = asked(env, client)
    with pytest.raises(errors.SessionInvalid):
        answer(env, other, step, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret))
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, challenge="SMS_MFA", SMS_MFA_CODE="123456")
    granting.tokens(env, answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret)))
    clock.forward(seconds=30)
    with pytest.raises(errors.SessionUsed):
        answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret))
    late = asked(env, client)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        answer(env, client, late, SOFTWARE_TOKEN_MFA_CODE=shown(env, secret))


def test_the_secret_is_sealed_where_it_is_kept(env: Env) -> None:
    client, user, secret = a_world(env)
    with env.reading() as session:
        row = session.get_one(SoftwareToken, user.sub)
    assert secret not in f"{row.secret} {row.pending}"
    assert find.existing(env, client.pool, "alice").user.sub == user.sub
