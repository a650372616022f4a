"""A person in a pool, and the names that sign him in."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base, bytewise, document

if TYPE_CHECKING:
    from app.models.group import Group, Membership

CORE = ("email", "email_verified", "phone_number", "phone_number_verified", "preferred_username")
"""Attributes that are columns; the rest is in one JSON document."""
SEARCHED = ("email", "preferred_username", "name", "given_name", "family_name")
"""Attributes that can be searched for whatever their letter case: each has a column `<attribute>_key` beside it."""


def _index(column: str, *more: str) -> Index:
    """An index that finds a value, or all that begin with one, and then pages in its own order. Users without the
    value are not in it, and cost nothing."""
    where = text(f"{column} IS NOT NULL")
    return Index(f"ix_user_{column}", "pool_id", column, *more, "sub", sqlite_where=where, postgresql_where=where)


class User(Base):
    __tablename__ = "user"
    __table_args__ = (
        # Not partial: of a column that is never empty, SQLite forgets the condition and then never uses the index.
        Index("ix_user_username", "pool_id", "username", "sub"),
        _index("phone_number"),
        *(_index(f"{attribute}_key") for attribute in ("username", *SEARCHED)),
        Index("ix_user_status", "pool_id", "status", "created_at", "sub"),
        Index("ix_user_enabled", "pool_id", "enabled", "created_at", "sub"),
        Index("ix_user_pool_id_created_at", "pool_id", "created_at", "sub"),
        Index("ix_user_sub", "pool_id", "sub"),
    )

    sub: Mapped[str] = mapped_column(String(36), primary_key=True)
    """(Not bytewise: a join of two collations uses the indexes of one of them only.)"""
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    username: Mapped[str] = mapped_column(bytewise(128))
    """As it was spelled; SRP and tokens use it, so it never changes."""
    status: Mapped[str] = mapped_column(String(24))
    enabled: Mapped[bool]
    email: Mapped[str | None] = mapped_column(String(2048))
    email_verified: Mapped[bool | None]
    """None until something says whether the address is proven; counts as no."""
    phone_number: Mapped[str | None] = mapped_column(bytewise(64))
    phone_number_verified: Mapped[bool | None]
    preferred_username: Mapped[str | None] = mapped_column(String(2048))
    attributes: Mapped[dict[str, Any]]
    """The other attributes by their whole name; every value is a string, as on the wire."""
    username_key: Mapped[str | None] = mapped_column(bytewise(512))
    """What a search compares (policy.attributes.search_key), for this and the five that follow."""
    email_key: Mapped[str | None] = mapped_column(bytewise(512))
    preferred_username_key: Mapped[str | None] = mapped_column(bytewise(512))
    name_key: Mapped[str | None] = mapped_column(bytewise(512))
    given_name_key: Mapped[str | None] = mapped_column(bytewise(512))
    family_name_key: Mapped[str | None] = mapped_column(bytewise(512))
    retired: Mapped[dict[str, Any] | None] = mapped_column(document)
    """Values of custom attributes that the pool no longer has, kept so that the change can be undone."""
    mfa: Mapped[dict[str, Any] | None] = mapped_column(document)
    """Second factors that were switched on for him: `{"on": [names], "preferred": name or None}`, in Cognito's names
    (SMS_MFA, SOFTWARE_TOKEN_MFA, EMAIL_OTP, WEB_AUTHN). None: nobody has said anything."""
    password_version: Mapped[str | None] = mapped_column(String(36))
    """The version of the password that last replaced another; None while the user has the first one. It is on this row
    because a sign-in locks this row: of rows that are joined to a locked one PostgreSQL shows what they were before it
    waited."""
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    signed_out_at: Mapped[datetime | None]
    """When the user last signed out everywhere, or was signed out. It ends what was given before, and the marks of
    known browsers (accounts.known)."""
    sessions_ended_at: Mapped[datetime | None]
    """When a new password last ended what was given before. Browsers stay known: whoever is being attacked sets one."""

    memberships: Mapped[list[Membership]] = relationship(viewonly=True, lazy="raise")

    @property
    def groups(self) -> list[Group]:
        """There only where tokens are made (tokens.claims.USER), or the memberships have been loaded."""
        return [each.group for each in self.memberships]

    def has_ended(self, given_at: datetime) -> bool:
        """Whether what rests on a sign-in of that moment has been ended since, with all that was given before."""
        return any(ended is not None and given_at < ended for ended in (self.signed_out_at, self.sessions_ended_at))

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
    """A name that signs a user in: his username, or an address. Unique in the pool: the row is the claim to it.

    `generation` says by which of the pool's rules of naming it was made (models.pool.Naming): while a pool changes
    its rules, names of the next generation are written beside those in use.
    """

    __tablename__ = "alias"

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    attribute: Mapped[str] = mapped_column(String(32), primary_key=True)
    """`username`, `email`, `phone_number` or `preferred_username`."""
    value: Mapped[str] = mapped_column(String(2048), primary_key=True)
    """The name as it is compared (policy.attributes.name_key): two that look alike are one."""
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)


class FormerPassword(Base):
    """The hash of a password that a user had before, for pools that bar its use (PasswordHistorySize)."""

    __tablename__ = "former_password"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), index=True)
    hash: Mapped[str] = mapped_column(Text)
    replaced_at: Mapped[datetime]
