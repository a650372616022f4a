"""Lists a page at a time: found by the key of the last row and not by counting, so the last page costs what the
first does, and rows that come or go meanwhile are neither shown twice nor skipped.

A token is sealed: it holds what a row is found by, which may be somebody's address, and nobody can make one up or take
it to another list, pool or filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app import errors
from app.crypto.base64url import decode, encode
from app.env import Env

T = TypeVar("T")
LIVES = 3600
"""Seconds for which the token of a next page is accepted (reference: 1.6)."""


@dataclass(frozen=True)
class Page(Generic[T]):
    rows: list[T]
    token: str | None
    """Of the next page; None: this is the last."""


def page(
    env: Env,
    query: Select[T],
    *,
    by: Sequence[InstrumentedAttribute[Any]],
    size: int,
    token: str | None,
    about: str,
    after: Sequence[Any] | None = None,
) -> Page[T]:
    """At most `size` rows of one model, in the order of the columns `by`, which tell them apart and which none of the
    rows has empty. `about` names the list, with everything that narrows it: a token is good for that list alone.

    `after` is a place before the first row. A list that begins somewhere says so here, and not in `query`: of two lower
    bounds a database takes the one it likes, and may read all pages before this one to get here.

    One statement. Raises errors.InvalidParameter for a token that is not of this list, or is too old.
    """
    place = after if token is None else _place(env, token, about, len(by))
    if place is not None:
        values = (literal(value, column.type) for value, column in zip(place, by, strict=True))
        query = query.where(tuple_(*by) > tuple_(*values))
    with env.reading() as session:
        found = list(session.scalars(query.order_by(*by).limit(size + 1)))
    if len(found) <= size:
        return Page(found, None)
    last = [getattr(found[size - 1], column.key) for column in by]
    return Page(found[:size], _token(env, last, about))


def _token(env: Env, place: list[Any], about: str) -> str:
    stamped = [one.isoformat() if isinstance(one, datetime) else one for one in place]
    moments = [isinstance(one, datetime) for one in place]
    sealed = env.seal.seal(orjson.dumps([stamped, moments, env.now().timestamp()]), about=f"page of {about}")
    return encode(sealed.encode("ascii"))


def _place(env: Env, token: str, about: str, columns: int) -> list[Any]:
    try:
        opened = env.seal.open(decode(token).decode("ascii"), about=f"page of {about}")
        stamped, moments, made = orjson.loads(opened)
        # The same list may have been in another order in the release that made the token.
        if not len(stamped) == len(moments) == columns:
            raise ValueError("another order")
    except Exception:
        raise errors.InvalidParameter("Invalid pagination token.", field="pagination_token") from None
    if env.now().timestamp() - made > LIVES:
        raise errors.InvalidParameter("Invalid pagination token: it has expired.", field="pagination_token")
    return [datetime.fromisoformat(one) if moment else one for one, moment in zip(stamped, moments, strict=True)]
