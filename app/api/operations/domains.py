"""Domains of a pool's pages (reference: 7.1)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.api import registry, wire
from app.api.caller import Call
from app.api.registry import operation
from app.env import Env
from app.models import Domain
from app.pools import domains

SETTINGS = ("custom_domain_config", "managed_login_version")


@operation("CreateUserPoolDomain")
def create_user_pool_domain(call: Call) -> dict[str, Any]:
    """Give a pool a prefix or, with CustomDomainConfig, a domain of its own; the reply says what to point it at."""
    settings = _settings(call)
    custom = "custom_domain_config" in settings
    row = domains.create(call.env, call.pool, domain=call["Domain"], custom=custom, settings=settings)
    return _changed(call.env, row)


@operation("DescribeUserPoolDomain")
def describe_user_pool_domain(call: Call) -> dict[str, Any]:
    """A domain and its pool; nothing of a domain that nobody has, which is no error. A custom one is CREATING until it
    has been proven, and looked at again when it is described."""
    row = domains.described(call.env, call["Domain"])
    return {"DomainDescription": described(call.env, row) if row else {}}


@operation("UpdateUserPoolDomain")
def update_user_pool_domain(call: Call) -> dict[str, Any]:
    """Change a domain's version of managed login, or its certificate."""
    row = domains.update(call.env, call.pool, domain=call["Domain"], settings=_settings(call))
    return _changed(call.env, row)


@operation("DeleteUserPoolDomain")
def delete_user_pool_domain(call: Call) -> dict[str, Any]:
    """Take a domain from a pool."""
    domains.delete(call.env, call.pool, domain=call["Domain"])
    return {}


def described(env: Env, row: Domain) -> dict[str, Any]:
    """There is no bucket and no content network here: S3Bucket is left out, and the distribution, which tools read as
    the place to point a name at, is this server."""
    return {
        **wire.outward(registry.structure("DomainDescriptionType"), row.settings),
        "UserPoolId": row.pool_id,
        "AWSAccountId": env.settings.account_id,
        "Domain": row.domain,
        "CloudFrontDistribution": env.settings.base_host,
        "Version": row.created_at.strftime("%Y%m%d%H%M%S"),
        "Status": "ACTIVE" if row.served else "CREATING",
    }


def _settings(call: Call) -> dict[str, Any]:
    if call.get("Routing"):
        raise errors.InvalidParameter("Routing is not available in this version of Cognate; leave it out.")
    given = wire.inward(call.operation.input, call.members)
    return {name: given[name] for name in SETTINGS if given.get(name) is not None}


def _changed(env: Env, row: Domain) -> dict[str, Any]:
    reply: dict[str, Any] = {"ManagedLoginVersion": row.settings["managed_login_version"]}
    if row.custom:
        reply["CloudFrontDomain"] = env.settings.base_host
    return reply
