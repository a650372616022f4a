"""How the numbers of all processes of a server come together: each writes its own to a file, and a reader sums them.

A process holds a lock (flock) on its file for as long as it lives, and the system takes it back however the process
ends: no process id, which another process may have by now, says who is alive. What a process had counted when it ended
is added to the numbers of those that are gone, so that no sum ever goes down: Prometheus would take that for a restart,
and count everything again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from app.metrics.instruments import INSTRUMENTS, Labels, Numbers, merged

Sums = dict[str, dict[Labels, list[float]]]

GUARD = "guard"
"""Locked by whoever looks at, or changes, which files there are."""
GONE = "gone.json"
NAMES = "pools.json"
ALIVE, SHARED = ".alive", ".json"


@contextmanager
def _guarded(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def prepare(directory: Path) -> None:
    """Make the directory. What a server that has ended left there is removed, unless another one uses it now.
    Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _guarded(directory):
        found = list(directory.glob(f"*{ALIVE}"))
        dead = [file for file in found if _has_ended(file)]
        for file in dead:
            _remove(file)
        if len(dead) == len(found):
            for name in (GONE, NAMES):
                (directory / name).unlink(missing_ok=True)


class Share:
    """The part of one process. Raises OSError."""

    def __init__(self, directory: Path) -> None:
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.file = directory / f"{name}{SHARED}"
        with _guarded(directory):
            # Locked while nobody looks, who would take it for one of the dead.
            self._alive = os.open(directory / f"{name}{ALIVE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._last = b""

    def write(self, numbers: Numbers) -> None:
        said = orjson.dumps(numbers)
        if said != self._last:
            _replace(self.file, said)
            self._last = said

    def close(self) -> None:
        """Count as one that has ended."""
        os.close(self._alive)


def totals(directory: Path) -> tuple[Sums, int]:
    """The numbers of all processes together, and how many processes live. Raises OSError."""
    with _guarded(directory):
        gone, counted = _gone(directory)
        alive: list[Path] = []
        ended: list[Path] = []
        for file in directory.glob(f"*{ALIVE}"):
            (ended if _has_ended(file) else alive).append(file)
        for file in ended:
            # One that was counted, and not removed because the reader died in between, is not counted again.
            if file.name not in counted:
                for name, cells in _read(file.with_suffix(SHARED)).items():
                    if name in INSTRUMENTS and INSTRUMENTS[name].outlives:
                        for labels, cell in cells:
                            merged(gone, name, tuple(labels), cell)
        if ended:
            kept = {name: list(cells.items()) for name, cells in gone.items()}
            _replace(directory / GONE, orjson.dumps({"numbers": kept, "of": [file.name for file in ended]}))
            for file in ended:
                _remove(file)
        sums = gone
        for file in alive:
            for name, cells in _read(file.with_suffix(SHARED)).items():
                for labels, cell in cells:
                    merged(sums, name, tuple(labels), cell)
    return sums, len(alive)


def named(directory: Path, name: str, most: int) -> list[str]:
    """The first names, `most` of them, that any process of this server has asked for; with this one, if there was room.
    Raises OSError."""
    with _guarded(directory):
        file = directory / NAMES
        names: list[str] = orjson.loads(file.read_bytes()) if file.exists() else []
        if name not in names and len(names) < most:
            names.append(name)
            _replace(file, orjson.dumps(names))
        return names


def _gone(directory: Path) -> tuple[Sums, set[str]]:
    try:
        kept = orjson.loads((directory / GONE).read_bytes())
    except FileNotFoundError:
        return {}, set()
    sums: Sums = {}
    for name, cells in kept["numbers"].items():
        for labels, cell in cells:
            merged(sums, name, tuple(labels), cell)
    return sums, set(kept["of"])


def _read(file: Path) -> Numbers:
    try:
        found: Numbers = orjson.loads(file.read_bytes())
    except FileNotFoundError:  # it has not written yet
        return {}
    return found


def _has_ended(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _remove(file: Path) -> None:
    file.with_suffix(SHARED).unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def _replace(file: Path, content: bytes) -> None:
    """A reader sees all of it or what was there before. Nothing is synced: after a power cut it is worth nothing."""
    beside = file.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, file)
