"""What Prometheus is told: every metric, by name, and how a process begins to count.

Called from all layers, and so below them. Nothing is counted, and no file is made, without COGNATE_ADMIN_PORT.
"""

from __future__ import annotations

import logging
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import util
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from app.config import Settings, SettingsError
from app.metrics import instruments, sharing
from app.metrics.instruments import Counter, Gauge, Histogram, Labels

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two times that a process shares its numbers. One that is killed loses those of the last."""
OTHER = "other"
"""The name of every pool beyond the first COGNATE_METRICS_POOLS."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Histogram(
    "cognate_request_seconds", "Time of a request in the application.", "door", "operation", buckets=_FAST
)
ANSWERS = Counter("cognate_answers_total", "Answers by the class of their status.", "door", "operation", "status")
SLOTS_TAKEN = Gauge("cognate_slots_taken", "Slots for requests that are taken, by kind of work.", "kind")
SLOTS_WAITING = Gauge("cognate_slots_waiting", "Requests that wait for a slot, by kind of work.", "kind")
POOL_SIZE = Gauge("cognate_database_pool_size", "Database connections that the processes may keep.")
POOL_OPEN = Gauge("cognate_database_pool_open", "Database connections that are open.")
POOL_CHECKED_OUT = Gauge("cognate_database_pool_checked_out", "Database connections in use.")
STATEMENTS = Histogram(
    "cognate_database_statement_seconds",
    "Time of a statement, without fetching its rows.",
    buckets=(0.0001, 0.00025, 0.0005, *_FAST),
)
HASHES = Histogram(
    "cognate_hash_seconds",
    "Time of a password hash, once it had its turn.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
)
HASH_WAITS = Histogram("cognate_hash_wait_seconds", "Time that a password hash waited for its turn.", buckets=_FAST)
HASHES_WAITING = Gauge("cognate_hashes_waiting", "Password hashes that wait for their turn.")
HASHES_REFUSED = Counter("cognate_hashes_refused_total", "Password hashes that got no turn, or no memory.", "reason")
TOKENS = Counter("cognate_tokens_issued_total", "Tokens issued, by kind.", "kind")
SIGN_INS = Counter("cognate_sign_ins_total", "Sign-ins granted, or the refusal they ended in.", "pool", "outcome")
MESSAGES = Counter(
    "cognate_messages_total", "Messages given to their gateway, by whether it took them.", "channel", "outcome"
)
CACHE_HITS = Counter("cognate_cache_hits_total", "Values that the configuration cache had.")
CACHE_MISSES = Counter("cognate_cache_misses_total", "Values that were read for the configuration cache.")
CACHE_DROPS = Counter("cognate_cache_drops_total", "Times that a process has dropped its configuration cache.")
REFRESH_REUSE = Counter("cognate_refresh_token_reuse_total", "Login sessions ended by a used refresh token.")
SWEPT = Counter("cognate_swept_rows_total", "Expired rows that were deleted.", "table")
SWEEP_SECONDS = Counter("cognate_sweep_seconds_total", "Time spent in sweeps.")
SWEEPS = Counter("cognate_sweeps_total", "Sweeps that came to their end.")
LAST_SWEEP = Gauge(
    "cognate_last_sweep_timestamp_seconds", "When the last sweep came to its end.", merge="max", outlives=True
)
OUTAGES = Counter("cognate_outages_total", "Statements that the database could not serve, by kind of outage.", "kind")
RATE_LIMITED = Counter("cognate_rate_limited_total", "Refusals by a limit of attempts, by limit.", "limit")
BUILD = Gauge("cognate_build_info", "1, with the versions as labels.", "version", "python", merge="max")
CPU = Counter("cognate_process_cpu_seconds_total", "CPU time of all worker processes.")
MEMORY = Gauge("cognate_process_resident_memory_bytes", "Resident memory of a worker process.", "pid")
DESCRIPTORS = Gauge("cognate_process_open_fds", "Open file descriptors of a worker process.", "pid")
DESCRIPTORS_MOST = Gauge("cognate_process_max_fds", "File descriptors that a worker process may open.", "pid")
THREADS = Gauge("cognate_process_threads", "Threads of a worker process.", "pid")
STARTED = Gauge("cognate_process_start_time_seconds", "When a worker process began to count.", "pid")
PROCESSES = "cognate_processes"
"""Of the reader: how many processes share their numbers."""


class _State:
    """Of this process."""

    directory: Path | None = None
    share: sharing.Share | None = None
    pid = 0
    most_pools = 0
    given: tuple[Settings, str] | None = None
    pools: frozenset[str] = frozenset()


_state = _State()


def directory(settings: Settings) -> Path:
    """Where the processes of one server meet: its own, also where two share a data directory."""
    return settings.data_dir / f"metrics-{settings.admin_port}"


def shared_directory() -> Path:
    """The directory of this process, which has called `prepare` or `start`."""
    if _state.directory is None:
        raise RuntimeError("no metrics are kept: COGNATE_ADMIN_PORT is not set, or nobody has called metrics.prepare")
    return _state.directory


