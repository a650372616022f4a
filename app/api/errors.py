"""Refusals as this door draws them, and those that only this door knows: who asks badly, before any operation."""

from __future__ import annotations

import orjson

from app.errors import Refusal

LONGEST_HEADER = 1024
STATUS = {
    "Forbidden": 403,
    "InternalError": 500,
    "InternalServer": 500,
    "RequestEntityTooLarge": 413,
    "ServiceUnavailable": 503,
}
"""Everything else is a 400, whatever it means (reference: 1.2)."""


class UnknownOperation(Refusal):
    message = "The operation is not known."


class Serialization(Refusal):
    message = "The request is not a JSON object."


class RequestEntityTooLarge(Refusal):
    message = "The request is too large."


class MissingAuthenticationToken(Refusal):
    message = "Missing Authentication Token"


class IncompleteSignature(Refusal):
    message = "The Authorization header is not complete."


class UnrecognizedClient(Refusal):
    message = "The security token included in the request is invalid."


class InvalidSignature(Refusal):
    message = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )


FRAMEWORK = frozenset(
    {one.code for one in (UnknownOperation, Serialization, RequestEntityTooLarge)}
    | {one.code for one in (MissingAuthenticationToken, IncompleteSignature, UnrecognizedClient, InvalidSignature)}
    | {"InternalError", "ServiceUnavailable", "TooManyRequests", "AccessDenied", "Forbidden"}
)
"""What any operation may answer, whether or not the model lists it there."""


def name(refusal: Refusal) -> str:
    return refusal.code + "Exception"


def body(refusal: Refusal) -> bytes:
    return orjson.dumps({"__type": name(refusal), "message": refusal.message})


def headers(refusal: Refusal) -> list[tuple[str, str]]:
    """The same once more: a browser's SDK reads them where it cannot read the body. And when to come again."""
    found = [("x-amzn-ErrorType", name(refusal)), ("x-amzn-ErrorMessage", _one_line(refusal.message))]
    if refusal.retry_after is not None:
        found.append(("Retry-After", str(refusal.retry_after)))
    return found


def _one_line(text: str) -> str:
    # A refusal repeats what the caller sent: a line break in it would let him write headers of his own.
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in text[:LONGEST_HEADER])
