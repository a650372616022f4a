"""Findings as a table, and what stands behind each verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.report import Row
from chaos.load import Figures
from chaos.trial import DISTURBED, RECOVERED, UNDISTURBED, Finding

HEAD: Row = ("fault", "database", UNDISTURBED, DISTURBED, RECOVERED, "verdict")


def row(finding: Finding) -> Row:
    phases = [finding.phases.get(name) for name in (UNDISTURBED, DISTURBED, RECOVERED)]
    return (finding.fault, finding.database, *map(_cell, phases), finding.verdict)


def table(findings: Iterable[Finding]) -> Sequence[Row]:
    return [HEAD, *map(row, findings)]


def details(finding: Finding) -> str:
    """Each claim, and what was measured."""
    lines = [f"{finding.fault}, {finding.database}: {finding.verdict}"]
    if finding.not_possible:
        lines.append(f"  skipped: {finding.not_possible}")
    for claim in finding.claims:
        mark = "yes" if claim.holds else "NO "
        lines.append(f"  {mark} {claim.text}" + (f" ({claim.measured})" if claim.measured else ""))
    lines += [f"      {note}" for note in finding.notes]
    return "\n".join(lines)


def _cell(found: Figures | None) -> str:
    """`answered/refused/failed, p99 in milliseconds`."""
    if found is None:
        return "-"
    p99 = "-" if found.p99 is None else f"{found.p99:.0f} ms"
    return f"{found.answered}/{found.refused}/{found.failed}, {p99}"
