"""Writing attributes to a user, and claiming the names that sign him in."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update

from app import errors
from app.db import raising
from app.env import Env
from app.models import Alias, Naming, Pool, User
from app.models.user import CORE, SEARCHED
from app.policy.attributes import ADDRESSES, name_key, search_key

Claim = tuple[int, str, str]
"""Generation, attribute, value: the key of an alias within its pool."""


def write(user: User, attributes: Mapping[str, str]) -> None:
    """Put values where they live: core attributes in columns, the others in the document, and what is searched for
    beside them. An empty value removes."""
    others = dict(user.attributes or {})
    for name, value in attributes.items():
        if name in CORE:
            setattr(user, name, _typed(name, value))
        elif value:
            others[name] = value
        else:
            others.pop(name, None)
        if name in SEARCHED:
            setattr(user, f"{name}_key", search_key(value) if value else None)
    user.attributes = others


def _typed(name: str, value: str) -> str | bool | None:
    if name.endswith("_verified"):
        return value.lower() == "true"
    return value or None


def claim_names(
    env: Env, pool: Pool, user: User, *, force: bool = False, new: bool = False, taken: str | None = None
) -> None:
    """Make the user's username and addresses sign him in, and no address that he has left.

    Inside a transaction. Two requests for one name both pass any look made beforehand, so the unique key is the check.
    With `force`, an address that another user holds moves here and becomes unverified there (ForceAliasCreation).
    A user who is `new` has no names yet. Raises errors.UsernameExists (with `taken` as its sentence) for the username
    and for a new user's address in its place, errors.AliasExists for any other address.
    """
    # In one order everywhere: two transactions that want the same names in different orders would wait for each other.
    wanted = {claim: None for rules in pool.namings for claim in claims(rules, user)}
    held = set() if new else _held(env, user)
    for generation, attribute, value in held - wanted.keys():
        env.db.execute(
            delete(Alias).where(
                Alias.pool_id == pool.id,
                Alias.generation == generation,
                Alias.attribute == attribute,
                Alias.value == value,
            )
        )
    for claim in wanted:
        if claim not in held:
            _claim(env, pool, user, claim, force=force, new=new, taken=taken)


def claims(rules: Naming, user: User) -> list[Claim]:
    """The names by which a user signs in under these rules: his username; addresses once they are verified, or at
    once where they take the username's place; a preferred username as soon as he has it."""
    found = [(rules.generation, "username", name_key(rules, user.username))]
    for attribute in rules.sign_in_attributes:
        address = getattr(user, attribute)
        at_once = attribute in rules.username_attributes or attribute not in ADDRESSES
        if address and (at_once or user.verified(attribute)):
            found.append((rules.generation, attribute, name_key(rules, address)))
    return found


def _held(env: Env, user: User) -> set[Claim]:
    rows = env.db.execute(select(Alias.generation, Alias.attribute, Alias.value).where(Alias.user_sub == user.sub))
    return {(row.generation, row.attribute, row.value) for row in rows}


def _claim(env: Env, pool: Pool, user: User, claim: Claim, *, force: bool, new: bool, taken: str | None) -> None:
    generation, attribute, value = claim
    if force and attribute in ADDRESSES and attribute not in pool.username_attributes:
        _take_from_holder(env, pool, claim)
    refusal: errors.Refusal
    sentence = f"An account with the given {attribute} already exists."
    if attribute == "username":
        refusal = errors.UsernameExists(taken)
    elif new and attribute in pool.username_attributes:
        refusal = errors.UsernameExists(sentence)
    else:
        refusal = errors.AliasExists(sentence, field=attribute)
    with raising(env.db, pk_alias=refusal):
        env.db.execute(
            insert(Alias).values(
                pool_id=pool.id, generation=generation, attribute=attribute, value=value, user_sub=user.sub
            )
        )


def _take_from_holder(env: Env, pool: Pool, claim: Claim) -> None:
    generation, attribute, value = claim
    where = (
        Alias.pool_id == pool.id,
        Alias.generation == generation,
        Alias.attribute == attribute,
        Alias.value == value,
    )
    holder = env.db.scalar(delete(Alias).where(*where).returning(Alias.user_sub))
    if holder is not None:
        env.db.execute(update(User).where(User.sub == holder).values({f"{attribute}_verified": False}))
