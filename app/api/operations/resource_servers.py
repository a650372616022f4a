"""Resource servers and their scopes (reference: 11.2)."""

from __future__ import annotations

from typing import Any

from app.api.caller import Call
from app.api.registry import operation
from app.models import ResourceServer
from app.pools import resource_servers


@operation("CreateResourceServer")
def create_resource_server(call: Call) -> dict[str, Any]:
    """Name an API and its scopes, so that clients can be allowed to ask for them."""
    server = resource_servers.create(
        call.env, call.pool, identifier=call["Identifier"], name=call["Name"], scopes=_scopes(call)
    )
    return {"ResourceServer": described(server)}


@operation("DescribeResourceServer")
def describe_resource_server(call: Call) -> dict[str, Any]:
    """An API and its scopes."""
    return {"ResourceServer": described(resource_servers.existing(call.env, call.pool, call["Identifier"]))}


@operation("UpdateResourceServer")
def update_resource_server(call: Call) -> dict[str, Any]:
    """Rename an API, and replace its scopes: without Scopes it has none any more, as the model says."""
    server = resource_servers.update(
        call.env, call.pool, identifier=call["Identifier"], name=call["Name"], scopes=_scopes(call)
    )
    return {"ResourceServer": described(server)}


@operation("DeleteResourceServer")
def delete_resource_server(call: Call) -> None:
    """Remove an API with its scopes."""
    resource_servers.delete(call.env, call.pool, identifier=call["Identifier"])


@operation("ListResourceServers")
def list_resource_servers(call: Call) -> dict[str, Any]:
    """A page of the pool's APIs, with their scopes."""
    page = resource_servers.listed(call.env, call.pool, limit=call.get("MaxResults"), token=call.get("NextToken"))
    reply: dict[str, Any] = {"ResourceServers": [described(server) for server in page.rows]}
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


def described(server: ResourceServer) -> dict[str, Any]:
    return {
        "UserPoolId": server.pool_id,
        "Identifier": server.identifier,
        "Name": server.name,
        "Scopes": [{"ScopeName": scope["name"], "ScopeDescription": scope["description"]} for scope in server.scopes],
    }


def _scopes(call: Call) -> list[tuple[str, str]]:
    return [(scope["ScopeName"], scope["ScopeDescription"]) for scope in call.get("Scopes") or ()]
