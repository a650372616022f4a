"""Keys that sign administrative requests: made, listed, revoked, and looked up by the API's door."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import AccessKey


@dataclass(frozen=True)
class Pair:
    """Shown once, when it is made."""

    id: str
    secret: str


def create(env: Env, *, description: str) -> Pair:
    pair = Pair(env.random.access_key_id(), env.random.access_key_secret())
    with env.transaction():
        env.db.add(
            AccessKey(
                id=pair.id,
                sealed=env.seal.seal(pair.secret.encode("ascii"), about=_about(pair.id)),
                description=description,
                pools=None,
                actions=None,
                created_at=env.now(),
                revoked_at=None,
            )
        )
        env.configuration_changed()
    return pair


def listed(env: Env) -> list[AccessKey]:
    with env.reading() as session:
        return list(session.scalars(select(AccessKey).order_by(AccessKey.created_at, AccessKey.id)))


def revoke(env: Env, key_id: str) -> None:
    """End a key at once in this process, within a second in the others. Raises errors.ResourceNotFound."""
    with env.transaction():
        row = env.db.get(AccessKey, key_id)
        if row is None:
            raise errors.ResourceNotFound(f"There is no access key {key_id}; `cognate access-key list` shows them.")
        row.revoked_at = row.revoked_at or env.now()
        env.configuration_changed()


def secret(env: Env, key_id: str) -> str | None:
    """The secret of a live key, or None."""

    def load() -> str | None:
        with env.aside() as session:
            row = session.get(AccessKey, key_id)
        if row is None or row.revoked_at is not None:
            return None
        return env.seal.open(row.sealed, about=_about(key_id)).decode("ascii")

    return env.cache.get(("access key", key_id), load)


def _about(key_id: str) -> str:
    return f"access key {key_id}"
