"""App clients: made, described (reference: 3)."""

from __future__ import annotations

from typing import Any

from app.api import registry, wire
from app.api.caller import Call
from app.api.registry import operation
from app.env import Env
from app.models import Client
from app.pools import app_clients


@operation("CreateUserPoolClient")
def create_user_pool_client(call: Call) -> dict[str, Any]:
    """Make a client. The reply has its secret, and so has DescribeUserPoolClient."""
    settings = wire.inward(call.operation.input, call.members)
    del settings["user_pool_id"]
    client = app_clients.create(
        call.env,
        call.pool,
        name=settings.pop("client_name"),
        generate_secret=settings.pop("generate_secret", False),
        secret=settings.pop("client_secret", None),
        settings=settings,
    )
    return {"UserPoolClient": described(call.env, client)}


@operation("DescribeUserPoolClient")
def describe_user_pool_client(call: Call) -> dict[str, Any]:
    """A client with all its settings, defaults included, and its newest secret."""
    return {"UserPoolClient": described(call.env, call.client)}


def described(env: Env, client: Client) -> dict[str, Any]:
    found: dict[str, Any] = wire.outward(registry.structure("UserPoolClientType"), client.settings)
    found.setdefault("EnablePropagateAdditionalUserContextData", False)
    found.update(
        UserPoolId=client.pool_id,
        ClientId=client.id,
        ClientName=client.name,
        ClientType="REGULAR",
        CreationDate=wire.moment(client.created_at),
        LastModifiedDate=wire.moment(client.modified_at),
    )
    secrets = app_clients.secrets_of(env, client)
    if secrets:
        found["ClientSecret"] = secrets[-1]
    return found
