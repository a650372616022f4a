"""The host names of a pool's pages (reference: 7.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app import errors
from app.db import raising
from app.env import Env
from app.models import Domain, Pool

PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
CUSTOM = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")
RESERVED = ("aws", "amazon", "cognito")


def create(env: Env, pool: Pool, *, domain: str, custom: bool, settings: Mapping[str, Any]) -> Domain:
    """A prefix below the base host, or a custom domain. A pool has one of each at most; a name belongs to one pool.

    Raises errors.InvalidParameter.
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
    row = Domain(domain=domain, pool_id=pool.id, custom=custom, settings=dict(settings), created_at=env.now())
    taken = errors.InvalidParameter("Domain already associated with another user pool.")
    second = errors.InvalidParameter("The user pool already has a domain of this kind; delete it first.")
    with env.transaction():
        with raising(env.db, pk_domain=taken, uq_domain_pool_id_custom=second):
            env.db.add(row)
        env.configuration_changed()
    return row


def _host(env: Env) -> str:
    return env.settings.base_host.partition(":")[0]
