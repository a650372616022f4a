"""What an examination says: findings, and in which groups they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROBLEM, ADVICE, SKIPPED, FINE = "problem", "advice", "skipped", "fine"
"""Something is wrong; something could be better, or deviates from what is recommended; it could not be looked at; it
was looked at and is as it should be."""
STATES = (PROBLEM, ADVICE, SKIPPED, FINE)

GROUPS = ("configuration", "files", "database", "clock", "tls", "proxy", "dns", "mail", "pools")
"""In the order in which they are shown."""


@dataclass(frozen=True)
class Finding:
    """One sentence about an installation. It names no secret: it is printed, and goes into tickets."""

    group: str
    name: str
    """What it is about, for scripts: it stays the same from version to version."""
    state: str
    what: str
    fix: str = ""
    """The command or the setting that changes it."""
    source: str = ""
    """Which document recommends it."""
    pool_id: str | None = None
    pool_name: str | None = None
    client_id: str | None = None
    client_name: str | None = None
    documents: tuple[Mapping[str, Any], ...] = ()
    """What files for `cognate pool apply` say to change it, one after the other."""


@dataclass(frozen=True)
class Group:
    """Makes findings of one group."""

    group: str

    def problem(self, name: str, what: str, fix: str) -> Finding:
        return Finding(self.group, name, PROBLEM, what, fix)

    def advice(self, name: str, what: str, fix: str) -> Finding:
        return Finding(self.group, name, ADVICE, what, fix)

    def skipped(self, name: str, what: str) -> Finding:
        return Finding(self.group, name, SKIPPED, what)

    def fine(self, name: str, what: str) -> Finding:
        return Finding(self.group, name, FINE, what)
