"""The command line: arguments in, tables out. Exit status 1 when an answer was wrong, 2 when nothing was measured."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from bench import against, report, target
from bench import ceilings as machine
from bench.ceilings import cores
from bench.figures import WARM_UP, Effort, Figures, measure
from bench.report import Report, Run
from bench.scenarios import BY_NAME, SCENARIOS, Empty, Scenario
from bench.site import Elsewhere, Site, address_of
from bench.target import SERVERS, NotStarted, Target
from bench.wire import BadAnswer
from tests import postgres

LONGEST_SECONDS = 600.0
MOST_CONVERSATIONS = 10_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say how it went."""
    options = parse(arguments)
    before = {number: signal.signal(number, _interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        facts = json.loads(options.facts.read_text()) if options.facts else {}
        earlier = json.loads(options.compare.read_text()) if options.compare else None
        if options.against:
            return against.run(options)
        found = run(options, facts)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (Elsewhere, NotStarted, BadAnswer, postgres.NotFound, OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if earlier is not None:
        print("\n" + report.plain(report.compared(found, earlier)))
    if options.json:
        options.json.write_text(json.dumps(found.as_json(), indent=2) + "\n")
    if options.document:
        report.replace_in(options.document, found)
    return 1 if found.errors else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m bench",
        description="Measure a server beside the limits of this machine. Without a URL one is started for it.",
    )
    parser.add_argument("url", nargs="?", help="a server that runs on this machine: its issuer, or discovery URL")
    parser.add_argument("--facts", type=Path, help="JSON like demo.json: clients, user, pool_id … of that server")
    parser.add_argument("--pid", type=int, help="its main process; found by its port otherwise")
    parser.add_argument("--server", choices=[*SERVERS, "both"], default="granian")
    parser.add_argument("--database", default="sqlite", help="sqlite (default), postgresql, both, or postgresql://…")
    parser.add_argument("--scenario", action="append", choices=list(BY_NAME), help="only this one; may be repeated")
    parser.add_argument("--seconds", type=_up_to(LONGEST_SECONDS), default=4.0, help="for each scenario (4)")
    parser.add_argument("--requests", type=int, default=MOST_CONVERSATIONS, help="conversations for each at most")
    parser.add_argument("--connections", type=int, default=8 * cores(), help="that ask at the same time (8 a core)")
    parser.add_argument("--generators", type=int, default=cores(), help="processes that ask (one a core)")
    parser.add_argument("--rate", type=_pace, help="also paced: conversations a second, or 70%% of the highest rate")
    parser.add_argument(
        "--setting", action="append", type=_setting, help="of the server, such as threads=1; may be repeated"
    )
    parser.add_argument("--starts", type=int, default=5, help="cold starts to take the median of (5)")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--compare", type=Path, help="a file that --json has written: print ratios to it")
    parser.add_argument("--against", metavar="REF", help="a commit whose server is measured in turn with this one's")
    parser.add_argument("--rounds", type=int, default=against.ROUNDS, help="of each, with --against (5)")
    parser.add_argument("--document", type=Path, help="replace the tables in this document: docs/performance.md")
    options = parser.parse_args(arguments)
    if min(options.connections, options.generators, options.requests) < 1:
        parser.error("connections, generators and requests are numbers above 0")
    if options.facts and not options.url:
        options.url = json.loads(options.facts.read_text()).get("discovery_url")
    if not (options.database in ("sqlite", "postgresql", "both") or options.database.startswith("postgresql")):
        parser.error("--database is sqlite, postgresql, both or a URL that begins with postgresql://")
    if options.against and (options.url or options.database not in ("sqlite", "postgresql") or options.rounds < 1):
        parser.error("--against starts both servers itself, on sqlite or postgresql, for one round at least")
    return options


def run(options: argparse.Namespace, facts: dict[str, Any]) -> Report:
    """Everything that was asked for, printed as soon as it is known."""
    limits = machine.measure(options.seconds)
    runs: list[Run] = []
    if options.url:
        site = Site.discover(options.url, facts)
        _print(report.ceilings_table(limits))
        running = target.running(site.discovery_url, facts, options.pid)
        runs.append(_measured(options, limits, running, "running", ""))
    else:
        servers = SERVERS if options.server == "both" else (options.server,)
        limits = replace(limits, http={server: _empty_request(options, limits, server) for server in servers})
        _print(report.ceilings_table(limits))
        with contextlib.ExitStack() as stack:
            databases = list(_databases(options.database, stack))
            for server in servers:
                for name, database in databases:
                    runs.append(_own(options, limits, server, name, database))
    known = report.conditions(
        connections=options.connections,
        generators=options.generators,
        seconds=options.seconds,
        **({"settings": dict(options.setting)} if options.setting else {}),
    )
    return Report(limits, runs, known)


class _Database:
    """Makes an empty database whenever one is asked for."""

    def __init__(self, server: postgres.Server | None = None, url: str | None = None) -> None:
        self._server = server
        self._url = url
        self._made = 0

    @property
    def own(self) -> bool:
        """Whether its processes are our children."""
        return self._server is not None and bool(target.postgres_processes())

    def url(self) -> str | None:
        if self._server is None:
            return self._url
        self._made += 1
        return self._server.create(f"bench{self._made}")


def _databases(wanted: str, stack: contextlib.ExitStack) -> Iterator[tuple[str, _Database]]:
    if wanted in ("sqlite", "both"):
        yield "SQLite", _Database()
    if wanted in ("postgresql", "both"):
        server = stack.enter_context(postgres.start())
        yield f"PostgreSQL {server.version}", _Database(server)
    if wanted.startswith("postgresql") and wanted != "postgresql":
        yield "PostgreSQL", _Database(url=wanted)


def _own(options: argparse.Namespace, limits: machine.Ceilings, server: str, name: str, database: _Database) -> Run:
    """A server of our own; then once more with a hash that costs nothing, for what remains without it."""
    users = target.USERS if any(scenario.people for scenario in _chosen(options)) else 1
    settings = dict(options.setting or [])
    with target.started(
        server,
        database.url(),
        settings=settings,
        starts=options.starts,
        users=users,
        own_database=database.own,
    ) as ours:
        run = _measured(options, limits, ours, server, name, quietly=True)
    with_hash = [figures for figures in run.figures if BY_NAME[figures.scenario].work.hashes and not figures.errors]
    if with_hash:
        effort = _effort(options)
        with target.started(server, database.url(), settings=settings | target.CHEAP_HASH) as ours:
            site = Site.discover(None, ours.facts)
            for figures in with_hash:
                scenario = BY_NAME[figures.scenario](site)
                aside = measure(scenario, ours.family, limits, effort, server=server, pace=None)
                figures.errors += aside.errors
                figures.messages += [f"without the hash: {message}" for message in aside.messages]
                figures.aside_us, figures.aside_measured = aside.server_us, not aside.errors
    _print_run(run, limits)
    return run


def _measured(
    options: argparse.Namespace,
    limits: machine.Ceilings,
    running: Target,
    server: str,
    database: str,
    *,
    quietly: bool = False,
) -> Run:
    site = Site.discover(running.url, running.facts)
    chosen = _chosen(options)
    possible = [scenario for scenario in chosen if scenario.possible(site)]
    if options.scenario and len(possible) < len(chosen):
        missing = ", ".join(scenario.name for scenario in chosen if scenario not in possible)
        raise Elsewhere(f"the facts do not suffice for {missing}")
    figures: list[Figures] = []
    for kind in possible:
        scenario: Scenario = kind(site)
        if sys.stderr.isatty():
            print(f"{server} {database}: {scenario.name} …", end="\033[K\r", file=sys.stderr, flush=True)
        one = measure(scenario, running.family, limits, _effort(options), server=running.server, pace=options.rate)
        figures.append(one)
    run = Run(server, database, figures, running.family.memory_mb(), report.median(running.starts))
    if not quietly:
        _print_run(run, limits)
    return run


def _empty_request(options: argparse.Namespace, limits: machine.Ceilings, server: str) -> float:
    """CPU microseconds of a request to the server around an application that does nothing."""
    with target.empty(server) as ours:
        site = Site(address_of(ours.url), ours.url, {}, {}, {})
        effort = replace(_effort(options), seconds=min(2.0, options.seconds))
        figures = measure(Empty(site), ours.family, limits, effort, server=None, pace=None)
    if figures.errors or figures.server_us is None:
        raise BadAnswer(f"the empty application on {server}: {'; '.join(figures.messages)}")
    return figures.server_us


def _chosen(options: argparse.Namespace) -> list[type[Scenario]]:
    return [BY_NAME[name] for name in options.scenario] if options.scenario else list(SCENARIOS)


def _effort(options: argparse.Namespace) -> Effort:
    return Effort(
        seconds=options.seconds,
        connections=options.connections,
        processes=options.generators,
        limit=options.requests,
        warm_up=min(WARM_UP, options.seconds / 2),
    )


def _print_run(run: Run, limits: machine.Ceilings) -> None:
    print(f"\n{run.title}")
    _print(report.run_table(run, limits))
    if paced := report.paced_table(run):
        print()
        _print(paced)
    for note in report.notes(run):
        print(note)


def _print(rows: Sequence[report.Row]) -> None:
    print(report.plain(rows), flush=True)


def _up_to(most: float) -> Any:
    def seconds(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"above 0, at most {most:g}")
        return value

    return seconds


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("name=value")
    return name, value


def _pace(text: str) -> str:
    value = float(text.removesuffix("%"))
    if value <= 0:
        raise argparse.ArgumentTypeError("above 0")
    return text


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Once: whoever presses Ctrl-C again while servers are being stopped would leave them running."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt
