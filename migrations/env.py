"""Runs the migrations on the application's own engine, SQLite or PostgreSQL."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import JSON, Connection

import app.models  # noqa: F401 - fills the metadata
from app import migrating
from app.db import Base, utc


def render_item(kind: str, thing: Any, autogen_context: Any) -> str | Literal[False]:
    """Column types in a revision are written out: a revision must not change when the application does."""
    if kind == "type" and isinstance(thing, utc):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(thing, JSON):
        autogen_context.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        # Somebody's own transaction, of which this is a part (app.upkeep.restore).
        configure(given)
        context.run_migrations()
        return
    with current_app.extensions["migrate"].db.engine.connect() as connection:
        {"sqlite": on_sqlite, "postgresql": on_postgresql}[connection.dialect.name](connection)


def on_postgresql(connection: Connection) -> None:
    """A transaction for each revision; an index that is built concurrently can be in none."""

    def migrate() -> None:
        configure(connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()

    with migrating.alone(connection):
        migrating.patiently(connection, migrate)


def on_sqlite(connection: Connection) -> None:
    """In one transaction, which Alembic would not do by itself: whoever comes second waits, and half is never done."""
    sqlite = connection.connection.dbapi_connection
    # Altering copies the table and drops the old one; with foreign keys on, the rows that point to it would go with
    # it. The pragma does nothing inside a transaction, so it comes before.
    sqlite.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            configure(connection)
            context.run_migrations()
            lost = sqlite.execute("PRAGMA foreign_key_check").fetchall()
            if lost:
                raise RuntimeError(f"the migration would leave rows that point nowhere: {lost[:5]}")
    finally:
        sqlite.execute("PRAGMA foreign_keys=ON")


def configure(connection: Connection, *, transaction_per_migration: bool = False) -> None:
    context.configure(
        transaction_per_migration=transaction_per_migration,
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter a column: the table is copied
        compare_type=True,
        render_item=render_item,
    )


run()
