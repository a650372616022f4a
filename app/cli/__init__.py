"""The command line: serve, migrate, demo, access keys, rotation of signing keys, and pools (app.cli.pool).

Commands print what they did on standard output, errors as one line on standard error with exit status 2 for a
setting, 3 for users who would have one name, and 1 for anything else.
"""

from __future__ import annotations

import logging.config
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask

from app import __version__, config, create_app, demo, installation, logs, server
from app.accounts import sweep
from app.cli import pool
from app.config import Settings, SettingsError
from app.env import Env
from app.errors import Refusal
from app.pools import access_keys, find
from app.pools.names import Collided
from app.tokens import keys


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="cognate %(version)s")
@click.pass_context
def cognate(context: click.Context) -> None:
    """A self-hosted OAuth 2 / OpenID Connect server. Settings are COGNATE_* variables: see docs/settings.md."""
    context.obj = _environment


def main() -> None:
    """The entry point. Flask's click runs it; a wrong setting is one line, not a stack trace."""
    try:
        cognate(prog_name="cognate")
    except SettingsError as wrong:
        click.echo(f"cognate: {wrong}", err=True)
        sys.exit(2)
    except Refusal as refused:
        click.echo(f"cognate: {refused.message}", err=True)
        sys.exit(3 if isinstance(refused, Collided) else 1)


def for_migrations() -> Flask:
    """For whoever writes one: `flask --app app.cli:for_migrations db revision --autogenerate`, `db check`."""
    settings = config.read(os.environ)
    installation.prepare(settings)
    app = create_app(settings)
    installation.migratable(app)
    return app


def _settings() -> Settings:
    settings = config.read(os.environ)
    logging.config.dictConfig(logs.configuration(settings))
    return settings


@contextmanager
def _environment() -> Iterator[Env]:
    """The same environment that requests have."""
    settings = _settings()
    app = create_app(settings)
    installation.demand_ready(app)
    with app.app_context():
        yield app.extensions["cognate"]


@cognate.command()
def serve() -> None:
    """Serve until stopped (Ctrl-C)."""
    server.serve(_settings())


@cognate.command()
def migrate() -> None:
    """Bring the database to this version."""
    settings = _settings()
    installation.prepare(settings)
    app = create_app(settings)
    installation.migrate(app, app.extensions["cognate"].seal)
    click.echo("The database is up to date.")


@cognate.command("demo")
@click.option("--seed-only", is_flag=True, help="Make and print the demo, and do not serve.")
def demo_command(seed_only: bool) -> None:
    """Migrate, make a demo pool once, print what to try, and serve. For development."""
    settings = _settings()
    if not settings.development:
        raise SettingsError("The demo has a known user and an open outbox: it needs COGNATE_MODE=development.")
    installation.prepare(settings)
    app = create_app(settings)
    if installation.pending_migrations(app) or app.secret_key is None:
        installation.migrate(app, app.extensions["cognate"].seal)
        server.disconnect(app)
        app = create_app(settings)
    with app.app_context():
        facts = demo.prepare(app.extensions["cognate"])
    server.disconnect(app)
    click.echo(demo.printed(facts))
    if not seed_only:
        server.serve(settings)


@cognate.group("access-key")
def access_key() -> None:
    """Keys that sign administrative requests (AWS Signature Version 4)."""


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
def create_access_key(description: str, pools: tuple[str, ...], actions: tuple[str, ...]) -> None:
    """Make a key and print it; its secret is shown this once. Without limits it may do everything."""
    with _environment() as env:
        pair = access_keys.create(env, description=description[:256], pools=pools or None, actions=actions or None)
    click.echo(f"AWS_ACCESS_KEY_ID={pair.id}\nAWS_SECRET_ACCESS_KEY={pair.secret}")


@access_key.command("list")
def list_access_keys() -> None:
    """List keys, oldest first, without their secrets."""
    with _environment() as env:
        for row in access_keys.listed(env):
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "live"
            limits = " ".join([*(row.pools or []), *(row.actions or [])]) or "everything"
            click.echo(f"{row.id}  {row.created_at:%Y-%m-%d}  {state:<18}  {limits}  {row.description}")


@access_key.command("revoke")
@click.argument("key_id")
def revoke_access_key(key_id: str) -> None:
    """End a key at once, on every host."""
    with _environment() as env:
        access_keys.revoke(env, key_id)
    click.echo(f"{key_id} is revoked.")


@cognate.command()
def purge() -> None:
    """Forget what has expired. Servers do this by themselves, a few times an hour."""
    with _environment() as env:
        for table, rows in sweep.expired(env).items():
            click.echo(f"{rows:>8}  {table}")


@cognate.command("rotate-keys")
@click.argument("pool_id")
@click.option(
    "--emergency", is_flag=True, help="Sign with the new keys at once and forget the old ones: all tokens end."
)
def rotate_keys(pool_id: str, emergency: bool) -> None:
    """Give a pool new signing keys: published at once, signing a little later, when verifiers have seen them."""
    with _environment() as env:
        begins = keys.rotate(env, find.pool(env, pool_id), emergency=emergency)
    when = "now; the old ones are forgotten" if emergency else f"from {begins:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"New signing keys of {pool_id} are published, and sign {when}.")


cognate.add_command(pool.pool)
