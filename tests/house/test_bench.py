"""The bench measures right answers only: it works, it notices wrong ones, and it leaves nothing behind.

No figure is judged here: how fast the server is depends on the machine and on what else runs there.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import against, command, enumeration, report, target
from bench.ceilings import Ceilings
from bench.figures import Effort, Figures, measure, percentile
from bench.load import walk
from bench.report import Report, Run
from bench.scenarios import BY_NAME, SCENARIOS, Discovery, Scenario, filled_form
from bench.site import Elsewhere, Site, address_of
from bench.target import Family, Target
from bench.wire import Answer, BadAnswer, Reader, closes, get

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Ceilings(
    cores=2, rsa_sign=250, rsa_verify=20, argon2id=17000, argon2id_busy=18000, srp=2800, python_busy=500, http={}
)
NAMES = [scenario.name for scenario in SCENARIOS]

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    """A server like the one that is measured, with hashes that cost nothing."""
    with target.started("granian", None, settings=target.CHEAP_HASH, users=2) as running:
        yield running


@pytest.fixture(scope="module")
def site(server: Target) -> Site:
    return Site.discover(None, server.facts)


@pytest.fixture
def known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the machine had been measured."""
    monkeypatch.setattr("bench.command.machine.measure", lambda seconds: LIMITS)


def few(limit: int = 6, connections: int = 2, processes: int = 1) -> Effort:
    return Effort(seconds=60, connections=connections, processes=processes, limit=limit, warm_up=0)


def spoilt(answer: Answer, spoil: Callable[[dict[str, Any]], None]) -> Answer:
    body = json.loads(answer.body)
    spoil(body)
    return replace(answer, body=json.dumps(body).encode())


def forged(token: str) -> str:
    """The same token with another signature."""
    signed, _, signature = token.rpartition(".")
    return f"{signed}.{'B' if signature[0] != 'B' else 'C'}{signature[1:]}"


def spoil_tokens(body: dict[str, Any]) -> None:
    tokens = body.get("AuthenticationResult", body)
    for name in ("access_token", "AccessToken"):
        if name in tokens:
            tokens[name] = forged(tokens[name])


# What only a close look shows: the status is right, and so is the shape.
SUBTLE: dict[str, Callable[[dict[str, Any]], None]] = {
    "discovery": lambda body: body.update(issuer="http://localhost/another"),
    "jwks": lambda body: body["keys"][0].update(d="AQAB"),
    "userinfo": lambda body: body.update(email="somebody@example.com"),
}


@slow
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_gets_right_answers_and_counts_them(server: Target, site: Site, name: str) -> None:
    figures = measure(BY_NAME[name](site), server.family, LIMITS, few(), server="granian", pace=None)
    assert (figures.errors, figures.messages) == (0, [])
    assert figures.conversations == 6
    assert 0 < figures.p50 <= figures.p99
    assert figures.rate > 0 and figures.server_us is not None and figures.server_us >= 0


@slow
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_says_how_many_requests_it_makes(site: Site, name: str) -> None:
    scenario = BY_NAME[name](site)
    seat = scenario.seat(0)
    walk(site.address, scenario.prepare(seat))
    seen: list[int] = []

    def count(answer: Answer) -> Answer:
        seen.append(answer.status)
        return answer

    walk(site.address, scenario.converse(seat, thorough=False), count)
    assert len(seen) == scenario.requests


@slow
@pytest.mark.parametrize("name", NAMES)
def test_a_thorough_look_finds_what_status_and_shape_do_not_show(site: Site, name: str) -> None:
    scenario = BY_NAME[name](site)
    seat = scenario.seat(0)
    walk(site.address, scenario.prepare(seat))

    def tamper(answer: Answer) -> Answer:
        is_json = "json" in (answer.header("content-type") or "")
        return spoilt(answer, SUBTLE.get(name, spoil_tokens)) if is_json else answer

    with pytest.raises(BadAnswer):
        walk(site.address, scenario.converse(seat, thorough=True), tamper)


@slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", ["status", "shape"])
def test_every_answer_is_looked_at_for_status_and_shape(site: Site, name: str, wrong: str) -> None:
    scenario = BY_NAME[name](site)
    seat = scenario.seat(0)
    walk(site.address, scenario.prepare(seat))
    walk(site.address, scenario.converse(seat, thorough=False))

    def tamper(answer: Answer) -> Answer:
        return replace(answer, status=503) if wrong == "status" else replace(answer, status=200, body=b"{}")

    with pytest.raises(BadAnswer):
        walk(site.address, scenario.converse(seat, thorough=False), tamper)


