"""From the confirmation code straight into the application, for whoever has just signed up.

A code alone must not sign anybody in: it shows that somebody reads the mailbox, not that he chose the password. So
whoever signs up gets a ticket, sealed, which says whose password it set. Ticket and code together are as good as
signing in with that password; the password is then not asked twice (requirements: 74). Of a user who has chosen none,
or where the ticket is missing, they are as good as a code to sign in with, if the pool takes such codes.

In a browser the two come together, and the ticket needs no row of its own to work once: it counts only with the step
from UNCONFIRMED to CONFIRMED, which a user takes once. In the API it is the `Session` that SignUp and ConfirmSignUp
return and InitiateAuth takes (reference: 4.2, 4.3, 5.5), so there its use is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson
from sqlalchemy import select

from app import errors
from app.accounts import factors, lockout, sign_up
from app.accounts.find import Found
from app.accounts.sign_up import SignedUp
from app.crypto.seal import SealBroken
from app.env import Env, Origin
from app.models import Client, Password, User
from app.signin import flow, once, plan
from app.signin.challenges import password
from app.signin.state import Proof, SignIn, Step

LIFETIME = timedelta(minutes=15)
"""Time to find the message; afterwards the password is asked for."""
FLOW = "USER_AUTH"
_ABOUT = "sign-up in this browser"
_ABOUT_API = "session of a sign-up"
_CODES = {attribute: name for name, attribute in factors.FIRST_ADDRESS.items()}


@dataclass(frozen=True)
class _Ticket:
    client_id: str
    sub: str
    password_version: str | None
    until: float
    number: str = ""
    """Of the sign-up: using one of its tickets makes the others worthless."""
    confirmed: str | None = None
    """The attribute whose code has come back, when it has."""
    by_code: bool = False
    """Whether the code is all that it vouches for."""


def ticket(env: Env, client: Client, done: SignedUp) -> str:
    """What the browser that signed up brings along when it confirms."""
    until = (env.now() + LIFETIME).timestamp()
    mine = _Ticket(client.id, done.user.sub, done.password_version, until, env.random.token(16))
    return _sealed(env, mine, _ABOUT)


def confirm(env: Env, client: Client, *, username: str, code: str, ticket: str | None, origin: Origin) -> Step | None:
    """Confirm a user as `accounts.sign_up.confirm` does. When the ticket is his, the step that follows his password,
    else None: he must sign in.

    Raises what that does. Whoever holds the ticket of a confirmed user learns that he is (a form sent twice).
    """
    mine = _opened(env, client, ticket, _ABOUT)
    try:
        user = sign_up.confirm(env, client, username=username, code=code, origin=origin, hiding=True)
    except (errors.CodeMismatch, errors.ExpiredCode):
        found = _user(env, mine.sub) if mine else None
        if found and found[0].confirmed:
            raise errors.AlreadyConfirmed from None
        raise
    if mine is None or mine.sub != user.sub:
        return None
    return _onward(env, client, mine, username, origin)


def _onward(env: Env, client: Client, mine: _Ticket, name: str, origin: Origin) -> Step | None:
    """What `flow` would ask or grant for the password that the ticket vouches for, if it still is the user's. Enabled,
    unlocked and unchanged he must also be when the session is opened (flow.settle)."""
    found = _user(env, mine.sub)
    if found is None:
        return None
    user, stored = found
    if stored is None or stored.version != mine.password_version or not user.enabled:
        return None
    failures = lockout.counter(env, client.pool, sub=user.sub, origin=origin)
    sign_in = SignIn(client, plan.PAGES, name, user, stored, failures, origin)
    return flow.proceed(env, sign_in, Proof(user, stored), met=password.NAME, given={})


def first(env: Env, client: Client, done: SignedUp) -> str | None:
    """The session of SignUp. None for a client that has no use for it."""
    if flow.ALLOWED_BY[FLOW] not in client.auth_flows:
        return None
    until = (env.now() + LIFETIME).timestamp()
    mine = _Ticket(client.id, done.user.sub, done.password_version, until, env.random.token(16))
    return _sealed(env, mine, _ABOUT_API)


def confirmed(env: Env, client: Client, session: str | None, user: User) -> str | None:
    """The session of ConfirmSignUp, for one of SignUp. Without it (Amplify keeps it to itself), the code is worth what
    a code to sign in with is worth, and None where the pool does not take those.

    A session that is of somebody else, or too old, is none, and confirms all the same."""
    if flow.ALLOWED_BY[FLOW] not in client.auth_flows:
        return None
    until = (env.now() + client.session_validity).timestamp()
    attribute = next((one for one in sign_up.VERIFIED_FIRST if user.verified(one)), None)
    mine = _opened(env, client, session, _ABOUT_API)
    if mine is None or mine.sub != user.sub:
        mine = _by_code(env, client, user, attribute, until)
    return _sealed(env, replace(mine, until=until, confirmed=attribute), _ABOUT_API) if mine else None


def _by_code(env: Env, client: Client, user: User, attribute: str | None, until: float) -> _Ticket | None:
    if _CODES.get(attribute or "") not in factors.first(client.pool, user, factors.held(env, user)):
        return None
    found = _user(env, user.sub)
    stored = found[1] if found else None
    version = stored.version if stored else None
    return _Ticket(client.id, user.sub, version, until, env.random.token(16), by_code=True)


def begin(env: Env, client: Client, *, session: str, given: Mapping[str, str], origin: Origin) -> Step:
    """The first sign-in, by such a session in place of a first factor. What else is asked of everybody is asked.

    Raises errors.InvalidParameter, SessionInvalid, SessionExpired, SessionUsed, and what `flow.begin` does.
    """
    flow.demand_enabled(client, FLOW)
    name = flow.named(given)
    mine = _opened(env, client, session, _ABOUT_API, expired=True)
    found = _user(env, mine.sub) if mine else None
    if mine is None or found is None:
        raise errors.SessionInvalid
    user, stored = found
    if (stored.version if stored else None) != mine.password_version:
        raise errors.SessionInvalid
    met = password.NAME if stored and not mine.by_code else _CODES.get(mine.confirmed or "")
    if met is None:
        raise errors.SessionInvalid
    sign_in = flow.sign_in_of(env, client, FLOW, user.username, Found(user, stored), origin)
    flow.refuse_other_name(env, sign_in, given)
    sign_in = flow.with_device_key(replace(sign_in, name=name), given)
    proof = Proof(user, stored, lambda row: _spend(env, mine))
    return flow.proceed(env, sign_in, proof, met=met, given=given)


def _spend(env: Env, mine: _Ticket) -> None:
    digest = env.keyed.digest(_ABOUT_API, mine.number)
    once.use(env, digest, until=env.now() + LIFETIME)


def _user(env: Env, sub: str) -> tuple[User, Password | None] | None:
    query = select(User, Password).outerjoin(Password, Password.user_sub == User.sub).where(User.sub == sub)
    with env.reading() as session:
        found = session.execute(query).one_or_none()
    return (found[0], found[1]) if found else None


def _sealed(env: Env, mine: _Ticket, about: str) -> str:
    return env.seal.seal(orjson.dumps(mine), about=about)


def _opened(env: Env, client: Client, ticket: str | None, about: str, *, expired: bool = False) -> _Ticket | None:
    """None for what is no ticket of this client. One that has `expired` is none either, or raises
    errors.SessionExpired."""
    if not ticket:
        return None
    try:
        mine = _Ticket(**orjson.loads(env.seal.open(ticket, about=about)))
    except SealBroken:
        return None
    if mine.client_id != client.id:
        return None
    if env.now().timestamp() >= mine.until:
        if expired:
            raise errors.SessionExpired
        return None
    return mine
