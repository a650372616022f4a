"""Making tokens, for every door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update

from app import errors, metrics
from app.crypto import jose
from app.db import orphaned, table
from app.env import Env, Origin
from app.models import Client, LoginSession, User
from app.policy import unbuilt
from app.statements import Statement
from app.tokens import claims, keys

FAMILY = 22
"""Characters that all refresh tokens of one login session begin with."""
_COLUMNS = tuple(table(LoginSession).columns.keys())
_OPEN = Statement(insert(table(LoginSession)), inserts=_COLUMNS)
_OTHERS = table(LoginSession).alias("others")
_MAKE_ROOM = Statement(
    update(table(LoginSession))
    .where(
        table(LoginSession).c.id.in_(
            select(_OTHERS.c.id)
            .where(
                _OTHERS.c.user_sub == bindparam("sub"),
                _OTHERS.c.revoked_at.is_(None),
                _OTHERS.c.expires_at > bindparam("now"),
            )
            .order_by(_OTHERS.c.active_at.desc(), _OTHERS.c.created_at.desc(), _OTHERS.c.id)
            .offset(bindparam("rest"))
        )
    )
    .values(revoked_at=bindparam("now"))
)
"""Ends what was used least recently, as many as are too many once one more is there (reference: 6.8). Of two sign-ins
at once the second waits for the user's row, and counts the first."""


@dataclass(frozen=True)
class NewDevice:
    """A key that was offered to a device that had none, and the group it is in (accounts.devices)."""

    key: str
    group_key: str


@dataclass(frozen=True)
class Tokens:
    """What is handed out. `expires_in` is of the access token, in seconds; the refresh token is opaque."""

    access: str
    expires_in: int
    scope: str
    id: str | None = None
    refresh: str | None = None
    new_device: NewDevice | None = None


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
    acr_asked: bool = False,
    session_id: str | None = None,
    device_key: str | None = None,
    browser_session_id: str | None = None,
    audience: str | None = None,
) -> Opened:
    """Write down a login session. Inside a transaction, with the user's row locked: one row, and one statement more
    where the pool bounds how many a user may have. Its tokens are signed after the commit (`signed`): two signatures
    take longer than all the rest, and SQLite has one writer.

    `methods` are the names of the challenges that were met, `acr_asked` says whether the tokens shall tell them even
    where the pool does not say so. Raises errors.UnexpectedLambda (policy.unbuilt), errors.UnknownClient (it was
    deleted a moment ago)."""
    unbuilt.demand_no_trigger(client.pool, *unbuilt.TOKEN_TRIGGERS)
    now = env.now()
    if client.pool.most_sessions is not None:
        _MAKE_ROOM.execute(env, {"sub": user.sub, "now": now, "rest": client.pool.most_sessions - 1})
    family, secret = env.random.token(16), env.random.token()
    session = LoginSession(
        id=session_id or env.random.uuid(),
        user_sub=user.sub,
        client_id=client.id,
        origin_jti=env.random.uuid(),
        scope=scope,
        audience=audience,
        auth_time=auth_time,
        methods=list(methods),
        acr_asked=acr_asked,
        family_digest=refresh_digest(env, family),
        refresh_digest=refresh_digest(env, family + secret),
        previous_digest=None,
        rotated_at=None,
        earlier_digests=None,
        device_key=device_key,
        browser_session_id=browser_session_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        created_at=now,
        active_at=now,
        expires_at=now + client.refresh_validity,
        revoked_at=None,
    )
    with orphaned(errors.UnknownClient(client.id)):
        _OPEN.execute(env, {name: getattr(session, name) for name in _COLUMNS})
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
    scope: str | None = None,
    audience: str | None = None,
) -> Tokens:
    """ID and access token of a login session, anew. An ID token tells what the session's scopes stand for, and there is
    none without `openid`; the API gives one, with everything that the client may read, to whoever signed in by it.
    So nobody learns more by refreshing at the other door.

    `scope` and `audience` are given where they are narrower than the session's.
    `nonce` belongs to the first ID token only (OIDC Core, 12.2).
    """
    now = env.now()
    ours = keys.of(env, client.pool)
    iss = claims.issuer(env.settings, client.pool)
    scope = session.scope if scope is None else scope
    audience = session.audience if audience is None else audience
    access = ours.signer("access", now).sign(
        claims.of_access(
            iss=iss,
            client=client,
            user=user,
            session=session,
            scope=scope,
            audience=audience,
            oauth=oauth,
            jti=env.random.uuid(),
            now=now,
        ),
        typ=claims.ACCESS_TYPE if audience is not None else None,
    )
    metrics.TOKENS.add("access")
    if refresh is not None:
        metrics.TOKENS.add("refresh")
    identity = None
    scopes = scope.split()
    everything = not oauth and claims.API_SCOPE in scopes
    if everything or "openid" in scopes:
        metrics.TOKENS.add("id")
        signer = ours.signer("id", now)
        identity = signer.sign(
            claims.of_id(
                iss=iss,
                client=client,
                user=user,
                session=session,
                scopes=None if everything else scopes,
                jti=env.random.uuid(),
                now=now,
                at_hash=jose.at_hash(access, signer.algorithm) if oauth else None,
                nonce=nonce,
            )
        )
    return Tokens(
        access=access,
        expires_in=int(client.access_validity.total_seconds()),
        scope=scope,
        id=identity,
        refresh=refresh,
    )


def for_machine(env: Env, client: Client, scope: str, *, audience: str | None = None) -> Tokens:
    """An access token for the client itself (RFC 6749, 4.4), made out to a resource if there is an `audience`. No row,
    no statement."""
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
                audience=audience,
                jti=env.random.uuid(),
                now=now,
            ),
            typ=claims.ACCESS_TYPE if audience is not None else None,
        )
    )
    metrics.TOKENS.add("machine")
    return Tokens(access=access, expires_in=int(client.access_validity.total_seconds()), scope=scope)


def refresh_digest(env: Env, token: str) -> str:
    return env.keyed.digest("refresh token", token)
