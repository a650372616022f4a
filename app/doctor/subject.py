"""The installation that is examined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from flask import Flask

from app.config import Settings, SettingsError
from app.env import Env


@dataclass(frozen=True)
class Subject:
    """Settings, and the application that they make, if they make one."""

    settings: Settings
    now: Callable[[], datetime]
    app: Flask | None = None
    unopened: str = ""
    """Why there is no application."""
    clock_url: str | None = None
    """An https URL whose Date header the clock is compared with."""
    send_to: str | None = None
    """An address that gets a mail."""
    pool_id: str | None = None
    """The one pool that is looked at; None: all."""

    @contextmanager
    def environment(self) -> Iterator[Env]:
        """The environment, in an application context. Raises SettingsError where there is none."""
        if self.app is None:
            raise SettingsError(self.unopened)
        with self.app.app_context():
            yield self.app.extensions["cognate"]
