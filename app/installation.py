"""What an installation is made of besides settings: its key, and the secrets that the key opens.

The key-encryption key comes from the environment or a file; else `prepare` makes it in the data directory, readable by
its owner only. It seals, in the database, the secrets that keyed hashes and cookies are made with. A wrong key cannot
open them, and is noticed before anything is served: it would otherwise look as if nobody's password were right.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import secrets
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from sqlalchemy import Connection, create_engine, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from app import migrating
from app.config import Settings, SettingsError
from app.crypto.seal import Seal, SealBroken, key_id_of
from app.db import db, reading_options, replaced
from app.env import Sealer
from app.errors import ServiceUnavailable
from app.models import InstallationSecret, Revision, seals
from app.outages import reason

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
NAMES = ("hashes", "cookies")
KEY_FILE = "key"
_BESIDE_SQLITE = 64 * 1024
"""Bytes, at least those of the shared memory of a WAL."""
EMPTY = "empty"
"""Of a database that was never migrated."""
MADE_CERTIFICATE = "tls-certificate.pem"
"""What `COGNATE_TLS=self-signed` makes in the data directory."""


@dataclass(frozen=True)
class Secrets:
    hashes: bytes
    cookies: bytes


def prepare(settings: Settings) -> Path | None:
    """Make what an installation begins with: the data directory, SQLite's file and the key. Returns the key's file if
    it has been made. Raises SettingsError.

    For `migrate` and `demo` only. Whatever else is started in a wrong directory must leave nothing there, above all no
    key: the next command would take it for the installation's own.
    """
    make_database_file(settings)
    path = settings.data_dir / KEY_FILE
    if settings.key or settings.key_file or os.path.exists(path):
        return None
    # A database that has secrets needs the key that they were sealed with. (Of two that migrate at once, the other
    # may have made both since.)
    if _has_secrets(settings) and not os.path.exists(path):
        raise _missing_key(settings)
    _make(path)
    return path.absolute()


def demand_database(settings: Settings) -> None:
    """Refuse to go on without SQLite's file, which would be made by the first connection. Raises SettingsError."""
    file = _sqlite_file(settings)
    if file is None:
        return
    try:
        file.stat()
        return
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise SettingsError(f"The database file {file} cannot be used: {error.strerror}.") from None
    where = settings.data_dir.absolute()
    if file.parent == settings.data_dir.resolve():
        what = f"The data directory {where} (COGNATE_DATA_DIR) has no database"
    else:
        what = f"The database file {file} (COGNATE_DATABASE_URL) does not exist"
    raise SettingsError(f"{what}: name the right one, or run `cognate migrate` for a new installation.")


def key(settings: Settings) -> bytes:
    """The key-encryption key, 32 bytes. Raises SettingsError."""
    if settings.key:
        return settings.key
    if settings.key_file:
        return _from_file(settings.key_file)
    try:
        (settings.data_dir / KEY_FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise _missing_key(settings) from None
    except OSError:
        pass  # it is there, and reading it says why it cannot be read
    return _from_file(settings.data_dir / KEY_FILE)


def seal(settings: Settings) -> Seal:
    """Seals with the key-encryption key, and opens with the other keys as well. Raises SettingsError."""
    return Seal(key(settings), *(_from_file(path) for path in settings.other_key_files))


def _missing_key(settings: Settings) -> SettingsError:
    return SettingsError(
        f"The data directory {settings.data_dir.absolute()} (COGNATE_DATA_DIR) has no key: name the right directory, "
        "put the key back (or give it in COGNATE_KEY or COGNATE_KEY_FILE), or run `cognate migrate` for a new "
        "installation."
    )


def _sqlite_file(settings: Settings) -> Path | None:
    url = make_url(settings.database_url)
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def make_database_file(settings: Settings) -> None:
    """For the owner only, whatever the umask, and so is the directory: hashes and addresses are in it."""
    file = _sqlite_file(settings)
    if file is None or os.path.exists(file):
        return
    try:
        _make_directory(settings.data_dir)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise SettingsError(f"COGNATE_DATA_DIR: {error.filename} cannot be made: {error.strerror}.") from None


def _has_secrets(settings: Settings) -> bool:
    """Whether the database is one that a key was made for. Raises SettingsError."""
    engine = create_engine(settings.database_url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(InstallationSecret.__tablename__):
                return False
            return connection.scalar(select(InstallationSecret.name).limit(1)) is not None
    except DBAPIError as error:
        raise _unusable(error, engine.url) from None
    finally:
        engine.dispose()


def _make(path: Path) -> None:
    """Written under another name and linked: of two processes that start at once, one makes the key."""
    try:
        _make_directory(path.parent)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)).decode("ascii") + "\n")
            # A power cut must not take the key after the database has begun to depend on it.
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        sync_directory(path.parent)
    except OSError as error:
        raise SettingsError(f"COGNATE_DATA_DIR {path.parent} cannot be written to: {error.strerror}.") from None


