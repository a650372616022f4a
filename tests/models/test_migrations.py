"""One set of migrations for both engines: up, down, at once, over rows, and never away from the models."""

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import flask_migrate
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import MetaData, create_engine, event, func, insert, inspect, select, text, update
from sqlalchemy.engine import make_url

from app import installation, migrating
from app.accounts import find
from app.config import Settings, SettingsError
from app.db import Base, db
from app.env import NOWHERE, Env
from app.errors import ServiceUnavailable
from app.models import Password, Pool, User
from app.pools import domains
from app.signin import flow, granting
from app.signin.state import Granted
from tests import postgres
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import COUNTER, test_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a database in which nothing is."""
    if request.param == "sqlite":
        return test_settings(f"sqlite:///{tmp_path}/empty.sqlite", data_dir=tmp_path)
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return test_settings(server.create(f"empty{next(COUNTER)}"), data_dir=tmp_path)


@pytest.fixture
def applied(another_app: Callable[[Settings], Flask]) -> Callable[[Settings], Flask]:
    """Makes applications that can migrate."""

    def make(settings: Settings) -> Flask:
        installation.prepare(settings)
        app = another_app(settings)
        installation.migratable(app)
        return app

    return make


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names())


def described() -> dict[str, object]:
    """The database as it is: columns, keys, indexes."""
    look = inspect(db.engine)
    return {
        name: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(name)),
            look.get_pk_constraint(name)["name"],
            sorted(str(key["name"]) for key in look.get_foreign_keys(name)),
            sorted(str(one["name"]) for one in look.get_unique_constraints(name)),
            sorted(str(one["name"]) for one in look.get_indexes(name)),
        )
        for name in sorted(look.get_table_names())
    }


def test_up_down_and_up_again_ends_where_it_began(empty: Settings, applied: Callable[[Settings], Flask]) -> None:
    app = applied(empty)
    with app.app_context():
        assert tables() == set()
        flask_migrate.upgrade()
        first = described()
        assert tables() == set(Base.metadata.tables) | {"alembic_version"}
        for _ in installation.revisions():
            flask_migrate.downgrade()
        assert tables() == {"alembic_version"}
        flask_migrate.upgrade()
        assert described() == first


def test_the_models_and_the_migrations_agree(settings: Settings, applied: Callable[[Settings], Flask]) -> None:
    """What `flask db check` does, which exits where they differ."""
    with applied(settings).app_context():
        flask_migrate.check()


def test_a_model_that_was_changed_without_a_migration_is_noticed(
    settings: Settings, applied: Callable[[Settings], Flask]
) -> None:
    with applied(settings).app_context():
        with db.engine.begin() as connection:
            connection.execute(text("DROP INDEX ix_pool_name"))
        with pytest.raises(SystemExit):
            flask_migrate.check()


def test_the_revisions_are_read_off_the_names_of_their_files(
    settings: Settings, applied: Callable[[Settings], Flask]
) -> None:
    """Which is quicker than asking Alembic at every start, and has to say the same."""
    script = ScriptDirectory(str(installation.MIGRATIONS))
    assert [found.revision for found in script.walk_revisions()][::-1] == installation.revisions()
    assert script.get_heads() == installation.revisions()[-1:]


# -- over rows -------------------------------------------------------------------------------------------------

ALTERING = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{head}"


def upgrade():
    with op.batch_alter_table("pool") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(length=128), type_=sa.String(length=256))
    {then}


def downgrade():
    with op.batch_alter_table("pool") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(length=256), type_=sa.String(length=128))
"""


def one_more(tmp_path: Path, then: str = "pass", form: str = ALTERING) -> str:
    """The migrations, and one that, unless told otherwise, copies the table that everything points to."""
    copy = tmp_path / "migrations"
    shutil.copytree(installation.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / "9001_altering.py").write_text(form.format(head=installation.revisions()[-1], then=then))
    return str(copy)


def counted(app: Flask) -> tuple[int, ...]:
    with app.app_context(), db.engine.connect() as connection:
        return tuple(connection.scalar(select(func.count()).select_from(row)) or 0 for row in (Pool, User, Password))


