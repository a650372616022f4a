"""The names of users who were there before their pool changed its rules of naming, claimed in batches
(app.pools.changes; reference: 2.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import aliased

from app import errors
from app.db import inserting
from app.env import Env
from app.models import Alias, Naming, User
from app.policy.attributes import ADDRESSES, Claim, claims

BATCH = 500
"""Users per transaction: few enough that nobody who signs in or up notices."""
SHOWN = 20
"""Collisions that are told; the others are counted."""


@dataclass(frozen=True)
class Collision:
    """One name that would be of two users."""

    attribute: str
    value: str
    first: str
    second: str
    """Usernames."""


class Collided(errors.InvalidParameter):
    """Two users would have one name: the change cannot be made until one of them has another."""

    def __init__(self, found: Sequence[Collision]) -> None:
        self.collisions = tuple(found)
        one = found[0]
        super().__init__(
            f"The {one.attribute} {one.value} would sign in both {one.first} and {one.second}. Nothing has switched: "
            "change one of them and go on with `apply`, or give up with `revert`."
        )


def batch(env: Env, pool_id: str, which: ColumnElement[bool]) -> list[User]:
    """The next users, locked: whoever changes one of them at this moment is waited for, and then what he wrote is
    what is read."""
    query = select(User).where(User.pool_id == pool_id, which).order_by(User.sub).limit(BATCH)
    return list(env.db.scalars(query.with_for_update()))


def named(generation: int) -> ColumnElement[bool]:
    """Whether a user has his username under the rules of this generation: the first that he is given."""
    return exists().where(Alias.user_sub == User.sub, of_generation(generation), Alias.attribute == "username")


def of_generation(generation: int) -> ColumnElement[bool]:
    """For names that are looked up by their users. A sum, because the primary key begins with pool and generation: a
    database that counts on it reads all names of the generation for each batch."""
    return Alias.generation + 0 == generation


def unnamed(env: Env, generation: int, users: Sequence[User]) -> list[User]:
    """Those of locked users who have no username under these rules."""
    lacking = select(User.sub).where(User.sub.in_([user.sub for user in users]), ~named(generation))
    subs = set(env.db.scalars(lacking))
    return [user for user in users if user.sub in subs]


def claim(env: Env, rules: Naming, users: Sequence[User]) -> list[Collision]:
    """Give locked users their names under these rules, and take from them what is not theirs any more. Returns the
    names that others hold."""
    if not users:
        return []
    pool_id = users[0].pool_id
    wanted = {claim: user for user in reversed(users) for claim in claims(rules, user)}
    shared = [
        _collision(claim, wanted[claim], user)
        for user in users
        for claim in claims(rules, user)
        if wanted[claim] is not user
    ]
    if shared:
        return shared
    _insert(env, pool_id, wanted)
    missing = _without(env, pool_id, rules, users, wanted)
    if missing:
        _release(env, pool_id, rules, missing)
        _insert(env, pool_id, {claim: wanted[claim] for claim in missing})
        missing = _without(env, pool_id, rules, users, wanted)
    return [_collision(claim, holder, wanted[claim]) for claim, holder in _holders(env, pool_id, missing)]


def _insert(env: Env, pool_id: str, wanted: Mapping[Claim, User]) -> None:
    # Usernames first, as everybody claims them: of two who want the same names in different orders each would wait.
    ordered = sorted(wanted, key=lambda claim: (claim[1] != "username", claim))
    rows = [
        {"pool_id": pool_id, "generation": generation, "attribute": attribute, "value": value, "user_sub": user.sub}
        for (generation, attribute, value), user in ((claim, wanted[claim]) for claim in ordered)
    ]
    env.db.execute(inserting(env.db, Alias).values(rows).on_conflict_do_nothing())


def _without(env: Env, pool_id: str, rules: Naming, users: Sequence[User], wanted: Mapping[Claim, User]) -> list[Claim]:
    """The names among these that their users do not hold. What they hold besides is deleted."""
    subs = [user.sub for user in users]
    mine = (Alias.user_sub.in_(subs), of_generation(rules.generation))
    held = {
        ((row.generation, row.attribute, row.value), row.user_sub)
        for row in env.db.execute(select(Alias.generation, Alias.attribute, Alias.value, Alias.user_sub).where(*mine))
    }
    left = held - {(claim, user.sub) for claim, user in wanted.items()}
    for claim, _ in left:
        env.db.execute(delete(Alias).where(*_key(pool_id, claim)))
    return [claim for claim, user in wanted.items() if (claim, user.sub) not in held]


def _release(env: Env, pool_id: str, rules: Naming, names: Iterable[Claim]) -> None:
    """Take names from users whose they are no longer: someone who knew nothing of the change moved an address from one
    user to another, and could not move it here."""
    for claim, _ in _holders(env, pool_id, names):
        query = select(User).join(Alias, Alias.user_sub == User.sub).where(*_key(pool_id, claim))
        # Read anew: `_holders` has loaded the same user before the lock, and the session would keep what it has.
        current = query.with_for_update(of=User).execution_options(populate_existing=True)
        holder = env.db.scalar(current)
        if holder and claim not in claims(rules, holder):
            env.db.execute(delete(Alias).where(*_key(pool_id, claim), Alias.user_sub == holder.sub))


def _holders(env: Env, pool_id: str, names: Iterable[Claim]) -> Iterator[tuple[Claim, User]]:
    for claim in names:
        query = select(User).join(Alias, Alias.user_sub == User.sub).where(*_key(pool_id, claim))
        holder = env.db.scalar(query)
        if holder:
            yield claim, holder


def _key(pool_id: str, claim: Claim) -> tuple[ColumnElement[bool], ...]:
    generation, attribute, value = claim
    return (
        Alias.pool_id == pool_id,
        Alias.generation == generation,
        Alias.attribute == attribute,
        Alias.value == value,
    )


def hidden(env: Env, pool_id: str, rules: Naming) -> list[Collision]:
    """Addresses of users that are usernames of others, who came since the plan was made."""
    addresses = [attribute for attribute in rules.sign_in_attributes if attribute in ADDRESSES]
    name, address = aliased(Alias), aliased(Alias)
    theirs = (address.pool_id == pool_id, address.generation == rules.generation, address.attribute.in_(addresses))
    query = (
        select(address.generation, address.attribute, address.value, name.user_sub, address.user_sub)
        .where(*theirs, name.pool_id == pool_id, name.generation == rules.generation)
        .where(name.attribute == "username", name.value == address.value, name.user_sub != address.user_sub)
        .limit(SHOWN)
    )
    found = []
    for generation, attribute, value, first, second in env.db.execute(query).all() if addresses else ():
        holders = env.db.get_one(User, first), env.db.get_one(User, second)
        found.append(_collision((generation, attribute, value), *holders))
    return found


def _collision(claim: Claim, first: User, second: User) -> Collision:
    return Collision(claim[1], claim[2], first.username, second.username)


def raise_collided(found: Sequence[Collision]) -> None:
    """Raises Collided if there are any."""
    if found:
        raise Collided(found)
