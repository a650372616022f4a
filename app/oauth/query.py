"""The parameters that a browser brings to an endpoint: from the query, or from a form that becomes one."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from app.oauth.redirects import Pairs, Unanswerable
from app.oauth.server import FORM, MOST_PARAMETERS

LONGEST_FORM = 16 * 1024
"""Bytes; they become a URL."""


def parameters(query: bytes) -> Pairs:
    """Names and values in their order. Bytes that are not UTF-8 are kept as surrogates, so that `state` can be sent
    back as it came. Raises Unanswerable."""
    try:
        return parse_qsl(
            query.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise Unanswerable("invalid_request") from None


def posted() -> Pairs:
    """The parameters of a form. Raises Unanswerable for a body that is none, or that is too long."""
    request.max_content_length = LONGEST_FORM
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise Unanswerable("invalid_request") from None
    if request.mimetype != FORM:
        raise Unanswerable("invalid_request")
    return parameters(body)


def once(pairs: Pairs, name: str) -> str | None:
    """A parameter; one without a value counts as left out (RFC 6749, 3.1). Raises Unanswerable where it is repeated."""
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise Unanswerable("invalid_request")
    return (values[0] or None) if values else None
