"""`cognate pool`: a pool as a file, and changes that the API does not make (docs/pools.md)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import click

from app import errors
from app.cli import blueprint, documents
from app.env import Env
from app.models import Pool
from app.pools import changes, find, plans
from app.pools.changes import Step
from app.pools.plans import Plan, Wanted

Open = Callable[[], AbstractContextManager[Env]]
pause = time.sleep
TOLD_EVERY = 10_000
"""Users between two lines of progress."""

prune = click.option("--prune", is_flag=True, help="Remove what a section of the file does not list.")
retire = click.option(
    "--retire-misfits", is_flag=True, help="Put values aside that do not fit the new definition of their attribute."
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def pool() -> None:
    """A pool's configuration as a file, and changes that the API does not make."""


@pool.command()
@click.argument("pool_id", metavar="POOL")
@click.pass_obj
def show(environment: Open, pool_id: str) -> None:
    """Print a pool's whole configuration as YAML. Users and secrets are not in it."""
    with environment() as env:
        found = find.pool(env, pool_id)
        click.echo(documents.written(blueprint.shown(env, found)), nl=False)


@pool.command()
@click.argument("pool_id", metavar="POOL")
@click.argument("file")
@prune
@retire
@click.pass_obj
def plan(environment: Open, pool_id: str, file: str, prune: bool, retire_misfits: bool) -> None:
    """Print what the file would change, and which users stand in its way. Changes nothing."""
    with environment() as env:
        _plan(env, find.pool(env, pool_id), _read(file), prune=prune, retire_misfits=retire_misfits)


@pool.command()
@click.argument("pool_and_file", metavar="[POOL] FILE", nargs=-1, required=True)
@prune
@retire
@click.option("--dry-run", is_flag=True, help="Only print what would change, as `plan` does.")
@yes
@click.pass_obj
def apply(
    environment: Open, pool_and_file: tuple[str, ...], prune: bool, retire_misfits: bool, dry_run: bool, yes: bool
) -> None:
    """Make a pool what the file says: print the difference, ask, and do it. Without POOL it is the pool that the file
    names, or a new one. Goes on with a change that was interrupted."""
    if len(pool_and_file) > 2:
        raise click.UsageError("Expected a pool and a file, or a file.")
    document = _read(pool_and_file[-1])
    given = blueprint.check(document)
    with environment() as env:
        found = find.pool(env, pool_and_file[0]) if len(pool_and_file) == 2 else _named(env, given)
        if dry_run and found is not None:
            _plan(env, found, document, prune=prune, retire_misfits=retire_misfits)
            return
        fresh = found is None
        if found is None:
            for line in blueprint.lines_of_new(given):
                click.echo(line)
            if dry_run:
                return
            _confirm(yes, "Make this pool?")
            found = blueprint.created(env, given)
            click.echo(f"Made the pool {found.id}.")
        runner = env.random.uuid()
        if not fresh:
            _go_on(env, found, blueprint.structural(found, given, prune=prune), runner, retire_misfits)
            found = find.pool(env, found.id)
        planned, differences = _compared(env, found, given, prune=prune)
        if not (planned.after or differences.actions):
            click.echo("Nothing to change." if not fresh else "Done.")
            return
        if not fresh:
            _tell(planned, differences)
            planned.refuse(retire_misfits=retire_misfits)
            _confirm(yes, f"Change the pool {found.id} ({found.name})?")
        try:
            if planned.after:
                changes.begin(env, found, planned, runner=runner, retire_misfits=retire_misfits)
                _run(env, found, runner, retire_misfits, users=not fresh)
            blueprint.perform(env, found, differences.actions, lambda action: None)
        except errors.Refusal:
            if fresh:
                click.echo(f"The pool is made in part: `cognate pool apply {found.id} FILE` goes on.")
            raise
        click.echo("Done.")


@pool.command()
@click.argument("pool_id", metavar="POOL")
@retire
@yes
@click.pass_obj
def revert(environment: Open, pool_id: str, retire_misfits: bool, yes: bool) -> None:
    """Give up a change of names and attributes that has not switched, or undo the last one that is done."""
    with environment() as env:
        runner = env.random.uuid()
        found = find.pool(env, pool_id)
        begun = changes.under_way(env, found)
        if begun is not None and begun.state == "cleaning":
            click.echo("The last change has been made and is being cleaned up after; that comes first.")
            changes.take_up(env, found, runner=runner)
            _run(env, found, runner, retire_misfits)
            found = find.pool(env, pool_id)
        elif begun is not None:
            _confirm(yes, f"Give up the change of {found.id} ({found.name}) that is under way?")
            changes.give_up(env, found, runner=runner)
            _run(env, found, runner, retire_misfits)
            click.echo("Given up: the pool is as it was.")
            return
        last = changes.last(env, found)
        if last is None:
            raise errors.InvalidParameter(f"There is no change of {found.id} to undo.")
        planned = plans.plan(env, found, last.before)
        _tell(planned, blueprint.Differences({}, ()))
        planned.refuse(retire_misfits=retire_misfits)
        _confirm(yes, f"Undo the last change of {found.id} ({found.name})?")
        changes.begin(env, found, planned, runner=runner, retire_misfits=retire_misfits)
        _run(env, found, runner, retire_misfits)
        click.echo("Undone.")


