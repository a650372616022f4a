"""The lines of the access log, and who would like to write some himself."""

from __future__ import annotations

import errno
import json
import re
import sys
import threading
from io import StringIO
from typing import Any

import pytest

from app import access_log
from app.access_log import Journal
from app.facts import Facts

ID = "e543f11e-6b0d-4992-a9f3-ce912a2f7390"


def over(**known: Any) -> Facts:
    """A request that is over."""
    facts = Facts(ID)
    of_all = {"method": "GET", "path": "/", "peer": "::1", "status": "404", "seconds": 0.0123, "ended": 1772366400.5}
    for name, value in {**of_all, **known}.items():
        setattr(facts, name, value)
    return facts


def written(form: str, capsys: pytest.CaptureFixture[str], facts: Facts) -> str:
    journal = Journal(form)
    journal.add(facts)
    journal.close()
    (line,) = capsys.readouterr().err.splitlines()
    return line


class Told(StringIO):
    """A file that says when something was written."""

    def __init__(self, written: threading.Event) -> None:
        super().__init__()
        self._written = written

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)


STRANGE = [
    ("/login", "/login"),
    ("/caf\u00e9", "/caf\u00e9"),
    ("/a\n2026-03-01 192.0.2.1 GET /login 200", "/a\\n2026-03-01%20192.0.2.1%20GET%20/login%20200"),
    ("/a 200 0.1 ms peer=192.0.2.1 outcome=", "/a%20200%200.1%20ms%20peer=192.0.2.1%20outcome="),
    ("/" + "a" * 60_000, "/" + "a" * 499 + "..."),
    ("/a\r\x1b[2J\x00", "/a\\r\\x1b[2J\\x00"),
    ("/a\u202etxt\u2028b\udc80", "/a\\u202etxt\\u2028b\\udc80"),
]


@pytest.mark.parametrize(("path", "shown"), STRANGE)
def test_a_request_has_one_line_whatever_it_asks_for(capsys: pytest.CaptureFixture[str], path: str, shown: str) -> None:
    line = written("text", capsys, over(path=path))
    assert re.fullmatch(r"[-\d]+ [:\d]+,500 INFO (.*)", line)
    assert line[24:] == f"INFO [{ID}] cognate.access: GET {shown} 404 12.3 ms peer=::1"


@pytest.mark.parametrize(("path", "shown"), STRANGE)
def test_it_has_one_object_whatever_it_asks_for(capsys: pytest.CaptureFixture[str], path: str, shown: str) -> None:
    assert json.loads(written("json", capsys, over(path=path)))["path"] == shown


def test_a_method_is_one_short_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(written("json", capsys, over(method="A" * 3000)))["method"] == "A" * 20 + "..."


def test_lines_are_written_again_after_a_disk_was_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def write(self, text: str) -> int:
            failed.set()
            raise OSError(errno.ENOSPC, "no space")

    failed, journal = threading.Event(), Journal("text")
    monkeypatch.setattr(access_log, "EVERY", 0.001)
    with monkeypatch.context() as full:
        full.setattr(sys, "stderr", Full())
        journal.add(over(path="/lost"))
        assert failed.wait(timeout=60)
    written_later = threading.Event()
    with monkeypatch.context() as again:
        again.setattr(sys, "stderr", Told(written_later))
        journal.add(over(path="/kept"))
        assert written_later.wait(timeout=60)
    journal.close()


def test_the_line_has_what_the_doors_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    facts = over(door="oauth", operation="token", pool="us-east-1_a", client="c", outcome="invalid_grant", trace_id="t")
    line = written("text", capsys, facts)
    assert line.endswith(" peer=::1 door=oauth operation=token pool=us-east-1_a client=c outcome=invalid_grant trace=t")
    assert json.loads(written("json", capsys, facts)) == {
        "time": "2026-03-01T12:00:00.500Z",
        "level": "INFO",
        "logger": "cognate.access",
        "request_id": ID,
        "trace_id": "t",
        "peer": "::1",
        "method": "GET",
        "path": "/",
        "status": 404,
        "duration_ms": 12.3,
        "door": "oauth",
        "operation": "token",
        "pool": "us-east-1_a",
        "client": "c",
        "outcome": "invalid_grant",
    }
