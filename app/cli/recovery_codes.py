"""`cognate recovery-codes`: how many a user has left, and their end. Cognito has no such codes, so no operation."""

from __future__ import annotations

import click

from app.accounts import recovery_codes
from app.cli import printing
from app.cli.opening import Open
from app.cli.printing import json_option
from app.pools import find


@click.group("recovery-codes")
def group() -> None:
    """Codes that stand in for a user's lost second factor. They are kept as digests: nobody can read them."""


@group.command()
@click.argument("pool_id", metavar="POOL")
@click.argument("username", metavar="USER")
@json_option
@click.pass_obj
def count(environment: Open, pool_id: str, username: str, as_json: bool) -> None:
    """Print how many codes a user has left."""
    with environment() as env:
        left = recovery_codes.left_by_administrator(env, find.pool(env, pool_id), username=username)
    if as_json:
        printing.json({"username": username, "left": left})
    else:
        click.echo(f"{username} has {printing.count(left, 'recovery code')} left.")


@group.command()
@click.argument("pool_id", metavar="POOL")
@click.argument("username", metavar="USER")
@json_option
@click.pass_obj
def end(environment: Open, pool_id: str, username: str, as_json: bool) -> None:
    """Make a user's codes worthless. The user makes new ones at /mfa/recovery."""
    with environment() as env:
        ended = recovery_codes.end_by_administrator(env, find.pool(env, pool_id), username=username)
    if as_json:
        printing.json({"username": username, "ended": ended})
    else:
        click.echo(f"{printing.count(ended, 'recovery code')} of {username} ended.")
