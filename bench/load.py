"""The load generator: conversations on keep-alive connections, in processes of their own.

A conversation is a generator: it yields a request as bytes and is sent the answer. It ends when it has what it came
for, and raises `BadAnswer` when an answer is not right. One process holds many connections in one loop, so that what
it costs is small beside what it asks for; how much that was is reported with every figure.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import selectors
import signal
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from bench.wire import Answer, BadAnswer, Reader, closes

Conversation = Generator[bytes, Answer, None]
Address = tuple[str, int]

PATIENCE = 30.0
"""Seconds for one answer."""
PREPARATION = 120.0
"""Seconds in which all connections have to be signed in, and whatever else a scenario needs."""
MOST_ERRORS = 20
"""A process gives up after that many: what it measures is then of no use."""


class Scenario(Protocol):
    """What `bench.scenarios` has; it crosses to another process, so it has to be picklable."""

    @property
    def address(self) -> Address:
        """Where to connect."""

    @property
    def seats(self) -> int | None:
        """How many may sit there at once; None for any number."""

    def seat(self, number: int) -> Any:
        """Who sits at a connection: state of his own, such as a user and his tokens."""

    def prepare(self, seat: Any) -> Conversation:
        """What has to have happened before the first conversation; is not counted."""

    def converse(self, seat: Any, *, thorough: bool) -> Conversation:
        """What is measured. `thorough`: check everything about the answers, at whatever cost to this side."""


@dataclass(frozen=True)
class Orders:
    """When to begin and end counting (time.monotonic, which all processes share), and how much at most."""

    begin: float
    end: float
    limit: int
    """Conversations begun, and counted, after `begin`."""
    rate: float | None = None
    """Conversations a second, arriving at random; None for as many as the connections can hold."""


@dataclass
class Outcome:
    """What came of it."""

    seconds: list[float] = field(default_factory=list)
    """How long each counted conversation took."""
    errors: int = 0
    messages: list[str] = field(default_factory=list)
    """The first few errors that differ."""
    generator_cpu: float = 0.0
    """Seconds that the generator itself was busy while it counted."""
    generator_share: float = 0.0
    """The busiest process's part of the time: near 1 it was the generator that limited the rate."""

    def wrong(self, message: str) -> None:
        self.errors += 1
        if len(self.messages) < 3 and message not in self.messages:
            self.messages.append(message)


