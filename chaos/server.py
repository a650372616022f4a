"""The server that is harmed: `cognate serve` of any checkout, in production mode, on data made once and copied."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.site import WELL_KNOWN, Site, fetch
from bench.target import STOPS_WITHIN, Family, Installation, create_client, create_people
from chaos.conversations import administrator
from chaos.postgresql import DATABASE, Cluster
from tests import postgres

WORKERS = 2
PEOPLE, FEW = 40, 10
"""Of the long form and the short one. Sign-ins of one user wait for each other, so there have to be several."""
SETTINGS = {"workers": str(WORKERS), "sign_ups_per_network": "0", "codes_per_address": "0"}
"""All else is as an operator finds it: how long a request waits before it is refused is part of what is measured."""

_TROUBLE = re.compile(r" (WARNING|ERROR|CRITICAL) |^\w*Error")


class Cognate(Installation):
    """One server, with its own data directory and port."""

    def __init__(
        self,
        program: Path,
        directory: Path,
        database_url: str | None,
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("cognate", directory, database_url, SETTINGS | dict(settings or {}), (str(program),))
        self._environ |= dict(environ or {})
        self.directory = directory

    @property
    def port(self) -> int:
        return self._port

    @property
    def process(self) -> Any:
        assert self._process is not None
        return self._process

    def answers(self) -> bool:
        if not self._environ.get("COGNATE_TLS_CERTIFICATE"):
            return super().answers()
        with contextlib.suppress(OSError):
            self.certificate()
            return True
        return False

    def certificate(self) -> bytes:
        """The one that it shows now, in DER."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is compared, not believed
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                shown = secured.getpeercert(binary_form=True)
                assert shown
                return shown

    def site(self, base_url: str | None = None) -> Site:
        """What there is to ask, at this server or by way of a proxy with this base URL."""
        known = (self.directory / "chaos.json").read_text()
        before = json.loads(known)["base_url"]
        facts = json.loads(known.replace(before, base_url or self.url))
        if base_url is None:
            return Site.discover(None, facts)
        plain = fetch(("127.0.0.1", self._port), self.url + facts["discovery_url"].removeprefix(base_url)).expect(200)
        jwks = fetch(("127.0.0.1", self._port), self.url + f"/{facts['pool_id']}/.well-known/jwks.json").expect(200)
        port = int(base_url.rpartition(":")[2])
        return Site(("127.0.0.1", port), facts["issuer"] + WELL_KNOWN, plain.json(), jwks.json(), facts)

    def https_site(self) -> Site:
        """Of a server that ends TLS itself: only where it is and what its URL is."""
        facts = {"base_url": f"https://localhost:{self._port}"}
        return Site(("127.0.0.1", self._port), facts["base_url"], {}, {}, facts)

    def furnish(self, people: int) -> None:
        """What the demo has not: more users, and two pools in which anybody may sign up, one of which sends codes."""
        facts = self.facts
        api = administrator(facts)
        with contextlib.closing(api):
            facts["users"] = [facts["user"], *create_people(api, facts["pool_id"], people - 1)]
            for name, mailed in (("sign_ups", []), ("mailed", ["email"])):
                pool = api.create_user_pool(PoolName=name, AutoVerifiedAttributes=mailed)["UserPool"]["Id"]
                facts[name] = {"pool_id": pool, **create_client(api, pool)}
        (self.directory / "chaos.json").write_text(json.dumps(facts))

    def workers(self) -> list[int]:
        """What serves: all descendants but what Python keeps beside them for itself."""
        found = []
        for process in Family(psutil.Process(self.pid)).members()[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and "resource_tracker" not in " ".join(process.cmdline()):
                    found.append(process.pid)
        return found

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = 5) -> list[str]:
        """The last lines of the log that tell of trouble."""
        found = (self.directory / "server.log").read_text(errors="replace").splitlines()
        return [line[:300] for line in found if _TROUBLE.search(line)][-lines:]

    def end(self) -> int | None:
        """Told to stop as a supervisor does it. Its exit status; None when it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return int(self.process.wait(STOPS_WITHIN + 40))
        except subprocess.TimeoutExpired:
            return None


@dataclass
class Prepared:
    """Seeded data: the server's directory, and with PostgreSQL that of its cluster."""

    directory: Path
    cluster: Cluster | None = None


class Seeds:
    """Makes data to serve once for each database, and copies it."""

    def __init__(self, program: Path, home: Path, *, people: int) -> None:
        self._people = people
        self._program = program
        self._home = home
        self._made: dict[str, Prepared] = {}
        self._postgres: tuple[Path, Path] | None = None
        self._copies = 0

    def copy(self, database: str) -> Prepared:
        """Data of one's own; the cluster, if there is one, does not run yet."""
        if database not in self._made:
            self._made[database] = self._make(database)
        made = self._made[database]
        self._copies += 1
        directory = self._home / f"{self._copies}"
        shutil.copytree(made.directory, directory)
        if made.cluster is None:
            return Prepared(directory)
        assert self._postgres is not None
        return Prepared(directory, made.cluster.copied(self._postgres[1] / f"{self._copies}"))

    def _make(self, database: str) -> Prepared:
        directory = self._home / database.lower()
        directory.mkdir()
        cluster = self._cluster() if database == "PostgreSQL" else None
        server = Cognate(self._program, directory, cluster.url if cluster else None)
        try:
            server.seed()
            server.start()
            server.furnish(self._people)
        finally:
            server.stop()
            if cluster is not None:
                cluster.stop()
        return Prepared(directory, cluster)

    def _cluster(self) -> Cluster:
        if self._postgres is None:
            self._postgres = postgres.programs()
        bin, home = self._postgres
        cluster = Cluster(bin, home / "seed")
        cluster.initialize()
        cluster.start()
        with cluster.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        return cluster

    def remove(self) -> None:
        if self._postgres is not None:
            shutil.rmtree(self._postgres[1], ignore_errors=True)


def several_hosts(clusters: Sequence[Cluster]) -> str:
    """The URL of whichever of these servers takes writes."""
    hosts = "&".join(f"host=127.0.0.1:{one.port}" for one in clusters)
    return f"postgresql://postgres@/{DATABASE}?{hosts}&target_session_attrs=read-write"
