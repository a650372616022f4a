"""The primary of PostgreSQL freezes under a server that runs, and its standby takes over: nothing is started again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import standby
from tests.journeys.conftest import WITHIN, RunningServer, prepared
from tests.journeys.test_sign_ups import sign_up, word

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def pair() -> Iterator[standby.Pair]:
    with standby.pair() as both:
        yield both


@pytest.fixture
def on_both(pair: standby.Pair, tmp_path: Path) -> Iterator[RunningServer]:
    """A server that was told of both hosts."""
    running = prepared(tmp_path, pair.url)
    running.start()
    yield running
    running.kill()


def test_writes_go_on_without_a_restart(pair: standby.Pair, on_both: RunningServer) -> None:
    answers = [sign_up(on_both, f"before{n}", f"before{n}@example.com") for n in range(8)]
    assert {word(answer) for answer in answers} == {"done"}
    pair.caught_up()
    with pair.primary.frozen():
        pair.promote()
        told = []
        while not told or told[-1] != "done":
            assert len(told) < WITHIN, "each of these waits for seconds"
            told.append(word(sign_up(on_both, "after", "after@example.com")))
        assert set(told) <= {"done", "ServiceUnavailableException"}
        assert on_both.process and on_both.process.poll() is None
        assert requests.get(f"{on_both.base_url}/readyz", timeout=WITHIN).json()["database"] == "ok"
        names = "SELECT string_agg(username, ' ' ORDER BY username) FROM public.user WHERE username ~ '^(after|before)'"
        assert pair.standby.ask(names) == " ".join(["after", *(f"before{n}" for n in range(8))])
        # The frozen one must not be written to when it goes on, which is not ours to see to: here it is ended.
        assert on_both.stop() == 0
