"""Someone signs himself up."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import find, passwords, sign_up
from app.env import Env, Message, Origin
from app.models import Code, Password, User
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[Any]]


def register(env: Env, client: Any, username: str = "bob", email: str = "bob@example.com", **other: str) -> Any:
    return sign_up.sign_up(
        env,
        client,
        username=username,
        password=other.pop("password", PASSWORD),
        attributes={"email": email, **other} if email else other,
        origin=Origin(),
    )


def test_a_code_is_sent_and_confirms_the_user_and_his_address(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    done = register(env, client)
    assert done.user.status == "UNCONFIRMED"
    assert done.delivery.destination == "b***@e***"
    (message,) = sent("bob@example.com")
    assert len(message.code) == 6
    assert message.code in message.body
    assert find.by_name(env, client.pool, "bob@example.com") is None

    sign_up.confirm(env, client, username="bob", code=message.code)
    found = find.by_name(env, client.pool, "bob@example.com")
    assert found and found.user.status == "CONFIRMED" and found.user.email_verified


def test_the_code_is_not_in_the_database(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    (message,) = sent("bob@example.com")
    with env.reading() as session:
        row = session.scalars(select(Code)).one()
    assert message.code not in (row.digest, row.destination)
    assert len(row.digest) == 43


def test_a_code_works_once(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    code = sent("bob@example.com")[0].code
    sign_up.confirm(env, client, username="bob", code=code)
    with pytest.raises(errors.AlreadyConfirmed, match="User cannot be confirmed. Current status is CONFIRMED"):
        sign_up.confirm(env, client, username="bob", code=code)


def test_five_wrong_guesses_end_a_code_and_a_new_one_replaces_it(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    code = sent("bob@example.com")[0].code
    wrong = f"{(int(code) + 1) % 1000000:06}"
    for _ in range(5):
        with pytest.raises(errors.CodeMismatch):
            sign_up.confirm(env, client, username="bob", code=wrong)
    with pytest.raises(errors.ExpiredCode):
        sign_up.confirm(env, client, username="bob", code=code)
    sign_up.resend(env, client, username="bob", origin=Origin())
    newer = sent("bob@example.com")[0].code
    sign_up.confirm(env, client, username="bob", code=newer)


def test_guesses_in_parallel_are_counted_like_guesses_in_a_row(app: Flask, env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    code = int(sent("bob@example.com")[0].code)

    def guess(n: int) -> type[Exception]:
        with app.app_context(), pytest.raises(errors.Refusal) as refused:
            sign_up.confirm(env, client, username="bob", code=f"{(code + 1 + n) % 1000000:06}")
        return refused.type

    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(guess, range(20)))
    assert seen.count(errors.CodeMismatch) == 5
    assert seen.count(errors.ExpiredCode) == 10
    assert seen.count(errors.TooOften) == 5
    with pytest.raises(errors.LimitExceeded):
        sign_up.confirm(env, client, username="bob", code=f"{code:06}")


def test_a_code_lives_a_day(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    clock.forward(hours=24)
    with pytest.raises(errors.ExpiredCode):
        sign_up.confirm(env, client, username="bob", code=sent("bob@example.com")[0].code)


def test_codes_are_sent_five_times_an_hour(env: Env, sent: Sent, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    for _ in range(5):
        sign_up.resend(env, client, username="bob", origin=Origin())
    with pytest.raises(errors.LimitExceeded, match="Attempt limit exceeded, please try after some time."):
        sign_up.resend(env, client, username="bob", origin=Origin())
    assert len(sent("bob@example.com")) == 6  # that of the sign-up is not one of the five
    clock.forward(hours=1)
    sign_up.resend(env, client, username="bob", origin=Origin())


def test_a_name_is_taken_once_whatever_its_spelling(env: Env) -> None:
    client = a_client(env, a_pool(env))
    register(env, client, "José", "one@example.com")
    with pytest.raises(errors.UsernameExists, match="User already exists"):
        register(env, client, "JOSE\u0301", "two@example.com")


def test_of_parallel_sign_ups_for_one_name_one_wins(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env))

    def attempt(n: int) -> bool:
        with app.app_context():
            try:
                register(env, client, "bob", f"bob{n}@example.com")
            except errors.UsernameExists:
                return False
            return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(12))) == 1
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1
        assert session.scalar(select(func.count()).select_from(Password)) == 1
        assert session.scalar(select(func.count()).select_from(Code)) == 1


def test_an_address_as_username_is_unique_at_once_and_the_username_is_the_sub(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env, alias_attributes=None, username_attributes=["email"]))
    done = register(env, client, "bob@example.com", "")
    assert done.user.username == done.user.sub
    assert done.user.email == "bob@example.com"
    with pytest.raises(errors.UsernameExists, match="An account with the given email already exists."):
        register(env, client, "BOB@example.com", "")
    with pytest.raises(errors.InvalidParameter, match="User email should be empty or same as username"):
        register(env, client, "x@example.com", "y@example.com")
    sign_up.confirm(env, client, username="bob@example.com", code=sent("bob@example.com")[0].code)


def test_who_proves_an_address_first_has_it(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    for name in ("ann", "ben"):
        register(env, client, name, "shared@example.com")
    second, first = sent("shared@example.com")
    sign_up.confirm(env, client, username="ann", code=first.code)
    with pytest.raises(errors.AliasExists, match="An account with the given email already exists."):
        sign_up.confirm(env, client, username="ben", code=second.code)
    sign_up.confirm(env, client, username="ben", code=second.code, force_alias=True)
    moved = find.by_name(env, client.pool, "shared@example.com")
    assert moved and moved.user.username == "ben"
    left = find.by_name(env, client.pool, "ann")
    assert left and left.user.email_verified is False


def test_changing_the_address_after_the_code_was_sent_does_not_verify_the_new_one(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    with env.transaction():
        env.db.scalars(select(User)).one().email = "victim@example.com"
    sign_up.confirm(env, client, username="bob", code=sent("bob@example.com")[0].code)
    assert find.by_name(env, client.pool, "victim@example.com") is None


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"password": "short"}, errors.InvalidPassword),
        ({"email": "not an address"}, errors.InvalidParameter),
        ({"email_verified": "true"}, errors.NotAuthorized),
        ({"custom:nope": "x"}, errors.InvalidParameter),
        ({"username": "bob@example.com"}, errors.InvalidParameter),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    env: Env, sent: Sent, change: dict[str, str], refusal: type[errors.Refusal]
) -> None:
    client = a_client(env, a_pool(env))
    with pytest.raises(refusal):
        register(env, client, **change)
    assert sent() == []
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0


def test_a_closed_pool_refuses_before_anything_else(env: Env) -> None:
    pool = a_pool(env, admin_create_user_config={"allow_admin_create_user_only": True})
    with pytest.raises(errors.SignUpClosed, match="SignUp is not permitted for this user pool"):
        register(env, a_client(env, pool), password="x")


def test_a_mail_that_cannot_leave_is_said_and_the_user_can_ask_for_another(app: Flask, env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))

    class Broken:
        def send(self, message: Message) -> None:
            raise errors.CodeDeliveryFailure

    from dataclasses import replace

    with pytest.raises(errors.CodeDeliveryFailure):
        register(replace(env, mail=Broken()), client)
    sign_up.resend(env, client, username="bob", origin=Origin())
    sign_up.confirm(env, client, username="bob", code=sent("bob@example.com")[0].code)


def test_hidden_users_cannot_be_told_apart_by_resend_or_confirm(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    a_user(env, client.pool, "known", email="known@example.com")
    answers = {
        name: sign_up.resend(env, client, username=name, origin=Origin())
        for name in ("known@example.com", "nobody@example.com")
    }
    assert answers["known@example.com"].destination == "k***@e***"
    assert answers["nobody@example.com"].destination == "n***@e***"
    assert sent() == []
    for name in ("known", "nobody"):
        with pytest.raises(errors.CodeMismatch):
            sign_up.confirm(env, client, username=name, code="123456")
    first = sign_up.resend(env, client, username="nobody", origin=Origin())
    assert first == sign_up.resend(env, client, username="nobody", origin=Origin())


def test_a_client_that_may_know_is_told(env: Env) -> None:
    client = a_client(env, a_pool(env))
    with pytest.raises(errors.UserNotFound, match="Username/client id combination not found."):
        sign_up.resend(env, client, username="nobody", origin=Origin())
    with pytest.raises(errors.UserNotFound, match="User does not exist."):
        sign_up.confirm(env, client, username="nobody", code="123456")
    a_user(env, client.pool)
    with pytest.raises(errors.InvalidParameter, match="User is already confirmed."):
        sign_up.resend(env, client, username="alice", origin=Origin())


def test_where_a_trigger_would_have_a_say_nothing_happens_without_it(env: Env, sent: Sent) -> None:
    """It may be there to turn people away; it cannot be asked in this version (app/policy/unbuilt.py)."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:check"
    client = a_client(env, a_pool(env, lambda_config={"pre_sign_up": arn}))
    with pytest.raises(errors.UnexpectedLambda, match="PreSignUp invocation failed"):
        register(env, client)
    client = a_client(env, a_pool(env, lambda_config={"post_confirmation": arn}))
    register(env, client)
    with pytest.raises(errors.UnexpectedLambda, match="PostConfirmation invocation failed"):
        sign_up.confirm(env, client, username="bob", code=sent("bob@example.com")[0].code)
    with pytest.raises(errors.UnexpectedLambda):
        sign_up.confirm_by_administrator(env, client.pool, username="bob")
    with pytest.raises(errors.UnexpectedLambda):
        passwords.confirm_forgot(env, client, username="bob", code="123456", password=PASSWORD)
    assert find.existing(env, client.pool, "bob").user.status == "UNCONFIRMED"


def test_a_right_code_in_parallel_confirms_once(app: Flask, env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env))
    register(env, client)
    code = sent("bob@example.com")[0].code

    def confirm(_: int) -> bool:
        with app.app_context():
            try:
                sign_up.confirm(env, client, username="bob", code=code)
            except errors.AlreadyConfirmed:
                return False
            return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(confirm, range(6))) == 1
