"""The harness of faults: it notices what it has to, and the server holds what it promises while something breaks.

Only facts are held against the server here. What is about time depends on the machine, and is for `make chaos`.
"""

import json
import os
import re
import shutil
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.load import walk
from bench.site import Site
from chaos import command, report
from chaos.conversations import Acknowledged, Codes, Healthz, Witness, lost
from chaos.faults.surroundings import small_disk
from chaos.hostile import crowd, mail_server
from chaos.load import Asked, figures, load
from chaos.processes import until
from chaos.server import FEW, Seeds
from chaos.trial import DISTURBED, FAULTS, Claim, Fault, Finding, NotPossible, Trial, attempt

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".venv" / "bin" / "cognate"

slow = pytest.mark.slow


# -- figures and verdicts --------------------------------------------------------------------------------------


def test_figures_tell_what_was_refused_from_what_failed() -> None:
    found = figures(
        [
            Asked("a", 1, 0.010, "answered"),
            Asked("a", 2, 0.030, "answered"),
            Asked("a", 3, 5.0, "refused", "503"),
            Asked("b", 4, 9.0, "failed", "reset"),
        ]
    )
    assert (found.asked, found.answered, found.refused, found.failed) == (4, 2, 1, 1)
    assert (found.p50, found.p99, found.longest) == (10.0, 30.0, 9000.0)
    assert found.troubles == {"b: reset": 1}
    assert figures([]).p99 is None


def test_one_claim_that_does_not_hold_is_a_fail_and_so_is_none_at_all() -> None:
    held, broken = Claim("a", True), Claim("b", False, "2 of 3")
    assert Finding("x", "SQLite", claims=[held]).verdict == "PASS"
    assert Finding("x", "SQLite", claims=[held, broken]).verdict == "FAIL"
    assert Finding("x", "SQLite").verdict == "FAIL"
    assert Finding("x", "SQLite", not_possible="no root").verdict == "skipped"
    assert "NO  b (2 of 3)" in report.details(Finding("x", "SQLite", claims=[broken]))


def test_a_story_that_falls_is_a_fail(tmp_path: Path) -> None:
    def falls(trial: Trial) -> None:
        trial.claim("all was well until then", True)
        raise OSError("no more sockets")

    seeds = Seeds(PROGRAM, tmp_path, people=FEW)
    found = attempt(
        Fault("falls", falls, ("SQLite",)), "SQLite", program=PROGRAM, seeds=seeds, home=tmp_path, short=True
    )
    assert found.verdict == "FAIL" and "no more sockets" in report.details(found)


@pytest.mark.parametrize(("holds", "status"), [(True, 0), (False, 1)])
def test_the_command_prints_a_table_and_writes_json(
    holds: bool, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def story(trial: Trial) -> None:
        trial.claim("it holds", holds)

    monkeypatch.setitem(FAULTS, "invented", Fault("invented", story, ("SQLite",)))
    written = tmp_path / "chaos.json"
    assert command.main(["invented", "--json", str(written)]) == status
    verdict = "PASS" if holds else "FAIL"
    assert re.search(rf"^invented +SQLite +- +- +- +{verdict}$", capsys.readouterr().out, re.MULTILINE)
    (finding,) = json.loads(written.read_text())
    assert (finding["fault"], finding["verdict"]) == ("invented", verdict)


def test_what_is_not_possible_here_is_skipped_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def story(trial: Trial) -> None:
        raise NotPossible("that takes root")

    monkeypatch.setitem(FAULTS, "invented", Fault("invented", story, ("SQLite",)))
    assert command.main(["invented"]) == 0
    assert "skipped: that takes root" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["no-such-fault"], ["--server", "/nowhere"], ["--soak", "kill-worker"]])
def test_the_command_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2


def test_the_document_describes_every_fault_and_no_other() -> None:
    rows = [line for line in (ROOT / "docs/chaos.md").read_text().splitlines() if line.startswith("| `")]
    described = [name for line in rows for name in re.findall(r"`([a-z-]+)`", line.split("|")[1])]
    assert described == list(FAULTS)


# -- the load --------------------------------------------------------------------------------------------------

ANSWERS = {
    "well": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "refuses": b"HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    "refuses without a time": b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
    "breaks": b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
    "cuts": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
}


class Stub:
    """A server whose answers the test chooses."""

    def __init__(self, listener: socket.socket) -> None:
        self.says: bytes | None = ANSWERS["well"]
        self._listener = listener
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                if self.says is not None:
                    connection.sendall(self.says)
                    if self.says == ANSWERS["cuts"]:
                        return