def prepare(settings: Settings) -> None:
    """Before the first process: make the directory, empty. Nothing without COGNATE_ADMIN_PORT. Raises SettingsError."""
    if not settings.admin_port:
        return
    _state.directory = directory(settings)
    try:
        sharing.prepare(_state.directory)
    except OSError as failed:
        raise SettingsError(
            f"COGNATE_ADMIN_PORT is set, but {_state.directory}, for the metrics, cannot be used: {failed.strerror}."
        ) from None


def start(settings: Settings, *, version: str) -> None:
    """In each process that answers requests, after it was forked: begin to count, and to share the numbers. Once is
    enough. Nothing without COGNATE_ADMIN_PORT. Raises SettingsError."""
    if not settings.admin_port or _state.pid == os.getpid():
        return
    if not _state.pid:
        # A server that loads the application and then forks (gunicorn --preload) has children that begin anew.
        os.register_at_fork(after_in_child=_begin_anew)
    elif _state.share is not None:
        _state.share.close()  # the parent's, of which this process has a copy
    _state.given = settings, version
    _state.directory = directory(settings)
    _state.most_pools, _state.pools = settings.metrics_pools, frozenset()
    try:
        _state.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _state.share = sharing.Share(_state.directory)
    except OSError as failed:
        raise SettingsError(f"the metrics cannot be kept in {_state.directory}: {failed.strerror}.") from None
    _state.pid = os.getpid()
    instruments.record(True)
    _read_the_process(version)
    share()
    threading.Thread(target=_share_now_and_then, args=(_state.share,), name="metrics", daemon=True).start()
    # Processes that were forked by multiprocessing end without atexit, but with this; others do both.
    util.Finalize(None, share, exitpriority=0)


def _begin_anew() -> None:
    if _state.given is not None:
        settings, version = _state.given
        start(settings, version=version)


def stop() -> None:
    """Count nothing any more, as a process that has ended."""
    if _state.share is not None:
        share()
        _state.share.close()
    instruments.record(False)
    _state.share, _state.pid, _state.directory, _state.given = None, 0, None, None


def share() -> None:
    """Let the reader see what was counted so far."""
    if _state.share is not None:
        _state.share.write(instruments.numbers())


def _share_now_and_then(mine: sharing.Share) -> None:
    pause, told = threading.Event(), False
    while _state.share is mine:
        pause.wait(EVERY)
        try:
            if _state.share is mine:
                share()
                told = False
        except OSError as failed:
            if not told:
                log.warning("the metrics of this process are out of date: %s", failed.strerror)
            told = True


def slots(kind: str, taken: int, waiting: int) -> None:
    """Tell how many slots for a kind of work are taken in this process, and how many requests wait for one."""
    SLOTS_TAKEN.set(taken, kind)
    SLOTS_WAITING.set(waiting, kind)


def sign_in(pool_id: str, outcome: str) -> None:
    """Count the end of a sign-in: `granted`, or the name of the refusal."""
    if instruments.recording():
        SIGN_INS.add(_name_of(pool_id), outcome)


def _name_of(pool_id: str) -> str:
    """The pool, if it is among the first that were counted in any process of this server; else OTHER. Pools without
    end, each with series of its own, would fill Prometheus."""
    pools = _state.pools
    if pool_id not in pools and len(pools) < _state.most_pools and _state.directory is not None:
        try:
            pools = _state.pools = frozenset(sharing.named(_state.directory, pool_id, _state.most_pools))
        except OSError:
            return OTHER
    return pool_id if pool_id in pools else OTHER


def _read_the_process(version: str) -> None:
    mine, began = (str(os.getpid()),), time.time()
    BUILD.read_from(lambda: {(version, platform.python_version()): 1.0})
    CPU.read_from(lambda: {(): time.process_time()})
    MEMORY.read_from(lambda: _where_known(mine, _resident()))
    DESCRIPTORS.read_from(lambda: _where_known(mine, _descriptors()))
    DESCRIPTORS_MOST.read_from(lambda: {mine: float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])})
    THREADS.read_from(lambda: {mine: float(threading.active_count())})
    STARTED.read_from(lambda: {mine: began})


def read_pool(engine: Engine) -> None:
    """Tell how the connections of this engine are used."""
    # The pool is another one after `dispose`.
    POOL_SIZE.read_from(lambda: {(): float(_counts(engine)[0])})
    POOL_OPEN.read_from(lambda: {(): float(sum(_counts(engine)[1:]))})
    POOL_CHECKED_OUT.read_from(lambda: {(): float(_counts(engine)[2])})


def _counts(engine: Engine) -> tuple[int, int, int]:
    pool = engine.pool
    return (pool.size(), pool.checkedin(), pool.checkedout()) if isinstance(pool, QueuePool) else (0, 0, 0)


def _where_known(labels: Labels, value: float | None) -> Mapping[Labels, float]:
    return {} if value is None else {labels: value}


def _resident() -> float | None:
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:  # not on Linux
        return None
    return float(pages) * resource.getpagesize()


def _descriptors() -> float | None:
    try:
        return float(len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")))
    except OSError:
        return None
