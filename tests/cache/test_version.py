"""The version in shared memory: one file for all processes of a host, and what happens to files."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cache.version import SIZE, Version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "version"


def attached(path: Path, *, make: bool = True) -> Version:
    version = Version(path, make=make)
    version.attach()
    return version


def test_what_one_moves_the_other_sees(path: Path) -> None:
    one, other = attached(path), attached(path)
    assert one.shared and one.value == other.value
    moved = one.move(7)
    assert (other.value, other.revision) == (moved, 7)


def test_a_forked_process_shares_it(path: Path) -> None:
    """As the workers of a server that makes its application first and forks then."""
    version = attached(path)
    before = version.value
    child = os.fork()
    if not child:
        version.move(7)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert version.value != before and version.revision == 7


def test_no_value_comes_twice(path: Path) -> None:
    one, other = attached(path), attached(path)
    seen = {version.move(1) for _ in range(5000) for version in (one, other)}
    assert len(seen) == 10_000 and 0 not in seen


def test_processes_that_move_it_at_once_leave_a_value_that_nobody_has_seen(path: Path) -> None:
    """A counter would lose one of two additions, and come back to a number that a reader has seen."""
    version = attached(path)
    before = version.value
    seen = {before}
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            mine = attached(path)
            for number in range(2000):
                mine.move(number)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert version.value not in seen


def test_the_file_is_for_its_owner_whatever_the_umask(path: Path) -> None:
    old = os.umask(0)
    try:
        attached(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == SIZE


def test_it_is_there_after_a_restart_and_means_nothing(path: Path) -> None:
    attached(path).move(7)
    version = attached(path)
    assert version.shared and version.revision == 7
    assert version.value != attached(path).move(8)


def test_a_command_makes_no_file_and_uses_the_one_of_a_server(path: Path) -> None:
    command = attached(path, make=False)
    assert not command.shared and not path.exists()
    server = attached(path)
    command.attach()
    assert command.shared
    assert command.move(7) == server.value


def test_a_command_makes_no_directory_either(tmp_path: Path) -> None:
    attached(tmp_path / "wrong" / "version", make=False)
    assert list(tmp_path.iterdir()) == []
    attached(tmp_path / "right" / "version")
    assert stat.S_IMODE((tmp_path / "right").stat().st_mode) == 0o700


@pytest.mark.parametrize("how", ["removed", "replaced", "moved away"])
def test_a_file_that_is_taken_away_parts_them_until_the_next_question(
    path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = attached(path), attached(path)
    if how == "moved away":
        path.rename(path.with_name("elsewhere"))
    else:
        path.unlink()
    if how == "replaced":
        path.write_bytes(bytes(SIZE))
    before = one.value
    one.attach()
    assert one.value != before, "what was cached under the old file is not believed"
    other.attach()
    assert one.move(7) == other.value
    assert caplog.text == ""


def test_a_file_that_is_too_short_is_made_longer(path: Path) -> None:
    """Touched beyond its end, mapped memory would end the process."""
    path.write_bytes(b"short")
    version = attached(path)
    assert version.move(7) == attached(path).value


def a_directory(path: Path) -> None:
    path.mkdir()


def a_link_to_somebody_elses_file(path: Path) -> None:
    target = path.with_name("precious")
    target.write_bytes(b"precious")
    path.symlink_to(target)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_file_in_the_way_of_its_directory(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_bytes(b"")


@pytest.mark.parametrize(
    "there", [a_directory, a_link_to_somebody_elses_file, a_pipe, a_file_in_the_way_of_its_directory]
)
def test_what_cannot_be_shared_is_said_once_and_the_process_goes_on_alone(
    tmp_path: Path, there: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data" / "version"
    path.parent.mkdir()
    there(path)
    with caplog.at_level(logging.WARNING):
        version = attached(path)
        for _ in range(3):
            version.attach()
    assert not version.shared
    assert version.value == version.value != version.move(7) == version.value
    (line,) = [record.getMessage() for record in caplog.records]
    assert str(path) in line and "cannot be shared by the processes of this host" in line
    if (tmp_path / "data" / "precious").exists():
        assert (tmp_path / "data" / "precious").read_bytes() == b"precious"
