"""The installation's settings: one frozen dataclass, read once from the environment.

Every variable is called `COGNATE_` and the field's name in capitals. Every field has a default that a laptop can
run on. A value that cannot be understood, and a name that nothing reads, end the start with one line that names it:
a setting that is silently ignored is a setting that somebody relies on.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

PREFIX = "COGNATE_"
Mode = Literal["production", "development"]


class SettingsError(Exception):
    """A setting is wrong; the message is one line that names it."""


OF_POSTGRESQL = ("database_statement_timeout", "database_idle_in_transaction_timeout")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
WEAKEST_MEMORY_KIB, WEAKEST_WORK = 7168, 7168 * 5
"""The cheapest Argon2id that OWASP's Password Storage Cheat Sheet names: memory, and memory times passes."""
USUAL_LIMITS = {
    "sign_ups_per_network": 300,
    "codes_per_address": 20,
    "requests_per_address": 300,
    "requests_per_account": 120,
    "requests_per_client": 100,
    "provisioned_limits": True,
}
"""In production, where they are not set."""


@dataclass(frozen=True)
class Limits:
    """Of a connection to the database, in seconds, 0 for none: waiting for one lock, one statement, and a transaction
    in which nothing is done."""

    lock: float = 0
    statement: float = 0
    idle_in_transaction: float = 0


def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("text in one line")
    return value


