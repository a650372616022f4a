"""A user's sessions, where the pool tracks them (reference: 6.8): of tokens, one for each sign-in and client, and of
browsers, which give tokens to several clients without asking again (single sign-on).

A session is called by its row's id, written so that its kind can be seen. The id is no secret: it is in every token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update

from app import errors
from app.accounts import find
from app.audit import record
from app.env import Env
from app.models import BrowserSession, LoginSession, Pool, User

TOKEN, SSO = "tkn", "sso"
"""What the name of a session begins with, by its kind."""
MOST_TOKEN_SESSIONS, MOST_BROWSERS = 100, 25
"""How many are listed, those that were active last: all that a user can have, of the first kind, and together what one
page may hold."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 25
_LONGEST_DEVICE = 1024

_SYSTEMS = (
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_PRODUCT = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Session:
    """One session as its user or an administrator sees it. `came_from` names the browser's session that a token session
    came out of; `current` is said of the one whose token asks."""

    name: str
    client_id: str
    created_at: datetime
    active_at: datetime
    device: str
    ip: str
    came_from: str | None
    current: bool

    @property
    def kind(self) -> str:
        return self.name[:3]


def listed(env: Env, pool: Pool, user: User, *, current: LoginSession | None = None) -> list[Session]:
    """The user's live sessions, the most recently active first. Two statements.

    A browser was active when somebody last signed in with it, or got or refreshed tokens out of it.
    Raises errors.InvalidParameter where the pool does not track sessions.
    """
    _demand_tracking(pool)
    mine = (
        select(LoginSession)
        .where(*_live(env, user))
        .order_by(LoginSession.active_at.desc(), LoginSession.id)
        .limit(MOST_TOKEN_SESSIONS)
    )
    used = select(func.max(LoginSession.active_at)).where(LoginSession.browser_session_id == BrowserSession.id)
    browsers = (
        select(BrowserSession, used.scalar_subquery())
        .where(*_open(env, user))
        .order_by(BrowserSession.created_at.desc(), BrowserSession.id)
        .limit(MOST_BROWSERS)
    )
    with env.reading() as session:
        tokens = list(session.scalars(mine))
        opened = session.execute(browsers).all()
    found = [
        Session(
            name=_name(TOKEN, row.id),
            client_id=row.client_id,
            created_at=row.created_at,
            active_at=row.active_at,
            device=described(row.user_agent),
            ip=row.ip,
            came_from=_name(SSO, row.browser_session_id) if row.browser_session_id else None,
            current=current is not None and row.id == current.id,
        )
        for row in tokens
    ] + [
        Session(
            name=_name(SSO, row.id),
            client_id=row.client_id,
            created_at=row.created_at,
            active_at=max(row.auth_time, last or row.auth_time),
            device=described(row.user_agent),
            ip=row.ip,
            came_from=None,
            current=False,
        )
        for row, last in opened
    ]
    return sorted(found, key=lambda one: one.active_at, reverse=True)


def revoke(env: Env, pool: Pool, user: User, name: str, *, linked: bool, current: LoginSession | None = None) -> None:
    """End one session of the user with its tokens; with `linked` also the browser's session that it came out of, or
    the token sessions that came out of it. The one write of the request.

    The session `current`, whose token asks, is not ended by its own name: to leave is to sign out.
    Raises errors.InvalidParameter, errors.ResourceNotFound for what is none of his live sessions, errors.UserNotFound.
    """
    _demand_tracking(pool)
    kind, row_id = name[:3], _row_id(name[3:])
    if kind == TOKEN and current is not None and row_id == current.id:
        raise errors.InvalidParameter("The current session cannot be revoked.")
    with env.transaction():
        if linked:
            # Several rows are ended, and others end several of his too, in an order of their own.
            find.locked(env, user.sub)
        if kind == TOKEN:
            _end_tokens(env, user, row_id, linked)
        else:
            _end_browser(env, user, row_id, linked)
        record.event(env, pool, "SessionRevoked", sub=user.sub, target=f"session/{row_id}")


def _end_tokens(env: Env, user: User, row_id: str, linked: bool) -> None:
    ended = env.db.execute(
        update(LoginSession)
        .where(LoginSession.id == row_id, *_live(env, user))
        .values(revoked_at=env.now())
        .returning(LoginSession.browser_session_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if ended is None:
        raise _unknown()
    if linked:
        env.db.execute(delete(BrowserSession).where(BrowserSession.id == ended.browser_session_id, _of(user)))


def _end_browser(env: Env, user: User, row_id: str, linked: bool) -> None:
    if linked:
        # Before the browser's own row, in the order in which everybody ends both: none then waits for another who waits
        # for him.
        came_out = (LoginSession.browser_session_id == row_id, *_live(env, user))
        env.db.execute(update(LoginSession).where(*came_out).values(revoked_at=env.now()))
    ended = env.db.scalar(
        delete(BrowserSession)
        .where(BrowserSession.id == row_id, *_open(env, user))
        .returning(BrowserSession.id)
        .execution_options(synchronize_session=False)
    )
    if ended is None:
        raise _unknown()


def described(user_agent: str) -> str:
    """What a user agent says it is, in a few words for a person: `Firefox on Linux`, `aws-sdk-js`, `unknown`."""
    system = next((called for sign, called in _SYSTEMS if sign in user_agent), None)
    browser = next((called for sign, called in _BROWSERS if sign in user_agent), None)
    if browser is None:
        product = _PRODUCT.match(user_agent)
        browser = product[0] if product and product[0] != "Mozilla" else None
    return " on ".join(part for part in (browser, system) if part)[:_LONGEST_DEVICE] or "unknown"


def _demand_tracking(pool: Pool) -> None:
    """A pool that does not track knows when its sessions began, but not whether they are in use; and nobody has said
    that users may end them one by one."""
    if pool.most_sessions is None:
        raise errors.InvalidParameter("Session tracking is not enabled for the user pool.")


def _live(env: Env, user: User) -> tuple[ColumnElement[bool], ...]:
    return (LoginSession.user_sub == user.sub, LoginSession.revoked_at.is_(None), LoginSession.expires_at > env.now())


def _open(env: Env, user: User) -> tuple[ColumnElement[bool], ...]:
    return (_of(user), BrowserSession.expires_at > env.now())


def _of(user: User) -> ColumnElement[bool]:
    return BrowserSession.user_sub == user.sub


def _unknown() -> errors.ResourceNotFound:
    return errors.ResourceNotFound("Session does not exist.")


def _name(kind: str, row_id: str) -> str:
    """The 128 bits of a row's id in base 36, in as many digits as the largest needs."""
    number, digits = UUID(row_id).int, ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return kind + digits


def _row_id(digits: str) -> str:
    """Of a name's digits. Raises errors.ResourceNotFound for a number that is no id."""
    number = int(digits, 36)
    if number >> 128:
        raise _unknown()
    return str(UUID(int=number))
