"""Commands, run in this process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from app import cli
from app.cli import pool, printing
from app.config import PREFIX, Settings
from tests.conftest import Clock

KEY_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
Run = Callable[..., Result]


@pytest.fixture
def configured(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an operator whose database is this test's."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in {
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(tmp_path),
        "KEY": KEY_TEXT,
        "ACCESS_LOG": "off",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)


@pytest.fixture
def run(
    configured: None, another_app: Callable[..., Flask], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Runs a command in this process, in a world whose clock is this test's, and without touching its logging."""

    def create(settings: Settings) -> Flask:
        return another_app(settings, now=clock, ticks=clock.ticks)

    monkeypatch.setattr(cli, "create_app", create)
    monkeypatch.setattr(pool, "pause", lambda seconds: clock.forward(seconds=seconds))
    # On a busy machine anything may take long enough for lines of progress, which tests would find in the output.
    monkeypatch.setattr(printing, "PATIENCE", 3600)
    monkeypatch.setattr(cli, "_settings", lambda: cli.config.read(os.environ))

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli.cognate, arguments, input=typed)

    yield run
