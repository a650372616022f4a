"""Keys that sign administrative requests: made, listed, revoked, looked up by the API's door; and what each may do.

A key does everything in every pool unless it was made with limits: pools by id, and actions by pattern, in the words
of an IAM policy (`cognito-idp:List*`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import select

from app import errors
from app.audit import record
from app.env import Env
from app.models import AccessKey, seals
from app.pools import find

SERVICE = "cognito-idp"
_PATTERN = re.compile(r"\*|cognito-idp:[A-Za-z*]+")


@dataclass(frozen=True)
class Pair:
    """Shown once, when it is made."""

    id: str
    secret: str


@dataclass(frozen=True)
class Live:
    """A key that has not been revoked: its secret and its limits, None where it has none."""

    id: str
    secret: str
    pools: frozenset[str] | None
    actions: tuple[str, ...] | None

    def may(self, action: str, pool_id: str | None) -> bool:
        """Whether it may do this to this pool. What is done to no one pool (CreateUserPool, ListUserPools) is not for
        a key that is limited to some: it would show or touch the others."""
        if self.actions is not None and not any(
            fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions
        ):
            return False
        return self.pools is None or pool_id in self.pools


def create(
    env: Env, *, description: str, pools: Sequence[str] | None = None, actions: Sequence[str] | None = None
) -> Pair:
    """A new key, limited to pools by id and to actions by pattern where these are given.

    Raises errors.UnknownPool, errors.InvalidParameter (a pattern that can match no action).
    """
    for pool_id in pools or ():
        find.pool(env, pool_id)
    for pattern in actions or ():
        if not _PATTERN.fullmatch(pattern):
            raise errors.InvalidParameter(
                f"{pattern} is not a pattern of actions: expected one such as {SERVICE}:List* or {SERVICE}:AdminGetUser"
            )
    pair = Pair(env.random.access_key_id(), env.random.access_key_secret())
    with env.transaction():
        env.db.add(
            AccessKey(
                id=pair.id,
                sealed=env.seal.seal(pair.secret.encode("ascii"), about=seals.access_key(pair.id)),
                description=description,
                pools=list(pools) if pools is not None else None,
                actions=list(actions) if actions is not None else None,
                created_at=env.now(),
                revoked_at=None,
            )
        )
        _tell(env, "AccessKeyCreated", pair.id)
        env.configuration_changed()
    return pair


def listed(env: Env) -> list[AccessKey]:
    with env.reading() as session:
        return list(session.scalars(select(AccessKey).order_by(AccessKey.created_at, AccessKey.id)))


def revoke(env: Env, key_id: str) -> None:
    """End a key at once, on every host: a signed request asks first whether anything has changed. Raises
    errors.ResourceNotFound."""
    with env.transaction():
        row = env.db.get(AccessKey, key_id)
        if row is None:
            raise errors.ResourceNotFound(f"There is no access key {key_id}; `cognate access-key list` shows them.")
        row.revoked_at = row.revoked_at or env.now()
        _tell(env, "AccessKeyRevoked", key_id)
        env.configuration_changed()


def _tell(env: Env, what: str, key_id: str) -> None:
    target = f"access-key/{key_id}"
    record.about(target=target)
    record.event(env, record.INSTALLATION, what, target=target)


def live(env: Env, key_id: str) -> Live | None:
    """The key of this id while it has not been revoked."""

    def load() -> Live | None:
        with env.aside() as session:
            row = session.get(AccessKey, key_id)
        if row is None or row.revoked_at is not None:
            return None
        return Live(
            id=key_id,
            secret=env.seal.open(row.sealed, about=seals.access_key(key_id)).decode("ascii"),
            pools=frozenset(row.pools) if row.pools is not None else None,
            actions=tuple(row.actions) if row.actions is not None else None,
        )

    return env.cache.get(("access key", key_id), load)
