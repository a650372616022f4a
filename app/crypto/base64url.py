"""Base64url without padding (RFC 7515 section 2), read strictly."""

from __future__ import annotations

import base64


def encode(raw: bytes) -> str:
    """The text of `raw`, without `=`."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of `text`. Raises ValueError for anything that `encode` would not have written."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # The standard decoder drops foreign characters and ignores the spare bits of the last one, so that many texts
    # would mean one value: a token could be altered without its signature noticing, and slip past a list of texts.
    if encode(raw) != text:
        raise ValueError("not base64url")
    return raw
