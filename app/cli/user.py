"""`cognate user`: who is in a pool, to look at. What changes users is the API (`AdminCreateUser` and its like)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.accounts import factors, find, groups, search
from app.cli import printing
from app.cli.opening import Open
from app.cli.printing import json_option
from app.env import Env
from app.models import Pool, User
from app.policy import filters
from app.pools import find as pools

MEMBERS = ("username", "status", "enabled", "email", "created", "sub")


@click.group()
def user() -> None:
    """The users of a pool."""


@user.command("list")
@click.argument("pool_id", metavar="POOL")
@click.option(
    "--filter", "wanted", default="", metavar="FILTER", help="""As in ListUsers: 'email = "a@example.com"'."""
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="How many users at most.")
@click.option("--all", "everybody", is_flag=True, help="All of them, however many there are.")
@json_option
@click.pass_obj
def list_users(environment: Open, pool_id: str, wanted: str, limit: int, everybody: bool, as_json: bool) -> None:
    """List users, oldest first; with a filter, in the order of what is searched for."""
    with environment() as env:
        pool = pools.pool(env, pool_id)
        found = _Users(env, pool, wanted, None if everybody else limit)
        rows = ((one.username, one.status, one.enabled, one.email, one.created_at, one.sub) for one in found)
        printing.listed(as_json, MEMBERS, rows)
        if found.more:
            click.echo(f"These are the first {limit}; --limit shows more, --all everybody.", err=True)


class _Users:
    """Users a page at a time, up to a limit; `more` says afterwards whether there are others."""

    def __init__(self, env: Env, pool: Pool, wanted: str, limit: int | None) -> None:
        self.env, self.pool, self.limit = env, pool, limit
        self.wanted = filters.parse(wanted)
        self.more = False

    def __iter__(self) -> Iterator[User]:
        left, token = self.limit, None
        while left != 0:
            size = search.PAGE if left is None else min(left, search.PAGE)
            page = search.users(self.env, self.pool, wanted=self.wanted, limit=size, token=token)
            yield from page.rows
            left = None if left is None else left - len(page.rows)
            token = page.token
            if token is None:
                return
        self.more = True


@user.command()
@click.argument("pool_id", metavar="POOL")
@click.argument("name", metavar="USER")
@json_option
@click.pass_obj
def show(environment: Open, pool_id: str, name: str, as_json: bool) -> None:
    """Show a user, named by username, by sub, or by an address that signs in: state, groups, second factors and
    attributes. Passwords and other secrets are shown by nothing."""
    with environment() as env:
        pool = pools.pool(env, pool_id)
        found = find.existing(env, pool, name).user
        facts = _facts(env, pool, found)
    if as_json:
        printing.json(facts)
        return
    attributes = facts.pop("attributes")
    printing.facts((member.replace("_", " "), value) for member, value in facts.items())
    click.echo()
    printing.table(["ATTRIBUTE", "VALUE"], attributes.items())


def _facts(env: Env, pool: Pool, found: User) -> dict[str, Any]:
    return {
        "username": found.username,
        "sub": found.sub,
        "status": found.status,
        "enabled": found.enabled,
        "created": found.created_at,
        "modified": found.modified_at,
        "groups": _groups(env, pool, found),
        "second_factors": list(factors.switched_on(found)),
        "preferred_factor": factors.preferred(found),
        "attributes": {name: value for name, value in found.all_attributes.items() if name != "sub"},
    }


def _groups(env: Env, pool: Pool, found: User) -> list[str]:
    names: list[str] = []
    token = None
    while True:
        page = groups.of_user(env, pool, username=found.sub, token=token)
        names += [group.name for group in page.rows]
        token = page.token
        if token is None:
            return names
