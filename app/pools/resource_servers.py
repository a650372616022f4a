"""APIs and their scopes (reference: 11.2).

A scope that is removed here stays on the clients that have it: tokens are then made without it (oauth.client), and
with it again when it is made again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete as deletion
from sqlalchemy import func, select

from app import errors
from app.db import raising
from app.env import Env
from app.models import Pool, ResourceServer
from app.paging import Page, page

PAGE = 50

Scopes = Sequence[tuple[str, str]]
"""(name, description) each."""


def create(env: Env, pool: Pool, *, identifier: str, name: str, scopes: Scopes) -> ResourceServer:
    """An API with its scopes. Raises errors.InvalidParameter, LimitExceeded, UnknownPool (it was deleted meanwhile)."""
    row = ResourceServer(
        pool_id=pool.id,
        identifier=identifier,
        name=name,
        scopes=_kept(scopes),
        created_at=env.now(),
    )
    taken = errors.InvalidParameter(f"{identifier} already exists in user pool {pool.id}.")
    with env.transaction():
        # One at a time in a pool, or as many as there are requests would pass the count.
        if env.db.get(Pool, pool.id, with_for_update={"key_share": True}) is None:
            raise errors.UnknownPool(pool.id)
        if env.db.get(ResourceServer, (pool.id, identifier)) is not None:
            raise taken
        of_pool = select(func.count()).select_from(ResourceServer).where(ResourceServer.pool_id == pool.id)
        most = env.settings.limit_resource_servers
        if (env.db.scalar(of_pool) or 0) >= most:
            raise errors.LimitExceeded(
                f"Resource server limit exceeded: a user pool has at most {most} (COGNATE_LIMIT_RESOURCE_SERVERS)."
            )
        with raising(env.db, pk_resource_server=taken):
            env.db.add(row)
        env.configuration_changed()
    return row


def existing(env: Env, pool: Pool, identifier: str) -> ResourceServer:
    """Raises errors.ResourceNotFound."""
    with env.reading() as session:
        return _found(session.get(ResourceServer, (pool.id, identifier)), identifier)


def update(env: Env, pool: Pool, *, identifier: str, name: str, scopes: Scopes) -> ResourceServer:
    """Another name, and these scopes in place of all that there were. Raises errors.ResourceNotFound,
    InvalidParameter."""
    kept = _kept(scopes)
    with env.transaction():
        row = _found(env.db.get(ResourceServer, (pool.id, identifier), with_for_update=True), identifier)
        row.name = name
        row.scopes = kept
        env.configuration_changed()
    return row


def delete(env: Env, pool: Pool, *, identifier: str) -> None:
    """Raises errors.ResourceNotFound."""
    this = (ResourceServer.pool_id == pool.id, ResourceServer.identifier == identifier)
    with env.transaction():
        if env.db.scalar(deletion(ResourceServer).where(*this).returning(ResourceServer.identifier)) is None:
            raise _unknown(identifier)
        env.configuration_changed()


def listed(env: Env, pool: Pool, *, limit: int | None = None, token: str | None = None) -> Page[ResourceServer]:
    """A page of the pool's, by identifier. Raises errors.InvalidParameter for a token that is not of this list."""
    return page(
        env,
        select(ResourceServer).where(ResourceServer.pool_id == pool.id),
        by=(ResourceServer.identifier,),
        size=limit or PAGE,
        token=token,
        about=f"resource servers of {pool.id}",
    )


def _kept(scopes: Scopes) -> list[dict[str, str]]:
    names = [name for name, _ in scopes]
    if len(set(names)) != len(names):
        raise errors.InvalidParameter("Each scope of a resource server can be given once only.")
    return [{"name": name, "description": description} for name, description in scopes]


def _found(row: ResourceServer | None, identifier: str) -> ResourceServer:
    if row is None:
        raise _unknown(identifier)
    return row


def _unknown(identifier: str) -> errors.ResourceNotFound:
    return errors.ResourceNotFound(f"Resource server {identifier} does not exist.")
