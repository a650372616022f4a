"""HTTP by granian: connections, TLS, HTTP/1.1 and HTTP/2, all in threads of its own that hold no interpreter lock.

What is used here is granian's inside, which its versions may change: this module alone knows it, pyproject.toml names
the versions that have been tried, and tests/server tells when one is different. granian's own ways to be used are not
enough: through WSGI a body that comes slowly holds a thread and nobody knows who waits; through RSGI's coroutines a
request costs 50 µs more than through callbacks, which is as much as granian itself (docs/decisions/012).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import resource
import select
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from granian.http import HTTP1Settings

# Its published types are those of an older version.
_granian: Any = importlib.import_module("granian._granian")

BACKLOG = 2048
"""Connections that the system may keep waiting."""
CONNECTIONS = 16_384
"""Open connections of a process at most: each costs a few kilobytes, and half-sent requests must not use them up."""
OTHER_FILES = 256
"""Descriptors of a process for everything else."""
HEADERS_WITHIN = 10_000
"""Milliseconds for the head of a request, and between two requests of a connection."""


class Listening:
    """One socket being served. `ended` is called when it has been told to stop and every request has been answered."""

    def __init__(
        self,
        listener: socket.socket,
        received: Callable[[Any], None],
        later: Callable[[Callable[[], None]], None],
        ended: Callable[[], None],
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        http: str = "auto",
    ) -> None:
        """`received` is called with each request, in a thread of granian; it must neither wait nor raise. `later` has
        something done by another thread. `http` is auto, 1 or 2."""
        self._signal = _granian.WorkerSignal()
        self._signal.add_cb(ended)
        # A descriptor of its own, so that who closes which is never a question.
        self._descriptor = os.dup(listener.fileno())
        holder = _granian.SocketHolder(self._descriptor, False, BACKLOG)
        worker = _granian.RSGIWorker(
            1,  # its number
            (None, holder),
            None,  # a pipe for its metrics
            1,  # threads for input and output
            512,  # and for files, of which it serves none
            1,  # threads that call `received`
            30,
            _connections(),
            http,
            HTTP1Settings(header_read_timeout=HEADERS_WITHIN),
            None,
            False,  # no WebSockets
            None,  # no files
            certificate is not None,
            _text(certificate),
            _text(key),
            None,
            "tls1.2",
            None,
            [],
            False,  # no certificates of clients
            (None, None),
        )
        calling_back = _CallingBack(later)
        worker.serve_mtr(_Scheduler(received, calling_back), calling_back, self._signal)

    def accept_no_more(self) -> None:
        """Leave new connections to the other processes that share the socket; those that are open go on.

        granian can do both only at once, and then closes connections on which it has read nothing yet: a request that
        is just being sent would be lost. So the socket is taken out of what granian waits for. Where that cannot be
        done, it accepts until `stop`.
        """
        for waiting in _waiting_for(self._descriptor):
            # A duplicate, because the object closes what it was made of.
            with contextlib.suppress(OSError), select.epoll.fromfd(os.dup(waiting)) as epoll:
                epoll.unregister(self._descriptor)
                with open(os.devnull, "rb") as nothing:  # the last process that has the socket closes it
                    os.dup2(nothing.fileno(), self._descriptor, inheritable=False)

    def stop(self) -> None:
        """Take no more connections. Call it once: the channel has a place for one signal, and who sends a second waits
        while holding the interpreter's lock."""
        self._signal.set()


def begin_no_more(listener: socket.socket) -> None:
    """Let the system ignore whoever begins to connect to this socket, in all processes that share it. Connections that
    have begun can be accepted, until there are none; a socket that is closed while some wait resets them.

    Whoever was ignored asks again a second later (RFC 6298, 2), and is then refused or served by a successor.
    """
    if sys.platform == "linux":
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _WITHOUT_SYN))
        program = struct.pack("HP", len(_WITHOUT_SYN), ctypes.addressof(code))
        with contextlib.suppress(OSError):  # a sandbox without filters
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


_SO_ATTACH_FILTER = 26
_WITHOUT_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the TCP header that has the flags
    (0x45, 0, 1, 0x02),  # if SYN is set
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFF),  # else keep it
)
"""A program of the classic BPF (socket(7))."""


def _waiting_for(descriptor: int) -> list[int]:
    """The epoll descriptors of this process that wait for this one. Linux tells; elsewhere there are none."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{name}") as file:
                if any(line.split()[:2] == ["tfd:", str(descriptor)] for line in file):
                    found.append(int(name))
    return found


class _CallingBack:
    """In place of an event loop: granian asks it to call what waits for a body."""

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._later = later

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> None:
        """The body is there now; this is a thread of granian."""
        callback(*args)

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> None:
        """It was there before anybody waited for it. Whoever begins to wait calls this, and is not interrupted."""
        self._later(partial(callback, *args))

    def create_task(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("granian would run a coroutine, and there are none")


class _Scheduler(_granian.CallbackScheduler):  # type: ignore[misc]
    """What granian hands requests to."""

    __slots__ = ()

    def __new__(cls, received: Callable[[Any], None], calling_back: _CallingBack) -> _Scheduler:
        self: _Scheduler = super().__new__(cls, calling_back, None, None, None, None)
        self._schedule_fn = received
        return self

    def __init__(self, received: Callable[[Any], None], calling_back: _CallingBack) -> None:
        super().__init__()

    def cancel(self) -> bool:
        return False


def _connections() -> int:
    """How many connections there are descriptors for, after as many as the system allows have been asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(128, min(CONNECTIONS, soft - OTHER_FILES))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
