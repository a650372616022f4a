"""What a door makes of a granted sign-in: tokens. (A browser session is made in `browser`.)"""

from __future__ import annotations

from app.env import Env
from app.signin import flow
from app.signin.state import Granted
from app.tokens import issue
from app.tokens.claims import API_SCOPE


def tokens(env: Env, granted: Granted) -> issue.Tokens:
    """The three tokens of a sign-in by API. The one write of the request."""
    client = granted.sign_in.client
    with env.transaction():
        user = flow.settle(env, granted)
        opened = issue.open_session(
            env,
            client,
            user,
            scope=API_SCOPE,
            auth_time=granted.auth_time,
            methods=granted.proven,
            origin=granted.sign_in.origin,
        )
    return issue.signed(env, client, user, opened.session, oauth=False, refresh=opened.refresh)
