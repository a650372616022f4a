"""`cognate doctor`: what is wrong with an installation, and what deviates from what is recommended, each with its fix.

A check is a function that takes the subject and returns findings. None changes anything; each is bounded in time, and
what happens to one hides nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from sqlalchemy.exc import DBAPIError

from app.config import SettingsError
from app.doctor import clock, configuration, database, files, mail, names, pools, proxy, tls
from app.doctor.finding import GROUPS, PROBLEM, STATES, Finding, Group
from app.doctor.subject import Subject
from app.doctor.together import together
from app.errors import Refusal
from app.outages import reason

SECONDS = 30.0
"""That all checks may take, which go on at one time."""

CHECKS: Mapping[str, Callable[[Subject], list[Finding]]] = {
    "configuration": configuration.check,
    "files": files.check,
    "database": database.check,
    "clock": clock.check,
    "tls": tls.check,
    "proxy": proxy.check,
    "dns": names.check,
    "mail": mail.check,
    "pools": pools.check,
}


def examined(subject: Subject, only: Collection[str] = GROUPS, *, seconds: float = SECONDS) -> list[Finding]:
    """All findings of these groups, by group, and in each what is worst first."""
    outcomes = together({group: partial(CHECKS[group], subject) for group in only}, seconds)
    found: list[Finding] = []
    for group, outcome in outcomes.items():
        found += outcome if isinstance(outcome, list) else [_failed(Group(group), outcome)]
    explained = any(one.state == PROBLEM and one.group in ("files", "database") for one in found)
    if subject.unopened and not explained:
        what = f"The installation cannot be used: {subject.unopened}"
        found.append(Group("configuration").problem("installation", what, "as the sentence says; then run this again"))
    return sorted(found, key=lambda one: (GROUPS.index(one.group), one.pool_id or "", STATES.index(one.state)))


def _failed(group: Group, failed: BaseException) -> Finding:
    """A check that came to no end. Its text may be anything but for errors of our own and of the database."""
    name, fix = "check", "see what hangs or fails there; `--only` looks at the other groups alone"
    match failed:
        case TimeoutError():
            return group.problem(name, f"This check was given up: {failed}.", fix)
        case SettingsError():  # why there is none is told by another check
            return group.skipped(name, f"Not looked at: {failed}")
        case Refusal():
            return group.problem(name, f"This was refused: {failed.message}", fix)
        case DBAPIError():
            return group.problem(name, f"The database has failed: {reason(failed)}.", fix)
    return group.problem(name, f"This check has failed ({type(failed).__name__}).", fix)
