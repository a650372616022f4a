"""Peers that mean harm, or are merely slow: clients that send half a request or read no answer, mail servers that are
silent or take their time."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Literal

from bench.load import Address
from bench.wire import BadAnswer

Kind = Literal["half bodies", "half heads", "slow readers"]
OPENS_WITHIN = 60.0
PIPELINED = 20
"""Requests of a slow reader: more answer than the buffers of both kernels hold."""


@contextlib.contextmanager
def crowd(kind: Kind, address: Address, count: int, path: str) -> Iterator[int]:
    """So many connections, from a process of their own; whichever the server closes comes again. Yields how many there
    were at first."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_crowd, args=(theirs, kind, address, count, path), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(OPENS_WITHIN):
            raise BadAnswer(f"{count} connections cannot be opened")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()
        process.close()
        ours.close()


def _crowd(pipe: Connection, kind: Kind, address: Address, count: int, path: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_descriptors(count + 100)
    asyncio.run(_Crowd(kind, address, count, path).run(pipe))


class _Crowd:
    def __init__(self, kind: Kind, address: Address, count: int, path: str) -> None:
        self._kind = kind
        self._address = address
        self._count = count
        host = f"localhost:{address[1]}"
        if kind == "half bodies":
            head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: "
            head += "AWSCognitoIdentityProviderService.InitiateAuth\r\nContent-Length: 2000\r\n\r\n"
            self._sent = head.encode() + b'{"AuthFlow": "' + 900 * b"x"
        elif kind == "half heads":
            self._sent = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Half: ".encode() + 500 * b"x"
        else:
            self._sent = PIPELINED * f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._open = 0

    async def run(self, pipe: Connection) -> None:
        tasks = [asyncio.create_task(self._come_again()) for _ in range(self._count)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPENS_WITHIN / 4):
                while self._open < self._count:
                    await asyncio.sleep(0.05)
        pipe.send(self._open)
        await asyncio.gather(*tasks)

    async def _come_again(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError), socket.socket() as one:
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await loop.sock_connect(one, self._address)
                self._open += 1
                try:
                    await loop.sock_sendall(one, self._sent)
                    await self._until_closed(loop, one)
                finally:
                    self._open -= 1
            await asyncio.sleep(0.2)

    async def _until_closed(self, loop: asyncio.AbstractEventLoop, one: socket.socket) -> None:
        if self._kind != "slow readers":
            while await loop.sock_recv(one, 65536):
                pass
            return
        while await loop.sock_recv(one, 1):
            await asyncio.sleep(1)


def allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


@contextlib.contextmanager
def mail_server(*, greets_after: float | None) -> Iterator[int]:
    """Yields the port of a server that takes any mail, and begins to speak after so many seconds; with None, never."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, greets_after, ended), daemon=True)
        accepting.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(listener: socket.socket, greets_after: float | None, ended: threading.Event) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_take_mail, args=(connection, greets_after, ended), daemon=True).start()


def _take_mail(connection: socket.socket, greets_after: float | None, ended: threading.Event) -> None:
    """As much of SMTP (RFC 5321) as one mail needs."""
    with connection, contextlib.suppress(OSError):
        if ended.wait(greets_after):
            return
        connection.sendall(b"220 localhost\r\n")
        with connection.makefile("rb") as lines:
            data = False
            for line in lines:
                word = line[:4].upper().strip()
                if data:
                    data = line != b".\r\n"
                    if not data:
                        connection.sendall(b"250 taken\r\n")
                elif word == b"DATA":
                    data = True
                    connection.sendall(b"354 go on\r\n")
                elif word == b"QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return
                else:
                    connection.sendall(b"250 localhost\r\n")
