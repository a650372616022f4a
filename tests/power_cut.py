"""A directory whose power can be cut: what programs have written there, and not synced, is then lost.

The programs are run with `environ`, which preloads power_cut.c into them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True)
class Powered:
    directory: Path
    """Where programs write."""
    kept: Path
    library: Path

    @property
    def environ(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "POWER_CUT_OF": str(self.directory),
            "POWER_CUT_KEPT": str(self.kept),
        }

    def left_by_a_cut(self, to: Path) -> Path:
        """What a power cut at this moment would leave, in the new directory `to`. The programs may go on."""
        with (self.kept / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._restore("root.names", to)
        return to

    def _restore(self, copy: str, to: Path) -> None:
        kept = self.kept / copy
        if not copy.endswith(".names"):
            to.write_bytes(kept.read_bytes() if kept.exists() else b"")
            return
        to.mkdir()
        for line in kept.read_text().splitlines() if kept.exists() else ():
            inside, name = line.split(" ", 1)
            self._restore(inside, to / name)


def powered(scratch: Path) -> Powered:
    """A directory below `scratch`. Skips the test where there is nothing to compile the library with, or to load it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not os.path.isdir("/proc/self/fd"):
        pytest.skip("what a power cut leaves is recorded by a library for Linux, which needs gcc or cc to be compiled")
    found = Powered(scratch.resolve() / "disk", scratch.resolve() / "kept", scratch.resolve() / "power_cut.so")
    command = [compiler, "-std=c11", "-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o", found.library, SOURCE]
    subprocess.run(command, check=True)
    found.directory.mkdir()
    found.kept.mkdir()
    return found
