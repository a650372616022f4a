"""HTTP/1.1 as bytes: requests that are made once and sent often, answers read with as little work as possible."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)

LONGEST = 8 * 1024 * 1024
"""Bytes of an answer that are taken; more is no answer of any scenario."""


class BadAnswer(Exception):
    """An answer that is not the right one; the text says how."""


class NotNow(BadAnswer):
    """An answer that says honestly that the same may be asked again later."""


@dataclass(frozen=True)
class Answer:
    """What came back. `head` is the status line and the header lines, as they came."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """All values of a header, in order."""
        found = re.findall(rb"\r\n" + re.escape(name.encode()) + rb":[ \t]*([^\r]*)", self.head, re.IGNORECASE)
        return [value.decode("latin-1").strip() for value in found]

    def expect(self, status: int) -> Answer:
        """This answer, if it has the status. Raises BadAnswer."""
        if self.status != status:
            raise BadAnswer(f"status {self.status} instead of {status}: {self.body[:300]!r}")
        return self

    def json(self) -> dict[str, Any]:
        """The object in the body. Raises BadAnswer."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise BadAnswer(f"not JSON: {self.body[:300]!r}") from None
        if not isinstance(value, dict):
            raise BadAnswer(f"not a JSON object: {self.body[:300]!r}")
        return value


class Reader:
    """Puts one answer together from what the socket gives. Make one for each request."""

    def __init__(self) -> None:
        self._got = b""
        self._end_of_head = -1
        self._length: int | None = None
        self._chunked = False
        self.begun = False

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once it is whole. No data means that the other side has closed. Raises BadAnswer."""
        self.begun = self.begun or bool(data)
        self._got += data
        if len(self._got) > LONGEST:
            raise BadAnswer("the answer does not end")
        if self._end_of_head < 0 and not self._find_head():
            if not data:
                raise BadAnswer("the connection was closed without an answer")
            return None
        body = self._got[self._end_of_head + 4 :]
        if self._chunked:
            whole = _unchunked(body)
            if whole is None:
                return self._cut() if not data else None
            return self._answer(whole)
        if self._length is None:
            return self._answer(body) if not data else None
        if len(body) < self._length:
            return self._cut() if not data else None
        return self._answer(body[: self._length])

    def _find_head(self) -> bool:
        self._end_of_head = self._got.find(b"\r\n\r\n")
        if self._end_of_head < 0:
            return False
        if not self._got.startswith(b"HTTP/1."):
            raise BadAnswer(f"not HTTP: {self._got[:80]!r}")
        head = self._got[: self._end_of_head]
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self._length = int(length[1]) if length else None
        if head[9:12] in (b"204", b"304"):
            self._length = 0
        return True

    def _answer(self, body: bytes) -> Answer:
        return Answer(int(self._got[9:12]), self._got[: self._end_of_head], body)

    def _cut(self) -> Answer:
        raise BadAnswer("the connection was closed in the middle of an answer")


def closes(answer: Answer) -> bool:
    """Whether the server will not take another request on this connection."""
    return answer.head.startswith(b"HTTP/1.0") or _CLOSE.search(answer.head) is not None


def _unchunked(raw: bytes) -> bytes | None:
    """The body, if its last chunk is there."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(raw[at:end].split(b";")[0], 16)
        except ValueError:
            raise BadAnswer("a chunk without a size") from None
        if size == 0:
            return b"".join(parts) if raw.endswith(b"\r\n\r\n") else None
        parts.append(raw[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


def get(url: str, **headers: str) -> bytes:
    """A GET as it goes over the wire; underscores in names of headers stand for hyphens."""
    return _request("GET", url, b"", headers)


def post(url: str, body: bytes, content_type: str, **headers: str) -> bytes:
    """A POST as it goes over the wire."""
    return _request("POST", url, body, {"Content_Type": content_type, "Content_Length": str(len(body)), **headers})


def form(url: str, fields: dict[str, str], **headers: str) -> bytes:
    """A form, posted."""
    return post(url, urlencode(fields).encode("ascii"), "application/x-www-form-urlencoded", **headers)


def basic(name: str, secret: str) -> str:
    """The value of Authorization for a client with a secret (RFC 6749, 2.3.1: both are form-encoded first)."""
    return "Basic " + b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode("ascii")


def _request(method: str, url: str, body: bytes, headers: dict[str, str]) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Accept: */*"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise BadAnswer(f"a line break in a request to {url!r}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