@contextmanager
def stub() -> Iterator[tuple[Stub, Site]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        yield Stub(listener), Site(address, "", {}, {}, {"base_url": f"http://localhost:{address[1]}"})
        listener.shutdown(socket.SHUT_RDWR)


@slow
def test_the_load_tells_how_each_request_went_and_when_all_is_well_again() -> None:
    expected = {
        "well": ("answered", ""),
        "refuses": ("refused", "503"),
        "refuses without a time": ("failed", "status 503"),
        "breaks": ("failed", "status 500"),
        "cuts": ("failed", "closed in the middle"),
    }
    with stub() as (server, site), load(site.address, [(Healthz(site), 50)], patience=1.0) as asking:

        def comes(outcome: str, detail: str) -> bool:
            return until(lambda: any(one.outcome == outcome and detail in one.detail for one in tuple(asking.asked)))

        for name, (outcome, detail) in expected.items():
            server.says = ANSWERS[name]
            assert comes(outcome, detail), name
        server.says = None
        assert comes("failed", "no answer within 1 s")
        assert asking.settled(0, within=0.5, calm=0.3) is None, "nothing is answered"
        server.says = ANSWERS["well"]
        assert asking.settled(time.monotonic(), within=60, calm=0.3) is not None


@slow
def test_a_crowd_is_there_and_comes_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with crowd("half bodies", listener.getsockname(), 3, "/") as came:
            assert came == 3
            first = [listener.accept()[0] for _ in range(3)]
            assert b"Content-Length: 2000" in first[0].recv(65536)
            first[0].close()
            again, _ = listener.accept()
            for one in (*first, again):
                one.close()


def test_the_mail_server_takes_mail_when_it_has_spoken_at_all() -> None:
    with mail_server(greets_after=0) as port, smtplib.SMTP("127.0.0.1", port, timeout=60) as mail:
        assert mail.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\n.\r\nhello") == {}
    with mail_server(greets_after=None) as port, socket.create_connection(("127.0.0.1", port)) as silent:
        silent.settimeout(0.05)
        with pytest.raises(TimeoutError):
            silent.recv(1)


def test_a_small_disk_is_filled_to_the_last_byte(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        if disk.environ:
            pytest.skip("no file system can be mounted here")
        disk.fill()
        with pytest.raises(OSError, match="No space left"), (disk.directory / "more").open("wb", buffering=0) as file:
            file.write(b"x")
        disk.make_room()
        (disk.directory / "more").write_bytes(b"x")


@slow
def test_where_none_can_be_mounted_a_library_lets_writes_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if not shutil.which("gcc"):
        pytest.skip("there is no C compiler")
    program = (
        "import sqlite3, sys\nfile = sqlite3.connect(sys.argv[1])\n"
        "file.execute('CREATE TABLE IF NOT EXISTS t (x)')\nfile.execute('INSERT INTO t VALUES (1)')\nfile.commit()"
    )
    with small_disk(tmp_path) as disk:
        command = [sys.executable, "-c", program, str(disk.directory / "file")]

        def written() -> str:
            done = subprocess.run(command, env=os.environ | disk.environ, capture_output=True, text=True)
            return done.stderr

        assert written() == ""
        disk.fill()
        assert "database or disk is full" in written()
        disk.make_room()
        assert written() == ""


# -- the server, while something breaks ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeds]:
    made = Seeds(PROGRAM, tmp_path_factory.mktemp("chaos"), people=FEW)
    yield made
    made.remove()


@pytest.fixture
def tried(seeds: Seeds, tmp_path: Path) -> Callable[..., Finding]:
    def tries(fault: Fault, database: Any) -> Finding:
        return attempt(fault, database, program=PROGRAM, seeds=seeds, home=tmp_path, short=True)

    return tries


@slow
def test_what_was_promised_and_is_not_so_is_noticed(tried: Callable[..., Finding]) -> None:
    """A sign-up that never was, a code that was never used, a refresh token that was never revoked."""

    def story(trial: Trial) -> None:
        trial.serve()
        codes = Codes(trial.site)
        seat = codes.seat(0)
        assert isinstance(seat, Witness)
        walk(trial.site.address, codes.prepare(seat))
        walk(trial.site.address, codes.converse(seat, thorough=True))
        true = list(seat.acknowledged)
        walk(trial.site.address, codes.tokens(seat, thorough=True))  # type: ignore[arg-type]
        pool = trial.site.facts["sign_ups"]["pool_id"]
        untrue = [
            Acknowledged("sign-up", {"pool_id": pool, "username": "nobody"}),
            Acknowledged("revocation", {"grant_type": "refresh_token", "refresh_token": seat.refresh_token}),
        ]
        trial.claim("what is so is found", lost(trial.site, true) == [])
        trial.claim("what is not so is noticed", lost(trial.site, [*true, *untrue]) == untrue)

    assert tried(Fault("untrue", story, ("SQLite",)), "SQLite").verdict == "PASS"


@slow
@pytest.mark.parametrize(
    ("name", "database"),
    [
        ("kill-all-workers", "SQLite"),
        ("kill-parent", "SQLite"),
        ("disk-full", "SQLite"),
        pytest.param("worker-dies-without-database", "PostgreSQL", marks=pytest.mark.postgres),
    ],
)
def test_the_facts_hold(name: str, database: str, tried: Callable[..., Finding]) -> None:
    found = tried(FAULTS[name], database)
    if found.not_possible:
        pytest.skip(found.not_possible)
    facts = [claim for claim in found.claims if not claim.timed]
    assert facts and all(claim.holds for claim in facts), report.details(found)
    assert found.phases[DISTURBED].asked, report.details(found)
