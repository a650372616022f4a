"""The next tokens of a login session, for a refresh token (RFC 6749, 6; Cognito's REFRESH_TOKEN_AUTH), and rotation: a
refresh token that is good for one refresh, which gives the next one (RFC 9700, 4.14.2; reference: 6.5).

All refresh tokens of a session begin alike: with the family, by which the session is found. What follows is secret.
The next secret is made from the token that was presented, under a key of the installation. So whoever repeats a
refresh, because the answer was lost on the way, gets the same next token again, and it is stored nowhere. A token of
the family that is neither the good one nor such a repetition has been used before: it, or one that came of it, is in
two hands, nobody can say which are the thief's, and the session ends.

A request can also be executed late, when its token has been followed by more than one other. Within the grace, counted
from the use of that very token, it is refused and the session goes on: nothing is issued for it (docs/decisions/013).

The grace serves a thief too, who comes within seconds of the owner: both then go on with one line of tokens, until one
of them is late. That is the trade; a client that does not want it sets it to nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from sqlalchemy import bindparam, select, update

from app import errors, metrics
from app.audit import record
from app.crypto.base64url import encode
from app.crypto.seal import same
from app.db import table
from app.env import Env, Origin
from app.models import Client, Device, LoginSession, User
from app.policy import unbuilt
from app.statements import Statement, columns, record_of
from app.tokens import claims, issue, resources, restored, revoke

log = logging.getLogger(__name__)

REVOKED = "Refresh Token has been revoked"
SUPERSEDED = "Refresh Token has been superseded"
MOST_EARLIER = 8
"""Used tokens that a session remembers, besides the last one. More within one grace are no accident."""

_SESSIONS, _USERS, _DEVICES = table(LoginSession), table(User), table(Device)
_DEVICE = record_of(Device, only=("key",))
_BY_TOKEN = Statement(
    select(*columns(LoginSession), *columns(User), _DEVICES.c.key, *claims.GROUP_COLUMNS)
    .select_from(
        claims.joining_groups(
            _SESSIONS.join(_USERS, _USERS.c.sub == _SESSIONS.c.user_sub).outerjoin(
                _DEVICES, _DEVICES.c.key == _SESSIONS.c.device_key
            )
        )
    )
    .where(_SESSIONS.c.family_digest == bindparam("family")),
    record_of(LoginSession),
    claims.USER,
    _DEVICE,
    claims.GROUP,
)
_UPDATE_USED = (
    update(_SESSIONS)
    .where(
        _SESSIONS.c.id == bindparam("session"),
        _SESSIONS.c.refresh_digest == bindparam("good"),
        _SESSIONS.c.revoked_at.is_(None),
    )
    .values(active_at=bindparam("now"), ip=bindparam("from_ip"), user_agent=bindparam("with_agent"))
    .returning(_SESSIONS.c.id)
)
_USE = Statement(_UPDATE_USED)
_ROTATE = Statement(
    _UPDATE_USED.values(
        refresh_digest=bindparam("successor"),
        previous_digest=bindparam("presented"),
        rotated_at=bindparam("now"),
        earlier_digests=bindparam("earlier"),
    )
)
_NOW = Statement(
    select(*columns(LoginSession)).where(_SESSIONS.c.id == bindparam("session")),
    record_of(LoginSession),
)


class Standing(Enum):
    """What a refresh token of a family is to its session."""

    GOOD = auto()
    REPEATED = auto()
    """The one before the good one, again, within the client's grace: it gets the same answer."""
    LATE = auto()
    """An earlier one, within the grace of its own use: it gets nothing, and ends nothing."""
    REUSED = auto()
    """Any other: the session ends."""


@dataclass(frozen=True)
class Found:
    """A live login session, and the refresh token that was presented for it."""

    session: LoginSession
    user: User
    token: str
    digest: str
    replaces: str | None
    """Digest of the good token whose place its successor takes: its own, but after a restore. None: the successor has
    taken it already."""


