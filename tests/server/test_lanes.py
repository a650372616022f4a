"""Lanes: each kind of work has threads of its own, waits so long and no longer, and is refused in time."""

import threading
from collections import deque
from collections.abc import Callable

from app.server.lanes import MOST_WAITING, AtOnce, Lane

WITHIN = 30


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """A job that tells what became of it, and can be held up."""

    def __init__(self, clock: Clock, act: Callable[[], None] = lambda: None) -> None:
        self.arrived = clock.now
        self._act = act
        self.began = threading.Event()
        self.ended = threading.Event()
        self.refusals = 0

    def run(self) -> None:
        self.began.set()
        self._act()
        self.ended.set()

    def refuse(self) -> None:
        self.refusals += 1
        self.ended.set()


def lane(clock: Clock, *, threads: int = 1, longest_wait: float = 1.0) -> Lane:
    return Lane("test", threads, longest_wait=longest_wait, ticks=clock)


def held(clock: Clock) -> tuple[Work, threading.Event]:
    release = threading.Event()
    return Work(clock, lambda: release.wait(WITHIN) and None), release


def test_jobs_are_done() -> None:
    clock = Clock()
    busy = lane(clock, threads=2)
    busy.start()
    jobs = [Work(clock) for _ in range(50)]
    for job in jobs:
        busy.offer(job)
    assert all(job.ended.wait(WITHIN) for job in jobs)
    assert not any(job.refusals for job in jobs)


def test_one_kind_of_work_holds_up_no_other() -> None:
    clock = Clock()
    slow, quick = lane(clock), lane(clock)
    slow.start()
    quick.start()
    stuck, release = held(clock)
    slow.offer(stuck)
    assert stuck.began.wait(WITHIN)
    other = Work(clock)
    quick.offer(other)
    assert other.ended.wait(WITHIN) and not other.refusals
    release.set()


def test_what_has_waited_too_long_is_refused_before_it_acts() -> None:
    clock = Clock()
    busy = lane(clock)
    late = Work(clock)
    busy.offer(late)  # nobody works yet
    clock.now += 1.1
    busy.start()
    assert late.ended.wait(WITHIN)
    assert late.refusals == 1 and not late.began.is_set()


def test_what_waits_behind_threads_that_are_stuck_is_refused_in_time() -> None:
    clock = Clock()
    busy = lane(clock)
    busy.start()
    stuck, release = held(clock)
    busy.offer(stuck)
    assert stuck.began.wait(WITHIN)
    early = Work(clock)
    busy.offer(early)
    clock.now += 0.6
    later = Work(clock)
    busy.offer(later)
    busy.refuse_overdue()
    assert not early.refusals
    clock.now += 0.6
    busy.refuse_overdue()
    assert early.refusals == 1 and not later.refusals
    assert busy.waiting == 1
    release.set()
    assert later.ended.wait(WITHIN) and not later.refusals, "and the one that was not late is still done"
    assert not early.began.is_set()


def ten_behind_a_stuck_one(clock: Clock, busy: Lane) -> tuple[list[Work], threading.Event]:
    """Ten jobs that were offered while the only thread is busy, and what lets it go on."""
    stuck, release = held(clock)
    busy.offer(stuck)
    assert stuck.began.wait(WITHIN)
    jobs = [Work(clock) for _ in range(10)]
    for job in jobs:
        busy.offer(job)
    return jobs, release


def test_a_queue_that_is_longer_than_the_patience_takes_no_more() -> None:
    """The lane has learnt how long a job takes, and does not make anybody wait for nothing."""
    clock = Clock()
    busy = lane(clock, longest_wait=1.25)
    busy.start()

    def takes_a_quarter_of_a_second() -> None:
        clock.now += 0.25

    for _ in range(50):
        one = Work(clock, takes_a_quarter_of_a_second)
        busy.offer(one)
        assert one.ended.wait(WITHIN)
    jobs, release = ten_behind_a_stuck_one(clock, busy)
    assert [job.refusals for job in jobs] == [0] * 5 + [1] * 5, "four, and the one that tells that it is too long"
    assert busy.refused == 5
    release.set()


def test_the_first_job_is_slow_and_tells_little_of_the_others() -> None:
    """It finds everything cold: a lane that believed it would refuse most of those who come at the start."""
    clock = Clock()
    busy = lane(clock, longest_wait=1.0)
    busy.start()

    def takes_half_a_second() -> None:
        clock.now += 0.5

    first = Work(clock, takes_half_a_second)
    busy.offer(first)
    assert first.ended.wait(WITHIN)
    jobs, release = ten_behind_a_stuck_one(clock, busy)
    assert not any(job.refusals for job in jobs)
    release.set()


def test_a_queue_has_an_end() -> None:
    clock = Clock()
    busy = lane(clock, longest_wait=1e9)
    for _ in range(MOST_WAITING):
        busy.offer(Work(clock))
    more = Work(clock)
    busy.offer(more)
    assert more.refusals == 1 and busy.waiting == MOST_WAITING


def test_a_job_that_fails_takes_no_thread_with_it() -> None:
    clock = Clock()
    busy = lane(clock)
    busy.start()

    def fail() -> None:
        raise RuntimeError("mistake")

    busy.offer(Work(clock, fail))
    after = Work(clock)
    busy.offer(after)
    assert after.ended.wait(WITHIN)


def test_what_never_waits_is_done_by_whoever_brings_it() -> None:
    clock = Clock()
    by: list[str] = []
    AtOnce().offer(Work(clock, lambda: by.append(threading.current_thread().name)))
    assert by == [threading.current_thread().name]


class Raced(deque[Work]):
    """A queue in which a thread of the lane always takes the first job between a look at it and the taking."""

    def popleft(self) -> Work:
        if len(self) == 2:
            super().popleft()
        return super().popleft()


def test_a_job_that_was_taken_for_another_one_is_still_done() -> None:
    """It was put back, but the thread that would have done it had come in between and gone to sleep again."""
    clock = Clock()
    busy = lane(clock)
    early = Work(clock)
    clock.now += 2
    late = Work(clock)
    busy._jobs = Raced([early, late])  # type: ignore[assignment]  # and no token: the threads have taken both
    busy.refuse_overdue()
    busy.start()
    assert late.ended.wait(WITHIN) and not late.refusals


def test_a_job_that_is_not_overdue_is_left_where_it_is() -> None:
    clock = Clock()
    busy = lane(clock)

    class Untouched(deque[Work]):
        def popleft(self) -> Work:
            raise AssertionError("a thread may look for it at this moment")

    busy._jobs = Untouched([Work(clock)])  # type: ignore[assignment]
    busy.refuse_overdue()
