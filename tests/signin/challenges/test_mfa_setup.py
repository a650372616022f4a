"""A second factor that has to be set up: by an address. (By an authenticator app: tests/signin/test_set_up.py.)"""

from collections.abc import Callable
from typing import Any

import pytest

from app import errors
from app.accounts import find
from app.env import Env
from app.models import Client, OutboxMessage, User
from app.signin import granting
from tests.build import a_client, a_pool, a_user, with_factors
from tests.conftest import Clock
from tests.signin.challenges.signing_in import answer, asked, begin

Sent = Callable[..., list[OutboxMessage]]
MINE = "mine@example.com"


def a_world(env: Env, *factors: str, pool: dict[str, Any] | None = None, **settings: Any) -> Client:
    """A client of a pool that requires a code by e-mail, and alice, who has no address."""
    made = with_factors(env, a_pool(env, **(pool or {})), "ON", *(factors or ("EMAIL_OTP",)))
    client = a_client(env, made, **settings)
    a_user(env, made, email=None)
    return client


def alice(env: Env, client: Client) -> User:
    return find.existing(env, client.pool, "alice").user


def test_an_address_is_taken_proven_and_asked_for_from_then_on(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_world(env, "EMAIL_OTP", "SOFTWARE_TOKEN_MFA", "SMS_MFA")
    step = asked(env, client)
    assert step.params == {"MFAS_CAN_SETUP": '["SOFTWARE_TOKEN_MFA","EMAIL_OTP"]', "USER_ID_FOR_SRP": "alice"}
    step = answer(env, client, step, EMAIL=MINE)
    assert (step.challenge, step.params["CODE_DELIVERY_DESTINATION"]) == ("EMAIL_OTP", "m***@e***")
    message = sent(MINE)[0]
    assert (message.subject, message.body) == ("Signing in", f"Your code is {message.code}")
    granted = answer(env, client, step, EMAIL_OTP_CODE=message.code or "")
    assert granted.proven == ("PASSWORD", "MFA_SETUP", "EMAIL_OTP")
    granting.tokens(env, granted)
    user = alice(env, client)
    assert (user.email, user.email_verified) == (MINE, True)
    assert user.mfa == {"on": ["EMAIL_OTP"], "preferred": "EMAIL_OTP"}
    assert find.by_name(env, client.pool, MINE)
    clock.forward(seconds=1)
    assert asked(env, client).challenge == "EMAIL_OTP"


def test_nothing_is_kept_of_an_address_that_was_mistyped(env: Env, sent: Sent) -> None:
    """The code went to a stranger; the next sign-in asks for an address again."""
    client = a_world(env)
    answer(env, client, asked(env, client), EMAIL="mistyped@example.com")
    assert alice(env, client).email is None
    assert asked(env, client).challenge == "MFA_SETUP"


@pytest.mark.parametrize("address", ["", "x", "a@b@c", "a@b\0", "a@example.com\r\nBcc: b@example.com", "a" * 400])
def test_what_is_no_address_is_refused_and_leaves_the_session(env: Env, address: str) -> None:
    client = a_world(env)
    step = asked(env, client)
    with pytest.raises(errors.InvalidParameter):
        answer(env, client, step, EMAIL=address)
    assert answer(env, client, step, EMAIL=MINE).challenge == "EMAIL_OTP"


def test_a_client_that_may_not_write_addresses_sets_none_up(env: Env) -> None:
    client = a_world(env, write_attributes=["nickname"])
    with pytest.raises(errors.NotAuthorized, match="unauthorized attribute"):
        answer(env, client, asked(env, client), EMAIL=MINE)


def test_an_address_that_came_meanwhile_is_not_replaced(env: Env, sent: Sent) -> None:
    client = a_world(env)
    step = answer(env, client, asked(env, client), EMAIL="stranger@example.com")
    with env.transaction():
        find.locked(env, alice(env, client).sub).email = MINE
    granted = answer(env, client, step, EMAIL_OTP_CODE=sent("stranger@example.com")[0].code or "")
    with pytest.raises(errors.SessionInvalid):
        granting.tokens(env, granted)
    assert alice(env, client).email == MINE


def test_an_address_that_signs_somebody_else_in_is_hers_unverified(env: Env, sent: Sent) -> None:
    client = a_world(env)
    a_user(env, client.pool, "bob", email=MINE)
    step = answer(env, client, asked(env, client), EMAIL=MINE)
    granting.tokens(env, answer(env, client, step, EMAIL_OTP_CODE=sent(MINE)[0].code or ""))
    user = alice(env, client)
    assert (user.email, user.email_verified) == (MINE, False)
    found = find.by_name(env, client.pool, MINE)
    assert found and found.user.username == "bob"


def test_where_addresses_are_usernames_one_of_somebody_else_is_refused(env: Env, sent: Sent) -> None:
    names: dict[str, Any] = {"alias_attributes": [], "username_attributes": ["email", "phone_number"]}
    client = a_client(env, with_factors(env, a_pool(env, **names), "ON", "EMAIL_OTP"))
    a_user(env, client.pool, email=MINE)
    user = a_user(env, client.pool, email=None, phone_number="+15555550100")
    step = answer(env, client, asked(env, client, user.username), EMAIL=MINE)
    granted = answer(env, client, step, EMAIL_OTP_CODE=sent(MINE)[0].code or "")
    with pytest.raises(errors.AliasExists):
        granting.tokens(env, granted)
    assert find.existing(env, client.pool, user.username).user.email is None


def test_who_can_set_nothing_up_is_told_so(env: Env) -> None:
    """Her only address recovers her password, as her pool says, and may not be the other factor too."""
    by_mail = {"recovery_mechanisms": [{"name": "verified_email", "priority": 1}]}
    pool = a_pool(env, account_recovery_setting=by_mail)
    client = a_client(env, with_factors(env, pool, "ON", "EMAIL_OTP"))
    a_user(env, client.pool)
    with pytest.raises(errors.InvalidParameter, match="an administrator has to"):
        begin(env, client)


def test_a_code_of_the_set_up_is_wrong_for_another(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_world(env)
    first = answer(env, client, asked(env, client), EMAIL="stranger@example.com")
    clock.forward(seconds=1)
    second = answer(env, client, asked(env, client), EMAIL=MINE)
    with pytest.raises(errors.CodeMismatch, match="Invalid code or auth state for the user."):
        answer(env, client, second, EMAIL_OTP_CODE=sent("stranger@example.com")[0].code or "")
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, first, EMAIL_OTP_CODE=sent(MINE)[0].code or "")
