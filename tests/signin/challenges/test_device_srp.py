"""A device that was confirmed proves to be the same one; where it may, it is then the second factor."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app import errors
from app.accounts import devices, factors, find, mfa, passwords, trust
from app.crypto.srp import pad
from app.env import Env, Origin
from app.models import Client, LoginSession, OutboxMessage, User
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from tests.build import PASSWORD, a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.remembering import Device, confirm
from tests.signin.challenges.signing_in import answer, begin
from tests.tokens.test_tokens import claims_of

Sent = Callable[..., list[OutboxMessage]]
SPARES = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
NAMED = {"acr_configuration": {"Level1": {"acr_value": "bronze"}}}
"""A pool whose tokens say how somebody signed in."""


def a_place(env: Env, pool: dict[str, Any] | None = None, **tracking: bool) -> tuple[Client, User]:
    client = a_client(env, a_pool(env, device_configuration={**SPARES, **tracking}, **(pool or {})))
    return client, a_user(env, client.pool)


def a_place_with_mfa(env: Env, pool: dict[str, Any] | None = None, **tracking: bool) -> tuple[Client, User, str]:
    made = a_pool(env, device_configuration={**SPARES, **tracking}, **(pool or {}))
    client = a_client(env, with_factors(env, made, "ON", "SOFTWARE_TOKEN_MFA"))
    user = a_user(env, client.pool)
    return client, user, an_app(env, user)


def kept(env: Env, client: Client, user: User, granted: Any) -> Device:
    """The device of this sign-in, confirmed."""
    new = granting.tokens(env, granted).new_device
    assert new is not None
    device = Device(new.key, new.group_key)
    confirm(env, client, user, device)
    return device


def with_code(env: Env, clock: Clock, client: Client, secret: str, step: Any, **given: str) -> Any:
    assert step.challenge == "SOFTWARE_TOKEN_MFA"
    clock.forward(minutes=1)
    return answer(env, client, step, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()), **given)


def proven(env: Env, client: Client, device: Device, step: Any) -> Any:
    assert step.challenge == "DEVICE_SRP_AUTH"
    asked = answer(env, client, step, **device.first())
    assert asked.challenge == "DEVICE_PASSWORD_VERIFIER"
    return answer(env, client, asked, **device.second(asked.params, env.now()))


def test_the_published_vector() -> None:
    device = Device(
        "us-east-1_11111111-2222-3333-4444-555555555555",
        "-abcdEFGH",
        password="cmFuZG9tcGFzc3dvcmQ=",
        salt=bytes.fromhex("7f000102030405060708090a0b0c0d0e"),
    )
    expected = "5686bd092860fabe39d404e6f9ac8bb32673f909bbc2707efd690414021f74ea"
    assert hashlib.sha256(pad(device.verifier)).hexdigest() == expected


def test_a_device_comes_back_and_gets_no_new_key(env: Env) -> None:
    client, user = a_place(env)
    device = kept(env, client, user, begin(env, client))
    granted = proven(env, client, device, begin(env, client, DEVICE_KEY=device.key))
    assert isinstance(granted, Granted)
    assert granting.tokens(env, granted).new_device is None
    with env.reading() as database:
        assert database.query(LoginSession).filter_by(device_key=device.key).count() == 2


def test_a_trusted_device_is_the_second_factor(env: Env, clock: Clock) -> None:
    client, user, secret = a_place_with_mfa(env)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    assert isinstance(proven(env, client, device, begin(env, client, DEVICE_KEY=device.key)), Granted)


def said(env: Env, client: Client, granted: Any) -> tuple[Any, Any]:
    """`acr` and `amr` of the tokens."""
    claims = claims_of(env, client, granting.tokens(env, granted).access)
    return claims["acr"], claims["amr"]


def test_the_tokens_say_so_of_a_device_that_stood_in_for_the_code(env: Env, clock: Clock) -> None:
    client, user, secret = a_place_with_mfa(env, NAMED)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    granted = proven(env, client, device, begin(env, client, DEVICE_KEY=device.key))
    assert said(env, client, granted) == ("urn:cognito:loa:3", ["pwd", "swk", "mfa"])


@pytest.mark.parametrize("remembered", [True, False])
def test_a_device_that_a_password_alone_has_enrolled_is_no_second_factor_in_the_tokens(
    env: Env, remembered: bool
) -> None:
    """Whoever has the password enrols a device of their own, and comes back with both."""
    client, user = a_place(env, NAMED)
    device = kept(env, client, user, begin(env, client))
    devices.set_status(env, client.pool, user, device.key, remembered=remembered)
    granted = proven(env, client, device, begin(env, client, DEVICE_KEY=device.key))
    assert said(env, client, granted) == ("bronze", ["pwd"])


def test_trust_that_ends_while_the_device_answers_stands_in_for_nothing(env: Env, clock: Clock) -> None:
    client, user, secret = a_place_with_mfa(env)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    granted = proven(env, client, device, begin(env, client, DEVICE_KEY=device.key))
    with env.transaction():
        trust.end(env, find.locked(env, user.sub))
    with pytest.raises(errors.SessionInvalid):
        granting.tokens(env, granted)


@pytest.mark.parametrize("tracking", [{"challenge_required_on_new_device": False}, {}])
def test_where_it_may_not_be_it_comes_after_the_code(env: Env, clock: Clock, tracking: dict[str, bool]) -> None:
    client, user, secret = a_place_with_mfa(env, **tracking)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    if not tracking:
        devices.set_status(env, client.pool, user, device.key, remembered=False)
    step = with_code(env, clock, client, secret, begin(env, client, DEVICE_KEY=device.key))
    assert isinstance(proven(env, client, device, step), Granted)


def test_after_a_new_password_the_code_is_asked_for_once_more(env: Env, clock: Clock) -> None:
    client, user, secret = a_place_with_mfa(env)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    passwords.set_by_administrator(env, client.pool, username="alice", password=PASSWORD, permanent=True)
    step = with_code(env, clock, client, secret, begin(env, client, DEVICE_KEY=device.key))
    granting.tokens(env, proven(env, client, device, step))
    assert begin(env, client, DEVICE_KEY=device.key).challenge == "DEVICE_SRP_AUTH"


def test_who_signed_in_before_a_change_makes_no_trusted_device_after_it(env: Env, clock: Clock) -> None:
    client, user, secret = a_place_with_mfa(env)
    new = granting.tokens(env, with_code(env, clock, client, secret, begin(env, client))).new_device
    assert new is not None
    clock.forward(seconds=1)
    passwords.set_by_administrator(env, client.pool, username="alice", password=PASSWORD, permanent=True)
    device = Device(new.key, new.group_key)
    confirm(env, client, user, device)
    assert begin(env, client, DEVICE_KEY=device.key).challenge == "SOFTWARE_TOKEN_MFA"


def test_a_device_that_is_forgotten_after_its_proof_opens_no_session(env: Env, clock: Clock) -> None:
    """It stood in for the code when it was asked, and no longer when it answered; so the code comes after it."""
    client, user, secret = a_place_with_mfa(env)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    step = begin(env, client, DEVICE_KEY=device.key)
    devices.set_status(env, client.pool, user, device.key, remembered=False)
    granted = with_code(env, clock, client, secret, proven(env, client, device, step))
    devices.forget(env, client.pool, user, device.key)
    with pytest.raises(errors.ResourceNotFound, match="Device does not exist."):
        granting.tokens(env, granted)
    with env.reading() as database:
        assert all(row.revoked_at for row in database.query(LoginSession))


def test_what_was_met_before_makes_no_device_trusted(env: Env, clock: Clock, sent: Sent) -> None:
    """An access token and the password would otherwise be worth the code that is asked for ever after."""
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}
    by_administrator = {"recovery_mechanisms": [{"name": "admin_only", "priority": 1}]}
    pool = a_pool(env, device_configuration=SPARES, policies=policies, account_recovery_setting=by_administrator)
    client = a_client(env, pool, explicit_auth_flows=["ALLOW_USER_AUTH", "ALLOW_USER_PASSWORD_AUTH"])
    user = a_user(env, pool)
    device = kept(env, client, user, begin(env, client))

    def choosing(first: str, **given: str) -> Any:
        given = {"USERNAME": "alice", "PASSWORD": PASSWORD, "PREFERRED_CHALLENGE": first, **given}
        return flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())

    code = choosing("EMAIL_OTP")
    before = granting.tokens(env, answer(env, client, code, EMAIL_OTP_CODE=sent("alice@example.com")[0].code or ""))
    up = {"TARGET_ACR_VALUES": "urn:cognito:loa:3", "ACCESS_TOKEN": before.access}
    granted = choosing("PASSWORD", **up)
    assert granted.proven == ("EMAIL_OTP", "PASSWORD")
    assert granting.tokens(env, granted).new_device is None
    granting.tokens(env, proven(env, client, device, choosing("PASSWORD", **up, DEVICE_KEY=device.key)))
    assert not devices.recognise(env, user, device.key).trusted


def test_nobody_elses_forgotten_or_unconfirmed_device_is_known(env: Env) -> None:
    client, user = a_place(env)
    device = kept(env, client, user, begin(env, client))
    a_user(env, client.pool, "bob", email="bob@example.com")
    unconfirmed = granting.tokens(env, begin(env, client)).new_device
    assert unconfirmed is not None
    for name, key in (("bob", device.key), ("alice", unconfirmed.key), ("alice", "x" * 99)):
        with pytest.raises(errors.ResourceNotFound, match="Device does not exist."):
            begin(env, client, name, DEVICE_KEY=key)
    step = begin(env, client, DEVICE_KEY=device.key)
    devices.forget(env, client.pool, user, device.key)
    with pytest.raises(errors.ResourceNotFound, match="Device does not exist."):
        proven(env, client, device, step)
    with pytest.raises(errors.ResourceNotFound, match="Device does not exist."):
        begin(env, client, DEVICE_KEY=device.key)


def test_the_key_without_the_secret_or_the_password_opens_nothing(env: Env) -> None:
    client, user = a_place(env)
    device = kept(env, client, user, begin(env, client))
    with pytest.raises(errors.NotAuthorized):
        begin(env, client, PASSWORD="wrong", DEVICE_KEY=device.key)
    thief = Device(device.key, device.group)
    with pytest.raises(errors.NotAuthorized):
        proven(env, client, thief, begin(env, client, DEVICE_KEY=device.key))
    with pytest.raises(errors.SessionInvalid):
        flow.answer(
            env,
            client,
            challenge="DEVICE_SRP_AUTH",
            session=None,
            given=thief.first(),
            origin=Origin(ip="198.51.100.9"),
        )


def test_an_answer_fits_the_sign_in_that_it_was_made_for_once(app: Flask, env: Env) -> None:
    client, user = a_place(env)
    device = kept(env, client, user, begin(env, client))

    def asked() -> Ask:
        step: Ask = answer(env, client, begin(env, client, DEVICE_KEY=device.key), **device.first())
        return step

    first, second = asked(), asked()
    given = device.second(first.params, env.now())
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, second, **given)
    granted = answer(env, client, first, **given)
    granting.tokens(env, granted)
    with pytest.raises(errors.SessionInvalid):
        answer(env, client, first, **given)


def test_a_device_is_confirmed_once(app: Flask, env: Env) -> None:
    client, user = a_place(env, device_only_remembered_on_user_prompt=True)
    new = granting.tokens(env, begin(env, client)).new_device
    assert new is not None
    device = Device(new.key, new.group_key)

    outcomes = in_parallel(app, *(4 * [lambda: confirm(env, client, user, device)]))
    assert sorted(type(one) is bool for one in outcomes) == [False, False, False, True]
    assert all(one is True or isinstance(one, errors.DeviceKeyExists) for one in outcomes)
    assert not devices.get(env, client.pool, user, device.key).remembered


def test_a_client_that_sends_no_session_is_found_by_its_device_where_it_is(env: Env) -> None:
    """pycognito sends none with either answer, and amazon-cognito-identity-js one that is used up."""
    client, user = a_place(env)
    device = kept(env, client, user, begin(env, client))

    def send(challenge: str, given: dict[str, str], session: str | None, ip: str = "") -> Any:
        return flow.answer(env, client, challenge=challenge, session=session, given=given, origin=Origin(ip=ip))

    for session in (None, "used-up-long-ago-" * 2):
        begin(env, client, DEVICE_KEY=device.key)
        with pytest.raises(errors.SessionInvalid):
            send("DEVICE_SRP_AUTH", device.first(), session, ip="198.51.100.9")
        asked = send("DEVICE_SRP_AUTH", device.first(), session)
        given = device.second(asked.params, env.now())
        granted = send("DEVICE_PASSWORD_VERIFIER", given, session)
        assert isinstance(granted, Granted)
        granting.tokens(env, granted)
        with pytest.raises(errors.SessionInvalid):
            send("DEVICE_PASSWORD_VERIFIER", given, session)


def test_after_a_change_of_factors_the_code_is_asked_for_once_more(env: Env, clock: Clock) -> None:
    client, user, secret = a_place_with_mfa(env)
    device = kept(env, client, user, with_code(env, clock, client, secret, begin(env, client)))
    mfa.prefer(env, user, {factors.TOTP: mfa.Setting(enabled=True, preferred=True)})
    assert begin(env, client, DEVICE_KEY=device.key).challenge == "SOFTWARE_TOKEN_MFA"
