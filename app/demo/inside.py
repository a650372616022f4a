"""Asking this server from inside itself, as a client asks one elsewhere.

By HTTP the thread that answers the browser would wait for another thread of the same server, and when all of them do
that nobody is left to answer; nor need the base URL be an address that the server itself can reach (a proxy, a
container, a certificate of one's own). So the request goes to the WSGI application, whole and through the same doors.
"""

from __future__ import annotations

import json
from contextvars import Context
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app


class Answer:
    """What Authlib reads of an answer."""

    def __init__(self, status_code: int, body: bytes) -> None:
        self.status_code = status_code
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise OSError(f"the server answered with status {self.status_code}")


class Inside:
    """In the place of the HTTP session that Authlib's client wants."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def get(self, url: str) -> Answer:
        return self.request("GET", url)

    def post(self, url: str, **given: Any) -> Answer:
        return self.request("POST", url, **given)

    def request(self, method: str, url: str, *, data: Any = None, headers: Any = None, auth: Any = None) -> Answer:
        # A copy: Authlib's default headers are one dictionary for all, which the client's secret must not get into.
        sent = dict(headers or {})
        if auth is not None:
            url, sent, data = auth.prepare(method, url, sent, data)
        parts = urlsplit(url)
        builder = EnvironBuilder(
            path=parts.path,
            query_string=parts.query,
            base_url=f"{parts.scheme}://{parts.netloc}",
            method=method,
            headers=sent,
            data=data,
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        )
        try:
            # In a context of its own: it must find nothing of the request that is being answered, nor leave anything.
            return Context().run(self._answer, builder.get_environ())
        finally:
            builder.close()

    def _answer(self, environ: Any) -> Answer:
        body, status, _ = run_wsgi_app(self._app, environ, buffered=True)
        return Answer(int(status.split()[0]), b"".join(body))
