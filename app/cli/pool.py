"""`cognate pool`: a pool as a file, and changes that the API does not make (docs/pools.md)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import click
from sqlalchemy import select

from app import errors
from app.cli import blueprint, documents, printing
from app.cli.opening import Open
from app.cli.printing import Say, count, json_option, working
from app.env import Env
from app.models import Pool
from app.pools import changes, find, plans, user_pools
from app.pools.changes import Step
from app.pools.plans import Plan, Wanted

pause = time.sleep
PAGE = 60
TOLD_EVERY = 10_000
"""Users between two lines of progress."""

prune = click.option("--prune", is_flag=True, help="Remove what a section of the file does not list.")
retire = click.option(
    "--retire-misfits", is_flag=True, help="Put values aside that do not fit the new definition of their attribute."
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def pool() -> None:
    """Pools, and their configuration as a file. It can make changes that the API does not make."""


@pool.command("list")
@json_option
@click.pass_obj
def list_pools(environment: Open, as_json: bool) -> None:
    """List all pools, by id."""
    with environment() as env:
        printing.listed(as_json, ("pool_id", "name", "created"), _pools(env))


def _pools(env: Env) -> Iterator[tuple[Any, ...]]:
    token = None
    while True:
        page = user_pools.listed(env, limit=PAGE, token=token)
        yield from ((one.id, one.name, one.created_at) for one in page.rows)
        token = page.token
        if token is None:
            return


@pool.command()
@click.argument("pool_id", metavar="POOL")
@json_option
@click.pass_obj
def show(environment: Open, pool_id: str, as_json: bool) -> None:
    """Print a pool's whole configuration as YAML. Users and secrets are not in it."""
    with environment() as env:
        found = blueprint.shown(env, find.pool(env, pool_id))
    if as_json:
        printing.json(found)
    else:
        click.echo(documents.written(found), nl=False)


@pool.command()
@click.argument("pool_id", metavar="POOL")
@click.argument("file", type=click.Path())
@prune
@retire
@json_option
@click.pass_obj
def plan(environment: Open, pool_id: str, file: str, prune: bool, retire_misfits: bool, as_json: bool) -> None:
    """Print what the file would change, and which users stand in its way. Changes nothing."""
    with environment() as env:
        found, document = find.pool(env, pool_id), documents.opened(file)
        _plan(env, found, document, prune=prune, retire_misfits=retire_misfits, as_json=as_json)


