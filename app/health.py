"""Whether the server lives, and whether it can work: `/healthz` and `/readyz`, for orchestrators.

`/healthz` says that this process answers: restarting it would not mend a database. `/readyz` asks for what every
request needs, each time, and answers 503 naming what is missing.
"""

from __future__ import annotations

import logging

import orjson
from flask import Blueprint, Flask, Response, current_app
from sqlalchemy.exc import SQLAlchemyError

from app import installation
from app.config import SettingsError
from app.web import current_env

bp = Blueprint("health", __name__)
log = logging.getLogger(__name__)


def open_on(app: Flask) -> None:
    app.register_blueprint(bp)


@bp.get("/healthz")
def alive() -> Response:
    return _answer({"status": "ok"}, 200)


@bp.get("/readyz")
def ready() -> Response:
    found = checks()
    fine = all(state == "ok" for state in found.values())
    return _answer({"status": "ok" if fine else "unavailable", **found}, 200 if fine else 503)


def checks() -> dict[str, str]:
    """`database`, `migrations` and `key`, each `ok` or what is wrong."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    try:
        behind = installation.pending_migrations(app)
    except SQLAlchemyError as error:
        behind = f"not reachable ({type(error).__name__})"
    reachable = behind is None or not behind.startswith("not reachable")
    if not reachable:
        log.error("the database is %s", behind)  # the reason names hosts and files: it is for the log
    found = {"database": "ok" if reachable else "not reachable"}
    found["migrations"] = "ok" if behind is None else ("unknown" if not reachable else behind)
    found["key"] = "unknown" if behind else _key(app)
    return found


def _key(app: Flask) -> str:
    try:
        opened = installation.open_secrets(app, current_env().seal)
    except SettingsError:
        return "wrong"
    if opened is None:
        return "missing"
    # The database may have been migrated, or have become another one, since this process began.
    return "ok" if opened.cookies == app.secret_key else "another since the start"


def _answer(body: dict[str, str], status: int) -> Response:
    response = Response(orjson.dumps(body), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
