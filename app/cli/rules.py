"""`cognate rules`: which requests a pool answers (docs/request-rules.md)."""

from __future__ import annotations

from typing import Any

import click

from app.api import registry
from app.cli import blueprint, documents, printing
from app.cli.opening import Open
from app.cli.printing import json_option
from app.pools import find, request_rules


@click.group("rules")
def group() -> None:
    """Which requests a pool answers, denies, or lets work first."""


@group.command()
@click.argument("pool_id", metavar="POOL")
@json_option
@click.pass_obj
def show(environment: Open, pool_id: str, as_json: bool) -> None:
    """Print a pool's rules, as `apply` takes them."""
    with environment() as env:
        found = request_rules.document(find.pool(env, pool_id)) or {"Rules": []}
    if as_json:
        printing.json(found)
    else:
        click.echo(documents.written(found), nl=False)


@group.command()
@click.argument("file", type=click.Path())
@json_option
def check(file: str, as_json: bool) -> None:
    """Look for mistakes in a file with rules. Asks no database and changes nothing."""
    given = _read(file)
    names = [one["Name"] for one in given["Rules"]]
    if as_json:
        printing.json({"rules": names})
    else:
        click.echo(f"No mistakes: {printing.count(len(names), 'rule')}.")


@group.command()
@click.argument("pool_id", metavar="POOL")
@click.argument("file", type=click.Path())
@json_option
@click.pass_obj
def apply(environment: Open, pool_id: str, file: str, as_json: bool) -> None:
    """Put the rules of the file in the place of all that the pool has. They hold from the next request on. A file with
    a mistake changes nothing; one with `Rules: []` takes all rules away."""
    given = _read(file)
    with environment() as env:
        pool = find.pool(env, pool_id)
        none_left = not given["Rules"] and given.get("Default") != "deny"
        request_rules.configure(env, pool, None if none_left else given, operations=registry.unsigned())
    names = [one["Name"] for one in given["Rules"]]
    if as_json:
        printing.json({"pool_id": pool_id, "rules": names})
    else:
        click.echo(f"{pool_id} has {printing.count(len(names), 'rule')} now.")


def _read(file: str) -> dict[str, Any]:
    document = documents.opened(file)
    blueprint.check_rules(document, (), document.value)
    found: dict[str, Any] = document.value
    return found
