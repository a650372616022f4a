"""Which factors a user has, and which of them his pool takes (reference: 5.5, 10.2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from app.accounts import factors
from app.accounts.factors import EMAIL, PASSKEY, SMS, TOTP, Held, Second
from app.models import Pool, User
from app.pools.pool_settings import for_new_pool

ALL = ("PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN")
BY_PASSWORD = ("PASSWORD_SRP", "PASSWORD")
NOTHING = Held(software_token=False, passkey=False, password=True)
APP = Held(software_token=True, passkey=False, password=True)
KEY = Held(software_token=False, passkey=True, password=True)
BOTH = Held(software_token=True, passkey=True, password=True)
WITHOUT_PASSWORD = Held(software_token=False, passkey=True, password=False)


def a_pool(
    mfa: str = "OFF",
    offers: tuple[str, ...] = (SMS, TOTP, EMAIL),
    *,
    first: tuple[str, ...] = ("PASSWORD",),
    twice: bool = False,
    recovery: tuple[str, ...] | None = ("phone_number", "email"),
) -> Pool:
    """A pool that is only looked at. `twice`: a passkey counts as both factors; `recovery` None: it does not say how a
    password is recovered, (): by an administrator only."""
    ways = [{"name": f"verified_{name}", "priority": n} for n, name in enumerate(recovery or (), 1)]
    settings: dict[str, Any] = {
        **for_new_pool({}),
        "mfa_configuration": mfa,
        "sms_mfa": SMS in offers,
        "software_token_mfa_configuration": {"enabled": TOTP in offers},
    }
    if recovery is not None:
        settings["account_recovery_setting"] = {"recovery_mechanisms": ways or [{"name": "admin_only", "priority": 1}]}
    if EMAIL in offers:
        settings["email_mfa_configuration"] = {}
    if twice:
        settings["web_authn_configuration"] = {"factor_configuration": "MULTI_FACTOR_WITH_USER_VERIFICATION"}
    settings["policies"] = {**settings["policies"], "sign_in_policy": {"allowed_first_auth_factors": list(first)}}
    return Pool(id="us-east-1_abcdefghi", name="p", algorithm="RS256", settings=settings)


def a_user(
    *on: str,
    preferred: str | None = None,
    email: bool = True,
    phone: bool = True,
    verified: tuple[str, ...] = (),
    status: str = "CONFIRMED",
) -> User:
    return User(
        sub="s",
        status=status,
        email="alice@example.com" if email else None,
        email_verified="email" in verified,
        phone_number="+15550100" if phone else None,
        phone_number_verified="phone_number" in verified,
        mfa={"on": list(on), "preferred": preferred} if on else None,
    )


def usable(pool: Pool, user: User, held: Held = NOTHING) -> tuple[str, ...]:
    return factors.second(pool, user, held).usable


# -- second factors -------------------------------------------------------------------------------------------


def test_where_mfa_is_off_nothing_is_asked_whatever_was_switched_on() -> None:
    assert factors.second(a_pool("OFF"), a_user(SMS, TOTP, EMAIL, PASSKEY), BOTH) == Second((), None, ())


def test_where_it_is_optional_only_what_was_switched_on_is_asked() -> None:
    """A secret that was verified is not switched on by that (reference: 10.3)."""
    assert usable(a_pool("OPTIONAL"), a_user(), BOTH) == ()
    assert usable(a_pool("OPTIONAL"), a_user(TOTP), BOTH) == (TOTP,)
    assert usable(a_pool("OPTIONAL"), a_user(SMS, TOTP, EMAIL), BOTH) == (SMS, TOTP, EMAIL)


@pytest.mark.parametrize("mfa", ["OPTIONAL", "ON"])
@pytest.mark.parametrize(
    ("factor", "user"),
    [
        (TOTP, a_user(TOTP)),
        (SMS, a_user(SMS, phone=False)),
        (EMAIL, a_user(EMAIL, email=False)),
        (PASSKEY, a_user(PASSKEY)),
    ],
    ids=["no app", "no telephone", "no address", "no passkey"],
)
def test_what_was_switched_on_and_is_gone_is_not_asked_for(mfa: str, factor: str, user: User) -> None:
    assert factor not in usable(a_pool(mfa), user)


@pytest.mark.parametrize("factor", [SMS, TOTP, EMAIL])
def test_what_the_pool_no_longer_offers_is_not_asked_for(factor: str) -> None:
    others = tuple({SMS, TOTP, EMAIL} - {factor})
    assert usable(a_pool("OPTIONAL", others), a_user(factor), APP) == ()


def test_a_preference_counts_while_it_can_be_used() -> None:
    user = a_user(SMS, TOTP, preferred=TOTP)
    assert factors.second(a_pool("OPTIONAL"), user, APP).preferred == TOTP
    assert factors.second(a_pool("OPTIONAL"), user, NOTHING) == Second((SMS,), None, (TOTP,))


def test_where_one_is_required_an_app_is_taken_without_being_switched_on() -> None:
    assert usable(a_pool("ON"), a_user(verified=("email",)), APP) == (TOTP,)


def test_where_one_is_required_addresses_are_too_but_not_the_one_of_a_forgotten_password() -> None:
    """Whoever reads that mailbox would have the password and the second factor by it."""
    pool, both = a_pool("ON"), ("email", "phone_number")
    assert usable(pool, a_user(verified=both)) == (EMAIL,)
    assert usable(a_pool("ON", recovery=("email", "phone_number")), a_user(verified=both)) == (SMS,)
    assert usable(a_pool("ON", recovery=()), a_user(verified=both)) == (SMS, EMAIL)
    assert usable(pool, a_user(phone=False, verified=("email",))) == ()


def test_an_address_that_the_user_switched_on_himself_is_asked_even_so() -> None:
    pool = a_pool("ON", recovery=("email",))
    assert usable(pool, a_user(EMAIL, verified=("email",))) == (EMAIL,)


def test_what_is_switched_on_leaves_the_rest_aside() -> None:
    assert usable(a_pool("ON"), a_user(EMAIL, verified=("phone_number",)), APP) == (EMAIL,)


def test_only_an_app_and_a_first_address_can_be_set_up_by_the_user_himself() -> None:
    """A telephone is an administrator's business (reference: 5.6)."""
    assert factors.second(a_pool("ON"), a_user(email=False, phone=False), NOTHING).setups == (TOTP, EMAIL)
    assert factors.second(a_pool("ON"), a_user(phone=False), NOTHING).setups == (TOTP,)
    assert factors.second(a_pool("ON", (SMS,)), a_user(email=False, phone=False), NOTHING).setups == ()


