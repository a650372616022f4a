"""What a database is told to do that loses or hangs something."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from app.config import Settings
from app.db import db
from app.doctor import database
from app.doctor.finding import ADVICE, FINE, PROBLEM, Finding
from app.doctor.subject import Subject

SOUND = database.Served(
    settings={
        "server_version_num": "170002",
        "server_version": "17.2",
        "server_encoding": "UTF8",
        "max_connections": "100",
        "superuser_reserved_connections": "3",
        "default_transaction_read_only": "off",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "statement_timeout": "30000",
        "lock_timeout": "5000",
        "idle_in_transaction_session_timeout": "60000",
    },
    standby=False,
    role_limit=-1,
    database_limit=-1,
    encrypted=True,
    remote=True,
)
POSTGRESQL = Settings(mode="development", database_url="postgresql+psycopg://db/cognate", workers=2, database_pool=12)


def wrong(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in found if one.state != FINE]


def test_a_database_that_is_as_it_should_be(subject: Subject) -> None:
    """A real one, of both kinds: the server of the tests has no time-outs, and is fast rather than safe."""
    found = database.check(subject)
    of_tests = ("_timeout", "fsync", "full_page_writes", "synchronous", "synchronous_commit", "connections")
    assert not [one for one in found if one.state != FINE and not one.name.endswith(of_tests)], found
    assert ("migrations", FINE) in [(one.name, one.state) for one in found]


def test_migrations_that_are_pending(app: Flask, subject: Subject) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    (found,) = (one for one in database.check(subject) if one.name == "migrations")
    assert found.state == PROBLEM and found.fix == "cognate migrate" and "0001" in found.what


def test_a_sound_server_needs_nothing() -> None:
    assert wrong(database.postgresql(SOUND, POSTGRESQL)) == []


@pytest.mark.parametrize(
    ("setting", "value", "state"),
    [
        ("fsync", "off", PROBLEM),
        ("full_page_writes", "off", PROBLEM),
        ("synchronous_commit", "off", ADVICE),
        ("statement_timeout", "0", ADVICE),
        ("lock_timeout", "0", ADVICE),
        ("lock_timeout", "10", ADVICE),
        ("idle_in_transaction_session_timeout", "0", ADVICE),
    ],
)
def test_a_setting_that_loses_or_hangs_something(setting: str, value: str, state: str) -> None:
    served = replace(SOUND, settings={**SOUND.settings, setting: value})
    assert wrong(database.postgresql(served, POSTGRESQL)) == [(setting, state)]


@pytest.mark.parametrize(
    ("served", "name", "state"),
    [
        (replace(SOUND, standby=True), "standby", PROBLEM),
        (replace(SOUND, settings={**SOUND.settings, "default_transaction_read_only": "on"}), "read-only", PROBLEM),
        (replace(SOUND, settings={**SOUND.settings, "server_encoding": "LATIN1"}), "encoding", PROBLEM),
        (replace(SOUND, settings={**SOUND.settings, "server_version_num": "120001"}), "version", ADVICE),
        (replace(SOUND, encrypted=False), "encryption", ADVICE),
        (replace(SOUND, settings={**SOUND.settings, "max_connections": "20"}), "connections", PROBLEM),
        (replace(SOUND, role_limit=27), "connections", PROBLEM),
        (replace(SOUND, database_limit=27), "connections", PROBLEM),
    ],
)
def test_a_server_that_cannot_serve_as_it_should(served: database.Served, name: str, state: str) -> None:
    found = database.postgresql(served, POSTGRESQL)
    assert wrong(found) == [(name, state)]
    assert all(one.fix for one in found if one.state != FINE)


def test_connections_are_counted_with_those_that_listen() -> None:
    """2 workers, 12 connections each and two more: 28."""
    exactly = replace(SOUND, role_limit=28)
    assert wrong(database.postgresql(exactly, POSTGRESQL)) == []
    (told,) = (one.what for one in database.postgresql(SOUND, POSTGRESQL) if one.name == "connections")
    assert "28 connections at most" in told and "of 97: enough for 3 such hosts" in told


def test_a_database_on_this_host_needs_no_encryption() -> None:
    served = replace(SOUND, encrypted=False, remote=False)
    assert wrong(database.postgresql(served, POSTGRESQL)) == []


def test_sqlite_that_does_not_write_ahead_or_does_not_sync() -> None:
    assert wrong(database.sqlite({"journal_mode": "wal", "synchronous": 2})) == []
    assert wrong(database.sqlite({"journal_mode": "delete", "synchronous": 2})) == [("wal", PROBLEM)]
    assert wrong(database.sqlite({"journal_mode": "wal", "synchronous": 1})) == [("synchronous", ADVICE)]
