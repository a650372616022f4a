"""`cognate audit`: what was done, by whom, and whether the record of it is whole (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
import orjson

from app.audit import chain, reading
from app.cli import printing
from app.cli.opening import Open
from app.cli.printing import json_option
from app.models import AuditEvent

MEMBERS = ("time", "pool_id", "operation", "actor", "about", "address", "error", "request_id")


@click.group()
def audit() -> None:
    """What administrators and users did: list, verify, export."""


class Moment(click.ParamType[datetime]):
    """ISO 8601; without a zone it is UTC."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is no moment: expected one such as 2026-03-01 or 2026-03-01T12:00:00Z", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def filters(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--pool", "pool", metavar="POOL", help="Only of this pool; '' for what is about no one pool."),
            click.option("--since", type=Moment(), help="From this moment on, such as 2026-03-01T12:00:00Z."),
            click.option("--until", type=Moment(), help="Before this moment."),
            click.option("--actor", help="Only by this access key, user (by sub) or OS user."),
            click.option("--operation", help="Only of this name, such as SignInFailed or AdminDeleteUser."),
            click.option("--target", help="Only about this, such as client/ID, or about the user of this sub."),
        )
    ):
        command = option(command)
    return command


@audit.command("list")
@filters
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="How many rows at most.")
@json_option
@click.pass_obj
def list_rows(environment: Open, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List what was done, the newest first."""
    with environment() as env:
        found = islice(reading.rows(env, _wanted(wanted), newest_first=True), limit)
        printing.listed(as_json, MEMBERS, (_shown(row) for row in found))


@audit.command()
@filters
@click.pass_obj
def export(environment: Open, /, **wanted: Any) -> None:
    """Print what was done as JSON lines, the oldest first, each a record as CloudTrail makes them. Keep them elsewhere:
    `cognate audit verify --anchors FILE` then finds what was taken away here."""
    with environment() as env:
        for row in reading.rows(env, _wanted(wanted), newest_first=False):
            click.echo(orjson.dumps(reading.record(env.settings, row)))


@audit.command()
@click.option("--pool", "pool", metavar="POOL", help="Only of this pool; '' for what is about no one pool.")
@click.option(
    "--anchors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What an earlier `verify --json` or `export` has printed.",
)
@json_option
@click.pass_context
def verify(context: click.Context, pool: str | None, anchors: Path | None, as_json: bool) -> None:
    """Look for rows that were changed, removed or inserted. Exit status 1: there are some."""
    known = list(_anchors(anchors)) if anchors else []
    environment: Open = context.obj
    with environment() as env, printing.working("Verifying the audit"):
        found = list(chain.verify(env, pool, known))
    findings = [finding for one in found for finding in one.findings]
    chains = [
        (one.anchor.pool_id, one.kept, one.forgotten, one.waiting, one.anchor.number, one.anchor.digest)
        for one in found
    ]
    members = ("pool_id", "kept", "forgotten", "waiting", "number", "digest")
    told = [(finding.pool_id, finding.number, finding.what) for finding in findings]
    if as_json:
        rows = [dict(zip(("pool_id", "number", "what"), row, strict=True)) for row in told]
        printing.json({"chains": [dict(zip(members, row, strict=True)) for row in chains], "findings": rows})
    else:
        printing.table([member.upper().replace("_", " ") for member in members], chains)
        if told:
            click.echo()
            printing.table(["POOL ID", "NUMBER", "WHAT"], told)
    if findings:
        context.exit(1)


def _wanted(given: dict[str, Any]) -> reading.Wanted:
    return reading.Wanted(pool_id=given.pop("pool"), **given)


def _shown(row: AuditEvent) -> tuple[Any, ...]:
    actor = row.actor or row.actor_kind
    about = " ".join(part for part in (row.target, f"user/{row.user_sub}" if row.user_sub else "") if part)
    return (row.at, row.pool_id, row.operation, actor, about, row.ip, row.error_code, row.request_id)


def _anchors(path: Path) -> Iterator[chain.Anchor]:
    """Of the document that `verify --json` prints, or of the lines that `export` does."""
    text = path.read_bytes()
    try:
        try:
            document = orjson.loads(text)
            found = document["chains"] if "chains" in document else [_chained(document)]
        except orjson.JSONDecodeError:
            found = [_chained(orjson.loads(line)) for line in text.splitlines() if line.strip()]
        for one in found:
            if one["number"]:
                yield chain.Anchor(one["pool_id"], int(one["number"]), str(one["digest"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise click.ClickException(
            f"{path} has no anchors: expected what `cognate audit verify --json` or `cognate audit export` printed."
        ) from None


def _chained(line: dict[str, Any]) -> dict[str, Any]:
    more = line["additionalEventData"]
    return {"pool_id": more["userPoolId"] or "", **more["chain"]}
