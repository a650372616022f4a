"""One set of migrations for both engines: up, down, at once, over rows, and never away from the models."""

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
from sqlalchemy import create_engine, func, inspect, select, text
from sqlalchemy.engine import make_url

from app import installation
from app.accounts import find
from app.config import Settings, SettingsError
from app.db import Base, db
from app.env import Env
from app.models import Password, Pool, User
from app.pools import domains
from tests import postgres
from tests.build import a_client, a_pool, a_user
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


def one_more(tmp_path: Path, then: str = "pass") -> str:
    """The migrations, and one that copies the table that everything points to."""
    copy = tmp_path / "migrations"
    shutil.copytree(installation.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / "9001_altering.py").write_text(ALTERING.format(head=installation.revisions()[-1], then=then))
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