def test_rows_survive_the_altering_of_a_table_that_they_point_to(
    app: Flask, env: Env, settings: Settings, applied: Callable[[Settings], Flask], tmp_path: Path
) -> None:
    """SQLite alters by copying and dropping; with foreign keys on, the drop would take along all that points there."""
    pool = a_pool(env)
    a_client(env, pool)
    a_user(env, pool)
    assert counted(app) == (1, 1, 1)
    migrating = applied(settings)
    directory = one_more(tmp_path)
    with migrating.app_context():
        flask_migrate.upgrade(directory=directory)
        assert counted(app) == (1, 1, 1)
        flask_migrate.downgrade(directory=directory)
        assert counted(app) == (1, 1, 1)
        with db.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_users_keep_their_names_through_the_revision_that_moves_them(
    app: Flask, env: Env, settings: Settings, applied: Callable[[Settings], Flask]
) -> None:
    """0002 makes names of usernames, and keys for searches of what users have; 0007 does of usernames."""
    pool = a_pool(env)
    alice = a_user(env, pool, "Alice", name="Alice Straße", phone_number="+15550100")
    a_user(env, pool, "bob", email="Bob@Example.com")

    def as_it_is() -> list[tuple[object, ...]]:
        with db.engine.connect() as connection:
            names = connection.execute(text("SELECT generation, attribute, value, user_sub FROM alias ORDER BY 4, 2"))
            users = connection.execute(
                text('SELECT username, username_key, email_key, name_key FROM "user" ORDER BY 1')
            )
            return [*map(tuple, names), *map(tuple, users)]

    with applied(settings).app_context():
        before = as_it_is()
        flask_migrate.downgrade(revision="0001")
        with db.engine.connect() as connection:
            keys = connection.execute(text('SELECT username_key FROM "user" ORDER BY 1')).scalars().all()
            assert keys == ["alice", "bob"]
            assert connection.scalar(text("SELECT count(*) FROM alias WHERE attribute = 'username'")) == 0
        flask_migrate.upgrade()
        assert as_it_is() == before
    assert ("Alice", "alice", "alice@example.com", "alice strasse") in before
    for name in ("ALICE", "alice@example.com", alice.sub):
        found = find.by_name(env, pool, name)
        assert found and found.user.sub == alice.sub


def test_a_custom_domain_stays_in_service_through_the_revision_that_wants_proofs(
    app: Flask, env: Env, settings: Settings, applied: Callable[[Settings], Flask]
) -> None:
    pool = a_pool(env)
    domains.create(env, pool, domain="auth.example.com", custom=True, settings={})
    with applied(settings).app_context():
        flask_migrate.downgrade(revision="0003")
        flask_migrate.upgrade()
    found = domains.named(env, "auth.example.com")
    assert found is not None and found.served and found.proven_at == found.created_at


@pytest.mark.parametrize("then", ['raise ValueError("in the middle")', 'op.execute("DELETE FROM pool")'])
def test_a_migration_that_fails_leaves_nothing_half_done(
    env: Env, app: Flask, settings: Settings, applied: Callable[[Settings], Flask], tmp_path: Path, then: str
) -> None:
    a_user(env, a_pool(env))
    if "DELETE" in then and settings.database_url.startswith("postgresql"):
        pytest.skip("there the foreign keys are on, and take the rows along as they should")
    with applied(settings).app_context():
        before = described()
        with pytest.raises((ValueError, SystemExit)):
            flask_migrate.upgrade(directory=one_more(tmp_path, then))
        assert described() == before
        with db.engine.connect() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == installation.revisions()[-1]
    assert counted(app) == (1, 1, 1)


# -- while others use the tables --------------------------------------------------------------------------------

INDEXING = """
from app import migrating

revision = "9001"
down_revision = "{head}"


def upgrade():
    {then}


def downgrade():
    pass
"""
RELEASED = "0008"
"""Revisions up to this one were released before there was a rule."""


