"""How commands come to settings and to an environment: each takes, as click's object, what opens one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import click

from app.config import Settings
from app.env import Env

Open = Callable[[], AbstractContextManager[Env]]
"""Opens the environment of the settings, in an application context. Raises config.SettingsError; it makes nothing in
a directory that is not an installation's."""
SETTINGS = "cognate.settings"
"""In click's `meta`: reads the settings."""


def settings() -> Settings:
    """For commands that must do without a database that can be used. Raises config.SettingsError."""
    found: Settings = click.get_current_context().meta[SETTINGS]()
    return found


def now() -> datetime:
    return datetime.now(UTC)
