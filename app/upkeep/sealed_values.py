"""All sealed values of the database: whether each can be opened, and sealing each of them anew under another key.

Both go through `models.seals.COLUMNS`, a page of rows at a time by primary key, while servers run.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, inspect, select, update

from app.crypto.seal import Seal, SealBroken, key_id_of
from app.db import table
from app.env import Env, Sealer
from app.models.seals import COLUMNS, OWNERS, SealedColumn
from app.upkeep.archive import Archive

BATCH = 500
"""Rows of one statement and of one transaction: nobody waits long for the one writer of SQLite."""
PASSES = 5
"""How often all columns are gone through for what servers have changed meanwhile."""


@dataclass(frozen=True)
class Broken:
    """A value that cannot be opened."""

    table: str
    column: str
    row: str
    pool: str | None
    """None: it belongs to the installation, or nobody knows to whom."""
    key_id: str | None
    """None: it is no sealed value at all."""


@dataclass(frozen=True)
class Rotated:
    sealed: int
    """How many values were sealed anew."""
    remaining: Mapping[str, int]
    """How many values are not under the present key, by the id of the key that they name."""


def broken(env: Env, opened: Counter[str]) -> Iterator[Broken]:
    """Each value that does not open; those that do are counted in `opened`, by the id of their key."""
    for sealed in COLUMNS:
        for row in _rows(env, sealed):
            found = examined(env.seal, sealed, row, opened)
            if found is not None:
                yield replace(found, pool=_pool(env, sealed, row))


def examined(seal: Sealer, sealed: SealedColumn, row: Mapping[str, Any], opened: Counter[str]) -> Broken | None:
    """None where the value in this row opens, or where there is none; else what is known of it without its pool."""
    text = sealed.of(row[sealed.column.key])
    if text is None:
        return None
    key_id = key_id_of(text)
    try:
        seal.open(text, about=sealed.about(row))
    except SealBroken:
        return Broken(sealed.table, sealed.name, str(row[_key(sealed).name]), None, key_id)
    opened[key_id or ""] += 1
    return None


def broken_in(archive: Archive, seal: Seal, opened: Counter[str]) -> Iterator[Broken]:
    """The same of a backup, which is not restored for it."""
    found: list[tuple[Broken, str | None, Any]] = []
    for name, columns, rows in archive.tables():
        names = [column for column, _ in columns]
        here = [sealed for sealed in COLUMNS if sealed.table == name and sealed.column.key in names]
        for values in rows:
            row = dict(zip(names, values, strict=True)) if here else {}
            for sealed in here:
                one = examined(seal, sealed, row, opened)
                if one is not None:
                    by = sealed.pool.key if sealed.pool is not None else None
                    found.append((one, by, row.get(by) if by else None))
    # The rows that lead to a pool are in other tables. Only when there is something to tell they are looked for.
    pools = _pools_in(archive, {(by, value) for _, by, value in found if by in OWNERS}) if found else {}
    for one, by, value in found:
        yield replace(one, pool=pools.get((by, value)) if by in OWNERS else value)


def _pools_in(archive: Archive, wanted: set[tuple[str | None, Any]]) -> dict[tuple[str | None, Any], str]:
    pools: dict[tuple[str | None, Any], str] = {}
    for name, columns, rows in archive.tables():
        names = [column for column, _ in columns]
        by = next((by for by, owner in OWNERS.items() if owner.class_.__tablename__ == name), None)
        for values in rows:
            if by is not None:
                row = dict(zip(names, values, strict=True))
                if (by, row[OWNERS[by].key]) in wanted:
                    pools[by, row[OWNERS[by].key]] = row["pool_id"]
    return pools


def under_other_keys(env: Env, key_id: str) -> Counter[str]:
    """How many values are not sealed under this key, by the id of the key that they name."""
    found: Counter[str] = Counter()
    for sealed in COLUMNS:
        for row in _rows(env, sealed, _not_under(sealed, key_id)):
            found[key_id_of(sealed.of(row[sealed.column.key]) or "") or "unknown"] += 1
    return found


def rotate(env: Env, seal: Seal, tell: Callable[[int], None] = lambda done: None) -> Rotated:
    """Seal under the present key what is sealed under another one that `seal` can open. `tell` hears how many have been
    done. What cannot be opened stays as it is.

    Each batch is a transaction, and a value is replaced only if it is still the one that was read; so it can be stopped
    at any moment, be begun again, run twice at once, and run beside servers that write.
    """
    done = 0
    for _ in range(PASSES):
        before = done
        for sealed in COLUMNS:
            for batch in _batches(env, sealed, _not_under(sealed, seal.key_id)):
                done += _reseal(env, seal, sealed, batch)
                tell(done)
        if done == before:
            break
    return Rotated(done, under_other_keys(env, seal.key_id))


def _reseal(env: Env, seal: Seal, sealed: SealedColumn, rows: list[Mapping[str, Any]]) -> int:
    replaced = []
    for row in rows:
        value = row[sealed.column.key]
        about = sealed.about(row)
        try:
            plain = seal.open(sealed.of(value) or "", about=about)
        except SealBroken:
            continue
        new = sealed.replaced(value, seal.seal(plain, about=about))
        replaced.append({"row": row[_key(sealed).name], "old": value, "new": new})
    if not replaced:
        return 0
    columns = table(sealed.model).c
    column, key = columns[sealed.column.key], columns[_key(sealed).name]
    statement = (
        update(table(sealed.model))
        .where(key == bindparam("row"), column == bindparam("old", type_=column.type))
        .values({column: bindparam("new", type_=column.type)})
        .returning(key)
    )

    def write() -> int:
        with env.transaction():
            return sum(env.db.execute(statement, one).first() is not None for one in replaced)

    return env.patiently(write)


def _rows(env: Env, sealed: SealedColumn, *only: ColumnElement[bool]) -> Iterator[Mapping[str, Any]]:
    return itertools.chain.from_iterable(_batches(env, sealed, *only))


def _batches(env: Env, sealed: SealedColumn, *only: ColumnElement[bool]) -> Iterator[list[Mapping[str, Any]]]:
    """The rows that have a value, in pages by their key."""
    found = table(sealed.model)
    key, value = found.c[_key(sealed).name], found.c[sealed.column.key]
    last = None
    while True:
        after = () if last is None else (key > last,)
        query = select(found).where(value.is_not(None), *only, *after).order_by(key).limit(BATCH)
        with env.reading() as session:
            rows: list[Mapping[str, Any]] = [dict(row) for row in session.execute(query).mappings()]
        if not rows:
            return
        last = rows[-1][key.name]
        yield rows


def _not_under(sealed: SealedColumn, key_id: str) -> ColumnElement[bool]:
    column = table(sealed.model).c[sealed.column.key]
    text = column if sealed.member is None else column[sealed.member].as_string()
    return text.not_like(f"v1.{key_id}.%")


def _key(sealed: SealedColumn) -> Any:
    """The column of the primary key. (Each of these tables has one.)"""
    (key,) = inspect(sealed.model).primary_key
    return key


def _pool(env: Env, sealed: SealedColumn, row: Mapping[str, Any]) -> str | None:
    if sealed.pool is None:
        return None
    value = row[sealed.pool.key]
    owner = OWNERS.get(sealed.pool.key)
    if owner is None or value is None:
        return value  # type: ignore[no-any-return]
    with env.reading() as session:
        found: str | None = session.scalar(select(owner.class_.pool_id).where(owner == value))
    return found
