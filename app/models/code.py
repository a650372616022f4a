"""A code that was sent to an address, to prove that whoever has the address is asking."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Code(Base):
    """One live code per user and purpose: sending another replaces it."""

    __tablename__ = "code"
    __table_args__ = (UniqueConstraint("user_sub", "purpose"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(32))
    """`sign_up`, `forgot_password`, `verify_email` or `verify_phone_number`."""
    attribute: Mapped[str] = mapped_column(String(32))
    destination: Mapped[str] = mapped_column(String(2048))
    """The address it went to: what it proves, even if the user's attribute has changed since."""
    digest: Mapped[str] = mapped_column(String(43))
    tries: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
