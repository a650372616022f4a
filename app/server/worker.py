"""A worker process: granian's HTTP in front, the lanes behind it, and a main thread that only watches.

The supervisor forks workers from a process that has checked everything and opened the installation's secrets: so a
worker needs no database to start, and one that takes a dead one's place during an outage serves at once what can be
served. It tells the supervisor that it is alive only while its threads make progress.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import time
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from flask import Flask
from gunicorn.workers.base import Worker as BaseWorker

from app import create_app, installation, observation
from app.accounts import sweep
from app.audit.linker import Linker
from app.background import Background
from app.config import forget_secrets
from app.env import Env
from app.errors import ServiceUnavailable
from app.facts import Facts
from app.pools import domains
from app.server.front import Front
from app.server.kinds import Kinds
from app.server.lanes import Lane
from app.server.transport import Listening, begin_no_more
from app.tokens import keys
from app.web import Application

if TYPE_CHECKING:
    from app.server import supervisor

log = logging.getLogger(__name__)

M_ARENA_MAX = -8
"""mallopt(3)."""
SWEEP_EVERY = 900
"""Seconds between two sweeps of a worker, on average."""
BEAT = 1.0
"""Seconds between two signs of life."""
STALLED = 15.0
"""Seconds without a look at what is overdue, after which a worker gives no more sign of life."""
FINISHING = 20.0
"""Seconds that requests under way have when the server stops; the longest that one may take is less."""
RETIRING = 5.0
"""Seconds that the clients of a worker that is replaced have to leave: each answer says that the connection ends."""
PENDING, LINGERING = 0.1, 0.3
"""Seconds until every connection that has begun is accepted, and for the first request on it."""
BOOTING = 15.0
"""Seconds until the first sign of life, besides those that a worker may be silent later."""
SOONER = 0.75
"""Of the time in which whoever cannot have a password hashed is to be told so: what overloads a machine also delays
the refusal."""
RETIRE = signal.SIGUSR2
"""Tells a worker that another has taken its place: it stops as after SIGTERM, and is ready until then."""
TOLD, REPLACED, ALONE = "told to", "replaced", "alone"
"""Why a worker stops. Alone: nobody would replace it, tell it to stop, or notice that it has frozen."""

SIGNALS = frozenset((signal.SIGTERM, signal.SIGQUIT, RETIRE))


class Worker(BaseWorker):
    """What the supervisor (gunicorn's arbiter) makes of each fork."""

    app: supervisor.Application

    def __init__(self, *given: Any) -> None:
        """Called in the supervisor, before the fork."""
        super().__init__(*given)
        self.retired = False
        later = time.monotonic() + BOOTING
        os.utime(self.tmp.fileno(), (later, later))
        self._unborn = self.tmp.last_update()

    @property
    def serves(self) -> bool:
        """Whether it has given a sign of life, as it does when it listens."""
        return bool(self.tmp.last_update() != self._unborn)

    def init_process(self) -> None:
        """Serve until told to stop. Called in the new process."""
        self.booted = True  # whatever fails below is tried again: an exit while booting would end the whole server
        self._stop: str | None = None
        self._woken = self._init_signals()
        try:
            self._serve()
        except Exception:
            log.exception("a worker failed; another takes its place")
            time.sleep(BEAT)  # or one that fails at once would be replaced a hundred times a second
            sys.exit(1)

    def _init_signals(self) -> int:
        """Let signals wake the main thread, which does nothing but wait. Returns the descriptor to wait on: an Event
        could not be set by a handler, which interrupts the very thread that holds its lock.

        A terminal sends Ctrl-C to workers as well; what the supervisor then sends is enough.
        """
        faulthandler.enable()  # the supervisor's SIGABRT to a frozen worker tells where each thread was
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(ignored, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, lambda *_: os._exit(1))
        signal.signal(signal.SIGTERM, lambda *_: self._stop_for(TOLD))
        signal.signal(RETIRE, lambda *_: self._stop_for(REPLACED))
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # the supervisor has blocked them for the fork
        return reading

    def _stop_for(self, reason: str) -> None:
        self._stop = reason if reason == TOLD else self._stop or reason

    def _serve(self) -> None:
        _keep_little_memory()
        settings = self.app.settings
        app = create_app(settings, background=Background(), secrets=self.app.secrets)
        # This process has read them, and whatever prints its environment now shows none. The parent keeps them, for
        # the worker that takes this one's place.
        forget_secrets(os.environ)
        observation.start(app)
        front = _front(app)
        front.start()
        self._fronts = [front]
        ended = threading.Event()
        certificate, key = installation.tls_files(settings)
        listening = Listening(
            self.sockets[0],
            front.received,
            front.chunk_later,
            ended.set,
            certificate=certificate,
            key=key,
            http=settings.http_mode,
        )
        self._listening = [listening]
        if len(self.sockets) > 1:
            self._listen_for_operators(app)
        threading.Thread(target=_sweep_now_and_then, args=(app,), name="sweep", daemon=True).start()
        auditing = Linker(app.extensions["cognate"], app.extensions["cognate_reads"], app.app_context)
        auditing.start()

        while self._stop is None:
            self._beat(front)
            select.select([self._woken], [], [], BEAT)
            if os.getppid() != self.ppid:
                self._stop = ALONE
        self._let_clients_go(front, settings.drain_seconds)
        listening.stop()
        self._wait(front, ended, FINISHING)
        until = time.monotonic() + FINISHING
        while not front.idle and time.monotonic() < until:
            self._beat(front)
            time.sleep(0.02)
        auditing.stop()
        observation.stop(app)

    def _let_clients_go(self, front: Front, drain: float) -> None:
        """Until nobody is likely to be sending a request. To stop granian closes the connections on which none is under
        way, and whoever sends one at that moment gets no answer."""
        for each in self._fronts:
            each.closing = True
        if self._stop == REPLACED:
            self._accept_no_more()  # the others do
            until = time.monotonic() + RETIRING
            while self._stop == REPLACED and time.monotonic() < until:
                self._wait(front, threading.Event(), 0.1)
        if self._stop == TOLD:
            for each in self._fronts:
                each.draining = True
            self._wait(front, threading.Event(), drain)
            begin_no_more(self.sockets[0])
            self._wait(front, threading.Event(), PENDING)
            self._accept_no_more()
            self._wait(front, threading.Event(), LINGERING if drain else 0.0)

    def _accept_no_more(self) -> None:
        for listening in self._listening:
            listening.accept_no_more()
        for one in self.sockets:
            # The last worker that does this leaves nobody in the queue of the socket to wait for an answer.
            one.close()

    def _listen_for_operators(self, app: Flask) -> None:
        """On the admin port, by threads of its own, until the process ends."""
        from app.server.admin import Admin  # with the library of Prometheus's format, which few need at the start

        lane = Lane("admin", 1, longest_wait=10.0, ticks=time.monotonic)
        front = Front(Admin(app.wsgi_app), (lane,), lambda environ, body: lane, time.monotonic)
        front.start()
        self._fronts.append(front)
        self._listening.append(Listening(self.sockets[1], front.received, front.chunk_later, lambda: None))

    def _wait(self, front: Front, event: threading.Event, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._beat(front)
            if event.wait(min(left, BEAT)):
                return

    def _beat(self, front: Front) -> None:
        if time.monotonic() - front.looked < STALLED:
            self.notify()


def _front(app: Application) -> Front:
    env: Env = app.extensions["cognate"]
    settings = env.settings
    health = Lane("health", 1, longest_wait=10.0, ticks=time.monotonic)
    documents = Lane("documents", 1, longest_wait=5.0, ticks=time.monotonic)
    patience = SOONER * settings.hash_patience
    passwords = Lane("passwords", settings.password_threads, longest_wait=patience, ticks=time.monotonic)
    others = Lane("requests", settings.threads, longest_wait=5.0, ticks=time.monotonic)
    kinds = Kinds(env, health=health, documents=documents, passwords=passwords, others=others)

    def over(facts: Facts) -> None:
        if app.when_over is not None:
            app.when_over(facts)

    return Front(app.wsgi_app, (health, documents, passwords, others), kinds, time.monotonic, over, kinds.in_memory)


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
                for pool_id in keys.rotate_due(env):
                    log.info("new signing keys of %s are published, and will sign", pool_id)
                for domain in domains.prove_waiting(env):
                    log.info("%s has been proven and is served", domain.domain)
        except ServiceUnavailable as away:
            log.warning("sweeping will be tried again: %s", away.message)
        except Exception:
            log.exception("sweeping failed; it will be tried again")
