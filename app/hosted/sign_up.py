"""Signing up: an account, the code that confirms it, and another code where the first did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from flask import Response, request

from app import errors, web
from app.accounts import links
from app.accounts import sign_up as accounts
from app.env import Env, Origin
from app.hosted import memory, words
from app.hosted.errors import Stop
from app.hosted.forms import ConfirmForm, LinkForm, ResendForm, SignUpForm, sign_up_form
from app.hosted.page import bp, page, see
from app.hosted.sign_in import known_from_now_on, onward
from app.models import Client
from app.signin import after_sign_up


def empty_sign_up_form(client: Client) -> SignUpForm:
    pool = client.pool
    if not pool.open_to_sign_up:
        raise Stop("sign_up_closed")
    form = sign_up_form(words.sign_up_fields(client), with_username=words.has_username(pool))()
    if pool.username_attributes and words.has_username(pool):
        form["username"].label.text = words.name_label(pool)
    return form


def sign_up_facts(client: Client) -> dict[str, object]:
    return {"password_rules": words.password_rules(client.pool)}


@bp.route("/signup", methods=["GET", "POST"])
@page("sign_up.html", empty_sign_up_form, sign_up_facts, category="UserCreation")
def sign_up(env: Env, client: Client, form: SignUpForm) -> Response:
    """Make an account that has yet to be confirmed."""
    pool = client.pool
    answers = form.answers
    name = form["username"].data if words.has_username(pool) else answers[words.username_field(pool)]
    memory.keep(pool, username=name, destination=None, ticket=None)
    try:
        done = accounts.sign_up(
            env, client, username=name, password=form.password.data or "", attributes=answers, origin=web.origin()
        )
    except errors.CodeDeliveryFailure:
        # The account is there all the same, and its name taken: signing up again would not work.
        memory.keep(pool, problem="Your account is made, but we could not send the code. Get a new one here.")
        return see("hosted.resend")
    if done.delivery is None:
        memory.keep(pool, notice="Your account is made. An administrator confirms it before you can sign in.")
        return see("hosted.sign_in")
    memory.keep(pool, destination=done.delivery.destination, ticket=after_sign_up.ticket(env, client, done))
    # Strangers who use up the account's guesses and codes must not keep its owner from confirming it here.
    return known_from_now_on(env, done.user, see("hosted.confirm"))


def confirm_form(client: Client) -> ConfirmForm:
    form = ConfirmForm(username=memory.kept(client.pool, "username"))
    form.called(words.name_label(client.pool))
    return form


def where_it_went(client: Client) -> dict[str, object]:
    return {"destination": memory.kept(client.pool, "destination")}


@bp.route("/confirm", methods=["GET", "POST"])
@page("confirm.html", confirm_form, where_it_went, category="UserCreation")
def confirm(env: Env, client: Client, form: ConfirmForm) -> Response:
    """Take the code. The browser that signed up is signed in with it; any other must know the password."""
    pool = client.pool
    name = form.username.data or ""
    step = None
    # Somebody may have disabled the user meanwhile: confirmed he is, and the sign-in page will say what is the matter.
    with suppress(errors.AlreadyConfirmed, errors.UserDisabled):
        step = after_sign_up.confirm(
            env,
            client,
            username=name,
            code=form.confirmation_code.data or "",
            # Without an authorization request there is no application to lead back to: nobody is signed in.
            ticket=memory.kept(pool, "ticket") if "response_type" in request.args else None,
            origin=web.origin(),
        )
    memory.keep(pool, username=name, destination=None, ticket=None)
    if step:
        # As above, a moment later.
        with suppress(errors.NotAuthorized):
            return onward(env, client, step)
    if "response_type" not in request.args:
        raise Stop("confirmed")
    memory.keep(pool, notice="Your account is confirmed. You can sign in now.")
    return see("hosted.sign_in")


def link_form(client: Client) -> LinkForm:
    """The link is checked when it is opened, so that a bad one is told at once and not after the button."""
    form = LinkForm()
    form.verifies_email = _refusing_bad_link(links.purpose, client) == links.VERIFY_EMAIL
    return form


@page("confirm_link.html", link_form, category="UserCreation", for_any_client=True)
def confirm_link(env: Env, client: Client, form: LinkForm) -> Response:
    """Take the code of a mail's link by one button. Nobody is signed in: the link does not say to which application it
    leads back."""
    done = _refusing_bad_link(links.follow, client, origin=web.origin())
    raise Stop("email_verified" if done == links.VERIFY_EMAIL else "confirmed")


@bp.route("/confirmuser", methods=["GET", "POST"])
@bp.route("/confirmUser", methods=["GET", "POST"])
def confirm_user() -> Response:
    """Where the links of mails lead, also those that were cut off; without anything of a link, the page where a code is
    typed in, as in Cognito."""
    return confirm_link() if {"user_name", "confirmation_code"} & set(request.args) else confirm()


def _refusing_bad_link(act: Callable[..., str], client: Client, **given: Origin) -> str:
    try:
        return act(
            web.current_env(),
            client,
            username=request.args.get("user_name") or "",
            code=request.args.get("confirmation_code") or "",
            signature=request.args.get("signature") or "",
            **given,
        )
    except (errors.CodeMismatch, errors.ExpiredCode, errors.LimitExceeded):
        raise Stop("bad_link") from None


def resend_form(client: Client) -> ResendForm:
    if not client.pool.auto_verified:
        raise Stop("resend_closed")
    form = ResendForm(username=memory.kept(client.pool, "username"))
    form.called(words.name_label(client.pool))
    return form


@bp.route("/resendCode", methods=["GET", "POST"])
@bp.route("/resendcode", methods=["GET", "POST"])
@page("resend.html", resend_form, category="UserResourceRead")
def resend(env: Env, client: Client, form: ResendForm) -> Response:
    """Send another code, or seem to: nobody learns here whether there is such an account."""
    name = form.username.data or ""
    delivery = accounts.resend(env, client, username=name, origin=web.origin(), hiding=True)
    memory.keep(client.pool, username=name, destination=delivery.destination, notice="A new code is on its way.")
    return see("hosted.confirm")
