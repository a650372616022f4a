"""Two servers of PostgreSQL, one of which follows the other by streaming replication: to freeze, and to take over."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from tests import postgres
from tests.ports import free_port

WITHIN = 60
"""Seconds for the standby to catch up, or to take over; it takes a fraction of one."""


@dataclass(frozen=True)
class Node:
    keeper: postgres.Keeper
    server: postgres.Server
    home: Path
    bin: Path
    port: int

    @property
    def address(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def ask(self, statement: str) -> Any:
        with psycopg.connect(self.address, autocommit=True, connect_timeout=WITHIN) as connection:
            return (connection.execute(statement).fetchone() or (None,))[0]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its processes stand still, while the system goes on to acknowledge what is sent to them."""
        self.keeper.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.keeper.signal(signal.SIGCONT)


@dataclass(frozen=True)
class Pair:
    primary: Node
    standby: Node

    @property
    def url(self) -> str:
        """Of both, in the order of their names in a file of settings: whoever writes is led to the one that can."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    def caught_up(self) -> None:
        """Wait until the standby has all that the primary has."""
        position = self.primary.ask("SELECT pg_current_wal_insert_lsn()")
        _wait(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{position}'")

    def promote(self) -> None:
        self.standby.ask(f"SELECT pg_promote(true, {WITHIN})")


def _wait(node: Node, statement: str) -> None:
    end = time.monotonic() + WITHIN
    while not node.ask(statement):
        if time.monotonic() > end:
            raise TimeoutError(statement)
        time.sleep(0.02)


@contextmanager
def node(primary: str = "") -> Iterator[Node]:
    bin, home = postgres.programs()
    port = free_port()
    keeper = postgres.Keeper(home, bin, primary=primary, listen_addresses="127.0.0.1", port=str(port))
    admin = URL.create("postgresql+psycopg", "postgres", host="127.0.0.1", port=port, database="postgres")
    with postgres.Server(admin, keeper=keeper) as server:
        yield Node(keeper, server, home, bin, port)


@contextmanager
def pair() -> Iterator[Pair]:
    """Raises postgres.NotFound where there is nothing to start a server with."""
    with node() as primary, node(primary.address) as standby:
        yield Pair(primary, standby)