@pool.command()
@click.argument("pool_and_file", metavar="[POOL] FILE", nargs=-1, required=True, type=click.Path())
@prune
@retire
@click.option("--dry-run", is_flag=True, help="Only print what would change, as `plan` does.")
@click.option("--new", is_flag=True, help="Make a new pool, also beside another one of the same name.")
@yes
@json_option
@click.pass_obj
def apply(
    environment: Open,
    pool_and_file: tuple[str, ...],
    prune: bool,
    retire_misfits: bool,
    dry_run: bool,
    new: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a pool what the file says: print the difference, ask, do it, and print what was made. Without POOL it is
    the pool that the file names, or a new one. Goes on with a change that was interrupted."""
    if len(pool_and_file) > 2:
        raise click.UsageError("Expected a pool and a file, or a file.")
    if new and len(pool_and_file) == 2:
        raise click.UsageError("--new makes another pool: leave POOL out.")
    document = documents.opened(pool_and_file[-1])
    given = blueprint.check(document)
    say = printing.telling(as_json)
    with environment() as env:
        if new:
            found = None
        else:
            found = find.pool(env, pool_and_file[0]) if len(pool_and_file) == 2 else _named(env, given)
        if found is None and not new:
            _refuse_a_second(env, given)
        if dry_run and found is not None:
            _plan(env, found, document, prune=prune, retire_misfits=retire_misfits, as_json=as_json)
            return
        if found is None:
            lines = blueprint.lines_of_new(given)
            for line in lines:
                say(line)
            if dry_run:
                if as_json:
                    printing.json({"pool_id": None, "changes": lines})
                return
            printing.confirm(yes, "Make this pool?", as_json)
        done = Done()
        try:
            _apply(env, found, given, done, prune=prune, retire_misfits=retire_misfits, yes=yes, as_json=as_json)
            done.complete = True
        finally:
            # Also when it ends in the middle: a secret that was made is told here or nowhere.
            if as_json and done.pool_id:
                printing.json(asdict(done))


@dataclass
class Done:
    """What `apply` did, as it is printed."""

    pool_id: str | None = None
    complete: bool = False
    made: list[dict[str, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def _apply(
    env: Env,
    found: Pool | None,
    given: blueprint.Given,
    done: Done,
    *,
    prune: bool,
    retire_misfits: bool,
    yes: bool,
    as_json: bool,
) -> None:
    say = printing.telling(as_json)

    def made(thing: blueprint.Made) -> None:
        done.made.append(thing.facts)
        say(f"Made the {thing}")

    fresh = found is None
    if found is None:
        with working("Making the pool and its keys"):
            found = blueprint.created(env, given)
        made(blueprint.Made("pool", found.name, {"pool_id": found.id}))
    done.pool_id = found.id
    runner = env.random.uuid()
    if not fresh:
        _go_on(env, found, blueprint.structural(found, given, prune=prune), runner, retire_misfits, say)
        found = find.pool(env, found.id)
    planned, differences = _compared(env, found, given, prune=prune)
    if not (planned.after or differences.actions):
        say("Nothing to change." if not fresh else "Done.")
        return
    if not fresh:
        for line in _lines(planned, differences):
            say(line)
        planned.refuse(retire_misfits=retire_misfits)
        printing.confirm(yes, f"Change the pool {found.id} ({found.name})?", as_json)
    try:
        if planned.after:
            changes.begin(env, found, planned, runner=runner, retire_misfits=retire_misfits)
            _run(env, found, runner, retire_misfits, say, users=not fresh)
            done.changes += blueprint.structural_lines(planned)
        with working("Applying the file") as work:

            def performed(action: blueprint.Action, thing: blueprint.Made | None) -> None:
                done.changes += action.lines
                if action.lines:
                    work.what = f"Applied {action.lines[0]}"
                if thing is not None:
                    made(thing)

            blueprint.perform(env, found, differences.actions, performed)
    except errors.Refusal:
        if fresh:
            say(f"The pool is made in part: `cognate pool apply {found.id} FILE` goes on.")
        raise
    say("Done.")


@pool.command()
@click.argument("pool_id", metavar="POOL")
@retire
@yes
@json_option
@click.pass_obj
def revert(environment: Open, pool_id: str, retire_misfits: bool, yes: bool, as_json: bool) -> None:
    """Give up a change of names and attributes that has not switched, or undo the last one that is done."""
    say = printing.telling(as_json)
    with environment() as env:
        found = find.pool(env, pool_id)
        how = _reverted(env, found, retire_misfits=retire_misfits, yes=yes, as_json=as_json)
        say("Given up: the pool is as it was." if how == "given up" else "Undone.")
    if as_json:
        printing.json({"pool_id": pool_id, "change": how})


def _reverted(env: Env, found: Pool, *, retire_misfits: bool, yes: bool, as_json: bool) -> str:
    """How the last change ended: `given up` or `undone`."""
    say, runner = printing.telling(as_json), env.random.uuid()
    begun = changes.under_way(env, found)
    if begun is not None and begun.state == "cleaning":
        say("The last change has been made and is being cleaned up after; that comes first.")
        changes.take_up(env, found, runner=runner)
        _run(env, found, runner, retire_misfits, say)
        found = find.pool(env, found.id)
    elif begun is not None:
        printing.confirm(yes, f"Give up the change of {found.id} ({found.name}) that is under way?", as_json)
        changes.give_up(env, found, runner=runner)
        _run(env, found, runner, retire_misfits, say)
        return "given up"
    last = changes.last(env, found)
    if last is None:
        raise errors.InvalidParameter(f"There is no change of {found.id} to undo.")
    with working("Looking at every user"):
        planned = plans.plan(env, found, last.before)
    for line in _lines(planned, blueprint.Differences({}, ())):
        say(line)
    planned.refuse(retire_misfits=retire_misfits)
    printing.confirm(yes, f"Undo the last change of {found.id} ({found.name})?", as_json)
    changes.begin(env, found, planned, runner=runner, retire_misfits=retire_misfits)
    _run(env, found, runner, retire_misfits, say)
    return "undone"


# -- parts of them ---------------------------------------------------------------------------------------------


def _named(env: Env, given: blueprint.Given) -> Pool | None:
    """The pool that the file names, if it is here."""
    try:
        return find.pool(env, given["Id"]) if given.get("Id") else None
    except errors.UnknownPool:
        return None


def _refuse_a_second(env: Env, given: blueprint.Given) -> None:
    """A file that names no pool which is here would make another one at each `apply`. Raises errors.InvalidParameter
    where there is one of its name."""
    name = (given.get("Pool") or {}).get("PoolName")
    with env.reading() as session:
        known = list(session.scalars(select(Pool.id).where(Pool.name == name).order_by(Pool.id))) if name else []
    if known:
        raise errors.InvalidParameter(
            f"There is a pool {printing.cell(name)} already, {' and '.join(known[:5])}: name it (`cognate pool apply "
            f"{known[0]} FILE`) to change it, or give --new to make another one of that name."
        )


def _compared(env: Env, found: Pool, given: blueprint.Given, *, prune: bool) -> tuple[Plan, blueprint.Differences]:
    with working("Looking at every user"):
        differences = blueprint.differences(found, blueprint.shown(env, found), given, prune=prune)
        return plans.plan(env, found, differences.structural), differences


def _plan(
    env: Env, found: Pool, document: documents.Document, *, prune: bool, retire_misfits: bool, as_json: bool
) -> None:
    given = blueprint.check(document)
    say = printing.telling(as_json)
    begun = changes.under_way(env, found)
    if begun is not None:
        say(f"A change of this pool is under way ({begun.state}): `apply` goes on with it first.")
    planned, differences = _compared(env, found, given, prune=prune)
    if as_json:
        printing.json(
            {
                "pool_id": found.id,
                "changes": [*blueprint.structural_lines(planned), *differences.lines],
                "rebuilds_names": planned.rebuilds,
                "colliding": planned.colliding,
                "collisions": [asdict(one) for one in planned.collisions],
                "nameless": planned.nameless,
                "lacking": dict(planned.lacking),
                "removed": dict(planned.removed),
                "misfits": {name: asdict(one) for name, one in planned.misfits.items()},
            }
        )
    elif not (planned.after or differences.actions):
        say("Nothing to change.")
    else:
        for line in _lines(planned, differences):
            say(line)
    planned.refuse(retire_misfits=retire_misfits)


def _lines(planned: Plan, differences: blueprint.Differences) -> Iterator[str]:
    """What would change, and which users stand in its way."""
    yield from blueprint.structural_lines(planned)
    yield from differences.lines
    if planned.rebuilds:
        yield "All users' names are built anew, in batches; they sign in meanwhile by the names they have."
    if planned.colliding:
        yield f"{count(planned.colliding, 'name')} would be of two users:"
        for one in planned.collisions:
            yield f"  {one.attribute} {one.value}: {one.first} and {one.second}"
        if planned.colliding > len(planned.collisions):
            yield f"  and {planned.colliding - len(planned.collisions)} more"
    if planned.nameless:
        yield f"{count(planned.nameless, 'user')} could sign in only with the sub."
    for name, number in planned.lacking.items():
        yield f"{count(number, 'user')} without {name}, which becomes required; they go on without it."
    for name, number in planned.removed.items():
        yield f"{count(number, 'value')} of {name} put aside; `revert` brings them back."
    for name, misfits in planned.misfits.items():
        yield f"{count(misfits.count, 'value')} of {name} not fitting: {', '.join(misfits.users)}"


def _go_on(env: Env, found: Pool, wanted: Wanted, runner: str, retire_misfits: bool, say: Say) -> None:
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
    say(f"Going on with the change that is under way ({begun.state}).")
    _run(env, found, runner, retire_misfits, say)


def _run(env: Env, found: Pool, runner: str, retire_misfits: bool, say: Say, *, users: bool = True) -> None:
    """Bring a change to its end, and tell how it goes. A pool without users has nobody to wait for."""
    done = 0
    state = ""

    def report(step: Step) -> None:
        nonlocal done, state
        if step.state != state:
            done, state = 0, step.state
            if step.state == "switched":
                say("The new rules are in use.")
        if (done + step.users) // TOLD_EVERY > done // TOLD_EVERY:
            say(f"{step.state}: {count(done + step.users, 'user')}")
        done += step.users
        work.what = f"{step.state}: {count(done, 'user')}"
        for one in step.unclaimed:
            click.echo(f"{one.second} lost the {one.attribute} {one.value} to {one.first}.", err=True)

    def wait() -> None:
        if users:
            pause(changes.SETTLE)

    with working("Changing names and attributes") as work:
        changes.run(env, found, runner=runner, wait=wait, retire_misfits=retire_misfits, report=report)