def test_what_is_usable_is_always_offered_and_held_and_a_preference_is_usable() -> None:
    """For every combination of pool and user."""
    offers = [c for n in range(1, 4) for c in itertools.combinations((SMS, TOTP, EMAIL), n)]
    switched = [c for n in range(5) for c in itertools.combinations((SMS, TOTP, EMAIL, PASSKEY), n)]
    for mfa, offered, on, email, phone, held in itertools.product(
        ("OPTIONAL", "ON"), offers, switched, (True, False), (True, False), (NOTHING, APP, KEY, BOTH)
    ):
        pool = a_pool(mfa, offered)
        for preferred in (None, *on):
            user = a_user(*on, preferred=preferred, email=email, phone=phone, verified=("email",) if email else ())
            found = factors.second(pool, user, held)
            able = {TOTP: held.software_token, SMS: phone, EMAIL: email, PASSKEY: held.passkey}
            assert all(able[name] and name in (*offered, PASSKEY) for name in found.usable)
            assert found.preferred is None or found.preferred in found.usable
            assert mfa == "ON" or set(found.usable) <= set(on)


@pytest.mark.parametrize(
    ("recovery", "verified", "channel"),
    [
        (("phone_number", "email"), ("email", "phone_number"), "phone_number"),
        (("phone_number", "email"), ("email",), "email"),
        (("email", "phone_number"), ("email", "phone_number"), "email"),
        (("email",), ("phone_number",), None),
        (("email", "phone_number"), (), None),
        ((), ("email", "phone_number"), None),
    ],
)
def test_a_forgotten_password_is_recovered_by_the_best_verified_address(
    recovery: tuple[str, ...], verified: tuple[str, ...], channel: str | None
) -> None:
    assert factors.recovery_channel(a_pool(recovery=recovery), a_user(verified=verified), NOTHING) == channel


