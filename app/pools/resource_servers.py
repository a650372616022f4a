"""APIs and their scopes (reference: 11.2)."""

from __future__ import annotations

from collections.abc import Sequence

from app import errors
from app.db import raising
from app.env import Env
from app.models import Pool, ResourceServer


def create(env: Env, pool: Pool, *, identifier: str, name: str, scopes: Sequence[tuple[str, str]]) -> ResourceServer:
    """An API with its scopes, (name, description) each. Raises errors.InvalidParameter."""
    names = [scope for scope, _ in scopes]
    if len(set(names)) != len(names):
        raise errors.InvalidParameter("Each scope of a resource server can be given once only.")
    row = ResourceServer(
        pool_id=pool.id,
        identifier=identifier,
        name=name,
        scopes=[{"name": scope, "description": description} for scope, description in scopes],
        created_at=env.now(),
    )
    taken = errors.InvalidParameter(f"{identifier} already exists in user pool {pool.id}.")
    with env.transaction():
        with raising(env.db, pk_resource_server=taken):
            env.db.add(row)
        env.configuration_changed()
    return row
