"""Doing several things at one moment, each of which may hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


def together(acts: Mapping[K, Callable[[], T]], seconds: float) -> dict[K, T | BaseException]:
    """What each act returned or raised; TimeoutError for one that has not ended after so many seconds, and goes on in
    a daemon thread that nobody waits for: a resolver, for one, cannot be interrupted."""
    outcomes: dict[K, T | BaseException] = {}

    def run(key: K, act: Callable[[], T]) -> None:
        try:
            outcomes[key] = act()
        except BaseException as failed:
            outcomes[key] = failed

    threads = {
        key: threading.Thread(target=run, args=(key, act), name=f"examination {key}", daemon=True)
        for key, act in acts.items()
    }
    ends = time.monotonic() + seconds
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, ends - time.monotonic()))
    late = TimeoutError(f"it did not end within {seconds:g} seconds")
    return {key: late if thread.is_alive() else outcomes[key] for key, thread in threads.items()}
