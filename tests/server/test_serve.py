"""The server as an operator runs it: in processes of its own, started, proxied, killed and stopped."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app import config, logs
from app.config import PREFIX, Settings
from tests.api.conftest import ANY_KEY
from tests.cli.conftest import KEY_TEXT
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
WITHIN = 60
"""Seconds, on a machine that has other things to do."""


def until(true: Callable[[], Any], *, what: str) -> Any:
    """What `true` returns, as soon as that is something."""
    end = time.monotonic() + WITHIN
    while not (found := true()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class Running:
    """A program that serves, with what it said."""

    def __init__(self, directory: Path, *command: str, **settings: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.command = command or ("-c", "from app.cli import main; main()", "serve")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        given = {"data_dir": str(directory), "key": KEY_TEXT, "port": str(self.port), "workers": "2"}
        given |= {"provisioned_limits": "off", "requests_per_address": "0"} | settings
        self.environ = clean | {PREFIX + name.upper(): value for name, value in given.items()}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def spawn(self) -> "subprocess.Popen[bytes]":
        command = [part.replace("{port}", str(self.port)) for part in self.command]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def start(self) -> "Running":
        process = self.spawn()

        def there() -> bool:
            if process.poll() is not None:
                pytest.fail(f"it ended with {process.returncode}:\n{self.log[-4000:]}")
            return self.answers()

        until(there, what="the first answer")
        return self

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN):
                return True
        except OSError:
            return False

    def get(self, path: str, **given: Any) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=WITHIN, allow_redirects=False, **given)

    def workers(self) -> set[int]:
        """What serves, without what Python keeps for itself beside it."""
        found = set()
        for child in psutil.Process(self.pid).children(recursive=True):
            try:
                if "resource_tracker" not in " ".join(child.cmdline()):
                    found.add(child.pid)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                pass
        return found

    def end(self, how: signal.Signals = signal.SIGTERM, *, group: bool = False) -> int:
        assert self.process
        os.killpg(self.pid, how) if group else self.process.send_signal(how)
        return self.process.wait(timeout=WITHIN)

    def clean_up(self) -> None:
        if self.process is not None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(timeout=WITHIN)


@pytest.fixture
def server(tmp_path: Path, sqlite_template: Path) -> Iterator[Callable[..., Running]]:
    """Prepares servers on a migrated database, and leaves none behind."""
    shutil.copy(sqlite_template, tmp_path / "cognate.sqlite")
    prepared: list[Running] = []

    def prepare(*command: str, **settings: str) -> Running:
        prepared.append(Running(tmp_path, *command, **settings))
        return prepared[-1]

    yield prepare
    for running in prepared:
        running.clean_up()


Serve = Callable[..., Running]


# -- without a process -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_libraries_that_write_secrets_are_held_back_at_every_level(level: str) -> None:
    loggers = logs.configuration(Settings(log_level=level))["loggers"]
    assert loggers["authlib"]["level"] == "INFO"


@pytest.mark.slow
def test_a_start_pays_for_no_library_that_only_migrations_or_the_demo_need() -> None:
    program = (
        "import sys, app.cli\n"
        "for_others = {'alembic', 'flask_migrate', 'boto3', 'prometheus_client', 'pyrage', 'opentelemetry', 'redis'}\n"
        "for_others |= {'app.demo.application'}\n"
        "sys.exit(' '.join(for_others & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# -- start and stop --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_answers_and_stops_when_told_to(server: Serve) -> None:
    running = server().start()
    assert running.get("/healthz").json() == {"status": "ok"}
    assert running.get("/readyz").status_code == 200
    until(lambda: len(running.workers()) == 2, what="two workers")
    workers = running.workers()
    assert running.end(signal.SIGTERM) == 0
    until(lambda: not any(map(psutil.pid_exists, workers)), what="the end of the workers")
    assert not running.answers()


@pytest.mark.slow
def test_ctrl_c_reaches_the_workers_as_well_and_hangs_nobody(server: Serve) -> None:
    running = server().start()
    running.get("/healthz")
    assert running.end(signal.SIGINT, group=True) == 0
    assert "refused to gracefully stop" not in running.log, "after ten seconds, when workers are killed"
    assert "Traceback" not in running.log


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 3])
def test_a_request_under_way_is_finished_before_it_stops(server: Serve, seconds: int) -> None:
    """Also one that takes three seconds: told to stop twice meanwhile, granian's worker waits for a place in a channel
    while it holds the interpreter's lock, and is killed ten seconds later with all that it had under way."""
    running = server(workers="1").start()
    body = b'{"UserPoolId": "us-east-1_nobody"}'
    with socket.create_connection(("127.0.0.1", running.port), timeout=WITHIN) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n"
            b"X-Amz-Target: AWSCognitoIdentityProviderService.DescribeUserPool\r\nConnection: close\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it has been taken up
        connection.sendall(body[:10])
        assert running.process
        running.process.send_signal(signal.SIGTERM)
        time.sleep(seconds)  # the request itself: nothing is waited for
        connection.sendall(body[10:])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert running.process.wait(timeout=WITHIN) == 0
    assert "refused to gracefully stop" not in running.log


