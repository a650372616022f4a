"""Storing a password: its hash and its SRP verifier, made together whenever the plain password is seen; and the
hashes of those before it, for pools that bar their use (PasswordHistorySize; reference: 2.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import delete, insert, select

from app import errors
from app.crypto import srp
from app.env import Env
from app.models import FormerPassword, Password, Pool, User, seals


@dataclass(frozen=True)
class Prepared:
    """A password made ready to be stored: the slow part, done before the transaction."""

    hash: str
    srp_salt: str
    srp_verifier: str
    srp_sub_verifier: str | None
    barred: int
    """How many former passwords the pool bars, beside the present one."""
    follows: str | None = None
    """Version of the password that it was compared with, where the pool bars former ones."""


def prepare(env: Env, pool: Pool, *, sub: str, username: str, password: str) -> Prepared:
    """Hash and verifier. Slow, never inside a transaction. Raises errors.TooManyRequests when the cores are busy."""
    hashed = env.passwords.hash(password)
    salt = srp.new_salt()
    # As typed, not normalised like the hash: at sign-in by SRP the client hashes what is typed, and we never see it.
    verifier = srp.verifier(pool.short_id, username, password, salt)
    sealed = env.seal.seal(verifier.encode("ascii"), about=seals.srp_verifier(sub))
    by_sub = None
    if username != sub:  # 5 ms for being able to hide it (models.credential)
        by_sub = srp.verifier(pool.short_id, sub, password, salt)
        by_sub = env.seal.seal(by_sub.encode("ascii"), about=seals.srp_sub_verifier(sub))
    barred = max(pool.password_policy.history - 1, 0)
    return Prepared(hash=hashed, srp_salt=salt, srp_verifier=sealed, srp_sub_verifier=by_sub, barred=barred)


def renew(env: Env, pool: Pool, *, sub: str, username: str, password: str) -> Prepared:
    """`prepare` for a user who has a password, and must not choose one that he had. As slow as the pool's history is
    long: each comparison costs a hash. So only for somebody who has proven that he may choose.

    Raises errors.PasswordHistoryPolicyViolation, TooManyRequests.
    """
    version = None
    if pool.password_policy.history:
        version, hashes = _had(env, sub, pool.password_policy.history - 1)
        if any(env.passwords.verify(hashed, password) for hashed in hashes):
            raise errors.PasswordHistoryPolicyViolation
    return replace(prepare(env, pool, sub=sub, username=username, password=password), follows=version)


def store(env: Env, user: User, prepared: Prepared, *, expires_at: datetime | None = None) -> str:
    """Replace the user's password. Inside a transaction, on the user's locked row. Returns the version of the new one.

    Raises errors.TooManyRequests when another request has stored one since this was compared: it may be the same.
    """
    version, now = env.random.uuid(), env.now()
    old = env.db.execute(
        delete(Password).where(Password.user_sub == user.sub).returning(Password.version, Password.hash)
    ).one_or_none()
    if prepared.follows is not None and (old is None or old.version != prepared.follows):
        raise errors.TooManyRequests
    if old is not None:
        user.password_version = version
        _remember(env, user, old.hash, most=prepared.barred)
    env.db.execute(
        insert(Password).values(
            user_sub=user.sub,
            version=version,
            hash=prepared.hash,
            srp_salt=prepared.srp_salt,
            srp_verifier=prepared.srp_verifier,
            srp_sub_verifier=prepared.srp_sub_verifier,
            set_at=now,
            expires_at=expires_at,
        )
    )
    return version


def _had(env: Env, sub: str, former: int) -> tuple[str | None, list[str]]:
    """Version of the present password; its hash and those of so many before it."""
    query = (
        select(FormerPassword.hash)
        .where(FormerPassword.user_sub == sub)
        .order_by(FormerPassword.replaced_at.desc(), FormerPassword.id)
        .limit(former)
    )
    with env.reading() as session:
        # The present one first: if another request replaces it in between, `store` sees that it is not `version`. The
        # other way round, it would be among neither.
        present = session.execute(select(Password.version, Password.hash).where(Password.user_sub == sub)).one_or_none()
        before = list(session.scalars(query)) if former else []
    return (present.version, [present.hash, *before]) if present else (None, before)


def _remember(env: Env, user: User, hashed: str, *, most: int) -> None:
    """Keep the hash of the password that is replaced, and no more than the policy needs: every hash that is kept can
    be stolen and guessed at."""
    mine = FormerPassword.user_sub == user.sub
    if most:
        env.db.execute(
            insert(FormerPassword).values(id=env.random.uuid(), user_sub=user.sub, hash=hashed, replaced_at=env.now())
        )
    kept = (
        select(FormerPassword.id).where(mine).order_by(FormerPassword.replaced_at.desc(), FormerPassword.id).limit(most)
    )
    ids = list(env.db.scalars(kept)) if most else []
    env.db.execute(delete(FormerPassword).where(mine, FormerPassword.id.not_in(ids)))
