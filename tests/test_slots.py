"""How many threads do one kind of slow work: who waits, who is refused at once, and that nothing is lost."""

import threading

from app import metrics
from app.metrics import instruments
from app.slots import Slots
from tests.conftest import Clock

LONG = 3600.0
"""Seconds of patience that no test waits for."""


def taken(slots: Slots) -> object:
    slot = slots.take()
    assert slot is not None
    return slot


def test_there_are_as_many_as_there_are(clock: Clock) -> None:
    slots = Slots("test", 2, patience=0, ticks=clock.ticks)
    first, _ = taken(slots), taken(slots)
    assert slots.take() is None
    slots.give_back(first)
    taken(slots)
    assert slots.take() is None


def test_who_finds_none_gets_the_next_that_is_given_back() -> None:
    slots = Slots("test", 1, patience=LONG)
    mine, found = taken(slots), []

    def wait() -> None:
        found.append(slots.take())
        slots.give_back(found[-1])

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    slots.give_back(mine)
    for thread in threads:
        thread.join(60)
    assert len(found) == 5 and None not in found
    taken(slots)


def test_nobody_waits_behind_work_that_stands_still(clock: Clock) -> None:
    """A thread that waited for what will not come would be one less for everything else."""
    slots = Slots("test", 3, patience=LONG, ticks=clock.ticks)
    stuck = [taken(slots) for _ in range(3)]
    clock.forward(seconds=LONG)
    assert slots.take() is None, "all of them stand still"
    slots.give_back(stuck.pop())
    taken(slots)
    assert slots.take() is None, "most of them do"


def test_one_that_takes_long_is_no_reason_to_refuse(clock: Clock) -> None:
    """A sweep, or the deletion of a pool, takes seconds, and the others come and go."""
    slots = Slots("test", 3, patience=LONG, ticks=clock.ticks)
    taken(slots)
    clock.forward(seconds=LONG)
    quick = [taken(slots), taken(slots)]
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(slots.take()))
    thread.start()
    slots.give_back(quick.pop())
    thread.join(60)
    assert found != [None]


def test_they_are_counted(clock: Clock) -> None:
    instruments.record(True)
    try:
        slots = Slots("test", 1, patience=0, ticks=clock.ticks)
        slot = taken(slots)
        assert slots.take() is None
        assert metrics.SLOTS_TAKEN.cells[("test",)] == [1]
        slots.give_back(slot)
        assert metrics.SLOTS_TAKEN.cells[("test",)] == [0] and metrics.SLOTS_WAITING.cells[("test",)] == [0]
    finally:
        instruments.record(False)