@pytest.mark.slow
def test_it_starts_again_after_it_was_killed(server: Serve) -> None:
    running = server().start()
    running.end(signal.SIGKILL, group=True)
    until(lambda: not running.answers(), what="the last worker to be gone")
    running.start()
    assert running.get("/readyz").status_code == 200
    assert running.end() == 0


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(server: Serve) -> None:
    """By the system, say, when memory runs out."""
    running = server().start()
    before = until(lambda: len(found := running.workers()) == 2 and found, what="two workers")
    os.kill(min(before), signal.SIGKILL)
    after = until(lambda: len(found := running.workers() - {min(before)}) == 2 and found, what="another worker")
    assert len(after & before) == 1
    until(running.answers, what="an answer: the one that was killed may have been the only one that was ready")
    for _ in range(20):
        assert running.get("/healthz").status_code == 200
    assert running.end() == 0


@pytest.mark.slow
def test_a_second_server_on_the_port_is_refused(server: Serve) -> None:
    """granian would share the port, and each of the two would get some of the requests."""
    first = server().start()
    second = server(port=str(first.port))
    assert second.spawn().wait(timeout=WITHIN) == 2
    assert f"COGNATE_PORT {first.port} cannot be listened on: Address already in use. Stop the other" in second.log
    assert first.get("/healthz").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "nobody.invalid"}, r"COGNATE_HOST nobody.invalid and COGNATE_PORT \d+ cannot be listened on: "),
        ({"host": "192.0.2.1"}, "cannot be listened on: Cannot assign requested address"),
        ({"tls_certificate": "/nowhere.pem", "tls_key": "/nowhere.pem"}, "The TLS file /nowhere.pem cannot be read"),
        ({"key": "", "key_file": "/nowhere"}, "The key file /nowhere cannot be read"),
    ],
)
def test_what_cannot_work_ends_the_start_in_one_line(server: Serve, given: dict[str, str], said: str) -> None:
    running = server(**given)
    assert running.spawn().wait(timeout=WITHIN) == 2
    (line,) = running.log.splitlines()
    assert line.startswith("cognate: ") and re.search(said, line)


@pytest.mark.slow
@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::"])
def test_it_listens_where_it_is_told_to(server: Serve, host: str) -> None:
    running = server(host=host).start()
    assert running.get("/healthz").status_code == 200
    assert running.end() == 0


@pytest.mark.slow
def test_the_parent_shares_no_connection_with_its_workers(server: Serve) -> None:
    """SQLite would believe in a forked process that it holds the locks of its parent."""
    running = server("-c", "from app.cli import main; main()", "demo", mode="development").start()
    assert running.get("/readyz").status_code == 200
    opened = {file.path for file in psutil.Process(running.pid).open_files()}
    assert not any("cognate.sqlite" in path for path in opened)


