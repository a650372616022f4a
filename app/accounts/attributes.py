"""Writing attributes to a user, and claiming the names that sign him in (reference: 2.3, 4.6).

Whoever writes an address writes whether it has been proven with it, and ends the codes that were sent to the one
before: a code must never prove, or recover by, an address that the user has left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import delete, insert, select, tuple_, update

from app import errors
from app.accounts import codes, factors, recovery_codes, trust
from app.audit import record
from app.db import raising
from app.env import Env
from app.messaging.messages import Delivery
from app.models import Alias, Client, Code, Pool, User
from app.models.user import CORE, SEARCHED
from app.policy import attributes as policy
from app.policy.attributes import ADDRESSES, Claim, claims, name_key, search_key

PURPOSE = {"email": "verify_email", "phone_number": "verify_phone_number"}
"""Of the code that proves each address."""


def write(user: User, attributes: Mapping[str, str]) -> None:
    """Put values where they live: core attributes in columns, the others in the document, and what is searched for
    beside them. An empty value removes. An address has no `_verified` flag until something sets it, as in Cognito, and
    counts as unproven; no flag is without an address."""
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
    for address in ADDRESSES:
        if not getattr(user, address):
            setattr(user, f"{address}_verified", None)
    user.attributes = others


def _typed(name: str, value: str) -> str | bool | None:
    if value and name.endswith("_verified"):
        return value == "true"
    return value or None


def put(env: Env, user: User, attributes: Mapping[str, str]) -> None:
    """Write to a user who exists. An address that changes is unproven, unless its flag is given with it. Inside a
    transaction, on the user's locked row; `claim_names` comes after it."""
    for address in ADDRESSES:
        if address in attributes and (getattr(user, address) or "") != attributes[address]:
            if getattr(user, f"{address}_verified") is not None:
                setattr(user, f"{address}_verified", False)
            record.event(env, user.pool_id, "AddressChanged", sub=user.sub, attribute=address)
            _forget_codes(env, user, address)
            trust.end(env, user)  # codes of a second factor go there
            # A factor that such codes met has been replaced; where none is on, one that counts as on may have been.
            on = factors.switched_on(user)
            if not on or any(factors.ADDRESS.get(factor) == address for factor in on):
                recovery_codes.end(env, user)
    write(user, attributes)
    user.modified_at = env.now()


def _forget_codes(env: Env, user: User, address: str) -> None:
    env.db.execute(delete(Code).where(Code.user_sub == user.sub, Code.attribute == address))


def change(
    env: Env,
    pool: Pool,
    user: User,
    given: Mapping[str, str],
    *,
    counted: bool = True,
    hiding: bool = False,
    client: Client | None = None,
) -> list[Delivery]:
    """Set attributes to checked values (policy.check_values); an empty one removes. What is set to the value that it
    has does not change, and an address stays proven.

    An address that the pool verifies gets a code, and is unproven until it comes back; where the pool wants the proof
    first (AttributesRequireVerificationBeforeUpdate), a confirmed user keeps the old address until then. A flag that
    is given with an address is the word of whoever gives it, which only administrators may: then no code is sent.
    A mail has a link to the pages of the `client`, where the pool wants links.

    Inside a transaction, on the user's locked row. Raises errors.InvalidParameter, AliasExists; LimitExceeded where
    the codes are `counted`, as those are that the user asks for; `hiding` is what it is to codes.send.
    """
    present = user.all_attributes
    values = policy.stored(pool, given)
    changes = {name: value for name, value in values.items() if value != present.get(name, "")}
    policy.check_changes(pool, changes)
    policy.check_verified_flags(given, present)
    _check_preferred_username(pool, user, changes)
    asked = {
        address: changes[address]
        for address in ADDRESSES
        if changes.get(address) and address in pool.auto_verified and f"{address}_verified" not in given
    }
    for address in ADDRESSES:
        flag = f"{address}_verified"
        if address in changes and flag in values:
            changes[flag] = values[flag]  # of the new address, though the old one may have had the same
        if values.get(address) == "":
            _forget_codes(env, user, address)  # also that of an address which was still waiting for its proof
    waiting = asked.keys() & policy.verified_first(pool) if user.confirmed else frozenset()
    at_once = {name: value for name, value in changes.items() if name not in waiting}
    if at_once:
        put(env, user, at_once)
        claim_names(env, pool, user)
    for address in sorted(waiting):
        _refuse_taken(env, pool, user, address, asked[address])
    if not user.confirmed:
        return _send_confirmation(env, pool, user, asked, client)
    return [
        codes.send(
            env,
            pool,
            user,
            purpose=PURPOSE[address],
            attribute=address,
            address=value,
            counted=counted,
            bounded=counted,
            hiding=hiding,
            client=client,
        )
        for address, value in asked.items()
    ]


def _send_confirmation(
    env: Env, pool: Pool, user: User, asked: Mapping[str, str], client: Client | None
) -> list[Delivery]:
    """To somebody who has not confirmed his sign-up, and whose address an administrator has put right: what he lacks
    is the code that confirms, and by that proves the address. He has one of them; as at the sign-up, to the phone
    rather than by mail."""
    for address in reversed(ADDRESSES):
        if address in asked:
            return [
                codes.send(
                    env, pool, user, purpose="sign_up", attribute=address, counted=False, bounded=False, client=client
                )
            ]
    return []


