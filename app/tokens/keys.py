"""The keys of a pool: made in pairs, published before they sign, kept until nothing they signed is alive.

A pool signs ID tokens and access tokens with different keys, as Cognito does. Private keys are sealed in the
database; loading one costs as much as a hundred signatures, so the loaded keys are kept in `env.cache`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select

from app import errors
from app.audit import record
from app.crypto import jose
from app.db import utc
from app.env import Env
from app.models import Pool, SigningKey, seals

PURPOSES = ("id", "access")
PUBLISHED_AHEAD = timedelta(minutes=15)
"""How long a new key is in the JWKS before it signs: longer than verifiers may cache the document."""
LONGEST_TOKEN = timedelta(days=1)
"""No ID or access token lives longer (reference: 3.1); an old key stays published for as long."""

_DUE = (
    select(Pool.id)
    .join(SigningKey, SigningKey.pool_id == Pool.id)
    .where(SigningKey.purpose.in_(PURPOSES))
    .group_by(Pool.id)
    .having(func.max(SigningKey.created_at) <= bindparam("before", type_=utc()))
)


class VerifiedTokens:
    """Claims of tokens that a pool's keys have been seen to have signed, by a digest of the whole token, signature
    included. They go with the keys: PoolKeys are made anew when a key is replaced.

    What is known here is the signature, which does not change. Whether a token has expired and whether its session and
    user still live is looked at each time. Only tokens that were signed get in, so that a flood of others drops none.
    """

    MOST = 1000
    """Of one pool and kind, in each process: some 2 MB."""

    def __init__(self) -> None:
        self._claims: dict[bytes, dict[str, Any]] = {}

    def claims(self, token: str, verify: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """The claims, by `verify` if they are not known; what it raises. They are the caller's own."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._claims.get(key)
        if known is None:
            known = verify(token)
            if len(self._claims) >= self.MOST:
                self._claims = {}
            self._claims[key] = known
        return dict(known)


@dataclass(frozen=True)
class PoolKeys:
    """Loaded keys of one pool. `signing` is ordered by when each key begins to sign."""

    signing: Mapping[str, tuple[tuple[datetime, jose.SigningKey], ...]]
    verifying: Mapping[str, Mapping[str, jose.VerifyingKey]]
    jwks: bytes
    until: datetime | None
    """When the first of them goes; None: all stay."""
    verified: Mapping[str, VerifiedTokens] = field(
        default_factory=lambda: {purpose: VerifiedTokens() for purpose in PURPOSES}
    )

    def claims(self, purpose: str, token: str) -> dict[str, Any]:
        """What jose.verify says of a token that is for this purpose. Raises jose.BadToken."""
        return self.verified[purpose].claims(token, lambda token: jose.verify(token, self.verifying[purpose]))

    def signer(self, purpose: str, now: datetime) -> jose.SigningKey:
        """The newest key that has begun to sign."""
        line = self.signing[purpose]
        return next((key for begins, key in reversed(line) if begins <= now), line[0][1])


def of(env: Env, pool: Pool) -> PoolKeys:
    found = env.cache.get(("keys", pool.id), lambda: _load(env, pool))
    if found.until is not None and found.until <= env.now():
        # Time has changed what is right, and no revision tells. Once for each rotation, so all may go.
        env.cache.drop()
        found = env.cache.get(("keys", pool.id), lambda: _load(env, pool))
    return found


def pair(env: Env, pool: Pool, *, active_at: datetime) -> list[SigningKey]:
    """A key for each purpose, to be added in a transaction. Slow (RSA: a fifth of a second), never inside one."""
    env.nothing_open("make keys")
    return [_new(env, pool, purpose, active_at=active_at) for purpose in PURPOSES]


