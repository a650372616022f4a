"""An API whose scopes machines and people ask for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class ResourceServer(Base):
    __tablename__ = "resource_server"

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    identifier: Mapped[str] = mapped_column(String(256), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    scopes: Mapped[list[Any]]
    """`{"name": …, "description": …}` each."""
    created_at: Mapped[datetime]

    @property
    def scope_names(self) -> list[str]:
        return [f"{self.identifier}/{scope['name']}" for scope in self.scopes]
