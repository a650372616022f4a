"""USER_AUTH: the user chooses how he signs in."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import administer, mfa
from app.env import Env, Origin
from app.models import Attempt, Client, LoginSession, OutboxMessage, Pool, User
from app.pools import find
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from app.tokens import assurance
from tests.build import (
    PAGE,
    PASSWORD,
    a_client,
    a_passkey,
    a_pool,
    a_pool_with_passkeys,
    a_user,
    an_app,
    app_code,
    with_factors,
)
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.test_srp import Device

Sent = Callable[..., list[OutboxMessage]]
EMAIL = "alice@example.com"
ALL = ("PASSWORD_SRP", "PASSWORD", "EMAIL_OTP")
WRONG = "Incorrect username or password."
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def choosing(*allowed: str) -> dict[str, Any]:
    """Settings of a pool with these first factors."""
    policy = {"allowed_first_auth_factors": ["PASSWORD", *allowed]}
    return {"policies": {"sign_in_policy": policy}}


def a_choosing_client(env: Env, pool: Pool, hides: str = "ENABLED") -> Client:
    flows = ["ALLOW_USER_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    return a_client(env, pool, explicit_auth_flows=flows, prevent_user_existence_errors=hides)


@pytest.fixture
def client(env: Env) -> Client:
    return a_choosing_client(env, a_pool(env, algorithm="ES256", **choosing("EMAIL_OTP")))


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def begin(env: Env, client: Client, name: str = "alice", **given: str) -> Any:
    return flow.begin(env, client, flow="USER_AUTH", given={"USERNAME": name, **given}, origin=Origin())


def answer(env: Env, client: Client, step: Ask, **given: str) -> Any:
    return flow.answer(env, client, challenge=step.challenge, session=step.handle, given=given, origin=Origin())


def tokens_of(env: Env) -> int:
    with env.reading() as session:
        return session.scalar(select(func.count()).select_from(LoginSession)) or 0


# -- the choice ------------------------------------------------------------------------------------------------


def test_without_a_preference_there_is_a_choice(env: Env, client: Client, alice: User) -> None:
    step = begin(env, client)
    assert (step.challenge, step.params, step.available) == ("SELECT_CHALLENGE", {}, ALL)
    assert step.handle


@pytest.mark.parametrize("preferred", ["WEB_AUTHN", "SMS_OTP"])
def test_or_where_he_does_not_have_what_he_prefers(env: Env, client: Client, alice: User, preferred: str) -> None:
    assert begin(env, client, PREFERRED_CHALLENGE=preferred).challenge == "SELECT_CHALLENGE"


@pytest.mark.parametrize("preferred", ["SOFTWARE_TOKEN_MFA", "SELECT_CHALLENGE", "password", "x"])
def test_a_preference_that_is_no_challenge_is_refused(env: Env, client: Client, alice: User, preferred: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="PREFERRED_CHALLENGE must be one of"):
        begin(env, client, PREFERRED_CHALLENGE=preferred)


@pytest.mark.parametrize("chosen", ["SMS_OTP", "WEB_AUTHN", "PASSWORD_VERIFIER", "SOFTWARE_TOKEN_MFA", "x"])
def test_an_answer_that_was_not_offered_is_refused_and_leaves_the_session(
    env: Env, client: Client, alice: User, chosen: str
) -> None:
    step = begin(env, client)
    with pytest.raises(errors.InvalidParameter, match="ANSWER must be one of PASSWORD_SRP, PASSWORD, EMAIL_OTP."):
        answer(env, client, step, ANSWER=chosen)
    assert isinstance(answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD), Granted)


def test_a_choice_must_be_made(env: Env, client: Client, alice: User) -> None:
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter ANSWER"):
        answer(env, client, begin(env, client))


def test_somebody_without_any_factor_is_told_so_where_that_is_no_secret(env: Env, client: Client) -> None:
    telling = a_choosing_client(env, a_pool(env, algorithm="ES256", **choosing("EMAIL_OTP")), hides="LEGACY")
    without_password(env, a_user(env, telling.pool, email=None))
    with pytest.raises(errors.InvalidParameter, match="The user has no factor to sign in with."):
        begin(env, telling)


def without_password(env: Env, user: User) -> None:
    with env.transaction():
        env.db.execute(flow.Password.__table__.delete().where(flow.Password.user_sub == user.sub))


# -- the password ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["at once", "preferred first", "chosen with it", "chosen first"])
def test_a_password_comes_with_the_choice_or_after_it(env: Env, client: Client, alice: User, way: str) -> None:
    if way == "at once":
        granted = begin(env, client, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    elif way == "preferred first":
        step = begin(env, client, PREFERRED_CHALLENGE="PASSWORD")
        assert (step.challenge, step.params, step.available) == ("PASSWORD", {"USERNAME": "alice"}, ALL)
        granted = answer(env, client, step, PASSWORD=PASSWORD)
    elif way == "chosen with it":
        granted = answer(env, client, begin(env, client), ANSWER="PASSWORD", PASSWORD=PASSWORD)
    else:
        step = answer(env, client, begin(env, client), ANSWER="PASSWORD")
        assert step.challenge == "PASSWORD"
        granted = answer(env, client, step, PASSWORD=PASSWORD)
    assert granted.proven == ("PASSWORD",)
    assert granting.tokens(env, granted).refresh


@pytest.mark.parametrize("way", ["preferred with it", "preferred first", "chosen with it", "chosen first"])
def test_so_does_srp(env: Env, client: Client, alice: User, way: str) -> None:
    device = Device(client, "alice")
    public = device.first()["SRP_A"]
    if way == "preferred with it":
        step = begin(env, client, PREFERRED_CHALLENGE="PASSWORD_SRP", SRP_A=public)
        assert step.available == ALL
    elif way == "preferred first":
        step = begin(env, client, PREFERRED_CHALLENGE="PASSWORD_SRP")
        assert (step.challenge, step.params) == ("PASSWORD_SRP", {"USERNAME": "alice"})
        with pytest.raises(errors.InvalidParameter, match="Missing required parameter SRP_A"):
            answer(env, client, step)
        with pytest.raises(errors.InvalidParameter, match="SRP_A is not a valid public value"):
            answer(env, client, step, SRP_A="0")
        step = answer(env, client, step, SRP_A=public)
    elif way == "chosen with it":
        step = answer(env, client, begin(env, client), ANSWER="PASSWORD_SRP", SRP_A=public)
    else:
        step = answer(env, client, begin(env, client), ANSWER="PASSWORD_SRP")
        step = answer(env, client, step, SRP_A=public)
    assert (step.challenge, bool(step.handle)) == ("PASSWORD_VERIFIER", True)
    granted = answer(env, client, step, **device.second(step.params, env.now()))
    assert granted.proven == ("PASSWORD_VERIFIER",)
    granting.tokens(env, granted)


def test_a_wrong_password_is_counted_and_leaves_the_session(env: Env, client: Client, alice: User) -> None:
    step = begin(env, client)
    for _ in range(4):
        with pytest.raises(errors.NotAuthorized, match=WRONG):
            answer(env, client, step, ANSWER="PASSWORD", PASSWORD="wrong")
    granting.tokens(env, answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD))
    step = begin(env, client)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized, match=WRONG):
            answer(env, client, step, ANSWER="PASSWORD", PASSWORD="wrong")
    with pytest.raises(errors.LockedOut):
        answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)


def test_while_he_is_locked_out_nothing_is_sent_to_him_either(
    env: Env, client: Client, alice: User, sent: Sent
) -> None:
    step = begin(env, client)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized):
            answer(env, client, step, ANSWER="PASSWORD", PASSWORD="wrong")
    for chosen in ("EMAIL_OTP", "PASSWORD", "PASSWORD_SRP"):
        with pytest.raises(errors.LockedOut):
            answer(env, client, step, ANSWER=chosen)
    assert sent(EMAIL) == []


def test_a_second_factor_follows_a_password(env: Env) -> None:
    pool = with_factors(env, a_pool(env, algorithm="ES256"), "ON", "SOFTWARE_TOKEN_MFA")
    client = a_choosing_client(env, pool)
    secret = an_app(env, a_user(env, pool))
    step = begin(env, client, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    assert step.challenge == "SOFTWARE_TOKEN_MFA"
    granted = answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()))
    assert granted.proven == ("PASSWORD", "SOFTWARE_TOKEN_MFA")


def test_a_temporary_password_is_the_only_way_in_and_is_replaced(env: Env, client: Client) -> None:
    client = a_choosing_client(env, client.pool, hides="LEGACY")
    given = {"email": EMAIL, "email_verified": "true"}
    administer.create(env, client.pool, username="alice", attributes=given, temporary_password=PASSWORD, silent=True)
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
    assert (step.challenge, step.available) == ("SELECT_CHALLENGE", ("PASSWORD_SRP", "PASSWORD"))
    step = answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert step.challenge == "NEW_PASSWORD_REQUIRED"
    granting.tokens(env, answer(env, client, step, NEW_PASSWORD="Another-horse-8"))


# -- without a password ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["preferred", "chosen"])
def test_a_code_by_mail(env: Env, client: Client, alice: User, sent: Sent, way: str) -> None:
    if way == "preferred":
        step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
        assert step.available == ALL
    else:
        step = answer(env, client, begin(env, client), ANSWER="EMAIL_OTP")
    assert step.challenge == "EMAIL_OTP"
    assert step.params == {"CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL", "CODE_DELIVERY_DESTINATION": "a***@e***"}
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, step, EMAIL_OTP_CODE="00000000")
    granted = answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
    assert granted.proven == ("EMAIL_OTP",)
    granting.tokens(env, granted)
    with pytest.raises(errors.SessionUsed):
        answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")


@pytest.mark.parametrize("way", ["preferred", "chosen"])
def test_a_passkey(env: Env, way: str) -> None:
    client = a_choosing_client(env, a_pool_with_passkeys(env, algorithm="ES256"))
    key = a_passkey(env, client, a_user(env, client.pool))
    if way == "preferred":
        step = begin(env, client, PREFERRED_CHALLENGE="WEB_AUTHN")
        assert "WEB_AUTHN" in step.available
    else:
        # An answer that comes before its challenge was made is none.
        step = answer(env, client, begin(env, client), ANSWER="WEB_AUTHN", CREDENTIAL="{}")
    assert step.challenge == "WEB_AUTHN"
    signed = key.sign(json.loads(step.params["CREDENTIAL_REQUEST_OPTIONS"]), PAGE)
    granted = answer(env, client, step, CREDENTIAL=json.dumps(signed))
    assert granted.proven == ("WEB_AUTHN",)
    granting.tokens(env, granted)


def test_a_code_that_is_out_when_a_second_factor_is_switched_on_does_not_pass_it_by(env: Env, sent: Sent) -> None:
    pool = with_factors(env, a_pool(env, algorithm="ES256", **choosing("EMAIL_OTP")), "OPTIONAL", "SOFTWARE_TOKEN_MFA")
    client = a_choosing_client(env, pool)
    user = a_user(env, pool)
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
    an_app(env, user)
    with env.transaction():
        mfa.switch_on(env, env.db.get_one(User, user.sub), "SOFTWARE_TOKEN_MFA")
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
    telling = a_choosing_client(env, pool, hides="LEGACY")
    assert begin(env, telling, PREFERRED_CHALLENGE="EMAIL_OTP").available == ("PASSWORD_SRP", "PASSWORD")


@pytest.mark.parametrize("meanwhile", ["disabled", "deleted"])
def test_whoever_is_gone_when_the_code_comes_does_not_get_in(
    env: Env, client: Client, alice: User, sent: Sent, meanwhile: str
) -> None:
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
    {"disabled": administer.disable, "deleted": administer.delete}[meanwhile](env, client.pool, username="alice")
    with pytest.raises(errors.NotAuthorized):
        granting.tokens(env, answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or ""))
    assert tokens_of(env) == 0


# -- names that mean nobody ------------------------------------------------------------------------------------


def seen(step: Any, name: str) -> dict[str, Any]:
    """All that can be compared of an answer to two names of the same length, but for what is random in every one."""
    assert isinstance(step, Ask)
    told = {key: value for key, value in step.params.items() if key not in ("SRP_B", "SECRET_BLOCK", "SALT")}
    return {
        "challenge": step.challenge,
        "params": {key: UUID.sub("<sub>", value.replace(name, "<name>")) for key, value in told.items()},
        "names": sorted(step.params),
        "salt": len(step.params.get("SALT", "")),
        # A number, written without leading zeros: one in sixteen of them is a digit shorter than the next.
        "srp_b": (len(step.params.get("SRP_B", "")) + 7) // 8,
        "available": step.available,
        "session": len(step.handle or ""),
    }


NAMES = ("alice", "nobod")


@pytest.mark.parametrize("preferred", ["", "PASSWORD", "PASSWORD_SRP", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"])
@pytest.mark.parametrize("with_answer", [False, True])
def test_they_are_answered_like_names_that_mean_somebody(
    env: Env, client: Client, alice: User, preferred: str, with_answer: bool
) -> None:
    given = {"PREFERRED_CHALLENGE": preferred} if preferred else {}
    if with_answer:
        given["SRP_A"] = Device(client, "alice").first()["SRP_A"]
    known, unknown = (seen(begin(env, client, name, **given), name) for name in NAMES)
    if preferred == "EMAIL_OTP":
        known["params"].pop("CODE_DELIVERY_DESTINATION"), unknown["params"].pop("CODE_DELIVERY_DESTINATION")
    assert known == unknown


def test_what_they_answer_is_refused_in_the_same_words_and_locks_alike(env: Env, client: Client, alice: User) -> None:
    told: dict[str, list[Any]] = {}
    for name in NAMES:
        said = told.setdefault(name, [])
        step = begin(env, client, name)
        for chosen, given in (
            ("PASSWORD", {"PASSWORD": "wrong"}),
            ("PASSWORD", {"PASSWORD": "wrong"}),
            ("EMAIL_OTP", {}),
        ):
            try:
                after = answer(env, client, step, USERNAME=name, ANSWER=chosen, **given)
                said.append((after.challenge, sorted(after.params)))
            except errors.Refusal as refused:
                said.append((type(refused), refused.message))
        for _ in range(3):
            with pytest.raises(errors.CodeMismatch) as mismatch:
                answer(env, client, after, USERNAME=name, EMAIL_OTP_CODE="00000000")
            said.append(mismatch.value.message)
        for attempt in ("begin", "password"):
            with pytest.raises(errors.LockedOut):
                if attempt == "begin":
                    begin(env, client, name)
                else:
                    flow.begin(
                        env,
                        client,
                        flow="USER_PASSWORD_AUTH",
                        given={"USERNAME": name, "PASSWORD": PASSWORD},
                        origin=Origin(),
                    )
    assert told["alice"] == told["nobod"]


def test_an_address_that_means_nobody_locks_in_every_flow_alike(env: Env, client: Client, alice: User) -> None:
    """By SRP he is called by an invented name; he must be counted by the one that was typed."""
    for name in (EMAIL, "nobod@example.com"):
        for _ in range(5):
            device = Device(client, name, "wrong")
            step = flow.begin(env, client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())
            assert isinstance(step, Ask)
            with pytest.raises(errors.NotAuthorized, match=WRONG):
                answer(env, client, step, **device.second(step.params, env.now()))
        with pytest.raises(errors.LockedOut):
            flow.begin(env, client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())
        with pytest.raises(errors.LockedOut):
            begin(env, client, name)


def test_somebody_without_any_factor_looks_like_nobody(env: Env, client: Client, alice: User, sent: Sent) -> None:
    without_password(env, a_user(env, client.pool, "bobby", email=None))
    for given in ({}, {"PREFERRED_CHALLENGE": "EMAIL_OTP"}, {"PREFERRED_CHALLENGE": "PASSWORD"}):
        real, unreal = (seen(begin(env, client, name, **given), name) for name in ("bobby", "nobod"))
        real["params"].pop("CODE_DELIVERY_DESTINATION", 0), unreal["params"].pop("CODE_DELIVERY_DESTINATION", 0)
        assert real == unreal
    assert sent() == []


def test_the_choices_do_not_tell_who_exists_or_what_they_have(env: Env, sent: Sent) -> None:
    """A temporary password, a second factor, no address, no password, somebody else's identity: all are offered what
    the pool allows, and what they may not have comes to nothing."""
    settings = {**choosing("EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"), "alias_attributes": []}
    pool = with_factors(env, a_pool(env, algorithm="ES256", **settings), "OPTIONAL", "SOFTWARE_TOKEN_MFA")
    client = a_choosing_client(env, pool)
    a_user(env, pool, "plain")
    a_user(env, pool, "tempo", email="tempo@example.com", status="FORCE_CHANGE_PASSWORD")
    a_user(env, pool, "naked", email=None)
    a_user(env, pool, "other", email="other@example.com", status="EXTERNAL_PROVIDER")
    without_password(env, a_user(env, pool, "codes", email="codes@example.com"))
    second = a_user(env, pool, "appli", email="appli@example.com")
    an_app(env, second)
    with env.transaction():
        mfa.switch_on(env, env.db.get_one(User, second.sub), "SOFTWARE_TOKEN_MFA")
    names = ("plain", "tempo", "naked", "other", "codes", "appli", "nobod")
    for given in ({}, {"PREFERRED_CHALLENGE": "EMAIL_OTP"}, {"PREFERRED_CHALLENGE": "SMS_OTP"}):
        for preferred in ({}, {"TARGET_ACR_VALUES": "urn:cognito:loa:4 urn:cognito:loa:2"}):
            asked = [seen(begin(env, client, name, **given, **preferred), name) for name in names]
            for one in asked:
                one["params"].pop("CODE_DELIVERY_DESTINATION", None)
            assert all(one == asked[0] for one in asked)
            assert asked[0]["available"] == ("PASSWORD_SRP", "PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN")
    assert {message.to for message in sent()} == {EMAIL, "codes@example.com"}


def test_whoever_has_a_factor_can_choose_it_from_among_those_that_all_are_offered(env: Env, sent: Sent) -> None:
    pool = a_pool(env, algorithm="ES256", **choosing("EMAIL_OTP", "SMS_OTP"))
    client = a_choosing_client(env, pool)
    without_password(env, a_user(env, pool, "texts", email=None, phone_number="+15555550123"))
    step = answer(env, client, begin(env, client, "texts"), ANSWER="SMS_OTP")
    assert isinstance(answer(env, client, step, SMS_OTP_CODE=sent("+15555550123")[0].code or ""), Granted)


@pytest.mark.parametrize("name", ["nob\0dy", "n" * 2049, "\0"])
def test_a_name_that_nobody_can_have_is_refused_and_not_written_down(env: Env, client: Client, name: str) -> None:
    for given in ({}, {"PREFERRED_CHALLENGE": "PASSWORD"}):
        with pytest.raises(errors.InvalidParameter, match="USERNAME must have no more than 2048 characters"):
            begin(env, client, name, **given)
    assert begin(env, client, "n" * 2048).challenge == "SELECT_CHALLENGE"


def test_whoever_signs_in_elsewhere_cannot_sign_in_here(env: Env, client: Client, sent: Sent) -> None:
    a_user(env, client.pool, status="EXTERNAL_PROVIDER")
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")  # as for nobody
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, step, EMAIL_OTP_CODE="00000000")
    assert sent(EMAIL) == []
    with pytest.raises(errors.NotAuthorized, match=WRONG):
        begin(env, client, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)


def test_a_client_that_may_know_is_told(env: Env, client: Client, alice: User) -> None:
    with pytest.raises(errors.UserNotFound, match="User does not exist."):
        begin(env, a_choosing_client(env, client.pool, hides="LEGACY"), "nobody")


# -- sessions --------------------------------------------------------------------------------------------------


def test_a_session_is_of_one_client_one_challenge_one_user_and_three_minutes(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    a_user(env, client.pool, "bobby", email=None)
    step = begin(env, client)
    given = {"ANSWER": "PASSWORD", "PASSWORD": PASSWORD}
    with pytest.raises(errors.SessionInvalid):
        answer(env, a_choosing_client(env, client.pool), step, **given)
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, replace(step, challenge="PASSWORD"), PASSWORD=PASSWORD)
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, replace(step, challenge="EMAIL_OTP"), EMAIL_OTP_CODE="00000000")
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, USERNAME="bobby", **given)
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter Session"):
        answer(env, client, replace(step, handle=None), **given)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        answer(env, client, step, **given)


def test_a_session_that_has_led_to_a_question_leads_to_no_other(env: Env, client: Client, alice: User) -> None:
    step = begin(env, client)
    answer(env, client, step, ANSWER="EMAIL_OTP")
    for given in ({"ANSWER": "EMAIL_OTP"}, {"ANSWER": "PASSWORD"}):
        with pytest.raises(errors.SessionUsed):
            answer(env, client, step, **given)
    with pytest.raises(errors.SessionUsed):
        answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)


def test_of_parallel_choices_one_is_taken_and_one_code_sent(
    app: Flask, env: Env, client: Client, alice: User, sent: Sent
) -> None:
    step = begin(env, client)
    outcomes = in_parallel(app, *[lambda: answer(env, client, step, ANSWER="EMAIL_OTP") for _ in range(6)])
    assert sum(isinstance(one, Ask) for one in outcomes) == 1
    assert sum(isinstance(one, errors.SessionUsed) for one in outcomes) == 5
    assert len(sent(EMAIL)) == 1
    with env.reading() as session:
        assert session.scalar(select(func.count()).where(Attempt.used_at.is_(None))) == 1


def test_of_parallel_right_passwords_one_gets_tokens(app: Flask, env: Env, client: Client, alice: User) -> None:
    step = begin(env, client, PREFERRED_CHALLENGE="PASSWORD")

    def sign_in() -> Any:
        return granting.tokens(env, answer(env, client, step, PASSWORD=PASSWORD))

    outcomes = in_parallel(app, *[sign_in for _ in range(4)])
    assert sum(isinstance(one, errors.SessionUsed) for one in outcomes) == 3
    assert tokens_of(env) == 1


@pytest.mark.parametrize("name", ["alice", "Alice", EMAIL, "sub"])
def test_any_name_of_the_user_goes_with_his_session(env: Env, client: Client, alice: User, name: str) -> None:
    step = begin(env, client, EMAIL)
    given = {"USERNAME": alice.sub if name == "sub" else name, "ANSWER": "PASSWORD", "PASSWORD": PASSWORD}
    assert isinstance(answer(env, client, step, **given), Granted)


# -- how surely ------------------------------------------------------------------------------------------------


def test_tokens_tell_how_he_signed_in_where_that_is_asked_for(env: Env, client: Client, alice: User) -> None:
    for given, told in (({}, False), ({"TARGET_ACR_VALUES": "urn:cognito:loa:1"}, True)):
        step = begin(env, client, MAX_AGE="300", **given)
        granting.tokens(env, answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD))
        with env.reading() as session:
            newest = session.scalars(select(LoginSession).order_by(LoginSession.acr_asked.desc())).first()
        assert newest
        claims = assurance.claims(find.pool(env, client.pool_id), newest)
        assert claims == ({"acr": "urn:cognito:loa:1", "amr": ["pwd"]} if told else {})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"MAX_AGE": "soon"}, "MAX_AGE must be a number of seconds."),
        ({"MAX_AGE": "-1"}, "MAX_AGE must be a number of seconds."),
    ],
)
def test_what_is_not_understood_is_refused(
    env: Env, client: Client, alice: User, given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        begin(env, client, **given)
    assert refused.value.message == sentence


def test_the_flow_is_refused_where_the_client_does_not_have_it(env: Env, client: Client, alice: User) -> None:
    other = a_client(env, client.pool)
    with pytest.raises(errors.InvalidParameter, match="^Auth flow not enabled for this client$"):
        begin(env, other)
