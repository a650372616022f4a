"""Which workers the supervisor starts and which it lets go. Whole processes are in test_serve.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.server import worker
from app.server.supervisor import Supervisor


@dataclass
class Worker:
    age: int
    pid: int
    serves: bool = False
    retired: bool = False


class Played(Supervisor):
    """Without processes."""

    num_workers: Any = 2

    def __init__(self) -> None:
        self.WORKERS: dict[int, Any] = {}
        self.worker_age = self._old = 0
        self._certificates: list[Any] = []
        self.told: list[tuple[int, int]] = []

    def _seen(self) -> list[Any]:
        return self._certificates

    def spawn_worker(self) -> None:
        self.worker_age += 1
        self.WORKERS[self.worker_age] = Worker(self.worker_age, self.worker_age)

    def kill_worker(self, pid: int, sig: int) -> None:
        self.told.append((pid, sig))

    def renewed(self) -> None:
        self._old = self.worker_age
        self.manage_workers()

    def serve(self, *pids: int) -> None:
        for pid in pids:
            self.WORKERS[pid].serves = True
        self.manage_workers()


@pytest.fixture
def supervisor() -> Played:
    played = Played()
    played.manage_workers()
    played.serve(1, 2)
    assert not played.told
    return played


def test_old_workers_go_when_all_the_new_ones_serve(supervisor: Played) -> None:
    supervisor.renewed()
    assert supervisor.WORKERS.keys() == {1, 2, 3, 4}
    supervisor.serve(3)
    assert not supervisor.told, "one alone would have all requests"
    supervisor.serve(4)
    supervisor.manage_workers()
    assert supervisor.told == [(1, worker.RETIRE), (2, worker.RETIRE)], "once"


def test_a_new_worker_that_dies_is_replaced_while_old_ones_finish(supervisor: Played) -> None:
    supervisor.renewed()
    supervisor.serve(3, 4)
    del supervisor.WORKERS[3]
    supervisor.manage_workers()
    assert supervisor.WORKERS.keys() == {1, 2, 4, 5}


def test_an_old_worker_that_dies_early_is_not_replaced_by_one_too_many(supervisor: Played) -> None:
    supervisor.renewed()
    del supervisor.WORKERS[1]
    supervisor.serve(3, 4)
    assert supervisor.WORKERS.keys() == {2, 3, 4}
    assert supervisor.told == [(2, worker.RETIRE)]


def test_a_second_renewal_before_the_first_is_done_leaves_the_old_ones_until_the_newest_serve(
    supervisor: Played,
) -> None:
    supervisor.renewed()
    supervisor.renewed()
    supervisor.serve(3, 4)
    assert not supervisor.told
    supervisor.serve(5, 6)
    assert sorted(pid for pid, _ in supervisor.told) == [1, 2, 3, 4]


def test_one_worker_less(supervisor: Played) -> None:
    supervisor.num_workers = 1
    supervisor.manage_workers()
    supervisor.manage_workers()
    assert supervisor.told == [(1, worker.RETIRE)]
