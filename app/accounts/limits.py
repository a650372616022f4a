"""How often in an hour something may be done for one user: the limits that no pool can change (reference: 4.8).

Calls are counted, not failures: whoever guesses at codes is stopped however many codes he has sent in between. Names
that mean nobody are counted by the same rules, so that the limit does not tell who exists.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import case, select

from app import errors, metrics
from app.accounts import known
from app.accounts.known import Place
from app.db import inserting
from app.env import Env
from app.models import Pool, Throttle

PER_HOUR = {
    # ForgotPassword and ConfirmForgotPassword together. The service takes 5 to 20, by a risk that we do not measure:
    # the most, because the fewer there are, the easier anybody who knows a name keeps its owner from his password.
    "forgot_password": 20,
    "resend_confirmation_code": 5,
    "confirm_sign_up": 15,
    "change_password": 5,
    "send_attribute_code": 5,
    "verify_attribute": 15,
    # Codes that come first in a sign-in, which anybody can have sent who knows a name. (Not the service's: it lets
    # mailboxes be flooded.)
    "sign_in_code": 20,
}
"""What, and how many times in an hour."""
WINDOW = timedelta(hours=1)
"""From the first call counted; calls that are refused do not extend it."""


def count(env: Env, pool: Pool, what: str, who: str, place: Place | None = None) -> None:
    """Count a call for a user's `sub`, or for a name that means nobody. Inside a transaction, before what it limits;
    where the user's row is locked too, after that, so that two requests take their locks in one order.

    Strangers can use up what a name alone is needed for. Then a call from a `place` where the user is known counts by
    itself, up to the same limit. The count stays only if the transaction is committed: a refusal that is to be counted
    must be one with `keep`. Raises errors.TooOften.
    """
    if next_number(env, _key(env, pool, what, who), WINDOW) <= PER_HOUR[what]:
        return
    if place is not None and known.is_known(env, place):
        if next_number(env, _key(env, pool, what, who, place), WINDOW) <= PER_HOUR[what]:
            return
    metrics.RATE_LIMITED.add(what)
    raise errors.TooOften


def check(env: Env, pool: Pool, what: str, who: str, place: Place | None = None) -> None:
    """Refuse what `count` would refuse, before slow work is done for it. Raises errors.TooOften."""
    if not _used_up(env, _key(env, pool, what, who), PER_HOUR[what]):
        return
    if place is not None and known.is_known(env, place):
        if not _used_up(env, _key(env, pool, what, who, place), PER_HOUR[what]):
            return
    metrics.RATE_LIMITED.add(what)
    raise errors.TooOften


def next_number(env: Env, key: str, window: timedelta) -> int:
    """Count one more under this key; which number it is within the window. Inside a transaction.

    One statement, whatever runs in parallel, and one for the first call and for every other: they take the same time,
    and whoever asks about a name does not learn that its owner has asked for something too.
    """
    now = env.now()
    over = Throttle.expires_at <= now
    number = env.db.scalar(
        inserting(env.db, Throttle)
        .values(key=key, count=1, since=now, expires_at=now + window)
        .on_conflict_do_update(
            index_elements=[Throttle.key],
            set_={
                "count": case((over, 1), else_=Throttle.count + 1),
                "since": case((over, now), else_=Throttle.since),
                "expires_at": case((over, now + window), else_=Throttle.expires_at),
            },
        )
        .returning(Throttle.count)
    )
    return int(number or 0)


def _used_up(env: Env, key: str, limit: int) -> bool:
    with env.reading() as session:
        number = session.scalar(select(Throttle.count).where(Throttle.key == key, Throttle.expires_at > env.now()))
    return number is not None and number >= limit


def _key(env: Env, pool: Pool, what: str, who: str, place: Place | None = None) -> str:
    return env.keyed.digest("calls", f"{pool.id} {what} {who}" + (f" {place.name}" if place else ""))
