"""A sign-in that waits for its next answer, and what must not be used twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Attempt(Base):
    """Written down only when it has to wait for another request; the handle given out is stored hashed."""

    __tablename__ = "attempt"

    digest: Mapped[str] = mapped_column(String(43), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    user_sub: Mapped[str | None] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    """None where the name means nobody and the client must not learn that: he then walks the same steps."""
    flow: Mapped[str] = mapped_column(String(32))
    asked: Mapped[str] = mapped_column(String(32))
    """The challenge that waits for its answer."""
    proven: Mapped[list[Any]]
    """Names of the challenges that were answered."""
    notes: Mapped[dict[str, Any]]
    """What earlier steps left for later ones: the name as typed, digests of codes, challenges."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]

    def expired(self, now: datetime) -> bool:
        return now >= self.expires_at


class Spent(Base):
    """Something stateless that has been used; inserting it is the use, and its key makes that possible once."""

    __tablename__ = "spent"

    digest: Mapped[str] = mapped_column(String(43), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
