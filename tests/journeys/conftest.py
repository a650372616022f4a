"""The server of a journey: `cognate demo` in another process, on SQLite and on PostgreSQL, with real hashes.

One per engine and test process; journeys make users of their own and share it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from tests import postgres
from tests.journeys.applications import A, Install, Place
from tests.ports import free_port

WITHIN = 60
"""Seconds for a start or an answer; it takes about one, on a machine that has nothing else to do."""


@dataclass
class RunningServer:
    """A server and what its demo made."""

    directory: Path
    environ: dict[str, str]
    port: int
    command: tuple[str, ...] = (sys.executable, "-c", "from app.cli import main; main()", "demo")
    working_directory: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def base_url(self) -> str:
        return f"{'https' if self.environ.get('COGNATE_TLS') else 'http'}://localhost:{self.port}"

    @property
    def trusted(self) -> str | bool:
        """What `verify` of requests is told: the certificate that a server with COGNATE_TLS has made itself."""
        return str(self.directory / "tls-certificate.pem") if self.environ.get("COGNATE_TLS") else True

    @property
    def demo(self) -> dict[str, Any]:
        """The content of demo.json."""
        return json.loads((self.directory / "demo.json").read_text())

    @property
    def region(self) -> str:
        return self.demo["region"]

    def messages(self, to: str) -> list[dict[str, Any]]:
        """What the outbox has for an address, newest first."""
        answer = requests.get(f"{self.base_url}/dev/outbox.json", params={"to": to}, timeout=WITHIN)
        answer.raise_for_status()
        return answer.json()

    def start(self) -> None:
        """Start, and wait until it is ready. What it prints is in server.log in its directory."""
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.working_directory,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + WITHIN
        while True:
            try:
                if requests.get(f"{self.base_url}/readyz", timeout=WITHIN, verify=self.trusted).status_code == 200:
                    return
            except OSError:  # it does not listen yet, or has not made its certificate
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                pytest.fail(f"the server did not start:\n{(self.directory / 'server.log').read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> int:
        """As Ctrl-C does it: the whole process group is interrupted. Returns the exit status."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=WITHIN)

    def kill(self) -> None:
        """As a power cut does it."""
        assert self.process
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(timeout=WITHIN)


def prepared(directory: Path, database_url: str | None) -> RunningServer:
    """A server that has not been started; `database_url` None for the SQLite file that it makes itself."""
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COGNATE_")}
    environ |= {"COGNATE_MODE": "development", "COGNATE_DATA_DIR": str(directory), "COGNATE_PORT": str(port)}
    if database_url:
        environ["COGNATE_DATABASE_URL"] = database_url
    return RunningServer(directory, environ, port)


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that runs for all journeys."""
    directory = tmp_path_factory.mktemp("server")
    url = None
    if request.param == "postgresql":
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.create(f"journeys{free_port()}")
    running = prepared(directory, url)
    running.start()
    yield running
    assert running.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


def administrator(server: RunningServer) -> Any:
    """boto3's client of an administrator, who has an access key. To be closed."""
    key = server.demo["access_key"]
    return boto3.client(
        "cognito-idp",
        endpoint_url=server.base_url,
        region_name=server.region,
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        verify=server.trusted,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def admin(server: RunningServer) -> Iterator[Any]:
    client = administrator(server)
    yield client
    client.close()


@pytest.fixture
def install() -> Iterator[Install]:
    started: list[Any] = []

    def start(kind: Callable[[Place], A], place: Place) -> A:
        one = kind(place)
        started.append(one)
        return one

    yield start
    for one in started:
        one.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    """A server of one test's own, for tests that kill it."""
    url = None
    if request.param == "postgresql":
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.create(f"own{free_port()}")
    running = prepared(tmp_path, url)
    running.start()
    yield running
    running.kill()
