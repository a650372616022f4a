"""A user's passkeys: registered, listed, deleted, and used (reference: 10.6).

One more or one less is a change of factors, and ends what rested on those before (accounts.mfa).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete as deletion
from sqlalchemy import exists, func, or_, select, update

from app import errors
from app.accounts import authenticators, factors, mfa, profile, relying_party
from app.audit import record
from app.crypto import webauthn
from app.crypto.base64url import encode
from app.crypto.webauthn import Reason
from app.db import inserting, raising
from app.env import Env
from app.models import Client, Passkey, PasskeyRegistration, Pool, User
from app.paging import Page, page
from app.policy import attributes as policy

log = logging.getLogger(__name__)

MOST = 20
"""Of a user, and of a page of them."""
WAITS = timedelta(minutes=5)
"""How long a registration waits for its passkey; a browser gives up before (crypto.webauthn.TIMEOUT_MS)."""
UNKNOWN = "The passkey does not exist."
_TOO_MANY = f"A user has at most {MOST} passkeys."
_REFUSALS: dict[Reason, Callable[[], errors.Refusal]] = {
    Reason.CHALLENGE: errors.WebAuthnChallengeNotFound,
    Reason.ORIGIN: errors.WebAuthnOriginNotAllowed,
    Reason.RELYING_PARTY: errors.WebAuthnRelyingPartyMismatch,
    Reason.NOT_VERIFIED: errors.WebAuthnCredentialNotSupported,
    Reason.UNSUPPORTED: errors.WebAuthnCredentialNotSupported,
}


def start(env: Env, client: Client, user: User) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON for one more passkey. What was started before and not completed is void.

    Raises errors.WebAuthnNotEnabled, WebAuthnConfigurationMissing, LimitExceeded, TokenRefused, UserDisabled.
    """
    pool = client.pool
    _check_enabled(pool)
    party = relying_party.of(env, pool)
    present = of(env, user, party.id)
    challenge = env.random.token()
    waiting = {"client_id": client.id, "challenge": challenge, "rp_id": party.id, "expires_at": env.now() + WAITS}
    with env.transaction():
        _check_room(env, _present(env, user))
        env.db.execute(
            inserting(env.db, PasskeyRegistration)
            .values(user_sub=user.sub, **waiting)
            .on_conflict_do_update(index_elements=[PasskeyRegistration.user_sub], set_=waiting)
        )
    shown = _shown_name(pool, user)
    readable = policy.readable(user.all_attributes, client.readable)
    return webauthn.creation_options(
        challenge=challenge,
        rp_id=party.id,
        rp_name=pool.name,
        user_handle=handle(env, user),
        user_name=shown,
        display_name=readable.get("name") or shown,
        user_verification=demands_verification(pool, user),
        exclude=[described(one) for one in present],
    )


def complete(env: Env, client: Client, user: User, *, credential: Any) -> Passkey:
    """Keep the passkey that a browser made (a RegistrationResponseJSON), for the registration that was started with
    this client. One that is refused uses the registration up no more than one that never came.

    Raises errors.InvalidParameter, LimitExceeded, TokenRefused, UserDisabled, WebAuthnNotEnabled,
    WebAuthnChallengeNotFound, WebAuthnClientMismatch, WebAuthnRelyingPartyMismatch, WebAuthnOriginNotAllowed,
    WebAuthnCredentialNotSupported.
    """
    pool = client.pool
    _check_enabled(pool)
    waiting = _waiting(env, user)
    if waiting.client_id != client.id:
        raise errors.WebAuthnClientMismatch
    try:
        party = relying_party.of(env, pool)
    except errors.WebAuthnConfigurationMissing:
        raise errors.WebAuthnRelyingPartyMismatch from None
    if waiting.rp_id != party.id:
        raise errors.WebAuthnRelyingPartyMismatch
    expected = webauthn.Expected(waiting.challenge, party.id, party.origins, demands_verification(pool, user))
    try:
        made = webauthn.register(credential, expected)
    except webauthn.Refused as refused:
        raise _REFUSALS.get(refused.reason, _malformed)() from None
    passkey = Passkey(
        id=env.random.uuid(),
        pool_id=pool.id,
        user_sub=user.sub,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        rp_id=party.id,
        name=authenticators.name(made.aaguid, attachment=made.attachment, synced=made.synced),
        aaguid=made.aaguid,
        attachment=made.attachment,
        transports=list(made.transports),
        synced=made.synced,
        backed_up=made.backed_up,
        created_at=env.now(),
        used_at=None,
    )
    taken = errors.InvalidParameter("The passkey has been registered already.")
    with env.transaction():
        row = _present(env, user)  # first, as `start` does it, or each would wait for the other
        _use_up(env, waiting)
        _check_room(env, row)
        with raising(env.db, uq_passkey_pool_id_credential_id=taken):
            env.db.add(passkey)
        record.event(env, pool, factors.ADDED, sub=row.sub, factor=factors.PASSKEY, target=f"passkey/{passkey.id}")
        mfa.changed(env, row)
    return passkey


def listed(env: Env, user: User, *, limit: int | None = None, token: str | None = None) -> Page[Passkey]:
    """A page of the user's passkeys, oldest first; those that the pool no longer takes, too. Raises
    errors.InvalidParameter for a token that is not of this list."""
    query = select(Passkey).where(Passkey.user_sub == user.sub)
    by = (Passkey.created_at, Passkey.id)
    return page(env, query, by=by, size=limit or MOST, token=token, about=f"passkeys of {user.sub}")


