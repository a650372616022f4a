"""The production server: granian, one worker process per core, each with its own application.

`cognate serve` checks first what would fail every request, in the parent and with one clear line: settings, key,
migrations. Workers read the same environment and build their own application.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import socket
import sys
import threading
import time
from random import SystemRandom

from flask import Flask
from granian import Granian
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from app import create_app, installation, logs
from app.access_log import Logged
from app.accounts import sweep
from app.background import Background
from app.config import Settings, SettingsError, forget_secrets
from app.db import db
from app.errors import ServiceUnavailable
from app.pools import domains

log = logging.getLogger(__name__)

M_ARENA_MAX = -8
"""mallopt(3)."""
SWEEP_EVERY = 900
"""Seconds between two sweeps of a worker, on average."""


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGINT, SIGTERM), finishing what is under way. Raises SettingsError beforehand."""
    address = check(settings)
    certificate, key = installation.tls_files(settings)
    os.register_at_fork(after_in_child=_take_signals_of_a_worker)
    Granian(
        "app.server:worker",
        factory=True,
        interface=Interfaces.WSGI,
        address=address,
        port=settings.port,
        workers=settings.workers_or_cores,
        blocking_threads=settings.threads,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        backlog=1024,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        log_level=LogLevels.warning,
        log_dictconfig=logs.configuration(settings),
        # Of its own: granian does not know the id of a request.
        log_access=False,
        ssl_cert=certificate,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
    ).serve()


def worker() -> Flask:
    """The application of one worker process."""
    threading.Thread(target=_stop_when_told, name="stop", daemon=True).start()
    try:
        app = create_app(background=Background())
        installation.demand_ready(app)
        # This process has read them, and whatever prints its environment now shows none. The parent keeps them, for
        # the worker that takes this one's place.
        forget_secrets(os.environ)
    except SettingsError as wrong:
        log.error("a worker cannot start: %s", wrong)
        sys.exit(1)
    if app.extensions["cognate"].settings.access_log:
        app.wsgi_app = Logged(app.wsgi_app)  # type: ignore[method-assign]
    threading.Thread(target=_sweep_now_and_then, args=(app,), name="sweep", daemon=True).start()
    return app


def _take_signals_of_a_worker() -> None:
    """Leave SIGTERM to one thread (`_stop_when_told`), and SIGINT to nobody.

    A terminal sends Ctrl-C to workers as well; the SIGTERM that the parent then sends is enough. Threads that a worker
    starts inherit the mask.
    """
    _keep_little_memory()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _stop_when_told() -> None:
    """Wait for SIGTERM, then call granian's handler from this thread, once.

    Called as a signal handler, in the main thread, it could interrupt the very wait that it ends: it then waits for a
    lock its own thread holds, and the worker is killed when the server's patience is over, with the requests it had.
    Called twice it waits, too, and holds the interpreter's lock meanwhile: its channel has a place for one signal,
    which is taken when the worker begins to serve, and not again while a request keeps the worker from ending.

    A stop that comes before there is a handler ends a worker that has not served yet.
    """
    signal.sigwait({signal.SIGTERM})
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler):
        os._exit(0)
    handler(signal.SIGTERM, None)


def _keep_little_memory() -> None:
    """glibc gives each thread an arena of its own, and each keeps the 20 MB of the last password it hashed. With two
    arenas for all threads a worker stays some 20 MB smaller, and a hash takes as long as before."""
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
    except (OSError, AttributeError):  # another C library
        pass


def _sweep_now_and_then(app: Flask) -> None:
    """Forget what has expired and look for the proofs of domains, in every worker; at random times, so that they do not
    all do it at once."""
    pause = SystemRandom()
    while True:
        time.sleep(pause.uniform(0.5, 1.5) * SWEEP_EVERY)
        try:
            with app.app_context():
                env = app.extensions["cognate"]
                sweep.expired(env)
                for domain in domains.prove_waiting(env):
                    log.info("%s has been proven and is served", domain.domain)
        except ServiceUnavailable as away:
            log.warning("sweeping will be tried again: %s", away.message)
        except Exception:
            log.exception("sweeping failed; it will be tried again")


def check(settings: Settings) -> str:
    """Refuse to start where nothing could be answered. Returns the IP address to listen on. Raises SettingsError."""
    app = create_app(settings)
    installation.demand_ready(app)
    disconnect(app)
    return free_address(settings)


def disconnect(app: Flask) -> None:
    """Close every connection, before workers are forked: none may be shared with them.

    Above all not of SQLite, which would believe in the child that it holds the locks of the parent.
    """
    with app.app_context():
        db.engine.dispose()


def free_address(settings: Settings) -> str:
    """The IP address to listen on, if nothing listens there on the port yet. Raises SettingsError.

    granian wants a number, and lets two servers listen on one port (SO_REUSEPORT): each would get some requests.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        return str(address[0])
    except OSError as error:
        what = f"COGNATE_HOST {settings.host} and COGNATE_PORT {settings.port} cannot be listened on: {error.strerror}."
        if error.errno == errno.EADDRINUSE:
            what += " Stop the other server, or give another port in COGNATE_PORT."
        raise SettingsError(what) from None
