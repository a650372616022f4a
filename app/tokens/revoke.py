"""Ending what was issued. Enforced wherever this server is asked; who only verifies signatures learns at expiry."""

from __future__ import annotations

from sqlalchemy import delete, update

from app import errors
from app.env import Env
from app.models import BrowserSession, Client, LoginSession, User
from app.tokens import issue


def everything_of(env: Env, user: User) -> None:
    """End all sessions of a user, of every client and browser. Inside a transaction."""
    now = env.now()
    env.db.execute(
        update(LoginSession)
        .where(LoginSession.user_sub == user.sub, LoginSession.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    env.db.execute(update(User).where(User.sub == user.sub).values(signed_out_at=now))
    env.db.execute(delete(BrowserSession).where(BrowserSession.user_sub == user.sub))


def refresh_token(env: Env, client: Client, token: str) -> None:
    """End a refresh token and the access tokens that came with it. Inside a transaction.

    Unknown, foreign and already revoked tokens are passed over in silence (RFC 7009, 2.2). Raises
    errors.UnsupportedTokenType for an access or ID token, errors.UnsupportedOperation where the client does without
    revocation.
    """
    if token.count(".") == 2:
        raise errors.UnsupportedTokenType("Unsupported token type: only refresh tokens can be revoked.")
    if not client.revocable:
        raise errors.UnsupportedOperation("Token revocation is not enabled for this client.")
    env.db.execute(
        update(LoginSession)
        .where(
            LoginSession.family_digest == issue.refresh_digest(env, token[: issue.FAMILY]),
            LoginSession.client_id == client.id,
            LoginSession.revoked_at.is_(None),
        )
        .values(revoked_at=env.now())
    )


def session(env: Env, session_id: str) -> None:
    """End one login session. Inside a transaction."""
    env.db.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.revoked_at.is_(None))
        .values(revoked_at=env.now())
    )
