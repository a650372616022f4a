"""What an installation is made of besides settings: its key, and the secrets that the key opens.

The key-encryption key comes from the environment or a file; else it is made in the data directory, readable by its
owner only. It seals, in the database, the secrets that keyed hashes and cookies are made with. A wrong key cannot
open them, and is noticed before anything is served: it would otherwise look as if nobody's password were right.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError, OperationalError

from app.config import Settings, SettingsError
from app.crypto.seal import Seal, SealBroken
from app.db import db
from app.models import InstallationSecret, Revision

NAMES = ("hashes", "cookies")
KEY_FILE = "key"


@dataclass(frozen=True)
class Secrets:
    hashes: bytes
    cookies: bytes


def key(settings: Settings) -> bytes:
    """The key-encryption key, 32 bytes; made at the first start where none is given. Raises SettingsError."""
    if settings.key:
        return settings.key
    if settings.key_file:
        return _from_file(settings.key_file)
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        _make(path)
    return _from_file(path)


def _make(path: Path) -> None:
    """Written under another name and linked: of two processes that start at once, one makes the key."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)).decode("ascii") + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise SettingsError(f"COGNATE_DATA_DIR {path.parent} cannot be written to: {error.strerror}.") from None


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
        return settings.tls_certificate, settings.tls_key
    if settings.tls != "self-signed":
        return None, None
    certificate, private = settings.data_dir / "tls-certificate.pem", settings.data_dir / "tls-key.pem"
    if not certificate.exists() or not private.exists():
        _make_certificate(settings, certificate, private)
    return certificate, private


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


def migrate(app: Flask, seal: Seal) -> None:
    """Bring the database to this version, and make what belongs to every installation."""
    with app.app_context():
        try:
            upgrade()
        except OperationalError as error:
            raise SettingsError(f"COGNATE_DATABASE_URL cannot be used: {_reason(error)}") from None
    create_secrets(app, seal)


def pending_migrations(app: Flask) -> str | None:
    """What keeps the database from being used, as the end of a sentence; None when it is ready."""
    with app.app_context():
        script = ScriptDirectory.from_config(app.extensions["migrate"].migrate.get_config())
        try:
            with db.engine.connect() as connection:
                found = MigrationContext.configure(connection).get_current_revision()
        except OperationalError as error:
            return f"not reachable ({_reason(error)})"
    if found == script.get_current_head():
        return None
    return "empty" if found is None else f"at revision {found}, not at {script.get_current_head()}"


def _reason(error: OperationalError) -> str:
    """The driver's first line. (SQLAlchemy's own text quotes statements, and the URL with its password.)"""
    return str(error.orig).strip().splitlines()[0]


def create_secrets(app: Flask, seal: Seal) -> None:
    """Make what is missing, after a migration. Safe to run twice, and by two processes at once."""
    with app.app_context():
        for name in NAMES:
            row = InstallationSecret(name=name, sealed=seal.seal(secrets.token_bytes(32), about=_about(name)))
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


def open_secrets(app: Flask, seal: Seal) -> Secrets | None:
    """The installation's secrets; None while the database has not been migrated.

    Raises SettingsError when the key is not the one that they were sealed with.
    """
    with app.app_context():
        try:
            if not inspect(db.engine).has_table(InstallationSecret.__tablename__):
                return None
        except OperationalError as error:
            raise SettingsError(f"COGNATE_DATABASE_URL cannot be used: {_reason(error)}") from None
        with db.session.begin():
            sealed = {row.name: row.sealed for row in db.session.scalars(select(InstallationSecret))}
        db.session.close()
    if set(NAMES) - sealed.keys():
        return None
    try:
        opened = {name: seal.open(sealed[name], about=_about(name)) for name in NAMES}
    except SealBroken:
        raise SettingsError(
            "The key is not the one that this database was made with (COGNATE_KEY, COGNATE_KEY_FILE, or the file "
            "`key` in the data directory). Nothing can be read without it: restore the right one."
        ) from None
    return Secrets(**opened)


def _about(name: str) -> str:
    return f"installation {name}"