def tokens(
    env: Env,
    client: Client,
    token: str,
    *,
    oauth: bool,
    origin: Origin,
    device_key: str | None = None,
    resource: str | None = None,
) -> issue.Tokens:
    """New access and ID token, and for a client whose tokens rotate the next refresh token, which lives as long as the
    one before it would have. Raises what `find` and `renewed` do."""
    found = find(env, client, token, device_key=device_key)
    return renewed(env, client, found, oauth=oauth, origin=origin, resource=resource)


def find(env: Env, client: Client, token: str, *, device_key: str | None = None) -> Found:
    """The live login session that a refresh token belongs to, and its user. One statement.

    Raises errors.RefreshTokenRefused for a token that is unknown, of another client, revoked, expired or late, or that
    comes without the key of the session's device, once that is confirmed; errors.RefreshTokenReuse for one that was
    used before, and the session has then ended; errors.UserDisabled; errors.UnexpectedLambda (policy.unbuilt).
    """
    unbuilt.demand_no_trigger(client.pool, *unbuilt.TOKEN_TRIGGERS)
    found = _BY_TOKEN.rows(env, {"family": issue.refresh_digest(env, token[: issue.FAMILY])})
    # Another client's token is answered like an unknown one: whether it exists is none of their business.
    if not found or found[0][0].client_id != client.id:
        raise errors.RefreshTokenRefused
    session, user, device, _ = found[0]
    user = claims.with_groups(user, (row[3] for row in found))
    confirmed = device.key if device is not None else None
    digest, now = issue.refresh_digest(env, token), env.now()
    standing = _standing(client, session, digest, now)
    if standing is not Standing.GOOD and not client.rotates:
        raise errors.RefreshTokenRefused
    if session.revoked_at is not None:
        raise errors.RefreshTokenRefused(REVOKED)
    if now >= session.expires_at:
        raise errors.RefreshTokenRefused("Refresh Token has expired")
    if standing is Standing.LATE:
        raise _late(session.id)
    replaces = None if standing is Standing.REPEATED else session.refresh_digest
    if standing is Standing.REUSED and not restored.accepts_older(env, session, now):
        with env.transaction():
            _refuse_reuse(env, client, session)
    if not user.enabled:
        raise errors.UserDisabled
    # Only after the family was looked at: a thief without the device's key must set off the alarm all the same.
    # And only of a device that was confirmed: a client that keeps none has been offered a key, and drops it.
    if client.pool.device_tracking and confirmed is not None and device_key != confirmed:
        raise errors.RefreshTokenRefused
    return Found(session, user, token, digest, replaces)


def renewed(
    env: Env, client: Client, found: Found, *, oauth: bool, origin: Origin, resource: str | None = None
) -> issue.Tokens:
    """New tokens of a session that was found, the access token for `resource` if that is given. The one write of the
    request, and none where tokens do not rotate and sessions are not tracked; signed after it.

    A scope that the client is no longer allowed, or that no longer exists, is left out. Raises
    errors.RefreshTokenRefused, also where no scope is left; errors.RefreshTokenReuse; errors.UnknownResource and
    errors.InvalidTarget, after which the refresh token is still good.
    """
    scope, audience = found.session.scope, found.session.audience
    # What a sign-in by the API gives depends on no OAuth setting. At the pages it was granted by one.
    if scope != claims.API_SCOPE or found.session.browser_session_id is not None or resource is not None:
        defined = resources.of(env, client.pool)
        scope = defined.still(client, scope)
        if not scope:
            raise errors.RefreshTokenRefused("None of the scopes that were granted can be granted any more.")
        audience = defined.narrowed(audience, resource)
        scope = resources.limited(scope, audience)
    successor = None
    if client.rotates:
        successor = _successor(env, found.token)
        if found.replaces is not None:
            _rotate(env, client, found, successor, origin)
    elif client.pool.most_sessions is not None:
        with env.transaction():
            if _USE.first(env, _use(env, client, found, origin)) is None:
                raise errors.RefreshTokenRefused(REVOKED)
    return issue.signed(
        env, client, found.user, found.session, oauth=oauth, refresh=successor, scope=scope, audience=audience
    )


