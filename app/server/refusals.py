"""Answers that the server gives itself, without the application: each door's errors in its own words, in microseconds.

A refusal must cost nothing that is scarce. It is drawn by the thread that found the reason for it, takes no lane, and
reads nothing but the request's path and target.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any

import orjson

from app import logs
from app.facts import Facts

RETRY_AFTER = "1"
"""Seconds (RFC 9110, 10.2.3)."""

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Refusal:
    status: int
    reason: str
    """For the log: one word."""
    message: str
    exception: str
    """Its name at the API."""
    error: str
    """Its name at the OAuth endpoints (RFC 6749, 5.2)."""
    closes: bool = False
    """Whether the connection cannot be used any more: it may still bring what was refused."""


BUSY = Refusal(
    503,
    "busy",
    "The server has more to do than it can. Try again in a moment.",
    "ServiceUnavailableException",
    "temporarily_unavailable",
)
NO_ROOM = Refusal(
    503,
    "no room",
    "The server receives more than it can keep. Try again in a moment.",
    "ServiceUnavailableException",
    "temporarily_unavailable",
    True,
)
SLOW = Refusal(
    408, "slow", "The body of the request did not come in time.", "RequestTimeoutException", "invalid_request", True
)
LARGE = Refusal(413, "large", "The request is too large.", "RequestEntityTooLargeException", "invalid_request", True)
LENGTH = Refusal(
    400, "length", "The Content-Length is not a number.", "SerializationException", "invalid_request", True
)
HOSTS = Refusal(
    400, "hosts", "The request names no host, or several.", "SerializationException", "invalid_request", True
)
FAILED = Refusal(500, "failed", "The server failed.", "InternalErrorException", "server_error")

_STYLE = (
    ":root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "font:1rem/1.5 system-ui,sans-serif}main{max-width:26rem;padding:2rem}h1{font-size:1.375rem;margin:0 0 .5rem}"
    "p{margin:0 0 1rem}small{opacity:.75}"
)


def _hash_of(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>%(title)s</title><style>%(style)s</style></head>
<body><main><h1>%(title)s</h1><p>%(message)s</p><p><small>Request %(id)s</small></p></main></body></html>
"""
_TITLES = {503: "Please try again in a moment", 408: "The request took too long", 413: "That was too large"}
_SAFE: Headers = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-{_hash_of(_STYLE)}'",
    ),
]


def facts(refusal: Refusal, environ: dict[str, Any]) -> Facts:
    """What the access log and the metrics are told of a request that was refused here."""
    found = Facts(logs.new_id())
    found.door, found.operation, found.outcome = "server", "refused", refusal.reason
    found.method = environ.get("REQUEST_METHOD", "-")[: logs.LONGEST_QUOTE]
    found.path = environ.get("PATH_INFO", "-")[: logs.LONGEST_QUOTE + 1]
    found.peer, found.status, found.ended = environ.get("REMOTE_ADDR", "-"), str(refusal.status), time.time()
    return found


def drawn(refusal: Refusal, environ: dict[str, Any], request_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and body of a refusal, as the door of this request draws its errors."""
    headers: Headers = [("X-Request-Id", request_id), *_SAFE]
    if refusal.status == 503:
        headers.append(("Retry-After", RETRY_AFTER))
    if refusal.closes:
        headers.append(("Connection", "close"))
    if "HTTP_X_AMZ_TARGET" in environ:
        headers += [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date,Retry-After"),
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", refusal.exception),
            ("x-amzn-ErrorMessage", refusal.message),
        ]
        return refusal.status, headers, orjson.dumps({"__type": refusal.exception, "message": refusal.message})
    path = environ.get("PATH_INFO", "")
    if "/oauth2/" in path or "/.well-known/" in path or "text/html" not in environ.get("HTTP_ACCEPT", ""):
        headers += [
            ("Content-Type", "application/json"),
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "Retry-After"),
        ]
        return refusal.status, headers, orjson.dumps({"error": refusal.error, "error_description": refusal.message})
    headers.append(("Content-Type", "text/html; charset=utf-8"))
    title = _TITLES.get(refusal.status, "This request cannot be answered")
    page = _PAGE % {"title": title, "message": refusal.message, "id": request_id, "style": _STYLE}
    return refusal.status, headers, page.encode("utf-8")
