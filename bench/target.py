"""Servers to measure: started here and stopped again, or found running; their CPU time and memory.

A server of our own gets a new data directory, is seeded by `cognate demo --seed-only`, and then serves as an
installation would: production mode, default settings, one worker for each core, its log in a file; and with a
customer's code in it (bench.customer), which only the scenario that is about it calls.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app import config
from app.config import Settings
from bench.ceilings import cores
from bench.load import Address
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ("granian", "gunicorn")
STARTS_WITHIN = 60.0
STOPS_WITHIN = 20.0
CHEAP_HASH = {"argon2_memory_kib": "8", "argon2_time": "1", "mode": "development"}
"""Argon2id in some ten microseconds: what then remains of a sign-in is all that is not the hash. Production refuses
to start with such hashes."""
USERS = 16
"""So that sign-ins do not queue for the row of one user, as no sign-ins of different people would."""
GUNICORN_LOG = "%(h)s %(m)s %(U)s %(s)s %(M)s ms"


class NotStarted(Exception):
    """A server that does not answer; the text has the end of its log."""


@dataclass
class Usage:
    """CPU seconds so far."""

    server: float | None
    database: float | None
    machine: float
    """Of everything that runs here."""


@dataclass
class Family:
    """A process and all its descendants: the server, with its workers. Unknown, when there is no process."""

    root: psutil.Process | None
    database: list[psutil.Process] = field(default_factory=list)

    def members(self) -> list[psutil.Process]:
        if self.root is None:
            return []
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def usage(self) -> Usage:
        """CPU time of user and system, over all processes that are there now."""
        server = _cpu(self.members()) if self.root else None
        database = _cpu(postgres_processes()) if self.database else None
        times = psutil.cpu_times()
        return Usage(server, database, sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)

    def pids(self) -> set[int]:
        return {process.pid for process in self.members()}

    def memory_mb(self) -> list[float]:
        """Resident megabytes of each worker, largest first; of the one process, when there is just one."""
        found = []
        for process in self.members()[1:] or self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                # What keeps semaphores for the parent is a process too, and no worker.
                if "resource_tracker" not in " ".join(process.cmdline()):
                    found.append(process.memory_info().rss / 1e6)
        return sorted(found, reverse=True)


@dataclass
class Target:
    """A server that runs."""

    url: str
    facts: dict[str, Any]
    family: Family
    server: str | None = None
    starts: list[float] = field(default_factory=list)
    """Seconds until the port answered, of each start."""


PATIENT = {"hash_wait": "30", "write_wait": "30"}
"""Settings of a server of which is measured how long something takes, also where that is long."""


class Installation:
    """A data directory, and the server on it. No limit for one address, account or client applies: the load comes from
    few of each, as the requests of real users do not."""

    def __init__(
        self,
        server: str,
        directory: Path,
        database_url: str | None,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] | None = None,
        *,
        root: Path = ROOT,
    ) -> None:
        """`program`: the command `cognate` of another checkout, which then also serves. `root`: another tree, which
        this checkout's interpreter serves."""
        self._server = server
        self._root = root
        self._program = program
        self._directory = directory
        self._port = free_port()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COGNATE_")}
        environ |= {"COGNATE_DATA_DIR": str(directory), "COGNATE_PORT": str(self._port)}
        # Requests are counted, as they are in production, and none is refused.
        environ |= {f"COGNATE_REQUESTS_PER_{whose}": "1000000" for whose in ("ADDRESS", "ACCOUNT", "CLIENT")}
        environ["COGNATE_PROVISIONED_LIMITS"] = "off"
        if database_url:
            environ["COGNATE_DATABASE_URL"] = database_url
        self._environ = environ | {f"COGNATE_{name.upper()}": value for name, value in (settings or {}).items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._directory / "demo.json").read_text())
        return found

    def seed(self) -> None:
        """Migrate and make the demo."""
        command = [*(self._program or _COGNATE), "demo", "--seed-only"]
        with self._log() as log:
            try:
                subprocess.run(
                    command,
                    cwd=self._root,
                    env=self._environ | {"COGNATE_MODE": "development"},
                    stdout=log,
                    stderr=log,
                    check=True,
                    timeout=STARTS_WITHIN,
                )
            except subprocess.SubprocessError as error:
                raise NotStarted(f"cognate demo --seed-only: {error}\n{self._log_end()}") from None

    def start(self) -> float:
        """Start, and wait for the first answer; returns the seconds that took."""
        began = time.monotonic()
        with self._log() as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self._root, env=self._environ, stdout=log, stderr=log, start_new_session=True
            )
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() - began > STARTS_WITHIN:
                self.stop()
                raise NotStarted(f"{self._server} does not answer:\n{self._log_end()}")
            time.sleep(0.002)
        return time.monotonic() - began

    def answers(self) -> bool:
        """Whether a request gets an answer, whatever it says."""
        return _answers(("127.0.0.1", self._port), self.url)

    def stop(self) -> None:
        """As Ctrl-C does it; then without asking."""
        process, self._process = self._process, None
        if process is not None:
            stop(process)

    def _command(self) -> list[str]:
        if self._program:
            return [*self._program, "serve"]
        if self._server == "granian":
            return [sys.executable, "-c", "from bench.customer import serve; serve()", "serve"]
        settings = config.read(self._environ)
        return [
            *(
                sys.executable,
                "-m",
                "gunicorn",
                "bench.customer:app",
                "--worker-class",
                "gthread",
                "--no-control-socket",
            ),
            *("--workers", str(settings.workers_or_cores), "--threads", str(settings.threads)),
            *("--bind", f"127.0.0.1:{self._port}", "--log-level", "warning"),
            *(("--access-logfile", "-", "--access-logformat", GUNICORN_LOG) if settings.access_log else ()),
        ]

    def _log(self) -> IO[bytes]:
        return (self._directory / "server.log").open("ab")

    def _log_end(self) -> str:
        return (self._directory / "server.log").read_text(errors="replace")[-4000:]


