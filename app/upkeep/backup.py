"""Everything in the database, as of one moment, in one file that can be restored into either kind of database.

Rows are read and written as they come, in one transaction that sees what was committed when it began: SQLite's
snapshot of the WAL, PostgreSQL's REPEATABLE READ. Servers go on writing meanwhile.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, DateTime, LargeBinary, TypeDecorator, select, text
from sqlalchemy.types import TypeEngine

from app.crypto.seal import Seal, key_id_of
from app.db import READONLY, Base, unhurried
from app.env import Env
from app.models.seals import COLUMNS
from app.upkeep.archive import BackupRefused, Unlock, Writer, new_file

BATCH = 2000
"""Rows that are fetched at once."""


@dataclass(frozen=True)
class Written:
    path: Path
    made_at: datetime
    revision: str
    rows: dict[str, int]
    key_ids: list[str]
    """Of the keys that the values in it are sealed with."""


def backup(
    env: Env,
    seal: Seal,
    path: Path,
    *,
    version: str,
    revision: str,
    unlock: Unlock,
    tell: Callable[[int], None] = lambda rows: None,
) -> Written:
    """Write all rows to a new file. `revision` is the one that this version knows last; `tell` hears of rows now and
    then. Raises BackupRefused."""
    with new_file(path) as file, _snapshot(env) as connection:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if found != revision:
            raise BackupRefused(
                f"The database is at revision {found}, and this version of Cognate knows {revision}: back it up with "
                "the version that has migrated it."
            )
        made_at = env.now()
        header = {
            "version": version,
            "revision": revision,
            "made_at": made_at.isoformat(),
            "database": connection.dialect.name,
            "key_id": seal.key_id,
        }
        writer = Writer(file, seal, unlock, header)
        rows: dict[str, int] = {}
        keys: Counter[str] = Counter()
        for table in Base.metadata.sorted_tables:
            kinds = [kind(column.type) for column in table.columns]
            names = [str(column.name) for column in table.columns]
            writer.write({"table": str(table.name), "columns": [list(pair) for pair in zip(names, kinds, strict=True)]})
            binary = [at for at, one in enumerate(kinds) if one == "bytes"]
            sealed = [(names.index(one.column.key), one) for one in COLUMNS if one.table == table.name]
            count = 0
            for row in connection.execute(select(table), execution_options={"yield_per": BATCH}):
                values: list[Any] = list(row)
                for at, one in sealed:
                    text_of = one.of(values[at])
                    if text_of is not None:
                        keys[key_id_of(text_of) or "unknown"] += 1
                for at in binary:
                    values[at] = None if values[at] is None else base64.b64encode(values[at]).decode("ascii")
                writer.write(values)
                count += 1
                if not count % BATCH:
                    tell(sum(rows.values()) + count)
            rows[str(table.name)] = count
        key_ids = sorted(keys)
        writer.write({"end": {"rows": rows, "key_ids": key_ids}})
        writer.close()
    return Written(path, made_at, revision, rows, key_ids)


def kind(type_: TypeEngine[Any]) -> str:
    """How a value of a column stands in a record: `time` as ISO 8601, `bytes` in base64, and the others as JSON has
    them."""
    if isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    for name, one in (("time", DateTime), ("json", JSON), ("bytes", LargeBinary), ("bool", Boolean)):
        if isinstance(type_, one):
            return name
    return "plain"


@contextmanager
def _snapshot(env: Env) -> Iterator[Connection]:
    engine = env.engine
    sqlite = engine.dialect.name == "sqlite"
    options = {READONLY: True} if sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.engine.connect().execution_options(**options) as connection, connection.begin():
        unhurried(connection)
        yield connection
