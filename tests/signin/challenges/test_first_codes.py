"""Codes in place of a password: EMAIL_OTP and SMS_OTP as first factors.

Told by the modules alone; which flow asks for them, and when, is told in tests/signin.
"""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from app import errors
from app.accounts import find, lockout
from app.env import Env, Message, Origin
from app.models import Client, OutboxMessage
from app.signin import flow, granting
from app.signin.challenges import email_otp, sms_otp
from app.signin.state import Ask, Asked, Proof, SignIn
from tests.build import a_client, a_pool, a_user
from tests.signin.challenges import signing_in as stepping

Sent = Callable[..., list[OutboxMessage]]
PHONE, EMAIL = "+15555550100", "alice@example.com"
BOTH = pytest.mark.parametrize(
    ("challenge", "address", "digits"), [(email_otp, EMAIL, 8), (sms_otp, PHONE, 6)], ids=["email", "sms"]
)
WRONG = "Invalid code or auth state for the user."


def a_world(env: Env, *, hides: bool = False, pool: dict[str, Any] | None = None) -> Client:
    names = {"alias_attributes": ["email", "phone_number"]}
    client = a_client(
        env,
        a_pool(env, **{**names, **(pool or {})}),
        prevent_user_existence_errors="ENABLED" if hides else "LEGACY",
    )
    a_user(env, client.pool, phone_number=PHONE, email_verified="false")
    return client


def signing_in(env: Env, client: Client, name: str = "alice", **more: Any) -> SignIn:
    found = find.by_name(env, client.pool, name)
    user = found.user if found else None
    failures = lockout.counter(env, client.pool, sub=user.sub if user else None, nobody=name, origin=Origin())
    return SignIn(client, "USER_AUTH", name, user, None, failures, Origin(), **more)


def ask(env: Env, challenge: ModuleType, sign_in: SignIn) -> Asked:
    """As the engine does it."""
    asked: Asked = challenge.ask(env, sign_in, {})
    with env.transaction():
        if asked.write:
            asked.write()
    return asked


def answer(env: Env, challenge: ModuleType, sign_in: SignIn, asked: Asked, code: str) -> Proof:
    given = {f"{challenge.NAME}_CODE": code}
    proof: Proof = challenge.answer(env, replace(sign_in, notes=asked.notes), given)
    return proof


@BOTH
@pytest.mark.parametrize("hides", [True, False])
def test_the_code_signs_in_and_proves_the_address(
    env: Env, sent: Sent, challenge: ModuleType, address: str, digits: int, hides: bool
) -> None:
    client = a_world(env, hides=hides)
    sign_in = signing_in(env, client)
    asked = ask(env, challenge, sign_in)
    code = sent(address)[0].code or ""
    assert len(code) == digits
    proof = answer(env, challenge, sign_in, asked, code)
    assert (proof.user.username, proof.password) == ("alice", None)
    assert proof.write
    with env.transaction():
        proof.write(find.locked(env, proof.user.sub))
    attribute = "email" if challenge is email_otp else "phone_number"
    assert find.existing(env, client.pool, "alice").user.verified(attribute)


@BOTH
def test_a_wrong_code(env: Env, sent: Sent, challenge: ModuleType, address: str, digits: int) -> None:
    sign_in = signing_in(env, a_world(env))
    asked = ask(env, challenge, sign_in)
    code = sent(address)[0].code or ""
    for wrong in (f"{(int(code) + 1) % 10**digits:0{digits}}", code[:-1], code + "0", "\0"):
        with pytest.raises(errors.CodeMismatch, match=WRONG):
            answer(env, challenge, sign_in, asked, wrong)


def test_the_code_of_one_challenge_is_wrong_for_the_other(env: Env, sent: Sent) -> None:
    """Notes that were taken from one session into another: the digest is of its challenge."""
    sign_in = signing_in(env, a_world(env))
    by_sms = ask(env, sms_otp, sign_in)
    with pytest.raises(errors.CodeMismatch):
        answer(env, email_otp, sign_in, by_sms, sent(PHONE)[0].code or "")


@BOTH
def test_nobody_is_answered_like_somebody(
    env: Env, sent: Sent, challenge: ModuleType, address: str, digits: int
) -> None:
    client = a_world(env, hides=True)
    before = len(sent())
    typed = "bob@example.org" if challenge is email_otp else "+15555550199"
    nobody = signing_in(env, client, typed)
    hers = ask(env, challenge, signing_in(env, client))
    his = ask(env, challenge, nobody)
    assert hers.params.keys() == his.params.keys()
    assert his.params["CODE_DELIVERY_DESTINATION"] == ("b***@e***" if challenge is email_otp else "+*******0199")
    assert ask(env, challenge, nobody).params == his.params
    assert hers.notes["code"].keys() == his.notes["code"].keys()
    assert len(sent()) == before + 1
    with pytest.raises(errors.CodeMismatch, match=WRONG):
        answer(env, challenge, nobody, his, "12345678"[:digits])


