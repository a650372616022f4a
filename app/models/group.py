"""A group of users, and who is in it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base, bytewise
from app.models.user import User


class Group(Base):
    __tablename__ = "group"

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(bytewise(128), primary_key=True)
    description: Mapped[str | None] = mapped_column(Text)
    role_arn: Mapped[str | None] = mapped_column(Text)
    precedence: Mapped[int | None] = mapped_column(Integer)
    """The lowest wins; a group without one is the weakest."""
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]


class Membership(Base):
    __tablename__ = "membership"
    __table_args__ = (
        ForeignKeyConstraint(["pool_id", "group_name"], ["group.pool_id", "group.name"], ondelete="CASCADE"),
        Index("ix_membership_group", "pool_id", "group_name", "user_sub"),
    )

    user_sub: Mapped[str] = mapped_column(ForeignKey("user.sub", ondelete="CASCADE"), primary_key=True)
    group_name: Mapped[str] = mapped_column(bytewise(128), primary_key=True)
    pool_id: Mapped[str] = mapped_column(String(55))
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(viewonly=True, lazy="raise")
    group: Mapped[Group] = relationship(viewonly=True, lazy="raise")
