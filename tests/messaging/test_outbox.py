"""The outbox keeps what would have been sent, and is good enough to develop with."""

from collections.abc import Callable

import pytest
from flask import Flask

from app import errors
from app.accounts import sign_up
from app.config import Settings
from app.env import Env, Message, Origin
from app.messaging import outbox
from app.messaging.email import Nowhere, Smtp
from app.messaging.outbox import Outbox
from tests.build import PASSWORD, a_client, a_pool
from tests.conftest import Clock, test_settings


def send(env: Env, to: str, body: str = "Hello") -> None:
    env.mail.send(
        Message(to=to, channel="email", purpose="sign_up", subject="S", body=body, code="1", link="https://x")
    )


def test_a_message_of_a_pool_that_was_deleted_since_is_dropped(env: Env) -> None:
    env.mail.send(
        Message(to="a@example.com", channel="email", purpose="sign_up", subject="S", body="x", pool_id="us-east-1_gone")
    )
    assert outbox.kept(env) == []


def test_the_newest_comes_first_also_within_a_moment(env: Env, clock: Clock) -> None:
    for body in ("one", "two"):
        send(env, "a@example.com", body)
    clock.forward(seconds=1)
    send(env, "a@example.com", "three")
    found = outbox.kept(env, "a@example.com")
    assert [message.body for message in found] == ["three", "two", "one"]
    assert found[0].sent_at == clock.moment
    first = found[0]
    assert (first.channel, first.purpose, first.subject, first.code, first.link) == (
        "email",
        "sign_up",
        "S",
        "1",
        "https://x",
    )


def test_only_what_went_to_an_address_is_shown_for_it(env: Env) -> None:
    for to in ("a@example.com", "b@example.com", "A@example.com", "a@example.com.evil.test"):
        send(env, to)
    assert [message.to for message in outbox.kept(env, "a@example.com")] == ["a@example.com"]
    assert outbox.kept(env, "%") == [] and outbox.kept(env, "") == []
    assert len(outbox.kept(env)) == 4


def test_it_shows_a_hundred_at_most(env: Env) -> None:
    for n in range(105):
        send(env, "a@example.com", str(n))
    assert [message.body for message in outbox.kept(env)] == [str(n) for n in range(104, 4, -1)]
    assert len(outbox.kept(env, limit=3)) == 3


def test_a_message_goes_out_after_the_commit_and_not_with_it(env: Env) -> None:
    with pytest.raises(errors.InvalidParameter):
        with env.transaction():
            env.after_commit(lambda: send(env, "a@example.com"))
            raise errors.InvalidParameter
    assert outbox.kept(env) == []
    with env.transaction():
        env.after_commit(lambda: send(env, "a@example.com"))
    assert len(outbox.kept(env)) == 1


def test_only_development_has_an_outbox(database_url: str, another_app: Callable[..., Flask]) -> None:
    def senders(**given: object) -> tuple[type, type]:
        env: Env = another_app(test_settings(database_url, **given)).extensions["cognate"]
        return type(env.mail), type(env.sms)

    mail = {"smtp_host": "localhost"}
    assert senders() == (Outbox, Outbox)
    assert senders(**mail) == (Smtp, Outbox)
    assert senders(mode="production") == (Nowhere, Nowhere)
    assert senders(mode="production", **mail) == (Smtp, Nowhere)


def test_whoever_signs_up_where_no_mail_can_be_sent_is_told_and_exists(
    database_url: str, another_app: Callable[..., Flask]
) -> None:
    """He can ask for another code once the operator has mended it."""
    settings: Settings = test_settings(database_url, mode="production")
    app = another_app(settings)
    env: Env = app.extensions["cognate"]
    with app.app_context():
        client = a_client(env, a_pool(env))

        def register() -> None:
            sign_up.sign_up(
                env, client, username="bob", password=PASSWORD, attributes={"email": "b@example.com"}, origin=Origin()
            )

        with pytest.raises(errors.CodeDeliveryFailure):
            register()
        with pytest.raises(errors.UsernameExists):
            register()


def test_a_temporary_password_is_kept_however_long_it_is(env: Env) -> None:
    """An administrator may choose one of 256 characters; the invitation then failed on PostgreSQL."""
    password = "Aa1!" * 64
    env.mail.send(
        Message(to="a@example.com", channel="email", purpose="invitation", subject="S", body="x", code=password)
    )
    assert outbox.kept(env)[0].code == password
