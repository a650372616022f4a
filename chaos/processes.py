"""Harm to processes: frozen, killed, their main thread hung."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

WITHIN = 60.0
"""Seconds that anything is waited for, on a machine that has other things to do."""
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207


def until(true: Callable[[], Any], within: float = WITHIN) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Whether it runs: what nobody has waited for yet does not."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """Stopped, as in a debugger or on a host that does not schedule it any more; those that still are there go on
    afterwards. Raises RuntimeError when somebody else has let one go on meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
        if released := [pid for pid in pids if alive(pid) and psutil.Process(pid).status() != psutil.STATUS_STOPPED]:
            raise RuntimeError(f"{released} went on before they were told to: nothing was seen of the fault")
    finally:
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def main_thread_hung(pid: int) -> Iterator[bool]:
    """Only the main thread stands still, as in an endless call, and all others go on. Yields whether that could be
    done: it takes the right to trace the process."""
    command = [sys.executable, str(Path(__file__)), str(pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert tracer.stdin and tracer.stdout
    try:
        yield tracer.stdout.readline() == b"hung\n"
    finally:
        tracer.stdin.close()
        tracer.wait()
        tracer.stdout.close()


def _hang(pid: int) -> None:
    """Stop one thread of another process until standard input ends. The kernel lets it go when its tracer ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    done = libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0 and libc.ptrace(PTRACE_INTERRUPT, pid, None, None) == 0
    print("hung" if done else os.strerror(ctypes.get_errno()), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    _hang(int(sys.argv[1]))
