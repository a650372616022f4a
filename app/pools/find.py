"""Configuration by id, out of the cache. What is returned is detached and shared by all threads: never write to it."""

from __future__ import annotations

import re

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import Client, Domain, Pool

_CLIENT_ID = re.compile(r"[\w+]{1,128}", re.ASCII)


def pool(env: Env, pool_id: str) -> Pool:
    """Raises errors.UnknownPool. An id may come out of a token that nobody has verified yet: see `client`."""
    if "\0" in pool_id:
        raise errors.UnknownPool(pool_id)

    def load() -> Pool | None:
        with env.aside() as session:
            return session.get(Pool, pool_id)

    found = env.cache.get(("pool", pool_id), load)
    if found is None:
        raise errors.UnknownPool(pool_id)
    return found


def client(env: Env, client_id: str, pool: Pool | None = None) -> Client:
    """With its pool and its secrets; only of `pool`, if that is given. Raises errors.UnknownClient.

    What cannot be an id is not looked for: PostgreSQL refuses to be asked for some of it.
    """
    if not _CLIENT_ID.fullmatch(client_id):
        raise errors.UnknownClient(client_id)

    def load() -> Client | None:
        with env.aside() as session:
            return session.get(Client, client_id)

    found = env.cache.get(("client", client_id), load)
    if found is None or (pool is not None and found.pool_id != pool.id):
        raise errors.UnknownClient(client_id)
    return found


def domains(env: Env, pool: Pool) -> list[Domain]:
    """The pool's prefix and custom domain, those it has, served or not; the custom one first."""

    def load() -> list[Domain]:
        with env.aside() as session:
            query = select(Domain).where(Domain.pool_id == pool.id).order_by(Domain.custom.desc())
            return list(session.scalars(query))

    return env.cache.get(("domains", pool.id), load)


def pool_by_host(env: Env, host: str) -> Pool | None:
    """The pool whose domain a request's host names: `<prefix>.<base host>`, or a custom domain that has been proven,
    with or without port."""
    name, custom = _domain(env, host)

    def load() -> str | None:
        with env.aside() as session:
            query = select(Domain.pool_id).where(Domain.domain == name, Domain.custom == custom, Domain.served)
            return session.scalar(query)

    pool_id = env.cache.get(("host", name, custom), load)
    return pool(env, pool_id) if pool_id else None


def id_by_host_while_away(env: Env, host: str) -> str | None:
    """The id of the same pool, as this process remembers it while the database is away (cache.while_away)."""
    found: str | None = env.cache.while_away(("host", *_domain(env, host)))
    return found


def _domain(env: Env, host: str) -> tuple[str, bool]:
    """The domain that a request's host names, and whether it is a custom one."""
    host = host.lower()
    prefix, dot, rest = host.partition(".")
    if dot and rest == env.settings.base_host:
        return prefix, False
    return host.partition(":")[0], True
