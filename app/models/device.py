"""A device that a user has signed in from, and that can prove to be the same one again (reference: 10.5)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Device(Base):
    """Written down when it is confirmed: until then its key is only in the login session that it was made for."""

    __tablename__ = "device"
    __table_args__ = (Index("ix_device_user_sub", "user_sub", "created_at", "key"),)

    key: Mapped[str] = mapped_column(String(55), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"))
    group_key: Mapped[str] = mapped_column(String(32))
    name: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[str] = mapped_column(String(64))
    """Hexadecimal, as the device's SRP hashes it."""
    verifier: Mapped[str] = mapped_column(Text)
    """Sealed, for it is as good as the device's password to whoever would guess at that."""
    remembered: Mapped[bool]
    trusted: Mapped[bool]
    """Whether it may stand in for a second factor. It ends when the password or a factor changes; the user is then
    asked for one, and the device is trusted again."""
    last_ip: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    authenticated_at: Mapped[datetime]
