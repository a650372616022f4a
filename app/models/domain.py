"""A host name under which a pool's pages and OAuth endpoints are reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, UniqueConstraint, or_
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Domain(Base):
    """A prefix below the base host, or a whole custom name; a pool has at most one of each."""

    __tablename__ = "domain"
    __table_args__ = (UniqueConstraint("pool_id", "custom"),)

    domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    custom: Mapped[bool]
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]
    """When a custom domain was shown to belong to whoever has the pool; until then it is not served."""
    tried_at: Mapped[datetime | None]
    """When the proof was last looked for."""

    @hybrid_property
    def served(self) -> bool:
        """Whether pages and endpoints answer under this name. A prefix is a name of our own."""
        return not self.custom or self.proven_at is not None

    @served.inplace.expression
    @classmethod
    def _served(cls) -> ColumnElement[bool]:
        return or_(cls.custom.is_(False), cls.proven_at.is_not(None))