def remove(env: Env, pool: Pool, user: User, names: Iterable[str]) -> None:
    """Delete attributes that the pool knows. Inside a transaction, on the user's locked row.

    Raises errors.InvalidParameter for one that is required, or is written once.
    """
    emptied = dict.fromkeys(names, "")
    policy.check_changes(pool, emptied)
    change(env, pool, user, emptied)


def prove(env: Env, pool: Pool, user: User, *, attribute: str, address: str) -> None:
    """An address is the user's and he has proven it. Inside a transaction, on his locked row.

    Raises errors.AliasExists where somebody else signs in with it.
    """
    put(env, user, {attribute: address, f"{attribute}_verified": "true"})
    claim_names(env, pool, user)
    record.event(env, pool, "AddressProven", sub=user.sub, attribute=attribute)


def _check_preferred_username(pool: Pool, user: User, changes: Mapping[str, str]) -> None:
    """As an alias it signs in at once: it can be had only after something has been proven (reference: 2.3)."""
    if changes.get("preferred_username") and "preferred_username" in pool.alias_attributes and not user.confirmed:
        raise errors.InvalidParameter(
            "preferred_username cannot be set before the user is confirmed, since it is an alias in this user pool.",
            field="preferred_username",
        )


def _refuse_taken(env: Env, pool: Pool, user: User, attribute: str, address: str) -> None:
    """Where addresses take the username's place, one that is taken is refused when it is asked for. This look saves
    a code that could prove nothing; what decides is the unique key, when the address is proven."""
    if attribute not in pool.username_attributes:
        return
    rules = pool.naming
    holder = env.db.scalar(
        select(Alias.user_sub).where(
            Alias.pool_id == pool.id,
            Alias.generation == rules.generation,
            Alias.attribute == attribute,
            Alias.value == name_key(rules, address),
        )
    )
    if holder not in (None, user.sub):
        raise errors.AliasExists(_taken(attribute), field=attribute)


def _taken(attribute: str) -> str:
    return f"An account with the given {attribute} already exists."


def rivals(env: Env, pool: Pool, user: User) -> list[str]:
    """Other users who sign in with an address that this one has: those whom ForceAliasCreation takes it from. By their
    `sub`, in the order in which their rows are to be locked, his own among them: two who take each other's addresses
    would else wait for each other."""
    wanted = [
        (rules.generation, attribute, name_key(rules, getattr(user, attribute)))
        for rules in pool.namings
        for attribute in ADDRESSES
        if attribute in rules.alias_attributes and getattr(user, attribute)
    ]
    key = tuple_(Alias.generation, Alias.attribute, Alias.value)
    held = select(Alias.user_sub).where(Alias.pool_id == pool.id, key.in_(wanted), Alias.user_sub != user.sub)
    with env.reading() as session:
        return sorted(set(session.scalars(held))) if wanted else []


def claim_names(
    env: Env,
    pool: Pool,
    user: User,
    *,
    take_from: Collection[str] = (),
    new: bool = False,
    taken: str | None = None,
) -> None:
    """Make the user's username and addresses sign him in, and no address that he has left.

    Inside a transaction. Two requests for one name both pass any look made beforehand, so the unique key is the check.
    An address that one of `take_from` holds, `rivals` whose rows are locked, moves here and becomes unverified there.
    A user who is `new` has no names yet. Raises errors.UsernameExists (with `taken` as its sentence) for the username
    and for a new user's address in its place, errors.AliasExists for any other address.
    """
    # In one order everywhere: two transactions that want the same names in different orders would wait for each other.
    wanted = {claim: None for rules in pool.namings for claim in claims(rules, user)}
    held = set() if new else _held(env, user)
    # First what is claimed, then what is given up: of two who want each other's names each is refused at once. The
    # other way round both would have given up a name that nobody may claim before they commit, and wait for ever.
    for claim in wanted:
        if claim not in held:
            _take(env, pool, claim, take_from)
            _claim(env, pool, user, claim, new=new, taken=taken)
    for generation, attribute, value in held - wanted.keys():
        env.db.execute(
            delete(Alias).where(
                Alias.pool_id == pool.id,
                Alias.generation == generation,
                Alias.attribute == attribute,
                Alias.value == value,
            )
        )


def _held(env: Env, user: User) -> set[Claim]:
    rows = env.db.execute(select(Alias.generation, Alias.attribute, Alias.value).where(Alias.user_sub == user.sub))
    return {(row.generation, row.attribute, row.value) for row in rows}


def _claim(env: Env, pool: Pool, user: User, claim: Claim, *, new: bool, taken: str | None) -> None:
    generation, attribute, value = claim
    refusal: errors.Refusal
    sentence = _taken(attribute)
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


def _take(env: Env, pool: Pool, claim: Claim, holders: Collection[str]) -> None:
    """Whoever has come to hold the address since they were looked for keeps it."""
    generation, attribute, value = claim
    if not holders or attribute not in ADDRESSES:
        return
    taken = env.db.scalar(
        delete(Alias)
        .where(
            Alias.pool_id == pool.id,
            Alias.generation == generation,
            Alias.attribute == attribute,
            Alias.value == value,
            Alias.user_sub.in_(holders),
        )
        .returning(Alias.user_sub)
    )
    if taken is not None:
        left = {f"{attribute}_verified": False, "modified_at": env.now()}
        env.db.execute(update(User).where(User.sub == taken).values(left))
