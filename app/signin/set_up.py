"""An authenticator app that is set up in the middle of a sign-in, by the session that asks for it (reference: 10.3).

Two steps, each for a fresh session: a secret, and the code that proves that the app has it. The second session is then
the answer to MFA_SETUP. Whoever has one has given the right password, and the user has no second factor: as soon as he
has got one, by whatever way, no secret can be put in its place.
"""

from __future__ import annotations

from app import errors
from app.accounts import factors, lockout, software_token
from app.accounts import find as users
from app.audit import record
from app.env import Env, Origin
from app.models import Attempt, User
from app.pools import find
from app.signin import flow
from app.signin.challenges import mfa_setup
from app.signin.state import SignIn


def begin(env: Env, session: str, *, origin: Origin) -> tuple[str, str]:
    """A secret in base32, and the next session. Raises errors.SessionInvalid, SessionUsed, SessionExpired,
    SoftwareTokenMFANotFound."""
    sign_in, attempt, user = _resumed(env, session, origin)
    secret, write = software_token.begin(env, user)
    with env.transaction():
        users.locked(env, user.sub)
        write()
        return secret, flow.again(env, sign_in, attempt, {})


def verify(env: Env, session: str, *, code: str, name: str | None, origin: Origin) -> str:
    """The session with which MFA_SETUP can be answered. A wrong code is counted, and leaves the session.

    Raises what `begin` does, errors.EnableSoftwareTokenMFA for a wrong code, errors.LockedOut, and
    errors.InvalidParameter where no secret was asked for.
    """
    software_token.check_name(name)
    sign_in, attempt, user = _resumed(env, session, origin)
    secret = software_token.waiting(env, user)
    with lockout.attempt(env, sign_in.failures, client=sign_in.client.id) as counted:
        matched = software_token.fits(env, user, secret, code)
        if matched is None:
            raise errors.EnableSoftwareTokenMFA
    with env.transaction():
        users.locked(env, user.sub)
        handle = flow.again(env, sign_in, attempt, {mfa_setup.VERIFIED: True})
        software_token.take_into_use(env, matched, name=name, first=True)
        record.event(env, user.pool_id, factors.ADDED, sub=user.sub, factor=factors.TOTP)
        lockout.forgive(env, counted)
    return handle


def _resumed(env: Env, session: str, origin: Origin) -> tuple[SignIn, Attempt, User]:
    client = find.client(env, flow.client_of(env, session))
    sign_in = flow.resumed(env, client, mfa_setup.NAME, session, origin)
    if sign_in.user is None or sign_in.attempt is None or not sign_in.user.enabled:
        raise errors.SessionInvalid
    if factors.TOTP not in client.pool.second_factors:
        raise errors.SoftwareTokenMFANotFound
    if factors.second(client.pool, sign_in.user, factors.held(env, sign_in.user)).usable:
        raise errors.SessionInvalid
    return sign_in, sign_in.attempt, sign_in.user
