"""`cognate doctor`: what is wrong, or deviates from what is recommended, and how to change it."""

from __future__ import annotations

import logging.config
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from urllib.parse import urlsplit

import click

from app import config, create_app, logs, utcnow
from app.cli import printing
from app.cli.printing import json_option, working
from app.config import Settings, SettingsError
from app.db import db
from app.doctor import examined
from app.doctor.finding import ADVICE, FINE, GROUPS, PROBLEM, SKIPPED, Finding, Group
from app.doctor.subject import Subject
from app.doctor.together import together
from app.logs import one_line
from app.policy.mailbox import bare

WRONG = 1
"""The exit status where there is a problem; with --strict also where there is advice."""
OPENING = 15.0
"""Seconds that opening the installation may take."""
MARKS = {
    PROBLEM: click.style("problem", fg="red", bold=True),
    ADVICE: click.style("advice ", fg="yellow"),
    SKIPPED: click.style("skipped", fg="cyan"),
    FINE: click.style("fine   ", fg="green"),
}


def _https(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (urlsplit(value).scheme != "https" or not urlsplit(value).hostname):
        raise click.BadParameter("expected an https URL, such as https://www.example.com.")
    return value


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        bare(value)
    except ValueError:
        raise click.BadParameter("expected one e-mail address, such as admin@example.com.") from None
    return value


@click.command()
@click.option("--pool", "pool_id", metavar="POOL", help="Look at this pool only, beside the installation.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(GROUPS),
    metavar="GROUP",
    help=f"Look at this only: {', '.join(GROUPS)}; may be repeated.",
)
@click.option("--clock", metavar="URL", callback=_https, help="Compare the clock with that of an https server too.")
@click.option("--send-to", metavar="ADDRESS", callback=_address, help="Send a test message to this address.")
@click.option("--strict", is_flag=True, help="End with status 1 where there is advice, too.")
@json_option
@click.pass_context
def doctor(
    context: click.Context,
    pool_id: str | None,
    only: Sequence[str],
    clock: str | None,
    send_to: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Look for what is wrong, and say how to change it. It also tells what is not as recommended, and changes nothing
    itself."""
    with working("Looking at the installation"):
        found = _found(only or GROUPS, clock, send_to, pool_id)
    if as_json:
        printing.json(_document(found))
    else:
        _print(found)
    states = {one.state for one in found}
    if PROBLEM in states or (strict and ADVICE in states):
        context.exit(WRONG)


def _found(only: Sequence[str], clock: str | None, send_to: str | None, pool_id: str | None) -> list[Finding]:
    try:
        settings = config.read(os.environ)
    except SettingsError as wrong:
        return [Group("configuration").problem("settings", str(wrong), "as the sentence says; see docs/settings.md")]
    logging.config.dictConfig(logs.configuration(settings))
    subject = Subject(settings, utcnow, clock_url=clock, send_to=send_to, pool_id=pool_id)
    subject = _opened(subject, settings)
    try:
        return examined(subject, only)
    finally:
        if subject.app is not None:
            with subject.app.app_context():
                db.engine.dispose()


def _opened(subject: Subject, settings: Settings) -> Subject:
    """With the application, or why there is none: what can be looked at without it is."""
    outcome = together({"opening": lambda: create_app(settings)}, OPENING)["opening"]
    match outcome:
        case SettingsError() | TimeoutError():
            return replace(subject, unopened=str(outcome))
        case BaseException():
            return replace(subject, unopened=f"it failed ({type(outcome).__name__}).")
    return replace(subject, app=outcome)


def _document(found: Sequence[Finding]) -> dict[str, object]:
    counts = {state: sum(one.state == state for one in found) for state in MARKS}
    return {**counts, "findings": [asdict(one) for one in found]}


def _print(found: Sequence[Finding]) -> None:
    color = False if os.environ.get("NO_COLOR") else None  # else as click has it: on a terminal
    group, about = "", ""
    for one in found:
        if one.group != group:
            group = one.group
            click.echo(f"{'' if one is found[0] else os.linesep}{click.style(group, bold=True)}", color=color)
        if (one.pool_id or "") != about:
            about = one.pool_id or ""
            click.echo(f"  {about} {one_line(one.pool_name or '')}", color=color)
        client = f"client {one_line(one.client_name or '')} ({one.client_id}): " if one.client_id else ""
        source = f" ({one.source})" if one.source else ""
        click.echo(f"  {MARKS[one.state]}  {client}{one_line(one.what)}{source}", color=color)
        if one.fix:
            click.echo(f"           fix: {one_line(one.fix)}", color=color)
    counts = {state: sum(one.state == state for one in found) for state in (PROBLEM, ADVICE, SKIPPED)}
    click.echo("\n" + ", ".join(f"{state}: {number}" for state, number in counts.items()))
