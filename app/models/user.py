"""A person in a pool, and the addresses that sign him in besides his username."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

CORE = ("email", "email_verified", "phone_number", "phone_number_verified", "preferred_username")
"""Attributes that are columns; the rest is in one JSON document."""


class User(Base):
    __tablename__ = "user"
    __table_args__ = (
        UniqueConstraint("pool_id", "username_key"),
        Index("ix_user_pool_id_email", "pool_id", "email"),
        Index("ix_user_pool_id_phone_number", "pool_id", "phone_number"),
        Index("ix_user_pool_id_preferred_username", "pool_id", "preferred_username"),
        Index("ix_user_pool_id_status", "pool_id", "status"),
        Index("ix_user_pool_id_created_at", "pool_id", "created_at", "sub"),
    )

    sub: Mapped[str] = mapped_column(String(36), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    username: Mapped[str] = mapped_column(String(128))
    """As it was spelled; SRP and tokens use it, so it never changes."""
    username_key: Mapped[str] = mapped_column(String(512))
    """The normalised username (policy.attributes.name_key): two that look alike are one."""
    status: Mapped[str] = mapped_column(String(24))
    enabled: Mapped[bool]
    email: Mapped[str | None] = mapped_column(String(2048))
    email_verified: Mapped[bool | None]
    phone_number: Mapped[str | None] = mapped_column(String(64))
    phone_number_verified: Mapped[bool | None]
    preferred_username: Mapped[str | None] = mapped_column(String(2048))
    attributes: Mapped[dict[str, Any]]
    """The other attributes by their whole name; every value is a string, as on the wire."""
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    signed_out_at: Mapped[datetime | None]

    @property
    def confirmed(self) -> bool:
        return self.status != "UNCONFIRMED"

    @property
    def all_attributes(self) -> dict[str, str]:
        """Every attribute as a string, `sub` first."""
        found: dict[str, str] = {"sub": self.sub}
        for name in CORE:
            value = getattr(self, name)
            if value is not None:
                found[name] = str(value).lower() if isinstance(value, bool) else value
        found.update(self.attributes)
        return found

    def verified(self, attribute: str) -> bool:
        """Whether the address in `email` or `phone_number` has been proven to be his."""
        return bool(getattr(self, attribute)) and bool(getattr(self, f"{attribute}_verified"))


class Alias(Base):
    """An address that signs a user in. Unique in the pool: the row is the claim to it."""

    __tablename__ = "alias"

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    attribute: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(2048), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
