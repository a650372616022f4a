"""The second factor: its code, the choice between several, setting one up, and codes for the day it is lost.

What is asked, and whether an answer is right, `signin` says; here are the pages for it.
"""

from __future__ import annotations

from flask import Response, abort, request

from app import web
from app.accounts import factors
from app.crypto import totp
from app.crypto.seal import SealBroken
from app.env import Env
from app.hosted import memory, qr, theme, words
from app.hosted.errors import Stop
from app.hosted.forms import (
    AppCodeForm,
    ChoiceForm,
    PasswordAgainForm,
    RecoveryCodeForm,
    SentCodeForm,
    SetUpAppForm,
    SetUpEmailForm,
    choice_form,
)
from app.hosted.page import bp, page, see
from app.hosted.sign_in import answer, onward, signed_in, waiting
from app.models import Client
from app.signin import browser, recovery, set_up
from app.signin.browser import SignedIn
from app.signin.state import Granted, Step

CODES = (factors.TOTP, factors.SMS, factors.EMAIL)
"""Challenges that are answered with a code."""
KINDS = {factors.TOTP: "app", factors.SMS: "sms", factors.EMAIL: "email"}
"""What the factors are called in the pages, and in no language of programs."""
ISSUER_MAX, ACCOUNT_MAX = 40, 64
"""Characters of what an app calls the account. It must fit into a QR code (2,331 bytes), in which a character may be
twelve, and the issuer is there twice."""
WAYS = {
    "app": ("Authenticator app", "A code that an app on your phone shows"),
    "sms": ("Text message", "A code that we send to your phone"),
    "email": ("Email", "A code that we send to your mailbox"),
}


def _ways(offered: list[str]) -> list[str]:
    """Those of the factors that have a page, by their kind."""
    known = [KINDS[name] for name in offered if name in KINDS]
    if not known:
        raise Stop("other_way")
    return known


def _ways_form(offered: list[str]) -> ChoiceForm:
    return choice_form(_ways(offered))()


def _ways_facts(offered: list[str]) -> dict[str, object]:
    return {"ways": [(kind, *WAYS[kind]) for kind in _ways(offered)]}


def _factor(kind: str) -> str:
    return next(name for name, called in KINDS.items() if called == kind)


# -- the code ----------------------------------------------------------------------------------------------------


def code_form(client: Client) -> AppCodeForm | SentCodeForm:
    waiting(client, *CODES)
    return AppCodeForm() if memory.kept(client.pool, "asked") == factors.TOTP else SentCodeForm()


def code_facts(client: Client) -> dict[str, object]:
    told = waiting(client, *CODES)
    return {"kind": KINDS[memory.kept(client.pool, "asked")], "setting_up": False, **told}


@bp.route("/mfa", methods=["GET", "POST"])
@page("mfa.html", code_form, code_facts)
def mfa(env: Env, client: Client, form: AppCodeForm | SentCodeForm) -> Response:
    """Take the code of an app, or one that was sent."""
    name = f"{memory.kept(client.pool, 'asked')}_CODE"
    return _onward(env, client, answer(env, client, {name: form.confirmation_code.data or ""}))


def recovery_code_form(client: Client) -> RecoveryCodeForm:
    waiting(client, *CODES, "SELECT_MFA_TYPE")
    return RecoveryCodeForm()


@bp.route("/mfa/recoverycode", methods=["GET", "POST"])
@page("mfa_recovery_code.html", recovery_code_form)
def mfa_recovery_code(env: Env, client: Client, form: RecoveryCodeForm) -> Response:
    """Take a recovery code in place of whatever was asked."""
    given = {"RECOVERY_CODE": form.confirmation_code.data or ""}
    return onward(env, client, answer(env, client, given, challenge="RECOVERY_CODE"))


# -- the choice --------------------------------------------------------------------------------------------------


def mfa_choice_form(client: Client) -> ChoiceForm:
    return _ways_form(waiting(client, "SELECT_MFA_TYPE")["ways"])


def mfa_choice_facts(client: Client) -> dict[str, object]:
    return _ways_facts(waiting(client, "SELECT_MFA_TYPE")["ways"])


@bp.route("/mfa/choose", methods=["GET", "POST"])
@page("mfa_choose.html", mfa_choice_form, mfa_choice_facts)
def mfa_choose(env: Env, client: Client, form: ChoiceForm) -> Response:
    """Let somebody who has several choose one."""
    return onward(env, client, answer(env, client, {"ANSWER": _factor(form.choice.data or "")}))


# -- setting one up ----------------------------------------------------------------------------------------------


def mfa_setup_form(client: Client) -> ChoiceForm:
    return _ways_form(waiting(client, "MFA_SETUP")["ways"])


def mfa_setup_facts(client: Client) -> dict[str, object]:
    return _ways_facts(waiting(client, "MFA_SETUP")["ways"])


