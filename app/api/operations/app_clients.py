"""App clients and their secrets: made, described, changed, listed, deleted (reference: 3)."""

from __future__ import annotations

from typing import Any

from app.api import registry, wire
from app.api.caller import Call
from app.api.registry import operation
from app.env import Env
from app.models import Client, ClientSecret
from app.pools import app_clients, client_secrets


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


@operation("UpdateUserPoolClient")
def update_user_pool_client(call: Call) -> dict[str, Any]:
    """Change a client. What is left out goes back to its default, but for the name."""
    settings = wire.inward(call.operation.input, call.members)
    del settings["user_pool_id"], settings["client_id"]
    client = app_clients.update(call.env, call.client, name=settings.pop("client_name", None), settings=settings)
    return {"UserPoolClient": described(call.env, client)}


@operation("DeleteUserPoolClient")
def delete_user_pool_client(call: Call) -> None:
    """Remove a client, for ever; what signed in through it is signed out."""
    app_clients.delete(call.env, call.client)


@operation("ListUserPoolClients")
def list_user_pool_clients(call: Call) -> dict[str, Any]:
    """A page of a pool's clients in the order of their ids, without their settings."""
    page = app_clients.listed(
        call.env,
        call.pool,
        limit=call.get("MaxResults", 60),
        token=call.get("NextToken"),
        kind=call.get("ClientType"),
    )
    clients = [{"ClientId": one.id, "UserPoolId": one.pool_id, "ClientName": one.name} for one in page.rows]
    return {"UserPoolClients": clients, **({"NextToken": page.token} if page.token else {})}


@operation("AddUserPoolClientSecret")
def add_user_pool_client_secret(call: Call) -> dict[str, Any]:
    """Give a client a second secret beside its first. One that was made here is shown; one that was given is not."""
    given = call.get("ClientSecret")
    added = client_secrets.add(call.env, call.client, given)
    shown = {} if given else {"ClientSecretValue": added.value}
    return {"ClientSecretDescriptor": {**_descriptor(added.row), **shown}}


@operation("ListUserPoolClientSecrets")
def list_user_pool_client_secrets(call: Call) -> dict[str, Any]:
    """Which secrets a client has, without their values."""
    page = client_secrets.listed(call.env, call.client, token=call.get("NextToken"))
    secrets = [_descriptor(one) for one in page.rows]
    return {"ClientSecrets": secrets, **({"NextToken": page.token} if page.token else {})}


@operation("DeleteUserPoolClientSecret")
def delete_user_pool_client_secret(call: Call) -> dict[str, Any]:
    """End one of two secrets."""
    client_secrets.remove(call.env, call.client, call["ClientSecretId"])
    return {}


@operation("SetUserPoolClientSessionConfiguration")
def set_user_pool_client_session_configuration(call: Call) -> dict[str, Any]:
    """Say for how long a browser is recognised that signed in through this client."""
    longest = call["SSOSession"]["MaxValidityMinutes"]
    return _session(app_clients.set_session(call.env, call.client, longest=longest))


@operation("GetUserPoolClientSessionConfiguration")
def get_user_pool_client_session_configuration(call: Call) -> dict[str, Any]:
    """For how long a browser is recognised that signed in through this client."""
    return _session(call.client)


def _session(client: Client) -> dict[str, Any]:
    found = client.settings.get("session_configuration", app_clients.SESSION)
    shape = registry.structure("GetUserPoolClientSessionConfigurationResponse")
    return {"UserPoolId": client.pool_id, "ClientId": client.id, **wire.outward(shape, found)}


def _descriptor(secret: ClientSecret) -> dict[str, Any]:
    return {"ClientSecretId": secret.id, "ClientSecretCreateDate": wire.moment(secret.created_at)}


def described(env: Env, client: Client) -> dict[str, Any]:
    found: dict[str, Any] = wire.outward(registry.structure("UserPoolClientType"), client.settings)
    found.update(
        UserPoolId=client.pool_id,
        ClientId=client.id,
        ClientName=client.name,
        ClientType="REGULAR",
        CreationDate=wire.moment(client.created_at),
        LastModifiedDate=wire.moment(client.modified_at),
    )
    secrets = client_secrets.of(env, client)
    if secrets:
        found["ClientSecret"] = secrets[-1]
    return found
