"""Recognising a token that was issued here, and that nothing has ended since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import bindparam, select

from app import errors
from app.crypto import jose
from app.crypto.base64url import decode
from app.db import table
from app.env import Env
from app.models import Client, LoginSession, Pool, User
from app.statements import Statement, columns, record_of
from app.tokens import claims, keys

CALLED = {"access": "Access Token", "id": "ID Token"}
"""By `token_use`: what a kind of token is called when it is refused."""
NAMED_IN = {"access": "username", "id": "cognito:username"}
"""The claim that only a person's token has."""

_USER, _SESSION = table(User), table(LoginSession)
_WITH_SESSION = _USER.outerjoin(
    _SESSION, (_SESSION.c.id == bindparam("event_id")) & (_SESSION.c.user_sub == _USER.c.sub)
)
_COLUMNS = (*columns(User), *columns(LoginSession))
_RECORDS = (claims.USER, record_of(LoginSession))
_OF_HOLDER = _USER.c.sub == bindparam("sub")
_HOLDER = Statement(select(*_COLUMNS).select_from(_WITH_SESSION).where(_OF_HOLDER), *_RECORDS)
_WITH_GROUPS = Statement(
    select(*_COLUMNS, *claims.GROUP_COLUMNS).select_from(claims.joining_groups(_WITH_SESSION)).where(_OF_HOLDER),
    *_RECORDS,
    claims.GROUP,
)
_CLIENT = Statement(
    select(table(Client).c.id).where(
        table(Client).c.id == bindparam("client_id"), table(Client).c.pool_id == bindparam("pool_id")
    )
)


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
        stated = _signed_claims(env, token, "id", _no_pool, pool)
    except errors.TokenRefused:
        return None
    return Hint(stated["sub"], stated["aud"]) if stated.get("token_use") == "id" else None


def access_token(
    env: Env, token: str, *, scope: str, pool_of: Callable[[str], Pool], only: Pool | None = None
) -> Verified:
    """The token's claims and user, when it is ours, unexpired, has `scope`, and neither its session nor its user ended.

    `pool_of` finds a pool by id (raising errors.UnknownPool); with `only`, tokens of other pools are refused. One
    statement. Raises errors.TokenRefused with Cognito's sentence, errors.UserNotFound, errors.UserDisabled.
    """
    stated = _unexpired(env, token, "access", pool_of, only)
    # One with an audience is made out to another service, and in its hands (tokens.exchange): what that service may do
    # with it is for the user's sake there, and must open nothing of his here (RFC 8707, 3).
    if "username" not in stated or "aud" in stated:
        raise errors.TokenRefused
    if scope not in stated["scope"].split():
        raise errors.ScopeMissing
    return _living(env, stated, _HOLDER)


def of_a_person(env: Env, token: str, *, use: str, pool: Pool) -> Verified:
    """The same for a token of this pool that is presented for what it says of somebody, not for what it lets do; `use`
    is `access` or `id`. The user comes with his groups. Raises what `access_token` does."""
    stated = _unexpired(env, token, use, _no_pool, pool)
    if NAMED_IN[use] not in stated:
        raise errors.TokenRefused(f"Invalid {CALLED[use]}")
    return _living(env, stated, _WITH_GROUPS)


def of_a_machine(env: Env, token: str, *, pool: Pool) -> dict[str, Any] | None:
    """The claims of a live access token that a client of this pool has got for itself; None where it is a person's.
    Raises errors.TokenRefused, also when there is no such client any more."""
    stated = _unexpired(env, token, "access", _no_pool, pool)
    if "username" in stated:
        return None
    if _CLIENT.first(env, {"client_id": stated["client_id"], "pool_id": pool.id}) is None:
        raise errors.TokenRefused("Access Token has been revoked")
    return stated


def _unexpired(env: Env, token: str, use: str, pool_of: Callable[[str], Pool], only: Pool | None) -> dict[str, Any]:
    stated = _signed_claims(env, token, use, pool_of, only)
    if stated.get("token_use") != use:
        raise errors.TokenRefused(f"Invalid {CALLED[use]}")
    if env.now().timestamp() >= stated["exp"]:
        raise errors.TokenRefused(f"{CALLED[use]} has expired")
    return stated


def _living(env: Env, stated: dict[str, Any], holder: Statement) -> Verified:
    found = holder.rows(env, {"event_id": stated["event_id"], "sub": stated["sub"]})
    if not found:
        raise errors.UserNotFound
    user, session, *_ = found[0]
    if session is None or session.revoked_at is not None:
        raise errors.TokenRefused(f"{CALLED[stated['token_use']]} has been revoked")
    if not user.enabled:
        raise errors.UserDisabled
    if holder is _WITH_GROUPS:
        user = claims.with_groups(user, (row[2] for row in found))
    return Verified(stated, user, session)


def _signed_claims(env: Env, token: str, use: str, pool_of: Callable[[str], Pool], only: Pool | None) -> dict[str, Any]:
    """Claims with a good signature of one of the pool's keys for this use; nothing else is checked yet.

    The payload is looked at first, unverified, for one thing: which pool's keys to verify it with.
    """
    malformed = errors.TokenRefused(f"Invalid {CALLED[use]}")
    try:
        issuer = orjson.loads(decode(token.split(".")[1]))["iss"]
        base, _, pool_id = issuer.rpartition("/")
        if base != env.settings.base_url or (only is not None and only.id != pool_id):
            raise malformed
        pool = only or pool_of(pool_id)
    except (IndexError, ValueError, KeyError, TypeError, AttributeError, errors.UnknownPool):
        raise malformed from None
    try:
        return keys.of(env, pool).claims(use, token)
    except jose.BadToken as bad:
        if bad.reason == "malformed":
            raise malformed from None
        raise errors.TokenRefused(f"Could not verify signature for {CALLED[use]}") from None


def _no_pool(pool_id: str) -> Pool:
    raise errors.UnknownPool(pool_id)
