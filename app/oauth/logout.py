"""/logout, as Cognito has it (reference: 7.8): ends the browser's session, and goes where the client is registered to.

Tokens stay as they are; a client that wants them ended revokes its refresh token.
"""

from __future__ import annotations

from flask import Response, abort, request

from app import error_page, web
from app.errors import UnknownPool
from app.oauth import client, redirects
from app.oauth.client import OAuthClient
from app.oauth.redirects import Unanswerable
from app.signin import browser


def logout() -> Response:
    """With `logout_uri`: there. With `redirect_uri` and `response_type`: to the sign-in page, which leads back there.

    Where the browser would go is decided before anything is ended: a request that is refused changes nothing.
    """
    try:
        pool = web.current_pool()
    except UnknownPool:
        abort(404)
    env = web.current_env()
    try:
        client_id = _once("client_id") or ""
        found = client.known(env, pool, client_id)
        if found is None:
            raise Unanswerable("unknown_client", error_page.unknown_client(env, pool, client_id))
        target = _target(found)
    except Unanswerable as reason:
        return redirects.to_error_page(reason)
    browser.close(env, web.browser_token())
    response = redirects.to(target)
    web.forget_browser(response)
    return response


def _target(found: OAuthClient) -> str:
    """Raises Unanswerable. Both kinds of URI are compared string for string, so this cannot be made to lead
    elsewhere (RFC 9700, 4.11)."""
    logout_uri, redirect_uri = _once("logout_uri"), _once("redirect_uri")
    if logout_uri:
        if logout_uri not in found.row.logout_urls:
            raise Unanswerable("logout_mismatch", error_page.logout_uri(found.row, logout_uri))
        return logout_uri
    if not redirect_uri or not _once("response_type"):
        raise Unanswerable("invalid_request")
    if not found.check_redirect_uri(redirect_uri):
        raise Unanswerable("redirect_mismatch", error_page.redirect_uri(found.row, redirect_uri))
    return web.carry("hosted.sign_in")


def _once(name: str) -> str | None:
    values = request.args.getlist(name)
    if len(values) > 1:
        raise Unanswerable("invalid_request")
    return values[0] if values else None
