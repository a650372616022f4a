"""The thread that links rows into the chains while a server runs: within seconds, in whichever process comes first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import SystemRandom
from typing import Any

from app.audit import chain
from app.env import Env
from app.errors import ServiceUnavailable

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two looks, on average. Where nothing waits, one is a statement that reads an empty index."""


def start(env: Env, within: Callable[[], AbstractContextManager[Any]]) -> None:
    """Link now and then, `within` a context in which the environment has a session, for as long as the process lives.
    What waits when that ends is linked by another process, or by the next one."""
    threading.Thread(target=_link_now_and_then, args=(env, within), name="audit", daemon=True).start()


def _link_now_and_then(env: Env, within: Callable[[], AbstractContextManager[Any]]) -> None:
    pause = SystemRandom()
    while True:
        time.sleep(pause.uniform(0.5, 1.5) * EVERY)  # not all processes at once
        try:
            with within():
                chain.link(env)
        except ServiceUnavailable as away:
            log.warning("linking the audit will be tried again: %s", away.message)
        except Exception:
            log.exception("linking the audit failed; it will be tried again")
