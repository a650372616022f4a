"""Two trees measured in turn, on one machine, in the same minutes: this one, and that of another commit.

A figure of yesterday is of yesterday's neighbours. Here each round measures both, one right after the other, and the
ratio of the two is what counts: the median of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import ceilings as machine
from bench import report, target
from bench.ceilings import Ceilings
from bench.figures import WARM_UP, Effort, measure
from bench.report import Row
from bench.scenarios import BY_NAME, SCENARIOS, Scenario
from bench.site import Site
from bench.target import ROOT, USERS, NotStarted, Target
from bench.wire import BadAnswer
from tests import postgres

ROUNDS = 5


@dataclass(frozen=True)
class Compared:
    """CPU microseconds of one conversation in each round."""

    scenario: str
    then: Sequence[float]
    now: Sequence[float]

    @property
    def ratio(self) -> float:
        """Below 1: this tree takes less."""
        return statistics.median(now / then for now, then in zip(self.now, self.then, strict=True))


def run(options: argparse.Namespace) -> int:
    """Measure, print, and return the exit status. Password hashes cost nothing: they are the same in both trees.

    Raises NotStarted, BadAnswer, OSError.
    """
    limits = machine.measure(options.seconds)
    effort = Effort(
        seconds=options.seconds,
        connections=options.connections,
        processes=options.generators,
        limit=options.requests,
        warm_up=min(WARM_UP, options.seconds / 2),
    )
    chosen = [BY_NAME[name] for name in options.scenario] if options.scenario else list(SCENARIOS)
    settings = dict(options.setting or []) | target.CHEAP_HASH
    found: list[Compared] = []
    with contextlib.ExitStack() as stack:
        servers = []
        database = stack.enter_context(postgres.start()) if options.database == "postgresql" else None
        for number, root in enumerate((stack.enter_context(tree(options.against)), ROOT)):
            url = database.create(f"against{number}") if database is not None else None
            server = options.server if options.server != "both" else "granian"
            started = target.started(server, url, settings=settings, users=USERS, root=root)
            servers.append(stack.enter_context(started))
        for kind in chosen:
            found.append(_compared(kind, servers, limits, effort, options.rounds))
            print(f"{kind.name}: {found[-1].ratio:.2f}", flush=True)
    print()
    print(report.plain(table(options.against, found, limits)))
    return 0


def _compared(
    kind: type[Scenario], servers: Sequence[Target], limits: Ceilings, effort: Effort, rounds: int
) -> Compared:
    scenarios = [kind(Site.discover(None, server.facts)) for server in servers]
    took: list[list[float]] = [[], []]
    for _ in range(rounds):
        for which, (scenario, server) in enumerate(zip(scenarios, servers, strict=True)):
            one = measure(scenario, server.family, limits, effort, server=None, pace=None)
            if one.errors or one.server_us is None:
                raise BadAnswer(f"{kind.name}, {('then', 'now')[which]}: {'; '.join(one.messages) or 'no CPU time'}")
            took[which].append(one.server_us)
    return Compared(kind.name, *took)


def table(ref: str, found: Sequence[Compared], limits: Ceilings) -> list[Row]:
    """Medians in microseconds and in units, and the median of the rounds' ratios."""
    rows: list[Row] = [(f"against {ref}", "then µs", "now µs", "then R", "now R", "then P", "now P", "ratio")]
    for one in found:
        then, now = statistics.median(one.then), statistics.median(one.now)
        in_units = [f"{value / unit:.2f}" for unit in (limits.r, limits.python_busy) for value in (then, now)]
        rows.append((one.scenario, f"{then:.0f}", f"{now:.0f}", *in_units, f"{one.ratio:.2f}"))
    return rows


@contextlib.contextmanager
def tree(ref: str) -> Iterator[Path]:
    """The files of a commit, in a directory that is gone afterwards. Raises NotStarted."""
    with tempfile.TemporaryDirectory(prefix="cognate-against-") as folder:
        root = Path(folder) / "tree"
        try:
            _git("worktree", "add", "--quiet", "--detach", str(root), ref)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or error
            raise NotStarted(f"there is no tree of {ref}: {said}") from None
        try:
            yield root
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                _git("worktree", "remove", "--force", str(root))


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True)
