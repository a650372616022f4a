"""The thread of the audit while a server runs: it links rows into the chains, within seconds, in whichever process
comes first, and writes those of its own process that wait to be written (app.audit.reads)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import SystemRandom
from typing import Any

from app.audit import chain
from app.audit.reads import Reads
from app.env import Env
from app.errors import ServiceUnavailable

log = logging.getLogger(__name__)

WRITES_EVERY = 1.0
"""Seconds between two looks at what waits in memory, on average."""
LINKS_EVERY = 5.0
"""Seconds between two looks at what is to be linked. Where nothing waits, one is a statement that reads an empty
index."""
STOPPING = 10.0
"""Seconds that writing the last reads may take."""


class Linker:
    def __init__(self, env: Env, reads: Reads, within: Callable[[], AbstractContextManager[Any]]) -> None:
        """`within`: a context in which the environment has a session."""
        self._env, self._reads, self._within = env, reads, within
        self._stopping = False
        self._pause = SystemRandom()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        self._reads.open()
        self._thread.start()

    def stop(self) -> None:
        """When the last request is over: write what waits. What is to be linked is linked by another process, or by
        the next one."""
        self._reads.close()
        self._stopping = True
        self._reads.enough.set()
        self._thread.join(STOPPING)
        for row in self._reads.waiting():
            log.error(
                "not in the audit, which could not be written: %s by %s %s from %s at %s UTC, pool %s, target %s, "
                "sub %s, request %s",
                *(row[name] for name in ("operation", "actor_kind", "actor", "ip")),
                f"{row['at']:%Y-%m-%d %H:%M:%S}",
                *(row[name] or "-" for name in ("pool_id", "target", "user_sub", "request_id")),
            )

    def _run(self) -> None:
        written, link_at = True, time.monotonic() + self._about(LINKS_EVERY)
        while not self._stopping:
            self._reads.enough.wait(self._about(WRITES_EVERY if written else LINKS_EVERY))
            self._reads.enough.clear()
            written = self._tried("writing", self._reads.write)
            if time.monotonic() >= link_at and not self._stopping:
                self._tried("linking", chain.link)
                link_at = time.monotonic() + self._about(LINKS_EVERY)
            if not written:
                # What has waited for long is linked as soon as it is written: `verify` would tell of it.
                link_at = 0.0
        self._tried("writing", self._reads.write)

    def _about(self, seconds: float) -> float:
        """Not all processes at once."""
        return self._pause.uniform(0.5, 1.5) * seconds

    def _tried(self, what: str, act: Callable[[Env], object]) -> bool:
        try:
            with self._within():
                act(self._env)
        except ServiceUnavailable as away:
            log.warning("%s the audit will be tried again: %s", what, away.message)
        except Exception:
            log.exception("%s the audit failed; it will be tried again", what)
        else:
            return True
        return False
