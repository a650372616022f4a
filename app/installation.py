"""What an installation is made of besides settings: its key, and the secrets that the key opens.

The key-encryption key comes from the environment or a file; else it is made in the data directory, readable by its
owner only. It seals, in the database, the secrets that keyed hashes and cookies are made with. A wrong key cannot
open them, and is noticed before anything is served: it would otherwise look as if nobody's password were right.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError

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
        if not inspect(db.engine).has_table(InstallationSecret.__tablename__):
            return None
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
