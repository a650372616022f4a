"""A password is forgotten, or set by an administrator."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update

from app import errors
from app.accounts import attributes, credentials, find, passwords
from app.env import Env, Origin
from app.models import BrowserSession, FormerPassword, Password, User
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
    assert passwords.forgot(env, hiding, username="alice", origin=Origin()).medium == "EMAIL"
    assert sent() == []


def test_an_unknown_name_is_refused_like_a_wrong_code(env: Env) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    a_user(env, client.pool)
    for name in ("alice", "nobody"):
        with pytest.raises(errors.CodeMismatch):
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


# -- ChangePassword --------------------------------------------------------------------------------------------


def change(env: Env, client: Any, previous: str | None, proposed: str, name: str = "alice") -> None:
    user = find.existing(env, client.pool, name).user
    passwords.change(env, client, user, previous=previous, proposed=proposed)


def test_who_knows_his_password_changes_it(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    change(env, client, PASSWORD, NEW)
    sign_in(env, client, "alice", NEW)
    with pytest.raises(errors.NotAuthorized):
        sign_in(env, client, "alice", PASSWORD)


def test_a_change_ends_attempts_under_way_browser_sessions_and_codes(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    granted = flow.begin(
        env, client, flow="HOSTED_PAGES", given={"USERNAME": "alice", "PASSWORD": PASSWORD}, origin=Origin()
    )
    assert isinstance(granted, flow.Granted)
    token = browser.open_session(env, granted)
    passwords.forgot(env, client, username="alice", origin=Origin())
    change(env, client, PASSWORD, NEW)
    assert browser.recognise(env, client.pool, token) is None
    code = sent("alice@example.com")[0].code
    with pytest.raises(errors.ExpiredCode):
        passwords.confirm_forgot(env, client, username="alice", code=code, password="Third-horse-9")
    with pytest.raises(errors.NotAuthorized):  # the grant rests on the password before
        browser.open_session(env, granted)


def test_the_old_password_is_found_by_nobody_who_tries(env: Env, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
            change(env, client, "wrong", NEW)
    with pytest.raises(errors.LimitExceeded, match="Attempt limit exceeded, please try after some time."):
        change(env, client, PASSWORD, NEW)
    sign_in(env, client, "alice", PASSWORD)
    clock.forward(hours=1)
    change(env, client, PASSWORD, NEW)


def test_of_twenty_guesses_at_once_five_are_answered(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    start = threading.Barrier(20)

    def guess(number: int) -> type[Exception]:
        with app.app_context():
            start.wait()
            with pytest.raises(errors.Refusal) as refused:
                passwords.change(env, client, user, previous=f"guess {number}", proposed=NEW)
            return refused.type

    with ThreadPoolExecutor(20) as threads:
        seen = list(threads.map(guess, range(20)))
    assert (seen.count(errors.NotAuthorized), seen.count(errors.TooOften)) == (5, 15)


def test_of_two_changes_at_once_one_succeeds(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    start = threading.Barrier(4)

    def one(number: int) -> str | None:
        chosen = f"Chosen-horse-{number}"
        with app.app_context():
            start.wait()
            try:
                passwords.change(env, client, user, previous=PASSWORD, proposed=chosen)
            except errors.NotAuthorized:
                return None
            return chosen

    with ThreadPoolExecutor(4) as threads:
        (chosen,) = [found for found in threads.map(one, range(4)) if found]
    sign_in(env, client, "alice", chosen)


def test_what_is_said_of_a_weak_password_costs_no_try(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    for _ in range(6):
        with pytest.raises(errors.InvalidPassword):
            change(env, client, PASSWORD, "short")
    change(env, client, PASSWORD, NEW)


def test_only_who_has_no_password_need_not_show_it(env: Env) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    with pytest.raises(errors.InvalidParameter, match="Missing required parameter PreviousPassword"):
        change(env, client, None, NEW)
    with env.transaction():
        env.db.execute(delete(Password).where(Password.user_sub == user.sub))
    with pytest.raises(errors.NotAuthorized):
        change(env, client, PASSWORD, NEW)
    change(env, client, None, NEW)
    sign_in(env, client, "alice", NEW)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"enabled": False}, errors.UserDisabled),
        ({"status": "RESET_REQUIRED"}, errors.PasswordResetRequired),
        ({"status": "UNCONFIRMED"}, errors.UserNotConfirmed),
        ({"status": "FORCE_CHANGE_PASSWORD"}, errors.NotAuthorized),
        ({"status": "EXTERNAL_PROVIDER"}, errors.NotAuthorized),
    ],
)
def test_a_token_of_before_does_not_change_the_password_in_every_state(
    env: Env, values: dict[str, Any], refusal: type[errors.Refusal]
) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(values))
    with pytest.raises(refusal) as refused:
        passwords.change(env, client, user, previous=PASSWORD, proposed=NEW)
    assert refused.type is refusal


# -- AdminResetUserPassword ------------------------------------------------------------------------------------


def test_a_password_that_was_reset_is_replaced_by_its_owner(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    assert passwords.reset_by_administrator(env, client.pool, username="alice").destination == "a***@e***"
    with pytest.raises(errors.PasswordResetRequired, match="Password reset required for the user"):
        sign_in(env, client, "alice", PASSWORD)
    with pytest.raises(errors.NotAuthorized):  # who does not know it learns nothing of it
        sign_in(env, client, "alice", "wrong")
    code = sent("alice@example.com")[0].code
    passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)
    assert find.existing(env, client.pool, "alice").user.status == "CONFIRMED"
    sign_in(env, client, "alice", NEW)


def test_a_reset_is_not_one_of_the_tries_of_its_owner(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    for _ in range(21):
        passwords.reset_by_administrator(env, client.pool, username="alice")
    for _ in range(20):
        passwords.forgot(env, client, username="alice", origin=Origin())
    with pytest.raises(errors.LimitExceeded):
        passwords.forgot(env, client, username="alice", origin=Origin())
    passwords.reset_by_administrator(env, client.pool, username="alice")


@pytest.mark.parametrize(
    ("values", "refusal", "sentence"),
    [
        ({"enabled": False}, errors.UserDisabled, "User is disabled."),
        ({"email_verified": False}, errors.InvalidParameter, passwords.NO_ADDRESS),
        ({"status": "FORCE_CHANGE_PASSWORD"}, errors.NotAuthorized, "User password cannot be reset"),
        ({"status": "EXTERNAL_PROVIDER"}, errors.NotAuthorized, "User password cannot be reset"),
    ],
)
def test_states_in_which_nobody_resets_a_password(
    env: Env, sent: Sent, values: dict[str, Any], refusal: type[errors.Refusal], sentence: str
) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(values))
    with pytest.raises(refusal, match=sentence):
        passwords.reset_by_administrator(env, client.pool, username="alice")
    with pytest.raises(refusal, match=sentence):
        passwords.forgot(env, client, username="alice", origin=Origin())
    assert sent() == []
    assert find.existing(env, client.pool, "alice").user.status == values.get("status", "CONFIRMED")


def test_the_code_goes_by_the_channel_of_the_highest_priority_that_is_verified(env: Env, sent: Sent) -> None:
    mechanisms = [{"name": "verified_phone_number", "priority": 2}, {"name": "verified_email", "priority": 1}]
    client = a_client(env, a_pool(env, account_recovery_setting={"recovery_mechanisms": mechanisms}))
    proven = {"phone_number": "+15555550100", "phone_number_verified": "true"}
    a_user(env, client.pool, **proven)
    a_user(env, client.pool, "bob", email=None, **proven)
    assert passwords.forgot(env, client, username="alice", origin=Origin()).medium == "EMAIL"
    assert passwords.forgot(env, client, username="bob", origin=Origin()).medium == "SMS"
    legacy = a_client(env, a_pool(env))
    a_user(env, legacy.pool, **proven)
    assert passwords.forgot(env, legacy, username="alice", origin=Origin()).medium == "SMS"


# -- AdminSetUserPassword --------------------------------------------------------------------------------------


def test_a_user_of_an_identity_provider_becomes_one_of_the_pool(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool, status="EXTERNAL_PROVIDER")
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=True)
    assert find.existing(env, client.pool, "alice").user.status == "CONFIRMED"
    assert isinstance(sign_in(env, client, "alice", NEW), flow.Granted)


def test_a_password_that_is_set_makes_the_code_for_another_worthless(env: Env, sent: Sent) -> None:
    """Whoever asked for it may be the reason why an administrator sets one."""
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    passwords.forgot(env, client, username="alice", origin=Origin())
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=False)
    with pytest.raises(errors.ExpiredCode):
        passwords.confirm_forgot(
            env, client, username="alice", code=sent("alice@example.com")[0].code, password=PASSWORD
        )
    assert isinstance(sign_in(env, client, "alice", NEW), flow.Ask)


# -- the history -----------------------------------------------------------------------------------------------


def remembering(env: Env, size: int) -> Any:
    return a_client(env, a_pool(env, policies={"password_policy": {"password_history_size": size}}))


def set_to(env: Env, client: Any, password: str, clock: Clock) -> None:
    clock.forward(seconds=1)
    passwords.set_by_administrator(env, client.pool, username="alice", password=password, permanent=True)


@pytest.mark.parametrize(("size", "barred"), [(0, 0), (1, 1), (2, 2), (4, 4)])
def test_the_present_password_and_those_before_it_are_barred(env: Env, clock: Clock, size: int, barred: int) -> None:
    client = remembering(env, size)
    a_user(env, client.pool, password="Password-0")
    for number in range(1, 6):
        set_to(env, client, f"Password-{number}", clock)
    for number in range(6 - barred, 6):
        with pytest.raises(errors.PasswordHistoryPolicyViolation, match="Password has previously been used"):
            set_to(env, client, f"Password-{number}", clock)
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(FormerPassword)) == max(size - 1, 0)
    set_to(env, client, f"Password-{5 - barred}", clock)


def test_a_password_that_was_typed_otherwise_is_the_same(env: Env, clock: Clock) -> None:
    client = remembering(env, 1)
    a_user(env, client.pool)
    set_to(env, client, "Caf\u00e9-horse-7", clock)
    with pytest.raises(errors.PasswordHistoryPolicyViolation):
        set_to(env, client, "Cafe\u0301-horse-7", clock)


def test_the_history_is_looked_at_wherever_a_password_is_chosen(env: Env, sent: Sent, clock: Clock) -> None:
    client = remembering(env, 3)
    a_user(env, client.pool)
    with pytest.raises(errors.PasswordHistoryPolicyViolation):
        change(env, client, PASSWORD, PASSWORD)
    passwords.forgot(env, client, username="alice", origin=Origin())
    code = sent("alice@example.com")[0].code
    with pytest.raises(errors.PasswordHistoryPolicyViolation):
        passwords.confirm_forgot(env, client, username="alice", code=code, password=PASSWORD)
    clock.forward(seconds=1)
    passwords.confirm_forgot(env, client, username="alice", code=code, password=NEW)  # the code was not used up
    clock.forward(seconds=1)
    passwords.set_by_administrator(env, client.pool, username="alice", password="Temporary-1", permanent=False)
    step = sign_in(env, client, "alice", "Temporary-1")
    assert isinstance(step, flow.Ask)
    for barred in ("Temporary-1", NEW, PASSWORD):
        with pytest.raises(errors.PasswordHistoryPolicyViolation):
            answer_new_password(env, client, step.handle, barred)
    assert isinstance(answer_new_password(env, client, step.handle, "Third-horse-9"), flow.Granted)


def answer_new_password(env: Env, client: Any, session: str | None, password: str) -> flow.Step:
    return flow.answer(
        env,
        client,
        challenge="NEW_PASSWORD_REQUIRED",
        session=session,
        given={"NEW_PASSWORD": password, "USERNAME": "alice"},
        origin=Origin(),
    )


def test_which_passwords_somebody_had_is_not_found_out_by_asking_often(env: Env) -> None:
    client = remembering(env, 2)
    a_user(env, client.pool)
    for _ in range(5):
        with pytest.raises(errors.PasswordHistoryPolicyViolation):
            change(env, client, PASSWORD, PASSWORD)
    with pytest.raises(errors.LimitExceeded):
        change(env, client, PASSWORD, PASSWORD)


def test_the_history_is_compared_only_for_who_has_the_right_code(env: Env, sent: Sent) -> None:
    """Otherwise anybody could ask which passwords somebody had, and make the server hash."""
    client = remembering(env, 24)
    a_user(env, client.pool)
    passwords.forgot(env, client, username="alice", origin=Origin())
    wrong = f"{(int(sent('alice@example.com')[0].code) + 1) % 1_000_000:06}"
    with pytest.raises(errors.CodeMismatch):
        passwords.confirm_forgot(env, client, username="alice", code=wrong, password=PASSWORD)


def test_a_password_that_another_request_has_set_meanwhile_is_compared_too(env: Env) -> None:
    client = remembering(env, 2)
    user = a_user(env, client.pool)
    late = credentials.renew(env, client.pool, sub=user.sub, username="alice", password=NEW)
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=True)
    with pytest.raises(errors.TooManyRequests), env.transaction():
        passwords.replace(env, client.pool, env.db.get_one(User, user.sub), late)


def test_a_shorter_history_forgets(env: Env, clock: Clock) -> None:
    client = remembering(env, 5)
    user = a_user(env, client.pool)
    for number in range(4):
        set_to(env, client, f"Password-{number}", clock)
    prepared = credentials.prepare(env, client.pool, sub=user.sub, username="alice", password=NEW)
    with env.transaction():
        credentials.store(env, env.db.get_one(User, user.sub), replace(prepared, barred=0))
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(FormerPassword)) == 0
