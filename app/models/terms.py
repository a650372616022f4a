"""Links to a client's terms of use and privacy policy, by language."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Terms(Base):
    __tablename__ = "terms"
    __table_args__ = (UniqueConstraint("client_id", "name"), Index("ix_terms_pool_id", "pool_id", "id"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(32))
    """`terms-of-use` or `privacy-policy`."""
    source: Mapped[str] = mapped_column(String(16))
    enforcement: Mapped[str] = mapped_column(String(16))
    links: Mapped[dict[str, Any]]
    """URL by `cognito:<language>`; `cognito:default` is for the languages without one of their own."""
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
