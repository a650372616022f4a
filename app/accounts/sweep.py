"""Forgetting what has expired: every table that grows by traffic says until when its rows matter.

Nothing relies on it; what has expired is refused whether or not its row is still there. So it runs now and then in
every worker, and two that run at once only find less to do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, inspect, select
from sqlalchemy.orm import InstrumentedAttribute

from app import metrics
from app.audit import chain
from app.env import Env
from app.models import (
    Attempt,
    AuditEvent,
    AuthorizationCode,
    BrowserSession,
    Code,
    LoginSession,
    OutboxMessage,
    PasskeyRegistration,
    Password,
    RateCounter,
    Spent,
    Throttle,
)

UNTIL: tuple[tuple[type[Any], InstrumentedAttribute[Any], timedelta], ...] = (
    (Attempt, Attempt.expires_at, timedelta()),
    (AuthorizationCode, AuthorizationCode.forget_at, timedelta()),
    (BrowserSession, BrowserSession.expires_at, timedelta()),
    # Whoever comes with the right code too late is told so for a while, and not that it is wrong.
    (Code, Code.expires_at, timedelta(days=7)),
    # Access tokens end with their session; the last one may outlive the refresh token by its own life at most.
    (LoginSession, LoginSession.expires_at, timedelta(days=1)),
    (OutboxMessage, OutboxMessage.sent_at, timedelta(days=30)),
    (PasskeyRegistration, PasskeyRegistration.expires_at, timedelta()),
    # A temporary password that was never used (the others have no end): nobody can sign in with it any more, so its
    # hash is only something to steal. The user stays, in FORCE_CHANGE_PASSWORD, and can be invited again; for a month
    # he is told why it is refused. Users who never confirmed stay too, as in Cognito (reference: 4.2).
    (Password, Password.expires_at, timedelta(days=30)),
    (RateCounter, RateCounter.expires_at, timedelta()),
    (Spent, Spent.expires_at, timedelta()),
    (Throttle, Throttle.expires_at, timedelta()),
)
"""Table, the column that says until when, and for how long after it a row is kept all the same."""
BATCH = 500
"""Rows of one transaction: nobody waits long for the one writer of SQLite."""


def expired(env: Env) -> dict[str, int]:
    """Delete what has expired; how many rows of which table. A transaction per batch."""
    began, deleted = env.ticks(), {}
    for model, column, kept in UNTIL:
        deleted[model.__tablename__] = _table(env, model, column, kept)
    deleted[AuditEvent.__tablename__] = chain.forget(env)
    metrics.SWEEPS.add()
    metrics.SWEEP_SECONDS.add(by=env.ticks() - began)
    metrics.LAST_SWEEP.set(env.now().timestamp())
    return deleted


def _table(env: Env, model: type[Any], column: InstrumentedAttribute[Any], kept: timedelta) -> int:
    (key,) = inspect(model).primary_key
    # The batch is read first: a transaction that would find nothing is not worth a writer's place.
    query = select(key).where(column <= env.now() - kept).limit(BATCH)
    total = 0
    while True:
        with env.reading() as session:
            found = session.scalars(query).all()
        if not found:
            return total
        # What somebody is just changing is left to him, or to the next time: many rows are deleted here, in no order,
        # and whoever waits for nobody makes nobody wait for ever.
        idle = select(key).where(key.in_(found), column <= env.now() - kept).with_for_update(skip_locked=True)
        with env.transaction():
            gone = env.db.scalars(delete(model).where(key.in_(idle)).returning(key)).all()
        metrics.SWEPT.add(model.__tablename__, by=len(gone))
        total += len(gone)
        if len(gone) < len(found):
            return total
