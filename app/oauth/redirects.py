"""Sending the browser on: to the client, exactly as the client registered it, or to a page of the hosted door."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response
from werkzeug.datastructures import Headers

from app import error_page, web
from app.error_page import Mismatch

Pairs = list[tuple[str, str]]


class Unanswerable(Exception):
    """To be told to the person: what is wrong is where the answer would go. `code` is one that the error page has a
    sentence for: unknown_client, redirect_mismatch, logout_mismatch or invalid_request."""

    def __init__(self, code: str, mismatch: Mismatch | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.mismatch = mismatch


class Redirect(Response):
    """A redirect whose Location is sent as it stands.

    Werkzeug normalises it, which is not harmless: `myapp:///done` became `myapp:/done`, and `?a[]=1` changed too.
    """

    def __init__(self, location: str, status: int) -> None:
        super().__init__(b"", status)
        # Outside ASCII there is only what a query brought unescaped: bytes, which WSGI shows as Latin-1.
        self.location = quote(location, safe=string.punctuation, encoding="latin-1")

    def get_wsgi_headers(self, environ: Any) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers


def to(location: str, status: int = 302) -> Response:
    """Nothing of this is kept, framed or told to the next page: the URL may contain a code or an error."""
    return web.protect_page(Redirect(location, status))


def to_error_page(reason: Unanswerable) -> Response:
    """In this answer, so that its number is that of this request; the browser is sent nowhere."""
    return error_page.answer(reason.code, reason.mismatch)


def with_query(uri: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The URI with more parameters; those it has stay as they are (RFC 6749, 3.1.2)."""
    joint = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return f"{uri}{joint}{encoded(pairs)}"


def encoded(pairs: Iterable[tuple[str, str]]) -> str:
    """Form-urlencoded. A space becomes %20, which decoders of forms and of URIs read alike; bytes that are not UTF-8
    come out as they came in (`authorize.Asked`)."""
    return urlencode(list(pairs), quote_via=quote, safe="", errors="surrogateescape")
