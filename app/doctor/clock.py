"""This host's clock, compared with that of the database's server, and with a web server's where that was asked for."""

from __future__ import annotations

import http.client
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.config import SettingsError
from app.doctor.database import connected
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject

tell = Group("clock")

SECONDS = 5.0
PRECISION = 1.0
"""Seconds: a Date header has no fractions."""
APART = 2.0
"""Seconds."""
TOO_FAR_APART = 30.0
"""Seconds: a step of TOTP."""
_NOW = text("SELECT clock_timestamp()")


def check(subject: Subject) -> list[Finding]:
    return [*_database(subject), *_web(subject)]


def _database(subject: Subject) -> list[Finding]:
    try:
        with connected(subject.settings) as connection:
            if connection.dialect.name == "sqlite":
                return [tell.fine("clock", "SQLite has no clock but this host's.")]
            told: datetime = connection.execute(_NOW).scalar_one()
            return [compared((subject.now() - told).total_seconds(), "the database's", 0.0)]
    except (SettingsError, DBAPIError):
        return [tell.skipped("clock", "There is no database to ask for the time.")]


def _web(subject: Subject) -> list[Finding]:
    if subject.clock_url is None:
        return []
    url = urlsplit(subject.clock_url)
    connection = http.client.HTTPSConnection(
        url.hostname or "", url.port, timeout=SECONDS, context=ssl.create_default_context()
    )
    try:
        connection.request("HEAD", url.path or "/")
        date = connection.getresponse().headers["Date"]
        told = parsedate_to_datetime(date or "")
    except (OSError, http.client.HTTPException, ValueError) as failed:
        said = getattr(failed, "strerror", None) or str(failed) or type(failed).__name__
        what = f"{url.hostname} does not tell the time: {said}"
        return [tell.problem("clock", f"{what}.", "name another https URL in --clock")]
    finally:
        connection.close()
    return [compared((subject.now() - told.astimezone(UTC)).total_seconds(), f"that of {url.hostname}", PRECISION)]


def compared(ahead: float, whose: str, precision: float) -> Finding:
    """What is to be said of a clock of ours that is so many seconds ahead of another, which tells its time with this
    precision."""
    apart = max(0.0, abs(ahead) - precision)
    way = "ahead of" if ahead > 0 else "behind"
    what = f"The clock of this host is {abs(ahead):.0f} s {way} {whose}"
    fix = "let a time service keep both clocks: timedatectl set-ntp true"
    if apart > TOO_FAR_APART:
        return tell.problem("clock", f"{what}: codes of authenticator apps are refused, and tokens end early.", fix)
    if apart > APART:
        return tell.advice("clock", f"{what}.", fix)
    return tell.fine("clock", f"The clock of this host agrees with {whose}.")
