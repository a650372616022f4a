"""Signing out: the question whether to, where a request alone does not decide it, and the word that it is done.

Both are one address. `oauth.logout` sends a browser here, with the query as it came; once the session has ended, the
browser goes back there, and on to the application.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, request

from app import errors, web
from app.hosted import memory, theme, words
from app.hosted.errors import Stop
from app.hosted.forms import PlainForm
from app.hosted.page import LARGEST, bp, refuse_other_sites, see
from app.signin import browser, sign_out


class SignOutForm(PlainForm):
    """One button."""


@bp.route("/signout", methods=["GET", "POST"], endpoint="sign_out")
def page() -> Response:
    """Ask who is signed in whether to sign out; tell everybody else that nobody is."""
    request.max_content_length = LARGEST
    env, pool = web.current_env(), web.current_pool()
    try:
        asked = sign_out.request(
            env,
            pool,
            hint=request.args.get("id_token_hint"),
            client_id=request.args.get("client_id"),
            target=request.args.get(sign_out.TARGET),
        )
    except errors.InvalidParameter as refused:
        unregistered = isinstance(refused, sign_out.UnregisteredTarget)
        raise Stop("logout_mismatch" if unregistered else "invalid_request") from None
    signed_in = browser.recognise(env, pool, web.browser_token())
    if signed_in is None:
        return web.protect_page(_drawn("signed_out.html", {}))
    form, status = SignOutForm(), 200
    if request.method == "POST":
        refuse_other_sites(env)
        if form.validate():
            return _signed_out()
        status = 400
    facts = {
        "application": asked.client.name if asked.client else None,
        "form": form,
        "name": words.account_name(pool, signed_in.user),
    }
    response = _drawn("sign_out.html", facts, status)
    # The way back may end at the application, and the policy for forms holds for that redirect too.
    return web.protect_page(response, form_targets=[web.origin_of_url(asked.target)] if asked.target else ())


def _signed_out() -> Response:
    browser.close(web.current_env(), web.browser_token())
    memory.forget()
    response = see("oauth.logout")
    web.forget_browser(response)
    return web.protect_page(response)


def _drawn(template: str, facts: Mapping[str, object], status: int = 200) -> Response:
    return Response(theme.current().draw(template, facts), status, mimetype="text/html")
