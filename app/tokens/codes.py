"""Authorization codes (RFC 6749, 4.1.2): given once, taken once, and remembered so that a second use is noticed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, insert, select, update

from app import errors
from app.audit import record
from app.crypto.base64url import encode
from app.crypto.seal import same
from app.db import orphaned, table
from app.env import Env, Origin
from app.models import AuthorizationCode, Client, User
from app.statements import Statement, columns, record_of
from app.tokens import claims, issue, resources, revoke

LIFETIME = timedelta(seconds=60)
"""Cognito's live five minutes; a browser needs a second (requirements: 7)."""
REMEMBERED = timedelta(days=1)
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636, 4.1. A shorter one could be found by trying."""

_CODES = table(AuthorizationCode)
_GIVE = Statement(
    insert(_CODES), inserts=[name for name in _CODES.columns.keys() if name not in ("used_at", "session_id")]
)
_TAKE = Statement(
    update(_CODES)
    .where(_CODES.c.digest == bindparam("code"), _CODES.c.used_at.is_(None))
    .values(used_at=bindparam("now"), session_id=bindparam("session"))
    .returning(*columns(AuthorizationCode)),
    record_of(AuthorizationCode),
)
_USER = table(User)
_WITH_GROUPS = (
    select(*columns(User), *claims.GROUP_COLUMNS)
    .select_from(claims.joining_groups(_USER))
    .where(_USER.c.sub == bindparam("sub"))
)
# Against being disabled, deleted or signed out in between, which ends the sessions that it sees; where sessions are
# counted, also against another sign-in that opens one.
_HELD = Statement(_WITH_GROUPS.with_for_update(of=_USER, read=True), claims.USER, claims.GROUP)
_HELD_ALONE = Statement(_WITH_GROUPS.with_for_update(of=_USER, key_share=True), claims.USER, claims.GROUP)


def give(
    env: Env,
    client: Client,
    user_sub: str,
    *,
    redirect_uri: str,
    scope: str,
    nonce: str | None,
    code_challenge: str | None,
    auth_time: datetime,
    methods: Sequence[str],
    browser_session_id: str | None,
    browser: Origin | None = None,
    acr_asked: bool = False,
    stated: bool = True,
    resource: str | None = None,
) -> str:
    """A new code for a user who has signed in with this `browser`. Inside a transaction: one row.

    `stated` says whether the request named the redirect URI, `resource` which resource server the tokens are for.
    """
    now = env.now()
    code = env.random.token()
    row = {
        "digest": _digest(env, code),
        "client_id": client.id,
        "user_sub": user_sub,
        "redirect_uri": redirect_uri,
        "redirect_uri_stated": stated,
        "resource": resource,
        "scope": scope,
        "nonce": nonce,
        "code_challenge": code_challenge,
        "auth_time": auth_time,
        "methods": list(methods),
        "acr_asked": acr_asked,
        "browser_session_id": browser_session_id,
        "ip": browser.ip if browser else None,
        "user_agent": browser.user_agent if browser else None,
        "created_at": now,
        "expires_at": now + LIFETIME,
        "forget_at": now + REMEMBERED,
    }
    with orphaned(errors.TooManyRequests()):  # its user or client, a moment ago
        _GIVE.execute(env, row)
    return code


def redeem(
    env: Env,
    client: Client,
    *,
    code: str,
    redirect_uri: str | None,
    verifier: str | None,
    origin: Origin,
    resource: str | None = None,
) -> issue.Tokens:
    """Tokens for a code (RFC 6749, 4.1.3), the access token for `resource` if that is given. The one write of the
    request, three statements; signed after it. The session is that of the browser in which the user signed in:
    `origin`, which may be a server of the client, is nobody's home.

    One UPDATE decides between parallel redemptions; looking first would let two of them pass. The code is consumed
    before redirect URI and verifier are compared: whoever stole it gets one guess. A second use ends the session
    that the first one opened, because one of the two was not the client (RFC 6749, 4.1.2).
    Raises errors.InvalidGrant, whose transaction is committed all the same; errors.UnknownResource and
    errors.InvalidTarget, after which the code is still good.
    """
    defined = resources.of(env, client.pool)
    with env.transaction():
        taken = _take(env, code)
        if taken is None:
            _end_what_came_of(env, client, code)
            raise errors.InvalidGrant("The code is unknown or has been used.")
        if taken.client_id != client.id:
            raise errors.InvalidGrant("The code was given to another client.")
        if env.now() >= taken.expires_at:
            raise errors.InvalidGrant("The code has expired.")
        if redirect_uri != taken.redirect_uri and (taken.redirect_uri_stated or redirect_uri is not None):
            raise errors.InvalidGrant("The redirect_uri is not the one that the code was asked for with.")
        if not _proven(taken.code_challenge, verifier):
            raise errors.InvalidGrant("The code_verifier does not match the code_challenge.")
        scope = defined.still(client, taken.scope)
        if not scope:
            raise errors.InvalidGrant("None of the scopes that were granted can be granted any more.")
        audience = defined.narrowed(taken.resource, resource)
        narrow = resources.limited(scope, audience)
        held = _HELD if client.pool.most_sessions is None else _HELD_ALONE
        rows = held.rows(env, {"sub": taken.user_sub})
        if not rows or not rows[0][0].enabled:
            raise errors.InvalidGrant("The user does not exist or is disabled.")
        user = claims.with_groups(rows[0][0], (row[1] for row in rows))
        if user.has_ended(taken.auth_time):
            raise errors.InvalidGrant("The user has signed out everywhere since, or has a new password.")
        opened = issue.open_session(
            env,
            client,
            user,
            scope=scope,
            audience=taken.resource,
            auth_time=taken.auth_time,
            methods=taken.methods,
            acr_asked=taken.acr_asked,
            origin=origin if taken.ip is None else Origin(taken.ip, taken.user_agent or ""),
            session_id=taken.session_id,
            browser_session_id=taken.browser_session_id,
        )
    return issue.signed(
        env,
        client,
        user,
        opened.session,
        oauth=True,
        refresh=opened.refresh,
        nonce=taken.nonce,
        scope=narrow,
        audience=audience,
    )


def _take(env: Env, code: str) -> AuthorizationCode | None:
    found = _TAKE.first(env, {"code": _digest(env, code), "now": env.now(), "session": env.random.uuid()})
    return None if found is None else found[0]


def _end_what_came_of(env: Env, client: Client, code: str) -> None:
    used = select(AuthorizationCode.session_id, AuthorizationCode.user_sub).where(
        AuthorizationCode.digest == _digest(env, code), AuthorizationCode.client_id == client.id
    )
    row = env.db.execute(used).one_or_none()
    if row is not None and row.session_id:
        revoke.session(env, row.session_id)
        told = {"sub": row.user_sub, "target": f"session/{row.session_id}", "client": client.id}
        record.event(env, client.pool, "AuthorizationCodeReused", refusal=errors.InvalidGrant(), **told)


def _proven(challenge: str | None, verifier: str | None) -> bool:
    """PKCE, S256 only (RFC 7636, 4.6). A verifier without a challenge is refused too: the code was then obtained by
    a request other than the client's (RFC 9700, 4.8.2)."""
    if challenge is None or verifier is None:
        return challenge is None and verifier is None
    return VERIFIER.fullmatch(verifier) is not None and same(
        encode(hashlib.sha256(verifier.encode("utf-8")).digest()), challenge
    )


def _digest(env: Env, code: str) -> str:
    return env.keyed.digest("authorization code", code)
