"""The audit: what was done, by whom, and the chain that shows whether rows were changed afterwards."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_UNLINKED = text("number IS NULL")


class AuditEvent(Base):
    """One thing that was done. Nothing refers to pool or user: the row outlives both.

    After it was inserted, `number` and `digest` are set once, when the row is linked (app.audit.chain); nothing else of
    it ever changes, and `mac` covers everything else.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        UniqueConstraint("pool_id", "number"),
        Index("ix_audit_event_at_id", "at", "id"),
        Index("ix_audit_event_pool_id_at_id", "pool_id", "at", "id"),
        Index("ix_audit_event_user_sub_at", "user_sub", "at"),
        # The few that wait to be linked.
        Index("ix_audit_event_unlinked", "number", "pool_id", postgresql_where=_UNLINKED, sqlite_where=_UNLINKED),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    at: Mapped[datetime]
    pool_id: Mapped[str] = mapped_column(String(55))
    """Empty: it is about no one pool."""
    kind: Mapped[str] = mapped_column(String(8))
    """`call`: an administrator asked for it; `event`: it happened, whoever asked."""
    operation: Mapped[str] = mapped_column(String(128))
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(128))
    user_sub: Mapped[str | None] = mapped_column(String(36))
    """Of the user whom it is about. Names and addresses of users are not kept here."""
    target: Mapped[str] = mapped_column(String(512))
    ip: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(512))
    request_id: Mapped[str] = mapped_column(String(64))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    parameters: Mapped[str] = mapped_column(Text)
    """A JSON object, its secrets masked. Text, because its MAC is one of bytes."""
    mac: Mapped[str] = mapped_column(String(43))
    number: Mapped[int | None] = mapped_column(BigInteger)
    """In the chain of its pool; None until it is linked."""
    digest: Mapped[str | None] = mapped_column(String(43))
    """Of the chain up to this row."""


class AuditChain(Base):
    """Where the chain of a pool ends, and where the part of it that is kept begins. `mac` covers all of it."""

    __tablename__ = "audit_chain"

    pool_id: Mapped[str] = mapped_column(String(55), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    """Of the last row that was linked."""
    digest: Mapped[str] = mapped_column(String(43))
    """Its digest."""
    forgotten: Mapped[int] = mapped_column(BigInteger)
    """Of the last row whose retention is over; 0: all are kept."""
    forgotten_digest: Mapped[str] = mapped_column(String(43))
    """Its digest, at which the part that is kept begins."""
    retention_days: Mapped[int]
    """As the pool last had it, for when the pool is gone."""
    mac: Mapped[str] = mapped_column(String(43))
