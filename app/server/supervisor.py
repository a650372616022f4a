"""The process that starts the workers, replaces those that die or freeze, and tells them to stop: gunicorn's arbiter.

granian has a supervisor of its own, which ends the whole server when a worker dies twice within seconds, and does not
notice one that has frozen. gunicorn's replaces each, for as long as it takes, listens on one socket that all workers
share (connections that wait survive the death of a worker), and starts new workers on SIGHUP. Its HTTP server is not
used.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any, cast

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger as BaseLogger

from app import create_app, installation, metrics, readiness
from app.config import Settings, SettingsError
from app.installation import Secrets
from app.server import transport, worker
from app.server.address import disconnect, free_address

log = logging.getLogger(__name__)

FROZEN = 20
"""Seconds without a sign of life, after which a worker is replaced."""
MEMORY = "/dev/shm"  # noqa: S108 - gunicorn's files there have no name
GRACE = 5
"""Seconds that the supervisor waits longer than its workers need."""


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGINT, SIGTERM), finishing what is under way. Raises SettingsError beforehand, and
    SystemExit at the end."""
    addresses, secrets = check(settings)
    installation.tls_files(settings)
    metrics.prepare(settings)
    Supervisor(Application(settings, secrets, addresses)).run()


def check(settings: Settings) -> tuple[list[str], Secrets]:
    """Refuse to start where nothing could be answered. Returns where to listen, and the secrets of the installation.
    Raises SettingsError."""
    app = create_app(settings)
    try:
        readiness.demand(app)
        if short := readiness.shortage(app):
            log.warning("%s", short)
        with app.app_context():
            secrets = installation.open_secrets(app, app.extensions["cognate"].seal)
    finally:
        disconnect(app)
    if secrets is None:
        raise SettingsError("The database has no secrets; run `cognate migrate`.")
    addresses = [free_address(settings)]
    if settings.admin_port:
        addresses.append(free_address(settings, admin=True))
    return addresses, secrets


class Application(BaseApplication):
    """What gunicorn asks for its settings. Nothing is read from its own files and variables."""

    def __init__(self, settings: Settings, secrets: Secrets, addresses: list[str]) -> None:
        """`addresses` are an IP address with its port each: where requests come, and where operators ask."""
        self.settings = settings
        self.secrets = secrets
        self._addresses = addresses
        super().__init__()

    def load_config(self) -> None:
        chosen: dict[str, Any] = {
            "bind": self._addresses,
            "backlog": transport.BACKLOG,
            "workers": self.settings.workers_or_cores,
            "worker_class": worker.Worker,
            "timeout": FROZEN,
            "graceful_timeout": int(self.settings.drain_seconds + worker.FINISHING) + GRACE,
            "logger_class": Logger,
            "control_socket_disable": True,
            "proc_name": "cognate",
        }
        if os.path.isdir(MEMORY):  # a sign of life must not wait for a disk
            chosen["worker_tmp_dir"] = MEMORY
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application is made by each worker."""


class Logger(BaseLogger):
    """gunicorn's lines, in the form of all others: `logs` has configured them."""

    def setup(self, cfg: Any) -> None:
        # gunicorn has told them not to propagate, and to have handlers of their own.
        self.error_log.propagate = True
        self.access_log.propagate = True

    def reopen_files(self) -> None:
        """There are none."""

    def close_on_exec(self) -> None:
        """There are none."""


class Supervisor(Arbiter):
    app: Application

    def __init__(self, app: Application) -> None:
        super().__init__(app)
        self._certificates = self._seen()
        self._old = 0
        """Workers of this age and below have to make room for younger ones."""

    def handle_int(self) -> None:
        """Ctrl-C: like SIGTERM. A second one ends what is under way."""
        raise StopIteration

    def spawn_worker(self) -> Any:
        """A signal that comes before a new worker has its handlers waits for them: it would be lost."""
        signal.pthread_sigmask(signal.SIG_BLOCK, worker.SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, worker.SIGNALS)

    def manage_workers(self) -> None:
        """Called about once a second: as many young workers as there should be, and then no others."""
        seen = self._seen()
        if seen != self._certificates:
            self._certificates = seen
            self._renew()
        workers = cast(list[worker.Worker], list(self.WORKERS.values()))
        young = [one for one in workers if one.age > self._old and not one.retired]
        for _ in range(self.num_workers - len(young)):
            self.spawn_worker()
        for one in sorted(young, key=lambda one: one.age)[: max(0, len(young) - self.num_workers)]:
            self._retire(one)
        if len(young) >= self.num_workers and all(one.serves for one in young):
            for one in workers:
                if one.age <= self._old and not one.retired:
                    self._retire(one)

    def _retire(self, one: worker.Worker) -> None:
        one.retired = True
        self.kill_worker(cast(int, one.pid), worker.RETIRE)

    def handle_hup(self) -> None:
        self._certificates = self._seen()
        self._renew()
        self.manage_workers()

    def _renew(self) -> None:
        """New workers with what the files say now. When they serve, the old ones finish what they have; gunicorn's own
        `reload` retires them at once, and waits for their end while nobody watches the new ones."""
        try:
            installation.tls_files(self.app.settings)
        except SettingsError as wrong:
            log.error("the workers stay as they are: %s", wrong)
            return
        log.info("starting new workers")
        self._old = self.worker_age

    def _seen(self) -> list[tuple[int, int] | None]:
        """What tells that a certificate or its key has been replaced."""
        chosen = self.app.settings
        return [_state(Path(path)) for path in (chosen.tls_certificate, chosen.tls_key) if path]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
