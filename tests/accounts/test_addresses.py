"""Codes for one address cannot be guessed by way of many accounts, and what is guessed moves nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app import errors
from app.accounts import addresses, administer, find, passwords, profile, sign_up
from app.env import Env, Origin
from app.models import Client, OutboxMessage, Pool
from app.policy.attributes import address_key
from app.signin import flow
from app.signin.state import Ask, Granted
from tests.build import PASSWORD, a_client, a_pool, a_user, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel

Sent = Callable[..., list[OutboxMessage]]
VICTIM = "victim@example.com"
HIDES = pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])


@pytest.fixture
def env(env: Env) -> Env:
    """As in production."""
    return replace(env, settings=replace(env.settings, codes_per_address=20))


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


def a_client_that(env: Env, pool: Pool, hides: str) -> Client:
    return a_client(env, pool, prevent_user_existence_errors=hides)


def register(env: Env, client: Client, name: str, email: str = VICTIM) -> sign_up.SignedUp:
    given = {"email": email}
    return sign_up.sign_up(env, client, username=name, password=PASSWORD, attributes=given, origin=Origin())


def wrong(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 1_000_000:06}"


def newest(sent: Sent, to: str = VICTIM) -> str:
    return str(sent(to)[0].code)


def guessing(env: Env, client: Client, name: str, code: str, **how: Any) -> type[BaseException] | None:
    """What becomes of a guess."""
    try:
        sign_up.confirm(env, client, username=name, code=code, **how)
    except errors.Refusal as refused:
        return type(refused)
    return None


# -- guesses ---------------------------------------------------------------------------------------------------


@HIDES
def test_codes_for_one_address_cannot_be_guessed_across_accounts(env: Env, pool: Pool, sent: Sent, hides: str) -> None:
    client = a_client_that(env, pool, hides)
    for account in range(5):
        register(env, client, f"mallory{account}", VICTIM if account % 2 else "ＶICTIM@Example.com")
        code = newest(sent, VICTIM if account % 2 else "ＶICTIM@Example.com")
        for by in range(1, 5):
            assert guessing(env, client, f"mallory{account}", wrong(code, by)) is errors.CodeMismatch
    register(env, client, "last", "other@example.com")
    assert guessing(env, client, "last", newest(sent, "other@example.com")) is None
    # The twenty-first is not looked at, not even where it is right.
    after = errors.CodeMismatch if hides == "ENABLED" else errors.LimitExceeded
    assert guessing(env, client, "mallory4", code) is after


def test_guesses_at_an_address_in_parallel_are_all_counted(app: Flask, env: Env, pool: Pool, sent: Sent) -> None:
    client = a_client_that(env, pool, "LEGACY")
    codes = {}
    for account in range(8):
        register(env, client, f"mallory{account}")
        codes[f"mallory{account}"] = newest(sent)
    guesses = [(name, wrong(code, by)) for by in range(1, 5) for name, code in codes.items()]
    outcomes = in_parallel(app, *(lambda one=one: guessing(env, client, *one) for one in guesses))
    assert outcomes.count(errors.CodeMismatch) == 20
    assert outcomes.count(errors.LimitExceeded) == len(guesses) - 20


@HIDES
def test_nor_by_changing_the_address_of_many_accounts(env: Env, pool: Pool, sent: Sent, hides: str) -> None:
    client = a_client_that(env, pool, hides)
    for account in range(5):
        user = a_user(env, pool, f"mallory{account}", email=f"mallory{account}@example.com")
        profile.update_attributes(env, client, user, attributes={"email": VICTIM})
        for by in range(1, 5):
            with pytest.raises(errors.CodeMismatch):
                profile.verify(env, client, user, attribute="email", code=wrong(newest(sent), by))
    with pytest.raises(errors.CodeMismatch if hides == "ENABLED" else errors.LimitExceeded):
        profile.verify(env, client, user, attribute="email", code=newest(sent))


def test_nor_by_codes_that_sign_in(env: Env, sent: Sent, clock: Clock) -> None:
    """An account with somebody else's address may be signed into by a code that goes there, which proves it."""
    first = {"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}}
    pool = a_pool(env, algorithm="ES256", **first)
    client = a_client(env, pool, explicit_auth_flows=["ALLOW_USER_AUTH"], prevent_user_existence_errors="ENABLED")

    def asked(name: str) -> Ask:
        given = {"USERNAME": name, "PREFERRED_CHALLENGE": "EMAIL_OTP"}
        step = flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())
        assert isinstance(step, Ask)
        return step

    def answered(step: Ask, code: str) -> Any:
        given = {"EMAIL_OTP_CODE": code}
        return flow.answer(env, client, challenge="EMAIL_OTP", session=step.handle, given=given, origin=Origin())

    for account in range(6):
        a_user(env, pool, f"mallory{account}", email=VICTIM, email_verified="false")
    a_user(env, pool, "victim", email=VICTIM)
    for account in range(5):
        step = asked(f"mallory{account}")
        for _ in range(4):
            with pytest.raises(errors.CodeMismatch):
                answered(step, "00000000")
    step = asked("mallory5")
    with pytest.raises(errors.CodeMismatch):
        answered(step, newest(sent))
    # The owner, who has proven the address, is not kept out by that.
    assert isinstance(answered(asked("victim"), newest(sent)), Granted)


