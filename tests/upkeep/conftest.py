"""Databases that have everything, and such as have nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, LargeBinary, TypeDecorator, insert, select

from app import installation
from app.config import Settings
from app.crypto.seal import Seal
from app.db import Base
from app.env import Env
from app.upkeep.archive import Archive, Unlock
from app.upkeep.backup import Written, backup
from tests import postgres
from tests.conftest import COUNTER, KEY, START, test_settings

NOTHING = Unlock()
Rows = dict[str, list[tuple[Any, ...]]]


def value(column: Column[Any], row: int, rows: dict[str, dict[str, Any]]) -> Any:
    """Something of the column's type; for a foreign key, that of the row of the same number."""
    for key in column.foreign_keys:
        return rows[key.column.table.name][key.column.name]
    if column.nullable and row:
        return None
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    match kind:
        case DateTime():
            return START.replace(microsecond=row and 123456)
        case JSON():
            return {"ä\n": [1, None, -2.5, True, {}], "\u2028": "'\"\\\t"} if column.name != "methods" else ["PASSWORD"]
        case Boolean():
            return bool(row)
        case LargeBinary():
            return bytes(range(256))
        case Integer():
            return 40 + row
    return f"{row}ä\\N\t,'\n{column.name}"[: kind.length]


@pytest.fixture
def everything(env: Env) -> Env:
    """Two rows in every table; in the second all is null that can be."""
    for row in (0, 1):
        made: dict[str, dict[str, Any]] = {}
        with env.transaction():
            for table in Base.metadata.sorted_tables:
                if table.name in ("installation_secret", "revision"):
                    continue
                made[table.name] = {column.name: value(column, row, made) for column in table.columns}
                env.db.execute(insert(table).values(made[table.name]))
    return env


def contents(env: Env) -> Rows:
    """All that there is, but what a restoration notes of itself."""
    found = {}
    with env.reading() as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in ("revision", "restoration"):
                rows = [tuple(row) for row in session.execute(select(table))]
                found[table.name] = sorted(rows, key=repr)
    return found


@pytest.fixture
def seal() -> Seal:
    return Seal(KEY)


@pytest.fixture
def back_up(env: Env, seal: Seal, tmp_path: Path) -> Callable[..., Written]:
    """Writes a backup of this test's database to `saved` in its directory, or to another name."""

    def write(unlock: Unlock = NOTHING, name: str = "saved", **more: Any) -> Written:
        newest = installation.revisions()[-1]
        return backup(env, seal, tmp_path / name, version="1", unlock=unlock, **{"revision": newest, **more})

    return write


def opened(path: Path, seal: Seal, unlock: Unlock = NOTHING) -> Archive:
    archive = Archive(path)
    archive.unlock(seal, unlock)
    return archive


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a database in which nothing is: of SQLite, the file has yet to be made."""
    if request.param == "sqlite":
        return test_settings(f"sqlite:///{tmp_path}/new/cognate.sqlite", data_dir=tmp_path / "new")
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return test_settings(server.create(f"elsewhere{next(COUNTER)}"), data_dir=tmp_path / "new")
