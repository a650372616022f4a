"""What belongs to the installation and to no pool."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class InstallationSecret(Base):
    """A secret of the installation's own, sealed under the key-encryption key.

    Keyed hashes and cookies use these and not that key itself, so that it can be rotated by sealing a few rows anew.
    They also tell a wrong key at the start: it cannot open them.
    """

    __tablename__ = "installation_secret"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)


class ProvisionedLimit(Base):
    """A rate that UpdateProvisionedLimit has set, in requests per second."""

    __tablename__ = "provisioned_limit"

    category: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int]


class Revision(Base):
    """One row whose number moves with every change of configuration; see env.Cache."""

    __tablename__ = "revision"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int]


class Restoration(Base):
    """The last backup that was restored into this database; one row at most."""

    __tablename__ = "restoration"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    made_at: Mapped[datetime]
    """When the backup was made. What happened between then and `restored_at` is not in the database."""
    restored_at: Mapped[datetime]
    accept_older_until: Mapped[datetime | None]
    """Until when a refresh token of a session that has not been refreshed since may be one that the database does not
    know (app.tokens.refresh)."""
