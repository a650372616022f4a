"""The file format of a backup: a header that anybody can read, and after it records that are compressed and encrypted.

    magic, length of the header (4 bytes), header (JSON), chunks

A chunk is 64 KiB, the last one less, under AES-256-GCM. Its nonce is its number, with a mark on the last one; the
header and the magic are authenticated with each. So a file that was cut, altered, put together from two, or made by
somebody else does not open.

The key of the chunks is derived from a random one that is sealed under the installation's key, and, if the operator
wants that, from a second one that only a passphrase (scrypt) or an age identity gives. The first is always there: age
keys are public, so anybody could otherwise make a backup that an installation would restore.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from app.crypto.seal import Seal, SealBroken, key_id_of
from app.errors import InvalidParameter
from app.installation import sync_directory

MAGIC = b"cognate backup 1\n"
CHUNK = 64 * 1024
LONGEST_HEADER = 64 * 1024
SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""OWASP's Password Storage Cheat Sheet: 128 MiB of memory for each guess."""
_TAG = 16


class BackupRefused(InvalidParameter):
    """A file that is no backup, or cannot be taken as one, or not here."""


@dataclass(frozen=True)
class Unlock:
    """What an archive is protected with besides the installation's key, and what opens that: nothing, a passphrase, or
    age (recipients to write, the file of an identity to read)."""

    passphrase: str = ""
    ask: Callable[[], str] | None = None
    """Asks for the passphrase of an archive that has one, if it was not given."""
    recipients: Sequence[str] = ()
    identity: Path | None = None


class Writer:
    """Takes records and writes an archive into a file that is open."""

    def __init__(self, file: IO[bytes], seal: Seal, unlock: Unlock, header: Mapping[str, Any]) -> None:
        own, (outer, protection) = secrets.token_bytes(32), _protected(unlock)
        number = secrets.token_hex(16)
        header = {**header, "id": number, "key": seal.seal(own, about=_about(number)), "protection": protection}
        encoded = orjson.dumps(header)
        start = MAGIC + len(encoded).to_bytes(4, "big") + encoded
        self._file, self._cipher, self._start = file, AESGCM(_derived(own, outer)), hashlib.sha256(start).digest()
        self._compress = zlib.compressobj(1)
        self._pending = bytearray()
        self._number = 0
        file.write(start)

    def write(self, record: Any) -> None:
        self._pending += self._compress.compress(orjson.dumps(record) + b"\n")
        while len(self._pending) > CHUNK:  # what fills a chunk exactly may be the last one
            self._chunk(bytes(self._pending[:CHUNK]), last=False)
            del self._pending[:CHUNK]

    def close(self) -> None:
        self._pending += self._compress.flush()
        while len(self._pending) > CHUNK:
            self._chunk(bytes(self._pending[:CHUNK]), last=False)
            del self._pending[:CHUNK]
        self._chunk(bytes(self._pending), last=True)

    def _chunk(self, plain: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), plain, self._start))
        self._number += 1


