"""What a user proves himself with. So far: a password."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Password(Base):
    """A password as an Argon2id hash, and as an SRP verifier beside it.

    The verifier is as good as a fast hash for whoever steals it, so it is sealed; both are made whenever the plain
    password is seen. `version` changes with every new password: a sign-in that began with the old one stops.
    """

    __tablename__ = "password"

    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), primary_key=True)
    version: Mapped[str] = mapped_column(String(36))
    hash: Mapped[str] = mapped_column(String(256))
    srp_salt: Mapped[str] = mapped_column(String(64))
    srp_verifier: Mapped[str] = mapped_column(Text)
    """By the username."""
    srp_sub_verifier: Mapped[str | None] = mapped_column(Text)
    """By the `sub`, for clients that hide who exists: there the username must not be told to whoever knows an address.
    None where the username is the `sub`, and for passwords of a version before."""
    set_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    """When a temporary password stops being accepted."""
