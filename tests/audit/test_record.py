"""What is written down, by whom it was done, and that nothing is written of what did not happen."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import errors
from app.accounts import (
    administer,
    devices,
    factors,
    mfa,
    passkeys,
    passwords,
    profile,
    recovery_codes,
    sessions,
    sign_up,
)
from app.audit import acting, record
from app.audit.acting import Acting
from app.background import Background
from app.env import Env, Origin
from app.messaging import outbox
from app.models import AuditEvent, Client, Pool, User
from app.pools import access_keys, domains, find, own_settings, user_pools
from app.signin import flow, granting
from app.tokens import codes, keys, refresh, revoke
from tests import build
from tests.build import (
    CALLBACK,
    PASSWORD,
    a_client,
    a_passkey,
    a_pool,
    a_pool_with_passkeys,
    a_user,
    app_code,
    with_factors,
)
from tests.conftest import Clock

GIVEN = {"USERNAME": "alice", "PASSWORD": PASSWORD}


def rows(env: Env) -> list[AuditEvent]:
    """In the order in which they were written, as far as the clock tells."""
    with env.reading() as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.at)))


def names(env: Env) -> list[str]:
    return sorted(row.operation for row in rows(env))


class Since:
    """What was written since."""

    def __init__(self, env: Env) -> None:
        self.env, self.before = env, {row.id for row in rows(env)}

    def __call__(self) -> list[AuditEvent]:
        return [row for row in rows(self.env) if row.id not in self.before]

    def names(self) -> list[str]:
        return sorted(row.operation for row in self())


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool)


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


@pytest.fixture
def since(env: Env, client: Client, alice: User) -> Since:
    return Since(env)


def signed_in(env: Env, client: Client, **given: str) -> Any:
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given={**GIVEN, **given}, origin=Origin())
    assert isinstance(step, flow.Granted)
    return granting.tokens(env, step)


def test_a_sign_in_tells_who_how_and_from_where(env: Env, client: Client, alice: User, since: Since) -> None:
    with acting.during(Acting(acting.ANYBODY, "", "192.0.2.7", "Browser/1")):
        signed_in(env, client)
    (row,) = since()
    assert (row.kind, row.operation, row.pool_id) == ("event", "SignIn", client.pool_id)
    assert (row.actor_kind, row.actor, row.user_sub) == ("user", alice.sub, alice.sub)
    assert (row.ip, row.user_agent, row.error_code) == ("192.0.2.7", "Browser/1", None)
    assert client.id in row.parameters and "USER_PASSWORD_AUTH" in row.parameters


def test_a_wrong_password_is_anybodys(env: Env, client: Client, alice: User, since: Since) -> None:
    with acting.during(Acting(acting.ANYBODY, "", "192.0.2.7")), pytest.raises(errors.NotAuthorized):
        signed_in(env, client, PASSWORD="wrong")
    (row,) = since()
    assert (row.operation, row.error_code, row.user_sub) == ("SignInFailed", "NotAuthorized", alice.sub)
    assert (row.actor_kind, row.actor) == ("anybody", "")


def test_a_name_that_means_nobody_is_not_written_down(env: Env, client: Client, since: Since) -> None:
    with pytest.raises((errors.NotAuthorized, errors.UserNotFound)):
        signed_in(env, client, USERNAME="mallory@example.com")
    (row,) = since()
    assert (row.operation, row.user_sub) == ("SignInFailed", None)
    assert "mallory" not in str({column: getattr(row, column) for column in record.MACED})


def test_the_failure_that_locks_says_so_and_what_is_refused_while_locked_says_nothing(
    env: Env, client: Client, alice: User, since: Since
) -> None:
    for _ in range(6):
        with pytest.raises(errors.NotAuthorized):
            signed_in(env, client, PASSWORD="wrong")
    assert since.names() == ["LockedOut"] + ["SignInFailed"] * 5


def test_a_right_password_of_somebody_who_may_not_come_in_has_failed(env: Env, client: Client, pool: Pool) -> None:
    a_user(env, pool, "bob", email=None, status="UNCONFIRMED")
    since = Since(env)
    with pytest.raises(errors.UserNotConfirmed):
        signed_in(env, client, USERNAME="bob")
    (row,) = since()
    assert (row.operation, row.error_code) == ("SignInFailed", "UserNotConfirmed")


def test_a_pool_may_leave_sign_ins_out_and_nothing_else(env: Env, pool: Pool, client: Client, alice: User) -> None:
    own_settings.configure(env, pool, {"audit_sign_ins": False})
    client, since = find.client(env, client.id), Since(env)
    signed_in(env, client)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized):
            signed_in(env, client, PASSWORD="wrong")
    assert since.names() == ["LockedOut"]


def test_a_refresh_has_no_row(env: Env, client: Client, alice: User, since: Since) -> None:
    tokens = signed_in(env, client)
    refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=Origin())
    assert since.names() == ["SignIn"]


def test_a_used_refresh_token_that_comes_back_is_an_alarm(env: Env, pool: Pool, alice: User, clock: Clock) -> None:
    rotating = {"feature": "ENABLED", "retry_grace_period_seconds": 0}
    flows = ["ALLOW_USER_PASSWORD_AUTH"]
    client = a_client(env, pool, explicit_auth_flows=flows, refresh_token_rotation=rotating)
    tokens = signed_in(env, client)
    refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=Origin())
    since = Since(env)
    with pytest.raises(errors.RefreshTokenReuse):
        refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=Origin())
    (row,) = since()
    assert (row.operation, row.user_sub) == ("RefreshTokenReused", alice.sub)
    assert row.target.startswith("session/") and row.error_code


def test_a_code_that_comes_back_is_an_alarm(env: Env, client: Client, alice: User, since: Since) -> None:
    with env.transaction():
        code = codes.give(
            env, client, alice.sub, redirect_uri=CALLBACK, scope="openid", nonce=None, code_challenge=None,
            auth_time=env.now(), methods=["PASSWORD"], browser_session_id=None)  # fmt: skip
    redeem: dict[str, Any] = {"code": code, "redirect_uri": CALLBACK, "verifier": None, "origin": Origin()}
    codes.redeem(env, client, **redeem)
    assert since() == []
    with pytest.raises(errors.InvalidGrant):
        codes.redeem(env, client, **redeem)
    assert since.names() == ["AuthorizationCodeReused"]


def a_change(env: Env, client: Client, user: User) -> None:
    passwords.change(env, client, user, previous=PASSWORD, proposed="Another-horse-8")


def a_sign_up(env: Env, client: Client, user: User) -> None:
    attributes = {"email": "bob@example.com"}
    sign_up.sign_up(env, client, username="bob", password=PASSWORD, attributes=attributes, origin=Origin())
    sign_up.confirm_by_administrator(env, client.pool, username="bob")


def all_signed_out(env: Env, client: Client, user: User) -> None:
    with env.transaction():
        revoke.everything_of(env, user)


def codes_made(env: Env, client: Client, user: User) -> None:
    with env.transaction():
        recovery_codes.make(env, user)
    recovery_codes.end_by_administrator(env, client.pool, username="alice")


def enabled_again(env: Env, client: Client, user: User) -> None:
    administer.disable(env, client.pool, username="alice")
    administer.enable(env, client.pool, username="alice")


def sent_code(env: Env) -> str:
    return next(message.code for message in outbox.kept(env, None) if message.code)


def a_reset_by_code(env: Env, client: Client, user: User) -> None:
    passwords.forgot(env, client, username="alice", origin=Origin())
    passwords.confirm_forgot(
        env, client, username="alice", code=sent_code(env), password="Another-horse-8", origin=Origin()
    )


def an_address_proven(env: Env, client: Client, user: User) -> None:
    profile.update_attributes(env, client, user, attributes={"email": "new@example.com"})
    profile.verify(env, client, user, attribute="email", code=sent_code(env))


def with_an_app(env: Env, client: Client) -> Client:
    with_factors(env, client.pool, "OPTIONAL", factors.TOTP)
    return find.client(env, client.id)


def a_guess_at_a_new_app(env: Env, client: Client, user: User) -> None:
    client = with_an_app(env, client)
    mfa.associate(env, client, user)
    with pytest.raises(errors.EnableSoftwareTokenMFA):
        mfa.verify(env, client, user, code="000000", name=None, origin=Origin())


def an_app_and_without_it(env: Env, client: Client, user: User) -> None:
    client = with_an_app(env, client)
    secret = mfa.associate(env, client, user)
    mfa.verify(env, client, user, code=app_code(secret, env.now()), name=None, origin=Origin())
    mfa.prefer(env, user, {factors.TOTP: mfa.Setting(True, True)})
    mfa.remove_token(env, client.pool, username="alice")


def a_token_revoked(env: Env, client: Client, user: User) -> None:
    tokens = signed_in(env, client)
    with env.transaction():
        revoke.refresh_token(env, client, tokens.refresh or "")
    with env.transaction():
        revoke.refresh_token(env, client, tokens.refresh or "")  # it has ended already


def a_session_ended(env: Env, client: Client, user: User) -> None:
    pool = user_pools.set_sessions(env, client.pool, tracking="ENABLED", most=20)
    signed_in(env, client)
    (session,) = sessions.listed(env, pool, user)
    sessions.revoke(env, pool, user, session.name, linked=False)


def a_domain_proven(env: Env, client: Client, user: User) -> None:
    waiting = replace(env, settings=replace(env.settings, domain_proof="public"))
    domain = domains.create(waiting, client.pool, domain="auth.example.com", custom=True, settings={})
    domains.accept(waiting, domain)


def a_device(env: Env, client: Client, user: User) -> None:
    tracking = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
    user_pools.update(env, client.pool, name=None, settings={"device_configuration": tracking})
    client = find.client(env, client.id)
    device = build.a_device(env, client, user, signed_in(env, client))
    devices.set_status(env, client.pool, user, device.key, remembered=False)
    devices.forget(env, client.pool, user, device.key)


def a_passkey_and_without_it(env: Env, client: Client, user: User) -> None:
    pool = a_pool_with_passkeys(env, algorithm="ES256")
    client = a_client(env, pool)
    bob = a_user(env, pool, "bob", email=None)
    a_passkey(env, client, bob)
    (passkey,) = passkeys.listed(env, bob).rows
    passkeys.delete(env, bob, credential_id=passkey.credential_id)


STORIES: list[tuple[Callable[[Env, Client, User], Any], list[str]]] = [
    (a_change, ["PasswordChanged"]),
    (
        lambda env, client, user: passwords.set_by_administrator(
            env, client.pool, username="alice", password="Another-horse-8", permanent=True
        ),
        ["PasswordSet"],
    ),
    (
        lambda env, client, user: passwords.reset_by_administrator(env, client.pool, username="alice"),
        ["PasswordResetRequired"],
    ),
    (a_sign_up, ["UserConfirmed", "UserCreated"]),
    (
        lambda env, client, user: administer.disable(env, client.pool, username="alice"),
        ["GlobalSignOut", "UserDisabled"],
    ),
    (lambda env, client, user: profile.delete(env, user), ["UserDeleted"]),
    (
        lambda env, client, user: administer.update_attributes(
            env, client.pool, username="alice", attributes={"email": "new@example.com", "email_verified": "true"}
        ),
        ["AddressChanged"],
    ),
    (all_signed_out, ["GlobalSignOut"]),
    (codes_made, ["RecoveryCodesEnded", "RecoveryCodesMade"]),
    (enabled_again, ["GlobalSignOut", "UserDisabled", "UserEnabled"]),
    (a_reset_by_code, ["PasswordReset"]),
    (an_address_proven, ["AddressChanged", "AddressProven"]),
    (a_guess_at_a_new_app, ["FactorRefused", "SettingsChanged"]),
    (an_app_and_without_it, ["FactorAdded", "FactorRemoved", "FactorsSwitched", "FactorsSwitched", "SettingsChanged"]),
    (a_token_revoked, ["SessionRevoked", "SignIn"]),
    (a_session_ended, ["SessionRevoked", "SettingsChanged", "SignIn"]),
    (a_domain_proven, ["DomainProven"]),
    (a_device, ["DeviceForgotten", "DeviceRemembered", "DeviceRemembered", "SettingsChanged", "SignIn"]),
    (a_passkey_and_without_it, ["FactorAdded", "FactorRemoved", "SettingsChanged", "UserCreated"]),
    (lambda env, client, user: keys.rotate(env, client.pool), ["KeysRotated"]),
    (
        lambda env, client, user: access_keys.revoke(env, access_keys.create(env, description="").id),
        ["AccessKeyCreated", "AccessKeyRevoked"],
    ),
    (
        lambda env, client, user: own_settings.configure(env, client.pool, {"recent_sign_in_minutes": 5}),
        ["SettingsChanged"],
    ),
]


@pytest.mark.parametrize(("story", "expected"), STORIES, ids=[" ".join(expected) for _, expected in STORIES])
def test_what_concerns_security_has_a_row(
    env: Env, client: Client, alice: User, since: Since, story: Callable[[Env, Client, User], Any], expected: list[str]
) -> None:
    story(env, client, alice)
    assert since.names() == expected


def test_a_rotation_that_was_due_is_the_servers_own(env: Env, pool: Pool, since: Since, clock: Clock) -> None:
    rotating = replace(env, settings=replace(env.settings, signing_key_days=30))
    assert keys.rotate_due(rotating) == [] == since()
    clock.forward(days=31)
    assert keys.rotate_due(rotating) == [pool.id]
    (row,) = since()
    assert (row.operation, row.pool_id, row.actor_kind, row.actor) == ("KeysRotated", pool.id, "service", "")


def test_what_is_done_after_the_answer_is_done_by_whoever_asked(app: Flask, env: Env, pool: Pool, since: Since) -> None:
    """In another transaction than the call, whose row is written with its own."""
    later, done = Background(), threading.Event()
    later.of(app)

    def act() -> None:
        with env.transaction():
            record.event(env, pool, "KeysRotated")
        done.set()

    asked = Acting(acting.ACCESS_KEY, "AKIA1", "192.0.2.7")
    call = record.Call("Change", pool.id)
    with acting.during(asked), record.administrative(env, call):
        later(act)
        assert done.wait(60)
        assert since.names() == ["KeysRotated"]
    found = {row.operation: (row.actor_kind, row.actor, row.ip) for row in since()}
    assert found == dict.fromkeys(("Change", "KeysRotated"), ("access_key", "AKIA1", "192.0.2.7"))


def test_of_somebody_who_was_deleted_the_sub_alone_is_left(env: Env, client: Client, alice: User) -> None:
    signed_in(env, client)
    profile.delete(env, alice)
    written = str([[getattr(row, column) for column in record.MACED] for row in rows(env)])
    assert alice.sub in written
    assert "alice" not in written


def test_no_row_tells_of_what_was_rolled_back(env: Env, pool: Pool, since: Since) -> None:
    with pytest.raises(RuntimeError), env.transaction():
        record.event(env, pool, "KeysRotated")
        raise RuntimeError
    assert since() == []


def test_no_row_tells_of_a_call_that_was_rolled_back_but_that_it_failed(env: Env, pool: Pool, since: Since) -> None:
    call = record.Call("Change", pool.id)
    with pytest.raises(errors.InvalidParameter), record.administrative(env, call), env.transaction():
        raise errors.InvalidParameter
    (row,) = since()
    assert (row.operation, row.error_code) == ("Change", "InvalidParameter")


def test_a_call_that_fails_after_it_has_committed_has_two_rows(env: Env, pool: Pool, since: Since) -> None:
    call = record.Call("Change", pool.id)
    with pytest.raises(errors.CodeDeliveryFailure), record.administrative(env, call):
        with env.transaction():
            record.event(env, pool, "KeysRotated")
        raise errors.CodeDeliveryFailure
    found = [(row.operation, row.error_code) for row in since()]
    assert sorted(found, key=str) == [
        ("Change", "CodeDeliveryFailure"),
        ("Change", None),
        ("KeysRotated", None),
    ]


def test_what_only_counts_an_attempt_does_not_tell_that_a_call_succeeded(
    env: Env, client: Client, since: Since
) -> None:
    with (
        pytest.raises(errors.NotAuthorized),
        record.administrative(env, record.Call("AdminInitiateAuth", client.pool_id)),
    ):
        signed_in(env, client, PASSWORD="wrong")
    found = sorted((row.operation, row.error_code) for row in since())
    assert found == [("AdminInitiateAuth", "NotAuthorized"), ("SignInFailed", "NotAuthorized")]


def test_a_mistake_of_ours_is_told_as_one(env: Env, since: Since) -> None:
    with pytest.raises(ZeroDivisionError), record.administrative(env, record.Call("Change")):
        1 / 0  # noqa: B018
    (row,) = since()
    assert (row.error_code, row.error_message) == ("InternalError", errors.InternalError.message)


def test_a_call_without_its_row_is_not_answered(env: Env, monkeypatch: pytest.MonkeyPatch, since: Since) -> None:
    def failing(*given: Any) -> str:
        raise errors.ServiceUnavailable

    monkeypatch.setattr(record, "mac", failing)
    done = []
    with pytest.raises(errors.ServiceUnavailable), record.administrative(env, record.Call("Change")):
        with env.transaction():
            pass
        done.append(True)
    assert (done, since()) == ([], [])


def test_text_of_a_stranger_does_not_break_a_row(env: Env, pool: Pool, since: Since) -> None:
    with acting.during(Acting(acting.ANYBODY, "", "1" * 500, "a\0b\ud800" + "x" * 9000)):
        with env.transaction():
            record.event(env, pool, "KeysRotated")
    (row,) = since()
    assert (row.ip, row.user_agent[:4], len(row.user_agent)) == ("1" * 64, "ab?x", 512)


def test_parameters_of_any_size_fit(env: Env, pool: Pool, since: Since) -> None:
    with record.administrative(env, record.Call("Change", pool.id, parameters={"Text": "x" * 100_000})):
        pass
    (row,) = since()
    assert len(row.parameters) < 200 and "omitted" in row.parameters