# -- one address, two uses -------------------------------------------------------------------------------------

PHONE, MAIL = "phone_number", "email"
UNSAID, BY_PHONE, BY_MAIL, PHONE_FIRST, MAIL_FIRST, ADMIN = None, (PHONE,), (MAIL,), (PHONE, MAIL), (MAIL, PHONE), ()
REQUIRED = [
    # offered, AccountRecoverySetting, verified: what is asked for, what recovers the password
    # -- SMS
    ((SMS,), UNSAID, (), (), None),
    ((SMS,), UNSAID, (PHONE,), (SMS,), None),
    ((SMS,), UNSAID, (MAIL,), (), MAIL),
    ((SMS,), UNSAID, (PHONE, MAIL), (SMS,), MAIL),
    ((SMS,), BY_PHONE, (PHONE,), (), PHONE),
    ((SMS,), BY_PHONE, (MAIL,), (), None),
    ((SMS,), BY_PHONE, (PHONE, MAIL), (), PHONE),
    ((SMS,), BY_MAIL, (PHONE,), (SMS,), None),
    ((SMS,), BY_MAIL, (MAIL,), (), MAIL),
    ((SMS,), BY_MAIL, (PHONE, MAIL), (SMS,), MAIL),
    ((SMS,), PHONE_FIRST, (PHONE,), (), PHONE),
    ((SMS,), PHONE_FIRST, (MAIL,), (), MAIL),
    ((SMS,), PHONE_FIRST, (PHONE, MAIL), (SMS,), MAIL),
    ((SMS,), MAIL_FIRST, (PHONE,), (), PHONE),
    ((SMS,), MAIL_FIRST, (PHONE, MAIL), (SMS,), MAIL),
    ((SMS,), ADMIN, (PHONE,), (SMS,), None),
    ((SMS,), ADMIN, (PHONE, MAIL), (SMS,), None),
    # -- e-mail
    ((EMAIL,), UNSAID, (), (), None),
    ((EMAIL,), UNSAID, (MAIL,), (EMAIL,), None),
    ((EMAIL,), UNSAID, (PHONE,), (), PHONE),
    ((EMAIL,), UNSAID, (PHONE, MAIL), (EMAIL,), PHONE),
    ((EMAIL,), BY_MAIL, (MAIL,), (), MAIL),
    ((EMAIL,), BY_MAIL, (PHONE, MAIL), (), MAIL),
    ((EMAIL,), BY_PHONE, (MAIL,), (EMAIL,), None),
    ((EMAIL,), BY_PHONE, (PHONE, MAIL), (EMAIL,), PHONE),
    ((EMAIL,), MAIL_FIRST, (MAIL,), (), MAIL),
    ((EMAIL,), MAIL_FIRST, (PHONE, MAIL), (EMAIL,), PHONE),
    ((EMAIL,), PHONE_FIRST, (MAIL,), (), MAIL),
    ((EMAIL,), ADMIN, (MAIL,), (EMAIL,), None),
    # -- both
    ((SMS, EMAIL), UNSAID, (PHONE,), (SMS,), None),
    ((SMS, EMAIL), UNSAID, (MAIL,), (EMAIL,), None),
    ((SMS, EMAIL), UNSAID, (PHONE, MAIL), (EMAIL,), PHONE),
    ((SMS, EMAIL), BY_PHONE, (PHONE, MAIL), (EMAIL,), PHONE),
    ((SMS, EMAIL), BY_MAIL, (PHONE, MAIL), (SMS,), MAIL),
    ((SMS, EMAIL), PHONE_FIRST, (PHONE, MAIL), (EMAIL,), PHONE),
    ((SMS, EMAIL), MAIL_FIRST, (PHONE, MAIL), (SMS,), MAIL),
    ((SMS, EMAIL), MAIL_FIRST, (PHONE,), (), PHONE),
    ((SMS, EMAIL), PHONE_FIRST, (MAIL,), (), MAIL),
    ((SMS, EMAIL), ADMIN, (PHONE, MAIL), (SMS, EMAIL), None),
]
"""Of users who have just the addresses that are verified, no app, and have switched nothing on, in a pool with ON."""


