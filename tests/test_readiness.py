"""Whether a process can write: told by a function that anybody may call, and demanded before a start."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.engine import make_url

from app import readiness
from app.config import Settings, SettingsError
from app.db import db
from app.env import Env
from tests import standby
from tests.conftest import Clock, migrate, test_settings

FINE = {"database": "ok", "migrations": "ok", "key": "ok"}
ROOT = Path(__file__).parents[1]


def change(app: Flask, statement: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(statement))


def test_it_is_told_to_any_thread_and_asked_for_once_a_second(app: Flask, clock: Clock) -> None:
    found: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(readiness.checks(app))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [FINE] * 4
    change(app, "DELETE FROM alembic_version")
    assert readiness.checks(app) == FINE
    clock.forward(seconds=readiness.KEPT)
    assert readiness.checks(app) == {"database": "ok", "migrations": "empty", "key": "unknown"}


def test_it_writes_and_changes_nothing(app: Flask, settings: Settings) -> None:
    if not settings.sqlite:
        pytest.skip("of SQLite only")
    database = make_url(settings.database_url).database or ""
    with sqlite3.connect(database) as connection:
        before = list(connection.iterdump())
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        assert readiness.checks(app) == FINE
        assert connection.execute("PRAGMA data_version").fetchone() != (version,)
        assert list(connection.iterdump()) == before
    connection.close()


def test_another_writer_is_no_reason_until_requests_would_be_refused(
    app: Flask, env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if not env.settings.sqlite:
        pytest.skip("of SQLite only")
    monkeypatch.setattr(readiness, "LIMITS", replace(readiness.LIMITS, lock=0.01))
    held = sqlite3.connect(make_url(env.settings.database_url).database or "", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    assert readiness.checks(app) == FINE
    clock.forward(seconds=(env.settings.database_lock_timeout or 0) + 1)
    assert readiness.checks(app)["database"] == "locked"
    assert "the database is locked: database is locked" in caplog.text
    with pytest.raises(SettingsError, match="The database cannot be written to \\(locked\\)"):
        readiness.demand(app)
    held.execute("ROLLBACK")
    held.close()
    clock.forward(seconds=1)
    assert readiness.checks(app) == FINE


FULL = """
set -e
mount -t tmpfs -o size=4m tmpfs "$COGNATE_DATA_DIR"
cognate() { "$PYTHON" -c "from app.cli import main; main()" "$@"; }
fill() { dd if=/dev/zero of="$COGNATE_DATA_DIR/fill" bs=4096 2>/dev/null || true; }
cognate migrate
fill
! cognate serve
rm "$COGNATE_DATA_DIR/fill"
# With somebody who has the database open, there is room for the shared memory of the WAL, which is there already.
"$PYTHON" - <<END
import os, sqlite3, subprocess, sys
connection = sqlite3.connect(os.path.join(os.environ["COGNATE_DATA_DIR"], "cognate.sqlite"))
connection.execute("SELECT * FROM revision").fetchall()
with open(os.path.join(os.environ["COGNATE_DATA_DIR"], "fill"), "wb", buffering=0) as fill:
    try:
        while True:
            fill.write(bytes(4096))
    except OSError:
        pass
sys.exit(0 if subprocess.run([sys.executable, "-c", "from app.cli import main; main()", "serve"]).returncode else 1)
END
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_a_full_disk_is_a_start_refused_in_one_line(tmp_path: Path) -> None:
    """A real one, in a file system of its own."""
    apart = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*apart, "mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a file system of their own")
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHON": sys.executable, "COGNATE_DATA_DIR": str(tmp_path)}
    done = subprocess.run([*apart, "sh", "-c", FULL], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("cognate: ")] == [
        "cognate: COGNATE_DATABASE_URL cannot be used: disk I/O error (its disk is full).",
        "cognate: The database cannot be written to (disk full): database or disk is full.",
    ]


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_only_reads_is_refused(app: Flask, env: Env, clock: Clock) -> None:
    name = db.engine.url.database
    change(app, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        assert readiness.checks(app)["database"] == "read-only"
        with pytest.raises(SettingsError, match="its transactions are read-only by default"):
            readiness.demand(app)
    finally:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))


@pytest.mark.slow
@pytest.mark.postgres
def test_a_standby_is_refused(another_app: Callable[..., Flask], tmp_path: Path) -> None:
    with standby.pair() as pair:
        settings = test_settings(f"postgresql+psycopg{pair.primary.address[10:]}", data_dir=tmp_path)
        migrate(settings)
        pair.caught_up()
        app = another_app(replace(settings, database_url=f"postgresql+psycopg{pair.standby.address[10:]}"))
        assert app.test_client().get("/readyz").json == {
            "status": "unavailable",
            "database": "read-only",
            "migrations": "unknown",
            "key": "unknown",
        }
        with pytest.raises(SettingsError) as refused:
            readiness.demand(app)
        assert str(refused.value) == (
            "COGNATE_DATABASE_URL leads to a server that cannot be written to (it is a standby): name the primary, or "
            "all hosts with ?target_session_attrs=read-write."
        )
        with app.app_context():
            db.engine.dispose()


def test_a_database_that_fails_the_write_is_told_in_two_words(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("UPDATE alembic_version"):
            error = sqlite3.OperationalError("disk I/O error at /srv/secret")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
            raise error

    if app.extensions["cognate"].settings.sqlite:
        readiness.checks(app)
        event.listen(app.extensions["cognate_readiness"]._engine, "before_cursor_execute", refuse)
        app.extensions["cognate_readiness"]._asked = float("-inf")
        assert readiness.checks(app)["database"] == "I/O error"
        assert "secret" in caplog.text, "names of files are for the log"


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_more_workers_than_postgresql_has_connections_for_are_told_of(app: Flask, env: Env) -> None:
    assert readiness.shortage(app) is None
    app.extensions["cognate"] = replace(env, settings=replace(env.settings, workers=64, database_pool=10))
    found = readiness.shortage(app)
    assert found is not None and found.startswith(
        "64 workers with 12 connections each (COGNATE_DATABASE_POOL 10, one to listen on and one for /readyz) may take "
        "768 connections, and PostgreSQL has "
    )
    assert "Set max_connections to 771 at least, or lower COGNATE_WORKERS or COGNATE_DATABASE_POOL." in found