def _make_directory(path: Path) -> None:
    """With the directories above it. A power cut must not take them, and all that was synced inside, so the name of
    each that is made is synced too."""
    made = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in made:
        sync_directory(one.parent)


def sync_directory(path: Path) -> None:
    """Brings the names in a directory to the disk; the files that they lead to are synced by themselves."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _from_file(path: Path) -> bytes:
    try:
        found = base64.b64decode(path.read_text().strip(), validate=True)
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be read: {error.strerror}.") from None
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != 32:
        raise SettingsError(f"The key file {path} must hold 32 bytes in base64 (openssl rand -base64 32).")
    return found


def tls_files(settings: Settings) -> tuple[Path | None, Path | None]:
    """Certificate and key to serve https with; a self-signed pair is made once, in the data directory."""
    if settings.tls_certificate and settings.tls_key:
        for path in (settings.tls_certificate, settings.tls_key):
            if not os.access(path, os.R_OK):
                raise SettingsError(f"The TLS file {path} cannot be read.")
        try:
            # Without a password, OpenSSL would ask for one at the terminal.
            ssl.create_default_context().load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
        except (OSError, ValueError):
            raise SettingsError(
                f"COGNATE_TLS_CERTIFICATE {settings.tls_certificate} and COGNATE_TLS_KEY {settings.tls_key} are no "
                "pair: expected a PEM certificate chain and its private key, without a password."
            ) from None
        return settings.tls_certificate, settings.tls_key
    if settings.tls != "self-signed":
        return None, None
    certificate, private = settings.data_dir / MADE_CERTIFICATE, settings.data_dir / "tls-key.pem"
    try:
        if not private.exists() or not _in_time(certificate):
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_certificate(settings, certificate, private)
    except OSError as error:
        raise SettingsError(f"COGNATE_DATA_DIR {settings.data_dir} cannot be used: {error.strerror}.") from None
    return certificate, private


def _in_time(certificate: Path) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return datetime.now(UTC) < found.not_valid_after_utc


def _make_certificate(settings: Settings, certificate: Path, private: Path) -> None:
    """For localhost, the base URL's host, and names below it: pools' domains."""
    host = urlsplit(settings.base_url).hostname or "localhost"
    names = [x509.DNSName(name) for name in dict.fromkeys(("localhost", "*.localhost"))]
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
    try:
        extra: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(host))]
    except ValueError:
        extra = [x509.DNSName(host), x509.DNSName(f"*.{host}")] if host != "localhost" else []
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Cognate development")])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses, *extra]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))


def migrate(app: Flask, seal: Sealer) -> None:
    """Bring the database to this version, and make what belongs to every installation.

    Raises SettingsError, and errors.ServiceUnavailable where a table was in use all the time.
    """
    migratable(app)
    from flask_migrate import upgrade

    with app.app_context():
        try:
            with _reading() as connection:
                found = _revision(connection)
            if found is not None and found not in revisions():
                raise SettingsError(f"The database is at revision {found}: a newer version of Cognate has migrated it.")
            upgrade()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == migrating.LOCKED:
                raise ServiceUnavailable from error
            if not _is_the_servers(error):
                raise
            raise _unusable(error, db.engine.url) from None
    create_secrets(app, seal)


def migratable(app: Flask) -> None:
    """Give the application Flask-Migrate. Imported here only: Alembic would be a sixth of the time a start takes."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(MIGRATIONS), render_as_batch=True)


