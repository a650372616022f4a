"""The chain of each pool's rows: linked a moment after they were committed, verified, and shortened at its beginning.

A writer that had to know the row before its own would wait for every other writer. So rows come with a MAC only, and
whoever holds the lock of a pool's chain links those that it sees, in the order in which they became visible: ids and
times say nothing about that, since a transaction that began first may commit last.

Digests and MACs are made with a key of the installation. Whoever has the database alone can neither make a row nor link
one, and not make the end of the chain look right after taking rows off it. They can put back an older copy of all of
it; against that stand the anchors, digests that are kept elsewhere (docs/audit.md).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Row, Select, bindparam, delete, func, select, update

from app.audit.record import INSTALLATION, MACED, mac
from app.crypto.seal import same
from app.db import inserting, table
from app.env import Env
from app.models import AuditChain, AuditEvent, Pool

log = logging.getLogger(__name__)

BATCH = 500
"""Rows of one transaction: nobody waits long for the one writer of SQLite."""
LATE = timedelta(minutes=15)
"""A row that has waited longer than this to be linked is an alarm: it was unlinked, or nothing links."""

RESTORED = "BackupRestored"
"""The event by which `verify` knows that anchors may have seen more than there is."""

_EVENTS, _CHAINS = table(AuditEvent), table(AuditChain)
_WAITING = select(_EVENTS.c.pool_id).where(_EVENTS.c.number.is_(None)).distinct().order_by(_EVENTS.c.pool_id)
_UNLINKED = (
    select(_EVENTS.c.id, _EVENTS.c.mac)
    .where(_EVENTS.c.pool_id == bindparam("pool"), _EVENTS.c.number.is_(None))
    .order_by(_EVENTS.c.at, _EVENTS.c.id)
    .limit(BATCH)
)
_LINK = (
    update(_EVENTS)
    .where(_EVENTS.c.id == bindparam("row"), _EVENTS.c.number.is_(None))
    .values(number=bindparam("place"), digest=bindparam("made"))
)
_COLUMNS = tuple(_EVENTS.c[name] for name in (*MACED, "mac", "number", "digest"))


@dataclass(frozen=True)
class Anchor:
    """What a chain was at one moment. Kept elsewhere, it shows whether rows were taken off the end since."""

    pool_id: str
    number: int
    digest: str


@dataclass(frozen=True)
class Finding:
    """Where something does not fit."""

    pool_id: str
    number: int | None
    """Of the row; None for a row that is not linked, or for the chain as a whole."""
    what: str


@dataclass(frozen=True)
class Verified:
    """A chain that was looked at."""

    anchor: Anchor
    kept: int
    """Rows that are kept, and linked."""
    forgotten: int
    """Rows whose retention was over."""
    waiting: int
    """Rows that are to be linked."""
    findings: tuple[Finding, ...]


# -- linking -----------------------------------------------------------------------------------------------------


def link(env: Env) -> int:
    """Link what waits; how many rows that were. Safe in several processes at once: a chain has one lock."""
    with env.reading() as session:
        pools = session.scalars(_WAITING).all()
    return sum(_link_pool(env, pool_id) for pool_id in pools)


def _link_pool(env: Env, pool_id: str) -> int:
    total = 0
    while True:
        with env.transaction():
            head = _locked(env, pool_id)
            if head is None:
                return total
            rows = env.db.execute(_UNLINKED, {"pool": pool_id}).all()
            linked = []
            for row in rows:
                digest = _digest(env, pool_id, head.number + 1, head.digest, row.mac)
                head.number, head.digest = head.number + 1, digest
                linked.append({"row": row.id, "place": head.number, "made": digest})
            if linked:
                env.db.execute(_LINK, linked)
                head.mac = _head_mac(env, head)
        total += len(rows)
        if len(rows) < BATCH:
            return total


def _locked(env: Env, pool_id: str) -> AuditChain | None:
    """The end of a chain, which nobody else extends until the commit. None where it is not as it was left: to link on
    would be to sign what somebody else has made of it."""
    new = AuditChain(
        pool_id=pool_id, number=0, digest="", forgotten=0, forgotten_digest="", retention_days=_retention(env, pool_id)
    )
    env.db.execute(
        inserting(env.db, AuditChain)
        .values({column.name: getattr(new, column.name) for column in _CHAINS.c if column.name != "mac"})
        .values(mac=_head_mac(env, new))
        .on_conflict_do_nothing()
    )
    head = env.db.get_one(AuditChain, pool_id, with_for_update=True)
    if not same(head.mac, _head_mac(env, head)):
        log.error("the audit of %s was altered and is not linked on: see `cognate audit verify`", pool_id or "no pool")
        return None
    if head.number == 0 and env.db.scalar(_rows(pool_id).limit(1)) is not None:
        log.error("the audit of %s has lost its end: see `cognate audit verify`", pool_id or "no pool")
        return None
    return head


def _rows(pool_id: str) -> Select[Any]:
    """What is linked, in its order."""
    return (
        select(*_COLUMNS).where(_EVENTS.c.pool_id == pool_id, _EVENTS.c.number.is_not(None)).order_by(_EVENTS.c.number)
    )


def _digest(env: Env, pool_id: str, number: int, previous: str, row_mac: str) -> str:
    return env.keyed.digest("audit link", f"{pool_id} {number} {previous} {row_mac}")


def _head_mac(env: Env, head: AuditChain) -> str:
    return env.keyed.digest(
        "audit chain",
        f"{head.pool_id} {head.number} {head.digest} {head.forgotten} {head.forgotten_digest} {head.retention_days}",
    )


def _retention(env: Env, pool_id: str, otherwise: int = 0) -> int:
    """In days; of a pool that is gone, what it was."""
    if pool_id == INSTALLATION:
        return env.settings.audit_retention_days
    pool = env.db.get(Pool, pool_id)
    return pool.audit_retention_days if pool is not None else otherwise


# -- forgetting --------------------------------------------------------------------------------------------------


def forget(env: Env) -> int:
    """Delete rows whose retention is over; how many. Rows go from the beginning of a chain and in its order, and what
    is deleted leaves its digest, with which the part that is kept begins."""
    with env.reading() as session:
        pools = session.scalars(select(_CHAINS.c.pool_id).order_by(_CHAINS.c.pool_id)).all()
    return sum(_forget_pool(env, pool_id) for pool_id in pools)


def _forget_pool(env: Env, pool_id: str) -> int:
    total = 0
    while _is_due(env, pool_id):
        with env.transaction():
            head = _locked(env, pool_id)
            if head is None:
                return total
            head.retention_days = days = _retention(env, pool_id, head.retention_days)
            before = env.now() - timedelta(days=days)
            over, first = 0, head.forgotten + 1
            for row in env.db.execute(_rows(pool_id).limit(BATCH)) if days else ():
                # Not as it was linked: `verify` is to find it, and it must not become what the rest is measured by.
                if row.at >= before or row.number != head.forgotten + 1:
                    break
                if not same(row.digest or "", _digest(env, pool_id, row.number, head.forgotten_digest, row.mac)):
                    break
                head.forgotten, head.forgotten_digest, over = row.number, row.digest, over + 1
            head.mac = _head_mac(env, head)
            gone = _EVENTS.c.number.between(first, head.forgotten)
            env.db.execute(delete(_EVENTS).where(_EVENTS.c.pool_id == pool_id, gone))
        total += over
        if over < BATCH:
            break
    return total


def _is_due(env: Env, pool_id: str) -> bool:
    """Whether there is anything to write: the first row's time has come, or the pool has another retention."""
    with env.reading() as session:
        kept: int | None = session.scalar(select(_CHAINS.c.retention_days).where(_CHAINS.c.pool_id == pool_id))
        days = _retention(env, pool_id, kept or 0)
        first = session.execute(_rows(pool_id).limit(1)).one_or_none()
    due = first is not None and days > 0 and first.at < env.now() - timedelta(days=days)
    return due or days != kept


