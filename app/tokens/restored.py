"""What a restored backup means for refresh tokens that rotate.

Whoever has refreshed since the backup was made holds a token that the restored database does not know. Of a session
that it knows, that looks like reuse: all users of the application would be signed out. So an operator may have such
tokens accepted for a while (`cognate restore --accept-older-refresh-tokens`).

The danger: what cannot be told apart from a newer token is accepted as well. For that while, whoever has had any
refresh token of a session, also one that was used long ago, can take the session over, once. So it is once for each
session: the refresh that is let through makes the session one that is known again, and reuse ends it from then on.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from app.env import Env
from app.models import LoginSession, Restoration

_RESTORATION = select(Restoration.restored_at, Restoration.accept_older_until)


def accepts_older(env: Env, session: LoginSession, now: datetime) -> bool:
    """Whether a token of the session's family that is not the good one may be newer than the database, and is taken
    for good. One statement; asked only before a session would be ended."""
    with env.reading() as database:
        found = database.execute(_RESTORATION).one_or_none()
    if found is None or found.accept_older_until is None or now >= found.accept_older_until:
        return False
    # What was begun or refreshed after it is known completely.
    known_since: datetime = session.rotated_at or session.created_at
    return bool(known_since < found.restored_at)
