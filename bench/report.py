"""Figures as tables, as JSON, and beside those of an earlier run."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.ceilings import Ceilings
from bench.figures import Figures
from bench.scenarios import BY_NAME

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
MEMORY_BUDGET_MB = 160
START_BUDGET_S = 1.5
TAIL_BUDGET = 10
SATURATED = 0.9
ALONE = 0.15
"""Cores that the rest of a quiet machine may use."""

Row = tuple[str, ...]


@dataclass
class Run:
    """One server on one database."""

    server: str
    database: str
    figures: list[Figures]
    memory_mb: list[float] = field(default_factory=list)
    start_s: float | None = None

    @property
    def title(self) -> str:
        return f"{self.server}, {self.database}" if self.database else self.server

    @property
    def errors(self) -> int:
        return sum(figures.errors for figures in self.figures)


@dataclass
class Report:
    """All of an invocation."""

    ceilings: Ceilings
    runs: list[Run]
    conditions: dict[str, Any]

    @property
    def errors(self) -> int:
        return sum(run.errors for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        return {
            "conditions": self.conditions,
            "ceilings": self.ceilings.as_json(),
            "runs": [
                {
                    "server": run.server,
                    "database": run.database,
                    "memory_mb": run.memory_mb,
                    "start_s": run.start_s,
                    "scenarios": [figures.as_json() for figures in run.figures],
                }
                for run in self.runs
            ],
        }


def conditions(**more: Any) -> dict[str, Any]:
    """What has to be known to compare two runs; nothing that names the machine."""
    packages = {name: version(name) for name in ("granian", "gunicorn", "flask", "authlib", "sqlalchemy")}
    return {"python": platform.python_version(), "cryptography": version("cryptography"), **packages, **more}


def verdict(name: str, in_r: float) -> str:
    """How a cost in R stands to the budget of a scenario."""
    scenario = BY_NAME[name]
    if in_r <= scenario.target:
        return "target"
    return "budget" if in_r <= scenario.budget else "OVER"


def ceilings_table(ceilings: Ceilings) -> list[Row]:
    """The machine's limits."""
    rows: list[Row] = [("machine", "µs", "R", f"/s on {ceilings.cores} cores")]
    lines = {
        "RSA-2048 signature": ceilings.rsa_sign,
        "RSA-2048 verification": ceilings.rsa_verify,
        "Argon2id, one core busy": ceilings.argon2id,
        "Argon2id, all cores busy": ceilings.argon2id_busy,
        "SRP, both server steps": ceilings.srp,
        "Python (P), all cores busy": ceilings.python_busy,
        **{f"empty request, {server}": cost for server, cost in sorted(ceilings.http.items())},
    }
    for what, cost in lines.items():
        # Argon2id on one core says nothing about all of them.
        per_second = "" if "one core" in what else _count(ceilings.per_second(cost))
        rows.append((what, _count(cost), f"{cost / ceilings.r:.2f}", per_second))
    return rows


def run_table(run: Run, ceilings: Ceilings) -> list[Row]:
    """The scenarios of a run, one line each, and one more for what has a hash, without it."""
    rows: list[Row] = [
        ("scenario", "/s", "ceiling /s", "p50 ms", "p99 ms", "CPU µs", "R", "P", "budget", "target", "within")
        + ("database µs", "generator µs", "errors")
    ]
    for one in run.figures:
        hashed = BY_NAME[one.scenario].work.hashes > 0
        judged = None if hashed else one.server_us
        rows.append(
            (
                one.scenario,
                _count(one.rate) + ("*" if one.generator_share > SATURATED else ""),
                _count(ceilings.per_second(one.ceiling_us)) if one.ceiling_us else "",
                _milliseconds(one.p50),
                _milliseconds(one.p99),
                _count(one.server_us),
                _in_r(one.server_us, ceilings),
                _in_p(one.server_us, ceilings),
                *(_judged(one.scenario, judged, ceilings) if not hashed else ("", "", "")),
                _count(one.database_us),
                _count(one.generator_us),
                str(one.errors),
            )
        )
        if hashed:
            about = "" if one.aside_measured else "~"
            rows.append(
                (
                    "  without the hash" + (" (subtracted)" if about else ""),
                    *("", "", "", ""),
                    about + _count(one.aside_us) if one.aside_us is not None else "",
                    about + _in_r(one.aside_us, ceilings) if one.aside_us is not None else "",
                    about + _in_p(one.aside_us, ceilings) if one.aside_us is not None else "",
                    *_judged(one.scenario, one.aside_us, ceilings),
                    *("", "", ""),
                )
            )
    return rows


def paced_table(run: Run) -> list[Row]:
    """Waiting times at a given rate; empty when none was asked for."""
    rows: list[Row] = [("scenario, paced", "/s", "p50 ms", "p99 ms", "p99 / p50", "within")]
    for one in run.figures:
        if one.paced:
            ratio = one.paced["p99"] / one.paced["p50"]
            within = "budget" if ratio <= TAIL_BUDGET else "OVER"
            p50, p99 = _milliseconds(one.paced["p50"]), _milliseconds(one.paced["p99"])
            rows.append((one.scenario, _count(one.paced["rate"]), p50, p99, f"{ratio:.1f}", within))
    return rows if len(rows) > 1 else []


