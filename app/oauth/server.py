"""Authlib, dressed for this house: the token and revocation endpoints (RFC 6749, 3.2; RFC 7009).

Authlib finds the grant, runs it and makes an answer of its errors; who a client is, what it may have and what is
issued is ours. Its framework-neutral server is used, not the one for Flask, which wraps each request twice and takes
parameters from the URL as well, where secrets end up in logs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast
from urllib.parse import parse_qsl

from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import BaseGrant, InvalidRequestError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from flask import Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from app import facts, web
from app.env import Env
from app.oauth import client, replies
from app.oauth.client import ClientRefused, OAuthClient
from app.oauth.grants import GRANTS
from app.oauth.revoke import Revocation
from app.throttling import callers

FORM = "application/x-www-form-urlencoded"
MOST_PARAMETERS = 64
LONGEST_FORM = 64 * 1024
"""Bytes; codes and tokens have hundreds."""


class TokenRequest(OAuth2Request):
    """The parameters of the body, and of nothing else."""

    def __init__(self, method: str, address: str, headers: Any, form: dict[str, str]) -> None:
        super().__init__(method, address, headers=headers)
        self.payload = BasicOAuth2Payload(form)
        self._form = form

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Server(AuthorizationServer):
    def __init__(self, env: Env) -> None:
        super().__init__()
        self.env = env
        for grant in GRANTS:
            self.register_grant(grant)
        self.register_endpoint(Revocation)

    def token(self) -> Response:
        """/oauth2/token. Refusals of use-cases are answered by `errors`."""
        done: Any = _unless_method_is_wrong() or self.create_token_response(request)
        return cast(Response, done)

    def revoke(self) -> Response:
        """/oauth2/revoke."""
        done: Any = _unless_method_is_wrong() or self.create_endpoint_response(Revocation.ENDPOINT_NAME, request)  # type: ignore[no-untyped-call]
        return cast(Response, done)

    def create_oauth2_request(self, request: Request) -> OAuth2Request:
        """Raises InvalidRequestError for a body that is no form, or that repeats a parameter (RFC 6749, 3.2)."""
        # Authlib wants to see https. The address by which clients reach us is a setting, which config.py has checked;
        # what the last hop of a proxy looked like says nothing about it.
        # One header is enough, and all of them would be copied.
        given = request.headers.get("Authorization")
        headers = {} if given is None else {"Authorization": given}
        return TokenRequest(request.method, self.env.settings.base_url, headers, form(request))

    def get_token_grant(self, request: OAuth2Request) -> BaseGrant:
        if not request.form.get("grant_type"):
            raise InvalidRequestError("The parameter grant_type is missing.")
        grant = super().get_token_grant(request)
        facts.current().operation = f"token:{str(grant.GRANT_TYPE).rpartition(':')[2]}"
        return grant

    def authenticate_client(
        self, request: OAuth2Request, methods: Collection[str], endpoint: str = "token"
    ) -> OAuthClient:
        headers = request.headers or {}
        authorization = headers.get("Authorization")
        pool, ip = web.current_pool(), web.ip()
        callers.check_unproven(self.env, ip)
        try:
            found = client.authenticate(self.env, pool, authorization, request.form, endpoint=endpoint)
        except ClientRefused:
            callers.count_unproven(self.env, ip)
            raise
        category = "ClientAuthentication" if request.form.get("grant_type") == "client_credentials" else "UserToken"
        callers.check(self.env, category, ip, server=found.row.confidential, pool=pool, client=found.row)
        return found

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        if not isinstance(body, dict):
            return replies.empty(status)
        return replies.json(body, status, [header for header in headers if header[0] == "WWW-Authenticate"])

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""


def form(request: Request) -> dict[str, str]:
    """The body's parameters. Raises InvalidRequestError."""
    request.max_content_length = LONGEST_FORM
    if request.mimetype != FORM:
        raise InvalidRequestError(f"The body must be {FORM}.")
    try:
        pairs = parse_qsl(request.get_data().decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except RequestEntityTooLarge:
        raise InvalidRequestError("The body is too long.", status_code=413) from None
    except ValueError:
        raise InvalidRequestError("The body cannot be read as a form.") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise InvalidRequestError("A parameter is given more than once.")
    return parameters


def _unless_method_is_wrong() -> Response | None:
    """The answer to anything but a POST (RFC 6749, 3.2: the client MUST use POST)."""
    if request.method == "POST":
        return None
    if request.method == "OPTIONS":
        return replies.preflight("POST, OPTIONS")
    body = {"error": "invalid_request", "error_description": "The request must be a POST."}
    return replies.json(body, 405, [("Allow", "POST, OPTIONS")])
