"""Requests at a given pace, from a process of their own, and how each of them went.

Unlike bench's generator it goes on when answers are wrong or do not come: which they were, and when, is the result. A
connection is never used again after four idle seconds, and no request is sent twice: what a server drops is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import signal
import ssl
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

import psutil

from bench.figures import percentile
from bench.load import PREPARATION, Address, Conversation
from bench.scenarios import Scenario
from bench.wire import Answer, BadAnswer, NotNow, Reader, closes
from chaos.conversations import Acknowledged

PATIENCE = 30.0
"""Seconds for one answer; then it counts as none."""
SEATS = 4
"""Of each scenario; requests take turns in them."""
IDLE = 4.0
"""Seconds: less than the ten after which the server closes a connection that is idle."""
REPORTS_EVERY = 0.1
FEW = 0.2
"""Refused for one that is answered, when all is well: a machine can have other things to do."""

Outcome = Literal["answered", "refused", "failed"]


@dataclass(frozen=True)
class Asked:
    """One conversation that has ended."""

    kind: str
    began: float
    """time.monotonic(), which all processes of a machine share."""
    seconds: float
    outcome: Outcome
    """`refused` is an honest "not now": 429 or 503 with Retry-After, TooManyRequestsException (400, as in Cognito), or
    `temporarily_unavailable` at the redirect URI. All else that is no right answer has `failed`."""
    detail: str = ""

    @property
    def ended(self) -> float:
        return self.began + self.seconds


@dataclass(frozen=True)
class Figures:
    """How the requests of one span of time went. Milliseconds of those that were answered."""

    asked: int
    answered: int
    refused: int
    failed: int
    p50: float | None
    p99: float | None
    longest: float | None
    """Of all, however they went."""
    troubles: dict[str, int]
    """What was wrong with those that failed, the most frequent first."""


def figures(asked: Sequence[Asked]) -> Figures:
    times = [1000 * one.seconds for one in asked if one.outcome == "answered"]
    outcomes = Counter(one.outcome for one in asked)
    return Figures(
        len(asked),
        outcomes["answered"],
        outcomes["refused"],
        outcomes["failed"],
        percentile(times, 0.5) if times else None,
        percentile(times, 0.99) if times else None,
        max((1000 * one.seconds for one in asked), default=None),
        dict(Counter(f"{one.kind}: {one.detail}" for one in asked if one.outcome == "failed").most_common(5)),
    )


class Load:
    """A generator process that asks until it is told to stop; what it noted, as far as it is known."""

    def __init__(self, pipe: Connection, kinds: Sequence[str], patience: float, process: psutil.Process) -> None:
        self._pipe = pipe
        self._process = process
        self.kinds = kinds
        self._patience = patience
        self.asked: list[Asked] = []
        self.acknowledged: list[Acknowledged] = []
        self.under_way: list[float] = []
        """When those that have not ended began, as far as is known."""
        self._ended = threading.Event()
        self._error: str | None = None
        self._reader = threading.Thread(target=self._collect, name="load", daemon=True)
        self._reader.start()

    def cpu_seconds(self) -> float:
        """That the generator has taken from whatever else runs on this machine, while it runs."""
        times = self._process.cpu_times()
        return times.user + times.system

    def between(self, begin: float, end: float, *kinds: str) -> list[Asked]:
        """Those that began in this span of time.monotonic()."""
        return [one for one in self.asked if begin <= one.began < end and (not kinds or one.kind in kinds)]

    def settled(self, since: float, *, within: float, calm: float = 2.0) -> float | None:
        """Waits until all is well again: of what began in a span of `calm` seconds each request has ended; since then
        none has failed, some of each kind were answered, and hardly any refused.

        Returns the seconds from `since` to the beginning of that span; None when it does not come to that. However slow
        the machine is, only the wait gets longer.
        """
        end = time.monotonic() + within
        while True:
            begin = self._well_since(since, calm)
            if begin is not None:
                return begin - since
            if time.monotonic() > end:
                return None
            time.sleep(REPORTS_EVERY)

    def _well_since(self, since: float, calm: float) -> float | None:
        found = [one for one in tuple(self.asked) if one.began >= since]
        failed = max((one.began for one in found if one.outcome == "failed"), default=None)
        begins = [one.began for one in found if one.outcome == "refused" and one.began > (failed or since)]
        for begin in [since if failed is None else failed, *sorted(begins)]:
            if any(began < begin + calm for began in self.under_way) or time.monotonic() < begin + calm:
                return None
            answered = Counter(one.kind for one in found if one.began > begin and one.outcome == "answered")
            refused = sum(one.outcome == "refused" for one in found if one.began > begin)
            if all(answered[kind] for kind in self.kinds) and refused <= FEW * answered.total():
                return begin
        return None

    def ask_no_more(self) -> None:
        """What is under way goes on."""
        with contextlib.suppress(OSError):
            self._pipe.send("stop")

    def stop(self) -> None:
        """Ask no more; wait for what is under way."""
        if not self._ended.is_set():
            self.ask_no_more()
            if not self._ended.wait(self._patience + 30):
                raise BadAnswer("the load generator does not end")
        if self._error:
            raise BadAnswer(self._error)

    def _collect(self) -> None:
        try:
            while True:
                asked, acknowledged, under_way, self._error = self._pipe.recv()
                self.asked += asked
                self.acknowledged += acknowledged
                if under_way is None:
                    break
                self.under_way = under_way
        except (EOFError, OSError):
            self._error = "the load generator ended by itself"
        self._ended.set()


@contextlib.contextmanager
def load(
    address: Address,
    paces: Sequence[tuple[Scenario, float]],
    *,
    tls: bool = False,
    patience: float = PATIENCE,
    evenly: Collection[str] = (),
) -> Iterator[Load]:
    """Asks each scenario so many times a second, at random or, if it is named in `evenly`, at equal intervals; with
    `tls` whoever answers, whatever certificate they show.

    Raises BadAnswer when the scenarios cannot be prepared.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_generate, args=(theirs, address, paces, tls, patience, evenly), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(PREPARATION):
            raise BadAnswer(f"the load is not prepared within {PREPARATION:.0f} seconds")
        try:
            trouble = ours.recv()
        except EOFError:
            trouble = "the load generator ended before it began"
        if trouble:
            raise BadAnswer(trouble)
        running = Load(ours, [scenario.name for scenario, _ in paces], patience, psutil.Process(process.pid))
        try:
            yield running
        finally:
            running.stop()
    finally:
        process.terminate()
        process.join()
        process.close()
        ours.close()