def test_a_migration_gives_way_to_a_long_transaction_and_begins_again(
    app: Flask,
    env: Env,
    settings: Settings,
    applied: Callable[[Settings], Flask],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise everybody who needs the table would wait behind it."""
    if settings.sqlite:
        pytest.skip("of PostgreSQL only: SQLite has one writer")
    monkeypatch.setattr(migrating, "LOCK_TIMEOUT", 0.05)
    a_pool(env)
    with applied(settings).app_context(), db.engine.connect() as reader:
        reader.execute(text("SET application_name = 'a long report'"))
        reader.execute(select(Pool.id)).all()
        paused: list[float] = []

        def pause(seconds: float) -> None:
            assert counted(app) == (1, 0, 0), "nobody waits behind a migration that pauses"
            paused.append(seconds)
            if len(paused) == 2:
                reader.rollback()

        monkeypatch.setattr(migrating, "sleep", pause)
        flask_migrate.upgrade(directory=one_more(tmp_path))
    assert paused == [migrating.PAUSE, 2 * migrating.PAUSE]
    assert caplog.text.count("others must not wait behind the migration") == 2
    assert "the oldest transaction is of a long report" in caplog.text
    with app.app_context(), db.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9001"
        assert connection.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0


def test_a_table_that_is_in_use_all_the_time_is_an_outage_that_passes(
    app: Flask, env: Env, settings: Settings, applied: Callable[[Settings], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    if settings.sqlite:
        pytest.skip("of PostgreSQL only: SQLite has one writer")
    monkeypatch.setattr(migrating, "LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr(migrating, "ATTEMPTS", 2)
    monkeypatch.setattr(migrating, "sleep", lambda seconds: None)
    migrating_app = applied(settings)
    with migrating_app.app_context():
        flask_migrate.downgrade(revision="0010")  # the next one alters a table
        before = described()
        with db.engine.connect() as writer:
            names = ", ".join(f'"{name}"' for name in Base.metadata.tables if name in before)
            writer.execute(text(f"LOCK TABLE {names}, alembic_version IN ROW EXCLUSIVE MODE"))
            with pytest.raises(ServiceUnavailable):
                installation.migrate(migrating_app, env.seal)
            writer.rollback()
        assert described() == before
        installation.migrate(migrating_app, env.seal)
        assert described() != before


def test_an_index_of_a_table_that_is_there_is_built_while_others_write(
    app: Flask,
    env: Env,
    settings: Settings,
    applied: Callable[[Settings], Flask],
    tmp_path: Path,
) -> None:
    """And one that was interrupted, and is there but not valid, is built again."""
    directory = one_more(tmp_path, 'migrating.create_index("ix_pool_x", "pool", ["name", "id"])', INDEXING)
    with applied(settings).app_context():
        flask_migrate.upgrade(directory=directory)
        assert "ix_pool_x" in {one["name"] for one in inspect(db.engine).get_indexes("pool")}
        if settings.sqlite:
            return
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_pool_x'::regclass")
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_pool_x'::regclass"))
            connection.execute(
                text("UPDATE alembic_version SET version_num = :head"), {"head": installation.revisions()[-1]}
            )
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
        flask_migrate.upgrade(directory=directory)
        with db.engine.connect() as connection:
            assert connection.scalar(valid) is True
    assert in_the_way(seen) == []
    assert [one.strip() for one in seen if "INDEX" in one] == [
        "DROP INDEX CONCURRENTLY ix_pool_x",
        "CREATE INDEX CONCURRENTLY ix_pool_x ON pool (name, id)",
    ]


def in_the_way(statements: list[str]) -> list[str]:
    """Statements that read a whole table that was there before their revision, while nobody can write to it."""
    made: set[str] = set()
    found = []
    for statement in (" ".join(one.split()) for one in statements):
        if create := re.match(r'CREATE TABLE "?(\w+)', statement):
            made.add(create[1])
        elif re.match(r"(UPDATE|INSERT INTO) alembic_version", statement):
            made.clear()
        index = re.match(r'CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON "?(\w+)', statement)
        key = re.match(r'ALTER TABLE "?(\w+)"? ADD (?:CONSTRAINT|UNIQUE|FOREIGN|PRIMARY|CHECK)', statement)
        table = index or (key if not re.search("USING INDEX|NOT VALID", statement) else None)
        if table and table[1] not in made:
            found.append(statement)
    return found


def test_what_is_in_the_way_is_known_when_it_is_seen() -> None:
    here = 'CREATE INDEX ix_user_x ON "user" (x)'
    assert in_the_way([here]) == [here]
    assert in_the_way(['CREATE TABLE "user" (x)', here]) == []
    assert in_the_way(['CREATE TABLE "user" (x)', "UPDATE alembic_version SET version_num='0002'", here]) == [here]
    assert in_the_way(["CREATE UNIQUE INDEX CONCURRENTLY ix_user_x ON user (x)"]) == []
    key = "ALTER TABLE pool ADD CONSTRAINT fk_pool_x FOREIGN KEY(x) REFERENCES y (z)"
    assert in_the_way([key, key + " NOT VALID"]) == [key]


@pytest.mark.postgres
def test_no_revision_reads_a_whole_table_while_nobody_can_write_to_it(
    postgres_server: postgres.Server, applied: Callable[[Settings], Flask], tmp_path: Path
) -> None:
    """An index of a table that is there is made by `migrating.create_index`; a key is added NOT VALID, and then
    validated. Revisions that were released stay as they are."""
    settings = test_settings(postgres_server.create(f"seen{next(COUNTER)}"), data_dir=tmp_path)
    with applied(settings).app_context():
        flask_migrate.upgrade(revision=RELEASED)
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
        flask_migrate.upgrade()
        assert in_the_way(seen) == []


# -- at once, and side by side ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_hosts_that_migrate_at_once_do_it_once(
    empty: Settings, tmp_path: Path, another_app: Callable[[Settings], Flask]
) -> None:
    environ = {
        "PATH": "/usr/bin:/bin",
        "COGNATE_DATABASE_URL": empty.database_url,
        "COGNATE_DATA_DIR": str(tmp_path),
        "COGNATE_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", "from app.cli import main; main()", "migrate"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=100)[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], "\n".join(said)
    app = another_app(empty)
    installation.demand_ready(app)
    with app.app_context(), db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM installation_secret")) == 2


@pytest.fixture
def older(app: Flask, settings: Settings, another_app: Callable[[Settings], Flask]) -> Flask:
    """This version, on a database that a newer one has migrated."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    return another_app(settings)


def test_the_version_before_goes_on_while_the_next_one_is_being_rolled_out(older: Flask) -> None:
    """Migrations expand, then contract: a revision that is not known is no reason to stop serving."""
    assert installation.pending_migrations(older) is None
    installation.demand_ready(older)


@pytest.mark.parametrize("revisions", [1, 2])
def test_statements_of_the_versions_before_work_on_this_schema(
    app: Flask, env: Env, settings: Settings, applied: Callable[[Settings], Flask], revisions: int
) -> None:
    """Their code is not here, but their schema is: what that knows of each table can still be read and written. So a
    column that is new may be left out, and none has gone or become required."""
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    granted = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=NOWHERE)
    assert isinstance(granted, Granted)
    granting.tokens(env, granted)
    with applied(settings).app_context():
        flask_migrate.downgrade(revision=f"-{revisions}")
        before = MetaData()
        before.reflect(db.engine)
        flask_migrate.upgrade()
        now = MetaData()
        now.reflect(db.engine)
        assert set(before.tables) <= set(now.tables)
        for name, old in before.tables.items():
            new = now.tables[name].columns
            assert set(old.columns.keys()) <= set(new.keys()), name
            for column in new:
                known = old.columns.get(column.name)
                required = not column.nullable and column.server_default is None
                assert not required or (known is not None and not known.nullable), f"{column} was not required before"
        with db.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            else:
                connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            written = 0
            for old in before.tables.values():
                rows = [dict(row) for row in connection.execute(select(old)).mappings()]
                if rows and connection.dialect.name == "postgresql":
                    connection.execute(old.delete())
                    connection.execute(insert(old), rows)
                    assert [dict(row) for row in connection.execute(select(old)).mappings()] == rows
                for row in rows:
                    key = [column == row[column.name] for column in old.primary_key]
                    connection.execute(update(old).where(*key).values(row))
                    written += 1
            assert written > 5


