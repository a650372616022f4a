"""The two documents that describe a pool to everybody: discovery (OpenID Connect Discovery 1.0, 3; RFC 8414) and its
keys (RFC 7517). Rendered once to bytes, and served before Flask is asked.

When the database is away they are served from memory: what is signed already can then be verified everywhere else. Only
these: whether a token, a client or a pool still counts is never decided by what may be out of date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from flask import Response, request

from app import facts, web
from app.crypto import base64url
from app.env import Env
from app.errors import ServiceUnavailable
from app.models import Pool
from app.oauth import replies
from app.oauth.authorize import PROMPTS
from app.oauth.client import FLOW_OF, METHODS, TOKEN_EXCHANGE
from app.pools import find
from app.tokens import claims, keys
from app.web import Wsgi

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/.well-known/jwks.json"
OPERATIONS = {DISCOVERY: "discovery", JWKS: "jwks"}
MAX_AGE = 300
"""Seconds for which anybody may keep a document; a new key is published well before it signs."""
assert MAX_AGE < keys.PUBLISHED_AHEAD.total_seconds()  # noqa: S101 - a wrong number must not be started

PREPARED = "cognate.document"
"""In the environment of a request whose document the server has found already."""

OWN_CLAIMS = (
    "sub iss aud exp iat auth_time nonce acr amr at_hash jti origin_jti event_id token_use cognito:username username"
).split()


class Document:
    """Bytes with their headers: a WSGI application that answers GET and HEAD, and 304 to who has them already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._etag = f'"{base64url.encode(hashlib.sha256(body).digest()[:16])}"'
        kept = [("ETag", self._etag), ("Cache-Control", f"public, max-age={MAX_AGE}"), *replies.CORS]
        self._unchanged = kept
        self._whole = [*replies.JSON, ("Content-Length", str(len(body))), *kept]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._known_to(environ.get("HTTP_IF_NONE_MATCH", "")):
            start_response("304 Not Modified", list(self._unchanged))
            return ()
        start_response("200 OK", list(self._whole))
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self._body,)

    def _known_to(self, condition: str) -> bool:
        """RFC 9110, 13.1.2: a list of entity tags, weak or strong, or `*`."""
        return any(tag.strip().removeprefix("W/") in (self._etag, "*") for tag in condition.split(","))


class Prepared:
    """WSGI middleware: answers with a document that a request before has left in the cache. It asks no database and
    no Flask; when the cache may be stale, the request goes through to both. After the database was found to be away,
    nobody waits for it here: the stale document is served."""

    def __init__(self, wsgi: Wsgi, env: Env) -> None:
        self._wsgi = wsgi
        self._env = env

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        document = environ.get(PREPARED) or prepared(self._env, environ)
        if document is not None:
            path, about = environ["PATH_INFO"], facts.current()
            about.door, about.operation = "oauth", OPERATIONS[path[path.index("/.well-known/") :]]
            about.pool = path.split("/", 2)[1]
            return document(environ, start_response)
        return self._wsgi(environ, start_response)


def prepared(env: Env, environ: dict[str, Any]) -> Document | None:
    """The document that a request asks for, if it is in memory: this never waits for anything."""
    path = environ.get("PATH_INFO", "")
    if "/.well-known/" not in path or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    key = ("document", path)
    found: Document | None = env.cache.peek(key) or env.cache.while_away(key)
    return found


def discovery() -> Response | Document:
    return _served(DISCOVERY, lambda env, pool: orjson.dumps(configuration(env, pool)))


def jwks() -> Response | Document:
    return _served(JWKS, lambda env, pool: keys.of(env, pool).jwks)


def _served(path: str, render: Callable[[Env, Pool], bytes]) -> Response | Document:
    if request.method == "OPTIONS":
        return replies.preflight("GET, OPTIONS")
    env = web.current_env()
    try:
        pool = web.current_pool()
        return env.cache.get(("document", f"/{pool.id}{path}"), lambda: Document(render(env, pool)))
    except ServiceUnavailable:
        kept: Document | None = env.cache.while_away(("document", f"/{web.pool_id_while_away()}{path}"))
        if kept is None:
            raise
        return kept


def configuration(env: Env, pool: Pool) -> dict[str, Any]:
    """What discovery says: members that a specification knows, and only what is so."""
    issuer = claims.issuer(env.settings, pool)
    base = endpoints(env, pool)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{base}/oauth2/authorize",
        "token_endpoint": f"{base}/oauth2/token",
        "userinfo_endpoint": f"{base}/oauth2/userInfo",
        "revocation_endpoint": f"{base}/oauth2/revoke",
        "end_session_endpoint": f"{base}/logout",
        "jwks_uri": f"{issuer}{JWKS}",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [*FLOW_OF, TOKEN_EXCHANGE],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [pool.algorithm],
        "scopes_supported": list(claims.OIDC_SCOPES),
        "claims_supported": [*OWN_CLAIMS, *_attributes(pool)],
        "acr_values_supported": list(pool.acr_values),
        "prompt_values_supported": list(PROMPTS),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }


def endpoints(env: Env, pool: Pool) -> str:
    """Where the endpoints are: on the pool's own domain, if it has one; else below the base URL, so that nothing
    depends on names below the base host."""
    custom = next((domain for domain in find.domains(env, pool) if domain.custom and domain.served), None)
    return f"https://{custom.domain}" if custom else claims.issuer(env.settings, pool)


def _attributes(pool: Pool) -> list[str]:
    """Standard attributes. What a pool calls its own is nobody's business."""
    return [name for name in pool.schema if ":" not in name and name != "sub"]