@bp.route("/mfa/setup", methods=["GET", "POST"])
@page("mfa_setup.html", mfa_setup_form, mfa_setup_facts)
def mfa_setup(env: Env, client: Client, form: ChoiceForm) -> Response:
    """Say that a second factor is needed, and with which one to begin."""
    if form.choice.data == "email":
        return see("hosted.mfa_setup_email")
    pool = client.pool
    secret, attempt = set_up.begin(env, memory.kept(pool, "attempt"), origin=web.origin())
    # The page can then be loaded again. Sealed: the browser shows the secret, but should not keep it to be read.
    sealed = env.seal.seal(secret.encode("ascii"), about=_about(attempt))
    memory.keep(pool, attempt=attempt, secret=sealed)
    return see("hosted.mfa_setup_app")


def _about(attempt: str) -> str:
    return f"authenticator app set up in {attempt}"


def _secret(client: Client) -> str:
    """What the app is to be given; without one, it has to be asked for first."""
    waiting(client, "MFA_SETUP")
    attempt, sealed = memory.kept(client.pool, "attempt"), memory.kept(client.pool, "secret")
    try:
        return web.current_env().seal.open(sealed or "", about=_about(attempt)).decode("ascii")
    except SealBroken:
        abort(see("hosted.mfa_setup"))


def setup_app_form(client: Client) -> SetUpAppForm:
    _secret(client)
    return SetUpAppForm()


def setup_app_facts(client: Client) -> dict[str, object]:
    secret = _secret(client)
    name = memory.kept(client.pool, "username") or ""
    uri = totp.uri(secret, issuer=client.name[:ISSUER_MAX], account=name[:ACCOUNT_MAX])
    return {
        "uri": uri,
        "qr": qr.drawn(uri),
        "secret": [secret[i : i + 4] for i in range(0, len(secret), 4)],
        "minutes": int(client.session_validity.total_seconds()) // 60,
    }


@bp.route("/mfa/setup/app", methods=["GET", "POST"])
@page("mfa_setup_app.html", setup_app_form, setup_app_facts)
def mfa_setup_app(env: Env, client: Client, form: SetUpAppForm) -> Response:
    """Show the secret, and take the first code as the proof that an app has it."""
    attempt = set_up.verify(
        env,
        memory.kept(client.pool, "attempt"),
        code=form.confirmation_code.data or "",
        name=form.app_name.data or None,
        origin=web.origin(),
    )
    memory.keep(client.pool, attempt=attempt, secret=None)
    return _onward(env, client, answer(env, client, {}))


def setup_email_form(client: Client) -> SetUpEmailForm:
    if factors.EMAIL not in waiting(client, "MFA_SETUP")["ways"]:
        abort(see("hosted.mfa_setup"))
    return SetUpEmailForm()


@bp.route("/mfa/setup/email", methods=["GET", "POST"])
@page("mfa_setup_email.html", setup_email_form)
def mfa_setup_email(env: Env, client: Client, form: SetUpEmailForm) -> Response:
    """Take an address, to which a code then goes."""
    response = onward(env, client, answer(env, client, {"EMAIL": form.email.data or ""}))
    told = memory.kept(client.pool, "told")
    memory.keep(client.pool, told={**told, "setting_up": True})
    return response


# -- recovery codes ----------------------------------------------------------------------------------------------


def _onward(env: Env, client: Client, step: Step) -> Response:
    """Who has just set up a second factor is shown codes for the day on which he loses it."""
    if isinstance(step, Granted) and "MFA_SETUP" in step.proven:
        response = signed_in(env, step, Response(mimetype="text/html"))
        return _shown(client, recovery.first(env, step.user), response)
    return onward(env, client, step)


def _shown(client: Client, codes: list[str], response: Response) -> Response:
    """The codes, in the answer to the form and nowhere else: no address has them, so none can show them again."""
    leads_on = "response_type" in request.args
    facts = {"application": client.name, "codes": codes, "leads_on": leads_on}
    response.set_data(theme.current().draw("recovery_codes.html", facts))
    return response


def recovery_form(client: Client) -> PasswordAgainForm:
    person = _signed_in(client)
    if not recovery.may_renew(person):
        raise Stop("no_second_factor")
    return PasswordAgainForm(username=words.account_name(client.pool, person.user))


def _signed_in(client: Client) -> SignedIn:
    found = browser.recognise(web.current_env(), client.pool, web.browser_token())
    if found is None:
        abort(see("hosted.sign_in"))
    return found


@bp.route("/mfa/recovery", methods=["GET", "POST"])
@page("new_recovery_codes.html", recovery_form)
def recovery_codes(env: Env, client: Client, form: PasswordAgainForm) -> Response:
    """Make new recovery codes for who is signed in."""
    password = form.password.data or ""
    codes = recovery.renew(env, client.pool, _signed_in(client), password=password, origin=web.origin())
    # The token of the form goes with it: sent again, by a reload, the form makes no other codes.
    memory.forget()
    return _shown(client, codes, Response(mimetype="text/html"))
