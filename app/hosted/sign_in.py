"""Signing in, and where the browser goes when that is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, abort, request

from app import errors, web
from app.accounts import known
from app.env import Env
from app.hosted import memory, words
from app.hosted.errors import Stop
from app.hosted.forms import APP_NAME_MAX, USERNAME_MAX, NewPasswordForm, SignInForm, new_password_form
from app.hosted.page import bp, page, see
from app.models import Client, User
from app.signin import browser, flow, plan
from app.signin.challenges.new_password_required import PREFIX
from app.signin.state import Ask, Granted, Step

PAGE_OF = {
    "NEW_PASSWORD_REQUIRED": "hosted.new_password",
    "SOFTWARE_TOKEN_MFA": "hosted.mfa",
    "SMS_MFA": "hosted.mfa",
    "EMAIL_OTP": "hosted.mfa",
    "SELECT_MFA_TYPE": "hosted.mfa_choose",
    "MFA_SETUP": "hosted.mfa_setup",
}
"""The page on which a challenge is answered."""


def sign_in_form(client: Client) -> SignInForm:
    known = memory.kept(client.pool, "username") or request.args.get("login_hint", "")[:USERNAME_MAX]
    form = SignInForm(username=known)
    form.called(words.name_label(client.pool))
    return form


def sign_in_facts(client: Client) -> dict[str, object]:
    return {"can_sign_up": client.pool.open_to_sign_up, "can_reset": bool(client.pool.recovery)}


@bp.route("/login", methods=["GET", "POST"])
@page("sign_in.html", sign_in_form, sign_in_facts, category="UserAuthentication")
def sign_in(env: Env, client: Client, form: SignInForm) -> Response:
    """Ask for name and password."""
    name = form.username.data or ""
    memory.keep(client.pool, username=name, destination=None)
    given = {"USERNAME": name, "PASSWORD": form.password.data or ""}
    if "acr_values" in request.args:
        given["TARGET_ACR_VALUES"] = request.args["acr_values"]
    try:
        step = flow.begin(env, client, flow=plan.PAGES, given=given, origin=web.origin())
    except errors.UserNotConfirmed:
        return see("hosted.confirm")
    except errors.PasswordResetRequired:
        memory.keep(client.pool, problem="Your password has to be replaced before you can sign in.")
        return see("hosted.forgot_password")
    return onward(env, client, step)


def waiting(client: Client, *challenges: str) -> Mapping[str, Any]:
    """What was told with the challenge that waits for its answer, if it is one of these; else the browser is sent where
    it belongs. Who is back on a page after he has signed in, by a reload, goes on to the application."""
    pool = client.pool
    asked = memory.kept(pool, "asked")
    if not memory.kept(pool, "attempt") or asked not in PAGE_OF:
        abort(see("oauth.authorize" if web.browser_token() else "hosted.sign_in"))
    if asked not in challenges:
        abort(see(PAGE_OF[asked]))
    told: Mapping[str, Any] = memory.kept(pool, "told")
    return told


def answer(env: Env, client: Client, given: Mapping[str, str], *, challenge: str | None = None) -> Step:
    """Answer what waits; or, with another `challenge`, one that stands in for it. Raises what `flow.answer` does."""
    pool = client.pool
    try:
        return flow.answer(
            env,
            client,
            challenge=challenge or memory.kept(pool, "asked"),
            session=memory.kept(pool, "attempt"),
            given=given,
            origin=web.origin(),
            pages=True,
        )
    except errors.NotAuthorized as refusal:
        if type(refusal) is not errors.NotAuthorized:
            raise
        # The password was right; since then somebody has changed it, or the user.
        raise errors.SessionInvalid from refusal


def new_password_page(client: Client) -> NewPasswordForm:
    told = waiting(client, "NEW_PASSWORD_REQUIRED")
    return new_password_form(words.missing_fields(told["missing"]))()


def new_password_facts(client: Client) -> dict[str, object]:
    return {"password_rules": words.password_rules(client.pool)}


@bp.route("/newpassword", methods=["GET", "POST"])
@bp.route("/newPassword", methods=["GET", "POST"])
@page("new_password.html", new_password_page, new_password_facts)
def new_password(env: Env, client: Client, form: NewPasswordForm) -> Response:
    """Ask for a password of one's own, and for what else the account lacks."""
    attributes = {f"{PREFIX}{name}": value for name, value in form.answers.items()}
    return onward(env, client, answer(env, client, {"NEW_PASSWORD": form.password.data or "", **attributes}))


def onward(env: Env, client: Client, step: Step) -> Response:
    """The page of the next challenge, or back to where the application sent the browser first."""
    match step:
        case Ask(challenge=challenge, params=params, handle=handle):
            if challenge not in PAGE_OF:
                raise Stop("other_way")
            memory.keep(client.pool, attempt=handle, asked=challenge, told=_told(challenge, params))
            return see(PAGE_OF[challenge])
        case Granted():
            return signed_in(env, step, see("oauth.authorize"))


def _told(challenge: str, params: Mapping[str, str]) -> dict[str, Any]:
    """What the page of a challenge shows. It stays in a cookie, so it is short."""
    match challenge:
        case "NEW_PASSWORD_REQUIRED":
            return {"missing": [name.removeprefix(PREFIX) for name in orjson.loads(params["requiredAttributes"])]}
        case "SELECT_MFA_TYPE":
            return {"ways": orjson.loads(params["MFAS_CAN_CHOOSE"])}
        case "MFA_SETUP":
            return {"ways": orjson.loads(params["MFAS_CAN_SETUP"])}
        case "SOFTWARE_TOKEN_MFA":
            return {"app_name": params.get("FRIENDLY_DEVICE_NAME", "")[:APP_NAME_MAX]}
        case _:
            return {"destination": params.get("CODE_DELIVERY_DESTINATION")}


def signed_in(env: Env, granted: Granted, response: Response) -> Response:
    """A new session for the browser, which comes with this response, and what it remembered as a stranger forgotten
    (requirements: 65)."""
    token = browser.open_session(env, granted, replacing=web.browser_token())
    memory.forget()
    web.remember_browser(response, token, seconds=int(browser.lifetime(granted.sign_in.client).total_seconds()))
    return known_from_now_on(env, granted.user, response)


def known_from_now_on(env: Env, user: User, response: Response) -> Response:
    """With a mark for the browser, by which it is told from those of strangers (accounts.known)."""
    marks = known.marked(env, web.current_pool(), user, web.origin().marks)
    web.mark_browser(response, marks, seconds=int(known.LIFETIME.total_seconds()))
    return response
