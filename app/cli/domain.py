"""`cognate domain`: custom domains, and the proof that each belongs to whoever has the pool."""

from __future__ import annotations

import click

from app.cli import printing
from app.cli.opening import Open
from app.cli.printing import json_option
from app.env import Env
from app.errors import ResourceNotFound
from app.models import Domain
from app.pools import domains


@click.group()
def domain() -> None:
    """Custom domains. One is served once it has been proven: see docs/operations.md."""


MEMBERS = ("domain", "pool_id", "status", "url", "content")


@domain.command("list")
@json_option
@click.pass_obj
def list_domains(environment: Open, as_json: bool) -> None:
    """List custom domains, and what each that waits has to show."""
    with environment() as env:
        rows = [[_facts(env, row)[name] for name in MEMBERS] for row in domains.listed(env)]
    printing.listed(as_json, MEMBERS, rows)


@domain.command()
@click.argument("name")
@json_option
@click.pass_obj
def prove(environment: Open, name: str, as_json: bool) -> None:
    """Look for the proof of a domain now, and say what was found."""
    with environment() as env:
        _existing(env, name)
        domains.prove(env, name)
    _tell_served(name, "has been proven and is served", as_json)


@domain.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def accept(environment: Open, name: str, yes: bool, as_json: bool) -> None:
    """Serve a domain on your own word, without a proof: for one that leads here already."""
    with environment() as env:
        row = _existing(env, name)
        printing.confirm(yes, f"Does {name} belong to whoever has the pool {row.pool_id}?", as_json)
        domains.accept(env, row)
    _tell_served(name, "is served", as_json)


def _existing(env: Env, name: str) -> Domain:
    row = domains.named(env, name)
    if row is None:
        raise ResourceNotFound(f"There is no custom domain {name}; `cognate domain list` shows them.")
    return row


def _tell_served(name: str, how: str, as_json: bool) -> None:
    if as_json:
        printing.json({"domain": name, "status": "ACTIVE"})
    else:
        click.echo(f"{name} {how}.")


def _facts(env: Env, row: Domain) -> dict[str, str]:
    url, content = domains.wanted(env, row.domain, row.pool_id)
    status = "ACTIVE" if row.served else "CREATING"
    return {"domain": row.domain, "pool_id": row.pool_id, "status": status, "url": url, "content": content}