def test_the_version_before_does_not_migrate_what_it_does_not_know(older: Flask, env: Env) -> None:
    with pytest.raises(SettingsError, match="at revision 0099: a newer version of Cognate has migrated it"):
        installation.migrate(older, env.seal)


def test_what_is_missing_after_a_migration_that_was_interrupted_is_made_by_the_next(
    app: Flask, settings: Settings, env: Env, another_app: Callable[[Settings], Flask]
) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM installation_secret WHERE name = 'cookies'"))
        kept = connection.scalar(text("SELECT sealed FROM installation_secret WHERE name = 'hashes'"))
    half = another_app(settings)
    assert installation.pending_migrations(half) is None
    with pytest.raises(SettingsError, match="The database is without its secrets; run `cognate migrate`"):
        installation.demand_ready(half)
    installation.migrate(half, env.seal)
    installation.demand_ready(another_app(settings))
    with app.app_context(), db.engine.begin() as connection:
        assert connection.scalar(text("SELECT sealed FROM installation_secret WHERE name = 'hashes'")) == kept


def test_a_file_that_is_no_database_is_one_line_and_not_a_stack_trace(
    tmp_path: Path, another_app: Callable[[Settings], Flask]
) -> None:
    path = tmp_path / "letter.sqlite"
    path.write_text("Dear Sir or Madam, this is not a database.\n" * 50)
    with pytest.raises(SettingsError, match="COGNATE_DATABASE_URL cannot be used: file is not a database."):
        another_app(test_settings(f"sqlite:///{path}"))


@pytest.mark.postgres
def test_a_role_that_may_not_make_tables_is_told_so(
    postgres_server: postgres.Server, another_app: Callable[[Settings], Flask]
) -> None:
    """Since PostgreSQL 15 the public schema belongs to the owner of the database alone."""
    url = make_url(postgres_server.create(f"closed{next(COUNTER)}"))
    role = f"cognate_test_{secrets.token_hex(4)}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x'"))
        app = another_app(test_settings(url.set(username=role, password="x").render_as_string(hide_password=False)))
        with pytest.raises(SettingsError) as refused:
            installation.migrate(app, app.extensions["cognate"].seal)
        connection.execute(text(f"DROP ROLE {role}"))
    admin.dispose()
    assert str(refused.value) == "COGNATE_DATABASE_URL cannot be used: permission denied for schema public."
