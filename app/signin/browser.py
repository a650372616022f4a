"""The browser's own session: what lets `/oauth2/authorize` answer without asking again. It lives an hour, as Cognito
has it, or as long as the client says through which it was opened, and serves each client as long as that one says
(SSOSession; reference: 6.8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select

from app.db import table
from app.env import NOWHERE, Env, Origin
from app.models import BrowserSession, Client, Pool, User
from app.signin import flow
from app.signin.state import Granted
from app.statements import Statement, columns, record_of

LIFETIME = timedelta(hours=1)
WAY_BACK = timedelta(minutes=1)
"""For a client that wants no session: the page still has to send the browser back to where it was asked to sign in."""

_SESSIONS, _USERS = table(BrowserSession), table(User)
_OPEN = Statement(insert(_SESSIONS), inserts=_SESSIONS.columns.keys())
_CLOSE = Statement(delete(_SESSIONS).where(_SESSIONS.c.digest == bindparam("digest")))
_RECOGNISE = Statement(
    select(*columns(BrowserSession), *columns(User))
    .select_from(_SESSIONS.join(_USERS, _USERS.c.sub == _SESSIONS.c.user_sub))
    .where(_SESSIONS.c.digest == bindparam("digest"), _SESSIONS.c.pool_id == bindparam("pool")),
    record_of(BrowserSession),
    record_of(User),
)


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in with a browser, and since when."""

    user: User
    auth_time: datetime
    methods: tuple[str, ...]
    session_id: str
    client_id: str
    """Of the client through which it was opened."""
    origin: Origin = NOWHERE
    """Where that was."""


def open_session(env: Env, granted: Granted, *, replacing: str | None = None) -> str:
    """Open a session; returns the cookie's value, which is new at every sign-in, so that a planted one is worthless.

    `replacing` is the cookie that the browser had, whose session ends. The one write of the request.
    """
    token = env.random.token()
    now = env.now()
    with env.transaction():
        user = flow.settle(env, granted)
        if replacing:
            _CLOSE.execute(env, {"digest": _digest(env, replacing)})
        row = {
            "digest": _digest(env, token),
            "id": env.random.uuid(),
            "pool_id": user.pool_id,
            "user_sub": user.sub,
            "client_id": granted.sign_in.client.id,
            "auth_time": granted.auth_time,
            "methods": list(granted.proven),
            "ip": granted.sign_in.origin.ip,
            "user_agent": granted.sign_in.origin.user_agent,
            "created_at": now,
            "expires_at": now + lifetime(granted.sign_in.client),
        }
        _OPEN.execute(env, row)
    return token


def lifetime(client: Client) -> timedelta:
    """How long a session lives that is opened through this client."""
    return _said(client) or WAY_BACK


def _said(client: Client) -> timedelta:
    """By SSOSession; nothing where the client wants no session."""
    given = client.settings.get("session_configuration", {}).get("sso_session", {}).get("max_validity_minutes")
    return LIFETIME if given is None else timedelta(minutes=given)


def recognise(env: Env, pool: Pool, token: str | None) -> SignedIn | None:
    """Who has this cookie, if his session lives and he is enabled. One statement; none without a cookie."""
    if not token:
        return None
    found = _RECOGNISE.first(env, {"digest": _digest(env, token), "pool": pool.id})
    if found is None:
        return None
    browser, user = found
    if env.now() >= browser.expires_at or not user.enabled:
        return None
    origin = Origin(browser.ip, browser.user_agent)
    return SignedIn(user, browser.auth_time, tuple(browser.methods), browser.id, browser.client_id, origin)


def serves(env: Env, client: Client, signed_in: SignedIn) -> bool:
    """Whether the client goes on with this session without asking again: for as long as it says itself, whoever opened
    the session. One that wants none does so on the way back from its own sign-in only."""
    mine = signed_in.client_id == client.id
    return env.now() < signed_in.auth_time + (_said(client) or (WAY_BACK if mine else timedelta()))


def close(env: Env, token: str | None) -> None:
    """End the session of this cookie, if there is one. Tokens stay, as in Cognito (reference: 7.8)."""
    if token:
        with env.transaction():
            _CLOSE.execute(env, {"digest": _digest(env, token)})


def _digest(env: Env, token: str) -> str:
    return env.keyed.digest("browser session", token)
