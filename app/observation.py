"""What is told of a request when it is over, and what a process starts for it: access log, metrics, traces."""

from __future__ import annotations

import os

from app import metrics, telemetry, traces
from app.access_log import Journal
from app.config import Settings
from app.db import db, measure
from app.env import Env
from app.facts import Facts
from app.web import Application, version


def start(app: Application, *, access_log: bool = True) -> None:
    """In a process that serves, once its application is made. `access_log` is False for a server that writes its own.
    Raises SettingsError."""
    env: Env = app.extensions["cognate"]
    settings: Settings = env.settings
    metrics.start(settings, version=version(app))
    traces.start(os.environ, version=version(app))
    for name in traces.SECRETS:
        os.environ.pop(name, None)
    journal = Journal(settings.log) if access_log and settings.access_log else None
    app.extensions["cognate_journal"] = journal
    counted = settings.admin_port != 0
    if telemetry.measuring():
        with app.app_context():
            engine = db.engine
        measure(engine)
        metrics.read_pool(engine)

    def over(facts: Facts) -> None:
        if counted:
            metrics.REQUESTS.observe(facts.seconds, facts.door, facts.operation)
            metrics.ANSWERS.add(facts.door, facts.operation, _CLASSES.get(facts.status[:1], "other"))
        if journal is not None:
            journal.add(facts)

    if counted or journal is not None:
        app.when_over = over


def stop(app: Application) -> None:
    """When the last request is over: write the lines, the numbers and the spans that wait to be written."""
    app.when_over = None
    journal: Journal | None = app.extensions.pop("cognate_journal", None)
    if journal is not None:
        journal.close()
    metrics.stop()
    traces.stop()


_CLASSES = {digit: f"{digit}xx" for digit in "12345"}