@cache
def revisions() -> list[str]:
    """The revisions that this version knows, oldest first: files in migrations/versions begin with them."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def pending_migrations(app: Flask) -> str | None:
    """What keeps the database from being used, as the end of a sentence; None when it is ready.

    A revision that is not known here is a newer version's. Migrations expand before they contract, so servers of the
    version before go on while the new ones start.
    """
    with app.app_context():
        try:
            with _reading() as connection:
                if replaced(connection):
                    return "not reachable (its file was removed or replaced)"
                return behind(connection)
        except DBAPIError as error:
            return f"not reachable ({reason(error)})"


def behind(connection: Connection) -> str | None:
    """What is missing in the database, as the end of a sentence; None when it has what this version needs."""
    found = _revision(connection)
    if found is None:
        return EMPTY
    return f"at revision {found}, not at {revisions()[-1]}" if found in revisions()[:-1] else None


def demand_ready(app: Flask) -> None:
    """Refuse to serve what would fail every request. Raises SettingsError."""
    missing = pending_migrations(app)
    if missing is None and app.secret_key is None:
        missing = "without its secrets"  # a migration was interrupted at the end
    if missing is not None:
        raise SettingsError(f"The database is {missing}; run `cognate migrate` with the same settings.")


@contextmanager
def _reading() -> Iterator[Connection]:
    """A connection that only reads: health checks must not queue for the one writer's place that SQLite has."""
    with db.engine.connect().execution_options(**reading_options(str(db.engine.url))) as connection:
        yield connection


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _is_the_servers(error: DBAPIError) -> bool:
    """Whether the database server refuses, or cannot be reached; anything else is a mistake of ours."""
    return isinstance(error, OperationalError) or getattr(error.orig, "sqlstate", None) == "42501"


def _unusable(error: DBAPIError, url: URL) -> SettingsError:
    full = " (its disk is full)" if url.get_backend_name() == "sqlite" and _is_full(Path(url.database or "")) else ""
    return SettingsError(f"COGNATE_DATABASE_URL cannot be used: {reason(error)}{full}.")


def _is_full(file: Path) -> bool:
    """Whether there is no room for the files that SQLite opens beside its own: it calls that an I/O error."""
    try:
        return shutil.disk_usage(file.parent).free < _BESIDE_SQLITE
    except OSError:
        return False


def create_secrets(app: Flask, seal: Sealer) -> None:
    """Make what is missing, after a migration. Safe to run twice, and by two processes at once."""
    with app.app_context():
        for name in NAMES:
            row = InstallationSecret(
                name=name, sealed=seal.seal(secrets.token_bytes(32), about=seals.installation_secret(name))
            )
            _add_once(row)
        _add_once(Revision(id=1, number=1))


def _add_once(row: InstallationSecret | Revision) -> None:
    try:
        with db.session.begin():
            db.session.add(row)
    except IntegrityError:
        db.session.rollback()
    finally:
        db.session.close()


def open_secrets(app: Flask, seal: Sealer) -> Secrets | None:
    """The installation's secrets; None while the database has not been migrated.

    Raises SettingsError when the key is not the one that they were sealed with.
    """
    with app.app_context():
        try:
            with _reading() as connection:
                return secrets_in(connection, seal)
        except DBAPIError as error:
            raise _unusable(error, db.engine.url) from None
        except SettingsError:
            db.engine.dispose()  # the application will not be: its connections would be nobody's
            raise


def secrets_in(connection: Connection, seal: Sealer) -> Secrets | None:
    """As `open_secrets`, on a connection that is there."""
    if not inspect(connection).has_table(InstallationSecret.__tablename__):
        return None
    rows = connection.execute(select(InstallationSecret.name, InstallationSecret.sealed)).all()
    sealed = {name: text for name, text in rows}
    if set(NAMES) - sealed.keys():
        return None
    try:
        opened = {name: seal.open(sealed[name], about=seals.installation_secret(name)) for name in NAMES}
    except SealBroken:
        raise SettingsError(
            "The key is not the one that this database was made with (COGNATE_KEY, COGNATE_KEY_FILE, or the file "
            f"`key` in the data directory): that has the id {_key_ids(sealed)}. Nothing can be read without it: "
            "restore the right one, or while keys are replaced name it in COGNATE_OTHER_KEY_FILES."
        ) from None
    return Secrets(**opened)


def _key_ids(sealed: Mapping[str, str]) -> str:
    return " and ".join(sorted({key_id_of(text) or "unknown" for text in sealed.values()}))
