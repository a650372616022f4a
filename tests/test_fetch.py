"""Reading URLs that others have chosen, and what they would have it read."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app import fetch
from app.fetch import Unreadable


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a host that talks like this to whoever comes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    talk(connection)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file?x=1"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def saying(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def read(url: str, *, private: bool = True, most: int = 100, seconds: float = 60) -> bytes:
    return fetch.get(url, private=private, most=most, seconds=seconds)


def refused(url: str, **how: Any) -> str:
    with pytest.raises(Unreadable) as wrong:
        read(url, **how)
    return str(wrong.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_the_content_is_read(raw: bytes) -> None:
    with answering(saying(raw)) as url:
        assert read(url) == b"hello"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101, "more than 100 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", "less than it promised"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\nx", "no HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"", "no HTTP"),
        (b"\xff" * 50_000, "no HTTP"),
    ],
)
def test_what_is_no_plain_answer_is_refused(raw: bytes, why: str) -> None:
    with answering(saying(raw)) as url:
        assert why in refused(url)


def test_a_host_that_never_comes_to_an_end_is_left() -> None:
    """A drop at a time, within every time-out of a single read."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x")
            threading.Event().wait(0.02)

    with answering(drip) as url:
        assert "timed out" in refused(url, most=10**9, seconds=0.3)


def test_a_host_that_sends_without_end_is_left() -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with answering(pour) as url:
        assert "more than 100 bytes" in refused(url)


def test_this_machine_and_its_network_are_not_asked_for_strangers() -> None:
    with answering(saying(b"HTTP/1.1 200 OK\r\n\r\nsecret")) as url:
        assert "127.0.0.1, which is not a public address" in refused(url, private=False)
        assert "not a public address" in refused(url.replace("127.0.0.1", "localhost"), private=False)


def test_a_name_that_leads_to_several_addresses_is_refused_for_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **how: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("93.184.215.14", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert "10.0.0.1, which is not a public address" in refused("http://two.example/", private=False)


def test_a_name_is_resolved_once_and_the_address_that_was_looked_at_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when it is looked at, and this machine when it is asked."""
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int, **how: Any) -> list[Any]:
        assert not asked
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    def connect(address: tuple[str, int], timeout: float) -> Any:
        asked.append(address)
        raise OSError("no network in a test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    assert refused("https://changing.example/", private=False) == "no network in a test"
    assert asked == [("93.184.215.14", 443)]


def test_a_name_that_leads_nowhere_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*given: Any, **how: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert "Name or service not known" in refused("http://nobody.invalid/")


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("255.255.255.255", False, False),
        ("100.64.0.1", False, False),
        ("::ffff:10.0.0.1", False, True),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("64:ff9b::5db8:d70e", True, True),
        ("2002:7f00:1::", False, True),
        ("2002:a9fe:a9fe::", False, False),
    ],
)
def test_which_addresses_may_be_asked(address: str, public: bool, private: bool) -> None:
    found = ipaddress.ip_address(address)
    assert (fetch._may_be_asked(found, False), fetch._may_be_asked(found, True)) == (public, private)


def test_servers_that_say_nothing_hold_up_a_few_threads_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WAIT", 0)
    reading, release = threading.Semaphore(0), threading.Event()

    def says_nothing(url: str, **how: Any) -> bytes:
        reading.release()
        release.wait(60)
        return b"content"

    reader = fetch.Reader(says_nothing)

    def ask() -> bytes:
        return reader("http://example.com", private=True, most=1, seconds=60)

    stuck = [threading.Thread(target=ask) for _ in range(fetch.AT_ONCE)]
    for thread in stuck:
        thread.start()
    for _ in stuck:
        assert reading.acquire(timeout=60)
    with pytest.raises(Unreadable, match="other URLs are being read"):
        ask()
    release.set()
    for thread in stuck:
        thread.join(60)
    assert ask() == b"content"
