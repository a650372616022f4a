"""What is told of a name that means nobody, where that is hidden: what a user of the pool would be told, the same each
time, and nothing that a second question contradicts (PreventUserExistenceErrors; reference: 3.4).

Such a name has an invented `sub`, which is itself a name of the same nobody, as the `sub` of a user is one of theirs:
both are counted together, and have one salt, and one address. What the address begins with is hidden in it.
"""

from __future__ import annotations

import re
from functools import cache
from string import ascii_lowercase, digits
from typing import Any

from sqlalchemy import Select, bindparam, literal, or_, select, union_all

from app.env import Env
from app.models import Pool, User
from app.policy.attributes import looks_like_email, looks_like_phone, name_key

LOOKED_AT = 20
"""Users, from one `sub` on, among whom one with an address is looked for."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LETTERS = ascii_lowercase + digits
_NEITHER, _EMAIL, _PHONE = range(3)


def sub(env: Env, pool: Pool, name: str) -> str:
    """The invented `sub` of a name: a version 4 UUID (RFC 9562, 5.4). What could be one is its own."""
    key = name_key(pool, name)
    # Where usernames are made by the pool they are the `sub`, and are compared as names are.
    own = key if pool.username_attributes else name
    if _UUID.fullmatch(own):
        return own
    tail = env.keyed.number("invented sub", f"{pool.id} {key}", 14)
    # What the version and the variant replace must not decide over what is hidden.
    tail = bytes((*tail[:4], 0x40 | tail[4] & 0x0F, tail[5], 0x80 | tail[6] & 0x3F, *tail[7:]))
    head = int.from_bytes(_cover(env, pool, tail)) ^ _to_hide(key)
    text = (head.to_bytes(2) + tail).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def address(env: Env, pool: Pool, name: str) -> tuple[str, str] | None:
    """Attribute and address that a name shows, or an invented `sub` hides. Of the latter only what a mask shows."""
    key = name_key(pool, name)
    if looks_like_email(key):
        return "email", key
    if looks_like_phone(key):
        return "phone_number", key
    kind, number = _hidden(env, pool, sub(env, pool, name))
    if kind == _EMAIL:
        local, domain = divmod(number % len(_LETTERS) ** 2, len(_LETTERS))
        return "email", f"{_LETTERS[local]}@{_LETTERS[domain]}"
    if kind == _PHONE:
        return "phone_number", f"+{number % 10_000:04}"
    return None


def neighbour(env: Env, pool: Pool, name: str, attributes: tuple[str, ...]) -> dict[str, str]:
    """Addresses of these attributes whose masks look like those of the pool: of the kinds that the next user by `sub`
    has, and at the same domain. Empty where nobody near has any. One statement.

    Where that user's address begins as the username does, this one begins as the name; else with any letter.
    """
    invented = sub(env, pool, name)
    with env.reading() as session:
        found = session.execute(_near(attributes), {"pool": pool.id, "sub": invented}).first()
    if found is None:
        return {}
    shown = {}
    for attribute in attributes:
        value = getattr(found, attribute)
        if value and attribute == "phone_number":
            number = int.from_bytes(env.keyed.number("invented number", f"{pool.id} {invented}", 4))
            shown[attribute] = f"+{number % 10_000:04}"
        elif value:
            alike = value[:1].casefold() == found.username[:1].casefold()
            letter = env.keyed.number("invented letter", f"{pool.id} {invented}", 1)[0]
            first = _LETTERS[_hidden(env, pool, invented)[1] % len(_LETTERS)] if alike else ascii_lowercase[letter % 26]
            shown[attribute] = f"{first}@{value.rpartition('@')[2]}"
    return shown


@cache
def _near(attributes: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    """The first user from a `sub` on who has one of the addresses, else the first of all. Not many are looked at: where
    hardly anybody has one, a stranger's question must not cost a look at everybody."""
    columns = (User.username, *(getattr(User, attribute) for attribute in attributes))
    mine = User.pool_id == bindparam("pool")
    found = []
    for rank, where in enumerate((User.sub >= bindparam("sub"), User.sub < bindparam("sub"))):
        some = select(*columns, User.sub, literal(rank).label("rank")).where(mine, where)
        some_rows = some.order_by(User.pool_id, User.sub).limit(LOOKED_AT).subquery()
        has = or_(*(some_rows.c[attribute].is_not(None) for attribute in attributes))
        found.append(select(some_rows).where(has))
    both = union_all(*found).subquery()
    return select(both).order_by(both.c.rank, both.c.sub).limit(1)


def _to_hide(key: str) -> int:
    """16 bits: what a name looks like, and what the mask of its address shows, as far as 14 bits can say it."""
    if looks_like_email(key):
        local, _, domain = key.rpartition("@")
        return _EMAIL << 14 | _place(local) * len(_LETTERS) + _place(domain)
    if looks_like_phone(key):
        return _PHONE << 14 | int(key[-4:].lstrip("+"))
    return _NEITHER << 14 | _place(key)


def _place(text: str) -> int:
    return max(_LETTERS.find(text[:1]), 0)


def _hidden(env: Env, pool: Pool, invented: str) -> tuple[int, int]:
    raw = bytes.fromhex(invented.replace("-", ""))
    return divmod(int.from_bytes(raw[:2]) ^ int.from_bytes(_cover(env, pool, raw[2:])), 1 << 14)


def _cover(env: Env, pool: Pool, tail: bytes) -> bytes:
    return env.keyed.number("invented sub covered", f"{pool.id} {tail.hex()}", 2)
