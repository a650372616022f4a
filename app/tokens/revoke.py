"""Ending what was issued. Enforced wherever this server is asked; who only verifies signatures learns at expiry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Row, delete, update

from app import errors
from app.audit import record
from app.env import Env
from app.models import BrowserSession, Client, LoginSession, User
from app.tokens import issue


def everything_of(env: Env, user: User) -> None:
    """Sign a user out everywhere: end all sessions, of every client and browser, what was begun in them, and what
    browsers are known by (accounts.known). Inside a transaction."""
    _end_all(env, user, {"signed_out_at": env.now()})
    record.event(env, user.pool_id, "GlobalSignOut", sub=user.sub)


def sessions_before(env: Env, user: User, *, but: str | None = None, begun_before: datetime | None = None) -> None:
    """End all sessions that rest on a password which has been replaced, and what was begun in them before this moment,
    or before `begun_before`. The login session `but` goes on, and browsers stay known. Inside a transaction."""
    _end_all(env, user, {"sessions_ended_at": begun_before or env.now()}, but=but)


def _end_all(env: Env, user: User, moment: Mapping[str, datetime], *, but: str | None = None) -> None:
    """A code that is redeemed after the moment, from a sign-in before it, gives nothing (tokens.codes).

    The user's row first. Whoever opens a session holds it until he has committed; sessions that are ended after it was
    waited for are all there are.
    """
    env.db.execute(update(User).where(User.sub == user.sub).values(moment))
    _end(env, LoginSession.user_sub == user.sub, *([LoginSession.id != but] if but else []))
    env.db.execute(delete(BrowserSession).where(BrowserSession.user_sub == user.sub))


def refresh_token(env: Env, client: Client, token: str, *, linked: bool = False) -> None:
    """End the login session of a refresh token, with the access tokens that came of it. Inside a transaction.

    With `linked` also the browser's session that it came out of, where the pool tracks sessions. Any token of the
    family will do, a used one too: who signs out wants to be signed out. Unknown, foreign and already revoked tokens
    are passed over in silence (RFC 7009, 2.2). Raises errors.UnsupportedTokenType for an access or ID token,
    errors.UnsupportedOperation where the client does without revocation.
    """
    if token.count(".") == 2:
        raise errors.UnsupportedTokenType("Unsupported token type: only refresh tokens can be revoked.")
    if not client.revocable:
        raise errors.UnsupportedOperation("Token revocation is not enabled for this client.")
    family = LoginSession.family_digest == issue.refresh_digest(env, token[: issue.FAMILY])
    ended = _end(env, family, LoginSession.client_id == client.id)
    for one in ended:
        record.event(env, client.pool, "SessionRevoked", sub=one.user_sub, target=f"session/{one.id}", client=client.id)
    came_from = [one.browser_session_id for one in ended if one.browser_session_id is not None]
    if linked and client.pool.most_sessions is not None:
        env.db.execute(delete(BrowserSession).where(BrowserSession.id.in_(came_from)))


def session(env: Env, session_id: str) -> None:
    """End one login session. Inside a transaction."""
    _end(env, LoginSession.id == session_id)


def device(env: Env, user: User, key: str, *, asking: str | None = None) -> None:
    """End the login sessions of one of the user's devices. Inside a transaction, with the user's row locked.

    Of the session that is `asking` for it (its id) only the refresh token ends: who forgets the device that they are
    using goes on with the access token until it expires (Amplify lists the devices right after it). That session is no
    longer the device's, so that the device cannot be confirmed anew with it.
    """
    mine = (LoginSession.user_sub == user.sub, LoginSession.device_key == key)
    if asking is not None:
        env.db.execute(
            update(LoginSession)
            .where(*mine, LoginSession.id == asking, LoginSession.revoked_at.is_(None))
            .values(expires_at=env.now(), device_key=None)
        )
    _end(env, *mine)


def _end(env: Env, *which: ColumnElement[bool]) -> Sequence[Row[str, str, str | None]]:
    """End the login sessions that have not ended yet; of each its id, whose it was, and the browser session that it
    came out of."""
    return env.db.execute(
        update(LoginSession)
        .where(*which, LoginSession.revoked_at.is_(None))
        .values(revoked_at=env.now())
        .returning(LoginSession.id, LoginSession.user_sub, LoginSession.browser_session_id)
        .execution_options(synchronize_session=False)
    ).all()
