"""The file of a backup: whoever alters, cuts or invents one is found out, and nobody reads it without the keys."""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from app.crypto.seal import Seal
from app.upkeep import archive
from app.upkeep.archive import CHUNK, MAGIC, Archive, BackupRefused, Unlock, Writer, new_file, passphrase_from

HEADER = {"version": "1", "revision": "0009", "made_at": "2026-03-01T12:00:00+00:00"}
SEAL = Seal(bytes(range(32)))
CHUNKS = 4


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SCRYPT", {"n": 2, "r": 8, "p": 1})


def incompressible(number: int) -> str:
    return os.urandom(CHUNK // 2).hex()


def written(path: Path, unlock: Unlock = Unlock(), *, records: int = CHUNKS) -> list[str]:  # noqa: B008
    given = [incompressible(number) for number in range(records)]
    with new_file(path) as file:
        writer = Writer(file, SEAL, unlock, HEADER)
        for record in given:
            writer.write(record)
        writer.close()
    return given


def read(path: Path, unlock: Unlock = Unlock(), seal: Seal = SEAL) -> list[str]:  # noqa: B008
    found = Archive(path)
    found.unlock(seal, unlock)
    return list(found.records())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def start(path: Path) -> int:
    """Where the chunks begin."""
    given = written(path)
    assert read(path) == given
    raw = path.read_bytes()
    return len(MAGIC) + 4 + int.from_bytes(raw[len(MAGIC) : len(MAGIC) + 4], "big")


def refused(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    with pytest.raises(BackupRefused):
        read(path)


def test_a_backup_that_was_cut_is_refused_wherever_that_was(path: Path, start: int) -> None:
    raw = path.read_bytes()
    whole = CHUNK + 16
    assert len(raw) > start + 2 * whole
    edges = [start + whole * number for number in range(3)]
    for at in {0, 1, len(MAGIC), start - 1, *edges, *(edge + 1 for edge in edges), len(raw) - 1}:
        refused(path, raw[:at])


def test_a_backup_with_more_behind_it_is_refused(path: Path, start: int) -> None:
    raw = path.read_bytes()
    refused(path, raw + b"\0")
    refused(path, raw + raw[start:])


def test_an_altered_bit_is_noticed_wherever_it_is(path: Path, start: int) -> None:
    raw = path.read_bytes()
    for at in [*range(0, start, 7), start, start + CHUNK, start + CHUNK + 16, len(raw) - 1]:
        altered = bytearray(raw)
        altered[at] ^= 1
        refused(path, bytes(altered))


def test_chunks_cannot_change_places_or_be_left_out(path: Path, start: int) -> None:
    raw, whole = path.read_bytes(), CHUNK + 16
    first, second, rest = raw[start : start + whole], raw[start + whole : start + 2 * whole], raw[start + 2 * whole :]
    refused(path, raw[:start] + second + first + rest)
    refused(path, raw[:start] + second + rest)
    refused(path, raw[:start] + first + first + second + rest)


def test_two_backups_cannot_be_put_together(path: Path, start: int, tmp_path: Path) -> None:
    written(tmp_path / "other")
    raw, other, whole = path.read_bytes(), (tmp_path / "other").read_bytes(), CHUNK + 16
    refused(path, raw[: start + whole] + other[start + whole :])
    refused(path, other[:start] + raw[start:])


@pytest.mark.parametrize(
    "raw", [b"", b"SQLite format 3\0" + bytes(99), MAGIC, MAGIC + b"\0\0\0\2{}", MAGIC + b"\xff\xff\xff\xff"]
)
def test_what_is_no_backup_is_refused(path: Path, raw: bytes) -> None:
    refused(path, raw)


def test_a_header_of_json_that_is_no_object_is_refused(path: Path) -> None:
    for header in (b"[]", b"null", b'"x"', b'{"id":1}'):
        refused(path, MAGIC + len(header).to_bytes(4, "big") + header)


def test_a_file_that_is_not_there_is_one_line(path: Path) -> None:
    with pytest.raises(BackupRefused, match="cannot be read: No such file"):
        read(path)


# -- a passphrase ----------------------------------------------------------------------------------------------


def test_a_passphrase_opens_what_it_closed_together_with_the_key(path: Path) -> None:
    given = written(path, Unlock(passphrase="correct horse"))
    assert read(path, Unlock(passphrase="correct horse")) == given
    assert read(path, Unlock(ask=lambda: "correct horse")) == given
    for wrong in (Unlock(passphrase="wrong horse"), Unlock(), Unlock(ask=lambda: "")):
        with pytest.raises(BackupRefused, match="passphrase"):
            read(path, wrong)
    with pytest.raises(BackupRefused, match="made under the key"):
        read(path, Unlock(passphrase="correct horse"), Seal(bytes(32)))


def test_the_cost_of_a_guess_is_not_for_the_file_to_say(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a file could ask for all the memory there is."""
    written(path, Unlock(passphrase="correct horse"))
    monkeypatch.setattr(archive, "SCRYPT", {"n": 4, "r": 8, "p": 1})
    with pytest.raises(BackupRefused, match="altered"):
        read(path, Unlock(passphrase="correct horse"))


def test_a_passphrase_comes_from_the_first_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse\nand more\n")
    assert passphrase_from(file) == "correct horse"
    for content in (b"", b"\n", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(BackupRefused, match="passphrase file"):
            passphrase_from(file)
    with pytest.raises(BackupRefused, match="No such file"):
        passphrase_from(tmp_path / "nothing")


# -- age -------------------------------------------------------------------------------------------------------


@pytest.fixture
def identity(tmp_path: Path) -> tuple[str, Path]:
    made = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity"
    file.write_text(f"# created: today\n# public key: {made.to_public()}\n{made}\n")
    return str(made.to_public()), file


def test_age_opens_for_each_recipient(path: Path, identity: tuple[str, Path], tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    given = written(path, Unlock(recipients=(identity[0], str(other.to_public()))))
    (tmp_path / "other").write_text(f"{other}\n")
    assert read(path, Unlock(identity=identity[1])) == given == read(path, Unlock(identity=tmp_path / "other"))
    (tmp_path / "stranger").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    for file in ("stranger", "nothing"):
        with pytest.raises(BackupRefused):
            read(path, Unlock(identity=tmp_path / file))
    with pytest.raises(BackupRefused, match="--identity"):
        read(path)


def test_whoever_knows_the_recipient_cannot_make_a_backup(path: Path, identity: tuple[str, Path]) -> None:
    """An age recipient is public. Without the installation's key nothing that it accepts can be written."""
    with path.open("wb") as file:
        writer = Writer(file, Seal(bytes(32)), Unlock(recipients=(identity[0],)), HEADER)
        writer.write("planted")
        writer.close()
    with pytest.raises(BackupRefused):
        read(path, Unlock(identity=identity[1]))


def test_a_recipient_that_is_none_is_refused_before_anything_is_written(path: Path) -> None:
    with pytest.raises(BackupRefused, match="age1"):
        written(path, Unlock(recipients=("age1nobody",)))
    with pytest.raises(BackupRefused, match="exclude"):
        written(path, Unlock(passphrase="x", recipients=("age1nobody",)))
    assert list(path.parent.iterdir()) == []


# -- the file --------------------------------------------------------------------------------------------------


def test_it_is_for_its_owner_only_from_the_first_byte_and_has_its_name_when_it_is_whole(path: Path) -> None:
    before = os.umask(0)
    try:
        with new_file(path) as file:
            (draft,) = path.parent.iterdir()
            assert stat.S_IMODE(draft.stat().st_mode) == 0o600 and not path.exists()
            file.write(b"content")
    finally:
        os.umask(before)
    assert [one.name for one in path.parent.iterdir()] == ["backup"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_bytes() == b"content"


def failing(path: Path) -> Iterator[None]:
    with new_file(path) as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")
    yield


def test_a_backup_that_could_not_be_finished_leaves_nothing(path: Path) -> None:
    with pytest.raises(BackupRefused, match="No space left"):
        next(failing(path))
    assert list(path.parent.iterdir()) == []


def test_no_backup_takes_the_place_of_another_file(path: Path, tmp_path: Path) -> None:
    path.write_text("yesterday's")
    with pytest.raises(BackupRefused, match="there already"):
        written(path)
    assert path.read_text() == "yesterday's"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BackupRefused, match="there already"):
        written(tmp_path / "link")
    with pytest.raises(BackupRefused, match="cannot be written: No such file"):
        written(tmp_path / "nowhere" / "backup")
    with pytest.raises(BackupRefused, match="there already"):
        written(Path(""))  # as a script passes a variable that is not set


def test_what_is_in_it_cannot_be_read_in_the_file(path: Path) -> None:
    file = io.BytesIO()
    writer = Writer(file, SEAL, Unlock(), HEADER)
    writer.write("alice@example.com")
    writer.close()
    assert b"alice" not in file.getvalue() and b"0009" in file.getvalue()
