"""A code by SMS after the password."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from flask import Flask

from app import errors
from app.accounts import find
from app.env import Env, Message
from app.models import Alias, Attempt, Client, OutboxMessage, User
from app.pools import mfa
from app.signin import granting
from tests.build import a_client, a_pool, a_user, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.challenges.signing_in import answer, asked, begin, signed_in

PHONE = "+15555550100"
SMS = {"sms_configuration": {"sns_caller_arn": "arn:aws:iam::1:role/sms"}}
Sent = Callable[..., list[OutboxMessage]]


def a_world(env: Env, **user: str) -> Client:
    """A client of a pool that requires codes by SMS, and alice with a phone."""
    pool = a_pool(env, alias_attributes=["email", "phone_number"], auto_verified_attributes=["email"])
    client = a_client(env, with_factors(env, pool, "ON", "SMS_MFA"))
    a_user(env, client.pool, phone_number=PHONE, **user)
    return client


def alice(env: Env, client: Client) -> User:
    return find.existing(env, client.pool, "alice").user


def test_the_code_that_was_sent_signs_in_and_proves_the_number(env: Env, sent: Sent) -> None:
    client = a_world(env)
    assert not alice(env, client).verified("phone_number")
    step = asked(env, client)
    assert step.challenge == "SMS_MFA"
    assert step.params == {
        "CODE_DELIVERY_DELIVERY_MEDIUM": "SMS",
        "CODE_DELIVERY_DESTINATION": "+*******0100",
        "USER_ID_FOR_SRP": "alice",
    }
    message = sent(PHONE)[0]
    assert message.code and len(message.code) == 6
    assert message.body == f"Your authentication code is {message.code}. "
    granting.tokens(env, answer(env, client, step, SMS_MFA_CODE=f" {message.code} "))
    assert alice(env, client).verified("phone_number")
    assert find.by_name(env, client.pool, PHONE)


def test_the_pools_own_words(env: Env, sent: Sent) -> None:
    pool = a_pool(env)
    sms = {**SMS, "sms_authentication_message": "{####} opens People, and again {####}"}
    client = a_client(env, mfa.configure(env, pool, {"mfa_configuration": "ON", "sms_mfa_configuration": sms}))
    a_user(env, client.pool, phone_number=PHONE)
    asked(env, client)
    message = sent(PHONE)[0]
    assert message.body == f"{message.code} opens People, and again {message.code}"


def test_a_pool_whose_trigger_would_choose_the_words_sends_none_of_its_own(env: Env, sent: Sent) -> None:
    pool = a_pool(env, lambda_config={"custom_message": "arn:aws:lambda:us-east-1:1:function:words"})
    client = a_client(env, with_factors(env, pool, "ON", "SMS_MFA"))
    a_user(env, client.pool, phone_number=PHONE)
    with pytest.raises(errors.UnexpectedLambda):
        begin(env, client)
    assert sent(PHONE) == []


def test_a_wrong_code_leaves_the_session_and_the_right_one_works_once(env: Env, sent: Sent) -> None:
    client = a_world(env)
    step = asked(env, client)
    code = sent(PHONE)[0].code or ""
    with pytest.raises(errors.CodeMismatch, match="Invalid code received for user"):
        answer(env, client, step, SMS_MFA_CODE=f"{(int(code) + 1) % 10**6:06}")
    granting.tokens(env, answer(env, client, step, SMS_MFA_CODE=code))
    with pytest.raises(errors.SessionUsed):
        answer(env, client, step, SMS_MFA_CODE=code)


def test_of_parallel_answers_with_the_right_code_one_signs_in(app: Flask, env: Env, sent: Sent) -> None:
    client = a_world(env)
    step = asked(env, client)
    code = sent(PHONE)[0].code or ""

    def sign_in() -> str:
        return granting.tokens(env, answer(env, client, step, SMS_MFA_CODE=code)).access

    outcomes = in_parallel(app, *(partial(sign_in) for _ in range(4)))
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1


def test_the_code_of_another_sign_in_of_the_same_user_is_wrong(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_world(env)
    first = asked(env, client)
    earlier = sent(PHONE)[0].code or ""
    clock.forward(seconds=1)
    second = asked(env, client)
    later = sent(PHONE)[0].code or ""
    assert earlier != later
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, second, SMS_MFA_CODE=earlier)
    assert signed_in(answer(env, client, first, SMS_MFA_CODE=earlier))


def test_a_code_lives_as_long_as_its_session(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_world(env)
    step = asked(env, client)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        answer(env, client, step, SMS_MFA_CODE=sent(PHONE)[0].code or "")


def test_only_a_digest_is_kept_and_not_one_that_could_be_looked_up(env: Env, sent: Sent) -> None:
    client = a_world(env)
    asked(env, client)
    asked(env, client)
    with env.reading() as session:
        kept = [row.notes["code"] for row in session.query(Attempt)]
    assert len({note["nonce"] for note in kept}) == 2
    for message in sent(PHONE):
        assert message.code and message.code not in str([note["digest"] for note in kept])
        assert env.keyed.digest("sign-in code", message.code) not in str(kept)


def test_a_number_that_she_has_left_meanwhile_proves_nothing(env: Env, sent: Sent) -> None:
    """The code went to a phone that is somebody else's by now."""
    client = a_world(env)
    step = asked(env, client)
    with env.transaction():
        find.locked(env, alice(env, client).sub).phone_number = "+15555550199"
    granted = answer(env, client, step, SMS_MFA_CODE=sent(PHONE)[0].code or "")
    with pytest.raises(errors.SessionInvalid):
        granting.tokens(env, granted)
    assert not alice(env, client).verified("phone_number")


def test_a_number_that_signs_somebody_else_in_stays_unverified_and_hinders_nobody(env: Env, sent: Sent) -> None:
    client = a_world(env)
    a_user(env, client.pool, "bob", email="bob@example.com", phone_number=PHONE, phone_number_verified="true")
    step = asked(env, client)
    granting.tokens(env, answer(env, client, step, SMS_MFA_CODE=sent(PHONE)[0].code or ""))
    assert not alice(env, client).verified("phone_number")
    with env.reading() as session:
        holder = session.query(Alias).filter_by(attribute="phone_number", value=PHONE).one()
    assert holder.user_sub != alice(env, client).sub


def test_a_message_that_could_not_leave_is_told(env: Env) -> None:
    class Broken:
        def send(self, message: Message) -> None:
            raise errors.CodeDeliveryFailure

    client = a_world(env)
    with pytest.raises(errors.CodeDeliveryFailure):
        begin(replace(env, sms=Broken()), client)
    assert asked(env, client).challenge == "SMS_MFA"
