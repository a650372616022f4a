"""Mail servers that refuse, and a test message."""

from typing import Any

import pytest

from app.config import Settings
from app.doctor import mail
from app.doctor.finding import ADVICE, FINE, PROBLEM, Finding
from app.doctor.subject import Subject
from tests.conftest import START
from tests.messaging import mail_server
from tests.messaging.mail_server import MailServer
from tests.ports import free_port

PASSWORD = "a-secret-of-the-mail-account"
TO = "admin@example.com"


def examined(port: int, send_to: str | None = None, **more: Any) -> list[Finding]:
    given = {"smtp_tls": "none", "smtp_from": "no-reply@example.com", "smtp_host": "127.0.0.1", **more}
    settings = Settings(smtp_port=port, **given)
    found = mail.check(Subject(settings, lambda: START, send_to=send_to))
    assert PASSWORD not in str(found)
    return found


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in found]


WITH_ACCOUNT = {"smtp_username": "cognate", "smtp_password": PASSWORD}


def test_a_server_that_takes_the_account_is_sent_nothing() -> None:
    with mail_server.running() as server:
        assert told(examined(server.port, **WITH_ACCOUNT)) == [("mail", FINE)]
    assert [line.split()[0].upper() for line in server.commands] == ["EHLO", "AUTH", "NOOP", "QUIT"]


def test_a_test_message_is_sent_where_that_was_asked_for() -> None:
    with mail_server.running() as server:
        assert told(examined(server.port, TO)) == [("mail", FINE), ("sending", FINE)]
    (letter,) = server.letters
    assert letter.recipients == [TO] and b"cognate doctor" in letter.content


@pytest.mark.parametrize(
    ("behaviour", "settings", "what"),
    [
        ({"refuse": {"AUTH": f"535 {PASSWORD} is wrong"}}, WITH_ACCOUNT, "refuses the account cognate (535)"),
        ({"refuse": {"CONNECT": "554 go away"}}, {}, "cannot be used: SMTPConnectError"),
        ({"refuse": {"CONNECT": "hang up"}}, {}, "cannot be used: SMTPServerDisconnected"),
        ({"offers": ()}, WITH_ACCOUNT, "offers no STARTTLS, or no authentication"),
        ({}, {"smtp_tls": "starttls"}, "offers no STARTTLS, or no authentication"),
    ],
)
def test_a_server_that_refuses(behaviour: dict[str, Any], settings: dict[str, Any], what: str) -> None:
    with mail_server.running(**behaviour) as server:
        (found,) = examined(server.port, **settings)
    assert (found.name, found.state) == ("mail", PROBLEM)
    assert what in found.what and found.fix


def test_a_server_that_takes_no_message() -> None:
    with mail_server.running(refuse={"RCPT": "550 nobody here"}) as server:
        assert told(examined(server.port, TO)) == [("mail", FINE), ("sending", PROBLEM)]


def test_nobody_listens() -> None:
    (found,) = examined(free_port())
    assert found.state == PROBLEM and "Connection refused" in found.what


def test_a_sender_that_nobody_takes() -> None:
    with mail_server.running() as server:
        assert ("sender", PROBLEM) in told(examined(server.port, smtp_from="no-reply@localhost"))


def test_without_a_server_production_is_advised_to_have_one() -> None:
    assert told(mail.check(Subject(Settings(), lambda: START))) == [("mail", ADVICE)]
    assert told(mail.check(Subject(Settings(mode="development"), lambda: START))) == [("mail", FINE)]


def test_what_the_server_is_called_is_in_the_finding() -> None:
    with mail_server.running() as server:
        assert isinstance(server, MailServer) and f"127.0.0.1:{server.port}" in examined(server.port)[0].what
