"""The choice between second factors."""

from collections.abc import Callable

import orjson
import pytest

from app import errors
from app.accounts import find
from app.env import Env
from app.models import Client, OutboxMessage
from app.signin import granting
from tests.build import a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.signin.challenges.signing_in import answer, asked, signed_in

FACTORS = ("SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP")
Sent = Callable[..., list[OutboxMessage]]


def a_world(env: Env, *on: str, preferred: str | None = None) -> tuple[Client, str]:
    client = a_client(env, with_factors(env, a_pool(env), "OPTIONAL", *FACTORS))
    user = a_user(env, client.pool, phone_number="+15555550100")
    secret = an_app(env, user)
    with env.transaction():
        find.locked(env, user.sub).mfa = {"on": list(on), "preferred": preferred}
    return client, secret


def test_several_without_a_preferred_one_are_offered_under_both_names(env: Env) -> None:
    client, _ = a_world(env, *FACTORS)
    step = asked(env, client)
    assert step.challenge == "SELECT_MFA_TYPE"
    assert orjson.loads(step.params["MFAS_CAN_CHOOSE"]) == list(FACTORS)
    assert step.params["MFAS_CAN_SELECT"] == step.params["MFAS_CAN_CHOOSE"]


@pytest.mark.parametrize("chosen", FACTORS)
def test_what_was_chosen_is_asked_for_and_signs_in(env: Env, sent: Sent, chosen: str) -> None:
    client, secret = a_world(env, *FACTORS)
    step = answer(env, client, asked(env, client), ANSWER=chosen)
    assert step.challenge == chosen
    code = app_code(secret, env.now()) if chosen == "SOFTWARE_TOKEN_MFA" else sent()[0].code
    granted = answer(env, client, step, **{f"{chosen.removesuffix('_CODE')}_CODE": code or ""})
    assert granted.proven == ("PASSWORD", "SELECT_MFA_TYPE", chosen)
    assert granting.tokens(env, granted).access


def test_the_preferred_one_is_asked_for_at_once(env: Env) -> None:
    client, _ = a_world(env, *FACTORS, preferred="EMAIL_OTP")
    assert asked(env, client).challenge == "EMAIL_OTP"


@pytest.mark.parametrize("chosen", ["EMAIL_OTP", "PASSWORD", "MFA_SETUP", "RECOVERY_CODE", "NONE"])
def test_what_was_not_offered_cannot_be_chosen(env: Env, chosen: str) -> None:
    client, secret = a_world(env, "SMS_MFA", "SOFTWARE_TOKEN_MFA")
    step = asked(env, client)
    with pytest.raises(errors.InvalidParameter):
        answer(env, client, step, ANSWER=chosen)
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter ANSWER"):
        answer(env, client, step)
    step = answer(env, client, step, ANSWER="SOFTWARE_TOKEN_MFA")
    assert signed_in(answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now())))


def test_a_choice_is_not_the_factor(env: Env) -> None:
    """The session of the choice does not answer the challenge that was chosen."""
    client, secret = a_world(env, *FACTORS)
    step = asked(env, client)
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, challenge="SOFTWARE_TOKEN_MFA", SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()))
