"""Where SQLite and PostgreSQL differ, and are made not to."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from app import errors
from app.accounts import sign_up
from app.db import READONLY, Base, db, orphaned, raising, replaced
from app.env import Env, Origin
from app.models import Domain, Pool, ResourceServer, SigningKey, Spent, Throttle, User
from app.pools import access_keys, domains, resource_servers
from app.tokens import codes, issue
from tests.build import CALLBACK, PASSWORD, a_client, a_machine, a_pool, a_user
from tests.conftest import START

ROOT = Path(__file__).parents[1]
OF_THE_INSTALLATION = {"provisioned_limit", "installation_secret", "revision", "access_key", "spent", "throttle"} | {
    *("restoration", "rate_counter", "audit_event", "audit_chain"),
}


@pytest.fixture
def engine(env: Env) -> Engine:
    return db.engine


def a_spent(at: datetime, digest: str = "x") -> Spent:
    return Spent(digest=digest, expires_at=at)


def is_sqlite(env: Env) -> bool:
    return env.settings.database_url.startswith("sqlite")


# -- moments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
        datetime(9999, 12, 31, tzinfo=UTC),
        datetime(1, 1, 2, tzinfo=UTC),
    ],
)
def test_a_moment_comes_back_as_the_same_one_in_utc(env: Env, moment: datetime) -> None:
    with env.transaction():
        env.db.add(a_spent(moment))
    with env.reading() as session:
        found = session.scalar(select(Spent.expires_at))
    assert found == moment and found.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(env: Env) -> None:
    with pytest.raises(StatementError, match="a moment without a time zone cannot be stored"):
        with env.transaction():
            env.db.add(a_spent(datetime(2026, 3, 1)))
    with pytest.raises(StatementError, match="without a time zone"):
        with env.reading() as session:
            session.scalar(select(Spent).where(Spent.expires_at < datetime(2026, 3, 1)))


def test_moments_are_compared_as_moments_whatever_their_zone(env: Env) -> None:
    with env.transaction():
        env.db.add_all([a_spent(START, "now"), a_spent(START + timedelta(microseconds=1), "later")])
    elsewhere = START.astimezone(timezone(timedelta(hours=9)))
    with env.reading() as session:
        assert list(session.scalars(select(Spent.digest).where(Spent.expires_at <= elsewhere))) == ["now"]


# -- documents -------------------------------------------------------------------------------------------------


def test_a_document_keeps_every_character_and_the_order_of_lists(env: Env) -> None:
    given = {"name": "Zoë \U0001f600 \u2028 \"'\\", "list": [3, 1, 2], "deep": {"a": [{"b": None}]}, "yes": True}
    pool = a_pool(env)
    with env.transaction():
        env.db.get(Pool, pool.id).settings = given  # type: ignore[union-attr]
    with env.reading() as session:
        assert session.get(Pool, pool.id).settings == given  # type: ignore[union-attr]


# -- SQLite ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "number"), [("full", 2), ("normal", 1)])
def test_every_connection_to_sqlite_is_told_how_to_behave(
    env: Env, another_app: Callable[..., Flask], level: str, number: int
) -> None:
    if not is_sqlite(env):
        pytest.skip("of SQLite only")
    with another_app(replace(env.settings, sqlite_synchronous=level, database_lock_timeout=7.0)).app_context():
        engine = db.engine
    with engine.connect() as one, engine.connect().execution_options(**{READONLY: True}) as two:
        for connection in (two, one):
            told = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }
            assert told == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 7000, "synchronous": number}
            connection.rollback()


def test_a_file_that_was_removed_or_replaced_under_a_connection_is_noticed(env: Env, engine: Engine) -> None:
    if not is_sqlite(env):
        pytest.skip("of SQLite only")
    path = Path(engine.url.database or "")
    with engine.connect() as connection:
        assert not replaced(connection)
        other = path.with_name("other")
        shutil.copy(path, other)
        other.replace(path)
        assert replaced(connection)
        path.unlink()
        assert replaced(connection)


def test_the_pool_of_connections_is_bounded_and_does_not_wait_for_ever(env: Env, engine: Engine) -> None:
    assert engine.pool.size() == env.settings.connections  # type: ignore[attr-defined]
    assert engine.pool._max_overflow == 0  # type: ignore[attr-defined]


# -- many writers ----------------------------------------------------------------------------------------------

COUNT_UP = """
import os, sys
from app import create_app, config
from app.env import Env
from app.models import Throttle
from sqlalchemy import select

