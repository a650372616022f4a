"""What the endpoints for programs answer with: JSON, never kept by anybody, readable by scripts of every origin.

`*` gives nothing away: no cookie counts at these endpoints, so a page of another origin can do no more than a
program anywhere. The authorization endpoint, where a cookie does count, never answers with these (RFC 9700, 4.18).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from flask import Response, request

from app import facts

CORS = (("Access-Control-Allow-Origin", "*"),)
NEVER_KEPT = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
JSON = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))
_JSON_HEADERS = [*JSON, *NEVER_KEPT, *CORS]
_EMPTY_HEADERS = [*NEVER_KEPT, *CORS]


def json(body: dict[str, Any], status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    if "error" in body:
        facts.current().outcome = body["error"]
    return Response(orjson.dumps(body), status, [*_JSON_HEADERS, *headers])


def empty(status: int = 200) -> Response:
    return Response(b"", status, _EMPTY_HEADERS)


def preflight(methods: str) -> Response:
    """The answer to a browser that asks whether a script may send its request (Fetch, CORS-preflight).

    The headers asked for are allowed as they stand: SDKs add some of their own, and none means anything here but
    Authorization and Content-Type.
    """
    asked = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")
    return Response(
        b"",
        204,
        [
            *CORS,
            ("Access-Control-Allow-Methods", methods),
            ("Access-Control-Allow-Headers", asked),
            ("Access-Control-Max-Age", "86400"),
            ("Vary", "Access-Control-Request-Headers"),
        ],
    )
