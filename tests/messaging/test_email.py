"""Mail leaves over SMTP, whole and to one address, or the person who waits for it is told."""

import email
import email.policy
import logging
import smtplib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app import errors
from app.config import Settings
from app.env import Message
from app.messaging import email as sending
from app.messaging.email import Nowhere, Smtp
from tests.messaging import mail_server
from tests.messaging.mail_server import MailServer

CODE = "483920"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server.running() as running:
        yield running


def sender(server: MailServer | int, **other: Any) -> Smtp:
    port = server if isinstance(server, int) else server.port
    given = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_tls": "none", "smtp_from": "no-reply@example.com"}
    return Smtp(Settings(**(given | other)))


def a_message(to: str = "alice@example.com", subject: str = "Your code", body: str = f"It is {CODE}.") -> Message:
    return Message(to=to, channel="email", purpose="sign_up", subject=subject, body=body, code=CODE)


def parsed(server: MailServer) -> Any:
    (letter,) = server.letters
    return email.message_from_bytes(letter.content, policy=email.policy.default)


def test_a_message_arrives_as_it_was_written(server: MailServer) -> None:
    sender(server).send(a_message(subject="Grüße: {####}", body="Código 483920 — ✓\n.\nA line that begins with a dot"))
    (letter,) = server.letters
    mail = parsed(server)
    assert letter.recipients == ["alice@example.com"]
    assert letter.sender.startswith("<no-reply@example.com>")
    assert (mail["To"], mail["From"], mail["Subject"]) == ("alice@example.com", "no-reply@example.com", "Grüße: {####}")
    assert "Código 483920 — ✓" in mail.get_content()
    assert mail["Date"] and mail["Message-ID"].endswith("@example.com>")


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.com\r\nBcc: everybody@example.com",
        "alice@example.com\nRCPT TO:<everybody@example.com>",
        "alice@example.com\rX: y",
        "alice@example.com, mallory@example.com",
        "alice@example.com;mallory@example.com",
        "Alice <alice@example.com>, <mallory@example.com>",
        "alice@example.com> NOTIFY=SUCCESS <x@example.com",
        "group: alice@example.com, mallory@example.com;",
        "",
        "@",
        "alice",
        "\x00",
        "alice@example.com\x00",
        '"',
        "alice@[",
        "=?utf-8?q?alice=40example.com=0D=0ABcc:x?=",
    ],
)
def test_an_address_reaches_nobody_but_itself(server: MailServer, address: str) -> None:
    with pytest.raises(errors.CodeDeliveryFailure):
        sender(server).send(a_message(to=address))
    assert server.letters == []
    assert not any("mallory" in command or "everybody" in command for command in server.commands)


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: everybody@example.com", "Hello\n\nAnother body", "Hello\rX: y"])
def test_a_subject_adds_no_header(server: MailServer, subject: str) -> None:
    """Pools have their own subjects, so a tenant writes them. It is one line of the mail, whatever was in it: a pool
    whose subject has a line break still sends."""
    sender(server).send(a_message(subject=subject))
    mail = parsed(server)
    assert mail["Subject"] == " ".join(subject.split())
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    }
    assert server.letters[0].recipients == ["alice@example.com"]
    assert mail.get_content().strip() == f"It is {CODE}."


@pytest.mark.parametrize(
    "refuse",
    [
        {"CONNECT": "421 busy"},
        {"CONNECT": "hang up"},
        {"EHLO": "hang up"},
        {"MAIL": f"550 not you, {CODE}"},
        {"RCPT": f"550 unknown: {CODE}"},
        {"DATA": "451 later"},
        {"DATA": "hang up"},
    ],
)
def test_a_server_that_refuses_is_told_to_the_caller_without_the_code(
    refuse: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server.running(refuse=refuse) as server, caplog.at_level(logging.DEBUG):
        with pytest.raises(errors.CodeDeliveryFailure, match="could not be delivered; try again later") as refused:
            sender(server).send(a_message())
    assert refused.value.__cause__ is None and refused.value.__suppress_context__
    assert "mail for sign_up could not be sent" in caplog.text
    assert CODE not in caplog.text and "alice" not in caplog.text


def test_a_server_that_is_not_there_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(errors.CodeDeliveryFailure):
            sender(free.getsockname()[1]).send(a_message())
    assert "ConnectionRefusedError" in caplog.text and CODE not in caplog.text


def test_nothing_is_sent_in_clear_where_encryption_was_asked_for(server: MailServer) -> None:
    """Whoever sits between could take STARTTLS out of what the server offers."""
    for tls in ("starttls", "tls"):
        with pytest.raises(errors.CodeDeliveryFailure):
            sender(server, smtp_tls=tls, smtp_username="mailer", smtp_password="hunter2").send(a_message())
    assert server.letters == []
    assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)


