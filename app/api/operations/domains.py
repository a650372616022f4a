"""Domains of a pool's pages (reference: 7.1)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.pools import domains


@operation("CreateUserPoolDomain")
def create_user_pool_domain(call: Call) -> dict[str, Any]:
    """Give a pool a prefix or, with CustomDomainConfig, a domain of its own; the reply says what to point it at."""
    if call.get("Routing"):
        raise errors.InvalidParameter("Routing is not available in this version of Cognate; leave it out.")
    settings = wire.inward(call.operation.input, call.members)
    custom = "custom_domain_config" in settings
    version = call.get("ManagedLoginVersion", 1)
    kept = {name: settings[name] for name in ("custom_domain_config",) if name in settings}
    domains.create(
        call.env,
        call.pool,
        domain=call["Domain"],
        custom=custom,
        settings={**kept, "managed_login_version": version},
    )
    reply: dict[str, Any] = {"ManagedLoginVersion": version}
    if custom:
        reply["CloudFrontDomain"] = call.env.settings.base_host
    return reply
