"""The version of the configuration, in memory that all processes of an installation share on one host.

Sixteen bytes of a file that every process maps: to compare the version costs neither a system call nor a statement.
Like an entity tag, the version is opaque and never repeats: each change replaces it by a random value. A counter would
have to be increased under a lock, since two processes that add one at the same moment add one together.
"""

from __future__ import annotations

import logging
import mmap
import os
import stat
import threading
from array import array
from pathlib import Path

log = logging.getLogger(__name__)

SIZE = 16
"""Bytes: the version, and the number of the newest revision of the database that this host has heard of."""


class Version:
    """Without a file, or as long as it cannot be used, this process has a version of its own."""

    def __init__(self, path: Path | None = None, *, make: bool = False) -> None:
        """`make`: make the file where there is none, as a server does. A command has nobody to tell then."""
        self._path = path
        self._make = make
        self._lock = threading.Lock()
        self._words = memoryview(array("Q", [_fresh(), 0]))
        self._mapped: tuple[int, int] | None = None
        self._warned = False

    @property
    def value(self) -> int:
        return self._words[0]

    @property
    def revision(self) -> int:
        """The number of the newest revision that this host has heard of."""
        return self._words[1]

    @property
    def shared(self) -> bool:
        """Whether other processes see what this one changes here."""
        return self._mapped is not None

    def move(self, revision: int) -> int:
        """A new version, because of this revision of the database; returns its value."""
        words, value = self._words, _fresh()
        # The version first: who sees it and an old revision only moves it once more. The other way round, who learns
        # of the revision in between would believe that everybody had been told.
        words[0] = value
        words[1] = revision
        return value

    def heard(self, revision: int | None) -> None:
        """There is this revision, which somebody else has made; or, with None, there may be any. Of several processes
        that learn of it the first moves the version, so that it does not move once for each of them."""
        if revision is None or revision > self.revision:
            self.move(self.revision if revision is None else revision)

    def attach(self) -> None:
        """Map the file as it is now. It is called before each question to the database, so that a file that was removed
        or replaced parts the processes of a host for no longer than they trust their caches without it."""
        if self._path is None:
            return
        try:
            if self._there() == self._mapped and self._mapped is not None:
                return
            with self._lock:
                self._map(self._path)
        except FileNotFoundError:
            if self._make:
                self._warn("there is no such directory")
        except OSError as error:
            self._warn(error.strerror or str(error))

    def _there(self) -> tuple[int, int] | None:
        assert self._path is not None  # noqa: S101 - attach() has looked
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _map(self, path: Path) -> None:
        if self._make:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For the owner only: whoever can cut the file off ends every process that maps it.
        flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if self._make else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "it is not a regular file")
            if found.st_size < SIZE:
                # Written and not left sparse: a page that a full disk has no room for would end the process when it is
                # touched. What a second process does here at the same moment is lost, and made up for below.
                os.pwrite(descriptor, bytes(SIZE - found.st_size), found.st_size)
            words = memoryview(mmap.mmap(descriptor, SIZE)).cast("Q")
        finally:
            os.close(descriptor)
        if not words[0]:
            words[0] = _fresh()
        # The old mapping goes when the last thread that reads it has let go.
        self._words = words
        self._mapped = (found.st_dev, found.st_ino)

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "%s cannot be shared by the processes of this host: %s. Each of them learns up to half a second late "
                "what another one has changed.",
                self._path,
                reason,
            )


def _fresh() -> int:
    """Never 0, which is what a new file holds."""
    return int.from_bytes(os.urandom(8), "little") | 1
