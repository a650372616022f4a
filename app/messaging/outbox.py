"""The sender of development and tests: keeps what it was given, in a table with a page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session

from app.env import Env, Message
from app.models import OutboxMessage

log = logging.getLogger(__name__)


class Outbox:
    def __init__(self, sessions: scoped_session[Any], now: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._now = now

    def send(self, message: Message) -> None:
        """Keep it, in a transaction of its own: sending happens after the one it speaks of."""
        session: Session = self._sessions()
        try:
            with session.begin():
                session.add(
                    OutboxMessage(
                        pool_id=message.pool_id,
                        to=message.to,
                        channel=message.channel,
                        purpose=message.purpose,
                        subject=message.subject,
                        body=message.body,
                        code=message.code,
                        link=message.link,
                        sent_at=self._now(),
                    )
                )
        except IntegrityError:
            log.info("a message was dropped: its pool has been deleted since")
        finally:
            session.close()


def kept(env: Env, to: str | None = None, *, limit: int = 100) -> list[OutboxMessage]:
    """What was sent, newest first; only to one address if `to` is given."""
    query = select(OutboxMessage).order_by(OutboxMessage.sent_at.desc(), OutboxMessage.id.desc()).limit(limit)
    if to is not None:
        query = query.where(OutboxMessage.to == to)
    with env.reading() as session:
        return list(session.scalars(query))
