"""What a user, or an administrator, does with his second factors."""

from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import factors, find, lockout, mfa, passwords
from app.accounts.mfa import Setting
from app.env import Env, Origin
from app.models import Attempt, Client, Device, OutboxMessage, Pool, SoftwareToken, User
from tests.build import a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.signin.challenges.signing_in import answer, asked, begin, signed_in

ON, OFF = Setting(True, None), Setting(False, None)
FIRST = Setting(True, True)
HERE = Origin()
ALL = ("SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP")


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, with_factors(env, a_pool(env), "OPTIONAL", *ALL))


@pytest.fixture
def user(env: Env, client: Client) -> User:
    return a_user(env, client.pool, phone_number="+15555550100")


def settings_of(env: Env, pool: Pool) -> tuple[tuple[str, ...], str | None]:
    user = find.existing(env, pool, "alice").user
    return factors.switched_on(user), factors.preferred(user)


def verify(env: Env, client: Client, user: User, secret: str) -> None:
    mfa.verify(env, client, user, code=app_code(secret, env.now()), name=None, origin=HERE)


# -- the app ---------------------------------------------------------------------------------------------------


def test_an_app_is_verified_switched_on_and_asked_for(env: Env, client: Client, user: User, clock: Clock) -> None:
    secret = mfa.associate(env, client, user)
    verify(env, client, user, secret)
    assert signed_in(begin(env, client))  # verified alone asks for nothing
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": FIRST})
    clock.forward(seconds=30)
    step = asked(env, client)
    assert signed_in(answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now())))


def test_a_new_app_takes_the_place_of_the_old_one_only_when_it_was_verified(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    old = an_app(env, user)
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": FIRST})
    new = mfa.associate(env, client, user)
    step = asked(env, client)
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(new, env.now()))
    assert signed_in(answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(old, env.now())))
    verify(env, client, user, new)
    clock.forward(seconds=30)
    step = asked(env, client)
    with pytest.raises(errors.CodeMismatch):
        answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(old, env.now()))
    assert signed_in(answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(new, env.now())))


def test_a_secret_is_verified_once_and_the_one_before_it_never(env: Env, client: Client, user: User) -> None:
    first = mfa.associate(env, client, user)
    second = mfa.associate(env, client, user)
    with pytest.raises(errors.EnableSoftwareTokenMFA):
        verify(env, client, user, first)
    verify(env, client, user, second)
    with pytest.raises(errors.InvalidParameter, match="User has not set up software token mfa"):
        verify(env, client, user, second)


def test_of_two_verifications_at_one_moment_one_is_accepted(app: Flask, env: Env, client: Client, user: User) -> None:
    secret = mfa.associate(env, client, user)
    outcomes = in_parallel(app, *(partial(verify, env, client, user, secret) for _ in range(3)))
    assert outcomes.count(None) == 1


def test_guesses_at_the_first_code_are_counted(env: Env, client: Client, user: User, clock: Clock) -> None:
    secret = mfa.associate(env, client, user)
    right = app_code(secret, env.now())
    for _ in range(5):
        with pytest.raises(errors.EnableSoftwareTokenMFA, match="Code mismatch and fail enable Software Token MFA"):
            mfa.verify(env, client, user, code=f"{(int(right) + 1) % 10**6:06}", name=None, origin=HERE)
    with pytest.raises(errors.LockedOut):
        verify(env, client, user, secret)
    with pytest.raises(errors.LockedOut):
        lockout.check(env, lockout.counter(env, client.pool, sub=user.sub, origin=HERE))
    clock.forward(seconds=1)
    verify(env, client, user, secret)


def test_a_pool_without_authenticator_apps_takes_none(env: Env) -> None:
    client = a_client(env, with_factors(env, a_pool(env), "OPTIONAL", "EMAIL_OTP"))
    user = a_user(env, client.pool)
    with pytest.raises(errors.SoftwareTokenMFANotFound, match="has not been enabled by the userPool"):
        mfa.associate(env, client, user)
    with pytest.raises(errors.SoftwareTokenMFANotFound):
        mfa.verify(env, client, user, code="123456", name=None, origin=HERE)