def test_an_account_signs_in_and_a_wrong_password_stays_secret(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server.running() as server, caplog.at_level(logging.DEBUG):
        sender(server, smtp_username="mailer", smtp_password="hunter2").send(a_message())
        assert any(command.startswith("AUTH ") for command in server.commands)
        assert len(server.letters) == 1
        server.refuse["AUTH"] = "535 wrong"
        with pytest.raises(errors.CodeDeliveryFailure):
            sender(server, smtp_username="mailer", smtp_password="hunter2").send(a_message())
    assert "SMTPAuthenticationError" in caplog.text and "hunter2" not in caplog.text


def test_an_address_with_letters_of_the_world_needs_a_server_that_knows_them() -> None:
    with mail_server.running() as server:
        sender(server).send(a_message(to="josé@example.com"))
        assert server.letters[0].recipients == ["josé@example.com"]
    with mail_server.running(offers=()) as old:
        with pytest.raises(errors.CodeDeliveryFailure):
            sender(old).send(a_message(to="josé@example.com"))
        assert old.letters == []


def test_where_no_mail_server_is_configured_nothing_is_lost_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(errors.CodeDeliveryFailure, match="E-mail cannot be sent: set COGNATE_SMTP_HOST."):
        Nowhere("E-mail", "set COGNATE_SMTP_HOST.").send(a_message())
    assert "E-mail cannot be sent" in caplog.text and CODE not in caplog.text and "alice" not in caplog.text


def test_a_mail_in_html_can_also_be_read_without_it(server: MailServer) -> None:
    message = Message(
        to="alice@example.com",
        channel="email",
        purpose="invitation",
        subject="Welcome",
        body="<p>You are <b>&lt;alice&gt;</b>.</p>",
        html=True,
    )
    sender(server).send(message)
    mail = parsed(server)
    assert mail.get_body(("html",)).get_content().strip() == "<p>You are <b>&lt;alice&gt;</b>.</p>"
    assert mail.get_body(("plain",)).get_content().strip() == "You are <alice>."


def test_a_pool_says_whom_its_mails_come_from_and_where_answers_go(server: MailServer) -> None:
    message = replace(a_message(), sender="Grüße <hello@pool.example>", reply_to="help@pool.example")
    sender(server).send(message)
    mail = parsed(server)
    assert (mail["From"], mail["Reply-To"]) == ("Grüße <hello@pool.example>", "help@pool.example")
    assert mail["Message-ID"].endswith("@pool.example>")
    (letter,) = server.letters
    assert letter.sender.startswith("<hello@pool.example>")


@pytest.mark.parametrize(
    "headers",
    [
        {"sender": "a@example.com\r\nBcc: everybody@example.com"},
        {"sender": "a@example.com, b@example.com"},
        {"reply_to": "a@example.com\r\nBcc: everybody@example.com"},
    ],
)
def test_a_sender_that_is_none_sends_nothing(server: MailServer, headers: dict[str, str]) -> None:
    with pytest.raises(errors.CodeDeliveryFailure):
        sender(server).send(replace(a_message(), **headers))
    assert server.letters == []


def test_a_server_that_says_nothing_holds_up_two_requests_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "WAIT", 0.001)
    release, connecting = threading.Event(), threading.Semaphore(0)

    def says_nothing() -> smtplib.SMTP:
        connecting.release()
        release.wait(60)
        raise TimeoutError

    slow = Smtp(Settings(mode="development", smtp_host="mail.test"), says_nothing)

    def fail() -> None:
        with pytest.raises(errors.CodeDeliveryFailure):
            slow.send(a_message())

    stuck = [threading.Thread(target=fail) for _ in range(sending.AT_ONCE)]
    for thread in stuck:
        thread.start()
    for _ in stuck:
        assert connecting.acquire(timeout=60)
    fail()
    assert not connecting.acquire(blocking=False), "it has not even tried"
    release.set()
    for thread in stuck:
        thread.join(60)
    fail()
    assert connecting.acquire(timeout=60), "and there is a turn again"