# -- what it lets out ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_secret_is_logged_even_when_everything_is(server: Serve) -> None:
    running = server("-c", "from app.cli import main; main()", "demo", mode="development", log_level="debug").start()
    demo = requests.models.complexjson.loads((running.directory / "demo.json").read_text())
    pool, machine, spa = f"/{demo['pool_id']}", demo["clients"]["machine"], demo["clients"]["spa"]
    token = requests.post(
        f"http://127.0.0.1:{running.port}{pool}/oauth2/token",
        data={"grant_type": "client_credentials", "scope": machine["scopes"][0]},
        auth=(machine["client_id"], machine["client_secret"]),
        timeout=WITHIN,
    ).json()["access_token"]
    running.get(f"{pool}/login?client_id={spa['client_id']}&state=a-secret-state&code=a-secret-code")
    running.get(f"{pool}/oauth2/userInfo", headers={"Authorization": f"Bearer {token}"})
    signed_in = requests.post(
        f"http://127.0.0.1:{running.port}/",
        json={
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": spa["client_id"],
            "AuthParameters": {"USERNAME": "demo", "PASSWORD": demo["user"]["password"]},
        },
        headers={"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"},
        timeout=WITHIN,
    ).json()["AuthenticationResult"]
    requests.post(
        f"http://127.0.0.1:{running.port}/",
        json={"ClientId": spa["client_id"], "Username": "bob", "Password": "Bobs-own-passw0rd"}
        | {"UserAttributes": [{"Name": "email", "Value": "bob@example.com"}]},
        headers={"X-Amz-Target": "AWSCognitoIdentityProviderService.SignUp"},
        timeout=WITHIN,
    )
    (message,) = running.get("/dev/outbox.json?to=bob@example.com").json()
    assert running.end() == 0
    # What was printed for whoever started the demo is no log.
    logged = "\n".join(line for line in running.log.splitlines() if not line.startswith("  "))
    assert f"GET {pool}/login 200" in logged or f"GET {pool}/login 4" in logged
    token = rf"POST {re.escape(pool)}/oauth2/token 200 [\d.]+ ms peer=127\.0\.0\.1 "
    assert re.search(rf" INFO \[[-0-9a-f]{{36}}\] cognate\.access: {token}", logged)
    for secret in (
        token,
        token.split(".")[2],
        machine["client_secret"],
        demo["user"]["password"],
        "Bobs-own-passw0rd",
        "a-secret-state",
        "a-secret-code",
        signed_in["AccessToken"],
        signed_in["RefreshToken"],
        message["code"],
        KEY_TEXT,
    ):
        assert secret not in logged
    assert "?" not in "".join(line for line in logged.splitlines() if "granian.access" in line)


@pytest.mark.slow
def test_the_access_log_can_be_switched_off(server: Serve) -> None:
    running = server(access_log="off").start()
    running.get("/healthz?x=1")
    assert running.end() == 0
    assert running.log == ""


# -- in front of it --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_https_with_a_certificate_of_its_own(server: Serve) -> None:
    running = server(tls="self-signed", mode="development").start()
    certificate = running.directory / "tls-certificate.pem"
    for host in ("localhost", "127.0.0.1"):
        answer = requests.get(f"https://{host}:{running.port}/healthz", verify=str(certificate), timeout=WITHIN)
        assert answer.json() == {"status": "ok"}
    assert requests.get(f"https://localhost:{running.port}/", verify=str(certificate), timeout=WITHIN).headers[
        "Strict-Transport-Security"
    ]
    with pytest.raises(requests.ConnectionError):
        running.get("/healthz")
    before = certificate.read_bytes()
    assert running.end() == 0
    running.start()
    assert certificate.read_bytes() == before
    assert running.end() == 0


@pytest.mark.slow
def test_a_proxy_is_believed_only_where_it_is_expected(server: Serve) -> None:
    """By way of a pool's own host, which the proxy tells: a stranger's word would choose the pool."""
    for hops, status in (("0", 404), ("1", 200)):
        running = server(
            "-c", "from app.cli import main; main()", "demo", mode="development", trusted_proxies=hops,
            base_url="http://auth.example.test",
        ).start()  # fmt: skip
        claims = {"X-Forwarded-Host": "demo.auth.example.test", "X-Forwarded-For": "203.0.113.9"}
        assert running.get("/.well-known/jwks.json", headers=claims).status_code == status
        assert running.end() == 0


@pytest.mark.slow
def test_a_database_that_is_taken_away_makes_it_unready_and_not_dead(server: Serve) -> None:
    running = server().start()
    assert running.get("/readyz").status_code == 200
    (running.directory / "cognate.sqlite").rename(running.directory / "elsewhere.sqlite")

    def unready() -> bool:
        answer = running.get("/readyz")
        return answer.status_code == 503 and answer.json()["database"] == "not reachable"

    # Each worker believes what it has found for a moment, and either may be asked.
    until(lambda: all(unready() for _ in range(6)), what="both workers to notice")
    assert running.get("/healthz").status_code == 200
    assert "its file was removed or replaced" in running.log
    assert running.end() == 0