@pytest.mark.parametrize("name", ["\0", "x" * 257])
def test_a_name_that_cannot_be_kept(env: Env, client: Client, user: User, name: str) -> None:
    secret = mfa.associate(env, client, user)
    with pytest.raises(errors.InvalidParameter, match="FriendlyDeviceName"):
        mfa.verify(env, client, user, code=app_code(secret, env.now()), name=name, origin=HERE)


def test_somebody_who_was_disabled_meanwhile_changes_nothing(env: Env, client: Client, user: User) -> None:
    secret = mfa.associate(env, client, user)
    with env.transaction():
        find.locked(env, user.sub).enabled = False
    with pytest.raises(errors.UserDisabled):
        verify(env, client, user, secret)
    with pytest.raises(errors.UserDisabled):
        mfa.associate(env, client, user)
    with pytest.raises(errors.UserDisabled):
        mfa.prefer(env, user, {"SMS_MFA": ON})


def test_an_administrator_unregisters_the_app(env: Env, client: Client, user: User) -> None:
    an_app(env, user)
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": FIRST, "EMAIL_OTP": ON})
    mfa.remove_token(env, client.pool, username="alice")
    assert settings_of(env, client.pool) == (("EMAIL_OTP",), None)
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(SoftwareToken)) == 0
    with pytest.raises(errors.InvalidParameter, match="User has not set up software token mfa"):
        mfa.remove_token(env, client.pool, username="alice")
    with pytest.raises(errors.UserNotFound):
        mfa.remove_token(env, client.pool, username="nobody")


# -- what is asked for -----------------------------------------------------------------------------------------


def test_of_several_one_is_preferred_until_another_is(env: Env, client: Client, user: User) -> None:
    an_app(env, user)
    mfa.prefer(env, user, {"SMS_MFA": ON, "SOFTWARE_TOKEN_MFA": FIRST})
    assert settings_of(env, client.pool) == (("SMS_MFA", "SOFTWARE_TOKEN_MFA"), "SOFTWARE_TOKEN_MFA")
    mfa.prefer(env, user, {"EMAIL_OTP": FIRST})
    assert settings_of(env, client.pool) == (ALL, "EMAIL_OTP")
    mfa.prefer(env, user, {"SMS_MFA": Setting(None, True)})
    assert settings_of(env, client.pool) == (ALL, "SMS_MFA")
    mfa.prefer(env, user, {"SMS_MFA": Setting(True, False)})
    assert settings_of(env, client.pool) == (ALL, None)


def test_switching_off_is_always_accepted_and_drops_the_preference(env: Env, client: Client, user: User) -> None:
    mfa.prefer(env, user, {"SMS_MFA": FIRST})
    mfa.prefer(env, user, {name: Setting(False, False) for name in (*ALL, "WEB_AUTHN")})
    assert settings_of(env, client.pool) == ((), None)


@pytest.mark.parametrize(
    "wanted",
    [
        {"SMS_MFA": FIRST, "EMAIL_OTP": FIRST},
        {"SMS_MFA": Setting(False, True)},
        {"SMS_MFA": Setting(None, True)},
        {"EMAIL_OTP": ON, "SMS_MFA": Setting(False, True)},
    ],
)
def test_two_preferred_ones_or_one_that_is_off_are_refused_and_nothing_changes(
    env: Env, client: Client, user: User, wanted: dict[str, Setting]
) -> None:
    with pytest.raises(errors.InvalidParameter, match="preferred"):
        mfa.prefer(env, user, wanted)
    assert settings_of(env, client.pool) == ((), None)


def test_what_a_user_has_not_got_cannot_be_switched_on(env: Env, client: Client) -> None:
    user = a_user(env, client.pool, email=None)
    for name in ("SMS_MFA", "EMAIL_OTP", "WEB_AUTHN"):
        with pytest.raises(errors.InvalidParameter, match=f"delivery config set to turn on {name}"):
            mfa.prefer(env, user, {name: ON})
    with pytest.raises(errors.InvalidParameter, match="User has not set up software token mfa"):
        mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": ON})
    mfa.associate(env, client, user)
    with pytest.raises(errors.InvalidParameter, match="User has not verified software token mfa"):
        mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": ON})
    with pytest.raises(errors.InvalidParameter, match="delivery config set to turn on SOFTWARE_TOKEN_MFA"):
        mfa.prefer_by_administrator(env, client.pool, username="alice", wanted={"SOFTWARE_TOKEN_MFA": ON})


