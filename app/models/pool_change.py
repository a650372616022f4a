"""A change of what the API lets nobody change: a pool's sign-in names, letter case, required and custom attributes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class PoolChange(Base):
    """Kept after it is done, so that it can be undone; while it is under way it can be taken up where it stopped."""

    __tablename__ = "pool_change"
    __table_args__ = (Index("ix_pool_change_pool_id", "pool_id", "created_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    """What is changed, in the words of `Pool.settings`, as it was and as it will be; of `attributes` those that change,
    by name, None where there is none."""
    state: Mapped[str] = mapped_column(String(16))
    """`building` or `giving up`, `cleaning`, `done` or `reverted` (app.pools.changes)."""
    cursor: Mapped[str | None] = mapped_column(String(36))
    """The `sub` of the last user whom the present state has gone through."""
    runner: Mapped[str | None] = mapped_column(String(36))
    """Who is at work on it: one at a time, until he has done nothing for a while."""
    touched_at: Mapped[datetime]
    """When he last did something."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