@slow
def test_refreshing_and_signing_in_prove_whose_tokens_they_are(site: Site) -> None:
    """One user's tokens in another's answer is the worst that a server can do."""
    refresh = BY_NAME["refresh"](site)
    one, two = refresh.seat(0), refresh.seat(1)
    for seat in (one, two):
        walk(site.address, refresh.prepare(seat))
    one.refresh_token = two.refresh_token
    with pytest.raises(BadAnswer, match="tokens of"):
        walk(site.address, refresh.converse(one, thorough=True))
    userinfo = BY_NAME["userinfo"](site)
    one.access_token, one.request = two.access_token, b""
    with pytest.raises(BadAnswer, match="sub "):
        walk(site.address, userinfo.converse(one, thorough=False))


@slow
def test_nobody_has_two_connections_where_one_would_not_know_the_secret_of_the_other(
    server: Target, site: Site
) -> None:
    scenario = BY_NAME["totp"](site)
    assert scenario.seats == len(scenario.site.users)
    figures = measure(
        scenario, server.family, LIMITS, few(limit=20, connections=scenario.seats + 4), server=None, pace=None
    )
    assert figures.conversations and not figures.messages


@slow
def test_a_paced_run_has_waiting_times_of_its_own(server: Target, site: Site) -> None:
    effort = replace(few(limit=1000), seconds=3.0)
    figures = measure(BY_NAME["discovery"](site), server.family, LIMITS, effort, server="granian", pace="40")
    assert not figures.errors
    assert 0 < figures.paced["rate"] < 80
    assert 0 < figures.paced["p50"] <= figures.paced["p99"]


@slow
def test_a_server_that_runs_already_is_found_by_its_url(
    server: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str], known_limits: None
) -> None:
    facts, written = tmp_path / "facts.json", tmp_path / "figures.json"
    facts.write_text(json.dumps(server.facts))
    arguments = ["--facts", str(facts), "--requests", "4", "--connections", "2", "--generators", "1"]
    arguments += ["--scenario", "jwks", "--scenario", "client_credentials"]
    assert command.main([*arguments, "--json", str(written)]) == 0
    found = json.loads(written.read_text())["runs"][0]["scenarios"]
    assert [one["scenario"] for one in found] == ["jwks", "client_credentials"]
    assert all(one["server_us"] is not None for one in found), "the processes are found by the port"
    assert command.main([server.url + "/" + server.facts["pool_id"], "--compare", str(written), *arguments[2:6]]) == 0
    printed = capsys.readouterr().out
    assert "against the earlier run" in printed
    # Without facts there is nobody to sign in.
    assert "password" not in printed and "discovery" in printed


@slow
@pytest.mark.parametrize("end", ["by itself", "by Ctrl-C"])
def test_it_starts_a_server_and_leaves_nothing_behind(tmp_path: Path, end: str) -> None:
    arguments = ["--scenario", "discovery", "--seconds", "0.5", "--starts", "1", "--generators", "1"]
    bench = subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    family: set[psutil.Process] = set()
    told = end == "by itself"
    while bench.poll() is None:
        family |= set(psutil.Process(bench.pid).children(recursive=True))
        if not told and any("app.cli" in " ".join(_words(process)) for process in family):
            told = True
            os.killpg(bench.pid, signal.SIGINT)
        time.sleep(0.05)
    assert bench.stdout
    printed = bench.stdout.read()
    bench.stdout.close()
    assert bench.wait() == (0 if end == "by itself" else 130), printed
    gone, left = psutil.wait_procs(family, timeout=60)
    assert gone and not left
    assert not [name for name in os.listdir(tmp_path) if name.startswith("cognate-")]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


