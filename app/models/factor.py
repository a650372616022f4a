"""Second factors that a user has: an authenticator app, and recovery codes for the day it is lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class SoftwareToken(Base):
    """The shared secret of a user's authenticator app (RFC 6238), sealed.

    A secret that is being set up waits in `pending` and replaces the one in use only when a code has proven that the
    app has it: a set-up that was given up breaks nothing.
    """

    __tablename__ = "software_token"

    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str | None] = mapped_column(Text)
    """The secret in use; none before the first one was verified."""
    pending: Mapped[str | None] = mapped_column(Text)
    friendly_name: Mapped[str | None] = mapped_column(Text)
    last_step: Mapped[int] = mapped_column(BigInteger)
    """The step of thirty seconds whose code was taken last: it and those before it are not taken again."""
    created_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """One of the codes that stand in for a lost second factor; the row goes when it is used."""

    __tablename__ = "recovery_code"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(43))
    created_at: Mapped[datetime]
