"""Counters of what may be tried, or asked for, only so often."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Throttle(Base):
    """Counted by a digest of who or what, so that names which do not exist can be counted too."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(String(43), primary_key=True)
    count: Mapped[int]
    """Of calls, or of attempts that failed."""
    pending: Mapped[int] = mapped_column(default=0, server_default="0")
    """Of attempts that are being looked at."""
    since: Mapped[datetime]
    """The first call that is counted; of attempts, the last one that was opened."""
    locked_until: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RateCounter(Base):
    """Requests within a window, where they are counted in the database (throttling.counters). Nothing is lost with it:
    on PostgreSQL it is not logged, and empty after a crash."""

    __tablename__ = "rate_counter"

    key: Mapped[str] = mapped_column(String(43), primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)