class WrongDocument(BaseHTTPRequestHandler):
    """A discovery document that is right as long as the bench looks closely, and another one afterwards."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        WrongDocument.asked += 1
        base = f"http://127.0.0.1:{self.server.server_address[1]}"
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        document = {"issuer": base, "response_types_supported": ["code"]} | {name: f"{base}/{name}" for name in names}
        body = json.dumps(document if WrongDocument.asked < 8 else {"issuer": base}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def wrong_server() -> Iterator[str]:
    WrongDocument.asked = 0
    with HTTPServer(("127.0.0.1", 0), WrongDocument) as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@slow
def test_a_server_that_begins_to_answer_wrongly_ends_in_errors(
    wrong_server: str, capsys: pytest.CaptureFixture[str], known_limits: None
) -> None:
    arguments = ["--scenario", "discovery", "--requests", "30", "--connections", "1", "--generators", "1"]
    assert command.main([wrong_server, *arguments, "--seconds", "10"]) == 1
    assert "another document than before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("http://192.0.2.1/pool", "not on this machine"),
        ("http://[2001:db8::1]:8080/pool", "not on this machine"),
        ("https://localhost:8443/pool", "an http:// URL is needed"),
        ("localhost:8080", "an http:// URL is needed"),
        ("http://localhost:99999/", "Port out of range"),
    ],
)
def test_only_this_machine_is_measured(url: str, because: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Elsewhere, match=because):
        address_of(url)
    with pytest.raises(Elsewhere, match=because):
        Site.discover(url, {})


def test_endpoints_on_another_machine_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"issuer": "http://localhost", "token_endpoint": "http://192.0.2.1/token"}
    monkeypatch.setattr(
        "bench.site.address_of", lambda url: ("127.0.0.1", 80) if "localhost" in url else address_of(url)
    )
    answer = Answer(200, b"HTTP/1.1 200 OK", json.dumps(document).encode())
    monkeypatch.setattr("bench.site.fetch", lambda address, url: answer)
    with pytest.raises(Elsewhere, match="not on this machine"):
        Site.discover("http://localhost", {})


@pytest.mark.parametrize("size", [1, 3, 7, 4096])
def test_an_answer_is_put_together_from_any_pieces(size: int) -> None:
    raw = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 5\r\n\r\nhello"
    answer = _read(raw, size)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers("set-cookie") == ["a=1", "b=2"]
    assert not closes(answer)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
    assert _read(chunked, size).body == b"hello"
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    assert _read(closing, size).body == b"hello" and closes(_read(closing, size))
    assert _read(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", size).status == 304


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
)
def test_half_an_answer_is_none(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        _read(raw, 5)


def _read(raw: bytes, size: int) -> Answer:
    """As if the server sent it in pieces, and closed then."""
    reader = Reader()
    for start in range(0, len(raw), size):
        if (answer := reader.feed(raw[start : start + size])) is not None:
            return answer
    answer = reader.feed(b"")
    assert answer
    return answer


def test_a_header_cannot_smuggle_another_request() -> None:
    with pytest.raises(BadAnswer, match="line break"):
        get("http://localhost/", Cookie="a=1\r\nX: y")


def test_the_form_with_the_password_is_the_one_that_is_filled_in() -> None:
    page = b"""<form action=/search><input type="text" name="q"></form>
      <form method=post action="/login?a=1&amp;b=2"><input type=hidden name="csrf" value="x&quot;y">
      <input name='who' type='email'><input type="password" name="secret"><button name="b">Go</button></form>"""
    action, fields = filled_form(Answer(200, b"", page), "alice", "pw")
    assert action == "/login?a=1&b=2"
    assert fields == {"csrf": 'x"y', "who": "alice", "secret": "pw"}
    with pytest.raises(BadAnswer, match="no form"):
        filled_form(Answer(200, b"", b"<form><input name=q></form>"), "alice", "pw")


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)


def test_cpu_time_of_a_process_tree_is_counted(tmp_path: Path) -> None:
    """The child of a child counts too: workers are that to whoever started the server."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"
    nest = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen([sys.executable, "-c", nest], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout and process.stdout.readline() == b"done\n"
        family = Family(psutil.Process(process.pid))
        used = family.usage().server
        assert family.usage().machine > 0
        assert used is not None and used >= 0.25  # the kernel counts in ticks
        assert len(family.pids()) == 2
    finally:
        target.stop(process)
        assert process.stdout
        process.stdout.close()


def some_report(server_us: float = 400, aside_us: float = 1400, **more: Any) -> Report:
    figures = [
        Figures("client_credentials", 1, 100, 2.0, 50, 1.5, 20, server_us=server_us, **more),
        Figures("password", 1, 100, 2.0, 50, 30, 90, server_us=19400, aside_us=aside_us, aside_measured=True),
    ]
    known = report.conditions(connections=16, seconds=4.0)
    return Report(LIMITS, [Run("granian", "SQLite", figures, [100.0, 99.0], 1.1)], known)


@pytest.mark.parametrize(("in_r", "said"), [(1.85, "target"), (1.86, "budget"), (2.3, "budget"), (2.31, "OVER")])
def test_a_cost_is_held_against_budget_and_target(in_r: float, said: str) -> None:
    assert report.verdict("client_credentials", in_r) == said


def test_the_table_says_what_is_within_and_what_is_wrong() -> None:
    found = some_report(errors=2, messages=["status 500"])
    run = found.runs[0]
    text = report.plain(report.run_table(run, LIMITS))
    lines = text.splitlines()
    assert "1.60" in lines[1] and "target" in lines[1] and lines[1].endswith("2")
    assert "5.60" in lines[3] and "budget" in lines[3], "the hash is not what the budget is about"
    assert len({len(line) for line in lines}) == 1
    assert "client_credentials: status 500" in list(report.notes(run))
    assert found.errors == 2


@pytest.mark.parametrize(("cores", "said"), [(0.05, "Nothing else ran"), (0.7, "Other jobs were running")])
def test_figures_say_whether_the_machine_was_left_alone(cores: float, said: str) -> None:
    assert said in report.document(some_report(others=cores))


def test_an_earlier_run_is_compared_in_units_of_its_own_machine() -> None:
    earlier = json.loads(json.dumps(some_report().as_json()))
    earlier["ceilings"]["rsa_sign"] = 500.0
    rows = report.compared(some_report(server_us=200), earlier)
    assert rows[1] == ("granian, SQLite: client_credentials", "1.00", "1.00", "1.00", "1.00")
    assert rows[-1] == ("  without the hash", "", "", "", "2.00")


def test_measuring_again_replaces_the_tables_of_the_document(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.replace_in(path, some_report())
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| client_credentials |" in text and "### granian, SQLite" in text
    path.write_text("no marks")
    with pytest.raises(ValueError, match="has no"):
        report.replace_in(path, some_report())


def test_the_document_has_the_place_for_the_tables() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert text.index(report.BEGIN) < text.index(report.END)


def test_every_scenario_of_the_bench_is_described_in_the_document() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def test_budgets_are_no_tighter_than_targets() -> None:
    assert [scenario.name for scenario in SCENARIOS if not 0 < scenario.target <= scenario.budget] == []
    assert issubclass(Discovery, Scenario)


# -- who has an account, by the time of an answer --------------------------------------------------------------


@pytest.mark.parametrize(
    ("somebody", "nobody", "auc"),
    [([2.0, 3.0], [1.0], 1.0), ([1.0], [2.0, 3.0], 0.0), ([1.0, 2.0], [1.0, 2.0], 0.5), ([1.0, 3.0], [2.0], 0.5)],
)
def test_how_probably_one_time_is_longer_than_the_other(somebody: list[float], nobody: list[float], auc: float) -> None:
    assert enumeration.Times(somebody, nobody).auc == auc


@slow
def test_whoever_asks_gets_the_same_answers_about_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    """Over a connection, in production mode, with a mail server. How long they took is not judged."""
    assert enumeration.main(["--tries", "2"]) == 0
    shown = capsys.readouterr().out
    assert "differ" not in shown
    assert all(question.title in shown for question in enumeration.QUESTIONS)


# -- against another commit ------------------------------------------------------------------------------------


def test_of_rounds_in_bad_weather_the_ratio_of_each_counts() -> None:
    """The third round took both trees three times as long."""
    found = against.Compared("userinfo", then=[800, 820, 2400, 810, 790], now=[400, 400, 1260, 410, 395])
    assert f"{found.ratio:.2f}" == "0.50"
    (head, row) = against.table("HEAD~1", [found], LIMITS)
    assert head[0] == "against HEAD~1"
    assert row == ("userinfo", "810", "400", "3.24", "1.60", "1.62", "0.80", "0.50")


def test_the_tree_of_a_commit_is_there_for_as_long_as_it_is_measured() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    with against.tree("HEAD") as root:
        assert (root / "app" / "__init__.py").is_file()
    assert not root.exists()
    listed = subprocess.run(["git", "-C", str(ROOT), "worktree", "list"], capture_output=True, text=True, check=True)
    assert str(root) not in listed.stdout


def test_a_commit_that_is_not_there_is_an_error_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--against", "no-such-commit", "--seconds", "0.1"]) == 2
    assert "no-such-commit" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--against", "HEAD", "http://localhost:1"], ["--against", "HEAD", "--rounds", "0"]]
)
def test_against_needs_servers_of_its_own_and_a_round(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
