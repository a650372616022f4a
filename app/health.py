"""Whether the server lives, and whether it can work: `/healthz` and `/readyz`, for orchestrators.

`/healthz` says that this process answers: restarting it would not mend a database. `/readyz` asks for what every
request needs (app.readiness), and answers 503 naming what is missing. `/healthz/seen` tells `cognate doctor` what
arrives of a request by way of the proxies: addresses of the inner network are in it, so it is there for nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, abort, current_app, request

from app import readiness
from app.crypto.seal import same
from app.env import Env
from app.web import current_env

DRAINING = "cognate.draining"
"""In the WSGI environment of a request that came when the server had been told to stop."""

SEEN = "/healthz/seen"
PROOF = "X-Cognate-Proof"
"""The header that shows that whoever asks has the installation's key."""
PROOF_LIVES = 60
"""Seconds."""

bp = Blueprint("health", __name__)


def open_on(app: Flask) -> None:
    app.register_blueprint(bp)


@bp.get("/healthz")
def alive() -> Response:
    return _answer({"status": "ok"}, 200)


@bp.get(SEEN)
def seen() -> Response:
    """The request after the proxies' headers were believed, and what these were."""
    env = current_env()
    if not _proven(env, request.headers.get(PROOF, "")):
        abort(404)
    told = request.headers.get("X-Forwarded-For", "")
    return _answer(
        {
            "scheme": request.scheme,
            "host": request.host,
            "address": request.remote_addr or "",
            "forwarded_for": [one.strip() for one in told.split(",") if one.strip()],
            "forwarded_proto": request.headers.get("X-Forwarded-Proto", ""),
            "trusted_proxies": env.settings.trusted_proxies,
        },
        200,
    )


def proof(env: Env) -> str:
    """What the header says for the next PROOF_LIVES seconds."""
    moment = str(int(env.now().timestamp()))
    return f"{moment}.{env.keyed.digest('proof of the key', moment)}"


def _proven(env: Env, given: str) -> bool:
    moment, _, digest = given.partition(".")
    if not re.fullmatch("[0-9]{1,12}", moment) or not same(digest, env.keyed.digest("proof of the key", moment)):
        return False
    return abs(env.now().timestamp() - int(moment)) < PROOF_LIVES


@bp.get("/readyz")
def ready() -> Response:
    if request.environ.get(DRAINING):
        return _answer({"status": "draining"}, 503)
    found = readiness.checks(current_app._get_current_object())  # type: ignore[attr-defined]
    fine = all(state == "ok" for state in found.values())
    return _answer({"status": "ok" if fine else "unavailable", **found}, 200 if fine else 503)


def _answer(body: Mapping[str, Any], status: int) -> Response:
    response = Response(orjson.dumps(body), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
