"""A code by e-mail after the password. (In its place: test_first_codes.py; to set it up: test_mfa_setup.py.)"""

from collections.abc import Callable

import pytest

from app import errors
from app.accounts import find, mfa
from app.env import Env
from app.models import Client, OutboxMessage
from app.pools import mfa as pools
from app.signin import granting
from tests.build import a_client, a_pool, a_user, with_factors
from tests.conftest import Clock
from tests.signin.challenges.signing_in import answer, asked, signed_in

Sent = Callable[..., list[OutboxMessage]]
HERS = "alice@example.com"


def a_world(env: Env, verified: str = "true") -> Client:
    client = a_client(env, with_factors(env, a_pool(env), "OPTIONAL", "EMAIL_OTP"))
    user = a_user(env, client.pool, email_verified=verified)
    mfa.prefer(env, user, {"EMAIL_OTP": mfa.Setting(True, True)})
    return client


def test_the_code_of_six_digits_in_the_pools_words_signs_in(env: Env, sent: Sent) -> None:
    client = a_world(env, verified="false")
    step = asked(env, client)
    assert step.params == {
        "CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL",
        "CODE_DELIVERY_DESTINATION": "a***@e***",
        "USER_ID_FOR_SRP": "alice",
    }
    message = sent(HERS)[0]
    assert (message.subject, message.body) == ("Signing in", f"Your code is {message.code}")
    assert len(message.code or "") == 6
    granting.tokens(env, answer(env, client, step, EMAIL_OTP_CODE=message.code or ""))
    assert find.existing(env, client.pool, "alice").user.verified("email")


def test_a_pool_without_words_has_the_usual_ones(env: Env, sent: Sent) -> None:
    pool = a_pool(env)
    client = a_client(env, pools.configure(env, pool, {"mfa_configuration": "OPTIONAL", "email_mfa_configuration": {}}))
    user = a_user(env, client.pool)
    mfa.prefer(env, user, {"EMAIL_OTP": mfa.Setting(True, None)})
    asked(env, client)
    message = sent(HERS)[0]
    assert message.subject == "Your authentication code"
    assert message.body == f"Your authentication code is {message.code}"


def test_a_wrong_code_leaves_the_session_and_five_lock(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_world(env)
    step = asked(env, client)
    code = sent(HERS)[0].code or ""
    for _ in range(5):
        with pytest.raises(errors.CodeMismatch, match="Invalid code or auth state for the user."):
            answer(env, client, step, EMAIL_OTP_CODE=f"{(int(code) + 1) % 10**6:06}")
    with pytest.raises(errors.LockedOut):
        answer(env, client, step, EMAIL_OTP_CODE=code)
    clock.forward(seconds=1)
    assert signed_in(answer(env, client, step, EMAIL_OTP_CODE=code))


def test_the_code_of_another_user_is_wrong(env: Env, sent: Sent) -> None:
    client = a_world(env)
    mallory = a_user(env, client.pool, "mallory", email="mallory@example.com")
    mfa.prefer(env, mallory, {"EMAIL_OTP": mfa.Setting(True, True)})
    own = asked(env, client, "mallory")
    code = sent("mallory@example.com")[0].code or ""
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, asked(env, client), EMAIL_OTP_CODE=code)
    assert signed_in(answer(env, client, own, EMAIL_OTP_CODE=code))
