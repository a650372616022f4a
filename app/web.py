"""What all doors share: the environment of a request, which pool it is about, where a link leads, cookies, headers.

A pool is reached by path (`<base>/<pool id>/login`) or by host (`<prefix>.<base host>/login`, a custom domain). The
path form is turned into the other by moving the pool's id into SCRIPT_NAME, so that there is one set of routes, and
every URL that Flask builds stays in the form in which the request came.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, current_app, request, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.routing import Map, RuleFactory

from app import errors, facts, logs, traces
from app.audit import acting
from app.config import Settings
from app.env import Env, Origin
from app.facts import Facts
from app.models import Pool
from app.pools import find

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

NOTHING = nullcontext()
_POOL_PATH = re.compile(r"/(?=[^/]{1,55}/)([a-z]{2}(?:-[a-z]+)+-[0-9]_[0-9a-zA-Z]+)(/.*)")
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII)
_POOL_ID = "cognate.pool_id"
_POOL = "cognate.pool"
BEGAN = "cognate.began"
"""By time.perf_counter: when the request was complete, if the server says so. It may have waited since."""


class LateMap(Map):
    """Addresses that are compiled when the first request asks for one. That takes 6 ms, twice what all the rest of an
    application takes to make; commands, and most tests, never ask."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._late: list[RuleFactory] = []
        self._compiling = threading.Lock()
        super().__init__(*args, **kwargs)

    def add(self, rulefactory: RuleFactory) -> None:
        self._late.append(rulefactory)

    def update(self) -> None:
        """Called by Werkzeug before it looks for an address, or builds one."""
        if self._late:
            with self._compiling:
                for each in self._late:
                    super().add(each)
                self._late = []  # the last thing: until then no thread passes by
        super().update()


class Application(Flask):
    url_map_class = LateMap
    when_over: Callable[[Facts], None] | None = None
    """Told the facts of each request that is over (app.observation)."""


class PoolByPath:
    """WSGI middleware: `/<pool id>/login` becomes `/login` of that pool."""

    def __init__(self, wsgi: Wsgi) -> None:
        self._wsgi = wsgi

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = _POOL_PATH.fullmatch(environ.get("PATH_INFO", ""))
        if found:
            environ[_POOL_ID] = found[1]
            environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}/{found[1]}"
            environ["PATH_INFO"] = found[2]
        return self._wsgi(environ, start_response)


class Asked:
    """WSGI middleware: says who is acting, as far as a connection tells."""

    def __init__(self, wsgi: Wsgi) -> None:
        self._wsgi = wsgi

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        ip, user_agent = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_USER_AGENT", "")
        begun = acting.begin(acting.Acting(acting.ANYBODY, "", ip, user_agent))
        try:
            return self._wsgi(environ, start_response)
        finally:
            acting.end(begun)


class Forwarded:
    """WSGI middleware: address, scheme and host are those of the client, past the proxies that are believed. What is no
    address is empty.

    The proxy that is `hops` away from here has written the last value but `hops` - 1 of each header. They are divided
    at every comma, and not as lists of RFC 9110, which werkzeug's ProxyFix takes them for: of a list in which a
    stranger has opened a quoted string nothing is left, and the request would seem to be the proxy's own.
    """

    UNREADABLE = b"X-Forwarded-For cannot be read.\n"

    def __init__(self, wsgi: Wsgi, hops: int) -> None:
        self._wsgi = wsgi
        self._hops = hops

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        address = environ.get("REMOTE_ADDR", "")
        if self._hops:
            told = environ.get("HTTP_X_FORWARDED_FOR")
            written = self._written(told)
            if told is not None and not written and (len(told.split(",")) >= self._hops or not told.strip(", ")):
                # granian empties a line of a header that is not ASCII: one such byte of a stranger's would take away
                # the address that a proxy has appended to it, and the request would seem to be the proxy's own.
                length = str(len(self.UNREADABLE))
                start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Content-Length", length)])
                return [self.UNREADABLE]
            address = written or address
            scheme = self._written(environ.get("HTTP_X_FORWARDED_PROTO"))
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
            host = self._written(environ.get("HTTP_X_FORWARDED_HOST"))
            if host:
                environ["HTTP_HOST"] = host
        environ["REMOTE_ADDR"] = plain_address(address)
        return self._wsgi(environ, start_response)

    def _written(self, told: str | None) -> str:
        """What the outermost proxy that is believed has written; empty where fewer have written anything."""
        if not told:
            return ""
        values = told.split(",")
        return values[-self._hops].strip() if len(values) >= self._hops else ""


@lru_cache(maxsize=4096)
def plain_address(text: str) -> str:
    """An address in its usual form, without the port that some proxies append and the zone of a link; empty for what is
    none.

    Whoever comes by IPv4 to a server that listens on `::` has their usual address: as `::ffff:192.0.2.1` (RFC 4291,
    2.5.5.2) they would be another one to limits and logs, and loopback would be none.
    """
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2] if found else text).partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


