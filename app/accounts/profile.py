"""What a user does with his own profile: change it, prove an address, leave (reference: 4.6, 4.7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import delete as deletion
from sqlalchemy import select

from app import errors
from app.accounts import attributes as writing
from app.accounts import codes, find, limits
from app.audit import record
from app.env import Env
from app.messaging.messages import Delivery
from app.models import AuthorizationCode, BrowserSession, Client, Code, Group, LoginSession, Membership, Pool, User
from app.policy import attributes as policy


def update_attributes(env: Env, client: Client, user: User, *, attributes: Mapping[str, str]) -> list[Delivery]:
    """Set attributes; an empty value removes. Returns where codes went that prove new addresses.

    Raises errors.NotAuthorized (an attribute the client may not write), InvalidParameter, AliasExists, LimitExceeded,
    UserNotFound, UserDisabled.
    """
    pool = client.pool
    policy.check_writable(attributes, client.writable)
    policy.check_values(pool, attributes, new=False)
    with env.transaction():
        row = present(env, user)
        policy.check_keeps_a_name(pool, row.all_attributes, attributes)
        return writing.change(env, pool, row, attributes, hiding=client.hides_users, client=client)


def delete_attributes(env: Env, client: Client, user: User, *, names: Collection[str]) -> None:
    """Remove attributes. Raises errors.NotAuthorized, InvalidParameter, UserNotFound, UserDisabled."""
    policy.check_writable(names, client.writable)
    policy.check_known(client.pool, names)
    with env.transaction():
        row = present(env, user)
        policy.check_keeps_a_name(client.pool, row.all_attributes, dict.fromkeys(names, ""))
        writing.remove(env, client.pool, row, names)


def send_code(env: Env, client: Client, user: User, *, attribute: str) -> Delivery:
    """Send a code to an address: to the one that still waits for its proof, while its code lives, else to the
    present one.

    Raises errors.InvalidParameter, NotAuthorized (an attribute that the client may not read and write), LimitExceeded,
    UserNotFound, UserDisabled.
    """
    _check_verifiable(client, attribute)
    pool = client.pool
    with env.transaction():
        row = present(env, user)
        waiting = _waiting(env, row, attribute) if attribute in policy.verified_first(pool) else None
        address = waiting or getattr(row, attribute)
        if not address:
            raise errors.InvalidParameter(f"The user has no {attribute} to verify.", field=attribute)
        return codes.send(
            env,
            pool,
            row,
            purpose=writing.PURPOSE[attribute],
            attribute=attribute,
            address=address,
            client=client,
            hiding=client.hides_users,
        )


def verify(env: Env, client: Client, user: User, *, attribute: str, code: str) -> None:
    """Prove an address by the code that was sent to it; one that waited for its proof takes the old one's place.

    An address that somebody else signs in with by now is refused, and the code is then not used up: it can be tried
    again once the other has given the address up.
    Raises errors.InvalidParameter, NotAuthorized (an attribute that the client may not read and write), CodeMismatch,
    ExpiredCode, AliasExists, LimitExceeded, UserNotFound, UserDisabled.
    """
    _check_verifiable(client, attribute)
    verify_as(env, client.pool, user.sub, attribute=attribute, code=code, hiding=client.hides_users)


def verify_as(env: Env, pool: Pool, sub: str, *, attribute: str, code: str, hiding: bool) -> None:
    """The same for whoever brings the code alone, by the link of a mail. Raises what `verify` does."""
    with env.transaction():
        row = _locked_and_enabled(env, sub)
        limits.count(env, pool, "verify_attribute", row.sub)
        try:
            taken = codes.take(env, pool, row.sub, purpose=writing.PURPOSE[attribute], code=code)
        except errors.LimitExceeded:
            # Of the address: how much others guess at it is nobody's business where it is hidden who exists.
            raise (errors.CodeMismatch if hiding else errors.LimitExceeded) from None
        if taken.destination != getattr(row, attribute) and attribute not in policy.verified_first(pool):
            # The pool wanted the proof first when the code was sent, and no longer does.
            raise errors.ExpiredCode
        writing.prove(env, pool, row, attribute=attribute, address=taken.destination)


def delete(env: Env, user: User) -> None:
    """Leave: everything of the user goes with him (models: ON DELETE CASCADE). Raises errors.UserNotFound."""
    with env.transaction():
        forget_authorization_codes(env, user)
        row = find.locked(env, user.sub)
        # What others lock without his row, in the order in which they do.
        his = select(Group.name).join(Membership).where(Membership.user_sub == row.sub).order_by(Group.name)
        env.db.execute(his.with_for_update(read=True, key_share=True, of=Group))
        for model in (LoginSession, BrowserSession):
            env.db.execute(deletion(model).where(model.user_sub == row.sub))
        env.db.delete(row)
        record.event(env, row.pool_id, "UserDeleted", sub=row.sub)


def forget_authorization_codes(env: Env, user: User) -> None:
    """End the codes that were not redeemed yet; one that was is kept, so that a second use of it is noticed. Inside a
    transaction, before the user's row is locked: a redemption locks the code first and then the user, and would wait
    for whoever does it the other way round."""
    unused = (AuthorizationCode.user_sub == user.sub, AuthorizationCode.used_at.is_(None))
    env.db.execute(deletion(AuthorizationCode).where(*unused))


def present(env: Env, user: User) -> User:
    """The user's row, locked. Their token was good a moment ago; they may have been disabled or deleted since."""
    return _locked_and_enabled(env, user.sub)


def _locked_and_enabled(env: Env, sub: str) -> User:
    row = find.locked(env, sub)
    if not row.enabled:
        raise errors.UserDisabled
    return row


def _waiting(env: Env, user: User, attribute: str) -> str | None:
    return env.db.scalar(
        select(Code.destination).where(
            Code.user_sub == user.sub, Code.purpose == writing.PURPOSE[attribute], Code.expires_at > env.now()
        )
    )


def _check_verifiable(client: Client, attribute: str) -> None:
    """To prove an address changes it, and the reply tells where the code went."""
    if attribute not in policy.ADDRESSES:
        raise errors.InvalidParameter("Invalid attribute name. Only phone_number and email can be verified.")
    policy.check_writable([attribute], client.writable)
    if client.readable is not None and attribute not in client.readable:
        raise errors.NotAuthorized("A client attempted to read unauthorized attribute", field=attribute)