@pytest.mark.parametrize(("offers", "recovery", "verified", "asked", "recovers"), REQUIRED)
def test_what_is_asked_for_and_what_recovers_a_password_where_a_factor_is_required(
    offers: tuple[str, ...],
    recovery: tuple[str, ...] | None,
    verified: tuple[str, ...],
    asked: tuple[str, ...],
    recovers: str | None,
) -> None:
    """Reference: 2.7, 4.5, 10.2. The second line is the pool of AWS's own example."""
    pool = a_pool("ON", offers, recovery=recovery)
    user = a_user(email=MAIL in verified, phone=PHONE in verified, verified=verified)
    assert usable(pool, user) == asked
    assert factors.recovery_channel(pool, user, NOTHING) == recovers
    # With an app, that is what is asked for, and the addresses are free for recovery.
    with_app = a_pool("ON", (*offers, TOTP), recovery=recovery)
    assert usable(with_app, user, APP) == (TOTP,)
    best = [name for name in (PHONE_FIRST if recovery is None else recovery) if name in verified]
    assert factors.recovery_channel(with_app, user, APP) == (best[0] if best else None)


SETTINGS = (UNSAID, BY_PHONE, BY_MAIL, PHONE_FIRST, MAIL_FIRST, ADMIN)
OFFERS = [c for n in range(1, 4) for c in itertools.combinations((SMS, TOTP, EMAIL), n)]


@pytest.mark.parametrize("recovery", SETTINGS)
def test_no_address_is_ever_both(recovery: tuple[str, ...] | None) -> None:
    """For every pool and user: MfaConfiguration, factors offered and switched on, addresses there and verified."""
    addresses = [(present, proven) for present in (True, False) for proven in (True, False) if present or not proven]
    for mfa, offers, held, (mail, mail_proven), (phone, phone_proven) in itertools.product(
        ("OFF", "OPTIONAL", "ON"), OFFERS, (NOTHING, APP), addresses, addresses
    ):
        pool = a_pool(mfa, offers, recovery=recovery)
        verified = tuple(name for name, proven in ((MAIL, mail_proven), (PHONE, phone_proven)) if proven)
        for on in ((), (SMS,), (EMAIL,), (SMS, EMAIL), (TOTP,)):
            user = a_user(*on, email=mail, phone=phone, verified=verified)
            asked = usable(pool, user, held)
            recovers = factors.recovery_channel(pool, user, held)
            best = [name for name in (PHONE_FIRST if recovery is None else recovery) if name in verified]
            assert recovers is None or recovers in best
            assert recovers is None or recovers not in {factors.ADDRESS.get(name) for name in asked}
            if mfa == "OFF":
                assert asked == ()
            if mfa == "OPTIONAL":
                assert set(asked) <= set(on)
            if not asked and not on:  # nothing is in the way of the best one
                assert recovers == (best[0] if best else None)
            if (
                mfa == "ON"
                and recovery is None
                and any({SMS: phone, EMAIL: mail, TOTP: held.software_token}[name] for name in offers)
            ):
                assert asked, "whoever has a factor can sign in"


