"""Ports for servers that are told theirs before they start, and may take a second to listen.

Those that the system picks by itself, it may give to somebody else meanwhile. These are below (on Linux it picks from
32768 up), each worker of pytest-xdist has a range of its own, and a port is not given again before all others were.
"""

from __future__ import annotations

import itertools
import os
import random
import socket

FIRST, LAST = 12_000, 32_000
WORKERS = 16
SIZE = (LAST - FIRST) // WORKERS
BEGIN = FIRST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS * SIZE
# Another run of the tests may be under way on this machine.
_offsets = itertools.count(random.SystemRandom().randrange(SIZE))


def free_port() -> int:
    for _ in range(SIZE):
        port = BEGIN + next(_offsets) % SIZE
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError("none of the ports for tests is free")
