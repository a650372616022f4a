"""Making, changing, listing and removing user pools (reference: 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from app import errors
from app.audit import record
from app.db import raising, unhurried
from app.env import Env
from app.models import Domain, Pool, User
from app.paging import Page, page
from app.pools import find, pool_settings, schema
from app.tokens import keys

FEW = 10_000
"""Users that are counted at every call."""
COUNT_KEPT = 900
"""Seconds for which the count of more is believed."""
SESSIONS: dict[str, Any] = {"user_session_tracking": "DISABLED", "token_session": {"max_per_user": 20}}
"""How sessions are tracked where nobody has said (reference: 6.8)."""


def create(env: Env, *, name: str, settings: Mapping[str, Any], algorithm: str = "RS256") -> Pool:
    """A new pool with its signing keys. `settings` in our own words, as given; defaults are filled in.

    Raises errors.InvalidParameter, UserPoolTagging, LimitExceeded.
    """
    complete = pool_settings.for_new_pool(settings)
    now = env.now()
    pool = Pool(
        id=env.random.pool_id(env.settings.region),
        name=name,
        algorithm=algorithm,
        settings=complete,
        generation=0,
        building=None,
        created_at=now,
        modified_at=now,
    )
    pair = keys.pair(env, pool, active_at=now)
    most = env.settings.limit_pools
    with env.transaction():
        # First: of two who make the last one that there is room for, the second waits here, and then counts both.
        env.configuration_changed()
        if (env.db.scalar(select(func.count()).select_from(Pool)) or 0) >= most:
            raise errors.LimitExceeded(f"User pool limit exceeded: there are at most {most} (COGNATE_LIMIT_POOLS).")
        with raising(env.db, pk_pool=errors.ConcurrentModification()):
            env.db.add(pool)
        env.db.add_all(pair)
        record.about(target=f"userpool/{pool.id}")
    return pool


def update(env: Env, pool: Pool, *, name: str | None, settings: Mapping[str, Any]) -> None:
    """Settings as given; what is not given goes back to its default, which is what the service does, and its users'
    worst trap (reference: 2.2). Of two at once, one has the last word in everything.

    Raises errors.InvalidParameter, UserPoolTagging, UnknownPool.
    """
    with env.transaction():
        row = locked(env, pool)
        row.settings = pool_settings.updated(row.settings, settings)
        row.name = name or row.name
        changed(env, row)


def add_custom_attributes(env: Env, pool: Pool, attributes: Sequence[Mapping[str, Any]]) -> None:
    """Raises errors.InvalidParameter, UnknownPool."""
    with env.transaction():
        row = locked(env, pool)
        row.settings = {**row.settings, "attributes": schema.with_custom(row.settings["attributes"], attributes)}
        changed(env, row)


def set_sessions(env: Env, pool: Pool, *, tracking: str, most: int) -> Pool:
    """Whether sign-ins are listed as sessions, and how many a user may have (reference: 6.8). Raises
    errors.UnknownPool."""
    with env.transaction():
        row = locked(env, pool)
        row.settings = {
            **row.settings,
            "session_configuration": {
                "user_session_tracking": tracking,
                "token_session": {"max_per_user": most},
            },
        }
        changed(env, row)
    return find.pool(env, pool.id)


def locked(env: Env, pool: Pool, *, alone: bool = False) -> Pool:
    """This transaction's own row of a pool, with nobody else changing it; who only refers to it, as every sign-up does,
    waits only where it has to be `alone`. Raises errors.UnknownPool."""
    row = env.db.get(Pool, pool.id, with_for_update=True if alone else {"key_share": True})
    if row is None:
        raise errors.UnknownPool(pool.id)
    return row


def changed(env: Env, row: Pool) -> None:
    """Say that a locked pool has new settings."""
    row.modified_at = env.now()
    record.event(env, row.id, "SettingsChanged")
    env.configuration_changed()


def listed(env: Env, *, limit: int, token: str | None) -> Page[Pool]:
    """Pools in the order of their ids, a page at a time. Raises errors.InvalidParameter for a foreign token."""
    return page(env, select(Pool), by=(Pool.id,), size=limit, token=token, about="pools")


def count_users(env: Env, pool: Pool) -> int:
    """How many users there are; of many, how many there were within the last COUNT_KEPT seconds: to count a million
    takes as long as a hundred other requests, and tools describe a pool often."""
    mine = select(User.sub).where(User.pool_id == pool.id)
    with env.reading() as session:
        few = session.scalar(select(func.count()).select_from(mine.limit(FEW + 1).subquery())) or 0
    if few <= FEW:
        return int(few)

    def count() -> int:
        with env.aside() as session:
            return int(session.scalar(select(func.count()).select_from(mine.subquery())) or 0)

    return env.cache.get(("users", pool.id, int(env.ticks() // COUNT_KEPT)), count)


def delete(env: Env, pool: Pool) -> None:
    """Remove a pool and everything in it. Raises errors.InvalidParameter while it is protected or has a domain."""
    env.patiently(lambda: _delete(env, pool))


def _delete(env: Env, pool: Pool) -> None:
    with env.transaction():
        row = locked(env, pool, alone=True)  # or it would not see the domain that it is just getting
        if row.protected:
            raise errors.InvalidParameter(
                "The user pool cannot be deleted because deletion protection is activated. "
                "Deletion protection must be inactivated first."
            )
        if env.db.scalar(select(Domain.domain).where(Domain.pool_id == pool.id).limit(1)):
            raise errors.InvalidParameter(
                "User pool cannot be deleted. It has a domain configured that should be deleted first."
            )
        unhurried(env.db.connection())  # all its users go along
        env.db.delete(row)
        env.db.flush()  # rows before the revision, as everybody takes them: the other way round two could wait for ever
        env.configuration_changed()
