"""A backup becomes a database again, of either kind: all of it, or nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, inspect, select, text

from app import installation
from app.config import Settings
from app.crypto.seal import Seal
from app.db import Base, db
from app.env import Env
from app.models import OutboxMessage, Restoration, Revision
from app.pools import find, user_pools
from app.upkeep import backup
from app.upkeep import restore as restoring
from app.upkeep.archive import BackupRefused, new_file
from app.upkeep.backup import Written
from app.upkeep.restore import restore
from tests.build import a_pool, a_user
from tests.conftest import KEY, Clock
from tests.upkeep.conftest import NOTHING, contents, opened

BackUp = Callable[..., Written]


def test_everything_comes_back_in_either_kind_of_database(
    everything: Env,
    back_up: BackUp,
    seal: Seal,
    elsewhere: Settings,
    another_app: Callable[..., Flask],
    clock: Clock,
) -> None:
    written = back_up()
    before = contents(everything)
    assert all(len(rows) >= 2 for rows in before.values())
    assert written.rows.keys() == Base.metadata.tables.keys()
    restored = restore(elsewhere, seal, opened(written.path, seal), now=clock() + timedelta(days=1))
    assert restored.rows == written.rows and restored.made_at == clock()
    with another_app(elsewhere).app_context() as context:
        env = context.app.extensions["cognate"]
        assert contents(env) == before
        with env.reading() as session:
            noted = session.scalars(select(Restoration)).one()
            assert (noted.made_at, noted.restored_at) == (clock(), clock() + timedelta(days=1))
            assert noted.accept_older_until is None
        # Numbers go on where they were.
        with env.transaction():
            env.db.add(message := OutboxMessage(**facts_of_a_message(before)))
        assert message.id > 41


def facts_of_a_message(before: dict[str, list[tuple[object, ...]]]) -> dict[str, object]:
    columns = Base.metadata.tables["outbox_message"].columns.keys()
    (row, *_) = before["outbox_message"]
    return {name: value for name, value in zip(columns, row, strict=True) if name != "id"}


def test_what_is_written_during_a_backup_is_not_in_it(
    app: Flask, env: Env, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = a_pool(env, algorithm="ES256")
    a_user(env, pool)

    def a_server() -> None:
        with app.app_context():
            a_user(env, pool, "bob", email="bob@example.com")
            a_pool(env, algorithm="ES256")

    class Interrupted(backup.Writer):
        def write(self, record: object) -> None:
            if isinstance(record, dict) and record.get("table") == "signing_key":
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(a_server).result()
            super().write(record)

    monkeypatch.setattr(backup, "Writer", Interrupted)
    written = back_up()
    assert (written.rows["pool"], written.rows["signing_key"], written.rows["user"]) == (1, 2, 1)
    assert len(contents(env)["user"]) == 2


def test_a_database_that_is_in_use_is_replaced_only_on_the_word_of_the_operator(
    env: Env, settings: Settings, back_up: BackUp, seal: Seal, clock: Clock
) -> None:
    pool = a_pool(env, algorithm="ES256")
    written = back_up()
    a_user(env, pool)
    before = contents(env)
    with pytest.raises(BackupRefused, match="not empty .*--replace"):
        restore(settings, seal, opened(written.path, seal), now=clock())
    assert contents(env) == before
    restore(settings, seal, opened(written.path, seal), now=clock(), replace=True)
    assert contents(env)["user"] == []
    assert find.pool(env, pool.id).id == pool.id


def test_a_database_that_was_only_migrated_is_empty(
    env: Env, settings: Settings, back_up: BackUp, seal: Seal, clock: Clock
) -> None:
    restore(settings, seal, opened(back_up().path, seal), now=clock())
    with env.reading() as session:
        assert session.scalar(select(Revision.number)) == 2


def test_servers_that_run_notice_it_by_the_number_of_the_configuration(
    env: Env, settings: Settings, back_up: BackUp, seal: Seal, clock: Clock
) -> None:
    pool = a_pool(env, algorithm="ES256")
    written = back_up()
    user_pools.delete(env, pool)
    a_pool(env, algorithm="ES256")
    with env.reading() as session:
        newest = session.scalar(select(Revision.number)) or 0
    restored = restore(settings, seal, opened(written.path, seal), now=clock(), replace=True)
    assert restored.number == newest + 1
    clock.forward(seconds=1)
    assert find.pool(env, pool.id).id == pool.id


@pytest.mark.parametrize("cut", ["half", "tail", "bit", "header"])
def test_a_damaged_backup_changes_nothing(
    env: Env, settings: Settings, back_up: BackUp, seal: Seal, clock: Clock, cut: str
) -> None:
    a_user(env, a_pool(env, algorithm="ES256"))
    path = back_up().path
    raw = bytearray(path.read_bytes())
    match cut:
        case "half":
            del raw[len(raw) // 2 :]
        case "tail":
            del raw[-1:]
        case "bit":
            raw[-100] ^= 1
        case "header":
            at = raw.index(b'"made_at":"20') + len(b'"made_at":"20')
            raw[at : at + 1] = b"1"
    path.write_bytes(raw)
    before = contents(env)
    with pytest.raises(BackupRefused):
        restore(settings, seal, opened(path, seal), now=clock(), replace=True)
    assert contents(env) == before


def test_a_restoration_that_fails_in_the_middle_leaves_everything_as_it_was(
    env: Env,
    settings: Settings,
    back_up: BackUp,
    seal: Seal,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_user(env, a_pool(env, algorithm="ES256"))
    path = back_up().path
    before = contents(env)

    def fails(*given: object) -> None:
        raise RuntimeError("the power goes")

    monkeypatch.setattr(restoring, "_demand_openable", fails)
    with pytest.raises(RuntimeError):
        restore(settings, seal, opened(path, seal), now=clock(), replace=True)
    assert contents(env) == before


def test_rows_that_the_database_does_not_take_are_a_refusal_that_names_their_table(
    env: Env, settings: Settings, seal: Seal, clock: Clock, tmp_path: Path
) -> None:
    a_user(env, a_pool(env, algorithm="ES256"))
    before = contents(env)
    header = {"version": "1", "revision": installation.revisions()[-1], "made_at": clock().isoformat()}
    with new_file(tmp_path / "strange") as file:
        writer = backup.Writer(file, seal, NOTHING, header)
        writer.write({"table": "spent", "columns": [["digest", "plain"], ["expires_at", "time"]]})
        for _ in range(2):
            writer.write(["the same", clock().isoformat()])
        writer.write({"end": {"rows": {"spent": 2}, "key_ids": []}})
        writer.close()
    with pytest.raises(BackupRefused, match="does not take what the backup has in spent, and is what it was"):
        restore(settings, seal, opened(tmp_path / "strange", seal), now=clock(), replace=True)
    assert contents(env) == before


def test_a_backup_of_a_newer_version_is_refused(
    env: Env, settings: Settings, back_up: BackUp, seal: Seal, clock: Clock
) -> None:
    with env.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    path = back_up(revision="9999").path
    with pytest.raises(BackupRefused, match="revision 9999, made by Cognate 1; .*a newer one"):
        restore(settings, seal, opened(path, seal), now=clock(), replace=True)


def test_a_database_of_a_newer_version_is_not_touched(
    env: Env, settings: Settings, back_up: BackUp, seal: Seal, clock: Clock
) -> None:
    path = back_up().path
    with env.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BackupRefused, match="a newer version of Cognate has migrated it"):
        restore(settings, seal, opened(path, seal), now=clock(), replace=True)
    with pytest.raises(BackupRefused, match="back it up with the version that has migrated it"):
        back_up(name="another")


def test_a_backup_of_an_older_version_is_migrated(
    everything: Env,
    back_up: BackUp,
    seal: Seal,
    clock: Clock,
    elsewhere: Settings,
    another_app: Callable[..., Flask],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As an older version would have written it: without what later revisions have added."""
    older = "0008"
    tables = as_of(older, tmp_path)
    with everything.transaction() as session:
        session.execute(text(f"UPDATE alembic_version SET version_num = '{older}'"))
    with monkeypatch.context() as patch:
        patch.setattr(type(Base.metadata), "sorted_tables", tables)
        path = back_up(revision=older).path
    before = rows(everything, tables)
    restore(elsewhere, seal, opened(path, seal), now=clock())
    with another_app(elsewhere).app_context() as context:
        assert installation.pending_migrations(context.app) is None
        assert rows(context.app.extensions["cognate"], tables) == before


