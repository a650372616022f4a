"""One run of one scenario against one server, and the figures that come of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.ceilings import Ceilings
from bench.load import generators
from bench.scenarios import Scenario
from bench.target import Family, Usage
from bench.wire import BadAnswer

WARM_UP = 1.0


@dataclass(frozen=True)
class Effort:
    """How much is asked, by how many."""

    seconds: float
    connections: int
    processes: int
    limit: int
    warm_up: float = WARM_UP


@dataclass
class Figures:
    """What was measured. Times of the server and the database are CPU microseconds for one conversation."""

    scenario: str
    requests: int
    """Requests in one conversation."""
    conversations: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    p50: float = 0.0
    """Milliseconds, for the whole conversation."""
    p99: float = 0.0
    server_us: float | None = None
    database_us: float | None = None
    generator_us: float = 0.0
    generator_share: float = 0.0
    others: float = 0.0
    """Cores that were busy with neither server nor database nor generator: with other jobs."""
    ceiling_us: float = 0.0
    errors: int = 0
    messages: list[str] = field(default_factory=list)
    aside_us: float | None = None
    """The server's CPU microseconds without the password hash, for conversations that have one."""
    aside_measured: bool = False
    """Whether that was measured with a hash that costs nothing, or only subtracted."""
    paced: dict[str, float] = field(default_factory=dict)
    """At a given rate, if that was asked for: `rate`, `p50`, `p99`."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    scenario: Scenario, family: Family, ceilings: Ceilings, effort: Effort, *, server: str | None, pace: str | None
) -> Figures:
    """Measure at the highest rate; then, if a pace is given (`200`, or `70%` of the highest), at that as well."""
    work, requests = scenario.work, scenario.requests
    figures = Figures(scenario.name, requests, ceiling_us=ceilings.of(work, requests=requests, server=server))
    try:
        _saturated(scenario, family, effort, figures)
        if pace is not None and not figures.errors:
            rate = figures.rate * float(pace[:-1]) / 100 if pace.endswith("%") else float(pace)
            if rate > 0:
                _paced(scenario, effort, rate, figures)
    except BadAnswer as bad:
        _failed(figures, str(bad))
    if work.hashes and figures.server_us is not None:
        figures.aside_us = figures.server_us - work.hashes * ceilings.argon2id_busy
    return figures


def _saturated(scenario: Scenario, family: Family, effort: Effort, figures: Figures) -> None:
    used: list[Usage] = []
    pids: list[set[int]] = []

    def look() -> None:
        used.append(family.usage())
        pids.append(family.pids())

    outcome, took = _run(scenario, effort, None, look)
    _note(figures, outcome.errors, outcome.messages)
    if pids[0] != pids[1]:
        _failed(figures, "a process of the server ended or began while it was measured")
    done = len(outcome.seconds)
    if not done:
        _failed(figures, "not one conversation was finished")
        return
    figures.conversations, figures.seconds, figures.rate = done, took, done / took
    figures.p50, figures.p99 = (1000 * percentile(outcome.seconds, part) for part in (0.50, 0.99))
    figures.server_us = _each(used, lambda usage: usage.server, done)
    figures.database_us = _each(used, lambda usage: usage.database, done)
    figures.generator_us = outcome.generator_cpu / done * 1e6
    ours = sum((after or 0) - (before or 0) for before, after in zip(*map(_parts, used), strict=True))
    figures.others = max(0.0, used[1].machine - used[0].machine - ours - outcome.generator_cpu) / took
    figures.generator_share = outcome.generator_share


def _paced(scenario: Scenario, effort: Effort, rate: float, figures: Figures) -> None:
    outcome, took = _run(scenario, effort, rate, lambda: None)
    _note(figures, outcome.errors, outcome.messages)
    if outcome.seconds:
        p50, p99 = (1000 * percentile(outcome.seconds, part) for part in (0.50, 0.99))
        figures.paced = {"rate": len(outcome.seconds) / took, "p50": p50, "p99": p99}


def _run(scenario: Scenario, effort: Effort, rate: float | None, look: Callable[[], None]) -> Any:
    # Who is to see arrivals wait for the server, and not for a connection, needs more connections.
    connections = effort.connections * (4 if rate else 1)
    with generators(scenario, processes=effort.processes, connections=connections) as ready:
        return ready.run(warm_up=effort.warm_up, seconds=effort.seconds, limit=effort.limit, rate=rate, at=look)


def _note(figures: Figures, errors: int, messages: list[str]) -> None:
    figures.errors += errors
    figures.messages += [message for message in messages if message not in figures.messages]


def _failed(figures: Figures, message: str) -> None:
    _note(figures, 1, [message])


def _parts(usage: Usage) -> tuple[float | None, float | None]:
    return usage.server, usage.database


def _each(used: list[Usage], part: Callable[[Usage], float | None], done: int) -> float | None:
    before, after = part(used[0]), part(used[1])
    return None if before is None or after is None else (after - before) / done * 1e6


def percentile(values: list[float], part: float) -> float:
    """The value that this part of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
