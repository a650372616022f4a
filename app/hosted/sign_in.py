"""Signing in, and where the browser goes when that is done."""

from __future__ import annotations

import orjson
from flask import Response, abort, request

from app import errors, web
from app.env import Env
from app.hosted import memory, words
from app.hosted.forms import USERNAME_MAX, NewPasswordForm, SignInForm, new_password_form
from app.hosted.page import bp, page, see
from app.models import Client
from app.signin import browser, flow
from app.signin.challenges import new_password_required
from app.signin.challenges.new_password_required import PREFIX
from app.signin.state import Ask, Granted, Step

PAGE_OF = {new_password_required.NAME: "hosted.new_password"}
"""The page on which a challenge is answered."""


def sign_in_form(client: Client) -> SignInForm:
    known = memory.kept(client.pool, "username") or request.args.get("login_hint", "")[:USERNAME_MAX]
    form = SignInForm(username=known)
    form.called(words.name_label(client.pool))
    return form


def sign_in_facts(client: Client) -> dict[str, object]:
    return {"can_sign_up": client.pool.open_to_sign_up, "can_reset": bool(client.pool.recovery)}


@bp.route("/login", methods=["GET", "POST"])
@page("sign_in.html", sign_in_form, sign_in_facts)
def sign_in(env: Env, client: Client, form: SignInForm) -> Response:
    """Ask for name and password."""
    name = form.username.data or ""
    memory.keep(client.pool, username=name, destination=None)
    given = {"USERNAME": name, "PASSWORD": form.password.data or ""}
    try:
        step = flow.begin(env, client, flow="HOSTED_PAGES", given=given, origin=web.origin())
    except errors.UserNotConfirmed:
        return see("hosted.confirm")
    except errors.PasswordResetRequired:
        memory.keep(client.pool, problem="Your password has to be replaced before you can sign in.")
        return see("hosted.forgot_password")
    return onward(env, client, step)


def new_password_page(client: Client) -> NewPasswordForm:
    if not memory.kept(client.pool, "attempt"):
        abort(see("hosted.sign_in"))
    return new_password_form(words.missing_fields(memory.kept(client.pool, "missing")))()


def new_password_facts(client: Client) -> dict[str, object]:
    return {"password_rules": words.password_rules(client.pool)}


@bp.route("/newpassword", methods=["GET", "POST"])
@bp.route("/newPassword", methods=["GET", "POST"])
@page("new_password.html", new_password_page, new_password_facts)
def new_password(env: Env, client: Client, form: NewPasswordForm) -> Response:
    """Ask for a password of one's own, and for what else the account lacks."""
    attributes = {f"{PREFIX}{name}": value for name, value in form.answers.items()}
    try:
        step = flow.answer(
            env,
            client,
            challenge=new_password_required.NAME,
            session=memory.kept(client.pool, "attempt"),
            given={"NEW_PASSWORD": form.password.data or "", **attributes},
            origin=web.origin(),
        )
    except (errors.SessionExpired, errors.SessionUsed, errors.SessionInvalid):
        memory.keep(client.pool, attempt=None, problem="That took too long. Please sign in once more.")
        return see("hosted.sign_in")
    return onward(env, client, step)


def onward(env: Env, client: Client, step: Step) -> Response:
    """The page of the next challenge, or back to where the application sent the browser first."""
    match step:
        case Ask(challenge=challenge, params=params, handle=handle):
            missing = [name.removeprefix(PREFIX) for name in orjson.loads(params["requiredAttributes"])]
            memory.keep(client.pool, attempt=handle, missing=missing)
            return see(PAGE_OF[challenge])
        case Granted():
            return signed_in(env, step)


def signed_in(env: Env, granted: Granted) -> Response:
    """A new session for the browser, and what it remembered as a stranger forgotten (requirements: 65)."""
    token = browser.open_session(env, granted, replacing=web.browser_token())
    memory.forget()
    response = see("oauth.authorize")
    web.remember_browser(response, token, seconds=int(browser.lifetime(granted.sign_in.client).total_seconds()))
    return response
