"""Sessions: of tokens (one per sign-in and client) and of the browser (single sign-on at the hosted pages)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, document


class LoginSession(Base):
    """What all tokens of one sign-in have in common. Its id is their `event_id`; ending it ends them."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    origin_jti: Mapped[str] = mapped_column(String(36))
    scope: Mapped[str] = mapped_column(Text)
    audience: Mapped[str | None] = mapped_column(Text)
    """The resource server that its access tokens are made out to (RFC 8707); None: no one in particular."""
    auth_time: Mapped[datetime]
    methods: Mapped[list[Any]]
    """Names of the challenges that were met, in their order: what `amr` and `acr` are made of."""
    acr_asked: Mapped[bool]
    """Whether the client asked its tokens to say how he signed in (`acr_values`)."""
    family_digest: Mapped[str] = mapped_column(String(43), unique=True)
    """Of the part that all refresh tokens of this session begin with. Whoever knows it has had one of them."""
    refresh_digest: Mapped[str] = mapped_column(String(43))
    """Of the refresh token that is good."""
    previous_digest: Mapped[str | None] = mapped_column(String(43))
    """Of the one before it, where they rotate."""
    rotated_at: Mapped[datetime | None]
    """When that one was used."""
    earlier_digests: Mapped[list[Any] | None] = mapped_column(document)
    """Of those before it that were used within the grace, the oldest first, each with when that was, in seconds since
    1970."""
    device_key: Mapped[str | None] = mapped_column(String(55), index=True)
    """The device that signed in, or the key that was offered to it."""
    browser_session_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """The browser's session that it came out of, at the hosted pages."""
    ip: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    active_at: Mapped[datetime]
    """When tokens were last given; kept up to date where the pool tracks sessions."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """From when on its refresh token is refused. Its access tokens say themselves how long they live."""
    revoked_at: Mapped[datetime | None]


class BrowserSession(Base):
    """That a browser has signed in to a pool; its cookie's value is stored hashed."""

    __tablename__ = "browser_session"

    digest: Mapped[str] = mapped_column(String(43), primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), index=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    """Through which it was opened."""
    auth_time: Mapped[datetime]
    methods: Mapped[list[Any]]
    ip: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