@BOTH
def test_somebody_without_an_address_is_nobody_where_that_is_hidden(
    env: Env, sent: Sent, challenge: ModuleType, address: str, digits: int
) -> None:
    for hides in (True, False):
        client = a_world(env, hides=hides)
        a_user(env, client.pool, "carol", email=None)
        sign_in = signing_in(env, client, "carol")
        if hides:
            assert ask(env, challenge, sign_in).params["CODE_DELIVERY_DESTINATION"]
        else:
            with pytest.raises(errors.InvalidParameter, match="The user has no"):
                ask(env, challenge, sign_in)
    assert sent(address) == []


@pytest.mark.parametrize("name", ["alice", "bob@example.org"])
def test_nobodys_mailbox_is_flooded_and_the_limit_is_the_same_for_everybody(env: Env, sent: Sent, name: str) -> None:
    client = a_world(env, hides=True)
    for _ in range(20):
        ask(env, email_otp, signing_in(env, client, name))
    with pytest.raises(errors.TooManyCodes, match="Attempt limit exceeded"):
        ask(env, email_otp, signing_in(env, client, name))
    assert len(sent(EMAIL)) == (20 if name == "alice" else 0)


def test_where_it_is_hidden_who_exists_a_message_leaves_after_the_answer(env: Env, sent: Sent) -> None:
    """The time that sending takes would tell; and so would its failure."""
    later: list[Callable[[], None]] = []
    client = a_world(env, hides=True)
    waiting = replace(env, later=later.append)
    for name in ("alice", "bob@example.org"):
        ask(waiting, email_otp, signing_in(env, client, name))
    assert sent(EMAIL) == [] and len(later) == 2
    for act in later:
        act()
    assert len(sent(EMAIL)) == 1

    class Broken:
        def send(self, message: Message) -> None:
            raise errors.CodeDeliveryFailure

    assert ask(replace(env, mail=Broken()), email_otp, signing_in(env, client)).params
    with pytest.raises(errors.CodeDeliveryFailure):
        ask(replace(env, mail=Broken()), email_otp, signing_in(env, a_world(env)))


def test_a_trigger_that_would_choose_the_words_stops_it_for_everybody(env: Env) -> None:
    client = a_world(
        env, hides=True, pool={"lambda_config": {"custom_email_sender": {"lambda_arn": "arn:aws:x"}, "kms_key_id": "k"}}
    )
    for name in ("alice", "bob@example.org"):
        with pytest.raises(errors.UnexpectedLambda):
            ask(env, email_otp, signing_in(env, client, name))
        ask(env, sms_otp, signing_in(env, client, name))


# -- in the flow that leaves the choice ------------------------------------------------------------------------


def test_the_flow_asks_for_it_and_a_code_alone_signs_in(env: Env, sent: Sent) -> None:
    first = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}
    client = a_client(env, a_pool(env, policies=first), explicit_auth_flows=["ALLOW_USER_AUTH"])
    a_user(env, client.pool)
    given = {"USERNAME": "alice", "PREFERRED_CHALLENGE": "EMAIL_OTP"}
    step = flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())
    assert isinstance(step, Ask)
    assert step.params == {"CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL", "CODE_DELIVERY_DESTINATION": "a***@e***"}
    with pytest.raises(errors.SessionInvalid):  # which is no second factor here
        stepping.answer(env, client, step, challenge="RECOVERY_CODE", RECOVERY_CODE="aaaaa-aaaaa-aaaaa")
    with pytest.raises(errors.CodeMismatch):
        stepping.answer(env, client, step, EMAIL_OTP_CODE="00000000")
    granted = stepping.answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
    assert granted.proven == ("EMAIL_OTP",)
    assert granting.tokens(env, granted).access


def test_guesses_at_a_name_that_means_nobody_lock_like_others(env: Env) -> None:
    first = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}
    client = a_client(
        env,
        a_pool(env, policies=first),
        explicit_auth_flows=["ALLOW_USER_AUTH"],
        prevent_user_existence_errors="ENABLED",
    )
    a_user(env, client.pool)
    said = []
    for name in ("alice", "nobody"):
        given = {"USERNAME": name, "PREFERRED_CHALLENGE": "EMAIL_OTP"}
        step = flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())
        assert isinstance(step, Ask)
        for _ in range(7):
            with pytest.raises(errors.Refusal) as refused:
                stepping.answer(env, client, step, EMAIL_OTP_CODE="00000000")
            said.append((type(refused.value), refused.value.message))
    assert said[:7] == said[7:]
    assert [one for one, _ in said[:7]] == [errors.CodeMismatch] * 5 + [errors.LockedOut] * 2