def test_nor_by_setting_up_a_second_factor(env: Env, sent: Sent) -> None:
    """Whoever has none gives an address after the password: any address."""
    pool = with_factors(env, a_pool(env, algorithm="ES256"), "ON", "EMAIL_OTP")
    client = a_client(env, pool, explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH"])

    def asked(name: str) -> Any:
        given = {"USERNAME": name, "PASSWORD": PASSWORD}
        step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
        assert isinstance(step, Ask) and step.challenge == "MFA_SETUP"
        return answered(step, EMAIL=VICTIM)

    def answered(step: Ask, **given: str) -> Any:
        return flow.answer(env, client, challenge=step.challenge, session=step.handle, given=given, origin=Origin())

    for account in range(6):
        a_user(env, pool, f"mallory{account}", email=None)
    for account in range(5):
        step = asked(f"mallory{account}")
        for by in range(1, 5):
            with pytest.raises(errors.CodeMismatch):
                answered(step, EMAIL_OTP_CODE=wrong(newest(sent), by))
    step = asked("mallory5")
    with pytest.raises(errors.CodeMismatch):
        answered(step, EMAIL_OTP_CODE=newest(sent))
    for _ in range(14):
        asked("mallory5")
    with pytest.raises(errors.TooManyCodes):
        asked("mallory5")
    assert len(sent(VICTIM)) == 20


def test_right_codes_use_nothing_up(env: Env, pool: Pool, sent: Sent) -> None:
    """The same address signs up, and leaves, all day long."""
    client = a_client_that(env, pool, "LEGACY")
    for _ in range(15):
        register(env, client, "carol")
        assert guessing(env, client, "carol", newest(sent)) is None
        administer.delete(env, pool, username="carol")
    register(env, client, "carol")
    for by in range(1, 5):
        assert guessing(env, client, "carol", wrong(newest(sent), by)) is errors.CodeMismatch
    assert guessing(env, client, "carol", newest(sent)) is None


def test_wrong_ones_are_forgotten_two_days_after_the_last_that_was_looked_at(
    env: Env, pool: Pool, clock: Clock
) -> None:
    def guess() -> addresses.Guess | None:
        with env.transaction():
            return addresses.guess(env, pool, "email", VICTIM)

    assert sum(guess() is not None for _ in range(25)) == 20
    clock.forward(hours=47)
    assert guess() is None  # which extends nothing
    clock.forward(hours=1)
    first, second = guess(), guess()
    assert first and second and (first.disputed, second.disputed) == (False, True)


# -- no alias moves --------------------------------------------------------------------------------------------


@HIDES
def test_a_guess_after_a_wrong_one_moves_no_alias(env: Env, pool: Pool, sent: Sent, clock: Clock, hides: str) -> None:
    """Not by ForceAliasCreation, not by whatever account, and not by a code that is known to be right: by the time that
    the guesses are forgotten it has expired."""
    client = a_client_that(env, pool, hides)
    victim = a_user(env, pool, "victim", email=VICTIM)
    register(env, client, "mallory0")
    assert guessing(env, client, "mallory0", wrong(newest(sent)), force_alias=True) is errors.CodeMismatch
    clock.forward(hours=1)
    register(env, client, "mallory1")
    code = newest(sent)
    for _ in range(2):
        assert guessing(env, client, "mallory1", code, force_alias=True) is errors.AliasExists
    found = find.existing(env, pool, VICTIM).user
    assert found.sub == victim.sub and found.email_verified
    clock.forward(hours=23, minutes=59)
    assert guessing(env, client, "mallory1", code, force_alias=True) is errors.AliasExists
    clock.forward(minutes=1)
    assert guessing(env, client, "mallory1", code, force_alias=True) is errors.ExpiredCode


def test_a_code_found_by_guessing_is_not_kept_until_the_guesses_are_forgotten(
    env: Env, pool: Pool, sent: Sent, clock: Clock
) -> None:
    """Without force, AliasExists tells that a code was right, and leaves it as it was."""
    client = a_client_that(env, pool, "ENABLED")
    victim = a_user(env, pool, "victim", email=VICTIM)
    register(env, client, "mallory")
    code = newest(sent)
    clock.forward(minutes=59)
    assert guessing(env, client, "mallory", wrong(code)) is errors.CodeMismatch
    assert guessing(env, client, "mallory", code) is errors.AliasExists
    for _ in range(50):
        clock.forward(hours=1)
        assert guessing(env, client, "mallory", code, force_alias=True) is not None
    assert find.existing(env, pool, VICTIM).user.sub == victim.sub


def test_whoever_reads_the_mailbox_moves_it_at_once(env: Env, pool: Pool, sent: Sent) -> None:
    """Also after AliasExists has asked whether that is wanted."""
    client = a_client_that(env, pool, "ENABLED")
    a_user(env, pool, "before", email=VICTIM)
    done = register(env, client, "after")
    assert guessing(env, client, "after", newest(sent)) is errors.AliasExists
    assert guessing(env, client, "after", newest(sent), force_alias=True) is None
    assert find.existing(env, pool, VICTIM).user.sub == done.user.sub


# -- codes that are sent ---------------------------------------------------------------------------------------


@HIDES
def test_a_mailbox_cannot_be_flooded_by_way_of_many_accounts(env: Env, pool: Pool, sent: Sent, hides: str) -> None:
    client = a_client_that(env, pool, hides)
    for account in range(20):
        register(env, client, f"mallory{account}")
    if hides == "ENABLED":
        done = register(env, client, "last")
        assert done.delivery and done.delivery.destination == "v***@e***"  # as if: others' accounts are not told of
    else:
        with pytest.raises(errors.LimitExceeded):
            register(env, client, "last")
        assert find.by_name(env, pool, "last") is None
    assert len(sent(VICTIM)) == 20
    user = a_user(env, pool, "another", email="another@example.com")
    if hides == "ENABLED":
        assert profile.update_attributes(env, client, user, attributes={"email": VICTIM})
        assert sign_up.resend(env, client, username="mallory0", origin=Origin()).destination == "v***@e***"
    else:
        with pytest.raises(errors.LimitExceeded):
            profile.update_attributes(env, client, user, attributes={"email": VICTIM})
    assert len(sent(VICTIM)) == 20


def test_and_the_owner_who_has_proven_it_still_gets_codes(env: Env, pool: Pool, sent: Sent) -> None:
    client = a_client_that(env, pool, "ENABLED")
    a_user(env, pool, "victim", email=VICTIM)
    for account in range(25):
        register(env, client, f"mallory{account}")
    passwords.forgot(env, client, username="victim", origin=Origin())
    code = newest(sent)
    assert sent(VICTIM)[0].purpose == "forgot_password"
    passwords.confirm_forgot(env, client, username="victim", code=code, password="Another-horse-8")


def test_an_hour_later_codes_go_out_again_and_an_administrators_always(
    env: Env, pool: Pool, sent: Sent, clock: Clock
) -> None:
    client = a_client_that(env, pool, "LEGACY")
    for account in range(20):
        register(env, client, f"mallory{account}")
    a_user(env, pool, "new", email="new@example.com")
    administer.update_attributes(env, pool, username="new", attributes={"email": VICTIM})
    assert len(sent(VICTIM)) == 21
    clock.forward(hours=1)
    register(env, client, "last")
    assert len(sent(VICTIM)) == 22


def test_by_default_an_application_under_test_may_use_one_address_as_often_as_it_likes(
    app: Flask, pool: Pool, sent: Sent
) -> None:
    testing: Env = app.extensions["cognate"]
    assert testing.settings.development
    client = a_client_that(testing, pool, "LEGACY")
    for account in range(25):
        register(testing, client, f"somebody{account}")
    for by in range(1, 5):
        assert guessing(testing, client, "somebody0", wrong(newest(sent), by)) is errors.CodeMismatch
    assert len(sent(VICTIM)) == 25


# -- one mailbox, however it is spelled ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("victim@example.com", "VICTIM@Example.COM", True),
        ("victim@example.com", "victim@example.com.", True),
        ("victim@example.com", "ｖictim@example．com", True),
        ("victim@example.com", "vic\u200dtim@example.com", True),
        ("josé@example.com", "jose\u0301@example.com", True),
        ("victim@bücher.example", "victim@xn--bcher-kva.example", True),
        ("victim@bücher.example", "victim@XN--BCHER-KVA.example", True),
        ("victim@bücher.example", "victim@bücher。example", True),
        ("victim@xn--.example", "victim@xn--.example", True),
        ("victim@xn--\u0301.example", "victim@xn--a.example", False),
        ("victim@example.com", "victim@example.org", False),
        ("victim@example.com", "victim1@example.com", False),
        ("victim@example.com", "victim+1@example.com", False),
    ],
)
def test_spellings_of_one_mailbox_are_counted_together(one: str, other: str, same: bool) -> None:
    assert (address_key("email", one) == address_key("email", other)) is same


def test_nobody_can_be_found_in_the_counters_and_pools_and_channels_are_apart(env: Env, pool: Pool) -> None:
    other = a_pool(env, algorithm="ES256")
    with env.transaction():
        made = [
            addresses.guess(env, one, kind, address)
            for one in (pool, other)
            for kind, address in (("email", VICTIM), ("phone_number", "+15555550100"), ("phone_number", VICTIM))
        ]
    assert len({guess.key for guess in made if guess}) == 6
    assert not any(guess.disputed or "victim" in guess.key for guess in made if guess)
