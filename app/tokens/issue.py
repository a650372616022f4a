"""Making tokens, for every door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert

from app.crypto import jose
from app.db import table
from app.env import Env, Origin
from app.models import Client, LoginSession, User
from app.policy import unbuilt
from app.tokens import claims, keys

FAMILY = 22
"""Characters that all refresh tokens of one login session begin with."""
_OPEN = insert(table(LoginSession))
_COLUMNS = tuple(table(LoginSession).columns.keys())


@dataclass(frozen=True)
class Tokens:
    """What is handed out. `expires_in` is of the access token, in seconds; the refresh token is opaque."""

    access: str
    expires_in: int
    scope: str
    id: str | None = None
    refresh: str | None = None


@dataclass(frozen=True)
class Opened:
    """A login session that was just written down, and its refresh token in clear."""

    session: LoginSession
    refresh: str


def open_session(
    env: Env,
    client: Client,
    user: User,
    *,
    scope: str,
    auth_time: datetime,
    methods: Sequence[str],
    origin: Origin,
    session_id: str | None = None,
    device_key: str | None = None,
    browser_session_id: str | None = None,
) -> Opened:
    """Write down a login session. Inside a transaction: one row. Its tokens are signed after the commit (`signed`):
    two signatures take longer than all the rest, and SQLite has one writer.

    `methods` are the names of the challenges that were met. Raises errors.UnexpectedLambda (policy.unbuilt)."""
    unbuilt.demand_no_trigger(client.pool, *unbuilt.TOKEN_TRIGGERS)
    now = env.now()
    family, secret = env.random.token(16), env.random.token()
    session = LoginSession(
        id=session_id or env.random.uuid(),
        user_sub=user.sub,
        client_id=client.id,
        origin_jti=env.random.uuid(),
        scope=scope,
        auth_time=auth_time,
        methods=list(methods),
        family_digest=refresh_digest(env, family),
        refresh_digest=refresh_digest(env, family + secret),
        previous_digest=None,
        rotated_at=None,
        device_key=device_key,
        browser_session_id=browser_session_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        created_at=now,
        active_at=now,
        expires_at=now + client.refresh_validity,
        revoked_at=None,
    )
    env.db.execute(_OPEN, {name: getattr(session, name) for name in _COLUMNS})
    return Opened(session, family + secret)


def signed(
    env: Env,
    client: Client,
    user: User,
    session: LoginSession,
    *,
    oauth: bool,
    refresh: str | None = None,
    nonce: str | None = None,
) -> Tokens:
    """ID and access token of a login session, anew. An ID token from the OAuth endpoints needs the scope `openid`.

    `nonce` belongs to the first ID token only (OIDC Core, 12.2).
    """
    now = env.now()
    ours = keys.of(env, client.pool)
    iss = claims.issuer(env.settings, client.pool)
    access = ours.signer("access", now).sign(
        claims.of_access(
            iss=iss, client=client, user=user, session=session, oauth=oauth, jti=env.random.uuid(), now=now
        )
    )
    identity = None
    if not oauth or "openid" in session.scope.split():
        signer = ours.signer("id", now)
        identity = signer.sign(
            claims.of_id(
                iss=iss,
                client=client,
                user=user,
                session=session,
                oauth=oauth,
                jti=env.random.uuid(),
                now=now,
                at_hash=jose.at_hash(access, signer.algorithm) if oauth else None,
                nonce=nonce,
            )
        )
    return Tokens(
        access=access,
        expires_in=int(client.access_validity.total_seconds()),
        scope=session.scope,
        id=identity,
        refresh=refresh,
    )


def for_machine(env: Env, client: Client, scope: str) -> Tokens:
    """An access token for the client itself (RFC 6749, 4.4). No row, no statement."""
    version = (client.pool.settings.get("lambda_config") or {}).get("pre_token_generation_config", {})
    if version.get("lambda_version") == "V3_0":  # the only one that is asked about machines too (reference: 9.2)
        unbuilt.demand_no_trigger(client.pool, "pre_token_generation_config")
    now = env.now()
    access = (
        keys.of(env, client.pool)
        .signer("access", now)
        .sign(
            claims.of_machine(
                iss=claims.issuer(env.settings, client.pool),
                client=client,
                scope=scope,
                jti=env.random.uuid(),
                now=now,
            )
        )
    )
    return Tokens(access=access, expires_in=int(client.access_validity.total_seconds()), scope=scope)


def refresh_digest(env: Env, token: str) -> str:
    return env.keyed.digest("refresh token", token)