def notes(run: Run) -> Iterable[str]:
    """What a table has no room for."""
    if run.memory_mb:
        within = "within" if max(run.memory_mb) <= MEMORY_BUDGET_MB else "OVER"
        each = " ".join(f"{size:.0f}" for size in run.memory_mb)
        yield f"Resident after the run: {each} MB, one worker each ({within} the budget of {MEMORY_BUDGET_MB})."
    if run.start_s is not None:
        within = "within" if run.start_s <= START_BUDGET_S else "OVER"
        yield f"Port answers {run.start_s:.2f} s after the start ({within} the budget of {START_BUDGET_S})."
    if any(one.generator_share > SATURATED for one in run.figures):
        yield "* The load generator had no time left: the server could do more than this rate."
    yield others_note([run]).replace("*", "")
    if any(one.server_us is None for one in run.figures if one.conversations):
        yield "The server's processes are not known or may not be looked at (--pid): no CPU time."
    for one in run.figures:
        for message in one.messages:
            yield f"{one.scenario}: {message}"


def compared(report: Report, earlier: dict[str, Any]) -> list[Row]:
    """Ratios to an earlier run, R taken as it was then; below 1 is cheaper, for the rate above 1 is faster."""
    rows: list[Row] = [("against the earlier run", "rate", "p50", "p99", "CPU in R")]
    before_r = earlier["ceilings"]["rsa_sign"]
    for run in report.runs:
        then = next((r for r in earlier["runs"] if (r["server"], r["database"]) == (run.server, run.database)), None)
        known = {one["scenario"]: one for one in then["scenarios"]} if then else {}
        for one in run.figures:
            if (old := known.get(one.scenario)) is None:
                continue
            rows.append(
                (
                    f"{run.title}: {one.scenario}",
                    _ratio(one.rate, old["rate"]),
                    _ratio(one.p50, old["p50"]),
                    _ratio(one.p99, old["p99"]),
                    _ratio(_over(one.server_us, report.ceilings.r), _over(old["server_us"], before_r)),
                )
            )
            if one.aside_measured and old.get("aside_measured"):
                aside = _ratio(_over(one.aside_us, report.ceilings.r), _over(old["aside_us"], before_r))
                rows.append(("  without the hash", "", "", "", aside))
    return rows


def plain(rows: Sequence[Row]) -> str:
    """A table for a terminal: the first column to the left, all others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def markdown(rows: Sequence[Row]) -> str:
    """The same table for a document."""
    head, *body = ([cell.strip() for cell in row] for row in rows)
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def document(report: Report) -> str:
    """Everything, as it stands between the two marks in docs/performance.md."""
    known = report.conditions
    parts = [
        f"Measured on {report.ceilings.cores} cores, R = {report.ceilings.r:.0f} µs, "
        f"P = {report.ceilings.python_busy:.0f} µs. "
        f"{others_note(report.runs)} "
        + ", ".join(f"{name} {known[name]}" for name in ("python", "granian", "gunicorn", "cryptography"))
        + f"; {known['connections']} connections, {known['seconds']:g} s for each scenario.",
        markdown(ceilings_table(report.ceilings)),
    ]
    for run in report.runs:
        parts += [f"### {run.title}", markdown(run_table(run, report.ceilings))]
        if paced := paced_table(run):
            parts.append(markdown(paced))
        # Two spaces end a line; as a list it cannot run together.
        parts.append("\n".join(f"- {note}" for note in notes(run)))
    return "\n\n".join(part for part in parts if part)


def replace_in(path: Path, report: Report) -> None:
    """Put the figures between the marks of a document. Raises ValueError when it has none."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN} … {END}")
    path.write_text(f"{before}{BEGIN}\n\n{document(report)}\n\n{END}{after}", encoding="utf-8")


def others_note(runs: Iterable[Run]) -> str:
    """Whether the machine was left alone."""
    shares = [one.others for run in runs for one in run.figures if one.server_us is not None]
    if not shares:
        return "What other jobs did at the same time is not known."
    if max(shares) < ALONE:
        return "Nothing else ran on the machine."
    mean = statistics.mean(shares)
    return f"**Other jobs were running**: on {mean:.1f} cores in the mean, {max(shares):.1f} at most."


def _judged(name: str, microseconds: float | None, ceilings: Ceilings) -> tuple[str, str, str]:
    scenario = BY_NAME[name]
    within = verdict(name, microseconds / ceilings.r) if microseconds is not None else ""
    return f"{scenario.budget:.2f}", f"{scenario.target:.2f}", within


def _count(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _in_r(microseconds: float | None, ceilings: Ceilings) -> str:
    return "" if microseconds is None else f"{microseconds / ceilings.r:.2f}"


def _in_p(microseconds: float | None, ceilings: Ceilings) -> str:
    return "" if microseconds is None else f"{microseconds / ceilings.python_busy:.2f}"


def _over(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _ratio(now: float | None, then: float | None) -> str:
    return f"{now / then:.2f}" if now is not None and then else ""


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
