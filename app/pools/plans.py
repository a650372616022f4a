"""What a change of a pool would do to its users, and what stands in its way (app.pools.changes makes it)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import Client, Naming, Pool, User
from app.policy import attributes as policy
from app.policy.attributes import ADDRESSES, Claim, claims
from app.pools.names import BATCH, SHOWN, Collided, Collision

MOST_CUSTOM = 50
"""Custom attributes of a pool (reference: 2.4)."""
NAMING = ("username_configuration", "alias_attributes", "username_attributes")
FIXED = policy.SERVER_ONLY | {"updated_at"}
"""Standard attributes that only the server writes: they stay as they are."""

Wanted = Mapping[str, Any]
"""Any of NAMING in the words of `Pool.settings`, and `attributes`: definitions by whole name, None for none."""


@dataclass(frozen=True)
class Misfits:
    count: int
    users: tuple[str, ...]
    """Usernames of the first."""


@dataclass(frozen=True)
class Plan:
    """What a change does, and what stands in its way."""

    before: dict[str, Any]
    after: dict[str, Any]
    collisions: tuple[Collision, ...] = ()
    """The first; `colliding` counts all."""
    colliding: int = 0
    nameless: int = 0
    """Users who could sign in only with their `sub`."""
    lacking: Mapping[str, int] = field(default_factory=dict)
    """Users without a value, by newly required attribute."""
    misfits: Mapping[str, Misfits] = field(default_factory=dict)
    """Values that do not fit, by altered attribute."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Values that are put aside, by removed attribute."""
    clients: tuple[str, ...] = ()
    """Why clients stand in the way, a sentence each."""

    @property
    def rebuilds(self) -> bool:
        """Whether all users need new names."""
        return any(name in self.after for name in NAMING)

    def refuse(self, *, retire_misfits: bool) -> None:
        """Raises Collided or errors.InvalidParameter for what stands in the way."""
        if self.collisions:
            raise Collided(self.collisions)
        if self.clients:
            raise errors.InvalidParameter(" ".join(self.clients))
        stuck = [name for name in self.misfits if not (retire_misfits and custom(name))]
        if stuck:
            raise errors.InvalidParameter(
                f"Values of {', '.join(sorted(stuck))} do not fit their new definition; change them first"
                + (", or put them aside with --retire-misfits." if all(map(custom, stuck)) else ".")
            )


def difference(pool: Pool, wanted: Wanted) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of this is otherwise in the pool: as it is, and as it will be."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name in NAMING:
        if name in wanted:
            was, will = _plain(name, pool.settings.get(name)), _plain(name, wanted[name])
            if was != will:
                before[name], after[name] = was, will
    present = {one["name"]: one for one in pool.settings["attributes"]}
    changed = {
        name: definition
        for name, definition in (wanted.get("attributes") or {}).items()
        if present.get(name) != definition
    }
    if changed:
        before["attributes"] = {name: present.get(name) for name in changed}
        after["attributes"] = changed
    return before, after


def _plain(name: str, value: Any) -> Any:
    """Rules that mean the same look the same: no list is an empty one, and an order says nothing."""
    if name == "username_configuration":
        return {"case_sensitive": bool((value or {}).get("case_sensitive", True))}
    return sorted(value or [])


def settings_after(settings: Mapping[str, Any], after: Wanted) -> dict[str, Any]:
    """A pool's settings with a change made. Raises errors.InvalidParameter for what contradicts itself."""
    found = {**settings, **{name: after[name] for name in NAMING if name in after}}
    attributes = {one["name"]: one for one in settings["attributes"]}
    for name, definition in (after.get("attributes") or {}).items():
        if definition is not None:
            attributes[name] = definition
        else:
            attributes.pop(name, None)
    found["attributes"] = list(attributes.values())
    _check(found, {one["name"]: one for one in settings["attributes"]}, after)
    return found


def _check(settings: Mapping[str, Any], present: Mapping[str, Any], after: Wanted) -> None:
    attributes = {one["name"]: one for one in settings["attributes"]}
    if settings.get("alias_attributes") and settings.get("username_attributes"):
        raise errors.InvalidParameter(
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool."
        )
    for name, definition in (after.get("attributes") or {}).items():
        if not custom(name) and definition is None:
            raise errors.InvalidParameter(f"{name} is a standard attribute and cannot be removed.")
        if name in FIXED and definition != present.get(name):
            raise errors.InvalidParameter(f"{name} is written by the server and cannot be changed.")
        if definition is not None:
            _check_definition(definition, present.get(name))
    if "preferred_username" in settings.get("alias_attributes", []) and attributes["preferred_username"]["required"]:
        raise errors.InvalidParameter("preferred_username cannot be both an alias and required.")
    if sum(map(custom, attributes)) > MOST_CUSTOM:
        raise errors.InvalidParameter(f"A pool has at most {MOST_CUSTOM} custom attributes.")


