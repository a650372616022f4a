"""The outbox of development."""

from typing import Any

import pytest
from flask import Flask

from app.env import Message
from tests.conftest import Clock
from tests.hosted.conftest import BASE, Visitor, a_place


@pytest.fixture(autouse=True)
def three_messages(app: Flask, clock: Clock) -> None:
    place = a_place(app)

    def send(env: Any) -> None:
        env.mail.send(
            Message("a+b@example.com", "email", "sign_up", "Code <b>", "Your code", "123456", None, place.pool.id)
        )
        clock.forward(seconds=1)
        env.sms.send(Message("+441632960018", "sms", "sign_up", "", "Code 2", "222222", None, place.pool.id))
        clock.forward(seconds=1)
        env.mail.send(
            Message("a+b@example.com", "email", "invitation", "Third", "<script>", None, "https://x.example/")
        )

    place.do(send)


def test_messages_are_listed_newest_first(visitor: Visitor) -> None:
    listed = visitor.http.get("/dev/outbox.json", base_url=BASE).json
    assert listed
    assert [message["subject"] for message in listed] == ["Third", "", "Code <b>"]
    assert list(listed[0]) == ["to", "channel", "purpose", "subject", "body", "code", "link", "pool_id", "sent_at"]
    assert listed[2]["sent_at"] == "2026-03-01T12:00:00Z"
    assert (listed[0]["code"], listed[0]["link"], listed[0]["pool_id"]) == (None, "https://x.example/", None)


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("a%2Bb@example.com", ["Third", "Code <b>"]),
        ("a+b@example.com", ["Third", "Code <b>"]),
        ("+441632960018", [""]),
        ("nobody@example.com", []),
        ("%00", []),
        ("", ["Third", "", "Code <b>"]),
    ],
)
def test_messages_to_one_address(visitor: Visitor, query: str, subjects: list[str]) -> None:
    listed = visitor.http.get(f"/dev/outbox.json?to={query}", base_url=BASE).json
    assert listed is not None
    if query != "%00":
        assert [message["subject"] for message in listed] == subjects
    page = visitor.open(f"/dev/outbox?to={query}")
    assert page.status == 200


def test_the_page_shows_them_as_text(visitor: Visitor) -> None:
    page = visitor.open("/dev/outbox")
    assert page.title == "Outbox"
    assert "123456" in page.text and "<script>" in page.text
    assert "<script></" not in page.html and "<script>\n" not in page.html
    assert page.response.headers["Cache-Control"] == "no-store"
    assert "Nothing was sent to" in visitor.open("/dev/outbox?to=<script>alert(1)</script>").text
    assert "<script>alert" not in visitor.page.html


@pytest.mark.parametrize("path", ["/dev/outbox", "/dev/outbox.json"])
@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("192.0.2.7", "localhost:8080"),
        ("", "localhost"),
        ("127.0.0.1", "evil.example"),
        ("127.0.0.1", "evil.example:8080"),
        ("127.0.0.1", "192.0.2.1"),
        ("127.0.0.1", "localhost.evil.example"),
    ],
)
def test_a_site_whose_name_leads_to_this_machine_does_not_read_it(
    visitor: Visitor, path: str, peer: str, host: str
) -> None:
    """DNS rebinding; and a neighbour in the network is told no codes either."""
    answer = visitor.http.get(path, headers={"Host": host}, environ_overrides={"REMOTE_ADDR": peer})
    assert answer.status_code == 403
    assert "123456" not in answer.text and "machine that the server runs on" in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "demo.localhost:8080", "127.0.0.1:9", "[::1]:8080"])
def test_a_browser_on_this_machine_reads_it(visitor: Visitor, host: str) -> None:
    answer = visitor.http.get("/dev/outbox.json", headers={"Host": host}, environ_overrides={"REMOTE_ADDR": "::1"})
    assert len(answer.json or []) == 3
