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
    scopes = [(scope["ScopeName"], scope["ScopeDescription"]) for scope in call.get("Scopes", [])]
    server = resource_servers.create(
        call.env, call.pool, identifier=call["Identifier"], name=call["Name"], scopes=scopes
    )
    return {"ResourceServer": described(server)}


def described(server: ResourceServer) -> dict[str, Any]:
    return {
        "UserPoolId": server.pool_id,
        "Identifier": server.identifier,
        "Name": server.name,
        "Scopes": [{"ScopeName": scope["name"], "ScopeDescription": scope["description"]} for scope in server.scopes],
    }
