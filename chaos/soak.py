"""Minutes of mixed load: whether the memory, descriptors, threads and database connections of each process stay what
they are."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass

import psutil

from bench.scenarios import CodeFlow, Jwks, Password, Refresh, Srp, UserInfo
from bench.target import Family
from chaos.conversations import Codes, SignUp
from chaos.trial import Trial, failures

MINUTES = 10.0
SAMPLES = 120
GROWTH, GROWTH_MB = 0.05, 8.0
"""Of memory, from the second quarter to the last: what a cache may still gain. More is a leak."""
MORE = 4
"""Descriptors, threads or connections of the last quarter above those of the second."""


@dataclass(frozen=True)
class Sample:
    """A process at one moment."""

    pid: int
    memory_mb: float
    descriptors: int
    threads: int
    connections: int
    """To the database: sockets to its port, or descriptors of its file."""


def samples(trial: Trial) -> list[Sample]:
    """All processes of the server, the parent first."""
    cluster = trial.prepared.cluster
    found = []
    for process in Family(psutil.Process(trial.server.pid)).members():
        with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
            if "resource_tracker" in " ".join(process.cmdline()):
                continue
            if cluster is not None:
                links = process.net_connections("tcp")
                connections = sum(bool(one.raddr) and one.raddr.port == cluster.port for one in links)
            else:
                connections = sum(one.path.endswith("cognate.sqlite") for one in process.open_files())
            memory = process.memory_info().rss / 1e6
            found.append(Sample(process.pid, memory, process.num_fds(), process.num_threads(), connections))
    return found


def soak(trial: Trial, minutes: float) -> None:
    """Mixed load for so long; then one claim for each process and each thing that may grow."""
    trial.serve()
    site = trial.site
    more = [(Srp(site), 1), (CodeFlow(site), 1)]
    usual = [(Jwks(site), 8), (UserInfo(site), 8), (Refresh(site), 4), (Password(site), 3), (SignUp(site), 1)]
    load = trial.ask([*usual, (Codes(site), 3), *more])
    seen: dict[int, list[Sample]] = {}
    end = time.monotonic() + 60 * minutes
    with trial.phase("undisturbed"):
        while time.monotonic() < end:
            time.sleep(60 * minutes / SAMPLES)
            for one in samples(trial):
                seen.setdefault(one.pid, []).append(one)
    load.stop()
    asked = trial.figures("undisturbed")
    trial.claim("no request fails or is refused", asked.answered == asked.asked > 0, failures(asked))
    whole = {pid: found for pid, found in seen.items() if len(found) >= 0.9 * max(map(len, seen.values()))}
    trial.claim("no process ends or begins", len(whole) == len(seen), f"{len(seen)} processes")
    for pid, found in whole.items():
        name = "parent" if pid == trial.server.pid else f"worker {pid}"
        _judge(trial, name, found)
    trial.nothing_is_lost()


def _judge(trial: Trial, name: str, found: list[Sample]) -> None:
    quarter = len(found) // 4
    before, after = found[quarter : 2 * quarter], found[-quarter:]
    for what, most in (("memory_mb", None), ("descriptors", MORE), ("threads", MORE), ("connections", MORE)):
        then, now = (statistics.median(getattr(one, what) for one in part) for part in (before, after))
        allowed = most if most is not None else max(GROWTH_MB, GROWTH * then)
        shown = f"{getattr(found[0], what):.0f} at first, then {then:.0f}, at last {now:.0f}"
        trial.claim(f"{what.replace('_mb', ' in MB')} of the {name} stays flat", now - then <= allowed, shown)