class Archive:
    """A backup that is read. Its header is believed only after `records` has begun."""

    def __init__(self, path: Path) -> None:
        """Raises BackupRefused for what is no backup, by its beginning."""
        self.path = path
        try:
            with path.open("rb") as file:
                self.header, self._start = self._read_header(file)
        except OSError as error:
            raise BackupRefused(f"The backup {path} cannot be read: {error.strerror}.") from None
        self._key: bytes | None = None

    def _read_header(self, file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
        magic, length = file.read(len(MAGIC)), int.from_bytes(file.read(4), "big")
        if magic != MAGIC or not 0 < length <= LONGEST_HEADER:
            raise BackupRefused(f"{self.path} is no backup that this version of Cognate can read.")
        encoded = file.read(length)
        try:
            found = orjson.loads(encoded)
            expected = {"id": str, "key": str, "made_at": str, "revision": str, "version": str, "protection": dict}
            if any(not isinstance(found[name], kind) for name, kind in expected.items()):
                raise KeyError
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise self._damaged() from None
        return found, magic + length.to_bytes(4, "big") + encoded

    def unlock(self, seal: Seal, unlock: Unlock) -> None:
        """Find the key of its chunks. Raises BackupRefused."""
        try:
            own = seal.open(self.header["key"], about=_about(self.header["id"]))
        except SealBroken:
            named = key_id_of(self.header["key"]) or "unknown"
            if named in seal.key_ids:
                raise self._damaged() from None
            raise BackupRefused(
                f"{self.path} was made under the key {named}, and the keys that were given are "
                f"{', '.join(seal.key_ids)}: put that key back, or name its file in COGNATE_OTHER_KEY_FILES."
            ) from None
        try:
            self._key = _derived(own, _opened(self.header["protection"], unlock))
        except (KeyError, TypeError, ValueError):
            raise self._damaged() from None

    def records(self) -> Iterator[Any]:
        """Its records, each checked before it is given. Raises BackupRefused where the file was altered or is cut; what
        came before that was in a backup, but may not be all of it."""
        decompress, rest = zlib.decompressobj(), b""
        for plain in self._chunks():
            *lines, rest = (rest + decompress.decompress(plain)).split(b"\n")
            for line in lines:
                yield orjson.loads(line)
        if rest or not decompress.eof:
            raise self._damaged()

    def tables(self) -> Iterator[tuple[str, list[list[str]], Iterator[list[Any]]]]:
        """Each table: its name, name and kind of its columns, and its rows, which are to be taken before the next table
        is. Raises what `records` does."""
        records = self.records()
        heading = next(records)
        while "table" in heading:
            following: list[dict[str, Any]] = []

            def rows(following: list[dict[str, Any]] = following) -> Iterator[list[Any]]:
                for record in records:
                    if isinstance(record, dict):
                        following.append(record)
                        return
                    yield record

            yield heading["table"], heading["columns"], rows()
            (heading,) = following

    def _chunks(self) -> Iterator[bytes]:
        if self._key is None:
            raise RuntimeError("unlock it first")
        cipher, start = AESGCM(self._key), hashlib.sha256(self._start).digest()
        with self.path.open("rb") as file:
            file.seek(len(self._start))
            number, chunk = 0, file.read(CHUNK + _TAG)
            while True:
                following = file.read(CHUNK + _TAG)
                try:
                    plain = cipher.decrypt(_nonce(number, last=not following), chunk, start)
                except (InvalidTag, ValueError):
                    if number == 0 and self.header["protection"].get("kind") == "passphrase":
                        raise BackupRefused(
                            f"The passphrase does not open {self.path}, or the file was altered or is not whole."
                        ) from None
                    raise self._damaged() from None
                yield plain
                if not following:
                    return
                number, chunk = number + 1, following

    def _damaged(self) -> BackupRefused:
        return BackupRefused(f"The backup {self.path} was altered or is not whole: nothing of it is used.")


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for its owner only, which gets its name when it is whole and on the disk. Raises BackupRefused."""
    try:
        if path.exists() or path.is_symlink():
            raise BackupRefused(f"{path} is there already: name another file, or remove it.")
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise BackupRefused(f"The backup {path} cannot be written: {error.strerror}.") from None


def passphrase_from(path: Path) -> str:
    """The first line of a file. Raises BackupRefused."""
    try:
        found = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BackupRefused(f"The passphrase file {path} cannot be read: {why}.") from None
    if not found or not found[0]:
        raise BackupRefused(f"The passphrase file {path} is empty: its first line is the passphrase.")
    return found[0]


def _protected(unlock: Unlock) -> tuple[bytes, dict[str, Any]]:
    """The second key, and what of it stands in the header."""
    if unlock.passphrase and unlock.recipients:
        raise BackupRefused("A passphrase and age recipients exclude each other: give one of them.")
    if unlock.passphrase:
        salt = secrets.token_bytes(16)
        kind = {"kind": "passphrase", "salt": base64.b64encode(salt).decode("ascii"), **SCRYPT}
        return _stretched(unlock.passphrase, salt, **SCRYPT), kind
    if unlock.recipients:
        import pyrage

        key = secrets.token_bytes(32)
        try:
            recipients = [pyrage.x25519.Recipient.from_str(one) for one in unlock.recipients]
        except pyrage.RecipientError:
            raise BackupRefused("A recipient of age begins with age1 and is whole: see `age-keygen -y`.") from None
        return key, {"kind": "age", "wrapped": base64.b64encode(pyrage.encrypt(key, recipients)).decode("ascii")}
    return b"", {"kind": "none"}


def _opened(protection: Mapping[str, Any], unlock: Unlock) -> bytes:
    if protection["kind"] == "none":
        return b""
    if protection["kind"] == "passphrase":
        if {name: protection[name] for name in SCRYPT} != SCRYPT:
            raise ValueError("another cost could be made to take all memory")
        passphrase = unlock.passphrase or (unlock.ask() if unlock.ask else "")
        if not passphrase:
            raise BackupRefused(
                "The backup is encrypted under a passphrase: give it in COGNATE_BACKUP_PASSPHRASE or --passphrase-file."
            )
        return _stretched(passphrase, base64.b64decode(protection["salt"]), **SCRYPT)
    if protection["kind"] != "age":
        raise ValueError("unknown protection")
    if unlock.identity is None:
        raise BackupRefused("The backup is encrypted with age: give the file of an identity (--identity).")
    import pyrage

    try:
        lines = [line.strip() for line in unlock.identity.read_text().splitlines()]
        identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
        key: bytes = pyrage.decrypt(base64.b64decode(protection["wrapped"]), identities)
        return key
    except OSError as error:
        raise BackupRefused(f"The identity file {unlock.identity} cannot be read: {error.strerror}.") from None
    except (pyrage.IdentityError, pyrage.DecryptError, ValueError):
        raise BackupRefused(f"No identity in {unlock.identity} opens the backup.") from None


def _stretched(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode("utf-8", "surrogatepass"))


def _derived(own: bytes, outer: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=MAGIC).derive(own + outer)


def _nonce(number: int, last: bool) -> bytes:
    """Never the same twice under one key, which is used for one file."""
    return number.to_bytes(11, "big") + bytes([last])


def _about(number: str) -> str:
    return f"key of backup {number}"
