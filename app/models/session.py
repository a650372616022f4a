"""Sessions: of tokens (one per sign-in and client) and of the browser (single sign-on at the hosted pages)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class LoginSession(Base):
    """What all tokens of one sign-in have in common. Its id is their `event_id`; ending it ends them."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    origin_jti: Mapped[str] = mapped_column(String(36))
    scope: Mapped[str] = mapped_column(Text)
    auth_time: Mapped[datetime]
    refresh_digest: Mapped[str | None] = mapped_column(String(43), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class BrowserSession(Base):
    """That a browser has signed in to a pool; its cookie's value is stored hashed."""

    __tablename__ = "browser_session"

    digest: Mapped[str] = mapped_column(String(43), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), index=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