def _check_definition(definition: Mapping[str, Any], present: Mapping[str, Any] | None) -> None:
    name, kind = definition["name"], definition["kind"]
    if not custom(name) and present is not None and kind != present["kind"]:
        raise errors.InvalidParameter(f"{name} is a standard attribute; its type cannot be changed.")
    for low, high in (("shortest", "longest"), ("least", "greatest")):
        least, most = definition.get(low), definition.get(high)
        if least is not None and most is not None and most < least:
            raise errors.InvalidParameter(f"{name}: the upper bound is below the lower one.")
    if not all(0 <= (definition.get(bound) or 0) <= policy.LONGEST for bound in ("shortest", "longest")):
        raise errors.InvalidParameter(f"{name}: a length is from 0 to {policy.LONGEST}.")


def custom(name: str) -> bool:
    """Whether an attribute is the pool's own, by its whole name."""
    return ":" in name


def plan(env: Env, pool: Pool, wanted: Wanted) -> Plan:
    """Look at every user for what a change would do to him. Reads a page at a time, and holds nothing up.

    Raises errors.InvalidParameter for rules that contradict themselves.
    """
    before, after = difference(pool, wanted)
    if not after:
        return Plan(before, after)
    settings = settings_after(pool.settings, after)
    will_be = Pool(id=pool.id, generation=pool.generation + 1, building=None, settings=settings)
    rebuilds = any(name in after for name in NAMING)
    definitions = after.get("attributes") or {}
    was = pool.schema
    required = {
        name
        for name, one in definitions.items()
        if one and one["required"] and not (name in was and was[name].required)
    }
    altered = {name for name, one in definitions.items() if one and name in was}
    removed = {name for name, one in definitions.items() if one is None}

    seen: set[int] = set()
    twice: set[int] = set()
    nameless = 0
    lacking: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    misfits: dict[str, list[str]] = defaultdict(list)
    for user in _users(env, pool):
        if rebuilds:
            names = {_hashed(claim) for claim in claims(will_be.naming, user)}
            twice |= names & seen
            seen |= names
            nameless += len(names) == 1 and user.username == user.sub
        if definitions:
            values = user.all_attributes
            lacking.update(name for name in required if not values.get(name))
            gone.update(name for name in removed if name in values)
            for name in altered:
                if name in values and not fits(will_be, name, values[name]):
                    misfits[name].append(user.username)
    found, count = _collisions(env, pool, will_be.naming, twice) if twice else ([], 0)
    return Plan(
        before,
        after,
        collisions=tuple(found),
        colliding=count,
        nameless=nameless,
        lacking=dict(lacking),
        misfits={name: Misfits(len(users), tuple(users[:SHOWN])) for name, users in sorted(misfits.items())},
        removed=dict(gone),
        clients=tuple(clients_in_the_way(env, pool, removed, required)),
    )


def _users(env: Env, pool: Pool) -> Iterator[User]:
    """Every user in the order of `sub`, detached."""
    after = ""
    query = select(User).where(User.pool_id == pool.id).order_by(User.sub).limit(4 * BATCH)
    while True:
        with env.reading() as session:
            found = list(session.scalars(query.where(User.sub > after)))
        yield from found
        if len(found) < 4 * BATCH:
            return
        after = found[-1].sub


def _space(claim: Claim) -> tuple[str, str]:
    """Within what a name has to be one user's. A username that reads like somebody's address would hide him, since
    usernames are looked for first; a preferred username is beside both, as it is in every pool."""
    _, attribute, value = claim
    return ("name" if attribute in ("username", *ADDRESSES) else attribute, value)


def _hashed(claim: Claim) -> int:
    """Eight bytes instead of the name, so that a million users fit in memory; what is equal is looked at again."""
    return hash(_space(claim))


def _collisions(env: Env, pool: Pool, rules: Naming, suspects: set[int]) -> tuple[list[Collision], int]:
    holders: dict[tuple[str, str], str] = {}
    found: list[Collision] = []
    count = 0
    for user in _users(env, pool):
        mine: set[tuple[str, str]] = set()
        for claim in claims(rules, user):
            space = _space(claim)
            if _hashed(claim) not in suspects or space in mine:
                continue
            mine.add(space)
            holder = holders.setdefault(space, user.username)
            if holder != user.username:
                count += 1
                found.append(Collision(claim[1], claim[2], holder, user.username))
    found.sort(key=lambda one: (one.first, one.second))
    return found[:SHOWN], count


def fits(pool: Pool, name: str, value: str) -> bool:
    """Whether the pool would take the value now."""
    try:
        policy.check_values(pool, {name: value})
    except errors.InvalidParameter:
        return False
    return True


def clients_in_the_way(env: Env, pool: Pool, removed: Iterable[str], required: Iterable[str]) -> Iterator[str]:
    """Clients whose lists name what would be gone, or lack what would be required."""
    query = select(Client.id, Client.name, Client.settings).where(Client.pool_id == pool.id).order_by(Client.id)
    with env.reading() as session:
        clients = session.execute(query).all()
    for client_id, name, settings in clients:
        who = f"Client {client_id} ({name})"
        writable = settings.get("write_attributes") or []
        named = sorted({*(settings.get("read_attributes") or []), *writable} & set(removed))
        if named:
            yield f"{who} may read or write {', '.join(named)}: take it off its lists first."
        unwritable = sorted(set(required) - set(writable)) if writable else []
        if unwritable:
            yield f"{who} cannot write {', '.join(unwritable)}: put it on its list first."
