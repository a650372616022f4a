"""The host names of a pool's pages (reference: 7.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete as deletion

from app import errors
from app.db import raising
from app.env import Env
from app.models import Domain, Pool

PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
CUSTOM = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")
RESERVED = ("aws", "amazon", "cognito")
CLASSIC, MANAGED = 1, 2
"""What ManagedLoginVersion can be: which of its two sets of pages a domain shows."""
NO_SUCH = "No such domain or user pool exists."


def create(env: Env, pool: Pool, *, domain: str, custom: bool, settings: Mapping[str, Any]) -> Domain:
    """A prefix below the base host, or a custom domain. A pool has one of each at most; a name belongs to one pool.
    `settings`: `custom_domain_config` and `managed_login_version`, those that were given.

    Raises errors.InvalidParameter, FeatureUnavailableInTier, UnknownPool (it was deleted meanwhile).
    """
    if custom and not CUSTOM.fullmatch(domain):
        raise errors.InvalidParameter(f"{domain} is not a domain name: expected one such as auth.example.com.")
    if custom and (domain == _host(env) or domain.endswith("." + _host(env))):
        raise errors.InvalidParameter("A custom domain cannot be the server's own host or below it; use a prefix.")
    if not custom and not PREFIX.fullmatch(domain):
        raise errors.InvalidParameter("Domain prefixes have lower-case letters, digits and inner hyphens only.")
    if not custom and any(word in domain for word in RESERVED):
        raise errors.InvalidParameter(
            f"The domain prefix must not contain {', '.join(RESERVED[:-1])} or {RESERVED[-1]}."
        )
    kept = {"managed_login_version": CLASSIC, **settings}
    row = Domain(domain=domain, pool_id=pool.id, custom=custom, settings=kept, created_at=env.now())
    taken = errors.InvalidParameter("Domain already associated with another user pool.")
    second = errors.InvalidParameter("The user pool already has a domain of this kind; delete it first.")
    with env.transaction():
        # Held, so that it is not deleted while it gets a domain, which would stand in the way of that.
        owner = env.db.get(Pool, pool.id, with_for_update={"read": True, "key_share": True})
        if owner is None:
            raise errors.UnknownPool(pool.id)
        _check_version(owner, kept)
        with raising(env.db, pk_domain=taken, uq_domain_pool_id_custom=second):
            env.db.add(row)
        env.configuration_changed()
    return row


def named(env: Env, domain: str) -> Domain | None:
    """The domain of this name, whosever it is."""
    with env.reading() as session:
        return session.get(Domain, domain)


def update(env: Env, pool: Pool, *, domain: str, settings: Mapping[str, Any]) -> Domain:
    """Change what is given of a domain; its name stays. Raises errors.InvalidParameter, FeatureUnavailableInTier."""
    with env.transaction():
        row = env.db.get(Domain, domain, with_for_update=True)
        if row is None or row.pool_id != pool.id:
            raise errors.InvalidParameter(NO_SUCH)
        if "custom_domain_config" in settings and not row.custom:
            raise errors.InvalidParameter("A domain prefix has no CustomDomainConfig: its certificate is the server's.")
        _check_version(pool, settings)
        row.settings = {**row.settings, **settings}
        env.configuration_changed()
    return row


def delete(env: Env, pool: Pool, *, domain: str) -> None:
    """Take a name from a pool; anybody may have it then. Raises errors.InvalidParameter: for a name that is another
    pool's too, so that nobody learns by trying whose is which."""
    with env.transaction():
        gone = env.db.scalar(
            deletion(Domain).where(Domain.domain == domain, Domain.pool_id == pool.id).returning(Domain.domain)
        )
        if gone is None:
            raise errors.InvalidParameter(NO_SUCH)
        env.configuration_changed()


def _check_version(pool: Pool, settings: Mapping[str, Any]) -> None:
    version = settings.get("managed_login_version", CLASSIC)
    if version not in (CLASSIC, MANAGED):
        raise errors.InvalidParameter(f"ManagedLoginVersion must be {CLASSIC} or {MANAGED}.")
    if version == MANAGED and pool.settings["user_pool_tier"] == "LITE":
        raise errors.FeatureUnavailableInTier("Managed login is not available in the Lite tier.")


def _host(env: Env) -> str:
    return env.settings.base_host.partition(":")[0]
