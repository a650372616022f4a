"""The command line: faults in, a table out. Exit status 1 when a verdict is FAIL, 2 when nothing could be tried."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import chaos.faults  # noqa: F401 - puts them on the list
from bench.report import plain
from chaos import report
from chaos.server import FEW, PEOPLE, Seeds
from chaos.soak import MINUTES, soak
from chaos.trial import FAULTS, Database, Fault, Finding, attempt

DATABASES: dict[str, Database] = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try each fault that was chosen, and say how it went."""
    options = parse(arguments)
    if options.list:
        for one in FAULTS.values():
            print(f"{one.name:30} {', '.join(one.databases):20} {one.about}")
        return 0
    before = signal.signal(signal.SIGTERM, _interrupted)
    findings: list[Finding] = []
    try:
        for finding in run(options):
            findings.append(finding)
            print(report.details(finding) + "\n", flush=True)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
        if findings:
            print(plain(report.table(findings)), flush=True)
        if options.json:
            options.json.write_text(json.dumps([one.as_json() for one in findings], indent=2) + "\n")
    if not findings:
        return 2
    return 1 if any(one.verdict == "FAIL" for one in findings) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m chaos", description="Break something under a server that is asked all the while, and see."
    )
    parser.add_argument("faults", nargs="*", metavar="fault", help="only these; --list shows all")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument("--short", action="store_true", help="seconds for each: facts, and figures that mean little")
    parser.add_argument("--soak", action="store_true", help="mixed load in place of faults")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of the soak (10)")
    parser.add_argument("--database", choices=[*DATABASES, "both"], help="only this one; of the soak: postgresql")
    parser.add_argument(
        "--server",
        type=Path,
        default=Path(sys.executable).with_name("cognate"),
        help="the command `cognate` of the checkout to be tried; this one's otherwise",
    )
    parser.add_argument("--json", type=Path, help="write all findings to this file")
    options = parser.parse_args(arguments)
    options.server = options.server.absolute()
    if not options.server.is_file():
        parser.error(f"{options.server} is not there")
    if unknown := [name for name in options.faults if name not in FAULTS]:
        parser.error(f"no fault is called {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    if options.soak and options.faults:
        parser.error("a soak has no faults")
    return options


def run(options: argparse.Namespace) -> Iterator[Finding]:
    """Each finding as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="cognate-chaos-") as directory:
        home = Path(directory)
        seeds = Seeds(options.server, home, people=FEW if options.short else PEOPLE)
        try:
            for chosen, database in _chosen(options):
                began = time.monotonic()
                print(f"{chosen.name}, {database} …", file=sys.stderr, flush=True)
                aside = Path(tempfile.mkdtemp(dir=home))
                finding = attempt(
                    chosen, database, program=options.server, seeds=seeds, home=aside, short=options.short
                )
                finding.notes.append(f"took {time.monotonic() - began:.0f} s")
                yield finding
        finally:
            seeds.remove()


def _chosen(options: argparse.Namespace) -> Iterator[tuple[Fault, Database]]:
    wanted = None if options.database in (None, "both") else DATABASES[options.database]
    if options.soak:
        databases = tuple(DATABASES.values()) if options.database == "both" else (wanted or "PostgreSQL",)
        faults = [Fault("soak", lambda trial: soak(trial, options.minutes), databases)]
    else:
        faults = [FAULTS[name] for name in options.faults] or list(FAULTS.values())
    for one in faults:
        narrowed = replace(one, databases=tuple(name for name in one.databases if wanted in (None, name)))
        for database in narrowed.databases:
            yield narrowed, database


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
