"""The data directory and what is in it: whether it is there, whose it is, who may read it, and on what disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from app import installation
from app.config import Settings, SettingsError
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject

tell = Group("files")

LITTLE = 1 << 30
"""Bytes of free disk from which on it is advised to make room."""
TOO_LITTLE = 100 << 20
NETWORK = frozenset("9p afs ceph cifs fuse.glusterfs fuse.sshfs glusterfs lustre ncpfs nfs nfs4 smb3 smbfs".split())
"""File systems whose files are on another host. Their locks and shared memory are not what SQLite needs."""
MOUNTS = Path("/proc/self/mountinfo")


def check(subject: Subject) -> list[Finding]:
    settings = subject.settings
    found = [*_missing(settings)]
    if settings.data_dir.is_dir():
        found += [*_access(settings), *_disk(settings)]
    if not found:
        found.append(
            tell.fine("data-directory", f"{settings.data_dir.absolute()} is there, and nobody else may read it.")
        )
    return found


def _missing(settings: Settings) -> Iterator[Finding]:
    try:
        installation.demand_database(settings)
    except SettingsError as wrong:
        fix = "COGNATE_DATA_DIR=<the directory of the installation>; for a new one, run `cognate migrate`"
        yield tell.problem("database-file", str(wrong), fix)
    try:
        installation.key(settings)
    except SettingsError as wrong:
        fix = "put the key back, name it in COGNATE_KEY_FILE, or name the right directory in COGNATE_DATA_DIR"
        yield tell.problem("key", str(wrong), fix)


def _access(settings: Settings) -> Iterator[Finding]:
    directory = settings.data_dir.absolute()
    owner = directory.stat().st_uid
    if not os.access(directory, os.W_OK | os.X_OK):
        fix = f"run this as the owner (uid {owner}), or chown the directory to the user that the server runs as"
        yield tell.problem(
            "data-directory", f"{directory} cannot be written to by this user (uid {os.geteuid()}).", fix
        )
    if directory.stat().st_mode & stat.S_IWOTH:
        yield tell.problem(
            "data-directory", f"Anybody on this host may write to {directory}.", f"chmod 700 {directory}"
        )
    for path in _secret_files(settings):
        try:
            status = path.stat()
        except OSError:
            continue
        mode = stat.S_IMODE(status.st_mode)
        ours = path.parent == directory
        if mode & (stat.S_IROTH | stat.S_IWOTH) and (not ours or directory.stat().st_mode & stat.S_IXOTH):
            say = tell.problem if ours else tell.advice  # orchestrators mount secrets for all users of a container
            yield say("permissions", f"Anybody on this host may read {path} (mode {mode:o}).", f"chmod 600 {path}")
        if ours and status.st_uid != owner:
            what = (
                f"{path} belongs to uid {status.st_uid}, and its directory to uid {owner}: a command was run as another"
            )
            yield tell.problem("ownership", f"{what} user.", f"chown {owner} {path}, and run commands as that user")


def _secret_files(settings: Settings) -> Iterator[Path]:
    directory = settings.data_dir.absolute()
    if not settings.key:
        yield settings.key_file.absolute() if settings.key_file else directory / installation.KEY_FILE
    if settings.tls_key:
        yield settings.tls_key.absolute()
    database = database_file(settings)
    if database:
        yield from (database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm", "-version"))


def database_file(settings: Settings) -> Path | None:
    """SQLite's file."""
    url = make_url(settings.database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _disk(settings: Settings) -> Iterator[Finding]:
    database = database_file(settings)
    where = database.parent if database and database.parent.is_dir() else settings.data_dir.absolute()
    kind = file_system(where)
    if kind in NETWORK:
        what = f"{where} is on a network file system ({kind}), where locks and shared memory do not work as they must"
        yield tell.problem("network-file-system", f"{what}.", "COGNATE_DATA_DIR=<a directory on a disk of this host>")
    status = os.statvfs(where)
    free = status.f_bavail * status.f_frsize
    if free < LITTLE:
        say = tell.problem if free < TOO_LITTLE else tell.advice
        yield say("disk-space", f"{free >> 20} MiB are free in {where}.", "make room on that disk")


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of file system that a path is on; None where the system does not tell."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    found: tuple[int, str] | None = None
    real = path.resolve()
    for line in lines:  # `36 35 98:0 / /mnt rw - ext4 /dev/root rw`; spaces in names are \040
        left, dash, right = line.partition(" - ")
        if not dash:
            continue
        point = Path(left.split()[4].replace("\\040", " "))
        if real.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), right.split()[0]
    return found[1] if found else None