# -- what he has -----------------------------------------------------------------------------------------------


def test_an_address_is_a_factor_once_it_is_proven_whatever_the_pool_says() -> None:
    """Reference: 6.9."""
    assert factors.configured(a_user(), NOTHING) == ("PASSWORD",)
    assert factors.configured(a_user(verified=("phone_number",)), NOTHING) == ("PASSWORD", "SMS_OTP")
    both = a_user(verified=("email", "phone_number"))
    assert factors.configured(both, BOTH) == ("PASSWORD", "EMAIL_OTP", "SMS_OTP", PASSKEY, "SOFTWARE_TOKEN")
    assert factors.configured(a_user(email=False, verified=("email",)), WITHOUT_PASSWORD) == (PASSKEY,)


# -- first factors --------------------------------------------------------------------------------------------


def test_what_the_pool_allows_and_the_user_has_can_be_chosen() -> None:
    assert factors.first(a_pool(first=ALL), a_user(), KEY) == (*BY_PASSWORD, EMAIL, "SMS_OTP", PASSKEY)
    assert factors.first(a_pool(first=ALL), a_user(email=False, phone=False), NOTHING) == BY_PASSWORD
    assert factors.first(a_pool(first=("PASSWORD",)), a_user(), KEY) == BY_PASSWORD


def test_who_has_no_password_is_offered_none() -> None:
    assert factors.first(a_pool(first=ALL), a_user(phone=False), WITHOUT_PASSWORD) == (EMAIL, PASSKEY)


def test_a_temporary_password_must_be_used() -> None:
    assert factors.first(a_pool(first=ALL), a_user(status="FORCE_CHANGE_PASSWORD"), KEY) == BY_PASSWORD


def test_whoever_has_a_second_factor_begins_with_his_password() -> None:
    pool = a_pool("OPTIONAL", first=ALL)
    assert factors.first(pool, a_user(TOTP), BOTH) == BY_PASSWORD
    assert factors.first(pool, a_user(), BOTH) == (*BY_PASSWORD, EMAIL, "SMS_OTP", PASSKEY)


@pytest.mark.parametrize("mfa", ["OPTIONAL", "ON"])
def test_a_passkey_that_counts_as_both_factors_may_come_first_even_so(mfa: str) -> None:
    assert factors.first(a_pool(mfa, first=ALL, twice=True), a_user(TOTP), BOTH) == (*BY_PASSWORD, PASSKEY)


def test_a_name_that_means_nobody_has_none() -> None:
    assert factors.first(a_pool(first=ALL), None, None) == ()


@pytest.mark.parametrize("mfa", ["OFF", "OPTIONAL", "ON"])
@pytest.mark.parametrize("twice", [True, False])
def test_what_a_pool_allows_is_all_that_some_user_could_choose(mfa: str, twice: bool) -> None:
    pool = a_pool(mfa, first=ALL, twice=twice)
    people = [a_user(), a_user(TOTP)]
    could = {name for user in people for held in (NOTHING, APP, KEY, BOTH) for name in factors.first(pool, user, held)}
    assert set(factors.allowed_first(pool)) == could
    assert factors.allowed_first(a_pool(mfa, first=("PASSWORD",))) == BY_PASSWORD


def test_no_first_factor_without_a_password_passes_a_second_one_by() -> None:
    """For every pool and user: codes never where one would be asked, passkeys only where they count as both."""
    for mfa, on, held, twice in itertools.product(
        ("OFF", "OPTIONAL", "ON"), ((), (SMS,), (TOTP,), (EMAIL,), (PASSKEY,)), (NOTHING, APP, KEY, BOTH), (True, False)
    ):
        pool, user = a_pool(mfa, first=ALL, twice=twice), a_user(*on)
        asked = mfa == "ON" or factors.second(pool, user, held).usable
        others = set(factors.first(pool, user, held)) - set(BY_PASSWORD)
        assert not asked or others <= ({PASSKEY} if twice else set())
