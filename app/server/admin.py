"""What operators and their machines ask on a port of its own: whether the server lives, whether it can work, and its
figures. Nobody is asked who they are, so nothing secret is told, and the port is not for the Internet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app.metrics import exposition
from app.server.kinds import HEALTH
from app.web import Wsgi

METRICS = "/metrics"
KNOWN = b"/healthz, /readyz, /metrics\n"


class Admin:
    """WSGI application of the admin port: health comes from the application itself."""

    def __init__(self, wsgi: Wsgi) -> None:
        self._wsgi = wsgi

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in HEALTH:
            return self._wsgi(environ, start_response)
        if path == METRICS:
            return exposition.application(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(KNOWN)))])
        return [KNOWN]