_COGNATE = (sys.executable, "-c", "from app.cli import main; main()")


@contextlib.contextmanager
def started(
    server: str,
    database_url: str | None,
    *,
    settings: Mapping[str, str] | None = None,
    starts: int = 1,
    users: int = USERS,
    own_database: bool = False,
    root: Path = ROOT,
) -> Iterator[Target]:
    """A server of our own, seeded, with so many users; gone afterwards, and its data with it. `root` is the tree that
    it is of.

    `settings` by their names in app/config.py. `own_database`: the PostgreSQL server is a child of this process too, so
    that its CPU time can be counted.
    """
    directory = Path(tempfile.mkdtemp(prefix="cognate-bench-"))
    installation = Installation(server, directory, database_url, PATIENT | dict(settings or {}), root=root)
    try:
        installation.seed()
        took = []
        for _ in range(max(1, starts)):
            installation.stop()
            took.append(installation.start())
        facts = installation.facts
        _furnish(installation.url, facts, users)
        family = Family(psutil.Process(installation.pid), postgres_processes() if own_database else [])
        yield Target(installation.url, facts, family, server, took)
    finally:
        installation.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def empty(server: str) -> Iterator[Target]:
    """The same server around an application that does nothing."""
    port = free_port()
    command = {
        "granian": [
            *(sys.executable, "-m", "granian", "bench.ceilings:empty", "--interface", "wsgi"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", str(cores())),
            *("--blocking-threads", str(Settings().threads), "--no-ws", "--log-level", "warning"),
        ],
        "gunicorn": [
            *(sys.executable, "-m", "gunicorn", "bench.ceilings:empty", "--worker-class", "gthread"),
            *("--workers", str(cores()), "--threads", str(Settings().threads), "--bind", f"127.0.0.1:{port}"),
            *("--no-control-socket", "--log-level", "warning"),
        ],
    }[server]
    url = f"http://localhost:{port}"
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + STARTS_WITHIN
        while not _answers(("127.0.0.1", port), url):
            if process.poll() is not None or time.monotonic() > end:
                raise NotStarted(f"{server} does not answer around the empty application")
            time.sleep(0.01)
        yield Target(url, {}, Family(psutil.Process(process.pid)), server)
    finally:
        kill(process)  # there is nothing that it would have to finish


def running(url: str, facts: dict[str, Any], pid: int | None) -> Target:
    """A server that somebody else has started. Its processes are found by its port, if this user may look."""
    return Target(url, facts, Family(_listening(url) if pid is None else psutil.Process(pid)))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process group; after a while, kill it. Nothing of it is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process group at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def postgres_processes() -> list[psutil.Process]:
    """Those of the PostgreSQL server that this process has started."""
    children = psutil.Process().children(recursive=True)
    found = []
    for process in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "postgres":
                found.append(process)
    return found


def _cpu(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _answers(address: Address, url: str) -> bool:
    """Whether a request gets an answer, whatever it says."""
    request = f"GET /healthz HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(12).startswith(b"HTTP/1.")
    except OSError:
        return False


def _listening(url: str) -> psutil.Process | None:
    """The eldest of the processes that listen on a port; workers of most servers share it with their parent."""
    port = urlsplit(url).port or 80
    try:
        pids = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid
        }
        eldest = psutil.Process(min(pids, key=lambda pid: psutil.Process(pid).create_time())) if pids else None
        while eldest is not None and (parent := eldest.parent()) is not None and parent.pid in pids:
            eldest = parent
    except psutil.Error:
        return None
    return eldest


def _furnish(url: str, facts: dict[str, Any], users: int) -> None:
    """What the demo has not: more people, a client whose refresh tokens rotate, a pool with second factors, in which no
    two connections are the same person's (a code is good once), one that asks the customer's code, and one whose
    users choose their first factor. Made by the demo's access key."""
    key = facts["access_key"]
    api = boto3.client(
        "cognito-idp",
        endpoint_url=url,
        region_name=facts["region"],
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        facts["users"] = [facts["user"], *create_people(api, facts["pool_id"], users - 1)]
        rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 30}
        facts["clients"]["rotating"] = create_client(api, facts["pool_id"], RefreshTokenRotation=rotation)
        pool = api.create_user_pool(PoolName="Bench")["UserPool"]["Id"]
        api.set_user_pool_mfa_config(
            UserPoolId=pool, SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="OPTIONAL"
        )
        people = max(users, 8 * cores())
        facts["second_factors"] = _another(api, facts, pool, people, ["ALLOW_USER_PASSWORD_AUTH"])
        called = {trigger: f"arn:aws:lambda:us-east-1:123456789012:function:{trigger}" for trigger in _TRIGGERS}
        pool = api.create_user_pool(PoolName="Bench", LambdaConfig=called)["UserPool"]["Id"]
        facts["customer"] = _another(api, facts, pool, people, ["ALLOW_CUSTOM_AUTH"])
        choice = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}
        pool = api.create_user_pool(PoolName="Bench", Policies={"SignInPolicy": choice})["UserPool"]["Id"]
        facts["choices"] = _another(api, facts, pool, users, ["ALLOW_USER_AUTH"])
    except (BotoCoreError, ClientError) as error:
        raise NotStarted(f"what the scenarios need could not be made: {error}") from None
    finally:
        api.close()


