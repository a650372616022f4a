"""A forgotten password: a code to an address that was verified, and a new password with it."""

from __future__ import annotations

from flask import Response

from app import web
from app.accounts import passwords
from app.env import Env
from app.hosted import memory, words
from app.hosted.errors import Stop
from app.hosted.forms import ForgotPasswordForm, ResetPasswordForm
from app.hosted.page import bp, page, see
from app.models import Client


def forgot_password_form(client: Client) -> ForgotPasswordForm:
    _check_open(client)
    form = ForgotPasswordForm(username=memory.kept(client.pool, "username"))
    form.called(words.name_label(client.pool))
    return form


def _check_open(client: Client) -> None:
    if not client.pool.recovery:
        raise Stop("reset_closed")


@bp.route("/forgotpassword", methods=["GET", "POST"])
@bp.route("/forgotPassword", methods=["GET", "POST"])
@page("forgot_password.html", forgot_password_form, category="UserAccountRecovery")
def forgot_password(env: Env, client: Client, form: ForgotPasswordForm) -> Response:
    """Send a code, or seem to: nobody learns here whether there is such an account, or in which state it is."""
    name = form.username.data or ""
    delivery = passwords.forgot(env, client, username=name, origin=web.origin(), hiding=True)
    memory.keep(client.pool, username=name, destination=delivery.destination)
    return see("hosted.reset_password")


def reset_password_form(client: Client) -> ResetPasswordForm:
    _check_open(client)
    form = ResetPasswordForm(username=memory.kept(client.pool, "username"))
    form.called(words.name_label(client.pool))
    return form


def reset_password_facts(client: Client) -> dict[str, object]:
    return {
        "destination": memory.kept(client.pool, "destination"),
        "password_rules": words.password_rules(client.pool),
    }


@bp.route("/confirmforgotpassword", methods=["GET", "POST"])
@bp.route("/confirmforgotPassword", methods=["GET", "POST"])
@bp.route("/confirmForgotPassword", methods=["GET", "POST"])
@page("reset_password.html", reset_password_form, reset_password_facts, category="UserAccountRecovery")
def reset_password(env: Env, client: Client, form: ResetPasswordForm) -> Response:
    """Take the code and the new password. It does not sign in: a second factor must not be passed by."""
    name = form.username.data or ""
    passwords.confirm_forgot(
        env,
        client,
        username=name,
        code=form.confirmation_code.data or "",
        password=form.password.data or "",
        origin=web.origin(),
        hiding=True,
    )
    notice = "Your password is changed. You can sign in with it now."
    memory.keep(client.pool, username=name, destination=None, notice=notice)
    return see("hosted.sign_in")