def rows(env: Env, tables: list[Table]) -> dict[str, list[str]]:
    real = {table.name: table for table in Base.metadata.sorted_tables}
    with env.reading() as session:
        return {
            one.name: sorted(repr(row) for row in session.execute(select(*(real[one.name].c[c.name] for c in one.c))))
            for one in tables
            if one.name != "revision"  # which moves on, so that servers notice
        }


def as_of(revision: str, directory: Path) -> list[Table]:
    """The tables that there were at a revision, with the columns that they had."""
    engine = create_engine(f"sqlite:///{directory / 'older.sqlite'}")
    with engine.begin() as connection:
        restoring._migrate(connection, revision)
        there = {name: {found["name"] for found in columns} for name, columns in columns_of(connection).items()}
    engine.dispose()
    metadata = MetaData()
    return [
        Table(table.name, metadata, *(Column(one.name, one.type) for one in table.columns if one.name in columns))
        for table in Base.metadata.sorted_tables
        if (columns := there.get(table.name))
    ]


def columns_of(connection: Connection) -> dict[str, list[Any]]:
    found = inspect(connection)
    return {name: found.get_columns(name) for name in found.get_table_names()}


def test_a_backup_needs_the_key_that_it_was_made_under(env: Env, back_up: BackUp, seal: Seal) -> None:
    path = back_up().path
    other = Seal(bytes(32))
    with pytest.raises(
        BackupRefused, match=f"under the key {seal.key_id}, and the keys that were given are {other.key_id}"
    ):
        opened(path, other)
    assert opened(path, Seal(bytes(32), KEY)).header["key_id"] == seal.key_id


def test_tables_of_another_application_are_not_taken_for_ours(
    elsewhere: Settings, env: Env, back_up: BackUp, seal: Seal, clock: Clock, another_app: Callable[..., Flask]
) -> None:
    path = back_up().path
    installation.prepare(elsewhere)
    with another_app(elsewhere).app_context():
        with db.engine.begin() as connection:
            connection.execute(text('CREATE TABLE "user" (name TEXT)'))
    with pytest.raises(BackupRefused, match="another application"):
        restore(elsewhere, seal, opened(path, seal), now=clock(), replace=True)