def _generate(
    pipe: Connection,
    address: Address,
    paces: Sequence[tuple[Scenario, float]],
    tls: bool,
    patience: float,
    evenly: Collection[str],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    asyncio.run(_Generator(pipe, address, paces, tls, patience, evenly).run())


@dataclass
class _Line:
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float = 0.0


@dataclass
class _Generator:
    pipe: Connection
    address: Address
    paces: Sequence[tuple[Scenario, float]]
    tls: bool
    patience: float
    evenly: Collection[str]
    idle: list[_Line] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    under_way: dict[int, float] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        seats = [[scenario.seat(number) for number in range(SEATS)] for scenario, _ in self.paces]
        try:
            for (scenario, _), theirs in zip(self.paces, seats, strict=True):
                for seat in theirs:
                    await self._hold(scenario.prepare(seat))
                    self._note_promises(seat)
        except (BadAnswer, OSError, TimeoutError) as error:
            self.pipe.send(f"{type(error).__name__}: {error}")
            return
        self.pipe.send(None)
        arrivals = [
            asyncio.create_task(self._arrive(scenario, theirs, rate))
            for (scenario, rate), theirs in zip(self.paces, seats, strict=True)
        ]
        failed = None
        while not self.pipe.poll():
            await asyncio.sleep(REPORTS_EVERY)
            self._report(list(self.under_way.values()), failed)
            for task in arrivals:
                if task.done():
                    failed = f"the load generator failed: {task.exception()!r}"
        for task in arrivals:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=self.patience + 5)
        self._report(None, failed)
        for line in self.idle:
            line.writer.close()

    def _report(self, under_way: list[float] | None, failed: str | None) -> None:
        """When those under way began; None at the end."""
        self.pipe.send((self.asked, self.acknowledged, under_way, failed))
        self.asked, self.acknowledged = [], []

    async def _arrive(self, scenario: Scenario, seats: list[Any], rate: float) -> None:
        """Independently of answers: who waits keeps nobody else from asking."""
        chance = random.Random(scenario.__class__.__name__)
        due = time.monotonic()
        for number in range(2**62):
            due += 1 / rate if scenario.name in self.evenly else chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._converse(scenario, seats[number % len(seats)]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _converse(self, scenario: Any, seat: Any) -> None:
        began = time.monotonic()
        this = id(asyncio.current_task())
        self.under_way[this] = began
        outcome: Outcome = "answered"
        detail = ""
        try:
            await self._hold(scenario.converse(seat, thorough=False))
        except NotNow as refused:
            outcome, detail = "refused", str(refused)
        except TimeoutError:
            outcome, detail = "failed", f"no answer within {self.patience:.0f} s"
        except (BadAnswer, OSError) as error:
            outcome, detail = "failed", f"{type(error).__name__} {error}".partition(": b'<")[0][:200]
        finally:
            del self.under_way[this]
        self._note_promises(seat)
        self.asked.append(Asked(scenario.name, began, time.monotonic() - began, outcome, detail))

    def _note_promises(self, seat: Any) -> None:
        promised = getattr(seat, "acknowledged", [])
        self.acknowledged += promised
        promised[:] = []

    async def _hold(self, talk: Conversation) -> None:
        """Hold one conversation. Raises BadAnswer, OSError, TimeoutError."""
        line: _Line | None = None
        try:
            request = next(talk)
            while True:
                if line is None:
                    line = await asyncio.wait_for(self._line(), self.patience)
                answer = await asyncio.wait_for(self._ask(line, request), self.patience)
                if closes(answer):
                    line.writer.close()
                    line = None
                if answer.status in (429, 503) and (answer.header("retry-after") or "").isdigit():
                    raise NotNow(f"{answer.status}")
                if answer.status == 400 and b'"TooManyRequestsException"' in answer.body:
                    raise NotNow("TooManyRequestsException")
                request = talk.send(answer)
        except StopIteration:
            pass
        except (OSError, TimeoutError):
            if line is not None:
                line.writer.transport.abort()
                line = None
            raise
        finally:
            talk.close()
            if line is not None:
                line.used = time.monotonic()
                self.idle.append(line)

    async def _line(self) -> _Line:
        while self.idle:
            line = self.idle.pop()
            if not line.reader.at_eof() and time.monotonic() - line.used < IDLE:
                return line
            line.writer.close()
        host, port = self.address
        if not self.tls:
            return _Line(*await asyncio.open_connection(host, port))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it asks only this machine
        return _Line(*await asyncio.open_connection(host, port, ssl=context, server_hostname="localhost"))

    async def _ask(self, line: _Line, request: bytes) -> Answer:
        line.writer.write(request)
        reader, answer = Reader(), None
        while answer is None:
            try:
                answer = reader.feed(await line.reader.read(262144))
            except BadAnswer as bad:  # not the answer is wrong: there is none
                raise ConnectionError(str(bad)) from None
        return answer