# -- parts of them ---------------------------------------------------------------------------------------------


def _read(file: str) -> documents.Document:
    try:
        with click.open_file(file, "rb") as opened:
            data = opened.read(documents.LARGEST + 1)
    except OSError as failed:
        raise errors.InvalidParameter(f"{file} cannot be read: {os.strerror(failed.errno or 0)}.") from None
    return documents.read("standard input" if file == "-" else file, data)


def _named(env: Env, given: blueprint.Given) -> Pool | None:
    """The pool that the file names, if it is here."""
    try:
        return find.pool(env, given["Id"]) if given.get("Id") else None
    except errors.UnknownPool:
        return None


def _compared(env: Env, found: Pool, given: blueprint.Given, *, prune: bool) -> tuple[Plan, blueprint.Differences]:
    differences = blueprint.differences(found, blueprint.shown(env, found), given, prune=prune)
    return plans.plan(env, found, differences.structural), differences


def _plan(env: Env, found: Pool, document: documents.Document, *, prune: bool, retire_misfits: bool) -> None:
    given = blueprint.check(document)
    begun = changes.under_way(env, found)
    if begun is not None:
        click.echo(f"A change of this pool is under way ({begun.state}): `apply` goes on with it first.")
    planned, differences = _compared(env, found, given, prune=prune)
    if not (planned.after or differences.actions):
        click.echo("Nothing to change.")
        return
    _tell(planned, differences)
    planned.refuse(retire_misfits=retire_misfits)


def _tell(planned: Plan, differences: blueprint.Differences) -> None:
    for line in [*blueprint.structural_lines(planned), *differences.lines]:
        click.echo(line)
    if planned.rebuilds:
        click.echo("All users' names are built anew, in batches; they sign in meanwhile by the names they have.")
    if planned.colliding:
        click.echo(f"{_count(planned.colliding, 'name')} would be of two users:")
        for one in planned.collisions:
            click.echo(f"  {one.attribute} {one.value}: {one.first} and {one.second}")
        if planned.colliding > len(planned.collisions):
            click.echo(f"  and {planned.colliding - len(planned.collisions)} more")
    if planned.nameless:
        click.echo(f"{_count(planned.nameless, 'user')} could sign in only with the sub.")
    for name, count in planned.lacking.items():
        click.echo(f"{_count(count, 'user')} without {name}, which becomes required; they go on without it.")
    for name, count in planned.removed.items():
        click.echo(f"{_count(count, 'value')} of {name} put aside; `revert` brings them back.")
    for name, misfits in planned.misfits.items():
        click.echo(f"{_count(misfits.count, 'value')} of {name} not fitting: {', '.join(misfits.users)}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(question, abort=True)


def _go_on(env: Env, found: Pool, wanted: Wanted, runner: str, retire_misfits: bool) -> None:
    """Finish the change that is under way, if it is the one that is wanted or has switched already."""
    begun = changes.under_way(env, found)
    if begun is None:
        return
    if begun.state == "building" and plans.difference(found, wanted)[1] != begun.after:
        raise changes.Busy(
            "Another change of this pool is under way: finish it with `apply` and its own file, or give it up with "
            "`revert`."
        )
    changes.take_up(env, found, runner=runner)
    click.echo(f"Going on with the change that is under way ({begun.state}).")
    _run(env, found, runner, retire_misfits)


def _run(env: Env, found: Pool, runner: str, retire_misfits: bool, *, users: bool = True) -> None:
    """Bring a change to its end, and tell how it goes. A pool without users has nobody to wait for."""
    done = 0
    state = ""

    def report(step: Step) -> None:
        nonlocal done, state
        if step.state != state:
            done, state = 0, step.state
            if step.state == "switched":
                click.echo("The new rules are in use.")
        if (done + step.users) // TOLD_EVERY > done // TOLD_EVERY:
            click.echo(f"{step.state}: {_count(done + step.users, 'user')}")
        done += step.users
        for one in step.unclaimed:
            click.echo(f"{one.second} lost the {one.attribute} {one.value} to {one.first}.", err=True)

    def wait() -> None:
        if users:
            pause(changes.SETTLE)

    changes.run(env, found, runner=runner, wait=wait, retire_misfits=retire_misfits, report=report)
