"""`cognate client`: the clients of a pool. What changes them is `cognate pool apply`, and the API."""

from __future__ import annotations

import click
from sqlalchemy import select

from app.cli import printing
from app.cli.opening import Open
from app.cli.printing import json_option
from app.models import Client
from app.pools import find

MEMBERS = ("client_id", "name", "secret", "flows", "redirect_uris", "created")


@click.group()
def client() -> None:
    """The clients of a pool."""


@client.command("list")
@click.argument("pool_id", metavar="POOL")
@json_option
@click.pass_obj
def list_clients(environment: Open, pool_id: str, as_json: bool) -> None:
    """List a pool's clients by name: whether each has a secret, what it may do, where it may be answered."""
    with environment() as env:
        pool = find.pool(env, pool_id)
        with env.reading() as session:
            query = select(Client).where(Client.pool_id == pool.id).order_by(Client.name, Client.id)
            clients = list(session.scalars(query).unique())
        rows = (
            (one.id, one.name, one.confidential, sorted(one.oauth_flows), one.callback_urls, one.created_at)
            for one in clients
        )
        printing.listed(as_json, MEMBERS, rows)
