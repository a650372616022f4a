"""A pool's resource servers as tokens know them: the scopes that they define, and the audiences that they are.

A token that is made out to a resource (RFC 8707) is good there and nowhere else. Its audience is the identifier of a
registered resource server, never a client's id, or an access token would pass as that client's ID token; and it has the
scopes of that server and OpenID Connect's only, never the one that opens this server's own API.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import Client, Pool, ResourceServer
from app.tokens.claims import API_SCOPE, OIDC_SCOPES


@dataclass(frozen=True)
class Resources:
    scopes: frozenset[str]
    """Every scope that is defined, in the form `<identifier>/<name>`."""
    _audiences: Mapping[str, str]
    """Identifiers, by themselves and by their comparable form."""

    def named(self, given: str) -> str:
        """The identifier of the resource server that a client names. Of URLs the case of scheme and host does not
        count, nor a slash at the end. Raises errors.UnknownResource."""
        found = self._audiences.get(given) or self._audiences.get(_comparable(given))
        if found is None:
            raise errors.UnknownResource(f"Resource server {given[:256]} does not exist.")
        return found

    def narrowed(self, granted: str | None, asked: str | None) -> str | None:
        """The audience of a token, where `granted` is that of what it is made from: the same, or one where there was
        none. Raises errors.UnknownResource, also for one that has been deleted since; errors.InvalidTarget for another
        than was granted."""
        before = None if granted is None else self.named(granted)
        wanted = before if asked is None else self.named(asked)
        if before is not None and wanted != before:
            raise errors.InvalidTarget(f"What was granted is for the resource {before}.")
        return wanted

    def still(self, client: Client, scope: str) -> str:
        """Of a scope that was granted to a client, what can be granted today: what it is still allowed, and what still
        exists (reference: 11.2)."""
        allowed = client.oauth_scopes
        there = self.scopes.union(OIDC_SCOPES, (API_SCOPE,))
        return " ".join(name for name in scope.split() if name in allowed and name in there)


def of(env: Env, pool: Pool) -> Resources:
    """Out of the cache."""

    def load() -> Resources:
        with env.aside() as session:
            mine = select(ResourceServer).where(ResourceServer.pool_id == pool.id).order_by(ResourceServer.identifier)
            servers = list(session.scalars(mine))
            names = [server.identifier for server in servers]
            clients = set(session.scalars(select(Client.id).where(Client.id.in_(names)))) if names else set()
        # A resource server may be called anything; a client's id as an audience means the client.
        names = [name for name in names if name not in clients]
        audiences = {_comparable(name): name for name in reversed(names)} | {name: name for name in names}
        return Resources(frozenset(name for server in servers for name in server.scope_names), audiences)

    return env.cache.get(("resources", pool.id), load)


def existing(env: Env, client: Client, built_in: Collection[str] = ()) -> list[str]:
    """Of the scopes that a client is allowed, those that exist: defined by the pool's resource servers, or built in.

    One that was deleted is left out, and is back when it is made again (reference: 11.2). A client whose scopes are all
    built in needs no look at the resource servers.
    """
    allowed = client.oauth_scopes
    if all(scope in built_in for scope in allowed):
        return list(allowed)
    defined = of(env, client.pool).scopes
    return [scope for scope in allowed if scope in built_in or scope in defined]


def limited(scope: str, audience: str | None) -> str:
    """Of a scope, what a token for this audience may have. Raises errors.InvalidTarget where that is nothing."""
    if audience is None:
        return scope
    found = [name for name in scope.split() if name in OIDC_SCOPES or name.rpartition("/")[0] == audience]
    if not found:
        raise errors.InvalidTarget(f"None of the scopes is one of the resource {audience}.")
    return " ".join(found)


def _comparable(identifier: str) -> str:
    try:
        parts = urlsplit(identifier)
    except ValueError:
        return identifier
    if not parts.scheme or not parts.netloc or parts.fragment:
        return identifier
    whole = parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower())
    return whole.geturl().removesuffix("/")
