"""The command line (docs/command-line.md): serve, migrate, demo, keys, and the modules beside this one.

Commands print their result on standard output, and errors as one line on standard error. The exit status says which
kind of error it was; it is part of the interface.
"""

from __future__ import annotations

import logging.config
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.exceptions import NoArgsIsHelpError
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app import __version__, config, create_app, installation, logs, server
from app.accounts import sweep
from app.cli import (
    audit,
    client,
    doctor,
    domain,
    opening,
    pool,
    printing,
    recorded,
    recovery_codes,
    rules,
    upkeep,
    user,
)
from app.cli.printing import json_option, working
from app.config import Settings, SettingsError
from app.demo import seed
from app.env import Env
from app.errors import Refusal, ServiceUnavailable
from app.outages import reason
from app.pools import access_keys, find
from app.pools.names import Collided
from app.tokens import keys

REFUSED = 1
"""Nothing, or no more, was done: an error, a question answered with no, a database that failed."""
WRONG = 2
"""The command or a setting is wrong, or the data directory is."""
COLLIDED = 3
"""Two users would have one name."""
MISTAKEN = 70
"""A mistake in Cognate (EX_SOFTWARE of sysexits.h)."""

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="cognate %(version)s")
@click.pass_context
def cognate(context: click.Context) -> None:
    """A self-hosted OAuth 2 / OpenID Connect server. Settings are COGNATE_* variables: see docs/settings.md."""
    context.obj = _environment
    context.meta[opening.SETTINGS] = lambda: _settings()


def main() -> None:
    """The entry point: runs a command, and ends with its exit status."""
    sys.exit(_status())


def _status() -> int:
    try:
        # A command returns nothing; what click itself ends (--help) has a status.
        return int(cognate.main(prog_name="cognate", standalone_mode=False) or 0)
    except NoArgsIsHelpError as helped:
        helped.show()
        return WRONG
    except click.UsageError as wrong:
        asked = wrong.ctx.command_path if wrong.ctx else "cognate"
        told = wrong.format_message()
        told += "" if told.endswith((".", "?")) else "."
        return _failed(WRONG, f"{told} See `{asked} --help`.")
    except click.ClickException as wrong:
        return _failed(REFUSED, wrong.format_message())
    except click.Abort:
        return _failed(REFUSED, "Not confirmed, or interrupted; nothing more was done.")
    except SettingsError as wrong:
        return _failed(WRONG, str(wrong))
    except ServiceUnavailable as away:
        return _failed(REFUSED, f"The database failed: {reason(away.__cause__ or away)}. Try again.")
    except Refusal as refused:
        return _failed(COLLIDED if isinstance(refused, Collided) else REFUSED, refused.message)
    except DBAPIError as failed:
        log.debug("the database failed", exc_info=failed)
        return _failed(REFUSED, f"The database failed: {reason(failed)}.")
    except Exception as failed:
        log.debug("a command failed", exc_info=failed)
        what = f"This is a mistake in Cognate ({type(failed).__name__})"
        return _failed(MISTAKEN, f"{what}; COGNATE_LOG_LEVEL=debug shows where it happened.")


def _failed(status: int, reason: str) -> int:
    click.echo(f"cognate: {logs.one_line(reason)}", err=True)
    return status


def for_migrations() -> Flask:
    """For whoever writes one: `flask --app app.cli:for_migrations db revision --autogenerate`, `db check`."""
    settings = config.read(os.environ)
    installation.prepare(settings)
    app = create_app(settings)
    installation.migratable(app)
    return app


def _settings() -> Settings:
    settings = config.read(os.environ)
    logs.configure(settings)
    return settings


@contextmanager
def _environment() -> Iterator[Env]:
    """The same environment that requests have. A command that writes something is in the audit."""
    settings = _settings()
    app = create_app(settings)
    installation.demand_ready(app)
    with app.app_context():
        env: Env = app.extensions["cognate"]
        with recorded.command(env):
            yield env


@cognate.command()
def serve() -> None:
    """Serve until stopped (Ctrl-C, SIGTERM). What is under way is finished. SIGHUP makes new workers, with the
    certificate as it is then."""
    server.serve(_settings())


