"""Changing what the API lets nobody change, while the pool is in use: the names that sign in, letter case, required
and custom attributes (reference: 2.3, 2.4, 12.3).

A change goes through these states, in batches; whoever takes it up again goes on where it stopped.

1. `building`: `Pool.building` holds the new rules of naming, and whoever writes a user claims his names under both.
   Meanwhile `advance` claims them for the users who were there before.
2. The switch, one transaction: no user lacks a name under the new rules, so they become those in use.
3. `cleaning`: the names under the old rules go; values of custom attributes that are gone, or that no longer fit, are
   put aside (`User.retired`), and come back when the change is undone.
4. `done`; or `reverted`, when it was undone or given up.

Who writes a user may have read the pool before it began to build, or before it switched: for `SETTLE` seconds nobody
relies on anything else, and what slips through is found by looking for users without a username of the generation, once
in the transaction that switches and once more while cleaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, delete, select, tuple_

from app import errors
from app.cache import STALE_AFTER
from app.env import Env
from app.models import Alias, Pool, PoolChange, User
from app.pools import names
from app.pools.names import BATCH, Collision, raise_collided
from app.pools.plans import NAMING, Plan, clients_in_the_way, custom, difference, fits, settings_after

LEASE = timedelta(seconds=30)
"""For how long a change belongs to one who does nothing for it: longer than any step takes."""
SETTLE = 4 * STALE_AFTER
"""Seconds after which every worker has learned of a pool that changed, and answered what it was asked before."""
UNDER_WAY = ("building", "giving up", "cleaning")


class Busy(errors.ConcurrentModification):
    """Somebody else is at work on a change of this pool."""


@dataclass(frozen=True)
class Step:
    """What `advance` has done; then `settles` asks for a pause of SETTLE seconds before the next."""

    state: str
    users: int
    settles: bool = False
    unclaimed: tuple[Collision, ...] = ()
    """Names that could not be claimed after the switch: written by somebody who knew nothing of the change."""


# -- the course of a change ------------------------------------------------------------------------------------


def under_way(env: Env, pool: Pool) -> PoolChange | None:
    """The change of this pool that has begun and not ended."""
    with env.reading() as session:
        return session.scalar(select(PoolChange).where(PoolChange.pool_id == pool.id, PoolChange.state.in_(UNDER_WAY)))


def last(env: Env, pool: Pool) -> PoolChange | None:
    """The change that `revert` undoes: the newest that is done."""
    with env.reading() as session:
        return session.scalar(_done(pool.id).limit(1))


def _done(pool_id: str) -> Select[PoolChange]:
    mine = select(PoolChange).where(PoolChange.pool_id == pool_id, PoolChange.state == "done")
    return mine.order_by(PoolChange.created_at.desc(), PoolChange.id.desc())


def begin(env: Env, pool: Pool, planned: Plan, *, runner: str, retire_misfits: bool = False) -> None:
    """Begin what was planned. Raises Busy where another change is under way, errors.ConcurrentModification where the
    pool has changed since the plan was made, Collided and errors.InvalidParameter for what stands in its way."""
    planned.refuse(retire_misfits=retire_misfits)
    now = env.now()
    with env.transaction():
        row = _locked_pool(env, pool.id)
        states = select(PoolChange.id).where(PoolChange.pool_id == row.id, PoolChange.state.in_(UNDER_WAY))
        if env.db.scalar(states):
            raise Busy("A change of this pool is under way: finish it with `apply`, or undo it with `revert`.")
        if difference(row, planned.after) != (planned.before, planned.after):
            raise errors.ConcurrentModification("The pool has changed since this was planned; plan it again.")
        if planned.rebuilds:
            # Of a change that was given up somebody may have written a name since: it would be in the way of this one.
            env.db.execute(delete(Alias).where(Alias.pool_id == row.id, Alias.generation > row.generation))
            settings = settings_after(row.settings, planned.after)
            row.building = {name: settings[name] for name in NAMING if name in settings}
        previous = env.db.scalar(
            select(PoolChange.created_at)
            .where(PoolChange.pool_id == row.id)
            .order_by(PoolChange.created_at.desc())
            .limit(1)
        )
        # In the order they were made, even where the clock stood still or went back.
        created = max(now, previous + timedelta(microseconds=1)) if previous else now
        env.db.add(
            PoolChange(
                id=env.random.uuid(),
                pool_id=row.id,
                before=planned.before,
                after=planned.after,
                state="building",
                runner=runner,
                touched_at=now,
                created_at=created,
            )
        )
        env.configuration_changed()


def take_up(env: Env, pool: Pool, *, runner: str) -> PoolChange | None:
    """Go on with the change that is under way. Raises Busy while another runner is at work on it."""
    with env.transaction():
        change = _locked_change(env, pool.id)
        if change is None:
            return None
        idle = env.now() - change.touched_at
        if change.runner not in (None, runner) and idle < LEASE:
            raise Busy(
                f"Another process is changing this pool; its last step was {idle.seconds} s ago. "
                f"If it has ended, try again {(LEASE - idle).seconds + 1} s from now."
            )
        change.runner, change.touched_at = runner, env.now()
        return change


def give_up(env: Env, pool: Pool, *, runner: str) -> None:
    """Turn a change back that has not switched; `advance` then takes its names away. Raises Busy, and
    errors.InvalidParameter where there is none, or where it has switched."""
    change = take_up(env, pool, runner=runner)
    if change is None or change.state == "cleaning":
        said = "No change of this pool is under way." if change is None else "The change has been made already."
        raise errors.InvalidParameter(said)
    with env.transaction():
        row = _locked_pool(env, pool.id)
        mine = _own_change(env, pool.id, runner)
        if mine.state == "building":
            row.building = None
            mine.state, mine.cursor = "giving up", None
            env.configuration_changed()


def run(
    env: Env,
    pool: Pool,
    *,
    runner: str,
    wait: Callable[[], None],
    retire_misfits: bool = False,
    report: Callable[[Step], None] = lambda step: None,
) -> None:
    """Bring the change that is under way to its end. `wait` lets SETTLE seconds pass.

    Raises Collided where two users came to have one name since it was planned, and Busy where another runner took it.
    """
    try:
        wait()  # whoever read the pool before the change began, or before its last runner stopped
        while (step := advance(env, pool, runner=runner, retire_misfits=retire_misfits)) is not None:
            report(step)
            if step.settles:
                wait()
    except BaseException:
        _let_go(env, pool, runner)
        raise


def _let_go(env: Env, pool: Pool, runner: str) -> None:
    """Who stops in an orderly way leaves the change to the next one at once."""
    with env.transaction():
        change = _locked_change(env, pool.id)
        if change is not None and change.runner == runner:
            change.runner = None


def advance(env: Env, pool: Pool, *, runner: str, retire_misfits: bool = False) -> Step | None:
    """Take the next step of the change that is under way: at most one batch of users, in one transaction. None when
    there is none left. Raises what `run` does."""

    def step() -> Step | None:
        with env.transaction():
            return _advance(env, pool.id, runner, retire_misfits)

    # Two who each hold a name that the other wants: the database ends one, and a step can be taken again.
    return env.patiently(step)


def _advance(env: Env, pool_id: str, runner: str, retire_misfits: bool) -> Step | None:
    change = _locked_change(env, pool_id)
    if change is None:
        return None
    if change.runner != runner:
        raise Busy("Another process has taken over this change.")
    change.touched_at = env.now()
    match change.state:
        case "building":
            return _build(env, pool_id, change)
        case "giving up":
            return _clear(env, pool_id, change)
    return _clean(env, pool_id, change, retire_misfits)


def _build(env: Env, pool_id: str, change: PoolChange) -> Step:
    pool = env.db.get_one(Pool, pool_id)
    if pool.building is not None:
        users = names.batch(env, pool_id, User.sub > (change.cursor or ""))
        if users:
            raise_collided(names.claim(env, pool.namings[-1], users))
            change.cursor = users[-1].sub
            return Step("building", len(users))
    return _switch(env, pool_id, change)


def _switch(env: Env, pool_id: str, change: PoolChange) -> Step:
    """The new rules become those in use. The lock of the pool's row keeps new users out on PostgreSQL, whose foreign
    key locks it too; SQLite has one writer anyway."""
    pool = _locked_pool(env, pool_id)
    if pool.building is not None:
        rules = pool.namings[-1]
        stragglers = names.batch(env, pool_id, ~names.named(rules.generation))
        if stragglers:
            raise_collided(names.claim(env, rules, stragglers))
            return Step("building", len(stragglers))
        raise_collided(names.hidden(env, pool_id, rules))
    definitions = change.after.get("attributes") or {}
    removed = [name for name, one in definitions.items() if one is None]
    in_the_way = list(clients_in_the_way(env, pool, removed, ()))
    if in_the_way:
        raise errors.InvalidParameter(" ".join(in_the_way))
    pool.settings = settings_after(pool.settings, change.after)
    if pool.building is not None:
        pool.generation, pool.building = pool.generation + 1, None
    pool.modified_at = env.now()
    change.state, change.cursor = "cleaning", None
    env.configuration_changed()
    return Step("switched", 0, settles=True)


def _clean(env: Env, pool_id: str, change: PoolChange, retire_misfits: bool) -> Step | None:
    pool = env.db.get_one(Pool, pool_id)
    undone = _undone(env, change)
    rebuilt = any(name in change.after for name in NAMING)
    unclaimed: list[Collision] = []
    if rebuilt or change.after.get("attributes"):
        users = names.batch(env, pool_id, User.sub > (change.cursor or ""))
        if users:
            if rebuilt:
                unclaimed = names.claim(env, pool.naming, names.unnamed(env, pool.generation, users))
                subs = [user.sub for user in users]
                current = names.of_generation(pool.generation)
                env.db.execute(delete(Alias).where(Alias.user_sub.in_(subs), ~current))
            for user in users:
                _retire(pool, user, change.after.get("attributes") or {}, retire_misfits)
                if undone:
                    _bring_back(pool, user, change.after.get("attributes") or {})
            change.cursor = users[-1].sub
            return Step("cleaning", len(users), unclaimed=tuple(unclaimed))
    change.state, change.finished_at, change.runner = "done", env.now(), None
    if undone:
        change.state = undone.state = "reverted"
    return Step("done", 0)


def _clear(env: Env, pool_id: str, change: PoolChange) -> Step:
    """Take away the names of a generation that nobody will use."""
    pool = env.db.get_one(Pool, pool_id)
    key = (Alias.pool_id, Alias.generation, Alias.attribute, Alias.value)
    some = select(*key).where(Alias.pool_id == pool_id, Alias.generation > pool.generation).limit(4 * BATCH)
    gone = len(env.db.execute(delete(Alias).where(tuple_(*key).in_(some)).returning(Alias.user_sub)).all())
    if gone:
        return Step("giving up", gone)
    change.state, change.finished_at, change.runner = "reverted", env.now(), None
    return Step("done", 0)


def _undone(env: Env, change: PoolChange) -> PoolChange | None:
    """The change before this one, if this one is its very opposite."""
    before: PoolChange | None = env.db.scalar(_done(change.pool_id).limit(1))
    if before and (before.before, before.after) == (change.after, change.before):
        return before
    return None


def _retire(pool: Pool, user: User, definitions: Mapping[str, Any], retire_misfits: bool) -> None:
    schema = pool.schema
    aside = {
        name: user.attributes[name]
        for name, definition in definitions.items()
        if custom(name)
        and name in user.attributes
        and (name not in schema or (retire_misfits and definition and not fits(pool, name, user.attributes[name])))
    }
    if aside:
        user.retired = {**(user.retired or {}), **aside}
        user.attributes = {name: value for name, value in user.attributes.items() if name not in aside}


def _bring_back(pool: Pool, user: User, definitions: Mapping[str, Any]) -> None:
    kept = user.retired or {}
    back = {
        name: kept[name]
        for name in definitions
        if name in kept and name in pool.schema and fits(pool, name, kept[name])
    }
    if back:
        user.attributes = {**back, **user.attributes}
        user.retired = {name: value for name, value in kept.items() if name not in back} or None


# -- rows ------------------------------------------------------------------------------------------------------


def _locked_pool(env: Env, pool_id: str) -> Pool:
    row = env.db.get(Pool, pool_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise errors.UnknownPool(pool_id)
    return row


def _locked_change(env: Env, pool_id: str) -> PoolChange | None:
    query = select(PoolChange).where(PoolChange.pool_id == pool_id, PoolChange.state.in_(UNDER_WAY))
    return env.db.scalar(query.with_for_update())


def _own_change(env: Env, pool_id: str, runner: str) -> PoolChange:
    change = _locked_change(env, pool_id)
    if change is None or change.runner != runner:
        raise Busy("Another process has taken over this change.")
    return change
