"""The certificate with which identity providers verify a pool's SAML requests (reference: 6.9).

It has a key of its own, RSA whatever the pool signs tokens with, because that is what providers take. It is made when
it is first asked for, and stays: whoever was told it has pinned it, and rotating the keys of tokens must not lock out
his users.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

from sqlalchemy import Select, select

from app import errors
from app.crypto import certificates, jose
from app.env import Env
from app.models import Pool, SigningKey, seals

VALID = timedelta(days=3652)
"""Ten years, as long as those of the service."""


def signing(env: Env, pool: Pool) -> str:
    """The certificate as base64 of its DER, without PEM's armour; the same each time. Raises errors.UnknownPool."""
    return env.cache.get(("certificate", pool.id), lambda: _certificate(env, pool))


def _certificate(env: Env, pool: Pool) -> str:
    with env.aside() as session:
        row = session.scalar(_key_of(pool))
    row = row or _made(env, pool)
    der = certificates.self_signed(
        env.seal.open(row.sealed, about=seals.saml_signing_key(row.kid), pool=pool.id),
        name=pool.id,
        serial=int.from_bytes(hashlib.sha256(row.kid.encode("ascii")).digest()[:15]) + 1,  # RFC 5280, 4.1.2.2: not zero
        begins=row.created_at,
        ends=row.created_at + VALID,
    )
    return base64.b64encode(der).decode("ascii")


def _made(env: Env, pool: Pool) -> SigningKey:
    """The pool's key, made now. Of two who make it at once the first has made it for both."""
    env.nothing_open("make a key")
    private = jose.generate("RS256")
    kid = jose.new_kid()
    now = env.now()
    with env.transaction():
        if env.db.get(Pool, pool.id, with_for_update=True) is None:
            raise errors.UnknownPool(pool.id)
        row = env.db.scalar(_key_of(pool))
        if row is None:
            row = SigningKey(
                kid=kid,
                pool_id=pool.id,
                purpose=seals.SAML,
                algorithm="RS256",
                sealed=env.seal.seal(private, about=seals.saml_signing_key(kid)),
                public=jose.SigningKey.load(private, "RS256", kid).public_jwk,
                created_at=now,
                active_at=now,
                gone_at=None,
            )
            env.db.add(row)
    return row


def _key_of(pool: Pool) -> Select[SigningKey]:
    return select(SigningKey).where(SigningKey.pool_id == pool.id, SigningKey.purpose == seals.SAML)
