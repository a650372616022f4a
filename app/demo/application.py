"""The pages of the demo's application: sign in, see what the tokens say, refresh them, sign out.

Nothing in them needs a script. Each form has the token of the session it belongs to, and only GET requests come from
other sites with the cookies (SameSite=Lax).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, current_app, redirect, request, url_for

from app import web
from app.crypto.seal import same
from app.demo import seed, session
from app.demo.inside import Inside
from app.demo.protocol import Failed, RelyingParty
from app.demo.session import SignedIn
from app.env import Env
from app.hosted import theme
from app.hosted.errors import Stop, stopped
from app.hosted.page import refuse_other_sites

bp = Blueprint("demo", __name__, url_prefix=seed.PATH)
bp.register_error_handler(Stop, stopped)


def open_on(app: Flask) -> None:
    """Add the application. For development mode only."""
    app.register_blueprint(bp)


MOMENTS = ("auth_time", "exp", "iat", "nbf")
"""Claims that are seconds since 1970."""
MEANINGS = {
    "sub": "the user's id, which never changes",
    "email_verified": "whether the address was proven",
    "username": "the user's name in the pool",
    "cognito:username": "the user's name in the pool",
    "cognito:groups": "the user's groups",
    "iss": "issuer: the server that signed it",
    "aud": "audience: the client it is for",
    "client_id": "the client it was given to",
    "scope": "what it allows",
    "auth_time": "when the user signed in",
    "iat": "issued at",
    "exp": "expires",
    "acr": "assurance level of the sign-in",
    "amr": "methods of the sign-in",
    "nonce": "value that this sign-in was started with",
    "at_hash": "hash of the access token given with it",
    "token_use": "kind of token",
    "jti": "id of this token",
    "origin_jti": "id of the sign-in it came from",
    "event_id": "id of the sign-in event",
    "version": "version of the format",
}
"""What a claim is, in the order in which they are shown; the user's other attributes stand behind `sub`."""


def application(env: Env) -> RelyingParty:
    """The relying party, as the file of the demo describes it. 404 where there is none. Raises Failed where another
    server was started on the same data directory: the clients' URLs are that one's."""
    facts = seed.written(env.settings)
    if facts is None:
        abort(404)
    if facts["base_url"] != env.settings.base_url:
        raise Failed(f"The demo of this data directory has since been started at {facts['base_url']}.")
    client = facts["clients"]["app"]
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    return RelyingParty(
        Inside(app),
        env.now,
        issuer=facts["issuer"],
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        redirect_uri=client["redirect_uri"],
        home=client["logout_uri"],
    )


@dataclass(frozen=True)
class Claim:
    name: str
    value: Any
    meaning: str
    moment: datetime | None

    @property
    def text(self) -> str:
        match self.value:
            case bool():
                return str(self.value).lower()
            case list():
                return ", ".join(map(str, self.value))
        return str(self.value)


@bp.get("")
def home() -> Response:
    """Who is signed in; else the way to sign in; else how a demo is made."""
    env = web.current_env()
    if seed.written(env.settings) is None:
        return _without_party(200)
    party = application(env)
    found = session.signed_in(env)
    if found is None:
        return _page(party)
    try:
        claims, access = party.shown(found.tokens.id_token), party.shown(found.tokens.access_token)
    except Failed as failed:
        response = _page(party, problem=f"{failed} Sign in once more.")
        session.forget(env, response)
        return response
    return _page(
        party,
        session=found,
        who=claims.get("name") or claims.get("cognito:username") or claims["sub"],
        email=claims.get("email"),
        tokens=[
            ("id", "ID token", "For this application: who signed in, when and how.", _told(claims)),
            ("access", "Access token", "For an API: what may be done in the user's name.", _told(access)),
        ],
        expires=datetime.fromtimestamp(claims["exp"], UTC),
        over=env.now().timestamp() >= claims["exp"],
    )


