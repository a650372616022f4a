"""Writing attributes to a user, and claiming the addresses that sign him in."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select, update

from app import errors
from app.db import raising
from app.env import Env
from app.models import Alias, Pool, User
from app.models.user import CORE
from app.policy.attributes import ADDRESSES, name_key


def write(user: User, attributes: Mapping[str, str]) -> None:
    """Put values where they live: core attributes in columns, the others in the document. An empty value removes."""
    others = dict(user.attributes or {})
    for name, value in attributes.items():
        if name in CORE:
            setattr(user, name, _typed(name, value))
        elif value:
            others[name] = value
        else:
            others.pop(name, None)
    user.attributes = others


def _typed(name: str, value: str) -> str | bool | None:
    if name.endswith("_verified"):
        return value.lower() == "true"
    return value or None


def claim_aliases(env: Env, pool: Pool, user: User, *, force: bool = False) -> None:
    """Make the user's addresses sign him in, those verified or, where an address is the username, at once; and no
    address that he has left.

    Inside a transaction. With `force`, an address that another user holds moves here and becomes unverified there
    (ForceAliasCreation). Raises errors.AliasExists, or errors.UsernameExists where the address is the username.
    """
    for attribute in pool.sign_in_attributes:
        address = getattr(user, attribute)
        active = address and (
            attribute in pool.username_attributes or attribute not in ADDRESSES or user.verified(attribute)
        )
        value = name_key(pool, address) if active else None
        env.db.execute(
            delete(Alias).where(
                Alias.user_sub == user.sub, Alias.attribute == attribute, *((Alias.value != value,) if value else ())
            )
        )
        if value:
            _claim(env, pool, user, attribute, value, force=force)


def _claim(env: Env, pool: Pool, user: User, attribute: str, value: str, *, force: bool) -> None:
    where = (Alias.pool_id == pool.id, Alias.attribute == attribute, Alias.value == value)
    holder = env.db.scalar(select(Alias.user_sub).where(*where).with_for_update())
    if holder == user.sub:
        return
    if holder is not None and force:
        env.db.execute(delete(Alias).where(*where))
        if attribute in ADDRESSES:
            env.db.execute(update(User).where(User.sub == holder).values({f"{attribute}_verified": False}))
    sentence = f"An account with the given {attribute} already exists."
    taken: errors.Refusal = errors.AliasExists(sentence, field=attribute)
    if attribute in pool.username_attributes:
        taken = errors.UsernameExists(sentence)
    with raising(env.db, pk_alias=taken):
        env.db.add(Alias(pool_id=pool.id, attribute=attribute, value=value, user_sub=user.sub))
