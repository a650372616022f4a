"""What commands print: tables for people, JSON for programs, and on standard error what is no result.

Standard output has the result and nothing else, so that it can be piped. A value that somebody else chose (a username,
an address) is shown on one line and moves no cursor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any

import click
import orjson

from app.logs import one_line

PATIENCE = 2.0
"""Seconds after which somebody who waits is told what for."""
AGAIN = 10.0
"""Seconds until the next time."""
AHEAD = 200
"""Rows that are looked at for the widths of a table; longer values in later rows stand out."""

_JSON = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")


def cell(value: Any) -> str:
    """A value in a table: text as it is, a moment to the second, a list with spaces, nothing as a hyphen."""
    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case list() | tuple():
            return " ".join(map(cell, value))
    return one_line(str(value))


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns below headings, printed as the rows come. Without rows there are the headings."""
    coming = ([cell(value) for value in row] for row in rows)
    first = list(islice(coming, AHEAD))
    widths = [max(len(row[at]) for row in [headings, *first]) for at in range(len(headings))]
    for row in chain([headings], first, coming):
        click.echo("  ".join(f"{value:<{width}}" for value, width in zip(row, widths, strict=True)).rstrip())


def facts(found: Iterable[tuple[str, Any]]) -> None:
    """One fact a line, names aligned."""
    listed = list(found)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        click.echo(f"{name:<{width}}  {cell(value)}")


def json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=_JSON | orjson.OPT_INDENT_2).decode())


def json_list(values: Iterable[Any]) -> None:
    """An array, one element a line, printed as they come."""
    before = "[\n"
    for value in values:
        click.echo(before + orjson.dumps(value, option=_JSON).decode(), nl=False)
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def listed(as_json: bool, members: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The same rows as a table, or as objects with these members."""
    if as_json:
        json_list(dict(zip(members, row, strict=True)) for row in rows)
    else:
        table([name.replace("_", " ").upper() for name in members], rows)


Say = Callable[[str], None]


def telling(as_json: bool) -> Say:
    """Prints sentences on the way to a result: beside it for people, on standard error where it is JSON."""
    return lambda sentence: click.echo(sentence, err=as_json)


def confirm(yes: bool, question: str, as_json: bool) -> None:
    """Ask, unless `yes` was said beforehand; beside JSON on standard error. Raises click.Abort for any other answer."""
    if not yes:
        click.confirm(question, abort=True, err=as_json)


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass
class Work:
    """What is going on; whoever does it may say it anew."""

    what: str


@contextmanager
def working(what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Work]:
    """Tell, on standard error, what takes longer than PATIENCE while it goes on."""
    work, over, began = Work(what), threading.Event(), clock()

    def tell() -> None:
        wait = PATIENCE
        while not over.wait(wait):
            click.echo(f"{work.what} ({clock() - began:.0f} s)", err=True)
            wait = AGAIN

    telling = threading.Thread(target=tell, name="progress", daemon=True)
    telling.start()
    try:
        yield work
    finally:
        over.set()
        telling.join()
