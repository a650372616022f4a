"""Listing users, a page at a time (reference: 4.9)."""

from __future__ import annotations

from sqlalchemy import select

from app.env import Env
from app.models import Pool, User
from app.paging import Page, page

PAGE = 60


def users(env: Env, pool: Pool, *, limit: int | None, token: str | None) -> Page[User]:
    """One page in the order of creation. Raises errors.InvalidParameter for a token that is not of this list."""
    return page(
        env,
        select(User).where(User.pool_id == pool.id),
        by=(User.created_at, User.sub),
        size=limit or PAGE,
        token=token,
        about=f"users of {pool.id}",
    )
