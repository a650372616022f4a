"""Which user a name means, and what may be said when it means none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from app import errors
from app.audit import record
from app.db import table
from app.env import Env
from app.models import Alias, Client, Password, Pool, User
from app.policy.attributes import ADDRESSES, looks_like_email, looks_like_phone, name_key
from app.statements import Statement, columns, record_of

SIGN_IN_ATTRIBUTES = ("email", "phone_number", "preferred_username")
"""What a pool's users may sign in by, besides the username."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

SELECT_STATUS = select(User.status).where(User.sub == bindparam("sub"))


@dataclass(frozen=True)
class Found:
    user: User
    password: Password | None


def by_name(env: Env, pool: Pool, name: str) -> Found | None:
    """The user whom a name, in this order, is the `sub`, the username, a verified address or another alias of. One
    statement.

    (The reference leaves the order open. A `sub` is what nobody can choose, so nobody can call himself by that of
    another and be taken for him; then the username, so that no alias can shadow it; and what somebody has proven to be
    his comes before what he only calls himself.)
    """
    found = _meant(env, pool, name, lean=False)
    return Found(found[0], found[1]) if found else None


def sub_by_name(env: Env, pool: Pool, name: str) -> str | None:
    """The `sub` of whom `by_name` finds, and nothing of him: it takes as long to find nobody. For strangers' questions
    that are answered alike whoever is meant."""
    found = _meant(env, pool, name, lean=True)
    return str(found[0]) if found else None


def _meant(env: Env, pool: Pool, name: str, *, lean: bool) -> tuple[Any, ...] | None:
    if "\0" in name:
        return None  # nobody is called so, and PostgreSQL refuses to be asked
    mine = pool.sign_in_attributes
    attributes = tuple(one for one in SIGN_IN_ATTRIBUTES if one in mine and _could_be(one, name))
    statement = (_SUBS if lean else _USERS)[_UUID.fullmatch(name) is not None, attributes]
    meant = {"pool": pool.id, "generation": pool.generation, "name": name, "key": name_key(pool, name)}
    return statement.first(env, meant)


def _query(as_sub: bool, attributes: tuple[str, ...], lean: bool) -> Select[*tuple[Any, ...]]:
    """One branch per way to be meant, so that each uses its own index."""
    key = bindparam("key", type_=String)
    branches = []
    ranks = {"username": 1, **{attribute: 2 if attribute in ADDRESSES else 3 for attribute in attributes}}
    for attribute, rank in ranks.items():
        where = (
            Alias.pool_id == bindparam("pool"),
            Alias.generation == bindparam("generation"),
            Alias.attribute == attribute,
            Alias.value == key,
        )
        branches.append(_branch(rank, Alias.user_sub, *where))
    if as_sub:
        branches.append(_branch(0, User.sub, User.pool_id == bindparam("pool"), User.sub == bindparam("name")))
    candidates = union_all(*branches).subquery()
    best = select(candidates.c.sub).order_by(candidates.c.rank).limit(1)
    if lean:
        return best
    first = best.scalar_subquery()
    of = table(User).outerjoin(table(Password), Password.user_sub == User.sub)
    return select(*columns(User), *columns(Password)).select_from(of).where(table(User).c.sub == first)


def _branch(rank: int, sub: InstrumentedAttribute[str], *where: ColumnElement[bool]) -> Select[str, int]:
    return select(sub.label("sub"), literal(rank).label("rank")).where(*where)


def _of_each_shape(lean: bool, *records: type[Any]) -> dict[tuple[bool, tuple[str, ...]], Statement]:
    """A statement for each form that a name can have: whether it could be a `sub`, and which attributes a pool's users
    sign in by. Each is built when it is first executed."""
    chosen = [some for n in range(len(SIGN_IN_ATTRIBUTES) + 1) for some in combinations(SIGN_IN_ATTRIBUTES, n)]
    return {
        (as_sub, some): Statement(partial(_of_shape, (as_sub, some), lean), *records)
        for as_sub, some in product((False, True), chosen)
    }


def _of_shape(shape: tuple[bool, tuple[str, ...]], lean: bool, dialect: str) -> Select[*tuple[Any, ...]]:
    return _query(*shape, lean)


_SUBS = _of_each_shape(True)
_USERS = _of_each_shape(False, record_of(User), record_of(Password))


def _could_be(attribute: str, name: str) -> bool:
    if attribute == "email":
        return looks_like_email(name)
    return attribute != "phone_number" or looks_like_phone(name)


def existing(env: Env, pool: Pool, name: str) -> Found:
    """For administrators, to whom existence is no secret. Raises errors.UserNotFound."""
    found = by_name(env, pool, name)
    if found is None:
        raise errors.UserNotFound
    record.about(user_sub=found.user.sub)
    return found


def locked(env: Env, sub: str) -> User:
    """A user's row, for a change that was decided on what was read before: his until the commit. Inside a
    transaction. Raises errors.UserNotFound: he may have been deleted since."""
    user = env.db.get(User, sub, with_for_update=True)
    if user is None:
        raise errors.UserNotFound
    return user


def absent(client: Client, otherwise: errors.Refusal, sentence: str | None = None) -> errors.Refusal:
    """What to say when there is no such user: `otherwise`, which says as much to a known one, where the client hides
    who exists (PreventUserExistenceErrors; reference: 3.4), else the truth."""
    return otherwise if client.hides_users else errors.UserNotFound(sentence)