class RequestId:
    """WSGI middleware around everything that answers: gives each request its id, and each answer the header.

    An id that came with a request is used only if it comes from a proxy (`adopt`) and is of the form of one: nobody
    else is to choose what the log is searched for; the same holds for the trace that it says to belong to. What fails
    beyond all doors is logged and answered here, for the server would answer it without an id.
    """

    def __init__(self, wsgi: Wsgi, app: Application, *, adopt: bool) -> None:
        self._wsgi = wsgi
        self._app = app
        self._adopt = adopt

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "") if self._adopt else ""
        mine = given if logs.acceptable(given) else logs.new_id()
        about = Facts(mine)
        traceparent = environ.get("HTTP_TRACEPARENT", "") if self._adopt else ""
        if traceparent:
            about.trace_id = traces.trace_id_of(traceparent)
        # The path before the pool is taken out of it.
        about.method = environ.get("REQUEST_METHOD", "-")[: logs.LONGEST_QUOTE]
        about.path = environ.get("PATH_INFO", "")[: logs.LONGEST_QUOTE + 1]
        began, begun = environ.get(BEGAN) or time.perf_counter(), False

        def started(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            nonlocal begun
            begun = True
            about.status = status[:3]
            return start_response(status, [*headers, ("X-Request-Id", mine)], *failure)

        traced = traces.request(about, traceparent, environ.get("HTTP_TRACESTATE", "")) if traces.tracing() else NOTHING
        with facts.during(about), traced:
            try:
                return self._wsgi(environ, started)
            except Exception:
                if self._app.testing:
                    raise
                log.exception("request %s failed", mine)
                body = b"The server failed; request %s.\n" % mine.encode("ascii")
                headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
                started("500 Internal Server Error", headers, *([sys.exc_info()] if begun else []))
                return [body]
            finally:
                if self._app.when_over is not None:
                    # As the application came to see it: past the proxies that are believed, and plain.
                    about.peer = environ.get("REMOTE_ADDR", "-")
                    about.seconds, about.ended = time.perf_counter() - began, time.time()
                    about.status = about.status or "500"
                    self._app.when_over(about)


CGI = frozenset(
    "CONTENT_LENGTH CONTENT_TYPE GATEWAY_INTERFACE HTTPS HTTP_HOST PATH_INFO QUERY_STRING REMOTE_ADDR REMOTE_HOST "
    "REMOTE_PORT REQUEST_METHOD SCRIPT_NAME SERVER_NAME SERVER_PORT SERVER_PROTOCOL SERVER_SOFTWARE".split()
)


class WithoutSurroundings:
    """WSGI middleware: takes the variables of the process out of a request's environment.

    Some servers, granian among them, start each request's environment with a copy of the process's own. In it are the
    key, the password of the database and that of the mail account, for any debugger or log that prints a request.
    """

    def __init__(self, wsgi: Wsgi, surroundings: Mapping[str, str]) -> None:
        self._wsgi = wsgi
        # What a server says under one of these names is about the request, whatever the process has there.
        self._foreign = [(name, value) for name, value in surroundings.items() if name not in CGI]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name, value in self._foreign:
            if environ.get(name) == value:
                del environ[name]
        return self._wsgi(environ, start_response)


def is_this_machine(peer: str, host: str) -> bool:
    """Whether a request comes from this machine and was meant for it: what development answers to nobody else.

    The address alone does not say so: a page of any site, whose name was made to lead to 127.0.0.1, is read by a
    browser on this machine as that site's own (DNS rebinding). It cannot choose the name in Host.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return _is_loopback(peer) and (name == "localhost" or name.endswith(".localhost") or _is_loopback(name))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def install(app: Flask, env: Env, *, version: str) -> None:
    """Give the application its environment."""
    app.session_interface = FormSession()
    app.extensions["cognate"] = env
    app.extensions["cognate_version"] = version
    app.before_request(_name_operation)
    app.after_request(_untyped_if_empty)


def _name_operation() -> None:
    """The door and the operation of a request, by its endpoint. A door that has more than one operation at an address
    says which."""
    about = facts.current()
    about.door, _, about.operation = (request.endpoint or ".unknown").rpartition(".")
    about.door = about.door or "none"


def _untyped_if_empty(response: Response) -> Response:
    """Take the type off an answer that has no content: Flask says text/html of everything, and clients that expect
    JSON (oidc-client-ts) refuse the answer for it. A type that a door has chosen stays."""
    empty = not any(response.response) if response.is_sequence else response.content_length == 0
    if empty and response.mimetype in ("text/html", "text/plain"):
        del response.headers["Content-Type"]
    return response


def current_env() -> Env:
    env: Env = current_app.extensions["cognate"]
    return env


def version(app: Flask | None = None) -> str:
    return str((app or current_app).extensions["cognate_version"])


def this_request() -> Request:
    """Flask's `request` without its proxy, which takes a microsecond at each use: for what every request does."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def current_pool() -> Pool:
    """The pool that this request is about, by path or by host. Raises errors.UnknownPool."""
    asked = this_request()
    found: Pool | None = asked.environ.get(_POOL)
    if found is None:
        env = current_env()
        pool_id = asked.environ.get(_POOL_ID)
        found = find.pool(env, pool_id) if pool_id else find.pool_by_host(env, asked.host)
        if found is None:
            raise errors.UnknownPool(asked.host)
        asked.environ[_POOL] = found
        facts.current().pool = found.id
    return found


def pool_id_while_away() -> str | None:
    """The id of the pool that this request is about, without the database: for public documents only."""
    pool_id: str | None = request.environ.get(_POOL_ID)
    return pool_id or find.id_by_host_while_away(current_env(), request.host)


def ip() -> str:
    """The address that this request comes from, as far as the connection tells (and the proxies that are believed)."""
    return request.remote_addr or ""


def origin() -> Origin:
    """Who is asking, as far as the connection tells (and the proxies that are believed); at the pages of a pool also
    what the browser is known by."""
    return Origin(ip=ip(), user_agent=request.headers.get("User-Agent", "")[:512], marks=_browser_marks())


def request_id() -> str:
    """One id for the answer, the log and the page that says sorry."""
    return logs.request_id()


def carry(endpoint: str) -> str:
    """The URL of another page, with the query exactly as it came.

    `url_for(endpoint, **request.args)` would let a query set url_for's own `_external` and `_scheme`, and would drop
    repeated parameters.
    """
    query = request.query_string.decode("latin-1")
    return url_for(endpoint) + (f"?{query}" if query else "")


def origin_of_url(url: str) -> str:
    """What a Content-Security-Policy calls the target of a URL: its origin, or the scheme of an app's own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


class FormSession(SecureCookieSessionInterface):
    """Flask's session, for the pages that have it: nothing is made of it for a request that brings no cookie."""

    _signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        self._signer = self._signer or super().get_signing_serializer(app)
        return self._signer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) not in request.environ.get("HTTP_COOKIE", ""):
            return self.session_class() if app.secret_key else None
        return super().open_session(app, request)