def test_an_administrator_does_the_same(env: Env, client: Client, user: User) -> None:
    mfa.prefer_by_administrator(env, client.pool, username="alice", wanted={"SMS_MFA": FIRST})
    assert asked(env, client).challenge == "SMS_MFA"
    with pytest.raises(errors.UserNotFound):
        mfa.prefer_by_administrator(env, client.pool, username="nobody", wanted={"SMS_MFA": FIRST})


def test_a_change_ends_the_sign_ins_under_way_and_no_change_does_not(env: Env, client: Client, user: User) -> None:
    """A stranger waits with a session that asks for the phone he has stolen; she switches that factor off."""
    mfa.prefer(env, user, {"SMS_MFA": FIRST})
    asked(env, client)
    mfa.prefer(env, user, {"SMS_MFA": FIRST, "EMAIL_OTP": OFF})
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 1
    step = asked(env, client)
    mfa.prefer(env, user, {"SMS_MFA": OFF, "EMAIL_OTP": FIRST})
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, step, SMS_MFA_CODE="123456")


@pytest.mark.parametrize("change", ["preference", "new app", "no app"])
def test_no_device_stands_in_for_factors_that_have_changed(
    env: Env, client: Client, user: User, clock: Clock, change: str
) -> None:
    """Whoever had remembered a device of his own at her account is asked for the new factor."""
    an_app(env, user)
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": FIRST})
    a_device(env, user, "us-east-1_11111111-1111-4111-8111-111111111111")
    bob = a_user(env, client.pool, "bob", email="bob@example.com")
    a_device(env, bob, "us-east-1_22222222-2222-4222-8222-222222222222")
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": FIRST})  # which changes nothing
    assert trusted(env) == {user.sub, bob.sub}
    if change == "preference":
        mfa.prefer(env, user, {"EMAIL_OTP": ON})
    elif change == "new app":
        verify(env, client, user, mfa.associate(env, client, user))
    else:
        mfa.remove_token(env, client.pool, username="alice")
    assert trusted(env) == {bob.sub}


def a_device(env: Env, user: User, key: str) -> None:
    now = env.now()
    with env.transaction():
        env.db.add(
            Device(
                key=key,
                user_sub=user.sub,
                group_key="-group",
                name=None,
                salt="00",
                verifier="sealed",
                remembered=True,
                trusted=True,
                last_ip="",
                created_at=now,
                modified_at=now,
                authenticated_at=now,
            )
        )


def trusted(env: Env) -> set[str]:
    with env.reading() as session:
        return set(session.scalars(select(Device.user_sub).where(Device.trusted)))


# -- and the forgotten password --------------------------------------------------------------------------------


def test_the_address_that_is_the_second_factor_does_not_also_recover_the_password(
    env: Env, client: Client, user: User
) -> None:
    """Whoever reads her mailbox would otherwise need nothing else."""
    assert passwords.forgot(env, client, username="alice", origin=HERE).medium == "EMAIL"
    mfa.prefer(env, user, {"EMAIL_OTP": FIRST})
    with pytest.raises(errors.InvalidParameter, match="no registered/verified email or phone_number"):
        passwords.forgot(env, client, username="alice", origin=HERE)
    with env.transaction():
        find.locked(env, user.sub).phone_number_verified = True
    assert passwords.forgot(env, client, username="alice", origin=HERE).medium == "SMS"


def test_what_the_pool_no_longer_asks_for_may_recover_again(env: Env, user: User, client: Client) -> None:
    mfa.prefer(env, user, {"EMAIL_OTP": FIRST})
    less = a_client(env, with_factors(env, client.pool, "OPTIONAL", "SMS_MFA"))
    assert passwords.forgot(env, less, username="alice", origin=HERE).medium == "EMAIL"


def test_a_code_to_recover_by_ends_when_its_address_becomes_the_second_factor(
    env: Env, client: Client, user: User, sent: Callable[..., list[OutboxMessage]]
) -> None:
    passwords.forgot(env, client, username="alice", origin=HERE)
    code = sent("alice@example.com")[0].code or ""
    mfa.prefer(env, user, {"EMAIL_OTP": FIRST})
    with pytest.raises(errors.ExpiredCode):
        passwords.confirm_forgot(env, client, username="alice", code=code, password="Another-horse-8")
