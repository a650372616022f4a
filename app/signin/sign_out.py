"""Signing out of a browser at a client's request (OpenID Connect RP-Initiated Logout 1.0; requirements: 38).

Any site can send a browser to the logout endpoint. So the session ends at once only for a client that shows an ID token
of the user who is signed in; in every other case the user is asked first.
"""

from __future__ import annotations

from dataclasses import dataclass

from app import errors
from app.env import Env
from app.models import Client, Pool
from app.pools import find
from app.signin.browser import SignedIn
from app.tokens import verify

TARGET = "post_logout_redirect_uri"


class UnregisteredTarget(errors.InvalidParameter):
    """The client has not registered where it wants the browser to go."""

    field = TARGET

    def __init__(self, client: Client, target: str) -> None:
        super().__init__(f"{target} is not one of the client's logout URLs.")
        self.client = client
        self.target = target


@dataclass(frozen=True)
class Request:
    """A logout request that can be served."""

    client: Client | None
    """Who asks; None where neither a client id nor a valid hint says so."""
    target: str | None
    """Where the client wants the browser to go afterwards: one of its logout URLs. A target whose client is not known
    is left out, since nobody can have registered it."""
    user_sub: str | None
    """Whom the client wants to sign out, by its ID token."""

    def certain(self, signed_in: SignedIn) -> bool:
        """Whether the session may be ended without asking the user."""
        return self.user_sub == signed_in.user.sub


def request(env: Env, pool: Pool, *, hint: str | None, client_id: str | None, target: str | None) -> Request:
    """What is asked for. A hint that is no ID token of this pool counts as none: keys are retired, and the user is then
    asked.

    Raises errors.UnknownClient, UnregisteredTarget, and errors.InvalidParameter for an ID token of another client than
    `client_id`.
    """
    shown = verify.hint(env, hint, pool=pool) if hint else None
    if shown is not None and client_id and client_id != shown.client_id:
        raise errors.InvalidParameter("The id_token_hint was issued to another client.")
    asking = client_id or (shown.client_id if shown is not None else None)
    client = find.client(env, asking, pool) if asking else None
    if client is None:
        target = None
    elif target and target not in client.logout_urls:
        raise UnregisteredTarget(client, target)
    return Request(client, target or None, shown.user_sub if shown is not None else None)
