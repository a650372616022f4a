"""USER_AUTH with a level to reach: TARGET_ACR_VALUES, ACCESS_TOKEN and MAX_AGE (reference: 6.6)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app import errors
from app.accounts import administer, mfa, passwords
from app.env import Env, Origin
from app.models import Client, OutboxMessage, User
from app.pools import app_clients
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from app.tokens import issue, revoke
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
from tests.signin.test_user_auth import EMAIL, a_choosing_client, answer, begin, choosing
from tests.tokens.test_exchange import BOTH, derive
from tests.tokens.test_tokens import claims_of

Sent = Callable[..., list[OutboxMessage]]
LEVEL = {n: f"urn:cognito:loa:{n}" for n in range(1, 5)}
PASSWORDS = ("PASSWORD_SRP", "PASSWORD")
TOTP, SMS, MAIL = "SOFTWARE_TOKEN_MFA", "SMS_MFA", "EMAIL_OTP"


def aiming(env: Env, client: Client, *levels: int, **given: str) -> Any:
    return begin(env, client, TARGET_ACR_VALUES=" ".join(LEVEL[n] for n in levels), **given)


def by_password(env: Env, client: Client, **given: str) -> issue.Tokens:
    """Tokens of a sign-in that asked for nothing but the password, which does not know of levels."""
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD, **given}
    granted = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(granted, Granted)
    return granting.tokens(env, granted)


def reached(env: Env, client: Client, granted: Any) -> tuple[Any, Any]:
    """`acr` and `amr` of the tokens."""
    assert isinstance(granted, Granted)
    claims = claims_of(env, client, granting.tokens(env, granted).access)
    return claims.get("acr"), claims.get("amr")


def by_app(env: Env, client: Client, step: Ask, secret: str) -> Any:
    assert step.challenge == TOTP
    return answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()))


def switched_on(env: Env, user: User, *factors: str) -> None:
    with env.transaction():
        for factor in factors:
            mfa.switch_on(env, env.db.get_one(User, user.sub), factor)


@pytest.fixture
def client(env: Env) -> Client:
    """Of a pool whose users may have an authenticator app, and sign in by a code to their address."""
    pool = with_factors(env, a_pool(env, algorithm="ES256", **choosing("EMAIL_OTP")), "OPTIONAL", TOTP)
    # One that does not hide who exists: what is offered else tells of nobody what they have (test_user_auth).
    return a_choosing_client(env, pool, hides="LEGACY")


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def test_where_it_is_hidden_who_exists_a_token_still_narrows_the_choice(env: Env, client: Client, alice: User) -> None:
    hiding = a_choosing_client(env, client.pool)
    an_app(env, alice)
    assert aiming(env, hiding, 4).available == (*PASSWORDS, "EMAIL_OTP")
    before = by_password(env, hiding)
    assert aiming(env, hiding, 4, ACCESS_TOKEN=before.access).challenge == TOTP


# -- the level that is aimed at --------------------------------------------------------------------------------


def test_a_factor_that_he_has_and_did_not_switch_on_is_asked_for(env: Env, client: Client, alice: User) -> None:
    secret = an_app(env, alice)
    step = aiming(env, client, 4)
    assert step.available == PASSWORDS  # a code by mail would not lead there
    step = answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert reached(env, client, by_app(env, client, step, secret)) == (LEVEL[4], ["pwd", "otp", "mfa"])
    assert isinstance(begin(env, client, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD), Granted)


def test_the_first_level_that_he_can_reach_is_aimed_at(env: Env, client: Client, alice: User, sent: Sent) -> None:
    step = aiming(env, client, 4, 2, 1, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    assert (step.challenge, step.available) == ("SELECT_CHALLENGE", ("EMAIL_OTP",))
    with pytest.raises(errors.InvalidParameter, match="ANSWER must be one of EMAIL_OTP."):
        answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    step = answer(env, client, step, ANSWER="EMAIL_OTP")
    granted = answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
    assert reached(env, client, granted) == (LEVEL[2], ["otp", "email_otp"])


def test_whoever_can_reach_none_signs_in_as_ever_and_his_tokens_say_so(env: Env, client: Client, alice: User) -> None:
    step = aiming(env, client, 4, 3)
    assert step.available == (*PASSWORDS, "EMAIL_OTP")
    granted = answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert reached(env, client, granted) == (LEVEL[1], ["pwd"])


def test_levels_have_the_names_that_the_pool_gives_them_and_unknown_ones_are_passed_over(env: Env) -> None:
    names = {"Level1": {"acr_value": "bronze"}, "Level2": {"acr_value": "silver"}}
    client = a_choosing_client(
        env, a_pool(env, algorithm="ES256", acr_configuration=names, **choosing("EMAIL_OTP")), "LEGACY"
    )
    a_user(env, client.pool)
    for wanted, available in (("gold  silver", ("EMAIL_OTP",)), ("bronze", (*PASSWORDS, "EMAIL_OTP"))):
        assert begin(env, client, TARGET_ACR_VALUES=wanted).available == available
    sentence = "TARGET_ACR_VALUES must name a level of the user pool: bronze, silver, urn:cognito:loa:3, "
    for nothing in ("gold", LEVEL[1], " "):
        with pytest.raises(errors.InvalidParameter, match=sentence):
            begin(env, client, TARGET_ACR_VALUES=nothing)


def test_one_that_is_switched_on_is_never_passed_by(env: Env) -> None:
    recovery = {"recovery_mechanisms": [{"name": "verified_email", "priority": 1}]}
    pool = a_pool(env, algorithm="ES256", account_recovery_setting=recovery)
    pool = with_factors(env, pool, "OPTIONAL", TOTP, SMS)
    client = a_choosing_client(env, pool)
    alice = a_user(env, pool, phone_number="+15550100", phone_number_verified="true")
    secret = an_app(env, alice)
    switched_on(env, alice, TOTP)
    for levels in ((3,), (2,), (1,)):  # a code by SMS would do
        step = aiming(env, client, *levels, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
        assert step.challenge == TOTP
    assert isinstance(by_app(env, client, step, secret), Granted)


def test_where_several_would_do_he_chooses(env: Env, sent: Sent) -> None:
    recovery = {"recovery_mechanisms": [{"name": "verified_email", "priority": 1}]}
    pool = a_pool(env, algorithm="ES256", account_recovery_setting=recovery)
    pool = with_factors(env, pool, "OPTIONAL", TOTP, SMS)
    client = a_choosing_client(env, pool)
    alice = a_user(env, pool, phone_number="+15550100", phone_number_verified="true")
    an_app(env, alice)
    step = aiming(env, client, 3, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    assert step.challenge == "SELECT_MFA_TYPE"
    assert json.loads(step.params["MFAS_CAN_CHOOSE"]) == json.loads(step.params["MFAS_CAN_SELECT"]) == [SMS, TOTP]
    step = answer(env, client, step, ANSWER=SMS)
    granted = answer(env, client, step, SMS_MFA_CODE=sent("+15550100")[0].code or "")
    assert reached(env, client, granted) == (LEVEL[3], ["pwd", "otp", "sms", "mfa"])


@pytest.mark.parametrize("levels", [(1,), (2,), (3,), (4,), (4, 2)])
def test_a_name_that_means_nobody_has_the_choices_of_one_that_has_an_address(
    env: Env, client: Client, alice: User, levels: tuple[int, ...]
) -> None:
    hiding = a_choosing_client(env, client.pool)
    known, unknown = (aiming(env, hiding, *levels, USERNAME=name) for name in ("alice", "nobod"))
    assert (known.challenge, known.available) == (unknown.challenge, unknown.available)


# -- an access token ---------------------------------------------------------------------------------------------


def test_only_the_rest_is_asked_of_whoever_brings_an_access_token(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    before = by_password(env, client)
    secret = an_app(env, alice)
    clock.forward(seconds=300)
    step = aiming(env, client, 4, ACCESS_TOKEN=before.access)
    assert step.available == ()
    granted = by_app(env, client, step, secret)
    assert granted.auth_time == env.now()
    assert reached(env, client, granted) == (LEVEL[4], ["pwd", "otp", "mfa"])
    assert "acr" not in claims_of(env, client, before.access)


@pytest.mark.parametrize(("age", "asked"), [("300", TOTP), ("299", "SELECT_CHALLENGE")])
def test_but_not_of_whoever_signed_in_too_long_ago(
    env: Env, client: Client, alice: User, clock: Clock, age: str, asked: str
) -> None:
    before = by_password(env, client)
    an_app(env, alice)
    clock.forward(seconds=300)
    assert aiming(env, client, 4, ACCESS_TOKEN=before.access, MAX_AGE=age).challenge == asked


def test_a_token_buys_nothing_by_itself(env: Env, client: Client, alice: User) -> None:
    """Or whoever steals one that is good for an hour would get a refresh token for a month."""
    before = by_password(env, client)
    for levels in ((1,), (4, 1)):
        step = aiming(env, client, *levels, ACCESS_TOKEN=before.access)
        assert (step.challenge, step.available) == ("SELECT_CHALLENGE", (*PASSWORDS, "EMAIL_OTP"))


def test_a_code_after_a_password_where_no_second_factor_is_set_up(env: Env, sent: Sent) -> None:
    by_phone = {"recovery_mechanisms": [{"name": "verified_phone_number", "priority": 1}]}
    pool = a_pool(env, algorithm="ES256", account_recovery_setting=by_phone, **choosing("EMAIL_OTP"))
    client = a_choosing_client(env, with_factors(env, pool, "OPTIONAL", TOTP))
    a_user(env, client.pool)
    step = aiming(env, client, 3, ACCESS_TOKEN=by_password(env, client).access, PREFERRED_CHALLENGE="EMAIL_OTP")
    assert (step.challenge, step.available) == ("EMAIL_OTP", ("EMAIL_OTP",))
    granted = answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
    assert reached(env, client, granted) == (LEVEL[3], ["pwd", "otp", "email_otp", "mfa"])


def test_a_mailbox_that_recovers_the_password_is_no_second_factor_beside_it(
    env: Env, client: Client, alice: User, sent: Sent
) -> None:
    """Whoever reads it sets a password, and then shows both."""
    before = by_password(env, client)
    assert aiming(env, client, 3, ACCESS_TOKEN=before.access).available == (*PASSWORDS, "EMAIL_OTP")
    step = aiming(env, client, 2, ACCESS_TOKEN=before.access, PREFERRED_CHALLENGE="EMAIL_OTP")
    granted = answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
    assert granted.proven == ("PASSWORD", "EMAIL_OTP", "RECOVERED_BY_EMAIL")
    assert reached(env, client, granted) == (LEVEL[2], ["pwd", "otp", "email_otp"])


def test_nor_is_the_password_beside_the_mailbox(env: Env, client: Client, alice: User, sent: Sent) -> None:
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
    code = sent(EMAIL)[0].code or ""
    before = granting.tokens(env, answer(env, client, step, EMAIL_OTP_CODE=code))
    asked = {"ACCESS_TOKEN": before.access, "PREFERRED_CHALLENGE": "PASSWORD", "PASSWORD": PASSWORD}
    granted = aiming(env, client, 3, **asked)
    assert reached(env, client, granted) == (LEVEL[1], ["pwd"])  # nothing leads there, so all of it was asked for


def test_an_address_that_is_not_proven_adds_nothing(env: Env, client: Client) -> None:
    """Whoever has the token can have put it there."""
    a_user(env, client.pool, email_verified="false")
    before = by_password(env, client)
    assert aiming(env, client, 3, ACCESS_TOKEN=before.access).available == (*PASSWORDS, "EMAIL_OTP")


def test_a_password_and_an_app_after_a_code(env: Env, client: Client, alice: User, sent: Sent) -> None:
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
    before = granting.tokens(env, answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or ""))
    secret = an_app(env, alice)
    step = aiming(env, client, 4, ACCESS_TOKEN=before.access)
    assert step.available == PASSWORDS
    step = answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert reached(env, client, by_app(env, client, step, secret))[0] == LEVEL[4]


def test_a_password_after_a_passkey(env: Env) -> None:
    client = a_choosing_client(env, a_pool_with_passkeys(env, algorithm="ES256"))
    key = a_passkey(env, client, a_user(env, client.pool))
    step = begin(env, client, PREFERRED_CHALLENGE="WEB_AUTHN")
    signed = key.sign(json.loads(step.params["CREDENTIAL_REQUEST_OPTIONS"]), PAGE)
    before = granting.tokens(env, answer(env, client, step, CREDENTIAL=json.dumps(signed)))
    step = aiming(env, client, 4, ACCESS_TOKEN=before.access)
    assert step.available == PASSWORDS
    granted = answer(env, client, step, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert reached(env, client, granted) == (LEVEL[4], ["swk", "pwd", "mfa"])


# -- what an attacker would try ----------------------------------------------------------------------------------


def test_a_token_that_is_not_good_here_is_refused(env: Env, client: Client, alice: User, clock: Clock) -> None:
    bob = a_user(env, client.pool, "bob", email="bob@example.com")
    of_bob = by_password(env, client, USERNAME="bob")
    elsewhere = a_choosing_client(env, client.pool)
    mine, other_client = by_password(env, client), by_password(env, elsewhere)
    sentences = {
        "x": "Invalid Access Token",
        of_bob.access: "Invalid Access Token",
        other_client.access: "Invalid Access Token",
        mine.id or "": "Could not verify signature for Access Token",
        mine.refresh or "": "Invalid Access Token",
    }
    for token, sentence in sentences.items():
        with pytest.raises(errors.TokenRefused) as refused:
            aiming(env, client, 2, ACCESS_TOKEN=token)
        assert refused.value.message == sentence
    for nobody in ("nobod", bob.username):
        with pytest.raises(errors.TokenRefused, match="^Invalid Access Token$"):
            aiming(env, client, 2, ACCESS_TOKEN=mine.access, USERNAME=nobody)
    with pytest.raises(errors.InvalidParameter, match="ACCESS_TOKEN must come with TARGET_ACR_VALUES."):
        begin(env, client, ACCESS_TOKEN=mine.access)
    clock.forward(seconds=3600)
    with pytest.raises(errors.TokenRefused, match="^Access Token has expired$"):
        aiming(env, client, 2, ACCESS_TOKEN=mine.access)


def test_a_token_that_was_derived_from_his_is_no_credit(env: Env, client: Client, alice: User) -> None:
    """It is in the hands of the service that it was made for, or of who acts in his name."""
    mine = by_password(env, client)
    service = a_client(env, client.pool, explicit_auth_flows=BOTH)
    acting = app_clients.update(
        env, client, name=None, settings={**client.settings, "explicit_auth_flows": ["ALLOW_USER_AUTH", BOTH[1]]}
    )
    elsewhere = derive(env, service, mine.access).token
    acted = derive(env, acting, mine.access, by_password(env, a_choosing_client(env, client.pool)).access).token
    for token in (elsewhere, acted):
        with pytest.raises(errors.TokenRefused, match="^Invalid Access Token$"):
            aiming(env, acting, 2, ACCESS_TOKEN=token)
    assert aiming(env, acting, 2, ACCESS_TOKEN=mine.access)


def test_whoever_signs_out_everywhere_ends_what_was_begun_with_his_token(env: Env, client: Client, alice: User) -> None:
    before = by_password(env, client)
    secret = an_app(env, alice)
    step = aiming(env, client, 4, ACCESS_TOKEN=before.access)
    granted = by_app(env, client, step, secret)
    with env.transaction():
        revoke.everything_of(env, alice)
    with pytest.raises(errors.TokenRefused, match="^Access Token has been revoked$"):
        granting.tokens(env, granted)
    with pytest.raises(errors.TokenRefused, match="^Access Token has been revoked$"):
        aiming(env, client, 4, ACCESS_TOKEN=before.access)


def test_a_password_that_was_reset_is_no_credit(env: Env, client: Client, alice: User) -> None:
    before = by_password(env, client)
    secret = an_app(env, alice)
    step = aiming(env, client, 4, ACCESS_TOKEN=before.access)
    passwords.set_by_administrator(env, client.pool, username="alice", password="Another-horse-8", permanent=False)
    with pytest.raises((errors.SessionInvalid, errors.NotAuthorized)):
        granting.tokens(env, by_app(env, client, step, secret))


def test_a_thief_cannot_set_a_factor_up_with_the_token_and_then_show_it(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    """Or change the address, or anything: who has changed something gives his password again."""
    before = by_password(env, client)
    secret = an_app(env, alice)
    begun = aiming(env, client, 4, ACCESS_TOKEN=before.access)
    clock.forward(seconds=30)
    administer.update_attributes(env, client.pool, username="alice", attributes={"nickname": "Al"})
    with pytest.raises(errors.TokenRefused):
        granting.tokens(env, by_app(env, client, begun, secret))
    assert aiming(env, client, 4, ACCESS_TOKEN=before.access).available == PASSWORDS


def test_a_code_from_before_does_not_pass_by_an_app_of_today(env: Env, client: Client, alice: User, sent: Sent) -> None:
    step = begin(env, client, PREFERRED_CHALLENGE="EMAIL_OTP")
    before = granting.tokens(env, answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or ""))
    begun = aiming(env, client, 3, ACCESS_TOKEN=before.access)
    secret = an_app(env, alice)
    switched_on(env, alice, TOTP)
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, begun, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    step = aiming(env, client, 3, ACCESS_TOKEN=before.access, PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    assert reached(env, client, by_app(env, client, step, secret))[0] == LEVEL[4]


def test_nor_does_a_code_that_was_out_when_the_app_was_switched_on(
    env: Env, client: Client, alice: User, sent: Sent
) -> None:
    step = aiming(env, client, 3, ACCESS_TOKEN=by_password(env, client).access, PREFERRED_CHALLENGE="EMAIL_OTP")
    an_app(env, alice)
    switched_on(env, alice, TOTP)
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, EMAIL_OTP_CODE=sent(EMAIL)[0].code or "")
