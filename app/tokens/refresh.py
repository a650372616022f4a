"""The next tokens of a login session, for a refresh token (RFC 6749, 6; Cognito's REFRESH_TOKEN_AUTH)."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from app import errors
from app.crypto.seal import same
from app.env import Env
from app.models import Client, LoginSession, User
from app.policy import unbuilt
from app.tokens import claims, issue

ROTATES = "Refresh token rotation is not available in this version of Cognate: the client's tokens cannot be refreshed."

_BY_TOKEN = (
    select(LoginSession, User)
    .join(User, User.sub == LoginSession.user_sub)
    .where(LoginSession.family_digest == bindparam("family"))
    .options(claims.WITH_GROUPS)
)


def tokens(env: Env, client: Client, token: str, *, oauth: bool) -> issue.Tokens:
    """New access and ID token; the refresh token stays, and its lifetime is not extended.

    Raises errors.RefreshTokenRefused for a token that is unknown, of another client, revoked or expired, and
    errors.UserDisabled.
    """
    session, user = find(env, client, token)
    return issue.signed(env, client, user, session, oauth=oauth)


def find(env: Env, client: Client, token: str) -> tuple[LoginSession, User]:
    """The live login session that a refresh token belongs to, and its user. Raises what `tokens` does, and
    errors.UnexpectedLambda (policy.unbuilt).

    Of a client whose tokens rotate none is taken: one that stayed as it is would be good for thirty days in the hands
    of a thief, and rotating is there to end that.
    """
    if client.rotates:
        raise errors.RefreshTokenRefused(ROTATES)
    unbuilt.demand_no_trigger(client.pool, *unbuilt.TOKEN_TRIGGERS)
    with env.reading() as database:
        found = (
            database.execute(_BY_TOKEN, {"family": issue.refresh_digest(env, token[: issue.FAMILY])})
            .unique()
            .one_or_none()
        )
    # Another client's token is answered like an unknown one: whether it exists is none of his business.
    digest = issue.refresh_digest(env, token)
    if found is None or found[0].client_id != client.id or not same(found[0].refresh_digest, digest):
        raise errors.RefreshTokenRefused
    session, user = found
    if session.revoked_at is not None:
        raise errors.RefreshTokenRefused("Refresh Token has been revoked")
    if env.now() >= session.expires_at:
        raise errors.RefreshTokenRefused("Refresh Token has expired")
    if not user.enabled:
        raise errors.UserDisabled
    return session, user
