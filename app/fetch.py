"""Reading a URL that somebody else has chosen, without being made a tool against the network that the server is in.

The name is resolved once, an address that is not public ends it, and the connection goes to the very address that was
looked at: a name that leads elsewhere a moment later (DNS rebinding) changes nothing. No redirect is followed; size and
time have a limit. What resolving a name may take is the resolver's own limit.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from app import telemetry
from app.slots import Slots

PORTS = {"http": 80, "https": 443}
LONGEST_HEAD = 16 * 1024
CHUNK = 16 * 1024
AT_ONCE = 2
"""URLs that one process reads at the same time: a server that answers slowly holds up as many requests, and no more."""
WAIT = 1.0
"""Seconds that a URL waits for its turn, unless those before it have waited as long already."""


class Unreadable(Exception):
    """The URL gave nothing that can be used; the text says why, in half a sentence."""


class Reader:
    """`get`, by a few threads of the process at once."""

    def __init__(self, read: Callable[..., bytes] | None = None) -> None:
        self._read = read or get
        self._slots = Slots("outgoing", AT_ONCE, patience=WAIT)

    def __call__(self, url: str, *, private: bool, most: int, seconds: float) -> bytes:
        """Raises Unreadable, also where no turn is to be had."""
        slot = self._slots.take()
        if slot is None:
            raise Unreadable("other URLs are being read, and their servers are slow")
        try:
            return self._read(url, private=private, most=most, seconds=seconds)
        finally:
            self._slots.give_back(slot)


def get(url: str, *, private: bool, most: int, seconds: float) -> bytes:
    """The content at an http or https URL, at most so many bytes, within so many seconds.

    `private` lets addresses of private networks and of this machine pass; link-local ones, where clouds keep what only
    the machine itself may know, never. Raises Unreadable, also for any answer but 200.
    """
    parts = urlsplit(url)
    with telemetry.calling("GET", parts.hostname or ""):
        return _got(parts, private, most, seconds)


def _got(parts: SplitResult, private: bool, most: int, seconds: float) -> bytes:
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    ends = time.monotonic() + seconds
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((_address(host, port, private), port), timeout=_left(ends)) as plain:
            plain.settimeout(_left(ends))
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured:
                    raw = _exchanged(secured, head.encode("ascii"), LONGEST_HEAD + most, ends)
            else:
                raw = _exchanged(plain, head.encode("ascii"), LONGEST_HEAD + most, ends)
    except (OSError, UnicodeError) as failed:
        raise Unreadable(str(failed) or type(failed).__name__) from None
    return _content(raw, most)


def _address(host: str, port: int, private: bool) -> str:
    """The first address of a host, if all of them may be connected to. Raises OSError, Unreadable."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        if not _may_be_asked(ipaddress.ip_address(address.partition("%")[0]), private):
            raise Unreadable(f"{host} leads to {address}, which is not a public address")
    return found[0]


def _may_be_asked(address: ipaddress.IPv4Address | ipaddress.IPv6Address, private: bool) -> bool:
    inner = _carried(address)
    if inner is not None:
        return _may_be_asked(inner, private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    # (Loopback in IPv6 is reserved as well.)
    return address.is_global or (private and (address.is_loopback or (address.is_private and not address.is_reserved)))


NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to, by one of the ways to write it in there."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _exchanged(connection: socket.socket, request: bytes, most: int, ends: float) -> bytes:
    """The answer, up to `most` bytes and one."""
    connection.sendall(request)
    raw = b""
    while len(raw) <= most:
        connection.settimeout(_left(ends))
        more = connection.recv(CHUNK)
        if not more:
            break
        raw += more
    return raw


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Received:
    """What was received, as http.client takes it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _content(raw: bytes, most: int) -> bytes:
    answer = http.client.HTTPResponse(_Received(raw), method="GET")  # type: ignore[arg-type]
    try:
        answer.begin()
        body = answer.read(most + 1)
    except (http.client.HTTPException, ValueError, OSError) as failed:
        raise Unreadable(f"the answer is no HTTP ({type(failed).__name__})") from None
    if answer.status != 200:
        raise Unreadable(f"the answer has the status {answer.status}")
    if len(body) > most:
        raise Unreadable(f"the answer has more than {most} bytes")
    if answer.length:
        raise Unreadable("the answer has less than it promised")
    return body
