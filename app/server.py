"""The production server: granian, one worker process per core, each with its own application.

`cognate serve` checks first what would fail every request, in the parent and with one clear line: settings, key,
migrations. Workers read the same environment and build their own application.
"""

from __future__ import annotations

import signal
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from app import create_app, installation
from app.config import Settings, SettingsError
from app.db import db

ACCESS_LOG = "%(addr)s %(method)s %(path)s %(status)d %(dt_ms).1f ms"
"""The path and never the query: that holds codes, states and tokens."""


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGINT, SIGTERM), finishing what is under way. Raises SettingsError beforehand."""
    check(settings)
    certificate, key = installation.tls_files(settings)
    Granian(
        "app.server:worker",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers_or_cores,
        blocking_threads=settings.threads,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        backlog=1024,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        log_level=LogLevels.warning,
        log_dictconfig=log_configuration(settings),
        log_access=settings.access_log,
        log_access_format=ACCESS_LOG,
        ssl_cert=certificate,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
    ).serve()


def worker() -> Flask:
    """The application of one worker process.

    A worker is forked with the parent's signal handlers, and gets its own only once this function has returned; a
    stop that came in between would be swallowed, and Ctrl-C would then take as long as the kill timeout.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return create_app()


def check(settings: Settings) -> None:
    """Refuse to start where nothing could be answered. Raises SettingsError."""
    app = create_app(settings)
    behind = installation.pending_migrations(app)
    with app.app_context():
        db.engine.dispose()  # no connection may be shared with the workers that are forked from here
    if behind:
        raise SettingsError(f"The database is {behind}; run `cognate migrate` with the same settings.")


def log_configuration(settings: Settings) -> dict[str, Any]:
    """One line an event, to standard error; standard output is for what commands print."""
    level = settings.log_level.upper()
    handlers = {"errors": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": handlers,
        "root": {"handlers": ["errors"], "level": level},
        "loggers": {
            "_granian": {"level": "WARNING"},
            "alembic": {"level": "WARNING"},
            "granian.access": {"level": "INFO"},
            # At DEBUG it writes whole tokens.
            "authlib": {"level": "INFO"},
        },
    }
