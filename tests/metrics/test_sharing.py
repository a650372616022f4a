"""Numbers of several processes, of those that live and those that have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import metrics
from app.config import Settings, SettingsError
from app.metrics import instruments, sharing
from app.metrics.exposition import application, exposition

PORT = 9


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    given = Settings(mode="development", data_dir=tmp_path, admin_port=PORT, metrics_pools=2)
    metrics.prepare(given)
    yield given
    metrics.stop()


def told() -> dict[tuple[str, ...], float]:
    """Every sample that is exposed: its name, and the values of its labels in the order of their names."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition().decode("utf-8"))
        for sample in family.samples
    }


PROGRAM = """
import os, sys
from pathlib import Path
from app import metrics
from app.config import Settings
metrics.start(Settings(mode="development", data_dir=Path(sys.argv[1]), admin_port=9, metrics_pools=2), version="1")
exec(sys.argv[2])
metrics.share()
print("shared", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that counts something, and lives on until its standard input is closed."""
    running: list[subprocess.Popen[str]] = []

    def start(what: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(made)
        assert made.stdout is not None and made.stdout.readline() == "shared\n"
        return made

    yield start
    for one in running:
        one.kill()
        one.communicate()


def test_what_processes_count_is_summed_and_outlives_them(
    settings: Settings, process: Callable[[str], subprocess.Popen[str]]
) -> None:
    count = "metrics.TOKENS.add('id', by=2); metrics.HASHES.observe(0.02); metrics.slots('hash', 3, 1)"
    first, second = process(count), process(count)
    found = told()
    assert found["cognate_tokens_issued_total", "id"] == 4
    assert found["cognate_hash_seconds_count",] == 2 and found["cognate_hash_seconds_bucket", "0.02"] == 2
    assert found["cognate_hash_seconds_bucket", "0.01"] == 0 and found["cognate_hash_seconds_bucket", "+Inf"] == 2
    assert found["cognate_slots_taken", "hash"] == 6 and found["cognate_slots_waiting", "hash"] == 2
    assert found["cognate_processes",] == 2
    assert found["cognate_build_info", sys.version.split()[0], "1"] == 1

    first.send_signal(signal.SIGKILL)
    first.wait()
    second.communicate("")  # which ends as it should
    for _ in range(2):  # they are taken to the dead once
        found = told()
        assert found["cognate_tokens_issued_total", "id"] == 4, "no counter goes down"
        assert found["cognate_hash_seconds_count",] == 2
        assert ("cognate_slots_taken", "hash") not in found, "what they held is free"
        assert found["cognate_processes",] == 0
        assert not any(name.endswith("resident_memory_bytes") for name, *_ in found)
    third = process("metrics.TOKENS.add('id')")
    assert told()["cognate_tokens_issued_total", "id"] == 5
    third.kill()


def test_a_reader_that_died_between_counting_the_dead_and_removing_them_counts_them_once(
    settings: Settings, process: Callable[[str], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = process("metrics.TOKENS.add('id')")
    dead.kill()
    dead.wait()
    with monkeypatch.context() as broken:
        broken.setattr(sharing, "_remove", lambda file: (_ for _ in ()).throw(OSError("the reader dies")))
        with pytest.raises(OSError):
            exposition()
    assert told()["cognate_tokens_issued_total", "id"] == 1
    assert told()["cognate_tokens_issued_total", "id"] == 1


def test_a_server_that_starts_begins_from_nothing_unless_another_one_is_still_there(
    settings: Settings, process: Callable[[str], subprocess.Popen[str]]
) -> None:
    old = process("metrics.TOKENS.add('id')")
    metrics.prepare(settings)
    assert told()["cognate_tokens_issued_total", "id"] == 1
    old.kill()
    old.wait()
    metrics.prepare(settings)
    assert ("cognate_tokens_issued_total", "id") not in told()
    assert [file.name for file in metrics.shared_directory().iterdir()] == [sharing.GUARD]


def test_a_process_that_forks_has_children_that_begin_from_nothing(
    settings: Settings, process: Callable[[str], subprocess.Popen[str]]
) -> None:
    """As gunicorn --preload does. The child lives on when the parent is killed."""
    process(
        "metrics.TOKENS.add('id')\n"
        "if os.fork() == 0:\n"
        "    metrics.TOKENS.add('id', by=10); metrics.share()\n"
        "    os.execv(sys.executable, [sys.executable, '-c', ''])\n"
        "os.wait()\n"
    )
    found = told()
    assert found["cognate_tokens_issued_total", "id"] == 11
    assert found["cognate_processes",] == 1


def test_pools_without_end_have_one_name_in_all_processes_together(
    settings: Settings, process: Callable[[str], subprocess.Popen[str]]
) -> None:
    first = "metrics.sign_in('pool-1', 'granted'); [metrics.sign_in(f'pool-{n}', 'granted') for n in range(1, 9)]"
    process("metrics.sign_in('pool-8', 'LockedOut')")
    process(first)
    process(first)
    found = {key[1:]: value for key, value in told().items() if key[0] == "cognate_sign_ins_total"}
    assert found == {
        ("LockedOut", "pool-8"): 1,
        ("granted", "pool-8"): 2,
        ("granted", "pool-1"): 4,
        ("granted", "other"): 12,
    }


def test_what_another_version_of_the_server_has_counted_in_another_form_is_left_out(
    settings: Settings, process: Callable[[str], subprocess.Popen[str]]
) -> None:
    metrics.start(settings, version="1")
    metrics.TOKENS.add("id")
    metrics.share()
    other: Any = {
        "cognate_tokens_issued_total": [[["id", "more"], [5]]],
        "cognate_hash_seconds": [[[], [1, 2]]],
        "cognate_unknown_total": [[[], [1]]],
    }
    share = sharing.Share(metrics.shared_directory())
    share.write(other)
    assert told()["cognate_tokens_issued_total", "id"] == 1
    share.close()
    assert told()["cognate_tokens_issued_total", "id"] == 1


# -- off -------------------------------------------------------------------------------------------------------


def test_without_an_admin_port_nothing_is_counted_and_no_file_is_made(tmp_path: Path) -> None:
    settings = Settings(mode="development", data_dir=tmp_path)
    metrics.prepare(settings)
    metrics.start(settings, version="1")
    metrics.TOKENS.add("id")
    metrics.HASHES.observe(1)
    metrics.slots("hash", 1, 1)
    metrics.sign_in("pool", "granted")
    assert not any(one.cells for one in instruments.INSTRUMENTS.values())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="COGNATE_ADMIN_PORT"):
        exposition()


def test_a_directory_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / f"metrics-{PORT}").write_text("a file")
    with pytest.raises(SettingsError, match="COGNATE_ADMIN_PORT is set, but .*metrics-9"):
        metrics.prepare(Settings(mode="development", data_dir=tmp_path, admin_port=PORT))


# -- instruments -----------------------------------------------------------------------------------------------


def test_labels_that_were_forgotten_are_a_mistake(settings: Settings) -> None:
    metrics.start(settings, version="1")
    with pytest.raises(TypeError, match="kind"):
        metrics.TOKENS.add()
    with pytest.raises(LookupError, match="twice"):
        instruments.Counter(metrics.TOKENS.name, "again")


def test_labels_may_have_any_text(settings: Settings) -> None:
    metrics.start(settings, version="1")
    metrics.TOKENS.add('a"b\\c\nd')
    metrics.share()
    assert told()["cognate_tokens_issued_total", 'a"b\\c\nd'] == 1


def test_the_application_serves_the_metrics_and_nothing_else(settings: Settings) -> None:
    metrics.start(settings, version="1")
    answers: list[tuple[str, dict[str, str]]] = []

    def ask(path: str, method: str = "GET") -> bytes:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
        return b"".join(application(environ, lambda status, headers: answers.append((status, dict(headers)))))

    assert b"cognate_processes 1.0" in ask("/metrics")
    assert answers[-1][0] == "200 OK" and answers[-1][1]["Content-Type"].startswith("text/plain; version=")
    assert ask("/metrics", "HEAD") == b""
    for path, method in (("/", "GET"), ("/metrics/", "GET"), ("/metrics", "POST")):
        assert ask(path, method) == b"" and answers[-1][0] == "404 Not Found"


def test_an_alarm_stands_at_nothing_before_it_is_raised_for_the_first_time(settings: Settings) -> None:
    """`increase()` needs two samples: a series that begins with 1 has not grown."""
    metrics.start(settings, version="1")
    assert told()["cognate_refresh_token_reuse_total",] == 0
    metrics.REFRESH_REUSE.add()
    metrics.share()
    assert told()["cognate_refresh_token_reuse_total",] == 1


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_a_process_tells_what_it_takes(settings: Settings) -> None:
    metrics.start(settings, version="1")
    found, mine = told(), str(os.getpid())
    assert found["cognate_process_resident_memory_bytes", mine] > 2**20
    assert 0 < found["cognate_process_open_fds", mine] <= found["cognate_process_max_fds", mine]
    assert found["cognate_process_threads", mine] >= 1
    assert found["cognate_process_cpu_seconds_total",] > 0
