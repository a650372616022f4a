"""The data directory: who may read it, whose it is, and what disk it is on."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import installation
from app.config import Settings
from app.doctor import files
from app.doctor.finding import ADVICE, FINE, PROBLEM, Finding
from app.doctor.subject import Subject


@pytest.fixture
def installed(tmp_path: Path, unopened: Callable[[Settings], Subject]) -> Subject:
    settings = Settings(mode="development", data_dir=tmp_path / "var")
    installation.prepare(settings)
    return unopened(settings)


def wrong(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in found if one.state != FINE]


def plenty(**values: int) -> Callable[[Any], Any]:
    """A disk with room, whatever that of the tests has."""
    told = {"f_bavail": 1 << 30, "f_frsize": 4096} | values
    return lambda path: type("Disk", (), told)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "statvfs", plenty())
    yield


def test_what_was_just_made_is_fine(installed: Subject) -> None:
    assert wrong(files.check(installed)) == []


def test_a_wrong_directory_is_told_and_left_as_it_was(tmp_path: Path, unopened: Callable[[Settings], Subject]) -> None:
    (tmp_path / "wrong").mkdir()
    found = files.check(unopened(Settings(mode="development", data_dir=tmp_path / "wrong")))
    assert wrong(found) == [("database-file", PROBLEM), ("key", PROBLEM)]
    assert all(str(tmp_path / "wrong") in one.what and one.fix for one in found)
    assert list((tmp_path / "wrong").iterdir()) == []


@pytest.mark.parametrize("name", ["key", "cognate.sqlite"])
def test_a_file_that_anybody_may_read(installed: Subject, name: str) -> None:
    """The directory keeps others away, until somebody opens it."""
    directory = installed.settings.data_dir
    (directory / name).chmod(0o644)
    assert wrong(files.check(installed)) == []
    directory.chmod(0o755)
    (found,) = (one for one in files.check(installed) if one.state != FINE)
    assert (found.name, found.state, found.fix) == ("permissions", PROBLEM, f"chmod 600 {directory.absolute() / name}")


def test_a_key_that_is_mounted_for_everybody_is_advice(installed: Subject, tmp_path: Path) -> None:
    mounted = tmp_path / "secret"
    mounted.write_bytes((installed.settings.data_dir / "key").read_bytes())
    mounted.chmod(0o444)
    subject = replace(installed, settings=replace(installed.settings, key_file=mounted))
    assert wrong(files.check(subject)) == [("permissions", ADVICE)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_command_that_was_run_as_another_user(installed: Subject) -> None:
    os.chown(installed.settings.data_dir / "cognate.sqlite", 12345, -1)
    (found,) = (one for one in files.check(installed) if one.state != FINE)
    assert (found.name, found.state) == ("ownership", PROBLEM) and "12345" in found.what


@pytest.mark.parametrize(
    ("blocks", "expected"), [(1000, [("disk-space", PROBLEM)]), (200_000, [("disk-space", ADVICE)])]
)
def test_a_disk_that_is_nearly_full(
    installed: Subject, monkeypatch: pytest.MonkeyPatch, blocks: int, expected: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(os, "statvfs", plenty(f_bavail=blocks))
    assert wrong(files.check(installed)) == expected


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 22 0:50 / /srv rw - nfs4 files:/export rw
41 40 8:2 / /srv/local\\040disk rw - xfs /dev/sdb1 rw
42 40 0:51 / /srv/far shared:7 master:1 - fuse.sshfs far:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/cognate", "ext4"),
        ("/srv/cognate", "nfs4"),
        ("/srv/local disk/cognate", "xfs"),
        ("/srv/far/cognate", "fuse.sshfs"),
        ("/srvice", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert files.file_system(Path(path), tmp_path / "mountinfo") == kind
    assert (kind in files.NETWORK) == (kind in ("nfs4", "fuse.sshfs"))


def test_a_network_file_system_is_a_problem(installed: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "file_system", lambda path: "nfs4")
    assert wrong(files.check(installed)) == [("network-file-system", PROBLEM)]


def test_a_system_that_does_not_tell_its_mounts(tmp_path: Path) -> None:
    assert files.file_system(tmp_path, tmp_path / "absent") is None
