"""Who is calling: what a call carries, and the proof that its caller brought.

By the time an operation sees a `Call`, its caller is known: an access key has signed it, its access token is live, or
its client exists and has shown its secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from app import errors, facts
from app.accounts import recency
from app.api.errors import UnrecognizedClient
from app.api.registry import Operation
from app.crypto.seal import same
from app.env import Env, Origin
from app.models import Client, LoginSession, Pool, User
from app.models.branding import ALL
from app.pools import access_keys, client_secrets, domains, find
from app.tokens import verify
from app.tokens.claims import API_SCOPE

OF_ALL = frozenset({"GetUICustomization", "SetUICustomization"})
"""Operations in which a ClientId may be `ALL`, which is no client."""


@dataclass(frozen=True)
class Call:
    """One request, with its members checked against the model."""

    env: Env
    operation: Operation
    members: dict[str, Any]
    origin: Origin
    _pool: Pool | None = None
    _client: Client | None = None
    _user: User | None = None
    _session: LoginSession | None = None

    def __getitem__(self, member: str) -> Any:
        return self.members[member]

    def get(self, member: str, default: Any = None) -> Any:
        return self.members.get(member, default)

    @property
    def pool(self) -> Pool:
        """The pool of UserPoolId."""
        if self._pool is None:
            raise LookupError(f"{self.operation.name} names no pool")
        return self._pool

    @property
    def client(self) -> Client:
        """The client of ClientId, or the one that the access token was given to."""
        if self._client is None:
            raise LookupError(f"{self.operation.name} names no client")
        return self._client

    @property
    def user(self) -> User:
        """Whose access token it is."""
        if self._user is None:
            raise LookupError(f"{self.operation.name} has no access token")
        return self._user

    @property
    def has_token(self) -> bool:
        """Whether an access token came with it: some operations take a session instead."""
        return self._user is not None

    @property
    def session(self) -> LoginSession:
        """The login session of the access token."""
        if self._session is None:
            raise LookupError(f"{self.operation.name} has no access token")
        return self._session

    @property
    def counted(self) -> dict[str, Any]:
        """Whose requests this is one of, for throttling.callers. Whoever has an access key is counted by pool alone."""
        if self.operation.who == "signed":
            return {"pool": self._pool, "server": True}
        given = self.members.get("AuthParameters") or self.members.get("ChallengeResponses") or {}
        return {
            "server": self.origin.server,
            "pool": self._client.pool if self._client is not None else self._pool,
            "client": self._client,
            "user": self._user,
            "name": self.members.get("Username") or given.get("USERNAME"),
        }

    def demand_recent_sign_in(self) -> None:
        """That the access token is of a sign-in which its pool takes for recent. Raises errors.SignInTooOld."""
        recency.demand(self.env, self.client.pool, self.session)


Inspect = Callable[[Pool], None]
"""Refuses a request for what the rules of the pool say of it: as soon as it is known which pool it names, and before
anything that it brings is looked at."""


def let_through(pool: Pool) -> None:
    """Inspects nothing."""


def identified(
    env: Env, operation: Operation, members: dict[str, Any], origin: Origin, inspect: Inspect = let_through
) -> Call:
    """The call of a caller who has proven who he is. A signature, where one is needed, has been verified before.

    Raises errors.ResourceNotFound, NotAuthorized, Unauthorized, UserNotFound, and what `inspect` does.
    """
    pool = client = user = session = None
    if "UserPoolId" in members:
        pool = find.pool(env, members["UserPoolId"])
        inspect(pool)
    if operation.who == "client":
        client = _client(env, operation, members, inspect)
    elif "ClientId" in members and not (operation.name in OF_ALL and members["ClientId"] == ALL):
        client = find.client(env, members["ClientId"], pool)
    if operation.who == "token" and "AccessToken" in members:
        user, session, client = _holder(env, operation, members["AccessToken"], inspect)
    about = facts.current()
    if client is not None:
        about.client, about.pool = client.id, client.pool_id
    if pool is not None:
        about.pool = pool.id
    if operation.who == "signed" or (client is not None and client.confidential):
        origin = replace(origin, server=True)
    return Call(env, operation, members, origin, pool, client, user, session)


def check_permitted(env: Env, key_id: str, operation: Operation, members: dict[str, Any]) -> None:
    """Refuse what the access key is not allowed to do.

    Before anything that was named is looked up: a key that is limited to one pool must not learn which others there
    are, and is told no more than it has said. In development a key may be unknown, and do everything; elsewhere it has
    been revoked since it was found to have signed the request. Raises errors.AccessDenied, UnrecognizedClient.
    """
    key = access_keys.live(env, key_id)
    if key is None and not env.settings.development:
        raise UnrecognizedClient
    action = f"{access_keys.SERVICE}:{operation.name}"
    pool_id = members.get("UserPoolId") or members.get("ResourceArn", "").rpartition(":userpool/")[2] or None
    touched = pool_id
    if operation.name == "DescribeUserPoolDomain":  # the one operation on a pool that does not name it
        owner = domains.named(env, members["Domain"])
        touched = owner.pool_id if owner else None
    if key is None or key.may(action, touched):
        return
    account = env.settings.account_id
    resource = f"arn:aws:cognito-idp:{env.settings.region}:{account}:userpool/{pool_id}" if pool_id else "*"
    raise errors.AccessDenied(
        f"User: arn:aws:iam::{account}:user/{key_id} is not authorized to perform: {action} on resource: {resource}"
    )


def _client(env: Env, operation: Operation, members: dict[str, Any], inspect: Inspect) -> Client:
    """The client, with its secret shown where the operation takes one as such.

    InitiateAuth and RespondToAuthChallenge carry their SECRET_HASH among other parameters, and look at it themselves.
    """
    takes = operation.input.members
    try:
        client = find.client(env, members["ClientId"])
    except errors.UnknownClient:
        # RevokeToken is the one operation that has no word for it.
        if errors.ResourceNotFound.code in operation.refusals:
            raise
        raise errors.Unauthorized from None
    inspect(client.pool)
    if "SecretHash" in takes:
        check_secret_hash(env, client, members.get("SecretHash"), [members["Username"]])
    for member in ("ClientSecret", "Secret"):
        if member in takes:
            _check_secret(env, client, members.get(member), operation)
    return client


def check_secret_hash(env: Env, client: Client, given: str | None, names: Iterable[str]) -> None:
    """Refuse unless the hash was made with one of the client's secrets over one of these names (reference: 3.3).

    A hash for a client without secret is refused too: whoever sends it believes in a protection that is not there.
    Raises errors.SecretRefused.
    """
    if given is None:
        if client.confidential:
            raise errors.SecretRefused(f"Client {client.id} is configured with secret but SECRET_HASH was not received")
        return
    secrets = client_secrets.of(env, client)
    for name in names:
        for secret in secrets:
            made = hmac.digest(secret.encode("utf-8"), (name + client.id).encode("utf-8"), hashlib.sha256)
            if same(base64.b64encode(made).decode("ascii"), given):
                return
    raise errors.SecretRefused(f"Unable to verify secret hash for client {client.id}")


def _check_secret(env: Env, client: Client, given: str | None, operation: Operation) -> None:
    """Raises errors.Unauthorized where the operation has that word, else errors.SecretRefused."""
    if given is None and not client.confidential:
        return
    digest = client_secrets.digest(env, client.id, given or "")
    if given is not None and any([same(secret.digest, digest) for secret in client.secrets]):
        return
    if errors.Unauthorized.code in operation.refusals:
        raise errors.Unauthorized
    if given is None:
        raise errors.SecretRefused(f"Client {client.id} is configured for secret but secret was not received")
    raise errors.SecretRefused(f"Unable to verify secret for client {client.id}")


def _holder(env: Env, operation: Operation, token: str, inspect: Inspect) -> tuple[User, LoginSession, Client]:
    """Whose token it is, of which session, and the client that it was given to. That one is named in the token: a
    derived one belongs to a session that another client began, and may do what its own client may.

    The pool is inspected before the signature: a token that names another one than it is of is refused by that."""

    def pool_of(pool_id: str) -> Pool:
        pool = find.pool(env, pool_id)
        inspect(pool)
        return pool

    try:
        verified = verify.access_token(env, token, scope=API_SCOPE, pool_of=pool_of)
        return verified.user, verified.session, find.client(env, verified.claims["client_id"])
    except (errors.UserNotFound, errors.UnknownClient) as gone:
        if gone.code in operation.refusals:
            raise
        raise errors.TokenRefused("Access Token has been revoked") from None
