"""Recognising a token that was issued here, and that nothing has ended since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, select

from app import errors
from app.crypto import jose
from app.crypto.base64url import decode
from app.env import Env
from app.models import Client, LoginSession, Pool, User
from app.tokens import keys
from app.tokens.claims import WITH_GROUPS

CALLED = {"access": "Access Token", "id": "ID Token"}
"""By `token_use`: what a kind of token is called when it is refused."""
NAMED_IN = {"access": "username", "id": "cognito:username"}
"""The claim that only a person's token has."""

_HOLDER = (
    select(User, LoginSession)
    .outerjoin(LoginSession, (LoginSession.id == bindparam("event_id")) & (LoginSession.user_sub == User.sub))
    .where(User.sub == bindparam("sub"))
)
_WITH_GROUPS = _HOLDER.options(WITH_GROUPS)


@dataclass(frozen=True)
class Verified:
    """A live token of a person."""

    claims: dict[str, Any]
    user: User
    session: LoginSession

    @property
    def scopes(self) -> list[str]:
        return str(self.claims["scope"]).split()


@dataclass(frozen=True)
class Hint:
    """What an ID token says when it is presented as a hint: about whom it is, and which client it was issued to."""

    user_sub: str
    client_id: str


def hint(env: Env, token: str, *, pool: Pool) -> Hint | None:
    """What an `id_token_hint` says (OpenID Connect Core 1.0, 3.1.2.1; RP-Initiated Logout 1.0, 2); None where it is no
    ID token of this pool. An expired one counts: a hint is compared with who is signed in, and permits nothing."""
    try:
        claims = _signed_claims(env, token, "id", _no_pool, pool)
    except errors.TokenRefused:
        return None
    return Hint(claims["sub"], claims["aud"]) if claims.get("token_use") == "id" else None


def access_token(
    env: Env, token: str, *, scope: str, pool_of: Callable[[str], Pool], only: Pool | None = None
) -> Verified:
    """The token's claims and user, when it is ours, unexpired, has `scope`, and neither its session nor its user ended.

    `pool_of` finds a pool by id (raising errors.UnknownPool); with `only`, tokens of other pools are refused. One
    statement. Raises errors.TokenRefused with Cognito's sentence, errors.UserNotFound, errors.UserDisabled.
    """
    claims = _unexpired(env, token, "access", pool_of, only)
    # One with an audience is made out to another service, and in its hands (tokens.exchange): what that service may do
    # with it is for the user's sake there, and must open nothing of his here (RFC 8707, 3).
    if "username" not in claims or "aud" in claims:
        raise errors.TokenRefused
    if scope not in claims["scope"].split():
        raise errors.ScopeMissing
    return _living(env, claims, _HOLDER)


def of_a_person(env: Env, token: str, *, use: str, pool: Pool) -> Verified:
    """The same for a token of this pool that is presented for what it says of somebody, not for what it lets do; `use`
    is `access` or `id`. The user comes with his groups. Raises what `access_token` does."""
    claims = _unexpired(env, token, use, _no_pool, pool)
    if NAMED_IN[use] not in claims:
        raise errors.TokenRefused(f"Invalid {CALLED[use]}")
    return _living(env, claims, _WITH_GROUPS)


def of_a_machine(env: Env, token: str, *, pool: Pool) -> dict[str, Any] | None:
    """The claims of a live access token that a client of this pool has got for itself; None where it is a person's.
    Raises errors.TokenRefused, also when there is no such client any more."""
    claims = _unexpired(env, token, "access", _no_pool, pool)
    if "username" in claims:
        return None
    with env.reading() as database:
        found = database.scalar(select(Client.id).where(Client.id == claims["client_id"], Client.pool_id == pool.id))
    if found is None:
        raise errors.TokenRefused("Access Token has been revoked")
    return claims


def _unexpired(env: Env, token: str, use: str, pool_of: Callable[[str], Pool], only: Pool | None) -> dict[str, Any]:
    claims = _signed_claims(env, token, use, pool_of, only)
    if claims.get("token_use") != use:
        raise errors.TokenRefused(f"Invalid {CALLED[use]}")
    if env.now().timestamp() >= claims["exp"]:
        raise errors.TokenRefused(f"{CALLED[use]} has expired")
    return claims


def _living(env: Env, claims: dict[str, Any], query: Select[User, LoginSession]) -> Verified:
    with env.reading() as database:
        asked = {"event_id": claims["event_id"], "sub": claims["sub"]}
        found = database.execute(query, asked).unique().one_or_none()
    if found is None:
        raise errors.UserNotFound
    user, session = found
    if session is None or session.revoked_at is not None:
        raise errors.TokenRefused(f"{CALLED[claims['token_use']]} has been revoked")
    if not user.enabled:
        raise errors.UserDisabled
    return Verified(claims, user, session)


def _signed_claims(env: Env, token: str, use: str, pool_of: Callable[[str], Pool], only: Pool | None) -> dict[str, Any]:
    """Claims with a good signature of one of the pool's keys for this use; nothing else is checked yet.

    The payload is looked at first, unverified, for one thing: which pool's keys to verify it with.
    """
    malformed = errors.TokenRefused(f"Invalid {CALLED[use]}")
    try:
        stated = orjson.loads(decode(token.split(".")[1]))["iss"]
        base, _, pool_id = stated.rpartition("/")
        if base != env.settings.base_url or (only is not None and only.id != pool_id):
            raise malformed
        pool = only or pool_of(pool_id)
    except (IndexError, ValueError, KeyError, TypeError, AttributeError, errors.UnknownPool):
        raise malformed from None
    try:
        return jose.verify(token, keys.of(env, pool).verifying[use])
    except jose.BadToken as bad:
        if bad.reason == "malformed":
            raise malformed from None
        raise errors.TokenRefused(f"Could not verify signature for {CALLED[use]}") from None


def _no_pool(pool_id: str) -> Pool:
    raise errors.UnknownPool(pool_id)