def _rotate(env: Env, client: Client, found: Found, successor: str, origin: Origin) -> None:
    """Let the successor take the token's place. One UPDATE decides between requests that come at once with one token:
    the first moves on, and the others find that it has, and get what it got."""
    using = {
        **_use(env, client, found, origin),
        "successor": issue.refresh_digest(env, successor),
        # As it was read: no other request has changed it, unless it has changed the good token too.
        "earlier": _earlier(client, found.session, env.now()),
    }
    with env.transaction():
        if _ROTATE.first(env, using) is not None:
            return
        now = _NOW.first(env, {"session": found.session.id})
        if now is None or now[0].revoked_at is not None:
            raise errors.RefreshTokenRefused(REVOKED)
        standing = _standing(client, now[0], found.digest, env.now())
        if standing is Standing.LATE:
            raise _late(found.session.id)
        if standing is Standing.REUSED:
            _refuse_reuse(env, client, found.session)


def _use(env: Env, client: Client, found: Found, origin: Origin) -> dict[str, object]:
    """A client with a secret is a server, which refreshes from its own address: the session stays where its user is."""
    if client.confidential:
        origin = Origin(found.session.ip, found.session.user_agent)
    return {
        "session": found.session.id,
        "good": found.replaces,
        "presented": found.digest,
        "now": env.now(),
        "from_ip": origin.ip,
        "with_agent": origin.user_agent,
    }


def _standing(client: Client, session: LoginSession, digest: str, now: datetime) -> Standing:
    """What the token with this digest, which begins with the session's family, is to the session as it was read."""
    if same(session.refresh_digest, digest):
        return Standing.GOOD
    previous, rotated_at = session.previous_digest, session.rotated_at
    if previous is not None and rotated_at is not None and same(previous, digest):
        return Standing.REPEATED if now < rotated_at + client.retry_grace else Standing.REUSED
    if any(same(used, digest) for used, _ in _within_grace(client, session, now)):
        return Standing.LATE
    return Standing.REUSED


def _within_grace(client: Client, session: LoginSession, now: datetime) -> list[tuple[str, float]]:
    """Digests of tokens before the previous one that were used within the grace, each with when that was."""
    since = (now - client.retry_grace).timestamp()
    return [(used, at) for used, at in session.earlier_digests or () if at > since]


def _earlier(client: Client, session: LoginSession, now: datetime) -> list[tuple[str, float]] | None:
    """What the session remembers once another token has become the previous one. A worker of a version that writes no
    such list has left it as it was: what it lacks counts as reuse, as it does for that version."""
    found = _within_grace(client, session, now)
    if session.previous_digest is not None and session.rotated_at is not None:
        if now < session.rotated_at + client.retry_grace:
            found.append((session.previous_digest, session.rotated_at.timestamp()))
    return found[-MOST_EARLIER:] or None


def _successor(env: Env, token: str) -> str:
    """The family, and 32 bytes that only who holds the installation's key can make of the token before."""
    return token[: issue.FAMILY] + encode(env.keyed.number("refresh token after", token, 32))


def _late(session_id: str) -> errors.RefreshTokenRefused:
    """Also where a thief was quicker than the owner: the log is then all that tells of it."""
    log.warning("session %s: an earlier refresh token came back within the grace, and was refused", session_id)
    return errors.RefreshTokenRefused(SUPERSEDED)


def _refuse_reuse(env: Env, client: Client, session: LoginSession) -> None:
    """End the session and say why; the refusal keeps what was written. Inside a transaction."""
    revoke.session(env, session.id)
    refusal = errors.RefreshTokenReuse()
    told = {"sub": session.user_sub, "target": f"session/{session.id}", "client": client.id}
    record.event(env, client.pool, "RefreshTokenReused", refusal=refusal, **told)
    env.after_commit(metrics.REFRESH_REUSE.add)
    env.after_commit(lambda: log.warning("session %s has ended: a used refresh token came back", session.id))
    raise refusal