@cognate.command()
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database to this version. For a new installation, make the data directory and the key."""
    settings = _settings()
    made = installation.prepare(settings)
    app = create_app(settings)
    with working("Migrating the database"):
        installation.migrate(app, app.extensions["cognate"].seal)
    with _environment() as env, env.transaction():
        pass  # nothing but the row of the audit, which only now has a table
    if as_json:
        printing.json({"revision": installation.revisions()[-1], "key_made": str(made) if made else None})
    else:
        if made:
            click.echo(f"Made the key {made}: keep a copy of it where the backups of the database are not.")
        click.echo("The database is up to date.")


@cognate.command("demo")
@click.option("--seed-only", is_flag=True, help="Make and print the demo, and do not serve.")
@json_option
def demo_command(seed_only: bool, as_json: bool) -> None:
    """Serve with a pool to try things with. It is made once, and printed; the database is migrated first. It needs
    COGNATE_MODE=development."""
    settings = _settings()
    if not settings.development:
        raise SettingsError("The demo has a known user and an open outbox: it needs COGNATE_MODE=development.")
    if not seed_only:
        # Before anything is changed: the other server may be serving this very demo, under another address.
        server.free_address(settings)
    installation.prepare(settings)
    app = create_app(settings)
    with working("Making the demo"):
        if installation.pending_migrations(app) or app.secret_key is None:
            installation.migrate(app, app.extensions["cognate"].seal)
            server.disconnect(app)
            app = create_app(settings)
        with app.app_context():
            facts = seed.prepare(app.extensions["cognate"])
        server.disconnect(app)
    if as_json:
        printing.json(facts)
    else:
        click.echo(seed.printed(facts))
    if not seed_only:
        server.serve(settings)


@cognate.group("access-key")
def access_key() -> None:
    """Keys that sign administrative requests. They are access keys as AWS has them (Signature Version 4)."""


@access_key.command("create")
@click.option("--description", default="", help="What it is for.")
@click.option("--pool", "pools", multiple=True, metavar="POOL", help="Only for this pool; may be repeated.")
@click.option(
    "--action",
    "actions",
    multiple=True,
    metavar="PATTERN",
    help="Only for actions such as cognito-idp:List*; may be repeated.",
)
@json_option
def create_access_key(description: str, pools: tuple[str, ...], actions: tuple[str, ...], as_json: bool) -> None:
    """Make a key and print it; its secret is shown this once. Without limits it may do everything."""
    with _environment() as env:
        pair = access_keys.create(env, description=description[:256], pools=pools or None, actions=actions or None)
    if as_json:
        printing.json({"id": pair.id, "secret": pair.secret})
    else:
        click.echo(f"AWS_ACCESS_KEY_ID={pair.id}\nAWS_SECRET_ACCESS_KEY={pair.secret}")


@access_key.command("list")
@json_option
def list_access_keys(as_json: bool) -> None:
    """List keys, oldest first, without their secrets."""
    members = ("id", "created", "revoked", "pools", "actions", "description")
    with _environment() as env:
        found = access_keys.listed(env)
    if as_json:
        rows = ((one.id, one.created_at, one.revoked_at, one.pools, one.actions, one.description) for one in found)
        printing.json_list(dict(zip(members, row, strict=True)) for row in rows)
        return
    printing.table(
        [member.upper() for member in members],
        (
            (one.id, one.created_at, one.revoked_at, one.pools or "all", one.actions or "all", one.description)
            for one in found
        ),
    )


@access_key.command("revoke")
@click.argument("key_id")
@json_option
def revoke_access_key(key_id: str, as_json: bool) -> None:
    """End a key at once, on every host."""
    with _environment() as env:
        access_keys.revoke(env, key_id)
    if as_json:
        printing.json({"id": key_id, "revoked": True})
    else:
        click.echo(f"{key_id} is revoked.")


@cognate.command()
@json_option
def purge(as_json: bool) -> None:
    """Forget what has expired. Servers do this by themselves, a few times an hour."""
    with _environment() as env, working("Deleting what has expired"):
        forgotten = sweep.expired(env)
    if as_json:
        printing.json(forgotten)
    else:
        printing.table(["TABLE", "ROWS"], forgotten.items())


@cognate.command("rotate-keys")
@click.argument("pool_id", metavar="POOL")
@click.option(
    "--emergency", is_flag=True, help="Sign with the new keys at once and forget the old ones: all tokens end."
)
@json_option
def rotate_keys(pool_id: str, emergency: bool, as_json: bool) -> None:
    """Give a pool new signing keys. They are published at once and sign a quarter of an hour later, when verifiers have
    seen them."""
    with _environment() as env, working("Making the keys"):
        begins = keys.rotate(env, find.pool(env, pool_id), emergency=emergency)
    if as_json:
        printing.json({"pool_id": pool_id, "sign_from": begins, "forgot_the_old": emergency})
        return
    when = "now; the old ones are forgotten" if emergency else f"from {begins:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"New signing keys of {pool_id} are published, and sign {when}.")


for command in (
    *(audit.audit, pool.pool, client.client, user.user, domain.domain, recovery_codes.group, rules.group),
    *(doctor.doctor, upkeep.backup, upkeep.restore, upkeep.verify, upkeep.rotate_kek),
):
    cognate.add_command(command)
