"""Making, changing, listing and removing app clients (reference: 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import false, func, select
from sqlalchemy.orm import lazyload

from app import errors
from app.audit import record
from app.db import unhurried
from app.env import Env
from app.models import Client, Pool, ResourceServer, UICustomization
from app.paging import Page, page
from app.pools import client_secrets, client_settings, find, user_pools

SESSION = {"sso_session": {"max_validity_minutes": 60}}
"""For how long a browser is recognised where nobody has said (reference: 6.8)."""


def create(
    env: Env, pool: Pool, *, name: str, settings: Mapping[str, Any], generate_secret: bool, secret: str | None
) -> Client:
    """A new client, with a secret that is generated, given, or none.

    Raises errors.InvalidParameter, InvalidOAuthFlow, ScopeDoesNotExist, LimitExceeded, UnknownPool.
    """
    if generate_secret and secret:
        raise errors.InvalidParameter("Only one of GenerateSecret and ClientSecret can be given.")
    plain = env.random.client_secret() if generate_secret else secret
    complete = client_settings.with_defaults(settings)
    now = env.now()
    client_id = env.random.client_id()
    with env.transaction():
        row = user_pools.locked(env, pool)  # who adds an attribute, or the last client that there is room for, waits
        client_settings.check(row, complete, scopes=_scopes(env, row), confidential=plain is not None)
        most = env.settings.limit_clients
        if env.db.scalars(select(func.count()).select_from(Client).where(Client.pool_id == pool.id)).one() >= most:
            raise errors.LimitExceeded(
                f"Client limit exceeded: a user pool has at most {most} clients (COGNATE_LIMIT_CLIENTS)."
            )
        client = Client(id=client_id, pool_id=pool.id, name=name, settings=complete, created_at=now, modified_at=now)
        env.db.add(client)
        record.about(target=f"client/{client_id}")
        env.db.flush()
        if plain is not None:
            client_secrets.first(env, client, plain)
        env.db.flush()
        env.configuration_changed()
    return find.client(env, client_id)


def update(env: Env, client: Client, *, name: str | None, settings: Mapping[str, Any]) -> Client:
    """Settings as given; what is not given goes back to its default, but for the name (reference: 3.1). Secrets stay.

    Raises errors.InvalidParameter, InvalidOAuthFlow, ScopeDoesNotExist, UnknownPool, UnknownClient.
    """
    complete = client_settings.with_defaults(settings)
    with env.transaction():
        pool = user_pools.locked(env, client.pool)
        row = client_secrets.locked(env, client)
        confidential = client_secrets.count(env, row) > 0
        client_settings.check(pool, complete, scopes=_scopes(env, pool), confidential=confidential)
        kept = {name: row.settings[name] for name in client_settings.KEPT if name in row.settings}
        row.settings = {**kept, **complete}
        row.name = name or row.name
        _changed(env, row)
    return find.client(env, client.id)


def set_session(env: Env, client: Client, *, longest: int) -> Client:
    """For how many minutes a browser that signed in through this client is recognised (reference: 6.8). Raises
    errors.UnknownClient."""
    with env.transaction():
        row = client_secrets.locked(env, client)
        configuration = {"sso_session": {"max_validity_minutes": longest}}
        row.settings = {**row.settings, "session_configuration": configuration}
        _changed(env, row)
    return find.client(env, client.id)


def require_pkce(env: Env, client: Client, required: bool) -> Client:
    """Whether the client gets no code without PKCE (RFC 7636), which Cognito has no setting for. Raises
    errors.UnknownClient."""
    with env.transaction():
        row = client_secrets.locked(env, client)
        row.settings = {**row.settings, "require_pkce": required}
        _changed(env, row)
    return find.client(env, client.id)


def _scopes(env: Env, pool: Pool) -> frozenset[str]:
    """As this transaction sees them. Out of the cache they may be gone already; and it takes a second connection to
    fill it, which all who wait for this transaction might be holding."""
    servers = env.db.scalars(select(ResourceServer).where(ResourceServer.pool_id == pool.id))
    return frozenset(name for server in servers for name in server.scope_names)


def _changed(env: Env, row: Client) -> None:
    row.modified_at = env.now()
    env.db.flush()
    env.configuration_changed()


def delete(env: Env, client: Client) -> None:
    """Remove a client and what belongs to it; its users' sessions end. Raises errors.UnknownClient."""
    env.patiently(lambda: _delete(env, client))


def _delete(env: Env, client: Client) -> None:
    with env.transaction():
        unhurried(env.db.connection())  # all sessions and tokens of its users go along
        gone = env.db.scalar(sql_delete(Client).where(Client.id == client.id).returning(Client.id))
        if gone is None:
            raise errors.UnknownClient(client.id)
        env.db.execute(
            sql_delete(UICustomization).where(
                UICustomization.pool_id == client.pool_id, UICustomization.client_id == client.id
            )
        )
        env.configuration_changed()


def listed(env: Env, pool: Pool, *, limit: int, token: str | None, kind: str | None) -> Page[Client]:
    """A pool's clients, by id, which does not change while somebody turns the pages. `kind` is REGULAR or DCR; there
    are none that registered themselves. Raises errors.InvalidParameter for a foreign token."""
    mine = select(Client).where(Client.pool_id == pool.id).options(lazyload("*"))
    if kind == "DCR":
        mine = mine.where(false())
    return page(env, mine, by=(Client.id,), size=limit, token=token, about=f"clients {pool.id} {kind}")
