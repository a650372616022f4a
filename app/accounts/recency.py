"""Whether somebody signed in recently: where a pool wants it, an access token alone changes nothing that the user signs
in or recovers the account with (requirements: 46).

An access token lives for an hour, and a refresh gives another. Whoever has got hold of one may do what it is good for;
but not put a factor of their own in the place of the user's, and stay.
"""

from __future__ import annotations

from app import errors
from app.env import Env
from app.models import LoginSession, Pool


def demand(env: Env, pool: Pool, session: LoginSession) -> None:
    """Refuse where the sign-in that the session came of is too old for its pool. A refresh makes it no younger. Raises
    errors.SignInTooOld."""
    within = pool.recent_sign_in
    if within is not None and env.now() - session.auth_time > within:
        minutes = int(within.total_seconds()) // 60
        raise errors.SignInTooOld(
            f"This user pool allows that within {minutes} minutes of a sign-in only, and the access token is of an "
            "older one. Sign in again, and repeat the request with the new access token."
        )
