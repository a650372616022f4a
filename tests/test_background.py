"""What is done after the answer: on another thread, in the application's context, and before an orderly end."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, current_app

from app import background, errors
from app.background import Background
from tests.conftest import test_settings


@pytest.fixture
def later() -> Background:
    made = Background()
    made.of(Flask("later"))
    return made


def test_an_act_is_done_on_another_thread_in_the_context_of_its_application(later: Background) -> None:
    done = threading.Event()
    seen: list[object] = []

    def act() -> None:
        seen.append((current_app.name, threading.current_thread().name.startswith("background")))
        done.set()

    later(act)
    assert done.wait(60)
    assert seen == [("later", True)]


def test_an_act_that_fails_is_logged_and_the_next_one_is_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "THREADS", 1)  # one after the other
    later = Background()
    later.of(Flask("later"))
    done = threading.Event()

    def fail() -> None:
        raise ValueError("in the middle")

    with caplog.at_level(logging.ERROR):
        later(fail)
        later(done.set)
        assert done.wait(60)
    assert "what was to be done after an answer failed" in caplog.text


def test_an_act_that_a_database_had_no_time_for_is_a_line_without_a_stack(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "THREADS", 1)  # one after the other
    later = Background()
    later.of(Flask("later"))
    done = threading.Event()

    def fail() -> None:
        raise errors.ServiceUnavailable

    later(fail)
    later(done.set)
    assert done.wait(60)
    (record,) = caplog.records
    assert record.getMessage().startswith("what was to be done after an answer was not done: ")
    assert record.exc_info is None


def test_where_too_much_waits_the_request_does_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "WAITING", 1)
    later = Background()
    later.of(Flask("later"))
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(60)

    later(hold)
    assert begun.wait(60)
    here: list[str] = []
    later(lambda: here.append(threading.current_thread().name))
    assert here == [threading.current_thread().name]
    go_on.set()


def test_what_waits_is_done_before_the_process_ends() -> None:
    script = """
import os, time
from flask import Flask
from app.background import Background
later = Background()
later.of(Flask("later"))
for number in range(5):
    later(lambda number=number: (time.sleep(0.05), os.write(1, b"%d\\n" % number)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert sorted(done.stdout.split()) == list("01234")


@pytest.mark.parametrize(("mode", "waits"), [("production", True), ("development", False)])
def test_only_in_production_anything_waits_for_the_answer(
    another_app: Callable[..., Flask], database_url: str, tmp_path: Path, mode: str, waits: bool
) -> None:
    strong = {"argon2_memory_kib": 19456, "argon2_time": 2}
    later = Background()
    app = another_app(test_settings(database_url, data_dir=tmp_path, mode=mode, **strong), background=later)
    assert (app.extensions["cognate"].later is later) is waits
