"""`cognate backup`, `restore`, `verify` and `rotate-kek`: keeping an installation (docs/backup.md)."""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from app import __version__, installation
from app.audit import chain, record
from app.cli import opening, printing
from app.cli.opening import Open
from app.cli.printing import Work, json_option, working
from app.config import Settings
from app.errors import ServiceUnavailable
from app.upkeep import backup as backups
from app.upkeep import restore as restoring
from app.upkeep import sealed_values
from app.upkeep.archive import Archive, Unlock, passphrase_from

log = logging.getLogger(__name__)

MEMBERS = ("table", "column", "row", "pool", "key_id")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="Its first line is the passphrase of the backup. Else COGNATE_BACKUP_PASSPHRASE is.",
)
identity_option = click.option(
    "--identity", type=click.Path(path_type=Path), help="The file of an age identity, for a backup made for it."
)


class Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", value)
        if not found:
            self.fail(f"{value!r} is no duration: expected minutes, hours or days, such as 30m, 12h or 7d.", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
@click.option("--passphrase", "ask", is_flag=True, help="Ask for a passphrase.")
@click.option(
    "--recipient", "recipients", multiple=True, metavar="AGE1…", help="Encrypt for this age key; may be repeated."
)
@json_option
@click.pass_obj
def backup(
    environment: Open,
    file: Path,
    passphrase_file: Path | None,
    ask: bool,
    recipients: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write the whole database to a new FILE, while servers run. The key-encryption key is not in it, and is needed to
    restore it: keep a copy of both, in different places."""
    with environment() as env:
        passphrase = "" if recipients else env.settings.backup_passphrase
        if passphrase_file:
            passphrase = passphrase_from(passphrase_file)
        elif ask:
            passphrase = click.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=True, err=True)
        with working("Backing up") as work:
            written = backups.backup(
                env,
                installation.seal(env.settings),
                file,
                version=__version__,
                revision=installation.revisions()[-1],
                unlock=Unlock(passphrase=passphrase, recipients=recipients),
                tell=lambda rows: _say(work, f"Backing up: {rows} rows"),
            )
        try:
            with env.transaction():
                pass  # nothing but the row of the audit: whoever has the file has everything
        except ServiceUnavailable as away:
            log.warning("the backup is written, but is not in the audit: %s", away.message)
    size = file.stat().st_size
    if as_json:
        printing.json({**asdict(written), "path": str(file), "bytes": size})
        return
    click.echo(
        f"{file}: {printing.count(sum(written.rows.values()), 'row')}, {size} bytes, revision {written.revision}; "
        f"to be restored with the key {' and '.join(written.key_ids)}."
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Replace all that is in the database.")
@click.option(
    "--accept-older-refresh-tokens",
    "accept_older",
    type=Duration(),
    metavar="DURATION",
    help="For so long (30m, 12h, 7d), refresh tokens that were given after the backup was made are accepted, once for "
    "each session.",
)
@passphrase_option
@identity_option
@json_option
@click.pass_obj
def restore(
    environment: Open,
    file: Path,
    replace: bool,
    accept_older: timedelta | None,
    passphrase_file: Path | None,
    identity: Path | None,
    as_json: bool,
) -> None:
    """Make the database what it was when FILE was written. Everything is restored or nothing; backups of older versions
    are migrated."""
    settings = opening.settings()
    seal = installation.seal(settings)
    archive = Archive(file)
    archive.unlock(seal, _unlock(settings, passphrase_file, identity))
    with working(f"Reading {file}") as work:
        restored = restoring.restore(
            settings,
            seal,
            archive,
            now=opening.now(),
            replace=replace,
            accept_older=accept_older,
            tell=lambda rows: _say(work, f"Restoring: {rows} rows"),
        )
    with environment() as env:
        env.cache.changed(restored.number)
        with env.transaction():
            # In the chain that has come back, which `audit verify` finds shorter than anchors of it: this is why.
            record.event(env, record.INSTALLATION, chain.RESTORED, made_at=f"{restored.made_at:%Y-%m-%d %H:%M:%S}")
    if as_json:
        printing.json(asdict(restored))
        return
    click.echo(
        f"Restored {printing.count(sum(restored.rows.values()), 'row')} as of {restored.made_at:%Y-%m-%d %H:%M:%S} UTC."
    )
    if restored.accept_older_until:
        click.echo(f"Newer refresh tokens are accepted until {restored.accept_older_until:%Y-%m-%d %H:%M:%S} UTC.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@passphrase_option
@identity_option
@json_option
@click.pass_obj
def verify(
    environment: Open, file: Path | None, passphrase_file: Path | None, identity: Path | None, as_json: bool
) -> None:
    """Look whether every sealed value can be opened. It is those of the database, or of the backup FILE; what cannot be
    opened is listed, and the exit status is then 1."""
    opened: Counter[str] = Counter()
    counted: Counter[str] = Counter()

    def rows(found: Iterator[sealed_values.Broken]) -> Iterator[tuple[object, ...]]:
        for one in found:
            counted["broken"] += 1
            yield tuple(getattr(one, member) for member in MEMBERS)

    if file is None:
        with environment() as env, working("Opening what is sealed"):
            printing.listed(as_json, MEMBERS, rows(sealed_values.broken(env, opened)))
    else:
        settings = opening.settings()
        seal = installation.seal(settings)
        archive = Archive(file)
        archive.unlock(seal, _unlock(settings, passphrase_file, identity))
        with working(f"Reading {file}"):
            restoring.check(archive)
            printing.listed(as_json, MEMBERS, rows(sealed_values.broken_in(archive, seal, opened)))
    of = ", ".join(f"{number} under {key_id}" for key_id, number in sorted(opened.items())) or "none"
    click.echo(f"Opened: {of}. Could not be opened: {counted['broken']}.", err=True)
    if counted["broken"]:
        sys.exit(1)


@click.command("rotate-kek")
@json_option
@click.pass_obj
def rotate_kek(environment: Open, as_json: bool) -> None:
    """Seal everything anew under another key-encryption key. Servers go on meanwhile; the new key is in
    COGNATE_KEY_FILE, the old one in COGNATE_OTHER_KEY_FILES: docs/backup.md has the steps. It may be stopped and
    begun again."""
    with environment() as env, working("Sealing anew") as work:
        seal = installation.seal(env.settings)
        done = sealed_values.rotate(env, seal, tell=lambda done: _say(work, f"Sealing anew: {done} values"))
    if as_json:
        printing.json({"key_id": seal.key_id, "sealed": done.sealed, "remaining": dict(done.remaining)})
    else:
        click.echo(f"{printing.count(done.sealed, 'value')} sealed anew under {seal.key_id}.")
    if done.remaining:
        left = ", ".join(f"{number} under {key_id}" for key_id, number in sorted(done.remaining.items()))
        raise click.ClickException(
            f"Not all is under {seal.key_id}: {left}. Either a key is missing (`cognate verify` lists what cannot be "
            "opened), or a server still seals with the older key: start that one again with the new settings, and run "
            "this again."
        )
    if not as_json:
        click.echo("Nothing is sealed under another key.")


def _unlock(settings: Settings, passphrase_file: Path | None, identity: Path | None) -> Unlock:
    passphrase = passphrase_from(passphrase_file) if passphrase_file else settings.backup_passphrase
    return Unlock(passphrase=passphrase, identity=identity, ask=_asked if sys.stdin.isatty() else None)


def _asked() -> str:
    return str(click.prompt("Passphrase of the backup", hide_input=True, err=True))


def _say(work: Work, what: str) -> None:
    work.what = what