def delete(env: Env, user: User, *, credential_id: str) -> None:
    """Forget a passkey; with the last one goes the second factor. Another user's is as unknown.

    Raises errors.ResourceNotFound, TokenRefused, UserDisabled.
    """
    with env.transaction():
        row = _present(env, user)
        gone = env.db.scalar(
            deletion(Passkey)
            .where(Passkey.user_sub == user.sub, Passkey.credential_id == credential_id)
            .returning(Passkey.id)
        )
        if gone is None:
            raise errors.ResourceNotFound(UNKNOWN)
        record.event(env, row.pool_id, factors.REMOVED, sub=row.sub, factor=factors.PASSKEY, target=f"passkey/{gone}")
        mfa.changed(env, row)
        last = not env.db.scalar(select(exists().where(Passkey.user_sub == user.sub)))
        if last and factors.PASSKEY in factors.switched_on(row):
            mfa.switch_off(env, row, factors.PASSKEY)


def of(env: Env, user: User, rp_id: str) -> list[Passkey]:
    """The user's passkeys of this name; none of another can be used any more. One statement."""
    query = select(Passkey).where(Passkey.user_sub == user.sub, Passkey.rp_id == rp_id).order_by(Passkey.created_at)
    with env.reading() as session:
        return list(session.scalars(query))


def described(passkey: Passkey) -> webauthn.Credential:
    return webauthn.Credential(passkey.credential_id, tuple(passkey.transports))


def handle(env: Env, user: User) -> str:
    """What authenticators know the user by, base64url: the same for all his passkeys, and nothing of him can be read
    from it, because they show it to whoever finds them (Web Authentication Level 3, 14.6.1)."""
    return encode(env.keyed.number("passkey user handle", user.sub, 32))


def demands_verification(pool: Pool, user: User | None) -> bool:
    """Whether a passkey alone is not enough, and its authenticator must have verified that the user holds it: where the
    pool says so, where it then counts as two factors, and for a user who has switched it on as a second one."""
    given = pool.settings.get("web_authn_configuration") or {}
    return (
        given.get("user_verification") == "required"
        or pool.passkeys_count_twice
        or (user is not None and factors.PASSKEY in factors.switched_on(user))
    )


def check_count(passkey: Passkey, count: int) -> None:
    """Refuse a counter that has not moved on: two authenticators then hold the one key, and one of them is a copy.

    A synced passkey is on several devices by right; most of those, and some others, do not count at all. Raises
    errors.NotAuthorized.
    """
    if passkey.synced or count == passkey.sign_count == 0 or count > passkey.sign_count:
        return
    log.warning(
        "passkey %s of user %s was refused, it may have been copied: its counter went from %d to %d",
        passkey.id,
        passkey.user_sub,
        passkey.sign_count,
        count,
    )
    raise errors.NotAuthorized


def use(env: Env, passkey: Passkey, said: webauthn.Asserted) -> None:
    """Write down that a passkey was used. Inside a transaction. One UPDATE: of two answers with one counter, and of an
    answer and a deletion, one comes first. Raises errors.NotAuthorized."""
    moved_on = or_(
        Passkey.synced, (Passkey.sign_count == 0) & (said.sign_count == 0), Passkey.sign_count < said.sign_count
    )
    used = env.db.scalar(
        update(Passkey)
        .where(Passkey.id == passkey.id, moved_on)
        .values(sign_count=said.sign_count, backed_up=said.backed_up, used_at=env.now())
        .returning(Passkey.id)
    )
    if used is None:
        raise errors.NotAuthorized


def _check_enabled(pool: Pool) -> None:
    if factors.PASSKEY not in pool.first_factors:
        raise errors.WebAuthnNotEnabled


def _waiting(env: Env, user: User) -> PasskeyRegistration:
    mine = (PasskeyRegistration.user_sub == user.sub, PasskeyRegistration.expires_at > env.now())
    with env.reading() as session:
        found = session.scalar(select(PasskeyRegistration).where(*mine))
    if found is None:
        raise errors.WebAuthnChallengeNotFound
    return found


def _use_up(env: Env, waiting: PasskeyRegistration) -> None:
    """One DELETE, so that of parallel answers one is accepted, and none after the next start."""
    used = env.db.scalar(
        deletion(PasskeyRegistration)
        .where(PasskeyRegistration.user_sub == waiting.user_sub, PasskeyRegistration.challenge == waiting.challenge)
        .returning(PasskeyRegistration.user_sub)
    )
    if used is None:
        raise errors.WebAuthnChallengeNotFound


def _present(env: Env, user: User) -> User:
    """His row, locked; as these operations, which have no word for a user who is gone, can say it."""
    try:
        return profile.present(env, user)
    except errors.UserNotFound:
        raise errors.TokenRefused("Access Token has been revoked") from None


def _check_room(env: Env, user: User) -> None:
    """With the user's row locked: nobody else adds one meanwhile."""
    his = select(func.count()).select_from(Passkey).where(Passkey.user_sub == user.sub)
    if (env.db.scalar(his) or 0) >= MOST:
        raise errors.LimitExceeded(_TOO_MANY)


def _shown_name(pool: Pool, user: User) -> str:
    """What tells his accounts apart in a list; where the username is the `sub`, that is an address."""
    if not pool.username_attributes:
        return user.username
    return next((value for name in pool.username_attributes if (value := getattr(user, name))), user.username)


def _malformed() -> errors.InvalidParameter:
    return errors.InvalidParameter("The Credential is not a public key credential of a registration.")
