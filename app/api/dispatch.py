"""`POST /`: target, signature, JSON, shape, caller, rate, operation, reply; and `OPTIONS /` for browsers.

A signature is verified before anything of the body is looked at: what a stranger sends to an administrative operation
is hashed and dropped. Operations that anybody may call take no more than LARGEST_UNSIGNED.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import orjson
from flask import Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from app import errors, facts, inspection, web
from app.api import audited, caller, categories, registry, shapes, signature
from app.api import errors as drawing
from app.api.registry import OPERATIONS, TARGET, Operation
from app.audit import acting, record
from app.env import Env, Origin
from app.errors import Refusal
from app.models import Pool
from app.throttling import callers

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/x-amz-json-1.1"
ACCEPTED = (CONTENT_TYPE, "application/x-amz-json-1.0", "application/json")
CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date,Retry-After"),
)
PREFLIGHT = (("Access-Control-Allow-Methods", "POST, OPTIONS"), ("Access-Control-Max-Age", "172800"))
LARGEST_UNSIGNED = 128 * 1024
"""Bytes of a body that nobody has signed. A signed one may have as many as the application takes: images and templates
are sent in them."""
UNPROVEN = (drawing.InvalidSignature, drawing.UnrecognizedClient, errors.SecretRefused, errors.Unauthorized)
"""Refusals of whoever claims to be somebody with a secret, and has not shown it."""
DEFAULT_HEADERS = "Content-Type, X-Amz-Target, X-Amz-User-Agent, Cache-Control, Authorization, X-Amz-Date"


def preflight() -> Response:
    """Any page may call: what protects the API is in each request, never in a cookie (reference: 1.4)."""
    about = facts.current()
    about.door, about.operation = "api", "preflight"
    asked = request.headers.get("Access-Control-Request-Headers", DEFAULT_HEADERS)
    headers = [*CORS, *PREFLIGHT, ("Access-Control-Allow-Headers", asked), ("x-amzn-RequestId", web.request_id())]
    return Response(b"", headers=headers, mimetype="text/plain")


def serve() -> Response:
    """Answer one operation, whatever happens on the way."""
    env = web.current_env()
    request_id = web.request_id()
    about = facts.current()
    about.door, about.operation = "api", "unknown"
    headers = [*CORS, ("x-amzn-RequestId", request_id)]
    found: Operation | None = None
    reply: dict[str, Any] | None = None
    refusal: Refusal | None = None
    try:
        found = _operation(request.headers.get("X-Amz-Target", ""))
        about.operation = found.name
        callers.check_unproven(env, web.ip())
        try:
            reply = _administered(env, found) if found.who == "signed" else _asked(env, found)
        except UNPROVEN:
            callers.count_unproven(env, web.ip())
            raise
        payload = b"" if found.output is None else orjson.dumps(reply or {})
    except Refusal as refused:
        refusal = refused
    except Exception:
        log.exception("request %s failed", request_id)
        refusal = errors.InternalError()
    if found is not None and current_app.testing:
        if refusal is not None:
            registry.check_refusal(found, refusal)
        else:
            registry.check_reply(found, reply)
    if refusal is not None:
        about.outcome = refusal.code
        headers += drawing.headers(refusal)
        status = drawing.STATUS.get(refusal.code, 400)
        return Response(drawing.body(refusal), status, headers, content_type=CONTENT_TYPE)
    return Response(payload, 200, headers, content_type=CONTENT_TYPE)


def _operation(target: str) -> Operation:
    if not target:
        raise drawing.UnknownOperation(
            f"The header X-Amz-Target is missing. It names the operation: {TARGET}InitiateAuth, for example."
        )
    name = target.removeprefix(TARGET)
    found = OPERATIONS.get(name) if target.startswith(TARGET) else None
    if found is None:
        if target.startswith(TARGET) and name in registry.NAMES:
            raise drawing.UnknownOperation(f"{name} is not available in this version of Cognate.")
        raise drawing.UnknownOperation("The X-Amz-Target header names no operation of Amazon Cognito user pools.")
    return found


def _body(operation: Operation) -> bytes:
    if request.mimetype not in ACCEPTED:
        raise drawing.Serialization(f"The Content-Type must be {CONTENT_TYPE}.")
    longest = current_app.config["MAX_CONTENT_LENGTH"] if operation.who == "signed" else LARGEST_UNSIGNED
    refusal = drawing.RequestEntityTooLarge(f"The body must be no longer than {longest} bytes.")
    # Of a body that does not say how long it is, Werkzeug reads as many bytes as it may and is silent about the rest.
    request.max_content_length = longest + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise refusal from None
    if len(body) > longest:
        raise refusal
    return body


def _asked(env: Env, operation: Operation) -> dict[str, Any] | None:
    """What an operation replies that needs no signature. Whoever brings an access token is known by it."""
    call = _call(env, operation, _members(operation, _body(operation)))
    if not call.has_token:
        return operation.run(call)
    with acting.by(acting.USER, call.user.sub):
        return operation.run(call)


def _administered(env: Env, operation: Operation) -> dict[str, Any] | None:
    """What an operation replies that an access key has signed; and the row of the audit that tells of it, whatever
    becomes of it from here on. A request whose signature is not right is nobody's call, and would be a row for every
    stranger who sends one."""
    body = _body(operation)
    key_id = _signer(env, body)
    with acting.by(acting.ACCESS_KEY, key_id), record.administrative(env, record.Call(operation.name)) as told:
        members = _members(operation, body)
        told.parameters, told.target = audited.parameters(operation.input, members), audited.target(members)
        caller.check_permitted(env, key_id, operation, members)
        call = _call(env, operation, members)
        told.pool_id = call.pool.id if "UserPoolId" in members else record.INSTALLATION
        return operation.run(call)


def _signer(env: Env, body: bytes) -> str:
    """The id of the access key that signed the request."""
    return signature.verify(
        env,
        signature.Signed(
            path=request.root_path.rstrip("/") + request.path,
            query=request.query_string.decode("latin-1"),
            headers={name.lower(): value for name, value in request.headers},
            body=body,
            peer=request.remote_addr or "",
        ),
    )


def _members(operation: Operation, body: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise drawing.Serialization from None
    return shapes.check(operation.input, given)


def _call(env: Env, operation: Operation, members: dict[str, Any]) -> caller.Call:
    came_from = web.origin()
    if members.get("ClientMetadata"):
        came_from = Origin(came_from.ip, came_from.user_agent, members["ClientMetadata"])
    inspect = caller.let_through
    if operation.who != "signed":
        inspect = partial(_inspect, env, operation)
    call = caller.identified(env, operation, members, came_from, inspect)
    callers.check(env, categories.of(operation.name), came_from.ip, **call.counted)
    return call


def _inspect(env: Env, operation: Operation, pool: Pool) -> None:
    inspection.at_the_api(env, pool, operation.name)