@bp.get("/sign-in")
def sign_in() -> Response:
    """Begin, and send the browser to the server."""
    env = web.current_env()
    begun, url = application(env).begin(new_account=request.args.get("account") == "new")
    response = _to(url)
    session.keep_begun(env, response, begun)
    return response


@bp.get("/callback")
def callback() -> Response:
    """The redirect URI: where the server's answer arrives."""
    env = web.current_env()
    party = application(env)
    begun = session.begun(env, request.args.get("state", ""))
    if begun is None:
        # The page of an answer that was used already, opened again; or an answer that this browser never asked for,
        # with which somebody would sign it in as somebody else.
        if session.signed_in(env) is not None:
            return _to(url_for("demo.home"))
        return _page(party, 400, problem="This browser began no such sign-in, or it took too long. Sign in once more.")
    try:
        tokens = party.complete(begun, request.args)
        response = _to(url_for("demo.home"))
        session.keep(env, response, SignedIn(tokens, secrets.token_urlsafe(18)))
    except Failed as failed:
        response = _page(party, 400, problem=str(failed))
    session.take_begun(env, response, begun)
    return response


def _with_session(act: Callable[[Env, RelyingParty, SignedIn], Response]) -> Response:
    """The answer to a form of the page of who is signed in."""
    env = web.current_env()
    refuse_other_sites(env)
    party, found = application(env), session.signed_in(env)
    if found is None:
        return _page(party, 400, problem="Nobody is signed in here any more.")
    if not same(request.form.get("csrf", ""), found.csrf):
        return _page(party, 400, problem="That form was of another sign-in. Please try once more.")
    return act(env, party, found)


@bp.post("/refresh")
def refresh() -> Response:
    return _with_session(_refreshed)


def _refreshed(env: Env, party: RelyingParty, found: SignedIn) -> Response:
    try:
        tokens = party.refreshed(found.tokens)
    except Failed as failed:
        response = _page(party, 400, problem=f"{failed} Sign in once more.")
        session.forget(env, response)
        return response
    response = _to(url_for("demo.home"))
    session.keep(env, response, replace(found, tokens=tokens, refreshed=found.refreshed + 1))
    return response


@bp.post("/sign-out")
def sign_out() -> Response:
    return _with_session(_signed_out)


def _signed_out(env: Env, party: RelyingParty, found: SignedIn) -> Response:
    response = _to(party.ended(found.tokens))
    session.forget(env, response)
    return response


def _told(claims: dict[str, Any]) -> list[Claim]:
    order = {name: place for place, name in enumerate(MEANINGS, start=1)}
    return [
        Claim(name, value, MEANINGS.get(name, ""), datetime.fromtimestamp(value, UTC) if name in MOMENTS else None)
        for name, value in sorted(claims.items(), key=lambda one: order.get(one[0], 1))
    ]


def _to(url: str) -> Response:
    response = redirect(url, 303)
    return web.protect_page(response)  # type: ignore[arg-type]


@bp.errorhandler(Failed)
def unusable(failed: Failed) -> Response:
    """The server does not know the demo that the file describes: its pool was deleted, or the database is another, or
    it is served elsewhere."""
    return _without_party(503, problem=str(failed))


def _without_party(status: int, problem: str | None = None) -> Response:
    shown = {"application": "Demo", "missing": True, "problem": problem}
    return web.protect_page(Response(theme.current().draw("demo.html", shown), status, mimetype="text/html"))


def _page(party: RelyingParty, status: int = 200, **facts: Any) -> Response:
    shown = {
        "application": "Demo",
        # Cookies belong to a host: `localhost` and `127.0.0.1` are two, and the answer comes to this one.
        "sign_in_url": f"{party.home}/sign-in",
        "issuer": party.issuer,
        "client_id": party.client_id,
        "url": url_for,
        **facts,
    }
    response = Response(theme.current().draw("demo.html", shown), status, mimetype="text/html")
    elsewhere = [party.server["end_session_endpoint"], party.home]
    return web.protect_page(
        response, form_targets=[web.origin_of_url(url) for url in elsewhere if urlsplit(url).netloc]
    )
