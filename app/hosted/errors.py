"""A refusal as a sentence: on the field that it is about, else at the top of the form, else on the error page.

Nothing of a request is repeated here, except for what development is told of an address that does not match. No message
of a refusal is shown as it is: those speak Cognito's language, and to programs. Who exists is told by no page but
sign-up, whatever the client's setting for the API says.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from app import error_page, errors, web
from app.error_page import Mismatch
from app.errors import Refusal
from app.facts import current as current_facts
from app.hosted import theme
from app.hosted.forms import PlainForm
from app.models import Pool
from app.signin.challenges import mfa_setup

log = logging.getLogger(__name__)

UNFINISHED = "This application is not set up completely yet, so nobody can sign in. Please tell the people who run it."
NO_SECOND_FACTOR = (
    "Your account needs a second step to sign in, and has none yet. An administrator has to set it up: please ask "
    "whoever runs this application."
)
CODE_WRONG = "This code is not right, or it is too old. Check it, or get a new one."
SENTENCES: dict[type[Refusal], str] = {
    errors.NotAuthorized: "Incorrect username or password.",
    errors.LockedOut: "Too many wrong attempts in a row. Wait a little before you try again.",
    errors.UserDisabled: "This account has been switched off. Please ask whoever runs this application.",
    errors.TemporaryPasswordExpired: "This password was for a short time only, and the time is over. "
    "Ask for a new invitation.",
    errors.SignUpClosed: "Accounts are made by an administrator here. Please ask for one.",
    errors.UsernameExists: "This name is taken. If it is yours, sign in; otherwise choose another.",
    errors.AliasExists: "Another account has this address already. Sign in with that one.",
    errors.CodeMismatch: CODE_WRONG,
    errors.ExpiredCode: CODE_WRONG,
    errors.CodeUsed: "This code was used already. Wait until the app shows the next one.",
    errors.CodeDeliveryFailure: "We could not send the message. Please try again in a few minutes.",
    errors.LimitExceeded: "That was too often. Please try again in an hour.",
    errors.TooManyCodes: "That was too often. Please try again in an hour.",
    errors.TooManyRequests: "Very many people are signing in just now. Please try again in a few seconds.",
    errors.ServiceUnavailable: "This did not work just now. Please try again in a moment.",
    errors.InvalidPassword: "Choose a password that follows the rules.",
    errors.PasswordHistoryPolicyViolation: "You have had this password before. Choose another one.",
    errors.UnexpectedLambda: UNFINISHED,
    errors.InvalidUserPoolConfiguration: UNFINISHED,
}
OTHERWISE = "That did not work with what you entered. Please check it."
ON_FIELD = {
    "birthdate": "Enter the date as year, month and day: 1990-12-31.",
    "email": "Enter a whole email address, such as name@example.com.",
    "phone_number": "Enter the number with its country code, such as +44 20 7946 0018.",
    "username": "This cannot be used as a name here. Choose another one.",
}
"""Where a value has the wrong form (errors.InvalidParameter)."""
TOO_MANY = "Too many requests came from you or from your network. Please try again {when}."
BUSY = (errors.TooManyRequests, errors.LimitExceeded, errors.LockedOut)


def tell(refusal: Refusal, form: PlainForm, pool: Pool) -> str | None:
    """Put a refusal into words, on its field if the form has that. What has no field is returned."""
    if isinstance(refusal, errors.UserNotFound):
        refusal = errors.ExpiredCode() if "confirmation_code" in form else errors.NotAuthorized()
    if isinstance(refusal, errors.EnableSoftwareTokenMFA):
        refusal = errors.CodeMismatch()
    wrong = form.wrong if type(refusal) in (errors.CodeMismatch, errors.ExpiredCode, errors.NotAuthorized) else None
    sentence = wrong or _sentence(refusal, pool)
    field = refusal.field
    if field == "username" and "username" not in form and len(pool.username_attributes) == 1:
        field = pool.username_attributes[0]
    return None if form.refuse(field, sentence) else sentence


def _sentence(refusal: Refusal, pool: Pool) -> str:
    if isinstance(refusal, errors.RateLimited):
        return TOO_MANY.format(when=when(refusal.retry_after))
    if isinstance(refusal, errors.InvalidPassword):
        return _about_password(refusal.message, pool)
    if refusal.message == mfa_setup.NOTHING:
        return NO_SECOND_FACTOR
    if isinstance(refusal, errors.InvalidParameter) and refusal.field:
        return ON_FIELD.get(refusal.field, "This value cannot be used here.")
    return next((SENTENCES[cls] for cls in type(refusal).__mro__ if cls in SENTENCES), OTHERWISE)


def _about_password(reason: str, pool: Pool) -> str:
    """The rule that was broken (requirements: 45). What `policy.passwords` says ends in one of these."""
    rules = {
        "not long enough": f"Use at least {pool.password_policy.minimum_length} characters.",
        "too long": "Use at most 256 characters.",
        "begin or end with a space": "Do not begin or end with a space.",
        "uppercase characters": "Add an upper-case letter.",
        "lowercase characters": "Add a lower-case letter.",
        "numeric characters": "Add a digit.",
        "symbol characters": "Add a symbol, such as ! or ?",
    }
    found = (sentence for end, sentence in rules.items() if reason.endswith(end))
    return next(found, SENTENCES[errors.InvalidPassword])


def when(retry_after: int | None) -> str:
    """How long a wait is, in words."""
    seconds = retry_after or errors.TooManyRequests.retry_after
    if seconds < 5:
        return "in a few seconds"
    return f"in {seconds} seconds" if seconds < 90 else f"in {-(-seconds // 60)} minutes"


def status_of(refusal: Refusal) -> int:
    if isinstance(refusal, errors.ServiceUnavailable):
        return 503
    return 429 if isinstance(refusal, BUSY) else 400


# -- the error page --------------------------------------------------------------------------------------------


class Stop(Exception):
    """There is no form to show: the error page says why, in the words that `code` has in PAGES."""

    def __init__(self, code: str, mismatch: Mismatch | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.mismatch = mismatch


@dataclass(frozen=True)
class Words:
    title: str
    message: str
    advice: str = "Go back to the application and try again. If that does not help, tell the people who run it."
    status: int = 400


WAY_IN = "This page cannot be shown"
BACK = "Close this page, and open the application again."
PAGES = {
    "unknown_client": Words(
        WAY_IN, "The application that sent you here is not known: its client_id is missing or wrong."
    ),
    "redirect_mismatch": Words(
        WAY_IN,
        "The address to go back to (redirect_uri) is not registered for this client, so you were not sent there.",
    ),
    "redirect_missing": Words(WAY_IN, "The address to go back to (redirect_uri) is missing."),
    "logout_mismatch": Words(
        "You are still signed in",
        "The address to go to after signing out (post_logout_redirect_uri or logout_uri) is not registered for this "
        "client.",
    ),
    "invalid_request": Words(
        WAY_IN,
        "The application sent an incomplete request: a parameter such as redirect_uri is missing, or is there twice.",
    ),
    "no_pages": Words(WAY_IN, "This application is not set up for signing in on these pages."),
    "other_way": Words(
        "You cannot go on here",
        "Your account asks for something that these pages cannot take, such as a passkey.",
        "Sign in with the application itself, or ask whoever runs it.",
    ),
    "no_second_factor": Words(
        "Sign in with your second factor first",
        "Recovery codes are made for who has signed in here with a second factor.",
        "Sign out, and sign in again with it.",
        403,
    ),
    "sign_up_closed": Words(
        "Sign-up is closed", "Accounts are made by an administrator here.", "Please ask for one.", 403
    ),
    "reset_closed": Words(
        "Passwords are reset by an administrator",
        "A forgotten password cannot be replaced on this page.",
        "Please ask whoever runs this application.",
        403,
    ),
    "resend_closed": Words(
        "Accounts are confirmed by an administrator",
        "No codes are sent here.",
        "Please ask whoever runs this application.",
        403,
    ),
    # No error, but the end of the road of who comes from the link of a mail.
    "confirmed": Words("Your account is confirmed", "You can sign in now.", "Go back to the application.", 200),
    "email_verified": Words("Your email address is verified", "Thank you.", "Go back to the application.", 200),
    "bad_link": Words(
        "This link does not work",
        "It was used already, or it is too old, or only part of it arrived.",
        "If you have used it before, you can sign in. Otherwise go back to the application and get a new message.",
        410,
    ),
    "other_site": Words(
        "This form came from somewhere else",
        "It was not sent from one of our own pages, so nothing was done with it.",
        "Open the application again, and fill in the form there.",
        403,
    ),
    "denied": Words(
        "This page is not open to you",
        "The people who run this service have decided not to answer requests like this one.",
        "If you think that is a mistake, tell them, with the number below.",
        403,
    ),
    "denied_for_now": Words(
        "That was too often",
        "More requests came from where you are than this service answers in a short time.",
        "Please wait a little, and load this page again.",
        429,
    ),
    "begin_again": Words(
        "Please begin again",
        "Before this form can be taken, your browser has to show that it is no robot. Nothing was done with what you "
        "entered.",
        "Go back one page in your browser, load that page again, and fill in the form once more.",
        403,
    ),
    "not_here": Words(
        "This page is for the machine that the server runs on",
        "The outbox of development is shown to a browser on the same machine, at a local address.",
        "Open it there, by the name localhost.",
        403,
    ),
    "no_pool": Words("There is no sign-in page here", "No user pool belongs to this address.", BACK, 404),
    "not_found": Words(
        "There is no such page", "The address may have been mistyped, or the page has moved.", BACK, 404
    ),
    "wrong_method": Words(
        "This page cannot be used like that", "It was called in a way that it does not know.", BACK, 405
    ),
    "too_large": Words("That was too much", "More was sent than these forms can hold.", BACK, 413),
    "server_error": Words(
        "Something went wrong",
        "This is our fault, and not yours.",
        "Please try again in a few minutes. If it happens again, tell the people who run this.",
        500,
    ),
    "unavailable": Words(
        "Please try again in a moment",
        "This service cannot answer just now.",
        "Wait a few seconds, and load this page again. If that does not help, tell the people who run it.",
        503,
    ),
    "too_many": Words(
        "Please wait a moment",
        "Too many requests came from you or from your network.",
        "Please try again {when}.",
        429,
    ),
    "error": Words("Something went wrong", "What was asked for could not be done."),
}
OF_STATUS = {404: "not_found", 405: "wrong_method", 413: "too_large", 500: "server_error"}


def page(code: str, mismatch: Mismatch | None = None, retry_after: int | None = None) -> Response:
    """The error page. A code that it does not know gets general words: what is in a query is never repeated."""
    code = code if code in PAGES else "error"
    words = PAGES[code]
    current_facts().outcome = code
    if words.status < 500 and words.status != 200:  # what is worse has been logged whole
        log.info("answered with the error page: %s", code)
    if not web.current_env().settings.development:
        mismatch = None
    if _wants_json():
        body: dict[str, object] = {"error": code, "message": words.message, "request_id": web.request_id()}
        if mismatch is not None:
            body |= {"given": mismatch.given, "registered": mismatch.registered, "advice": mismatch.advice}
        response = Response(orjson.dumps(body), words.status, content_type="application/json")
    else:
        facts = {
            "code": code,
            "title": words.title,
            "message": words.message,
            "mismatch": mismatch,
            "advice": words.advice.format(when=when(retry_after)),
            "done": words.status == 200,
            "request_id": None if words.status == 200 else web.request_id(),
        }
        response = Response(theme.current().draw("error.html", facts), words.status, mimetype="text/html")
    if words.status == 503:
        retry_after = errors.ServiceUnavailable.retry_after
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return web.protect_page(response)


def _wants_json() -> bool:
    """Only when it is asked for more than a page: browsers ask for pages, curl for anything."""
    accepts = request.accept_mimetypes
    return accepts["application/json"] > accepts["text/html"]


def handle_on(app: Flask) -> None:
    """For what no door answers: addresses that do not exist, a database that is away, and bugs. The other doors' own
    handlers come first."""
    app.register_error_handler(errors.ServiceUnavailable, refused)
    for status in OF_STATUS:
        app.register_error_handler(status, _of_status)


def _of_status(error: HTTPException) -> Response:
    if isinstance(error, InternalServerError):
        # Flask has logged the whole of it, without the number that the person is told.
        log.error("request %s failed: %s", web.request_id(), type(error.original_exception or error).__name__)
    response = page(OF_STATUS[error.code or 500])
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def stopped(reason: Stop) -> Response:
    return error_page.answer(reason.code, reason.mismatch)


def refused(refusal: Refusal) -> Response:
    """What was refused before there was a form."""
    known: dict[type[Refusal], str] = {
        errors.UnknownPool: "no_pool",
        errors.UnknownClient: "unknown_client",
        errors.ServiceUnavailable: "unavailable",
        errors.RateLimited: "too_many",
    }
    return page(known.get(type(refusal), "error"), retry_after=refusal.retry_after)
