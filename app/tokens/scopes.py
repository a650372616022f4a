"""Which scopes a token gets (RFC 6749, 3.3; reference: 6.2, 7.3, 11.2)."""

from __future__ import annotations

from collections.abc import Collection


def granted(asked: str | None, allowed: Collection[str], existing: Collection[str]) -> str:
    """The scope of a token: what was asked for, in that order, or else everything.

    A scope that the client does not have is an error; one that no longer exists is passed over (reference: 11.2).
    Raises ValueError where nothing can be granted.
    """
    wanted = list(dict.fromkeys(asked.split(" "))) if asked else list(existing)
    if not set(wanted) <= set(allowed):
        raise ValueError
    found = [scope for scope in wanted if scope in existing]
    if not found:
        raise ValueError
    return " ".join(found)
