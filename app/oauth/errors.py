"""A refusal in the words of OAuth: `error`, `error_description` and status (RFC 6749, 5.2; RFC 6750, 3.1)."""

from __future__ import annotations

import logging

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import error_page, errors, web
from app.errors import Refusal
from app.oauth import replies

log = logging.getLogger(__name__)

WORDS: dict[type[Refusal], tuple[str, int]] = {
    errors.NotAuthorized: ("invalid_grant", 400),
    errors.RefreshTokenReuse: ("invalid_grant", 400),
    errors.UserNotFound: ("invalid_grant", 400),
    errors.ScopeDoesNotExist: ("invalid_scope", 400),
    errors.UnknownClient: ("invalid_client", 400),
    errors.UnknownPool: ("invalid_request", 404),
    errors.UnknownResource: ("invalid_target", 400),
    errors.InvalidTarget: ("invalid_target", 400),
    errors.UnsupportedTokenType: ("unsupported_token_type", 400),
    errors.Forbidden: ("access_denied", 403),
    errors.TooManyRequests: ("temporarily_unavailable", 429),
    errors.LimitExceeded: ("temporarily_unavailable", 429),
    errors.ServiceUnavailable: ("temporarily_unavailable", 503),
    errors.UnexpectedLambda: ("server_error", 500),
    errors.InvalidUserPoolConfiguration: ("server_error", 500),
}
OTHERWISE = ("invalid_request", 400)
PAGES = ("oauth.authorize", "oauth.authorize_short", "oauth.logout")


def told(refusal: Refusal) -> tuple[str, str, int]:
    """error, error_description and status of a refusal."""
    word, status = next((WORDS[cls] for cls in type(refusal).__mro__ if cls in WORDS), OTHERWISE)
    return word, plain(refusal.message), status


def plain(sentence: str) -> str:
    """What an error_description may consist of: printable ASCII without `"` and `\\` (RFC 6749, 5.2)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" if c == '"' else "?" for c in sentence)


def handle_on(door: Blueprint) -> None:
    door.register_error_handler(OAuth2Error, _oauth)
    door.register_error_handler(Refusal, _refused)
    door.register_error_handler(Exception, _failed)


def _oauth(error: OAuth2Error) -> Response:
    status, body, headers = error()
    return replies.json(body, status, [header for header in headers if header[0] == "WWW-Authenticate"])


def _refused(refusal: Refusal) -> Response:
    headers = []
    if request.endpoint in PAGES:  # before it was known where to send the browser
        if isinstance(refusal, errors.Forbidden):
            return error_page.denied(refusal)
        if isinstance(refusal, errors.ServiceUnavailable):
            return error_page.answer("unavailable")
        if isinstance(refusal, errors.RateLimited):
            return error_page.answer("too_many", retry_after=refusal.retry_after)
    if refusal.retry_after is not None:
        headers += [("Retry-After", str(refusal.retry_after)), ("Access-Control-Expose-Headers", "Retry-After")]
    word, description, status = told(refusal)
    if isinstance(refusal, errors.RequestDenied) and refusal.retry_after is not None:
        description, status = "The pool takes no more of such requests for a while.", 429
    return replies.json({"error": word, "error_description": description}, status, headers)


def _failed(failure: Exception) -> Response | HTTPException:
    """A bug: logged whole, told as a request id; for people, on the page for that."""
    if isinstance(failure, HTTPException):
        return failure
    if request.endpoint in PAGES:
        raise failure
    log.error("request %s failed", web.request_id(), exc_info=failure)
    return replies.json(
        {"error": "server_error", "error_description": f"The server failed; request {web.request_id()}."}, 500
    )
