"""`python -m bench.directory`: what a request costs among ten thousand users, and what among a million.

One pool is filled in bulk, in steps, and after each step the use-cases behind the API are called in this process, one
after the other, without the door's HTTP and JSON: they would only hide what grows. Every answer is checked. Hashes
are the cheapest that development mode allows and messages go nowhere, so that a sign-up shows what the database does;
how much of it is still the password stands below the table.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import Table, text

from app import create_app, installation
from app.accounts import credentials, find, search, sign_up
from app.config import Settings
from app.db import db, table
from app.env import Env, Message, Origin
from app.models import Alias, Client, Password, Pool, User
from app.models.user import SEARCHED
from app.policy.attributes import name_key, search_key
from app.policy.filters import Filter
from app.pools import app_clients, user_pools
from bench.figures import percentile
from bench.wire import BadAnswer
from tests import postgres

SIZES = [10_000, 100_000, 1_000_000]
TARGET = 1.5
"""The median among the most users over that among the fewest."""
WARM_UP = 10
BATCH = 20_000
WITH_PASSWORD = 1000
"""Of the first users: nobody signs in here, but who is looked up is looked up with his password."""
SYLLABLES = "an be ca do el fa gu hi jo ka li ma ne or pa ri sa to ur vi".split()
PASSWORD = "Correct-horse-7"  # noqa: S105 - of users who are thrown away


class _Nowhere:
    def send(self, message: Message) -> None:
        pass


@dataclass(frozen=True)
class Person:
    """A user as he is made; the n-th is the same in every run."""

    sub: str
    username: str
    given_name: str
    family_name: str
    email: str
    phone_number: str | None
    status: str
    enabled: bool
    created_at: datetime


def person(n: int) -> Person:
    dice = random.Random(n)
    given, family = ("".join(dice.choices(SYLLABLES, k=2)).title() for _ in range(2))
    return Person(
        sub=str(UUID(int=dice.getrandbits(128), version=4)),
        username=f"{given.lower()}.{family.lower()}.{n}",
        given_name=given,
        family_name=family,
        email=f"{given}.{family}.{n}@example.com",
        phone_number=f"+4915{dice.randrange(10**9):09}" if n % 3 == 0 else None,
        status=dice.choices(["CONFIRMED", "UNCONFIRMED", "FORCE_CHANGE_PASSWORD"], [90, 7, 3])[0],
        enabled=dice.random() < 0.98,
        created_at=datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=90 * n),
    )


@dataclass
class Directory:
    """A database with one pool, which grows."""

    name: str
    app: Flask
    env: Env
    pool: Pool
    client: Client
    size: int = 0

    def grow(self, size: int) -> None:
        """Load people up to this many, and let the database look at them, if it is one that does so by itself."""
        with self._loading() as load:
            for start in range(self.size, size, BATCH):
                people = [(n, person(n)) for n in range(start, min(start + BATCH, size))]
                load(table(User), [self._user(one) for _, one in people])
                load(table(Alias), [alias for _, one in people for alias in self._aliases(one)])
                load(table(Password), [self._password(one) for n, one in people if n < WITH_PASSWORD])
        self.size = size
        if self._postgres:
            with db.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))

    def megabytes(self) -> float:
        size = "pg_database_size(current_database())"
        pages = "(SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)"
        with db.engine.connect() as connection:
            return int(connection.scalar(text(f"SELECT {size if self._postgres else pages}"))) / 1e6  # noqa: S608

    @property
    def _postgres(self) -> bool:
        return bool(db.engine.dialect.name == "postgresql")

    def _user(self, one: Person) -> dict[str, Any]:
        searched = {"email": one.email, "given_name": one.given_name, "family_name": one.family_name}
        searched["name"] = f"{one.given_name} {one.family_name}"
        document = {name: value for name, value in searched.items() if name != "email"}
        return {
            "sub": one.sub,
            "pool_id": self.pool.id,
            "username": one.username,
            "status": one.status,
            "enabled": one.enabled,
            "email": one.email,
            "email_verified": True,
            "phone_number": one.phone_number,
            "phone_number_verified": None if one.phone_number is None else False,
            "attributes": document,
            "created_at": one.created_at,
            "modified_at": one.created_at,
            "username_key": search_key(one.username),
            **{f"{name}_key": search_key(searched[name]) for name in SEARCHED if name in searched},
        }

    def _aliases(self, one: Person) -> list[dict[str, Any]]:
        names = {"username": one.username, "email": one.email}
        common = {"pool_id": self.pool.id, "generation": self.pool.generation, "user_sub": one.sub}
        return [{**common, "attribute": kind, "value": name_key(self.pool, name)} for kind, name in names.items()]

    def _password(self, one: Person) -> dict[str, Any]:
        secret = {"hash": "x" * 97, "srp_salt": "0" * 32, "srp_verifier": "x" * 1100}
        return {"user_sub": one.sub, "version": one.sub, **secret, "set_at": one.created_at}

    @contextlib.contextmanager
    def _loading(self) -> Iterator[Callable[[Table, list[dict[str, Any]]], None]]:
        """The way in bulk of either database, past SQLAlchemy; in one transaction."""
        if self._postgres:
            raw = db.engine.raw_connection()
            with contextlib.closing(raw):
                yield partial(_copy, raw.cursor())
                raw.commit()
            return
        # With a cache that holds all indexes, and one commit: else every batch would write most of their pages again.
        with contextlib.closing(sqlite3.connect(str(db.engine.url.database), isolation_level=None)) as own:
            own.execute("PRAGMA cache_size=-2000000")
            own.execute("BEGIN IMMEDIATE")
            yield partial(_insert, own.cursor())
            own.execute("COMMIT")
            own.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(cursor: Any, into: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        with cursor.copy(f'COPY "{into.name}" ({_columns(rows[0])}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row([_plain(value) for value in row.values()])


def _insert(cursor: Any, into: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = f'INSERT INTO "{into.name}" ({_columns(rows[0])}) VALUES ({", ".join("?" for _ in rows[0])})'  # noqa: S608
        cursor.executemany(statement, ([_stored(value) for value in row.values()] for row in rows))


def _columns(row: dict[str, Any]) -> str:
    return ", ".join(f'"{name}"' for name in row)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _stored(value: Any) -> Any:
    """As SQLAlchemy writes it into SQLite."""
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else _plain(value)


@contextlib.contextmanager
def directory(name: str, url: str, data_dir: Path) -> Iterator[Directory]:
    """An installation with an empty pool, in this process."""
    settings = Settings(
        mode="development",
        database_url=url,
        data_dir=data_dir,
        key=os.urandom(32),
        argon2_memory_kib=8,
        argon2_time=1,
    )
    installation.prepare(settings)
    first = create_app(settings)
    installation.migrate(first, first.extensions["cognate"].seal)
    with first.app_context():
        db.engine.dispose()
    app = create_app(settings, mail=_Nowhere(), sms=_Nowhere())
    with app.app_context():
        env: Env = app.extensions["cognate"]
        rules = {"alias_attributes": ["email"], "auto_verified_attributes": ["email"]}
        pool = user_pools.create(env, name="Many", settings=rules, algorithm="ES256")
        client = app_clients.create(env, pool, name="App", settings={}, generate_secret=False, secret=None)
        try:
            yield Directory(name, app, env, pool, client)
        finally:
            db.session.remove()
            db.engine.dispose()


# -- what is asked -------------------------------------------------------------------------------------------


class Asked:
    """The questions, about people drawn at random. Each asks, and is measured; then it looks at the answer."""

    def __init__(self, world: Directory) -> None:
        self.world = world
        self.env, self.pool = world.env, world.pool
        self._dice = random.Random(world.size)
        self._new = itertools.count()
        self._deep = self._almost_at_the_end()

    def _anybody(self) -> Person:
        return person(self._dice.randrange(self.world.size))

    def email_is(self) -> Callable[[], None]:
        one = self._anybody()
        page = search.users(self.env, self.pool, wanted=Filter("email", False, one.email))
        return lambda: _expect([user.sub for user in page.rows] == [one.sub])

    def email_begins(self) -> Callable[[], None]:
        return self._begins("email", self._anybody().given_name[:2])

    def username_begins(self) -> Callable[[], None]:
        return self._begins("username", self._anybody().given_name[:2].lower())

    def _begins(self, attribute: str, value: str) -> Callable[[], None]:
        page = search.users(self.env, self.pool, wanted=Filter(attribute, True, value))
        found = [getattr(user, attribute).lower() for user in page.rows]
        return lambda: _expect(len(found) == search.PAGE and all(one.startswith(value.lower()) for one in found))

    def first_page(self) -> Callable[[], None]:
        page = search.users(self.env, self.pool)
        return lambda: _expect([user.username for user in page.rows[:2]] == [person(0).username, person(1).username])

    def deep_page(self) -> Callable[[], None]:
        page = search.users(self.env, self.pool, token=self._deep)
        return lambda: _expect(len(page.rows) == search.PAGE and page.rows[0].created_at > self._late())

    def _late(self) -> datetime:
        return person(self.world.size * 9 // 10).created_at

    def _almost_at_the_end(self) -> str:
        """The token of the page before the last hundredth, come to by walking all pages before it, large ones."""
        behind, token, large = self.world.size - max(self.world.size // 100, 2 * search.PAGE), None, 10_000
        while behind > 0:
            page = search.users(self.env, self.pool, limit=min(large, behind), token=token)
            behind, token = behind - len(page.rows), page.token
        if token is None:
            raise BadAnswer("the pages end before the users do")
        return token

    def admin_get_user(self) -> Callable[[], None]:
        one = self._anybody()
        found = find.existing(self.env, self.pool, one.username)
        return lambda: _expect(found.user.sub == one.sub)

    def sign_up(self) -> Callable[[], None]:
        name = f"new-{self.world.size}-{next(self._new)}"
        done = sign_up.sign_up(
            self.env,
            self.world.client,
            username=name,
            password=PASSWORD,
            attributes={"email": f"{name}@example.com", "given_name": "Newest"},
            origin=Origin(),
        )
        return lambda: _expect(done.user.username == name and done.delivery is not None)

    def count(self) -> Callable[[], None]:
        self.env.cache.drop()  # where the count of many users is kept for a while
        counted = user_pools.count_users(self.env, self.pool)
        return lambda: _expect(counted >= self.world.size)

    def password(self) -> Callable[[], None]:
        credentials.prepare(self.env, self.pool, sub="x", username="x", password=PASSWORD)
        return lambda: None


QUESTIONS: dict[str, Callable[[Asked], Callable[[], None]]] = {
    "ListUsers, `email =`": Asked.email_is,
    "ListUsers, `email ^=`": Asked.email_begins,
    "ListUsers, `username ^=`": Asked.username_begins,
    "ListUsers, first page": Asked.first_page,
    "ListUsers, near the last page": Asked.deep_page,
    "AdminGetUser": Asked.admin_get_user,
    "SignUp": Asked.sign_up,
}
ASIDE: dict[str, Callable[[Asked], Callable[[], None]]] = {
    "the password in SignUp": Asked.password,
    "counting the users of a pool (DescribeUserPool)": Asked.count,
}
"""Measured, and not held against the target."""


def _expect(right: bool) -> None:
    if not right:
        raise BadAnswer("not what was asked for")


Times = dict[str, tuple[float, float]]
"""Milliseconds by question: median and 99th percentile."""


def measure(world: Directory, samples: int) -> Times:
    """The questions take turns, so that what else runs on the machine meets them all alike. Raises BadAnswer."""
    asked = Asked(world)
    questions = QUESTIONS | ASIDE
    seen: dict[str, list[float]] = {name: [] for name in questions}
    few = max(samples // 30, 3)  # counting takes long, and varies little
    gc.collect()
    gc.disable()  # a pause of its own would be the 99th percentile
    try:
        for n in range(WARM_UP + samples):
            for name, question in questions.items():
                if name in ASIDE and n >= WARM_UP + few:
                    continue
                began = time.perf_counter()
                look = question(asked)
                took = time.perf_counter() - began
                try:
                    look()
                except BadAnswer as bad:
                    raise BadAnswer(f"{world.name}, {world.size} users, {name}: {bad}") from None
                if n >= WARM_UP:
                    seen[name].append(1000 * took)
            if n % 50 == 0:
                gc.collect()
    finally:
        gc.enable()
    return {name: (percentile(times, 0.5), percentile(times, 0.99)) for name, times in seen.items()}


# -- the command ---------------------------------------------------------------------------------------------


def rows(found: dict[int, Times]) -> list[list[str]]:
    """The table of one database, headings first."""
    sizes = sorted(found)
    table = [["p50 / p99 in ms", *(f"{size:,} users" for size in sizes), "ratio of p50", f"≤ {TARGET}"]]
    for name in QUESTIONS | ASIDE:
        figures = [found[size][name] for size in sizes]
        ratio = figures[-1][0] / figures[0][0]
        held = "" if name in ASIDE else "yes" if ratio <= TARGET else "NO"
        table.append([name, *(f"{p50:.2f} / {p99:.2f}" for p50, p99 in figures), f"{ratio:.2f}", held])
    return table


def markdown(table: list[list[str]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in table)
    return "\n".join([head, "| --- |" + " ---: |" * (len(table[0]) - 1), *body])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.directory", description="Measure a directory as it grows.")
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="numbers of users, rising (10000,100000,1000000)")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--samples", type=int, default=400, help="times that each question is asked (400)")
    options = parser.parse_args(arguments)
    if options.samples < 1:
        parser.error("--samples is a number above 0")
    return options


def _sizes(given: str) -> list[int]:
    found = [int(size) for size in given.split(",")]
    if found != sorted(set(found)) or found[0] < 2000:
        raise argparse.ArgumentTypeError("sizes rise, and none is below 2000: a page has to be full")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, measure, print. Exit status 1 when a median grows more than it may, 2 when nothing could be measured."""
    options = parse(arguments)
    within = True
    try:
        with contextlib.ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cognate-directory-")))
            for name, url in _databases(options.database, home, stack):
                table = rows(_grown(name, url, home, options))
                print(f"\n### {name}\n\n{markdown(table)}", flush=True)
                within = within and all(row[-1] != "NO" for row in table)
    except (BadAnswer, postgres.NotFound) as error:
        print(f"bench.directory: {error}", file=sys.stderr)
        return 2
    return 0 if within else 1


def _databases(wanted: str, home: Path, stack: contextlib.ExitStack) -> Iterator[tuple[str, str]]:
    if wanted in ("sqlite", "both"):
        yield "SQLite", f"sqlite:///{home / 'cognate.sqlite'}"
    if wanted in ("postgresql", "both"):
        server = stack.enter_context(postgres.start())
        yield f"PostgreSQL {server.version}", server.create("directory")


def _grown(name: str, url: str, home: Path, options: argparse.Namespace) -> dict[int, Times]:
    found = {}
    with directory(name, url, home) as world:
        for size in options.sizes:
            began = time.monotonic()
            world.grow(size)
            loaded = time.monotonic()
            found[size] = measure(world, options.samples)
            print(
                f"{name}: {size:,} users, {world.megabytes():.0f} MB, loaded in {loaded - began:.0f} s, "
                f"measured in {time.monotonic() - loaded:.0f} s, load average {os.getloadavg()[0]:.1f}",
                file=sys.stderr,
                flush=True,
            )
    return found


if __name__ == "__main__":
    sys.exit(main())
