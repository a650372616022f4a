"""The userInfo endpoint (OpenID Connect Core 1.0, 5.3; RFC 6750; reference: 7.5)."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Response, request

from app import errors, facts, web
from app.models import Pool
from app.oauth import replies
from app.oauth.server import FORM, form
from app.pools import find
from app.throttling import callers
from app.tokens import claims, verify

BAD_REQUEST = "Bad OAuth2 request at UserInfo Endpoint"
REFUSED = "Access token is expired, disabled, or deleted, or the user has globally signed out."
WITHOUT_OPENID = "Access token does not contain openid scope"


def userinfo() -> Response:
    """The attributes that the scopes of an access token stand for. One statement.

    Every value is a string, `"email_verified": "true"` too, and `username` is among them: Cognito has it so, and
    applications moved from it read it so. OpenID Connect wants booleans; that is for the `recommended` preset of a
    pool, which does not exist yet.
    """
    if request.method == "OPTIONS":
        return replies.preflight("GET, POST, OPTIONS")
    env, pool = web.current_env(), web.current_pool()
    try:
        token = _token()
    except OAuth2Error:
        return _challenge(400, "invalid_request", BAD_REQUEST)
    if token is None:
        # RFC 6750, 3.1: who did not try is told how, not that he failed.
        return replies.json(
            {"error": "invalid_request", "error_description": BAD_REQUEST}, 401, [("WWW-Authenticate", "Bearer")]
        )
    try:
        verified = verify.access_token(env, token, scope="openid", pool_of=_no_other_pool, only=pool)
        client = find.client(env, verified.claims["client_id"], pool)
        facts.current().client = client.id
    except errors.ScopeMissing:
        return _challenge(401, "invalid_token", WITHOUT_OPENID)
    except (errors.NotAuthorized, errors.UserNotFound, errors.UnknownClient):
        return _challenge(401, "invalid_token", REFUSED)
    user = verified.user
    callers.check(env, "UserRead", web.ip(), pool=pool, client=client, user=user)
    readable = claims.readable_attributes(client, user, verified.scopes)
    return replies.json({"sub": user.sub, **readable, "username": user.username})


def _token() -> str | None:
    """The token, from the header or the form (RFC 6750, 2.1, 2.2). Raises OAuth2Error for two, and for a header or a
    form that is none. A token in the URL is not looked at: URLs are logged (RFC 9700, 4.3.2)."""
    header = request.headers.get("Authorization")
    posted = form(request).get("access_token") if request.mimetype == FORM else None
    if header is None:
        return posted
    scheme, _, token = header.partition(" ")
    if posted or scheme.lower() != "bearer" or not token.strip():
        raise InvalidRequestError
    return token.strip()


def _no_other_pool(pool_id: str) -> Pool:
    raise errors.UnknownPool(pool_id)


def _challenge(status: int, error: str, description: str) -> Response:
    return replies.json(
        {"error": error, "error_description": description},
        status,
        [("WWW-Authenticate", f'Bearer error="{error}", error_description="{description}"')],
    )
