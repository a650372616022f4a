"""Requests that come at one moment."""

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask

from app import errors


def in_parallel(app: Flask, *acts: Callable[[], Any]) -> list[Any]:
    """What becomes of acts that begin at one moment: what each returns, or its refusal. Anything else fails."""
    start = threading.Barrier(len(acts))
    outcomes: list[Any] = [None] * len(acts)

    def run(which: int) -> None:
        with app.app_context():
            start.wait(timeout=60)
            try:
                outcomes[which] = acts[which]()
            except BaseException as failed:
                outcomes[which] = failed

    threads = [threading.Thread(target=run, args=(which,)) for which in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, errors.Refusal):
            raise outcome
    return outcomes
