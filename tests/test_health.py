"""`/healthz` and `/readyz` tell the truth: about this process, and about what every request needs."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app import installation, readiness
from app.config import Settings
from app.db import db
from app.env import Env
from tests import postgres
from tests.conftest import COUNTER, test_settings

FINE = {"status": "ok", "database": "ok", "migrations": "ok", "key": "ok"}


@pytest.fixture(autouse=True)
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "KEPT", 0.0)


def ready(app: Flask) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/readyz")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "application/json"
    return answer.status_code, answer.json or {}


def change(app: Flask, statement: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(statement))


def test_all_is_well(app: Flask, http: FlaskClient) -> None:
    assert ready(app) == (200, FINE)
    answer = http.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert http.head("/healthz").status_code == 200


def test_an_empty_database_is_not_ready_and_the_process_lives(
    tmp_path: Path, another_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "new.sqlite").touch()
    app = another_app(test_settings(f"sqlite:///{tmp_path}/new.sqlite", data_dir=tmp_path))
    expected = {"status": "unavailable", "database": "ok", "migrations": "empty", "key": "unknown"}
    assert ready(app) == (503, expected)
    assert app.test_client().get("/healthz").status_code == 200


def test_a_process_that_was_there_before_the_migration_has_to_be_started_again(
    tmp_path: Path, another_app: Callable[..., Flask], env: Env
) -> None:
    settings = test_settings(f"sqlite:///{tmp_path}/new.sqlite", data_dir=tmp_path)
    installation.prepare(settings)
    early = another_app(settings)
    installation.migrate(another_app(settings), env.seal)
    assert ready(early) == (503, FINE | {"status": "unavailable", "key": "another since the start"})
    assert ready(another_app(settings)) == (200, FINE)


def test_an_old_database_says_so_and_a_newer_one_is_served(app: Flask) -> None:
    change(app, "UPDATE alembic_version SET version_num = '0099'")
    assert ready(app) == (200, FINE)
    change(app, "DELETE FROM alembic_version")
    assert ready(app)[1]["migrations"] == "empty"


def test_a_database_at_an_older_revision_says_which(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    current = installation.revisions()[-1]
    monkeypatch.setattr(installation, "revisions", lambda: [current, "0099"])
    status, found = ready(app)
    assert (status, found["migrations"]) == (503, f"at revision {current}, not at 0099")


def test_secrets_that_another_key_sealed_are_noticed_while_running(app: Flask, env: Env) -> None:
    """Somebody restored the backup of another installation."""
    change(app, "UPDATE installation_secret SET sealed = 'v1.00000000.AAAA'")
    assert ready(app) == (503, FINE | {"status": "unavailable", "key": "wrong"})
    change(app, "DELETE FROM installation_secret WHERE name = 'hashes'")
    assert ready(app)[1]["key"] == "missing"


def test_a_sqlite_file_that_was_taken_away_is_not_ready(
    app: Flask, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The process would go on for hours, writing to a file that no longer has a name."""
    if not settings.database_url.startswith("sqlite"):
        pytest.skip("of SQLite only")
    assert ready(app) == (200, FINE)
    path = Path(make_url(settings.database_url).database or "")
    path.rename(path.with_suffix(".old"))
    gone = {"status": "unavailable", "database": "not reachable", "migrations": "unknown", "key": "unknown"}
    assert ready(app) == (503, gone)
    assert "its file was removed or replaced" in caplog.text
    assert app.test_client().get("/healthz").status_code == 200
    path.with_suffix(".old").rename(path)
    assert ready(app) == (200, FINE)


def test_health_is_asked_without_waiting_for_whoever_writes(app: Flask, env: Env) -> None:
    with env.transaction():
        env.db.execute(text("UPDATE revision SET number = number + 1"))
        env.db.flush()
        assert readiness.checks(app)["database"] == "ok"


@pytest.mark.postgres
def test_a_postgresql_that_stops_and_starts_again_is_noticed_both_times(
    another_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A server of this test's own, to be taken away."""
    with postgres.start() as server:
        name = f"health{next(COUNTER)}"
        settings = test_settings(server.create(name), data_dir=tmp_path)
        app = another_app(settings)
        installation.migrate(app, app.extensions["cognate"].seal)
        app = another_app(settings)
        assert ready(app) == (200, FINE)
        # As a failover looks to those who are connected: every connection is cut.
        server.drop(name)
        status, found = ready(app)
        assert (status, found["database"], found["key"]) == (503, "not reachable", "unknown")
        assert name not in str(found) and str(tmp_path) not in str(found), "names are for the log"
        assert f'"{name}" does not exist' in caplog.text
        server.create(name)
        assert ready(app)[1]["migrations"] == "empty"
        with app.app_context():
            db.engine.dispose()
        created = another_app(settings)
        installation.migrate(created, created.extensions["cognate"].seal)
        assert ready(app) == (503, FINE | {"status": "unavailable", "key": "another since the start"})
        with caplog.at_level(logging.CRITICAL):
            for each in (app, created):
                with each.app_context():
                    db.engine.dispose()
    status, found = ready(app)
    assert (status, found["database"]) == (503, "not reachable")
