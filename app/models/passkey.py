"""Passkeys (Web Authentication Level 3): public keys whose private halves are on a user's devices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, bytewise


class Passkey(Base):
    __tablename__ = "passkey"
    __table_args__ = (UniqueConstraint("pool_id", "credential_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    credential_id: Mapped[str] = mapped_column(bytewise(1400))
    """As the browser gives it, base64url: at most 1023 bytes (Web Authentication Level 3, 4)."""
    public_key: Mapped[str] = mapped_column(Text)
    """The COSE key, base64url."""
    sign_count: Mapped[int] = mapped_column(BigInteger)
    rp_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(Text)
    aaguid: Mapped[str] = mapped_column(String(36))
    attachment: Mapped[str | None] = mapped_column(String(32))
    transports: Mapped[list[Any]]
    synced: Mapped[bool]
    """Whether it may be on several devices (backup eligible), which then need not agree on a counter."""
    backed_up: Mapped[bool]
    """Whether it was on several, or kept somewhere else, when it was last used (backup state)."""
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class PasskeyRegistration(Base):
    """A registration that was started and waits for its credential; a new start replaces it."""

    __tablename__ = "passkey_registration"

    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    challenge: Mapped[str] = mapped_column(String(86))
    """base64url."""
    rp_id: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(index=True)
