"""How commands come to an environment: each takes, as click's object, what opens one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from app.env import Env

Open = Callable[[], AbstractContextManager[Env]]
"""Opens the environment of the settings, in an application context. Raises config.SettingsError; it makes nothing in
a directory that is not an installation's."""
