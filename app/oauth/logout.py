"""/logout: ends the browser's session, and goes where the client is registered to.

It has two forms. `id_token_hint`, `client_id`, `post_logout_redirect_uri` and `state` are OpenID Connect RP-Initiated
Logout 1.0, which discovery announces; the user is asked on a page unless the hint names the one who is signed in. With
`client_id` and `logout_uri`, or with the parameters of an authorization request, it is Cognito's own (reference: 7.8),
which never asks; that is why browsers must not send the cookie with requests that another site makes on its own.

Tokens stay as they are; a client that wants them ended revokes its refresh token.
"""

from __future__ import annotations

from flask import Response, abort, request, url_for

from app import error_page, errors, web
from app.env import Env
from app.errors import UnknownPool
from app.models import Pool
from app.oauth import client, query, redirects
from app.oauth.client import OAuthClient
from app.oauth.query import once
from app.oauth.redirects import Pairs, Unanswerable
from app.signin import browser, sign_out

COGNITO = ("logout_uri", "redirect_uri", "response_type")
"""Any of these makes it Cognito's form."""


def logout() -> Response:
    """Where the browser would go is decided before anything is ended: a request that is refused changes nothing.

    A POST becomes a GET: a form that another site sends comes without the cookie (SameSite), and would find nobody
    signed in.
    """
    try:
        pool = web.current_pool()
    except UnknownPool:
        abort(404)
    env = web.current_env()
    try:
        if request.method == "POST":
            return redirects.to(redirects.with_query(url_for("oauth.logout"), query.posted()), 303)
        pairs = query.parameters(request.query_string)
        if any(once(pairs, name) for name in COGNITO):
            return _ended(env, _cognito_target(env, pool, pairs))
        return _at_request_of_client(env, pool, pairs)
    except Unanswerable as reason:
        return redirects.to_error_page(reason)


def _at_request_of_client(env: Env, pool: Pool, pairs: Pairs) -> Response:
    """RP-Initiated Logout 1.0, 2 and 3. `logout_hint` and `ui_locales` are accepted, and change nothing. Raises
    Unanswerable."""
    state = once(pairs, "state")
    try:
        asked = sign_out.request(
            env,
            pool,
            hint=once(pairs, "id_token_hint"),
            client_id=once(pairs, "client_id"),
            target=once(pairs, sign_out.TARGET),
        )
    except errors.UnknownClient:
        client_id = once(pairs, "client_id") or ""
        raise Unanswerable("unknown_client", error_page.unknown_client(env, pool, client_id)) from None
    except sign_out.UnregisteredTarget as refused:
        mismatch = error_page.logout_uri(refused.client, refused.target, parameter=sign_out.TARGET)
        raise Unanswerable("logout_mismatch", mismatch) from None
    except errors.InvalidParameter:
        raise Unanswerable("invalid_request") from None
    signed_in = browser.recognise(env, pool, web.browser_token())
    if signed_in is not None and not asked.certain(signed_in):
        return redirects.to(web.carry("hosted.sign_out"))
    if asked.target is None:
        return _ended(env, url_for("hosted.sign_out"))
    return _ended(env, redirects.with_query(asked.target, [("state", state)]) if state else asked.target)


def _ended(env: Env, target: str) -> Response:
    browser.close(env, web.browser_token())
    response = redirects.to(target)
    web.forget_browser(response)
    return response


def _cognito_target(env: Env, pool: Pool, pairs: Pairs) -> str:
    """With `logout_uri`: that. With `redirect_uri` and `response_type`: the sign-in page, which leads back there.
    Raises Unanswerable. Both kinds of URI are compared string for string, so this cannot be made to lead elsewhere
    (RFC 9700, 4.11)."""
    client_id = once(pairs, "client_id") or ""
    found = client.known(env, pool, client_id)
    if found is None:
        raise Unanswerable("unknown_client", error_page.unknown_client(env, pool, client_id))
    logout_uri = once(pairs, "logout_uri")
    if logout_uri:
        if logout_uri not in found.row.logout_urls:
            raise Unanswerable("logout_mismatch", error_page.logout_uri(found.row, logout_uri))
        return logout_uri
    return _sign_in_page(found, once(pairs, "redirect_uri"), once(pairs, "response_type"))


def _sign_in_page(found: OAuthClient, redirect_uri: str | None, response_type: str | None) -> str:
    redirect_uri = redirect_uri or found.row.default_redirect_uri
    if not redirect_uri or not response_type:
        raise Unanswerable("invalid_request")
    if not found.check_redirect_uri(redirect_uri):
        raise Unanswerable("redirect_mismatch", error_page.redirect_uri(found.row, redirect_uri))
    return web.carry("hosted.sign_in")
