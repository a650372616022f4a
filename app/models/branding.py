"""How a pool's pages look: the classic customization (CSS and a logo), and the styles of managed login."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, document

ALL = "ALL"
"""In place of a client's id: what holds for every client without a customization of its own."""


class UICustomization(Base):
    """SetUICustomization: of one client, or of all."""

    __tablename__ = "ui_customization"

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    """A client's id, or `ALL`; not a foreign key for that reason: whoever deletes a client deletes this row."""
    css: Mapped[str | None] = mapped_column(Text)
    css_version: Mapped[str] = mapped_column(String(32))
    image: Mapped[bytes | None] = mapped_column(LargeBinary)
    image_type: Mapped[str | None] = mapped_column(String(32))
    """Found in its first bytes: `image/png` or `image/jpeg`."""
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]


class ManagedLoginBranding(Base):
    """The style of one client's managed login pages."""

    __tablename__ = "managed_login_branding"
    __table_args__ = (UniqueConstraint("client_id"), Index("ix_managed_login_branding_pool_id", "pool_id"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"))
    provided: Mapped[bool]
    """Whether it uses Cognito's own values (UseCognitoProvidedValues)."""
    settings: Mapped[dict[str, Any] | None] = mapped_column(document)
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]


class BrandingAsset(Base):
    """An image of a style; a category has one per colour mode."""

    __tablename__ = "branding_asset"
    __table_args__ = (ForeignKeyConstraint(["branding_id"], ["managed_login_branding.id"], ondelete="CASCADE"),)

    branding_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    category: Mapped[str] = mapped_column(String(32), primary_key=True)
    color_mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    extension: Mapped[str] = mapped_column(String(8))
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    resource_id: Mapped[str | None] = mapped_column(String(64))
