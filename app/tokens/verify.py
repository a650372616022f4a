"""Recognising an access token that was issued here, and that nothing has ended since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import bindparam, select

from app import errors
from app.crypto import jose
from app.crypto.base64url import decode
from app.env import Env
from app.models import LoginSession, Pool, User
from app.tokens import keys

_HOLDER = (
    select(User, LoginSession)
    .outerjoin(LoginSession, (LoginSession.id == bindparam("event_id")) & (LoginSession.user_sub == User.sub))
    .where(User.sub == bindparam("sub"))
)


@dataclass(frozen=True)
class Verified:
    """A live access token of a person."""

    claims: dict[str, Any]
    user: User
    session: LoginSession

    @property
    def scopes(self) -> list[str]:
        return str(self.claims["scope"]).split()


def access_token(
    env: Env, token: str, *, scope: str, pool_of: Callable[[str], Pool], only: Pool | None = None
) -> Verified:
    """The token's claims and user, when it is ours, unexpired, has `scope`, and neither its session nor its user ended.

    `pool_of` finds a pool by id (raising errors.UnknownPool); with `only`, tokens of other pools are refused. One
    statement. Raises errors.TokenRefused with Cognito's sentence, errors.UserNotFound, errors.UserDisabled.
    """
    claims = _signed_claims(env, token, pool_of, only)
    if claims.get("token_use") != "access" or "username" not in claims:
        raise errors.TokenRefused
    if env.now().timestamp() >= claims["exp"]:
        raise errors.TokenRefused("Access Token has expired")
    if scope not in claims["scope"].split():
        raise errors.ScopeMissing
    with env.reading() as database:
        found = database.execute(_HOLDER, {"event_id": claims["event_id"], "sub": claims["sub"]}).one_or_none()
    if found is None:
        raise errors.UserNotFound
    user, session = found
    if session is None or session.revoked_at is not None:
        raise errors.TokenRefused("Access Token has been revoked")
    if not user.enabled:
        raise errors.UserDisabled
    return Verified(claims, user, session)


def _signed_claims(env: Env, token: str, pool_of: Callable[[str], Pool], only: Pool | None) -> dict[str, Any]:
    """Claims with a good signature of one of the pool's access-token keys; nothing else is checked yet.

    The payload is looked at first, unverified, for one thing: which pool's keys to verify it with.
    """
    try:
        stated = orjson.loads(decode(token.split(".")[1]))["iss"]
        base, _, pool_id = stated.rpartition("/")
        if base != env.settings.base_url or (only is not None and only.id != pool_id):
            raise errors.TokenRefused
        pool = only or pool_of(pool_id)
    except (IndexError, ValueError, KeyError, TypeError, AttributeError, errors.UnknownPool):
        raise errors.TokenRefused from None
    try:
        return jose.verify(token, keys.of(env, pool).verifying["access"])
    except jose.BadToken as bad:
        if bad.reason == "malformed":
            raise errors.TokenRefused from None
        raise errors.TokenRefused("Could not verify signature for Access Token") from None