def rotate_due(env: Env) -> list[str]:
    """New keys for the pools whose keys have become older than COGNATE_SIGNING_KEY_DAYS; the pools' ids. Every worker
    does it now and then: of two at once, one gives a pool its keys, and the other's are thrown away."""
    if not env.settings.signing_key_days:
        return []
    rotated = []
    for pool in _due(env):
        begins = env.now() + PUBLISHED_AHEAD
        new = pair(env, pool, active_at=begins)
        with env.transaction():
            # Whoever waits for the lock looks again when it has it: the keys of the one before are new.
            env.db.execute(select(Pool.id).where(Pool.id == pool.id).with_for_update(key_share=True))
            if env.db.scalar(_DUE.where(Pool.id == pool.id), _before(env)) is None:
                continue
            _replace(env, pool, new, begins=begins, gone=(SigningKey.gone_at <= env.now(),))
            record.event(env, pool, "KeysRotated", emergency=False)
        rotated.append(pool.id)
    return rotated


def _due(env: Env) -> list[Pool]:
    with env.reading() as session:
        return list(session.scalars(select(Pool).where(Pool.id.in_(_DUE)), _before(env)))


def _before(env: Env) -> dict[str, datetime]:
    return {"before": env.now() - timedelta(days=env.settings.signing_key_days)}


def rotate(env: Env, pool: Pool, *, emergency: bool = False) -> datetime:
    """A new pair; returns when it begins to sign.

    Normally that is PUBLISHED_AHEAD from now, and the old pair stays published until the last token it can have
    signed has ended. In an emergency, when a private key may be known to others, the new pair signs at once and the
    old one is forgotten with it: every token it signed is refused from then on.
    """
    now = env.now()
    begins = now if emergency else now + PUBLISHED_AHEAD
    new = pair(env, pool, active_at=begins)
    with env.transaction():
        _replace(env, pool, new, begins=begins, gone=() if emergency else (SigningKey.gone_at <= now,))
        record.event(env, pool, "KeysRotated", emergency=emergency)
    return begins


def _replace(
    env: Env, pool: Pool, new: list[SigningKey], *, begins: datetime, gone: tuple[ColumnElement[bool], ...]
) -> None:
    old = select(SigningKey).where(_of(pool), SigningKey.gone_at.is_(None))
    for key in env.db.scalars(old.with_for_update()):
        key.gone_at = begins + LONGEST_TOKEN
    env.db.execute(delete(SigningKey).where(_of(pool), *gone))
    env.db.add_all(new)
    env.configuration_changed()


def _new(env: Env, pool: Pool, purpose: str, *, active_at: datetime) -> SigningKey:
    kid = jose.new_kid()
    private = jose.generate(pool.algorithm)
    return SigningKey(
        kid=kid,
        pool_id=pool.id,
        purpose=purpose,
        algorithm=pool.algorithm,
        sealed=env.seal.seal(private, about=seals.signing_key(kid)),
        public=jose.SigningKey.load(private, pool.algorithm, kid).public_jwk,
        created_at=env.now(),
        active_at=active_at,
        gone_at=None,
    )


def _load(env: Env, pool: Pool) -> PoolKeys:
    query = select(SigningKey).where(_of(pool)).order_by(SigningKey.active_at, SigningKey.kid)
    with env.aside() as session:
        rows = [row for row in session.scalars(query) if row.gone_at is None or row.gone_at > env.now()]
    if not rows:  # it was deleted since it was looked for
        raise errors.UnknownPool(pool.id)
    line: dict[str, list[tuple[datetime, jose.SigningKey]]] = {purpose: [] for purpose in PURPOSES}
    verifying: dict[str, dict[str, jose.VerifyingKey]] = {purpose: {} for purpose in PURPOSES}
    for row in rows:
        private = env.seal.open(row.sealed, about=seals.signing_key(row.kid), pool=pool.id)
        line[row.purpose].append((row.active_at, jose.SigningKey.load(private, row.algorithm, row.kid)))
        verifying[row.purpose][row.kid] = jose.VerifyingKey.load(row.public)
    return PoolKeys(
        signing={purpose: tuple(keys) for purpose, keys in line.items()},
        verifying=verifying,
        jwks=orjson.dumps({"keys": [row.public for row in rows]}, option=orjson.OPT_SORT_KEYS),
        until=min((row.gone_at for row in rows if row.gone_at is not None), default=None),
    )


def _of(pool: Pool) -> ColumnElement[bool]:
    """The keys of tokens; a pool has others (tokens.certificates)."""
    return and_(SigningKey.pool_id == pool.id, SigningKey.purpose.in_(PURPOSES))
