"""Signing in again, where a request demands it (prompt=login, max_age), and once per demand.

The way to the sign-in page and back ends at the same URL, which must not ask again, and must not be satisfied by the
session that was there before. So the demand is written into the URL: a parameter that says when it was made, with a
keyed hash over that moment and all other parameters. What satisfies it is a sign-in after that moment and less than
FRESH ago. A client or a person can therefore neither make up a demand that an old session meets, nor use one of
another request; and a URL from the history asks anew.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.crypto.seal import same
from app.env import Env
from app.oauth.redirects import Pairs, encoded

PARAMETER = "cognate_demanded"
FRESH = timedelta(minutes=1)
"""The way back follows the sign-in at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def demanded(env: Env, pairs: Pairs) -> Pairs:
    """The parameters, with the demand made now in the place of any older one."""
    moment = str((env.now() - _EPOCH) // _MICROSECOND)
    return [*_others(pairs), (PARAMETER, f"{moment}.{_digest(env, moment, pairs)}")]


def done(env: Env, pairs: Pairs, auth_time: datetime) -> bool:
    """Whether the demand in these parameters has been met by a sign-in at `auth_time`."""
    moment, _, digest = next((value for name, value in pairs if name == PARAMETER), "").partition(".")
    if not same(digest, _digest(env, moment, pairs)):
        return False
    return _EPOCH + int(moment) * _MICROSECOND <= auth_time and env.now() - auth_time < FRESH


def _others(pairs: Pairs) -> Pairs:
    return [(name, value) for name, value in pairs if name != PARAMETER]


def _digest(env: Env, moment: str, pairs: Pairs) -> str:
    # Over what the parameters mean, not how they are spelled: browsers change the escapes in a query.
    return env.keyed.digest("demand to sign in again", f"{moment} {encoded(_others(pairs))}")
