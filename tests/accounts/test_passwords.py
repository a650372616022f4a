"""A password is forgotten, or set by an administrator."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app import errors
from app.accounts import attributes, find, passwords
from app.env import Env, Origin
from app.models import BrowserSession, Password, User
from app.signin import browser, flow
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[Any]]
NEW = "Another-horse-8"


def sign_in(env: Env, client: Any, name: str, password: str) -> flow.Step:
    given = {"USERNAME": name, "PASSWORD": password}
    return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())


def test_a_code_to_the_verified_address_sets_a_new_password(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    delivery = passwords.forgot(env, client, username="alice@example.com", origin=Origin())
    assert (delivery.medium, delivery.destination) == ("EMAIL", "a***@e***")
    sign_in(env, client, "alice", PASSWORD)  # the old one works until then

    code = sent("alice@example.com")[0].code
    passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)
    sign_in(env, client, "alice", NEW)
    with pytest.raises(errors.NotAuthorized):
        sign_in(env, client, "alice", PASSWORD)
    with pytest.raises(errors.ExpiredCode):
        passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)


def test_a_new_password_ends_browser_sessions_and_the_lock(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    granted = flow.begin(
        env, client, flow="HOSTED_PAGES", given={"USERNAME": "alice", "PASSWORD": PASSWORD}, origin=Origin()
    )
    assert isinstance(granted, flow.Granted)
    token = browser.open_session(env, granted)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized):
            sign_in(env, client, "alice", "wrong")
    with pytest.raises(errors.LockedOut):
        sign_in(env, client, "alice", PASSWORD)
    passwords.forgot(env, client, username="alice", origin=Origin())
    passwords.confirm_forgot(env, client, username="alice", code=sent("alice@example.com")[0].code, password=NEW)
    assert browser.recognise(env, client.pool, token) is None
    sign_in(env, client, "alice", NEW)


def test_a_weak_password_does_not_use_the_code_up(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    passwords.forgot(env, client, username="alice", origin=Origin())
    code = sent("alice@example.com")[0].code
    with pytest.raises(errors.InvalidPassword):
        passwords.confirm_forgot(env, client, username="alice", code=code, password="short")
    passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)


def test_a_code_lives_an_hour_and_is_not_a_sign_up_code(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    passwords.forgot(env, client, username="alice", origin=Origin())
    code = sent("alice@example.com")[0].code
    clock.forward(hours=1)
    with pytest.raises(errors.ExpiredCode):
        passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)


@pytest.mark.parametrize(
    ("user", "refusal", "sentence"),
    [
        ({"status": "FORCE_CHANGE_PASSWORD"}, errors.NotAuthorized, "User password cannot be reset"),
        ({"email": None}, errors.InvalidParameter, "no registered/verified email or phone_number"),
        ({"enabled": False}, errors.UserDisabled, "User is disabled."),
        (None, errors.UserNotFound, "Username/client id combination not found."),
    ],
)
def test_who_cannot_reset_is_told_only_where_the_client_may_know(
    env: Env, sent: Sent, user: dict[str, Any] | None, refusal: type[errors.Refusal], sentence: str
) -> None:
    pool = a_pool(env)
    open_client, hiding = a_client(env, pool), a_client(env, pool, prevent_user_existence_errors="ENABLED")
    if user is not None:
        sub = a_user(env, pool, **{name: value for name, value in user.items() if name != "enabled"}).sub
        with env.transaction():
            env.db.get_one(User, sub).enabled = user.get("enabled", True)
    with pytest.raises(refusal, match=sentence):
        passwords.forgot(env, open_client, username="alice", origin=Origin())
    if refusal is not errors.NotAuthorized:
        assert passwords.forgot(env, hiding, username="alice", origin=Origin()).medium == "EMAIL"
    assert sent() == []


def test_an_unknown_name_is_refused_like_a_wrong_code(env: Env) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    a_user(env, client.pool)
    for name in ("alice", "nobody"):
        with pytest.raises(errors.ExpiredCode):
            passwords.confirm_forgot(env, client, username=name, code="123456", password=NEW)


def test_only_an_administrator_helps_where_the_pool_says_so(env: Env) -> None:
    pool = a_pool(env, account_recovery_setting={"recovery_mechanisms": [{"name": "admin_only", "priority": 1}]})
    with pytest.raises(errors.NotAuthorized, match="Contact administrator to reset password."):
        passwords.forgot(env, a_client(env, pool), username="alice", origin=Origin())


def test_an_administrator_sets_a_permanent_or_a_temporary_password(env: Env, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool, status="UNCONFIRMED")
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=True)
    assert isinstance(sign_in(env, client, "alice", NEW), flow.Granted)

    passwords.set_by_administrator(env, client.pool, username="alice", password=PASSWORD, permanent=False)
    step = sign_in(env, client, "alice", PASSWORD)
    assert isinstance(step, flow.Ask) and step.challenge == "NEW_PASSWORD_REQUIRED"
    clock.forward(days=7)
    with pytest.raises(errors.TemporaryPasswordExpired):
        sign_in(env, client, "alice", PASSWORD)


def test_the_verifier_is_sealed(env: Env) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    found = find.by_name(env, client.pool, "alice")
    assert found and found.password
    assert found.password.srp_verifier.startswith("v1.")
    with env.reading() as session:
        assert session.get_one(Password, user.sub).hash.startswith("$argon2id$")
        assert session.scalars(select(BrowserSession)).all() == []


def test_an_address_that_somebody_else_proved_meanwhile_stays_his(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    alice = a_user(env, client.pool)
    passwords.forgot(env, client, username="alice", origin=Origin())
    code = sent("alice@example.com")[0].code
    with env.transaction():
        env.db.get_one(User, alice.sub).email_verified = False
        attributes.claim_names(env, client.pool, env.db.get_one(User, alice.sub))
    bob = a_user(env, client.pool, "bob")
    passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)
    sign_in(env, client, "alice", NEW)
    found = find.by_name(env, client.pool, "alice@example.com")
    assert found and found.user.sub == bob.sub