app = create_app(config.read(os.environ))
env: Env = app.extensions["cognate"]
with app.app_context():
    for _ in range(int(sys.argv[1])):
        with env.transaction():
            row = env.db.scalars(select(Throttle).where(Throttle.key == "counter").with_for_update()).one()
            row.count = row.count + 1
"""


@pytest.mark.slow
def test_four_processes_that_read_and_then_write_lose_no_update(env: Env, tmp_path: Path) -> None:
    """What SQLite does by itself loses three updates of four in silence, or fails with "database is locked"."""
    with env.transaction():
        env.db.add(Throttle(key="counter", count=0, since=START, locked_until=None, expires_at=START))
    rounds, processes = 60, 4
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COGNATE_")} | {
        "COGNATE_DATABASE_URL": env.settings.database_url,
        "COGNATE_DATA_DIR": str(tmp_path),
        "COGNATE_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    }
    running = [
        subprocess.Popen([sys.executable, "-c", COUNT_UP, str(rounds)], cwd=ROOT, env=environ, stderr=subprocess.PIPE)
        for _ in range(processes)
    ]
    said = [process.communicate(timeout=100)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0] * processes, "\n".join(said)
    with env.reading() as session:
        assert session.scalar(select(Throttle.count)) == rounds * processes


# -- constraints with a name -----------------------------------------------------------------------------------


def a_domain(pool: Pool, name: str, *, custom: bool = False) -> Domain:
    return Domain(domain=name, pool_id=pool.id, custom=custom, settings={}, created_at=START)


NAMED = {"pk_domain": errors.AliasExists(), "uq_domain_pool_id_custom": errors.GroupExists()}


def test_the_violated_constraint_decides_the_refusal(env: Env) -> None:
    one, two = a_pool(env), a_pool(env)
    with env.transaction():
        env.db.add(a_domain(one, "one"))
    for row, refusal in ((a_domain(two, "one"), errors.AliasExists), (a_domain(one, "other"), errors.GroupExists)):
        with pytest.raises(refusal):
            with env.transaction():
                with raising(env.db, **NAMED):
                    env.db.add(row)


def test_the_transaction_goes_on_after_a_violation(env: Env) -> None:
    one, two = a_pool(env), a_pool(env)
    with env.transaction():
        env.db.add(a_domain(one, "one"))
        with pytest.raises(errors.AliasExists), raising(env.db, **NAMED):
            env.db.add(a_domain(two, "one"))
        with raising(env.db, **NAMED):
            env.db.add(a_domain(two, "two"))
    with env.reading() as session:
        assert set(session.execute(select(Domain.domain, Domain.pool_id))) == {
            ("one", one.id),
            ("two", two.id),
        }


def test_a_statement_is_told_like_a_row(env: Env) -> None:
    with env.transaction():
        env.db.add(a_spent(START))
        with pytest.raises(errors.SessionUsed), raising(env.db, pk_spent=errors.SessionUsed()):
            env.db.execute(insert(Spent).values(digest="x", expires_at=START))


def test_a_primary_key_of_several_columns_is_told_from_others(env: Env) -> None:
    pool = a_pool(env)
    resource_servers.create(env, pool, identifier="a", name="A", scopes=[])
    with env.transaction():
        with pytest.raises(errors.GroupExists), raising(env.db, pk_resource_server=errors.GroupExists()):
            env.db.add(ResourceServer(pool_id=pool.id, identifier="a", name="A", scopes=[], created_at=START))


def test_other_violations_are_bugs_and_not_refusals(env: Env) -> None:
    pool = a_pool(env)
    with env.transaction():
        env.db.add(a_domain(pool, "one"))
    wrong: list[dict[str, Any]] = [
        {"domain": "one", "pool_id": pool.id, "custom": True},  # the primary key, which is not named below
        {"domain": "two", "pool_id": "us-east-1_nobody", "custom": True},  # a foreign key
        {"domain": None, "pool_id": pool.id, "custom": True},  # NOT NULL of the primary key's own column
    ]
    for given in wrong:
        with pytest.raises(IntegrityError):
            with env.transaction():
                with raising(env.db, uq_domain_pool_id_custom=errors.GroupExists()):
                    env.db.execute(insert(Domain).values(settings={}, created_at=START, **given))
    with pytest.raises(IntegrityError):
        with env.transaction():
            with raising(env.db, **NAMED):
                env.db.execute(insert(Domain).values(settings={}, created_at=START, **wrong[2]))


def test_what_belongs_to_something_that_was_just_deleted_is_refused_where_that_was_foreseen(env: Env) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.UnknownPool), env.transaction(), orphaned(errors.UnknownPool("us-east-1_gone")):
        env.db.add(a_domain(pool, "kept"))
        env.db.execute(
            insert(Domain).values(domain="x", pool_id="us-east-1_gone", settings={}, custom=False, created_at=START)
        )
    with pytest.raises(IntegrityError), env.transaction(), orphaned(errors.UnknownPool("us-east-1_gone")):
        env.db.execute(insert(Domain).values(domain=None, pool_id=pool.id, settings={}, custom=False, created_at=START))
    with env.reading() as session:
        assert session.scalars(select(Domain)).all() == []


def test_every_constraint_has_a_name_that_both_engines_can_keep() -> None:
    for table in Base.metadata.tables.values():
        for constraint in (*table.constraints, *table.indexes):
            assert constraint.name and len(constraint.name) <= 63, f"{table.name}: {constraint.name}"


# -- what belongs to a pool goes with it -----------------------------------------------------------------------


def a_full_pool(env: Env) -> Pool:
    """A pool with a row in every table that a pool can have rows in."""
    pool = a_pool(env)
    client = a_client(env, pool, secret=True)
    a_machine(env, pool)
    domains.create(env, pool, domain="people", custom=False, settings={})
    user = a_user(env, pool)
    env_origin = Origin()
    with pytest.raises(errors.UsernameExists):
        sign_up.sign_up(
            env, client, username="alice", password=PASSWORD, attributes={"email": "b@example.com"}, origin=env_origin
        )
    sign_up.sign_up(
        env, client, username="bob", password=PASSWORD, attributes={"email": "bob@example.com"}, origin=env_origin
    )
    with env.transaction():
        issue.open_session(
            env, client, user, scope="openid", auth_time=env.now(), methods=["PASSWORD"], origin=Origin()
        )
        codes.give(
            env,
            client,
            user.sub,
            redirect_uri=CALLBACK,
            scope="openid",
            nonce=None,
            code_challenge=None,
            auth_time=env.now(),
            methods=["PASSWORD"],
            browser_session_id=None,
        )
        for table, values in (
            (
                "attempt",
                {"digest": "d", "client_id": client.id, "user_sub": user.sub, "flow": "x", "asked": "x"}
                | {"proven": [], "notes": {}, "created_at": START, "expires_at": START},
            ),
            (
                "browser_session",
                {"digest": "d", "id": "b", "pool_id": pool.id, "user_sub": user.sub, "client_id": client.id}
                | {"methods": [], "ip": "", "user_agent": ""}
                | {"auth_time": START, "created_at": START, "expires_at": START},
            ),
            (
                "device",
                {"key": "k", "user_sub": user.sub, "group_key": "-g", "salt": "1", "verifier": "v", "last_ip": ""}
                | {"remembered": True, "trusted": True}
                | {"created_at": START, "modified_at": START, "authenticated_at": START},
            ),
            (
                "passkey",
                {"id": "p", "pool_id": pool.id, "user_sub": user.sub, "credential_id": "c", "public_key": "k"}
                | {"sign_count": 0, "rp_id": "localhost", "name": "n", "aaguid": "a", "transports": []}
                | {"synced": False, "backed_up": False, "created_at": START},
            ),
            (
                "passkey_registration",
                {"user_sub": user.sub, "client_id": client.id, "challenge": "c", "rp_id": "localhost"}
                | {"expires_at": START},
            ),
            ("recovery_code", {"id": "r", "user_sub": user.sub, "digest": "d", "created_at": START}),
            ("software_token", {"user_sub": user.sub, "secret": "s", "last_step": 0, "created_at": START}),
            ("group", {"pool_id": pool.id, "name": "g", "created_at": START, "modified_at": START}),
            ("membership", {"pool_id": pool.id, "group_name": "g", "user_sub": user.sub, "created_at": START}),
            ("former_password", {"id": "f", "user_sub": user.sub, "hash": "h", "replaced_at": START}),
            (
                "pool_change",
                {"id": "c", "pool_id": pool.id, "before": {}, "after": {}, "state": "done"}
                | {"touched_at": START, "created_at": START},
            ),
            (
                "terms",
                {"id": "t", "pool_id": pool.id, "client_id": client.id, "name": "n", "source": "LINK"}
                | {"enforcement": "NONE", "links": {}, "created_at": START, "modified_at": START},
            ),
            (
                "ui_customization",
                {"pool_id": pool.id, "client_id": client.id, "css_version": "v"}
                | {"created_at": START, "modified_at": START},
            ),
            (
                "managed_login_branding",
                {"id": "m", "pool_id": pool.id, "client_id": client.id, "provided": True}
                | {"created_at": START, "modified_at": START},
            ),
            (
                "branding_asset",
                {"branding_id": "m", "category": "FORM_LOGO", "color_mode": "LIGHT", "extension": "PNG"},
            ),
        ):
            env.db.execute(insert(Base.metadata.tables[table]).values(values))
    return pool


def rows(env: Env) -> dict[str, int]:
    with env.reading() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }


def test_no_row_of_a_pool_outlives_it(env: Env) -> None:
    access_keys.create(env, description="stays")
    pool, other = a_full_pool(env), a_pool(env)
    before = rows(env)
    empty = {name for name, count in before.items() if not count} - OF_THE_INSTALLATION
    assert not empty, "this test has to fill these tables too"
    with env.transaction():
        env.db.delete(env.db.get(Pool, pool.id))
    left = {name: count for name, count in rows(env).items() if count and name not in OF_THE_INSTALLATION}
    assert left == {"pool": 1, "signing_key": 2}
    with env.reading() as session:
        assert session.scalar(select(Pool.id)) == other.id
        assert set(session.scalars(select(SigningKey.pool_id))) == {other.id}
    assert rows(env)["access_key"] == 1


def test_sqlite_deletes_along_foreign_keys_that_only_statements_know(env: Env) -> None:
    pool = a_full_pool(env)
    with env.transaction():
        env.db.execute(text('DELETE FROM "user"'))
    found = rows(env)
    of_users = (
        "password former_password alias code attempt login_session browser_session authorization_code membership"
    ).split()
    assert not any(found[name] for name in of_users)
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0
        assert session.scalar(select(Pool.id)) == pool.id


@pytest.fixture(autouse=True)
def connections_are_given_back(app: Flask) -> Iterator[None]:
    yield
    with app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_json_is_read_and_written_the_same_on_every_database(env: Env, engine: Engine) -> None:
    """Numbers beyond 64 bits are floats for everybody who reads the document, as they are in JavaScript."""
    pool = a_pool(env)
    with env.transaction():
        env.db.get_one(Pool, pool.id).settings = {"large": 1e20, "at": START, "text": "\u2028\u00e4"}
    with env.reading() as session:
        found = session.scalar(select(Pool.settings))
    assert found == {"large": 1e20, "at": START.isoformat(), "text": "\u2028\u00e4"}
    assert type(found["large"]) is float