class _Line:
    """One connection, and the conversation on it."""

    def __init__(self, address: Address, seat: Any) -> None:
        self.seat = seat
        self.address = address
        self.socket: socket.socket | None = None
        self.fresh = True
        self.talk: Conversation | None = None
        self.reader = Reader()
        self.request = b""
        self.since = 0.0
        self.asked = 0.0

    def connect(self) -> socket.socket:
        self.socket = socket.create_connection(self.address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fresh = True
        return self.socket


def walk(address: Address, talk: Conversation, tamper: Callable[[Answer], Answer] = lambda answer: answer) -> None:
    """Hold one conversation from here, one request after the other. `tamper` may change answers: tests do."""
    line = _Line(address, None)
    try:
        request = next(talk)
        while True:
            connection = line.socket or line.connect()
            connection.sendall(request)
            reader, answer = Reader(), None
            while answer is None:
                answer = reader.feed(connection.recv(65536))
            if closes(answer):
                connection.close()
                line.socket = None
            request = talk.send(tamper(answer))
    except StopIteration:
        pass
    finally:
        if line.socket is not None:
            line.socket.close()


class _Loop:
    """All connections of one process."""

    def __init__(self, scenario: Scenario, lines: list[_Line]) -> None:
        self._scenario = scenario
        self._lines = lines
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Line] = deque()
        self._arrived: deque[float] = deque()
        self.outcome = Outcome()
        self._orders = Orders(0, 0, 0)
        self._busy = 0
        self._counted = 0

    def run(self, orders: Orders) -> Outcome:
        """Converse until the end; then let what is under way finish."""
        self._orders = orders
        self._idle.extend(self._lines)
        pace = random.Random(self._lines[0].seat.number if self._lines else 0)
        due = time.monotonic()
        used = None
        looked = 0.0
        while True:
            now = time.monotonic()
            open_ = self._open(now)
            if used is None and now >= orders.begin:
                used = time.process_time()
                started = now
            if not open_ and used is not None:
                self.outcome.generator_cpu = time.process_time() - used
                self.outcome.generator_share = self.outcome.generator_cpu / max(now - started, 1e-9)
                break
            if orders.rate is None:
                while self._idle and self._open(now):
                    self._begin(self._idle.popleft(), now)
                timeout = 1.0
            else:
                while due <= now:
                    self._arrived.append(due)
                    due += pace.expovariate(orders.rate)
                while self._idle and self._arrived and self._open(now):
                    arrived = self._arrived.popleft()
                    # Who had to wait for a connection has waited since he arrived. Who found one idle has not: what
                    # lies between is this process waking up, and no business of the server's.
                    self._begin(self._idle.popleft(), arrived if arrived < looked else now)
                timeout = max(0.0, due - now)
            looked = now
            self._listen(min(timeout, max(0.0, (orders.begin if now < orders.begin else orders.end) - now)))
        self._finish()
        return self.outcome

    def _open(self, now: float) -> bool:
        """Whether new conversations may begin."""
        return now < self._orders.end and self._counted < self._orders.limit and self.outcome.errors < MOST_ERRORS

    def _finish(self) -> None:
        self._arrived.clear()
        end = time.monotonic() + PATIENCE
        while self._busy and time.monotonic() < end:
            self._listen(1.0)
        for line in self._lines:
            self._hang_up(line)
        self._selector.close()

    def _listen(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            line: _Line = key.data
            try:
                data = line.socket.recv(262144) if line.socket else b""
            except OSError as error:
                self._broken(line, f"{type(error).__name__} while waiting for an answer")
                continue
            if line.talk is None:
                self._hang_up(line)  # an idle connection that the server has closed
            else:
                self._read(line, data)
        if self._busy:
            self._lose_patience()

    def _read(self, line: _Line, data: bytes) -> None:
        if not data and not line.fresh and not line.reader.begun:
            # The server closed a connection it had kept, just when the next request came: to be asked again.
            self._hang_up(line)
            self._send(line)
            return
        try:
            answer = line.reader.feed(data)
        except BadAnswer as bad:
            self._broken(line, str(bad))
            return
        if answer is None:
            return
        line.fresh = False
        if closes(answer):
            self._hang_up(line)
        assert line.talk is not None
        try:
            line.request = line.talk.send(answer)
        except StopIteration:
            self._ended(line)
        except BadAnswer as bad:
            self._broken(line, str(bad))
        else:
            self._send(line)

    def _begin(self, line: _Line, since: float) -> None:
        line.talk = self._scenario.converse(line.seat, thorough=False)
        line.since = since
        line.request = next(line.talk)
        self._busy += 1
        self._counted += since >= self._orders.begin
        self._send(line)

    def _send(self, line: _Line) -> None:
        line.reader = Reader()
        line.asked = time.monotonic()
        try:
            if line.socket is None:
                self._selector.register(line.connect(), selectors.EVENT_READ, line)
            assert line.socket is not None
            line.socket.sendall(line.request)
        except OSError as error:
            self._broken(line, f"{type(error).__name__} while asking")

    def _ended(self, line: _Line) -> None:
        now = time.monotonic()
        # What began while warming up counts if it ends in time; else the first and last ones would be left out.
        if self._orders.begin <= now < self._orders.end and len(self.outcome.seconds) < self._orders.limit:
            self.outcome.seconds.append(now - line.since)
        self._free(line)

    def _broken(self, line: _Line, message: str) -> None:
        self.outcome.wrong(message)
        self._hang_up(line)
        if line.talk is not None:
            line.talk.close()
        self._free(line)

    def _free(self, line: _Line) -> None:
        line.talk = None
        self._busy -= 1
        self._idle.append(line)

    def _hang_up(self, line: _Line) -> None:
        if line.socket is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(line.socket)
            line.socket.close()
            line.socket = None

    def _lose_patience(self) -> None:
        late = time.monotonic() - PATIENCE
        for line in self._lines:
            if line.talk is not None and line.asked < late:
                self._broken(line, f"no answer within {PATIENCE:.0f} seconds")


def _process(pipe: Connection, scenario: Scenario, seats: range) -> None:
    """A generator process: prepare, prove that the answers are right, say so, wait for orders, report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    try:
        lines = [_Line(scenario.address, scenario.seat(number)) for number in seats]
        for line in lines:
            walk(scenario.address, scenario.prepare(line.seat))
        walk(scenario.address, scenario.converse(lines[0].seat, thorough=True))
    except (BadAnswer, OSError) as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(None)
    try:
        orders = pipe.recv()
    except EOFError:
        return
    outcome = _Loop(scenario, lines).run(orders)
    try:
        # The last answer is looked at as closely as the first.
        walk(scenario.address, scenario.converse(lines[0].seat, thorough=True))
    except (BadAnswer, OSError) as error:
        outcome.wrong(f"at the end: {error}")
    seconds = array("d", outcome.seconds)
    outcome.seconds = []
    pipe.send((outcome, seconds.tobytes()))


@contextlib.contextmanager
def generators(scenario: Scenario, *, processes: int, connections: int) -> Iterator[Generators]:
    """Processes that are ready to ask, with so many connections, or as many as the scenario has seats. Raises BadAnswer
    when the first answers are not right."""
    connections = min(connections, scenario.seats or connections)
    context = multiprocessing.get_context("spawn")
    shares = [range(n, connections, processes) for n in range(min(processes, connections))]
    pipes: list[Connection] = []
    started = []
    try:
        for share in shares:
            ours, theirs = context.Pipe()
            process = context.Process(target=_process, args=(theirs, scenario, share), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            started.append(process)
        _expect_ready(pipes)
        yield Generators(pipes)
    finally:
        for process in started:
            process.terminate()
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        for pipe in pipes:
            pipe.close()


def _expect_ready(pipes: list[Connection]) -> None:
    end = time.monotonic() + PREPARATION
    waiting: list[Any] = list(pipes)
    while waiting:
        ready = wait(waiting, max(0.0, end - time.monotonic()))
        if not ready:
            raise BadAnswer(f"not prepared within {PREPARATION:.0f} seconds")
        for pipe in ready:
            waiting.remove(pipe)
            if (trouble := _received(pipe)) is not None:
                raise BadAnswer(trouble)


def _received(pipe: Any) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise BadAnswer("a generator process ended") from None


class Generators:
    """Prepared processes, to be let loose once."""

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def run(
        self, *, warm_up: float, seconds: float, limit: int, rate: float | None, at: Callable[[], None]
    ) -> tuple[Outcome, float]:
        """Ask for as long, or as much, as is said; returns what came of it and the seconds it took.

        `at` is called when counting begins and when it ends.
        """
        begin = time.monotonic() + warm_up + 0.02
        share = len(self._pipes)
        # Unequal shares of the limit would leave one process asking alone at the end.
        each = Orders(begin, begin + seconds, -(-limit // share), rate / share if rate else None)
        for pipe in self._pipes:
            pipe.send(each)
        time.sleep(max(0.0, begin - time.monotonic()))
        began = time.monotonic()
        at()
        unheard: list[Any] = list(self._pipes)
        ended = False
        outcome = Outcome()
        deadline = each.end + 3 * PATIENCE
        while unheard:
            now = time.monotonic()
            if not ended and now >= each.end:
                ended = True
                at()
                took = now - began
            if now >= deadline:
                raise BadAnswer("a generator process does not end")
            for ready in wait(unheard, max(0.0, (deadline if ended else each.end) - now)):
                unheard.remove(ready)
                part, raw = _received(ready)
                seconds_of = array("d")
                seconds_of.frombytes(raw)
                outcome.seconds.extend(seconds_of)
                outcome.errors += part.errors
                outcome.messages += [message for message in part.messages if message not in outcome.messages]
                outcome.generator_cpu += part.generator_cpu
                outcome.generator_share = max(outcome.generator_share, part.generator_share)
        if not ended:
            at()
            took = time.monotonic() - began
        return outcome, took
