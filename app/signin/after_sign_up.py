"""From the confirmation code straight into the application, for whoever has just signed up in this browser.

A code alone must not sign anybody in: it shows that somebody reads the mailbox, not that he chose the password. So the
browser that signs up gets a ticket, sealed, which says whose password it set. Ticket and code together are as good as
signing in with that password; the password is then not asked twice (requirements: 74).

The ticket needs no row of its own to work once: it counts only together with the step from UNCONFIRMED to CONFIRMED,
which a user takes once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import orjson
from sqlalchemy import select

from app import errors
from app.accounts import lockout, sign_up
from app.accounts.sign_up import SignedUp
from app.crypto.seal import SealBroken
from app.env import Env, Origin
from app.models import Client, Password, User
from app.signin import flow
from app.signin.challenges import password
from app.signin.state import Proof, SignIn, Step

LIFETIME = timedelta(minutes=15)
"""Time to find the message; afterwards the password is asked for."""
_ABOUT = "sign-up in this browser"


@dataclass(frozen=True)
class _Ticket:
    client_id: str
    sub: str
    password_version: str
    until: float


def ticket(env: Env, client: Client, done: SignedUp) -> str:
    """What the browser that signed up brings along when it confirms."""
    until = (env.now() + LIFETIME).timestamp()
    return env.seal.seal(orjson.dumps(_Ticket(client.id, done.user.sub, done.password_version, until)), about=_ABOUT)


def confirm(env: Env, client: Client, *, username: str, code: str, ticket: str | None, origin: Origin) -> Step | None:
    """Confirm a user as `accounts.sign_up.confirm` does. When the ticket is his, the step that follows his password,
    else None: he must sign in.

    Raises what that does. Whoever holds the ticket of a confirmed user learns that he is (a form sent twice).
    """
    mine = _opened(env, client, ticket)
    try:
        user = sign_up.confirm(env, client, username=username, code=code, hiding=True)
    except (errors.CodeMismatch, errors.ExpiredCode):
        found = _user(env, mine) if mine else None
        if found and found[0].confirmed:
            raise errors.AlreadyConfirmed from None
        raise
    if mine is None or mine.sub != user.sub:
        return None
    return _onward(env, client, mine, username, origin)


def _onward(env: Env, client: Client, mine: _Ticket, name: str, origin: Origin) -> Step | None:
    """What `flow` would ask or grant for the password that the ticket vouches for, if it still is the user's. Enabled,
    unlocked and unchanged he must also be when the session is opened (flow.settle)."""
    found = _user(env, mine)
    if found is None:
        return None
    user, stored = found
    if stored.version != mine.password_version:
        return None
    failures = lockout.counter(env, client.pool, sub=user.sub, origin=origin)
    sign_in = SignIn(client, "HOSTED_PAGES", name, user, stored, failures, origin)
    return flow.proceed(env, sign_in, Proof(user, stored), met=password.NAME, given={})


def _user(env: Env, mine: _Ticket) -> tuple[User, Password] | None:
    query = select(User, Password).join(Password, Password.user_sub == User.sub).where(User.sub == mine.sub)
    with env.reading() as session:
        found = session.execute(query).one_or_none()
    return (found[0], found[1]) if found else None


def _opened(env: Env, client: Client, ticket: str | None) -> _Ticket | None:
    if not ticket:
        return None
    try:
        mine = _Ticket(**orjson.loads(env.seal.open(ticket, about=_ABOUT)))
    except SealBroken:
        return None
    return mine if mine.client_id == client.id and env.now().timestamp() < mine.until else None
