"""Listing users, a page at a time (reference: 4.9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import select, tuple_

from app import errors
from app.crypto.base64url import decode, encode
from app.env import Env
from app.models import Pool, User

PAGE = 60
LIVES = 3600
"""Seconds for which the token of a next page is accepted."""


@dataclass(frozen=True)
class Page:
    users: list[User]
    token: str | None


def users(env: Env, pool: Pool, *, limit: int | None, token: str | None) -> Page:
    """One page in the order of creation, found by its key and not by counting: the last costs what the first does.

    Raises errors.InvalidParameter for a token that is not of this pool.
    """
    size = PAGE if not limit else limit
    query = select(User).where(User.pool_id == pool.id).order_by(User.created_at, User.sub).limit(size + 1)
    if token is not None:
        query = query.where(tuple_(User.created_at, User.sub) > tuple_(*_after(env, pool, token)))
    with env.reading() as session:
        found = list(session.scalars(query))
    more = len(found) > size
    return Page(found[:size], _token(env, pool, found[size - 1]) if more else None)


def _token(env: Env, pool: Pool, last: User) -> str:
    """Sealed, not only signed: it holds a user's id."""
    place = orjson.dumps([last.created_at.isoformat(), last.sub, env.now().timestamp()])
    return encode(env.seal.seal(place, about=_about(pool)).encode("ascii"))


def _after(env: Env, pool: Pool, token: str) -> tuple[datetime, str]:
    try:
        created_at, sub, made = orjson.loads(env.seal.open(decode(token).decode("ascii"), about=_about(pool)))
    except Exception:
        raise errors.InvalidParameter("Invalid pagination token.", field="pagination_token") from None
    if env.now().timestamp() - made > LIVES:
        raise errors.InvalidParameter("Invalid pagination token: it has expired.", field="pagination_token")
    return datetime.fromisoformat(created_at), sub


def _about(pool: Pool) -> str:
    return f"page of users of {pool.id}"