def _matching(pattern: str, expected: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return read


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return read


def _seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", value) or not float(value):
        raise ValueError("a number of seconds above 0")
    return float(value)


def _seconds_or_none(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", value):
        raise ValueError("a number of seconds, or 0 for none")
    return float(value)


def _switch(value: str) -> bool:
    if value.lower() not in ("on", "off", "true", "false", "1", "0"):
        raise ValueError("on or off")
    return value.lower() in ("on", "true", "1")


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in allowed:
            raise ValueError("one of: " + ", ".join(a or "(empty)" for a in allowed))
        return value

    return read


def _origin(value: str) -> str:
    """In the form that browsers and relying parties compare: lower case, no default port, no slash at the end."""
    expected = ValueError("an http or https URL of a host, without path or query, such as https://auth.example.com")
    found = re.fullmatch(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/*", value.lower(), re.ASCII)
    if not found or not 0 < int(found[3] or 1) < 65536:
        raise expected
    scheme, host, port = found[1], found[2], found[3]
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            raise expected from None
    if port and int(port) == {"http": 80, "https": 443}[scheme]:
        port = None
    return f"{scheme}://{host}:{int(port)}" if port else f"{scheme}://{host}"


def _key(value: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ValueError("32 bytes in base64 (openssl rand -base64 32)")
    return key


def _database(value: str) -> str:
    """As SQLAlchemy reads it. A relative path of a file is one from here, as every other path is."""
    expected = ValueError("a URL that begins with postgresql:// or sqlite:///")
    if value.startswith("postgresql") and value.partition("?")[0].count("@") > 1:
        # What follows the first one would be taken for the host, and be shown where that is not found.
        raise ValueError("a URL in whose password each @ is written as %40")
    try:
        url = _of_several_hosts(value) or make_url(value)
        if url.get_backend_name() == "postgresql":
            url.set(drivername="postgresql+psycopg").get_dialect()().create_connect_args(url)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise expected from None
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    # In memory, every connection would have a database of its own.
    if url.drivername != "sqlite" or not url.database or url.database.startswith((":", "file:")) or url.query:
        raise expected
    return _sqlite(Path(url.database))


def _of_several_hosts(value: str) -> URL | None:
    """`postgresql://user:password@host1:5432,host2:5432/database`, as libpq reads it, in SQLAlchemy's form. None for
    any other URL."""
    found = re.fullmatch(r"([a-z0-9+]+://(?:[^/?]*@)?)([^@/?]*,[^@/?]*)([/?].*)?", value)
    if not found:
        return None
    hosts = [re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", host) for host in found[2].split(",")]
    url = make_url(found[1] + (found[3] or ""))
    if not all(hosts) or {"host", "port", "hostaddr"} & url.query.keys():
        raise ValueError("a list of hosts")
    named = [(host[1].strip("[]"), host[2] or "5432") for host in hosts if host]
    return url.update_query_dict({"host": ",".join(name for name, _ in named), "port": ",".join(p for _, p in named)})


def _storage(value: str) -> str:
    if value in ("memory", "database") or re.fullmatch(r"(redis|rediss|redis\+[a-z+]+)://\S+", value):
        return value
    raise ValueError("memory, database, or a URL that begins with redis:// or rediss://")


def _sqlite(path: Path) -> str:
    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _optional_path(value: str) -> Path | None:
    return _path(value) if value else None


def _paths(value: str) -> tuple[Path, ...]:
    return tuple(_path(one) for one in value.split(os.pathsep) if one)


def _setting(default: Any, read: Callable[[str], Any], about: str, *, secret: bool = False) -> Any:
    """A field with its reader and one line of documentation, which docs/settings.md repeats."""
    return field(default=default, repr=not secret, metadata={"read": read, "about": about, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """What an installation is configured with; its `repr` shows no secret."""

    mode: Mode = _setting(
        "production",
        _one_of("production", "development"),
        "development keeps messages in the outbox and accepts any API signature, for this machine only",
    )
    data_dir: Path = _setting(Path("var"), _path, "where the SQLite file, the key and generated certificates are kept")
    database_url: str = _setting(
        "", _database, "PostgreSQL or SQLite; empty: cognate.sqlite in the data directory", secret=True
    )
    database_pool: int = _setting(
        0, _number(0, 200), "database connections that one worker keeps at most; 0: as many as its threads need"
    )
    database_lock_timeout: float | None = _setting(
        None,
        _seconds_or_none,
        "seconds that a statement waits for a lock; 0: as long as it takes; unset: 2, with SQLite 5",
    )
    database_statement_timeout: float = _setting(
        10.0,
        _seconds_or_none,
        "PostgreSQL: seconds that a statement takes at most, and its answer one more; 0: any time",
    )
    database_idle_in_transaction_timeout: float = _setting(
        30.0,
        _seconds_or_none,
        "PostgreSQL: seconds after which a transaction in which nothing is done is ended; 0: never",
    )
    sqlite_synchronous: str = _setting(
        "full",
        _one_of("full", "normal"),
        "full: SQLite syncs each commit to the disk; normal: less waiting, but a power cut can undo sign-ups, "
        "revocations and used codes that were already acknowledged",
    )
    key: bytes = _setting(
        b"", _key, "the key-encryption key, 32 bytes in base64; empty: see COGNATE_KEY_FILE", secret=True
    )
    key_file: Path | None = _setting(
        None,
        _optional_path,
        "a file with the key in base64; unset: key in the data directory, which the first `migrate` makes",
    )
    other_key_files: tuple[Path, ...] = _setting(
        (),
        _paths,
        "files with further keys, parted by colons, which open what was sealed with them; while the key is replaced",
    )
    signing_key_days: int = _setting(
        0, _number(0, 3650), "days after which a pool gets new signing keys by itself; 0: never"
    )
    backup_passphrase: str = _setting(
        "", _text, "the passphrase of backups, for `backup`, `restore` and `verify`", secret=True
    )
    host: str = _setting(
        "127.0.0.1", _matching(r"[0-9A-Za-z.:_-]+", "an address or a host name"), "the address to listen on"
    )
    port: int = _setting(8080, _number(1, 65535), "the port to listen on")
    admin_port: int = _setting(
        0, _number(0, 65535), "a second port, for operators: /healthz, /readyz and /metrics; 0: none"
    )
    admin_host: str = _setting(
        "127.0.0.1",
        _matching(r"[0-9A-Za-z.:_-]+", "an address or a host name"),
        "the address that the second port listens on; nobody is asked there who they are",
    )
    workers: int = _setting(0, _number(0, 64), "worker processes; 0: one per core")
    threads: int = _setting(4, _number(1, 64), "threads in each worker, besides those for passwords")
    http: str = _setting(
        "auto",
        _one_of("auto", "1.1", "2"),
        "versions of HTTP that are spoken; auto: 1.1, and 2 to clients that ask for it",
    )
    drain: float | None = _setting(
        None,
        _seconds_or_none,
        "seconds between being told to stop and taking no more requests, during which /readyz answers 503; unset: 5 "
        "behind a proxy (COGNATE_TRUSTED_PROXIES), else 0",
    )
    metrics_pools: int = _setting(
        50, _number(0, 1000), "user pools that have metrics of their own; the others are counted together"
    )
    base_url: str = _setting(
        "", _origin, "the public URL, from which issuers are built; empty: http(s)://localhost:<port>"
    )
    trusted_proxies: int = _setting(0, _number(0, 8), "how many hops of X-Forwarded-* are believed")
    tls: str = _setting("", _one_of("", "self-signed"), "self-signed makes a certificate for development")
    tls_certificate: Path | None = _setting(None, _optional_path, "PEM file of the certificate chain")
    tls_key: Path | None = _setting(None, _optional_path, "PEM file of the certificate's private key")
    region: str = _setting(
        "us-east-1",
        _matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a name that looks like a region, such as us-east-1"),
        "the region that pool ids begin with and signatures are scoped to",
    )
    account_id: str = _setting("000000000000", _matching("[0-9]{12}", "12 digits"), "the account in ARNs")
    theme: str = _setting(
        "default",
        _matching("[A-Za-z0-9][A-Za-z0-9_-]*", "the name of a folder in themes/"),
        "the folder in themes/ that pages are drawn from",
    )
    argon2_memory_kib: int = _setting(19456, _number(8, 4194304), "Argon2id: memory of one hash in KiB")
    argon2_time: int = _setting(2, _number(1, 100), "Argon2id: passes")
    argon2_parallelism: int = _setting(1, _number(1, 16), "Argon2id: lanes")
    hash_wait: float | None = _setting(
        None,
        _seconds,
        "seconds that a request waits for its turn to hash a password before it is refused; unset: 1, in development "
        "10",
    )
    write_wait: float | None = _setting(
        None,
        _seconds,
        "seconds that a request waits for its turn to write to the database before it is refused; unset: 0.5, in "
        "development 10",
    )
    sign_ups_per_network: int | None = _setting(
        None,
        _number(0, 1_000_000),
        "sign-ups in an hour from one IPv4 address or IPv6 /56; 0: any number; unset: 300, in development 0",
    )
    codes_per_address: int | None = _setting(
        None,
        _number(0, 1_000_000),
        "codes in an hour to an address that is not proven, and wrong ones that come back; 0: any number; "
        "unset: 20, in development 0",
    )
    requests_per_address: int | None = _setting(
        None,
        _number(0, 1_000_000),
        "requests of one category in a minute, by strangers of one IPv4 address or IPv6 /56 to one pool; "
        "0: any number; unset: 300, in development 0",
    )
    requests_per_account: int | None = _setting(
        None,
        _number(0, 1_000_000),
        "requests of one category in a minute, by the holder of an account's tokens, or by one network with its name; "
        "0: any number; unset: 120, in development 0",
    )
    requests_per_client: int | None = _setting(
        None,
        _number(0, 1_000_000),
        "requests of one category in a second, by one app client; 0: any number; unset: 100, in development 0",
    )
    provisioned_limits: bool | None = _setting(
        None,
        _switch,
        "whether each pool has Cognito's requests per second of each category (GetProvisionedLimit); unset: on, in "
        "development off",
    )
    rate_limit_storage: str = _setting(
        "memory",
        _storage,
        "where requests are counted: memory (each worker by itself), database, or the URL of a Redis",
        secret=True,
    )
    smtp_host: str = _setting(
        "",
        _matching(r"[0-9A-Za-z.:_-]+", "an address or a host name"),
        "the mail server; empty: no mail is sent, or in development kept in the outbox",
    )
    smtp_port: int = _setting(587, _number(1, 65535), "the mail server's port")
    smtp_tls: str = _setting("starttls", _one_of("starttls", "tls", "none"), "how the mail connection is encrypted")
    smtp_username: str = _setting("", _text, "the mail account; empty: no authentication")
    smtp_password: str = _setting("", _text, "the mail account's password", secret=True)
    smtp_from: str = _setting(
        "no-reply@localhost",
        _matching(r"[!-;=?-~]+@[A-Za-z0-9.-]+", "an e-mail address, such as no-reply@example.com"),
        "the sender of mails",
    )
    limit_pools: int = _setting(1000, _number(1, 1_000_000), "user pools")
    limit_clients: int = _setting(1000, _number(1, 1_000_000), "app clients of a user pool")
    limit_resource_servers: int = _setting(300, _number(1, 1_000_000), "resource servers of a user pool")
    limit_groups: int = _setting(10_000, _number(1, 1_000_000), "groups of a user pool")
    limit_groups_of_user: int = _setting(100, _number(1, 1000), "groups that a user is in; each token names them")
    domain_proof: str = _setting(
        "",
        _one_of("", "public", "private", "off"),
        "how custom domains are proven: by a file at a public address, or also at a private one; empty: public, off in "
        "development",
    )
    audit_retention_days: int = _setting(
        365,
        _number(0, 36500),
        "days for which the audit keeps what is about no one pool; 0: for ever",
    )
    audit_reads: str = _setting(
        "together",
        _one_of("together", "each", "off"),
        "when granted administrative calls that only read are written to the audit: together, about once a second; "
        "each before its answer; off, not at all",
    )
    access_log: bool = _setting(True, _switch, "whether each request is logged: a line, without its query")
    log: str = _setting("text", _one_of("text", "json"), "the form of all lines that are logged: text or json")
    log_level: str = _setting("info", _one_of("debug", "info", "warning", "error"), "the least important line logged")

    def __post_init__(self) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", _sqlite(self.data_dir / "cognate.sqlite"))
        if not self.base_url:
            scheme = "https" if self.tls or self.tls_certificate else "http"
            object.__setattr__(self, "base_url", f"{scheme}://localhost:{self.port}")
        if self.database_lock_timeout is None:
            # Each transaction of SQLite waits for the one writer's place; PostgreSQL's wait for rows that few need.
            object.__setattr__(self, "database_lock_timeout", 5.0 if self.sqlite else 2.0)
        for name, usual in USUAL_LIMITS.items():
            if getattr(self, name) is None:
                # Tests of an application sign up thousands from one address, and the same one over and over.
                object.__setattr__(self, name, type(usual)() if self.development else usual)
        self._refuse_contradictions()
        if self.mode == "production":
            self._refuse_development()

    def _refuse_contradictions(self) -> None:
        """Of two settings that do not go together, one would be ignored without a word."""
        if self.key and self.key_file:
            raise SettingsError("COGNATE_KEY and COGNATE_KEY_FILE exclude each other: set one of them.")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingsError("COGNATE_TLS_CERTIFICATE and COGNATE_TLS_KEY belong together: set both or neither.")
        if self.tls and self.tls_certificate:
            raise SettingsError("COGNATE_TLS and COGNATE_TLS_CERTIFICATE exclude each other: set one of them.")
        if (self.tls or self.tls_certificate) and not self.https:
            raise SettingsError(f"COGNATE_BASE_URL is {self.base_url}, but with a certificate we answer https only.")
        if 0 < self.database_pool <= self.threads + self.password_threads:
            # A thread that holds a connection may need a second one for a moment; with none to spare, all wait.
            raise SettingsError(
                f"COGNATE_DATABASE_POOL must be greater than {self.threads + self.password_threads}: COGNATE_THREADS, "
                f"and {self.password_threads} threads for passwords."
            )
        if self.sqlite:
            for one in fields(self):
                if one.name in OF_POSTGRESQL and getattr(self, one.name) != one.default:
                    raise SettingsError(
                        f"COGNATE_{one.name.upper()} is for PostgreSQL, and COGNATE_DATABASE_URL is not: unset it."
                    )
        if self.sqlite_synchronous != "full" and not self.sqlite:
            raise SettingsError(
                f"COGNATE_SQLITE_SYNCHRONOUS={self.sqlite_synchronous} is for SQLite, and COGNATE_DATABASE_URL is not: "
                "unset it (PostgreSQL has synchronous_commit)."
            )
        if self.admin_port == self.port:
            raise SettingsError("COGNATE_ADMIN_PORT must differ from COGNATE_PORT: metrics are not for everybody.")
        if self.smtp_username and not self.smtp_host:
            raise SettingsError("COGNATE_SMTP_USERNAME needs COGNATE_SMTP_HOST: without it no mail is sent.")
        if bool(self.smtp_username) != bool(self.smtp_password):
            raise SettingsError("COGNATE_SMTP_USERNAME and COGNATE_SMTP_PASSWORD belong together: set both or neither.")

    def _refuse_development(self) -> None:
        """What is handy on a laptop and dangerous on the Internet is refused, not warned about."""
        if self.tls == "self-signed":
            raise SettingsError("COGNATE_TLS=self-signed is for development: give COGNATE_TLS_CERTIFICATE, or a proxy.")
        if not self.https and urlsplit(self.base_url).hostname not in LOOPBACK:
            raise SettingsError(
                f"COGNATE_BASE_URL is {self.base_url}: production needs https (plain http is for localhost only)."
            )
        work = self.argon2_memory_kib * self.argon2_time
        if self.argon2_memory_kib < WEAKEST_MEMORY_KIB or work < WEAKEST_WORK:
            raise SettingsError(
                "COGNATE_ARGON2_MEMORY_KIB and COGNATE_ARGON2_TIME make hashes that are too cheap for production: "
                f"at least {WEAKEST_MEMORY_KIB} KiB, and {WEAKEST_WORK} for memory times passes."
            )
        if self.smtp_host and self.smtp_host not in LOOPBACK:
            if self.smtp_tls == "none":
                raise SettingsError("COGNATE_SMTP_TLS=none would send codes in clear: use starttls or tls.")
            if self.smtp_from.endswith("@localhost"):
                raise SettingsError(f"COGNATE_SMTP_FROM is {self.smtp_from}, which no mail server accepts.")

    @property
    def sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def database_limits(self) -> Limits:
        return Limits(
            self.database_lock_timeout or 0,
            self.database_statement_timeout,
            self.database_idle_in_transaction_timeout,
        )

    @property
    def development(self) -> bool:
        return self.mode == "development"

    @property
    def proof_of_domains(self) -> str:
        """`public`, `private` or `off`."""
        return self.domain_proof or ("off" if self.development else "public")

    @property
    def https(self) -> bool:
        """Whether browsers reach us by https: decides Secure cookies and the `__Host-` prefix."""
        return self.base_url.startswith("https:")

    @property
    def base_host(self) -> str:
        """Host and port of the base URL; domains of pools are names below it."""
        return urlsplit(self.base_url).netloc.lower()

    @property
    def workers_or_cores(self) -> int:
        return self.workers or cores()

    @property
    def hashes_at_once(self) -> int:
        """Passwords that one worker hashes at once: all workers together keep each core busy, and no more."""
        return max(1, -(-cores() // self.workers_or_cores))

    @property
    def hash_patience(self) -> float:
        """Seconds. A test double on a busy machine is slow, and nobody's capacity needs protection there."""
        return self.hash_wait or (10.0 if self.development else 1.0)

    @property
    def write_patience(self) -> float:
        """Seconds."""
        return self.write_wait or (10.0 if self.development else 0.5)

    @property
    def password_threads(self) -> int:
        """Threads of a worker for requests that hash one: while some hash, others read and write."""
        return self.hashes_at_once + 2

    @property
    def connections(self) -> int:
        """Database connections of a worker at most."""
        return self.database_pool or self.threads + self.password_threads + 4

    @property
    def drain_seconds(self) -> float:
        if self.drain is not None:
            return self.drain
        return 5.0 if self.trusted_proxies and not self.development else 0.0

    @property
    def http_mode(self) -> str:
        """As granian calls the versions of HTTP."""
        return "1" if self.http == "1.1" else self.http


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def forget_secrets(environ: MutableMapping[str, str]) -> None:
    """Take the secrets out of an environment that has been read."""
    for one in fields(Settings):
        if one.metadata["secret"]:
            environ.pop(f"{PREFIX}{one.name.upper()}", None)


def read(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment. Raises SettingsError with one line that names the variable."""
    known = {f"{PREFIX}{f.name.upper()}": f for f in fields(Settings)}
    given: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            raise SettingsError(f"{name} is not a setting; docs/settings.md lists them.")
        if value == "":
            continue
        try:
            given[known[name].name] = known[name].metadata["read"](value)
        except ValueError as expected:
            shown = "wrong" if known[name].metadata["secret"] else repr(value)
            raise SettingsError(f"{name} is {shown}; expected {expected}.") from None
    return Settings(**given)