# -- verifying ---------------------------------------------------------------------------------------------------


def verify(env: Env, pool_id: str | None = None, anchors: Iterable[Anchor] = ()) -> Iterator[Verified]:
    """Every chain, or that of one pool, compared row by row with what the installation's key says of it, and with
    anchors of it. Reads pages, so that it can be done while others write."""
    known: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        known.setdefault(anchor.pool_id, []).append(anchor)
    if pool_id is None:
        with env.reading() as session:
            found = {
                *session.scalars(select(_CHAINS.c.pool_id)),
                *session.scalars(select(_EVENTS.c.pool_id).distinct()),
            }
        pools = sorted(found | known.keys())
    else:
        pools = [pool_id]
    for one in pools:
        yield _verified(env, one, known.get(one, []))


def _head(env: Env, pool_id: str) -> AuditChain | None:
    with env.reading() as session:
        return session.get(AuditChain, pool_id)


def _verified(env: Env, pool_id: str, anchors: list[Anchor]) -> Verified:
    wrong: list[Finding] = []

    def tell(number: int | None, what: str) -> None:
        wrong.append(Finding(pool_id, number, what))

    head = _head(env, pool_id)
    if head is not None and not same(head.mac, _head_mac(env, head)):
        tell(None, "the record of where the chain ends was changed")
    if head is None:
        with env.reading() as session:
            if session.execute(_rows(pool_id).limit(1)).one_or_none() is not None:
                tell(None, "the record of where the chain ends was removed")
        head = AuditChain(pool_id=pool_id, number=0, digest="", forgotten=0, forgotten_digest="", retention_days=0)
    expected = {anchor.number: anchor.digest for anchor in anchors}
    number, previous, kept = head.forgotten, head.forgotten_digest, 0
    digests = {number: previous}
    for row in _linked(env, pool_id, head):
        if row.number != number + 1:
            begins = _head(env, pool_id)
            if (
                begins is not None
                and number < begins.forgotten < row.number
                and same(begins.mac, _head_mac(env, begins))
            ):
                number, previous = begins.forgotten, begins.forgotten_digest  # forgotten while this was read
        if row.number != number + 1:
            tell(number + 1, f"removed: rows {number + 1} to {row.number - 1} are missing")
        elif not same(row.digest or "", _digest(env, pool_id, row.number, previous, row.mac)):
            tell(row.number, "does not follow the row before it: inserted, moved, or changed together with its MAC")
        if not same(row.mac, mac(env, row._asdict())):
            tell(row.number, "changed, or not written by this installation")
        number, previous, kept = row.number, row.digest or "", kept + 1
        if number in expected:
            digests[number] = previous
    if number < head.number:
        tell(number + 1, f"truncated: rows {number + 1} to {head.number}, at the end, are missing")
    elif number == head.number and previous != head.digest:
        tell(number, "is not the row at which the chain ended")
    for place, count in _beyond(env, pool_id):
        tell(place, f"inserted: {count} linked rows are outside what the chain has linked")
    waiting = 0
    for row in _unlinked(env, pool_id):
        waiting += 1
        if not same(row.mac, mac(env, row._asdict())):
            tell(None, f"row {row.id}, not linked yet, was changed, or not written by this installation")
        elif row.at < env.now() - LATE:
            when = f"{row.at:%Y-%m-%d %H:%M:%S} UTC"
            tell(None, f"row {row.id} of {when} is not linked: it was unlinked, or no server has run since")
    for anchor in anchors:
        if anchor.number > head.number:
            seen = f"an anchor has seen row {anchor.number}, and the chain ends at {head.number}"
            tell(anchor.number, f"truncated: {seen}{_restored(env)}")
        elif digests.get(anchor.number, anchor.digest) != anchor.digest:
            seen = "is not what an anchor has seen there: the chain was made anew"
            tell(anchor.number, f"{seen}{_restored(env)}")
    return Verified(Anchor(pool_id, head.number, head.digest), kept, head.forgotten, waiting, tuple(wrong))


