"""Tokens that are rows. Access and ID tokens are not; a refresh token is a column of its login session."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class AuthorizationCode(Base):
    """An authorization code (RFC 6749, 4.1.2), kept after its use so that a second one can be noticed."""

    __tablename__ = "authorization_code"

    digest: Mapped[str] = mapped_column(String(43), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str] = mapped_column(Text)
    redirect_uri_stated: Mapped[bool] = mapped_column(server_default=true())
    """Whether the request named it; else it is the client's default, and need not be repeated (RFC 6749, 4.1.3)."""
    resource: Mapped[str | None] = mapped_column(Text)
    """The resource server that its tokens are made out to (RFC 8707)."""
    scope: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str | None] = mapped_column(Text)
    code_challenge: Mapped[str | None] = mapped_column(String(128))
    auth_time: Mapped[datetime]
    methods: Mapped[list[Any]]
    acr_asked: Mapped[bool]
    browser_session_id: Mapped[str | None] = mapped_column(String(36))
    ip: Mapped[str | None] = mapped_column(String(64))
    """Of the browser that signed in, and beside it what it calls itself: whoever redeems the code may be a server. None
    for codes of a version before."""
    user_agent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    session_id: Mapped[str | None] = mapped_column(String(36))
    """The login session that its redemption opened; a second redemption ends it."""
    forget_at: Mapped[datetime] = mapped_column(index=True)
    """Until when a second use must be noticed: as long as tokens from the first can live."""
