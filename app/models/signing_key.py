"""The keys that a pool signs with: one line for ID tokens, one for access tokens, and one key for SAML requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class SigningKey(Base):
    """Published from `created_at`, signs from `active_at` until the next one's, and stays published until
    `gone_at`, when the last token that it can have signed has ended."""

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(8))
    """`id`, `access` or `saml`."""
    algorithm: Mapped[str] = mapped_column(String(8))
    sealed: Mapped[str] = mapped_column(Text)
    public: Mapped[dict[str, Any]]
    """The public half as a JWK."""
    created_at: Mapped[datetime]
    active_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
