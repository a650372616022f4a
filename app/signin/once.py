"""Answers that no row waits for, and that are good once all the same: to insert their digest is to use them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from app import errors
from app.db import table
from app.env import Env
from app.models import Spent
from app.statements import Statement


def use(env: Env, digest: str, *, until: datetime) -> None:
    """Let in one of all who come with this digest. It is remembered `until` it is worthless anyhow. Inside a
    transaction. Raises errors.SessionUsed."""
    if _USE.first(env, {"digest": digest, "expires_at": until}) is None:
        raise errors.SessionUsed


def _using(dialect: str) -> ReturningInsert[str]:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table(Spent))
    once: ReturningInsert[str] = insert.on_conflict_do_nothing().returning(table(Spent).c.digest)
    return once


_USE = Statement(_using, inserts=("digest", "expires_at"))