def cookie_configuration(settings: Settings) -> dict[str, Any]:
    """Flask's own cookie holds what a form needs (CSRF token, the handle of a sign-in under way), signed."""
    return {
        "SESSION_COOKIE_NAME": cookie_name(settings, "cognate-form"),
        "SESSION_COOKIE_PATH": "/",
        "SESSION_COOKIE_SECURE": settings.https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def cookie_name(settings: Settings, name: str) -> str:
    """`__Host-` on https: no other host, subdomain or plain-http page can then set or overwrite it."""
    return f"__Host-{name}" if settings.https else name


def _browser_cookie(env: Env, pool: Pool) -> str:
    # `__Host-` demands Path=/, so pools that share the host are told apart by name.
    return cookie_name(env.settings, f"cognate-{pool.id}")


def browser_token() -> str | None:
    """The cookie of the browser's session with this pool."""
    return request.cookies.get(_browser_cookie(current_env(), current_pool()))


def remember_browser(response: Response, token: str, *, seconds: int) -> None:
    env = current_env()
    response.set_cookie(
        _browser_cookie(env, current_pool()),
        token,
        max_age=seconds,
        path="/",
        secure=env.settings.https,
        httponly=True,
        samesite="Lax",
    )


def _marks_cookie(env: Env, pool: Pool) -> str:
    return cookie_name(env.settings, f"cognate-known-{pool.id}")


def _browser_marks() -> str:
    pool: Pool | None = request.environ.get(_POOL)
    return request.cookies.get(_marks_cookie(current_env(), pool), "") if pool is not None else ""


def mark_browser(response: Response, marks: str, *, seconds: int) -> None:
    """Let the browser be known again (accounts.known). Only time takes it back: signing out does not."""
    env = current_env()
    response.set_cookie(
        _marks_cookie(env, current_pool()),
        marks,
        max_age=seconds,
        path="/",
        secure=env.settings.https,
        httponly=True,
        samesite="Lax",
    )


def forget_browser(response: Response) -> None:
    env = current_env()
    response.delete_cookie(
        _browser_cookie(env, current_pool()), path="/", secure=env.settings.https, httponly=True, samesite="Lax"
    )


def protect_page(response: Response, *, form_targets: Iterable[str] = (), connects: bool = False) -> Response:
    """Headers of a page: nothing foreign runs in it, nobody frames it, nothing of its URL leaks, nothing is kept.

    `form_targets` are origins that a form's answer may redirect to: Chromium holds redirects to form-action too, and
    the last one leads to the client. A page `connects` whose script asks us something.
    """
    targets = " ".join(["'self'", *sorted(set(form_targets))])
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {targets}" + ("; connect-src 'self'" if connects else "")
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    if current_env().settings.https:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
