"""The front: takes requests from granian, reads their bodies, and gives each to a lane that runs the WSGI application.

A request is answered from the threads of its lane, and its body is waited for by nobody: granian collects it and calls
back. So a client that sends half a body costs a few kilobytes until its deadline, and no thread.

What granian lets through and should not is refused here: header names with `_` (which WSGI cannot tell from those with
`-`: a stranger would choose their own X-Forwarded-For), several Hosts, an authority that is not the Host.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from queue import SimpleQueue
from typing import Any

from app import metrics
from app.facts import Facts
from app.health import DRAINING
from app.server import refusals
from app.server.lanes import AtOnce, Lane
from app.server.refusals import Refusal
from app.web import BEGAN, Wsgi

log = logging.getLogger(__name__)

LARGEST_UNSIGNED = 128 * 1024
LARGEST_SIGNED = 2 * 1024 * 1024
"""Bytes of a body: of what anybody may send, and of what says that it is signed. What an operation takes is decided
by the API when it has seen the signature."""
LARGEST_TOGETHER = 64 * 1024 * 1024
"""Bytes in memory of all larger bodies of a process, from their first byte to the answer. What has come is counted, and
not what was announced: a few connections could otherwise announce all of it, send nothing, and leave nobody a place."""
SMALL = 16 * 1024
"""Bytes up to which a body is not counted: there are never more of them than connections."""
BODY_WITHIN = 10.0
"""Seconds for a body, besides those that it needs at SLOWEST."""
SLOWEST = 16 * 1024
"""Bytes a second."""
EVERY = 0.1
"""Seconds between two looks at what is overdue."""
MOST_NAMES = 500
"""Names of headers that are remembered in the form that WSGI gives them."""

Choose = Callable[[dict[str, Any], bytes], Lane | AtOnce]


class Front:
    """The requests of one process. `received` is what granian calls; start() begins the threads."""

    def __init__(
        self,
        wsgi: Wsgi,
        lanes: Iterable[Lane],
        choose: Choose,
        ticks: Callable[[], float],
        over: Callable[[Facts], None] = lambda facts: None,
        in_memory: Callable[[dict[str, Any]], bool] = lambda environ: False,
    ) -> None:
        """`choose` names the lane of a request, by environment and body. `ticks` is a monotonic clock in seconds.
        `over` is told of each request that was refused. `in_memory` says whether the request of an environment needs no
        more than microseconds by now."""
        self.wsgi = wsgi
        self.draining = False
        """Whether the server has been told to stop: it is no longer ready."""
        self.closing = False
        """Whether clients are told not to use their connections again."""
        self.lanes = tuple(lanes)
        self.choose = choose
        self.ticks = ticks
        self.over = over
        self.in_memory = in_memory
        self._reading: set[Exchange] = set()
        self._held = 0
        self._holding = threading.Lock()
        self._chunks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._names: dict[str, str] = {}
        self.looked = ticks()
        """When it last looked at what is overdue: a process in which that stands still has frozen."""

    def start(self) -> None:
        for lane in self.lanes:
            lane.start()
        threading.Thread(target=self._look, name="overdue", daemon=True).start()
        threading.Thread(target=self._receive_chunks, name="chunks", daemon=True).start()

    @property
    def idle(self) -> bool:
        return not self._reading and all(lane.idle for lane in self.lanes)

    @property
    def reading(self) -> int:
        """Requests whose bodies are being received."""
        return len(self._reading)

    def received(self, watcher: Any) -> None:
        """Take a request whose head has been read. Neither waits nor raises."""
        exchange = Exchange(self, watcher)
        try:
            refused = exchange.look_at_head(self._names)
            if refused is not None:
                exchange.answer_refusal(refused)
            elif not exchange.has_body:
                exchange.queue(b"")
            else:
                self._reading.add(exchange)
                exchange.receive()
        except Exception:
            log.exception("a request was not taken up")
            self._reading.discard(exchange)
            exchange.answer_refusal(refusals.FAILED)

    def take(self, exchange: Exchange) -> bool:
        """Whether the caller is the one who ends the receiving of this body: it is complete, too slow or too long."""
        try:
            self._reading.remove(exchange)
        except KeyError:
            return False
        return True

    def chunk_later(self, act: Callable[[], None]) -> None:
        """granian gives the next chunk of a body to its own threads only by deadlock."""
        self._chunks.put(act)

    def hold(self, size: int) -> bool:
        """Whether there is room in memory for so many bytes more. They are kept until `let_go`."""
        with self._holding:
            if self._held + size > LARGEST_TOGETHER:
                return False
            self._held += size
            return True

    def let_go(self, size: int) -> None:
        with self._holding:
            self._held -= size

    def _receive_chunks(self) -> None:
        while True:
            act = self._chunks.get()
            try:
                act()
            except Exception:
                log.exception("a body was not received")

    def refuse_overdue(self) -> None:
        """Refuse bodies that come too slowly, and requests that have waited too long."""
        now = self.ticks()
        for exchange in list(self._reading):
            if now > exchange.deadline and self.take(exchange):
                exchange.answer_refusal(refusals.SLOW)
        for lane in self.lanes:
            lane.refuse_overdue()
            metrics.slots(lane.name, lane.running, lane.waiting)

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(EVERY)
            self.looked = self.ticks()
            try:
                self.refuse_overdue()
            except Exception:
                log.exception("what is overdue was not refused")


class Exchange:
    """One request, and its answer. It is a lanes.Job once its body is there."""

    __slots__ = (
        "arrived",
        "deadline",
        "environ",
        "has_body",
        "_front",
        "_held",
        "_in_chunks",
        "_largest",
        "_parts",
        "_proto",
        "_size",
        "_watcher",
    )

    def __init__(self, front: Front, watcher: Any) -> None:
        self._front = front
        self._watcher = watcher
        self._proto = watcher.proto
        self.arrived = self.deadline = 0.0
        self.environ: dict[str, Any] = {}
        self.has_body = self._in_chunks = False
        self._largest = self._size = self._held = 0
        self._parts: list[bytes] = []

    def look_at_head(self, names: dict[str, str]) -> Refusal | None:
        """Make the WSGI environment (PEP 3333) of the head. `names` remembers how headers are called there."""
        scope = self._watcher.scope
        server, _, port = scope.server.rpartition(":")
        environ = self.environ = {
            "REQUEST_METHOD": scope.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": _as_wsgi(scope.path),
            "QUERY_STRING": scope.query_string,
            "REMOTE_ADDR": _address(scope.client),
            "SERVER_NAME": server.strip("[]"),
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": "HTTP/" + scope.http_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scope.scheme,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if self._front.draining:
            environ[DRAINING] = True
        authority = scope.authority
        host: str | None = authority
        for name, value in scope.headers.items():
            key = names.get(name)
            if key is None:
                if "_" in name:
                    continue
                key = "HTTP_" + name.upper().replace("-", "_")
                if len(names) < MOST_NAMES:
                    names[name] = key
            if key == "HTTP_HOST":
                if host is not None and value.lower() != host.lower():
                    return refusals.HOSTS
                host = value
            elif key in environ:
                environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value
            else:
                environ[key] = value
        if host is not None:
            environ["HTTP_HOST"] = host
        elif environ["SERVER_PROTOCOL"] == "HTTP/1.1":  # RFC 9112, 3.2
            return refusals.HOSTS
        if "HTTP_CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
        return self._expect_body(environ.pop("HTTP_CONTENT_LENGTH", None))

    def _expect_body(self, length: str | None) -> Refusal | None:
        environ = self.environ
        signed = environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4-HMAC-SHA256 ")
        self._largest = expected = LARGEST_SIGNED if signed else LARGEST_UNSIGNED
        if length is not None:
            if not (length.isascii() and length.isdigit()):
                return refusals.LENGTH
            expected = int(length)
            self.has_body, self._in_chunks = expected > 0, expected > SMALL
            environ["CONTENT_LENGTH"] = length
        elif "HTTP_TRANSFER_ENCODING" in environ or (
            environ["SERVER_PROTOCOL"] == "HTTP/2" and environ["REQUEST_METHOD"] in ("POST", "PUT", "PATCH")
        ):
            self.has_body = self._in_chunks = True
        if expected > self._largest:
            return refusals.LARGE
        self.deadline = self._front.ticks() + BODY_WITHIN + expected / SLOWEST
        return None

    def receive(self) -> None:
        """Have the body collected, and be called when it is there."""
        if self._in_chunks:
            self._proto.__aiter__()
            self._front.chunk_later(self._next_chunk)
        else:
            self._proto().add_done_callback(self._received, context=None)

    def _received(self, future: Any) -> None:
        if not self._front.take(self):
            return
        try:
            body = future.result()
        except Exception:  # the client has gone
            self._watcher.done()
            return
        self.queue(body)

    def _next_chunk(self) -> None:
        self._proto.__anext__().add_done_callback(
            lambda future: self._front.chunk_later(partial(self._received_chunk, future)), context=None
        )

    def _received_chunk(self, future: Any) -> None:
        try:
            chunk = future.result()
        except Exception:  # the client has gone
            if self._front.take(self):
                self._watcher.done()
                self._forget_body()
            return
        self._size += len(chunk)
        if self._size > self._largest:
            if self._front.take(self):
                self.answer_refusal(refusals.LARGE)
        elif not self._front.hold(len(chunk)):
            if self._front.take(self):
                self.answer_refusal(refusals.NO_ROOM)
        elif chunk:
            self._held += len(chunk)
            self._parts.append(chunk)
            self._next_chunk()
        elif self._front.take(self):
            body = b"".join(self._parts)
            self.environ.pop("HTTP_TRANSFER_ENCODING", None)
            self.environ["CONTENT_LENGTH"] = str(len(body))
            self.queue(body)

    def queue(self, body: bytes) -> None:
        self.environ["wsgi.input"] = BytesIO(body)
        self.arrived = self._front.ticks()
        self.environ[BEGAN] = time.perf_counter()
        self._front.choose(self.environ, body).offer(self)

    def run(self) -> None:
        """Have the application answer. (lanes.Job)"""
        status, headers, body = "500 Internal Server Error", [], b""
        written: list[bytes] = []

        def start_response(line: str, given: list[tuple[str, str]], failure: Any = None) -> Callable[[bytes], None]:
            nonlocal status, headers
            status, headers = line, given
            return written.append

        try:
            chunks = self._front.wsgi(self.environ, start_response)
            try:
                body = chunks[0] if type(chunks) is list and len(chunks) == 1 else b"".join(chunks)
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
            if written:
                body = b"".join(written) + body
        except Exception:  # not even web.RequestId could answer
            log.exception("a request failed")
            self.answer_refusal(refusals.FAILED)
            return
        if self._front.closing and not self._is_http2():
            headers = [*headers, ("Connection", "close")]
        self._answer(int(status[:3]), headers, body)

    def _is_http2(self) -> bool:
        """Where a connection is closed by a frame, and the header is forbidden (RFC 9113, 8.2.2)."""
        return bool(self.environ.get("SERVER_PROTOCOL") == "HTTP/2")

    def refuse(self) -> None:
        """There is no time for this request, unless it needs none. (lanes.Job)"""
        if self._front.in_memory(self.environ):
            self.run()
        else:
            self.answer_refusal(refusals.BUSY)

    def answer_refusal(self, refusal: Refusal) -> None:
        facts = refusals.facts(refusal, self.environ)
        status, headers, body = refusals.drawn(refusal, self.environ, facts.request_id)
        if self._front.closing and not refusal.closes and not self._is_http2():
            headers.append(("Connection", "close"))
        self._answer(status, headers, body)
        self._front.over(facts)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._proto.response_bytes(status, headers, body)
        self._watcher.done()
        self._forget_body()

    def _forget_body(self) -> None:
        self._parts = []
        if self._held:
            self._front.let_go(self._held)
            self._held = 0


def _as_wsgi(path: str) -> str:
    """The bytes of a path, each as a character (PEP 3333)."""
    return path if path.isascii() else path.encode("utf-8").decode("latin-1")


def _address(client: str) -> str:
    """The address in `192.0.2.1:443` or `[2001:db8::1]:443`; empty where there is none, as on a Unix socket."""
    host = client.rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return host
