"""From where a user is known: browsers that carry a mark of theirs, and addresses that their sessions were used from.

Once a common counter of attempts or calls is used up, what comes from a known place has a counter of its own, so that
strangers cannot keep the owner out (decision 010). Being known gives nothing else: a stolen mark is worth one more
counter, and no sign-in.

A mark is `<number>.<seconds since 1970>.<signature>`. The signature is a keyed hash over pool, user, number and time;
the user is not named in it, so that the cookie does not tell whoever finds it who has signed in. Every complete sign-in
at the pages makes a new one, and so does signing up there. Signing out everywhere ends all that were made before. A new
password does not: the owner of an account that is being attacked changes it, and must not become a stranger by that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import exists, or_, select

from app.crypto.seal import same
from app.env import Env, Origin
from app.models import LoginSession, Pool, User

LIFETIME = timedelta(days=180)
"""Of a mark; browsers keep no cookie for longer than 400 days."""
MOST = 5
"""Marks in one browser: those of the users who have signed in there last."""
_MARK = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{10})\.([A-Za-z0-9_-]{43})")
_BETWEEN = "~"


@dataclass(frozen=True)
class Place:
    """Where a request about one user, or about a name that means nobody, comes from. Whether the user is known there is
    asked (`is_known`) only when it matters."""

    name: str | None
    """What its counter is named after; None where the request does not tell."""
    sub: str | None
    ip: str
    marked_at: datetime | None = None
    """When the browser got its mark of this user."""


def place(env: Env, pool: Pool, sub: str | None, origin: Origin) -> Place:
    """The browser, if it has a mark of the user; else the address. No statement."""
    for number, seconds, signature in _marks(origin.marks):
        if same(signature, _signature(env, pool, sub or "", number, seconds)):
            marked_at = datetime.fromtimestamp(int(seconds), UTC)
            if env.now() < marked_at + LIFETIME:
                return Place(f"browser {number}", sub, origin.ip, marked_at)
    return Place(f"from {origin.ip}" if origin.ip else None, sub, origin.ip)


def is_known(env: Env, place: Place) -> bool:
    """Whether the user is known there. One statement, and the same for names that mean nobody."""
    if place.name is None:
        return False
    if place.marked_at is None:
        known = exists().where(LoginSession.user_sub == (place.sub or ""), LoginSession.ip == place.ip)
    else:
        before = or_(User.signed_out_at.is_(None), User.signed_out_at < place.marked_at)
        known = exists().where(User.sub == place.sub, before)
    with env.reading() as session:
        return bool(session.scalar(select(known)))


def marked(env: Env, pool: Pool, user: User, marks: str) -> str:
    """The marks of a browser with a new one of this user in front; older ones of the same user are dropped."""
    number, seconds = env.random.token(16), f"{int(env.now().timestamp()):010}"
    others = [
        ".".join(mark) for mark in _marks(marks) if not same(mark[2], _signature(env, pool, user.sub, mark[0], mark[1]))
    ]
    mine = f"{number}.{seconds}.{_signature(env, pool, user.sub, number, seconds)}"
    return _BETWEEN.join([mine, *others[: MOST - 1]])


def _marks(marks: str) -> list[tuple[str, str, str]]:
    """What has the form of a mark, and no more of it than a browser is given."""
    found = (_MARK.fullmatch(one) for one in marks.split(_BETWEEN, MOST)[:MOST])
    return [(one[1], one[2], one[3]) for one in found if one]


def _signature(env: Env, pool: Pool, sub: str, number: str, seconds: str) -> str:
    return env.keyed.digest("known browser", f"{pool.id} {sub} {number} {seconds}")
