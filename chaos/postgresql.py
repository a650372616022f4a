"""A PostgreSQL server to be harmed: it listens on TCP, can be frozen, stopped, copied and promoted.

The programs are those that tests/postgres.py finds; nothing but `initdb` and `postgres` is needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg

from chaos.processes import WITHIN, frozen
from tests import postgres
from tests.ports import free_port

DATABASE = "cognate"


class Cluster:
    """A directory of data, and the server on it while it runs."""

    def __init__(self, bin: Path, data: Path, settings: tuple[str, ...] = ()) -> None:
        self._bin = bin
        self.data = data
        self._settings = settings
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"

    def initialize(self) -> None:
        command = [
            str(self._bin / "initdb"),
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run([*command, "--no-sync"], check=True, stdout=subprocess.DEVNULL, **postgres.server_user())

    def start(self) -> None:
        # What a crash of PostgreSQL itself could lose without these is not what is looked at here.
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "60",
            "wal_level": "replica",
        }
        given = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *given, *self._settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **postgres.server_user(),
            )
        end = time.monotonic() + WITHIN
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise postgres.NotFound(f"PostgreSQL does not start: {error}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """As an administrator does it, who does not wait for clients to disconnect."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def connect(self, database: str = DATABASE) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, connect_timeout=10, autocommit=True
        )

    def frozen(self) -> contextlib.AbstractContextManager[None]:
        """Connections are accepted by the kernel, and nothing is said on any of them."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        return frozen([postmaster.pid, *(child.pid for child in postmaster.children(recursive=True))])

    def copied(self, data: Path, *, follows: Cluster | None = None, settings: tuple[str, ...] = ()) -> Cluster:
        """Another server on a copy of the data of this one, which does not run; it follows the one that is named."""
        shutil.copytree(self.data, data, symlinks=True)
        for directory, _, names in os.walk(self.data):
            there = data / Path(directory).relative_to(self.data)
            for name in ("", *names):
                before = (Path(directory) / name).stat()
                os.chown(there / name, before.st_uid, before.st_gid)
        if follows is not None:
            (data / "standby.signal").touch()
            where = f"host=127.0.0.1 port={follows.port} user=postgres application_name=standby"
            settings = (*settings, "-c", f"primary_conninfo={where}", "-c", "hot_standby=on")
        return Cluster(self._bin, data, settings)

    def promote(self) -> None:
        with self.connect("postgres") as connection:
            connection.execute("SELECT pg_promote(true, 60)")
