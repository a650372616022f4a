"""A key that signs administrative requests (AWS Signature Version 4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, document


class AccessKey(Base):
    """Its secret is sealed, not hashed: verifying a signature needs it."""

    __tablename__ = "access_key"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    sealed: Mapped[str]
    description: Mapped[str] = mapped_column(String(256))
    pools: Mapped[list[Any] | None] = mapped_column(document)
    """Ids of the pools that it may touch; None: all."""
    actions: Mapped[list[Any] | None] = mapped_column(document)
    """Patterns of what it may do, such as `cognito-idp:List*`; None: everything."""
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
