"""Whether the server lives, and whether it can work: `/healthz` and `/readyz`, for orchestrators.

`/healthz` says that this process answers: restarting it would not mend a database. `/readyz` asks for what every
request needs (app.readiness), and answers 503 naming what is missing.
"""

from __future__ import annotations

import orjson
from flask import Blueprint, Flask, Response, current_app, request

from app import readiness

DRAINING = "cognate.draining"
"""In the WSGI environment of a request that came when the server had been told to stop."""

bp = Blueprint("health", __name__)


def open_on(app: Flask) -> None:
    app.register_blueprint(bp)


@bp.get("/healthz")
def alive() -> Response:
    return _answer({"status": "ok"}, 200)


@bp.get("/readyz")
def ready() -> Response:
    if request.environ.get(DRAINING):
        return _answer({"status": "draining"}, 503)
    found = readiness.checks(current_app._get_current_object())  # type: ignore[attr-defined]
    fine = all(state == "ok" for state in found.values())
    return _answer({"status": "ok" if fine else "unavailable", **found}, 200 if fine else 503)


def _answer(body: dict[str, str], status: int) -> Response:
    response = Response(orjson.dumps(body), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
