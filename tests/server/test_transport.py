"""Sockets at a stop: whoever is connected is answered, and whoever comes is served by others or turned away."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.server.transport import Listening, begin_no_more

WITHIN = 60

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it accepts until it stops")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound


def connected(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout=WITHIN)


def serving(listener: socket.socket, name: bytes) -> Listening:
    """Answers everything with its name."""

    def received(watcher: Any) -> None:
        watcher.proto.response_bytes(200, [], name)
        watcher.done()

    return Listening(listener, received, lambda act: act(), lambda: None)


def answer(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    found = b""
    while b"\r\n\r\n" not in found or not found.rpartition(b"\r\n\r\n")[2]:
        more = connection.recv(65536)
        assert more, "closed without an answer"
        found += more
    return found.rpartition(b"\r\n\r\n")[2]


@linux
def test_a_process_that_accepts_no_more_answers_on_the_connections_that_it_has(listener: socket.socket) -> None:
    leaving = serving(listener, b"leaving")
    with connected(listener) as used, connected(listener) as fresh:
        assert answer(used) == b"leaving"
        leaving.accept_no_more()
        staying = serving(listener, b"staying")
        for _ in range(20):
            with connected(listener) as other:
                assert answer(other) == b"staying"
        assert answer(fresh) == answer(used) == b"leaving"
    leaving.stop()
    staying.stop()


@linux
def test_the_last_that_accepts_no_more_closes_the_socket(listener: socket.socket) -> None:
    leaving = serving(listener, b"leaving")
    address = listener.getsockname()
    with connected(listener) as used:
        assert answer(used) == b"leaving"
        leaving.accept_no_more()
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=WITHIN)
        assert answer(used) == b"leaving"
    leaving.stop()


@linux
def test_who_has_connected_can_be_accepted_when_nobody_else_can_connect(listener: socket.socket) -> None:
    with connected(listener) as early:
        begin_no_more(listener)
        with socket.socket() as late:
            late.setblocking(False)
            late.connect_ex(listener.getsockname())
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"x")
                assert accepted.recv(1) == b"x"
                accepted.sendall(b"y")
                assert early.recv(1) == b"y"
            assert not select.select([], [late], [], 0)[1], "it is not connected, and not refused either"