def _restored(env: Env) -> str:
    """What the newest row says, if there is one and it is of this installation, of a backup that was restored: anchors
    from after it was made have then seen rows that are gone."""
    query = select(*_COLUMNS).where(_EVENTS.c.pool_id == INSTALLATION, _EVENTS.c.operation == RESTORED)
    with env.reading() as session:
        row = session.execute(query.order_by(_EVENTS.c.at.desc()).limit(1)).one_or_none()
    if row is None or not same(row.mac, mac(env, row._asdict())):
        return ""
    made_at = orjson.loads(row.parameters)["made_at"]
    return f" (a backup of {made_at} UTC was restored at {row.at:%Y-%m-%d %H:%M:%S} UTC; what it did not have is gone)"


def _linked(env: Env, pool_id: str, head: AuditChain) -> Iterator[Row[Any]]:
    """Rows of a chain up to the end that it had, a page at a time."""
    after = head.forgotten
    while True:
        page = _rows(pool_id).where(_EVENTS.c.number > after, _EVENTS.c.number <= head.number).limit(BATCH)
        with env.reading() as session:
            rows = session.execute(page).all()
        yield from rows
        if len(rows) < BATCH:
            return
        after = rows[-1].number


def _beyond(env: Env, pool_id: str) -> list[tuple[int, int]]:
    """The first number, and how many, of rows that no link was made for. One statement, since the chain goes on."""
    outside = (_EVENTS.c.number > _CHAINS.c.number) | (_EVENTS.c.number <= _CHAINS.c.forgotten)
    query = (
        select(func.min(_EVENTS.c.number), func.count())
        .join(_CHAINS, _CHAINS.c.pool_id == _EVENTS.c.pool_id)
        .where(_EVENTS.c.pool_id == pool_id, outside)
    )
    with env.reading() as session:
        place, count = session.execute(query).one()
    return [(place, count)] if count else []


def _unlinked(env: Env, pool_id: str) -> Iterator[Row[Any]]:
    after = ""
    while True:
        query = select(*_COLUMNS).where(_EVENTS.c.pool_id == pool_id, _EVENTS.c.number.is_(None), _EVENTS.c.id > after)
        with env.reading() as session:
            rows = session.execute(query.order_by(_EVENTS.c.id).limit(BATCH)).all()
        yield from rows
        if len(rows) < BATCH:
            return
        after = rows[-1].id
