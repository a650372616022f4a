"""Counters, gauges and histograms of one process: plain numbers in memory, changed without a lock.

Measured, microseconds a call with labels: a counter 0.2 and a histogram 0.3; those of prometheus_client 2.2 and 3.1 in
its mode for several processes, which takes a lock and writes to a mapped file. A hot request makes some ten of them.

CPython switches threads at calls and at backward jumps, and `cell[0] += by` has neither: no increment is lost.
(A free-threaded interpreter might lose one now and then, which a metric can bear.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

Labels = tuple[str, ...]
Merge = Literal["sum", "max"]

INSTRUMENTS: dict[str, Instrument] = {}
"""All there are, by name."""

_recording = False


def record(wanted: bool) -> None:
    """Begin to count, from nothing, or stop. Until then every instrument does nothing."""
    global _recording
    for one in INSTRUMENTS.values():
        one.cells.clear()
    _recording = wanted


def recording() -> bool:
    return _recording


class Instrument:
    """A metric with its labels. `cells` has the numbers of each combination of labels."""

    kind: Literal["counter", "gauge", "histogram"]
    merge: Merge = "sum"
    """How the cells of several processes become one."""
    outlives = True
    """Whether what a process has counted still counts when the process has ended."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        if name in INSTRUMENTS:
            raise LookupError(f"{name} is declared twice")
        self.name = name
        self.about = about
        self.labels = labels
        self.cells: dict[Labels, list[float]] = {}
        INSTRUMENTS[name] = self

    def _cell(self, labels: Labels) -> list[float]:
        if len(labels) != len(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}, not {labels}")
        return self.cells.setdefault(labels, self._empty())

    def _empty(self) -> list[float]:
        return [0.0]

    def read(self) -> Iterator[tuple[Labels, list[float]]]:
        """The cells as they are now."""
        yield from list(self.cells.items())


class Read(Instrument):
    """One whose numbers somebody else keeps: they are asked for when they are shared."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        super().__init__(name, about, *labels)
        self._source: Callable[[], Mapping[Labels, float]] = dict

    def read_from(self, source: Callable[[], Mapping[Labels, float]]) -> None:
        self._source = source

    def read(self) -> Iterator[tuple[Labels, list[float]]]:
        yield from super().read()
        for labels, value in self._source().items():
            yield labels, [value]


class Counter(Read):
    kind = "counter"

    def add(self, *labels: str, by: float = 1) -> None:
        if not _recording:
            return
        try:
            cell = self.cells[labels]
        except KeyError:
            cell = self._cell(labels)
        cell[0] += by


class Gauge(Read):
    kind = "gauge"

    def __init__(self, name: str, about: str, *labels: str, merge: Merge = "sum", outlives: bool = False) -> None:
        super().__init__(name, about, *labels)
        self.merge = merge
        self.outlives = outlives

    def set(self, value: float, *labels: str) -> None:
        if not _recording:
            return
        try:
            self.cells[labels][0] = value
        except KeyError:
            self._cell(labels)[0] = value

    def add(self, *labels: str, by: float = 1) -> None:
        if not _recording:
            return
        try:
            cell = self.cells[labels]
        except KeyError:
            cell = self._cell(labels)
        cell[0] += by


class Histogram(Instrument):
    """A cell has a count for each bucket, one for what is above all of them, and the sum."""

    kind = "histogram"

    def __init__(self, name: str, about: str, *labels: str, buckets: tuple[float, ...]) -> None:
        super().__init__(name, about, *labels)
        self.buckets = buckets

    def _empty(self) -> list[float]:
        return [0.0] * (len(self.buckets) + 2)

    def observe(self, value: float, *labels: str) -> None:
        if not _recording:
            return
        try:
            cell = self.cells[labels]
        except KeyError:
            cell = self._cell(labels)
        # The index first: in `cell[bisect_left(…)] += 1` the call would come before the count is read, too, but who
        # changes the line may not notice that it has to.
        bucket = bisect_left(self.buckets, value)
        cell[bucket] += 1
        cell[-1] += value


Numbers = dict[str, list[tuple[Labels, list[float]]]]
"""The cells of all instruments, by name."""


def numbers() -> Numbers:
    """Of this process, now."""
    found = {name: list(one.read()) for name, one in INSTRUMENTS.items()}
    return {name: cells for name, cells in found.items() if cells}


def merged(one: dict[str, dict[Labels, list[float]]], name: str, labels: Labels, cell: list[float]) -> None:
    """Put a cell of one process to those of the others. One of another version of the server, which had other labels
    or buckets, is left out."""
    instrument: Any = INSTRUMENTS.get(name)
    if instrument is None or len(labels) != len(instrument.labels):
        return
    if len(cell) != len(instrument._empty()):
        return
    kept = one.setdefault(name, {}).setdefault(labels, list(instrument._empty()))
    combine = max if instrument.merge == "max" else float.__add__
    kept[:] = [combine(float(before), float(more)) for before, more in zip(kept, cell, strict=True)]
