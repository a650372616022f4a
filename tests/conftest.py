"""The world of a test with its hands visible: settings, clock, database, environment, outbox.

Every test that asks for `app` or `env` runs on SQLite and, marked `postgres`, on PostgreSQL. A migrated database is
made once per run and engine, and cloned for every test.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect, sync_playwright
from sqlalchemy import Engine

from app import create_app, installation
from app.config import Settings
from app.crypto import jose
from app.db import db
from app.env import Env
from app.messaging import outbox
from app.models import OutboxMessage
from tests import chromium, made_once, postgres
from tests.distinct import keep_apart
from tests.executed import noticing

KEY = bytes(range(32))
COUNTER = itertools.count()
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

# The same examples each time, however busy the machine is: what is found by chance is found in a run made for it.
hypothesis.settings.register_profile(
    "same",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")
made_once.share_url_builders()


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def ticks(self) -> float:
        return (self.moment - START).total_seconds()

    def forward(self, **much: float) -> None:
        self.moment += timedelta(**much)


def test_settings(database_url: str, **other: object) -> Settings:
    """Settings of a test: a fixed key, cheap hashes where they are allowed, patience on a machine that has other things
    to do, and no waiting for the disk, which would make tests a fifth slower (tests/journeys/test_power_cut.py has the
    default)."""
    sqlite = database_url.startswith("sqlite")
    usual = {"sqlite_synchronous": "normal"} if sqlite else {"database_statement_timeout": 120.0}
    cheap = {} if other.get("mode") == "production" else {"argon2_memory_kib": 64, "argon2_time": 1}
    return Settings(
        **{  # type: ignore[arg-type]
            "mode": "development",
            "database_url": database_url,
            "key": KEY,
            **cheap,
            "database_lock_timeout": 60.0,
            **usual,
            **other,
        }
    )


test_settings.__test__ = False  # type: ignore[attr-defined]


def migrate(settings: Settings) -> None:
    """What `cognate migrate` does."""
    installation.prepare(settings)
    app = create_app(settings)
    installation.migrate(app, app.extensions["cognate"].seal)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "cognate.sqlite"
    migrate(test_settings(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    with postgres.start() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: postgres.Server) -> str:
    migrate(test_settings(postgres_server.create("template")))
    return "template"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    if request.param == "sqlite":
        path = tmp_path / "cognate.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("postgres_template")
    server: postgres.Server = request.getfixturevalue("postgres_server")
    with server.lent(template) as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return test_settings(database_url, data_dir=tmp_path)


@pytest.fixture(scope="session")
def rsa_keys() -> list[bytes]:
    """Real keys, made once: two for each pool would take longer than most tests. Enough for four pools to differ."""
    return [jose.generate("RS256") for _ in range(8)]


def be_patient(engine: Engine) -> None:
    """Wait for a connection a minute and not five seconds: fifty threads of a test may need one on a machine that has
    other things to do."""
    engine.pool._timeout = 60  # type: ignore[attr-defined]


@pytest.fixture
def app(settings: Settings, clock: Clock, rsa_keys: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    generate, stock = jose.generate, itertools.cycle(rsa_keys)
    monkeypatch.setattr(jose, "generate", lambda kind: next(stock) if kind == "RS256" else generate(kind))
    keep_apart(monkeypatch, clock)
    application = create_app(settings, now=clock, ticks=clock.ticks)
    application.config["TESTING"] = True
    with application.app_context():
        made_once.share(application, db.engine)
        be_patient(db.engine)
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture
def another_app() -> Iterator[Callable[..., Flask]]:
    """Makes more applications, as other processes on the same database would have; takes what `create_app` takes."""
    made: list[Flask] = []

    def make(settings: Settings, **world: Any) -> Flask:
        made.append(create_app(settings, **world))
        return made[-1]

    yield make
    for application in made:
        if "cognate_listener" in application.extensions:
            application.extensions["cognate_listener"].stop()
        with application.app_context():
            db.engine.dispose()


@pytest.fixture
def env(app: Flask) -> Iterator[Env]:
    """The environment of a use-case, inside an application context."""
    with app.app_context():
        yield app.extensions["cognate"]


@pytest.fixture
def limited(app: Flask, env: Env) -> Callable[..., Env]:
    """The same server with other limits, `limited(groups=2)`: its environment, which its doors have too."""

    def limit(**limits: int) -> Env:
        chosen = replace(env.settings, **{f"limit_{name}": number for name, number in limits.items()})
        changed = replace(env, settings=chosen)
        app.extensions["cognate"] = changed
        return changed

    return limit


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    """The doors, without a network."""
    return app.test_client()


@pytest.fixture
def sent(app: Flask) -> Callable[..., list[OutboxMessage]]:
    """What was sent, newest first; only to one address if it is given."""

    def look(to: str | None = None) -> list[OutboxMessage]:
        with app.app_context():
            return outbox.kept(app.extensions["cognate"], to)

    return look


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for the whole run, because Playwright can be started once; each test opens a context of its own."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        started = chromium.launch(playwright)
        yield started
        started.close()


@pytest.fixture
def statements(app: Flask) -> Iterator[Callable[[], list[str]]]:
    """The SQL that was executed since the last call, without what begins and ends transactions."""
    with app.app_context():
        engine = db.engine
    seen: list[str] = []

    def note(statement: str, parameters: object) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(statement)

    def since() -> list[str]:
        found = list(seen)
        seen.clear()
        return found

    with noticing(engine, note):
        yield since
