"""The OAuth 2 / OpenID Connect door: /oauth2/*, /.well-known/* and /logout, in the words of the RFCs.

It reads requests, calls use-cases of `tokens` and `signin`, and says what came of it. Authlib keeps the token
endpoint's protocol (`server`, `grants`); the authorization endpoint is a list of checks of our own (`authorize`).
Pages belong to the hosted door, which is met by URL (`hosted.sign_in`, `hosted.sign_out`), and by `app.error_page`.
"""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Flask

from app import inspection, web
from app.env import Env
from app.oauth import authorize, errors, logout, userinfo, well_known
from app.oauth.server import Server


def open_on(app: Flask, env: Env) -> None:
    """Every address of this door. Those that scripts of any origin may call answer OPTIONS themselves."""
    server = Server(env)
    door = Blueprint("oauth", __name__)
    add = partial(door.add_url_rule, provide_automatic_options=False)
    add("/oauth2/authorize", "authorize", authorize.authorize, methods=["GET", "POST"])
    add("/authorize", "authorize_short", authorize.authorize, methods=["GET", "POST"])
    add("/oauth2/token", "token", server.token, methods=["POST", "GET", "OPTIONS"])
    add("/oauth2/userInfo", "userinfo", userinfo.userinfo, methods=["GET", "POST", "OPTIONS"])
    add("/oauth2/revoke", "revoke", server.revoke, methods=["POST", "GET", "OPTIONS"])
    add("/logout", "logout", logout.logout, methods=["GET", "POST"])
    add(well_known.DISCOVERY, "discovery", well_known.discovery, methods=["GET", "OPTIONS"])
    add(well_known.JWKS, "jwks", well_known.jwks, methods=["GET", "OPTIONS"])
    door.before_request(_inspect)
    errors.handle_on(door)
    app.register_blueprint(door)


def _inspect() -> None:
    """Refuse what the rules of the pool refuse (app.inspection), but for the public documents."""
    asked = web.this_request()
    if asked.endpoint not in ("oauth.discovery", "oauth.jwks"):
        inspection.at_a_page(asked)
