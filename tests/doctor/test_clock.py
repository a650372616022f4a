"""Clocks that are apart."""

import http.client
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from app.config import Settings
from app.doctor import clock
from app.doctor.clock import compared
from app.doctor.finding import ADVICE, FINE, PROBLEM, SKIPPED
from app.doctor.subject import Subject
from tests.conftest import START
from tests.ports import free_port


@pytest.mark.parametrize(
    ("ahead", "precision", "state"),
    [
        (0, 0, FINE),
        (1.9, 0, FINE),
        (2.5, 0, ADVICE),
        (-2.5, 0, ADVICE),
        (2.5, 1, FINE),
        (31, 0, PROBLEM),
        (-31, 0, PROBLEM),
        (30.5, 1, ADVICE),
    ],
)
def test_how_far_apart_clocks_may_be(ahead: float, precision: float, state: str) -> None:
    found = compared(ahead, "the database's", precision)
    assert found.state == state and bool(found.fix) == (state != FINE)


def test_which_way_is_told() -> None:
    assert "31 s ahead of the database's" in compared(31, "the database's", 0).what
    assert "31 s behind the database's" in compared(-31, "the database's", 0).what


def test_the_database_is_asked(subject: Subject) -> None:
    """PostgreSQL, which has the real time; the clock of a test stands still, months away from it."""
    (found,) = clock.check(subject)
    sqlite = subject.settings.database_url.startswith("sqlite")
    assert found.state == (FINE if sqlite else PROBLEM)
    real = replace(subject, now=lambda: datetime.now(UTC))
    assert PROBLEM not in [one.state for one in clock.check(real)]


def test_a_database_that_is_away_tells_no_time() -> None:
    url = f"postgresql+psycopg://cognate@127.0.0.1:{free_port()}/cognate"
    (found,) = clock.check(Subject(Settings(mode="development", database_url=url), lambda: START))
    assert found.state == SKIPPED


def asked(date: str | None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is found where a server on the Internet has this Date."""
    answer = SimpleNamespace(headers={"Date": date})
    monkeypatch.setattr(http.client.HTTPSConnection, "request", lambda *rest: None)
    monkeypatch.setattr(http.client.HTTPSConnection, "getresponse", lambda self: answer)
    subject = Subject(Settings(mode="development"), lambda: START, clock_url="https://time.example.com/")
    return [(one.name, one.state) for one in clock.check(subject)[1:]]


def test_a_web_server_is_asked_only_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(clock.check(Subject(Settings(mode="development"), lambda: START))) == 1
    right = format_datetime(START.astimezone(UTC), usegmt=True)
    wrong = format_datetime((START - timedelta(minutes=5)).astimezone(UTC), usegmt=True)
    assert asked(right, monkeypatch) == [("clock", FINE)]
    assert asked(wrong, monkeypatch) == [("clock", PROBLEM)]


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_web_server_that_does_not_tell(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(date, monkeypatch) == [("clock", PROBLEM)]


def test_a_web_server_that_is_not_there() -> None:
    url = f"https://127.0.0.1:{free_port()}/"
    _, found = clock.check(Subject(Settings(mode="development"), lambda: START, clock_url=url))
    assert found.state == PROBLEM and "does not tell the time" in found.what
