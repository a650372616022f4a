"""Storing a password: its hash and its SRP verifier, made together whenever the plain password is seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert

from app.crypto import srp
from app.env import Env
from app.models import Password, Pool, User


@dataclass(frozen=True)
class Prepared:
    """A password made ready to be stored: the slow part, done before the transaction."""

    hash: str
    srp_salt: str
    srp_verifier: str


def prepare(env: Env, pool: Pool, *, sub: str, username: str, password: str) -> Prepared:
    """Hash and verifier. Slow, never inside a transaction. Raises errors.TooManyRequests when the cores are busy."""
    hashed = env.passwords.hash(password)
    salt = srp.new_salt()
    # As typed, not normalised like the hash: at sign-in by SRP the client hashes what is typed, and we never see it.
    verifier = srp.verifier(pool.short_id, username, password, salt)
    sealed = env.seal.seal(verifier.encode("ascii"), about=about_verifier(sub))
    return Prepared(hash=hashed, srp_salt=salt, srp_verifier=sealed)


def store(env: Env, user: User, prepared: Prepared, *, expires_at: datetime | None = None) -> str:
    """Replace the user's password. Inside a transaction. Returns the version of the new one."""
    version = env.random.uuid()
    env.db.execute(delete(Password).where(Password.user_sub == user.sub))
    env.db.execute(
        insert(Password).values(
            user_sub=user.sub,
            version=version,
            hash=prepared.hash,
            srp_salt=prepared.srp_salt,
            srp_verifier=prepared.srp_verifier,
            set_at=env.now(),
            expires_at=expires_at,
        )
    )
    return version


def about_verifier(sub: str) -> str:
    return f"srp verifier {sub}"
