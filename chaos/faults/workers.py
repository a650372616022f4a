"""Processes of the server die, or stand still."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from chaos import processes
from chaos.processes import alive, kill, until
from chaos.trial import DISTURBED, NotPossible, Trial, failures, fault

REPLACED_WITHIN = 10.0
"""Seconds until a dead worker's place is taken: processes start anew, and on a small machine at once."""
NOTICED_WITHIN = 45.0
"""Seconds until a worker that stands still is noticed, killed and replaced."""
TIMES = 5


@fault("kill-worker", "SQLite", "PostgreSQL")
def kill_worker(trial: Trial) -> None:
    """One worker is killed with SIGKILL. Only what it had under way may fail."""
    server = trial.serve()
    trial.ask()
    trial.undisturbed()
    workers = server.workers()
    killed = time.monotonic()
    with trial.disturbed():
        kill(workers[0])
        time.sleep(trial.durations.harm)
    trial.worker_count(len(workers))
    trial.recovers(killed, target=REPLACED_WITHIN)
    _only_what_was_under_way(trial, killed)


@fault("kill-all-workers", "SQLite", "PostgreSQL")
def kill_all_workers(trial: Trial) -> None:
    """All workers are killed at once. The parent makes new ones."""
    server = trial.serve()
    trial.ask()
    trial.undisturbed()
    workers = server.workers()
    killed = time.monotonic()
    with trial.disturbed():
        kill(*workers)
        time.sleep(trial.durations.harm)
    trial.claim("the parent lives on", server.running)
    trial.worker_count(len(workers))
    trial.recovers(killed, target=REPLACED_WITHIN)


@fault("kill-again-and-again")
def kill_again_and_again(trial: Trial) -> None:
    """A worker is killed, and its successor as soon as there is one, five times. No server gives up after that."""
    server = trial.serve()
    trial.ask()
    trial.undisturbed()
    count = len(server.workers())
    with trial.disturbed():
        for _ in range(TIMES):
            if not until(lambda: not server.running or len(server.workers()) >= count):
                break
            if server.running:
                kill(server.workers()[-1])
                time.sleep(0.2)
        killed = time.monotonic()
    trial.claim("the parent lives on", server.running)
    trial.worker_count(count)
    trial.recovers(killed, target=2 * REPLACED_WITHIN)


@fault("freeze-worker")
def freeze_worker(trial: Trial) -> None:
    """A worker stands still (SIGSTOP), and holds its share of the connections. It is replaced."""
    _stands_still(trial, lambda pid: processes.frozen([pid]))


@fault("hang-main-thread")
def hang_main_thread(trial: Trial) -> None:
    """Only the main thread of a worker stands still. Its other threads serve on, or it is replaced."""
    _stands_still(trial, processes.main_thread_hung)


def _stands_still(trial: Trial, harm: Callable[[int], AbstractContextManager[bool | None]]) -> None:
    server = trial.serve()
    trial.ask(patience=20.0)
    trial.undisturbed()
    workers = server.workers()
    began = time.monotonic()
    with harm(workers[0]) as done:
        if done is False:
            raise NotPossible("threads of other processes may not be stopped here (ptrace)")
        with trial.disturbed():
            # As long as it takes, or nearly a minute and a half: without help from outside.
            seconds = trial.settles(began, within=NOTICED_WITHIN + 40)
            if not trial.short:  # and whatever is done about it later
                until(lambda: not alive(workers[0]), began + NOTICED_WITHIN - time.monotonic())
    trial.claim("it answers again while that worker stands still", seconds is not None)
    if seconds is not None:
        trial.claim(f"within {NOTICED_WITHIN:g} s", seconds <= NOTICED_WITHIN, f"{seconds:.1f} s", timed=True)
        what = "has been replaced" if not alive(workers[0]) else "was not replaced, and none waited for it"
        trial.note(f"the worker {what}")
    trial.worker_count(len(workers))
    trial.recovers(time.monotonic(), target=REPLACED_WITHIN)
    trial.note(f"meanwhile {failures(trial.figures(DISTURBED))} failed")


@fault("kill-parent", "SQLite", "PostgreSQL")
def kill_parent(trial: Trial) -> None:
    """The parent is killed. Its workers end with it, and another server can be started in its place."""
    server = trial.serve()
    trial.ask(patience=15.0)
    trial.undisturbed()
    workers = server.workers()
    killed = time.monotonic()
    with trial.disturbed():
        kill(server.pid)
        server.process.wait()
        gone = until(lambda: not any(map(alive, workers)))
        seconds = time.monotonic() - killed
    trial.claim("the workers end with it", gone)
    if gone:
        trial.claim(f"within {REPLACED_WITHIN:g} s", seconds <= REPLACED_WITHIN, f"{seconds:.1f} s", timed=True)
    else:
        kill(*workers)
    again = time.monotonic()
    server.start()
    trial.recovers(again, target=REPLACED_WITHIN)


def _only_what_was_under_way(trial: Trial, killed: float) -> None:
    """A second later nobody may notice any more: what came in between may have been sent to the one that died."""
    late = [one for one in trial.load.between(killed + 1, killed + 3600) if one.outcome != "answered"]
    told = "; ".join(f"{one.kind} {one.began - killed:.1f} s later: {one.detail}" for one in late[:3])
    trial.claim("only what was under way has failed", not late, told, timed=True)