# -- another server --------------------------------------------------------------------------------------------

GUNICORN = ("-m", "gunicorn", "wsgi:app", "--bind", "127.0.0.1:{port}", "--workers", "2", "--threads", "4")


@pytest.mark.slow
def test_gunicorn_serves_it_as_well(server: Serve, tmp_path: Path) -> None:
    running = server(*GUNICORN, "--no-control-socket").start()
    assert until(lambda: running.get("/readyz").status_code == 200, what="being ready")
    assert running.get("/us-east-1_nobody/login").status_code in (400, 404)
    assert running.end() == 0


@pytest.mark.slow
def test_another_server_does_not_start_on_an_empty_database_either(server: Serve) -> None:
    running = server(*GUNICORN, "--no-control-socket")
    (running.directory / "cognate.sqlite").unlink()
    assert running.spawn().wait(timeout=WITHIN) != 0
    assert "has no database: name the right one, or run `cognate migrate` for a new installation." in running.log


def test_a_worker_keeps_no_secret_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever prints it, a debugger or a library that starts a program, shows none."""
    given = {"COGNATE_KEY": "a", "COGNATE_DATABASE_URL": "b", "COGNATE_SMTP_PASSWORD": "c", "COGNATE_PORT": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    config.forget_secrets(os.environ)
    assert given.keys() & os.environ.keys() == {"COGNATE_PORT"}


# -- faults ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_replaced_again_and_again(server: Serve) -> None:
    """granian's own supervisor ends the server at the second death within seconds."""
    running = server().start()
    for _ in range(4):
        kill_one(running)
    until(lambda: len(running.workers()) == 2, what="two workers")
    assert running.get("/healthz").status_code == 200
    assert running.end() == 0


def kill_one(running: Running) -> None:
    workers = until(lambda: len(found := running.workers()) == 2 and found, what="two workers")
    killed = min(workers)
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in running.workers(), what="its end")


@pytest.mark.slow
def test_workers_end_with_their_parent(server: Serve) -> None:
    running = server().start()
    workers = until(lambda: len(found := running.workers()) == 2 and found, what="two workers")
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in workers), what="the end of the workers")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_a_worker_that_freezes_is_replaced(server: Serve) -> None:
    running = server().start()
    workers = until(lambda: len(found := running.workers()) == 2 and found, what="two workers")
    os.kill(min(workers), signal.SIGSTOP)
    until(lambda: min(workers) not in running.workers(), what="its end")
    until(lambda: len(running.workers()) == 2, what="another one")
    assert "WORKER TIMEOUT" in running.log
    assert running.end() == 0