_TRIGGERS = ("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")


def _another(api: Any, facts: dict[str, Any], pool: str, people: int, flows: list[str]) -> dict[str, Any]:
    """The facts of a pool beside the demo's."""
    return {
        "pool_id": pool,
        "discovery_url": facts["discovery_url"].replace(facts["pool_id"], pool),
        "clients": {"spa": create_client(api, pool, ExplicitAuthFlows=flows, PreventUserExistenceErrors="ENABLED")},
        **{name: facts[name] for name in ("base_url", "region", "access_key")},
        "users": create_people(api, pool, people),
    }


def create_people(api: Any, pool_id: str, count: int) -> list[dict[str, str]]:
    """People like the demo's user."""
    made = []
    for number in range(count):
        user = {
            "username": f"bench{number}",
            "email": f"bench{number}@example.com",
            "password": f"Bench-{number}-pw",
        }
        attributes = {"email": user["email"], "email_verified": "true", "name": f"Bench {number}"}
        api.admin_create_user(
            UserPoolId=pool_id,
            Username=user["username"],
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
            MessageAction="SUPPRESS",
        )
        api.admin_set_user_password(
            UserPoolId=pool_id, Username=user["username"], Password=user["password"], Permanent=True
        )
        made.append(user)
    return made


def create_client(api: Any, pool_id: str, **settings: Any) -> dict[str, str]:
    settings = {"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"], **settings}
    made = api.create_user_pool_client(UserPoolId=pool_id, ClientName="Bench", **settings)
    return {"client_id": made["UserPoolClient"]["ClientId"]}
