"""The lines of the access log, and who would like to write some himself."""

import logging

import pytest

from app.access_log import Together


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/login", "/login"),
        ("/caf\u00e9", "/caf\u00e9"),
        ("/a\n2026-03-01 192.0.2.1 GET /login 200", "/a\\n2026-03-01 192.0.2.1 GET /login 200"),
        ("/a\r\x1b[2J\x00", "/a\\r\\x1b[2J\\x00"),
        ("/a\u202etxt\u2028b\udc80", "/a\\u202etxt\\u2028b\\udc80"),
    ],
)
def test_a_request_has_one_line_whatever_it_asks_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str, shown: str
) -> None:
    monkeypatch.setattr(Together, "_begin", lambda self: None)  # written by `close` alone
    log = Together()
    log.handle(logging.makeLogRecord({"msg": "%(addr)s GET %(path)s 404", "args": {"addr": "::1", "path": path}}))
    log.close()
    assert capsys.readouterr().err == f"::1 GET {shown} 404\n"