@pytest.mark.slow
def test_half_sent_requests_hold_up_nobody(server: Serve) -> None:
    """Each of them took a thread, and there are four."""
    running = server(workers="1", threads="4").start()
    half = []
    for sent in (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{", b"POST / HTTP/1.1\r\nHost: a\r\nConte"):
        for _ in range(50):
            half.append(socket.create_connection(("127.0.0.1", running.port), timeout=WITHIN))
            half[-1].sendall(sent)
    for _ in range(20):
        assert running.get("/healthz").status_code == 200
    for connection in half:
        connection.close()
    assert running.end() == 0


@pytest.mark.slow
def test_operators_are_answered_while_nobody_can_write(server: Serve) -> None:
    """For the one writer's place of SQLite, which somebody keeps."""
    running = server(
        "-c", "from app.cli import main; main()", "demo", mode="development", workers="1", threads="1",
        database_lock_timeout="600", admin_port=str(admin := free_port()),
    ).start()  # fmt: skip
    demo = requests.models.complexjson.loads((running.directory / "demo.json").read_text())
    document = f"/{demo['pool_id']}/.well-known/jwks.json"
    assert running.get(document).status_code == 200
    client, known = demo["clients"]["spa"]["client_id"], {"USERNAME": "demo", "PASSWORD": demo["user"]["password"]}
    writing = [
        (b"InitiateAuth", {"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": client, "AuthParameters": known}),
        (b"ForgotPassword", {"ClientId": client, "Username": "demo"}),
    ]
    with ExitStack() as taken:
        file = running.directory / "cognate.sqlite"
        taken.enter_context(closing(sqlite3.connect(file, isolation_level=None))).execute("BEGIN IMMEDIATE")
        for operation, asked in writing:
            body = requests.models.complexjson.dumps(asked).encode()
            for _ in range(8):
                connection = socket.create_connection(("127.0.0.1", running.port), timeout=WITHIN)
                taken.enter_context(connection).sendall(
                    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n"
                    b"X-Amz-Target: AWSCognitoIdentityProviderService.%s\r\nContent-Length: %d\r\n\r\n%s"
                    % (operation, len(body), body)
                )

        def everything_waits() -> bool:
            figures = requests.get(f"http://127.0.0.1:{admin}/metrics", timeout=WITHIN).text
            slots = dict(re.findall(r'cognate_slots_taken\{kind="(\w+)"\} (\d+)', figures))
            return slots.get("writes") == "2"

        until(everything_waits, what="every place for a writer to be taken")
        for port in (admin, running.port):
            for path in ("/healthz", "/readyz"):
                assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=WITHIN).status_code == 200
        assert running.get(document).status_code == 200
    assert running.end() == 0


@pytest.mark.slow
def test_told_to_stop_it_is_unready_first_and_serves_on(server: Serve) -> None:
    running = server(workers="1", drain="1000", admin_port=str(admin := free_port())).start()
    assert running.get("/readyz").status_code == 200
    assert running.process
    running.process.send_signal(signal.SIGTERM)
    until(lambda: running.get("/readyz").status_code == 503, what="the server to be unready")
    assert running.get("/readyz").json()["status"] == "draining"
    ready = requests.get(f"http://127.0.0.1:{admin}/readyz", timeout=WITHIN)
    assert ready.status_code == 503
    answer = running.get("/healthz")
    assert answer.status_code == 200, "it still serves"
    assert answer.headers["Connection"] == "close", "and asks its clients to come to others"
    running.process.send_signal(signal.SIGINT)  # whoever does not want to wait
    assert running.process.wait(timeout=WITHIN) == 0


@pytest.mark.slow
def test_new_workers_take_the_place_of_old_ones_without_being_unready(server: Serve) -> None:
    running = server().start()
    before = until(lambda: len(found := running.workers()) == 2 and found, what="two workers")
    os.kill(running.pid, signal.SIGHUP)

    def replaced() -> bool:
        assert running.get("/readyz").status_code == 200
        return len(running.workers()) == 2 and not before & running.workers()

    until(replaced, what="other workers")
    assert running.end() == 0


@pytest.mark.slow
def test_reads_of_the_last_moment_are_in_the_audit_after_an_orderly_stop(server: Serve, tmp_path: Path) -> None:
    running = server(mode="development").start()
    headers = {
        "X-Amz-Target": "AWSCognitoIdentityProviderService.ListUserPools",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": ANY_KEY,
    }
    url = f"http://127.0.0.1:{running.port}/"
    asked = [
        requests.post(url, json={"MaxResults": 1}, headers=headers, timeout=WITHIN).headers["x-amzn-RequestId"]
        for _ in range(3)
    ]
    assert running.end() == 0
    with closing(sqlite3.connect(tmp_path / "cognate.sqlite")) as database:
        told = database.execute("SELECT request_id FROM audit_event WHERE operation = 'ListUserPools'").fetchall()
    assert sorted(told) == sorted((one,) for one in asked)


@pytest.mark.slow
def test_a_certificate_that_is_replaced_is_used(server: Serve, tmp_path: Path) -> None:
    certificate, key = tmp_path / "chain.pem", tmp_path / "private.pem"
    make_certificate(certificate, key)
    running = server(tls_certificate=str(certificate), tls_key=str(key), base_url="https://localhost").start()
    first = ssl.get_server_certificate(("127.0.0.1", running.port), timeout=WITHIN)
    certificate.write_text("not one")
    until(lambda: "the workers stay as they are" in running.log, what="it to notice")
    assert ssl.get_server_certificate(("127.0.0.1", running.port), timeout=WITHIN) == first
    make_certificate(certificate, key)

    def another() -> bool:
        return ssl.get_server_certificate(("127.0.0.1", running.port), timeout=WITHIN) != first

    until(another, what="the new certificate")
    assert running.end() == 0


def make_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
