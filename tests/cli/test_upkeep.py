"""`cognate backup`, `restore`, `verify`, `rotate-kek`: what they print, refuse and end with."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app import installation
from app.cli import opening
from app.config import PREFIX, Settings
from app.crypto.seal import Seal
from app.env import Env
from app.models import Password, Pool, Restoration, User
from app.tokens import refresh
from app.upkeep import archive
from tests.build import a_pool, a_user
from tests.cli.conftest import Run
from tests.cli.test_cli import ROOT, cognate
from tests.conftest import KEY, Clock
from tests.tokens.test_refresh import HERE, rotating
from tests.tokens.test_tokens import issued

NEW = bytes(reversed(range(32)))
OLD_ID, NEW_ID = Seal(KEY).key_id, Seal(NEW).key_id


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(archive, "SCRYPT", {"n": 2, "r": 8, "p": 1})
    monkeypatch.setattr(opening, "now", clock)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "saved")


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def users(env: Env) -> int:
    with env.reading() as session:
        return session.scalar(select(func.count()).select_from(User)) or 0


def test_a_backup_is_written_and_restored(run: Run, env: Env, pool: Pool, alice: User, file: str) -> None:
    done = run("backup", file)
    assert (
        done.exit_code == 0
        and f"revision {installation.revisions()[-1]}; to be restored with the key {OLD_ID}.\n" in done.output
    )
    a_user(env, pool, "bob", email=None)
    refused = run("restore", file)
    assert isinstance(refused.exception, archive.BackupRefused) and users(env) == 2
    done = run("restore", file, "--replace")
    assert done.exit_code == 0 and done.output.endswith("rows as of 2026-03-01 12:00:00 UTC.\n")
    assert users(env) == 1


def test_json_is_for_programs(run: Run, env: Env, alice: User, file: str) -> None:
    written = json.loads(run("backup", file, "--json").stdout)
    assert written["rows"]["user"] == 1 and written["key_ids"] == [OLD_ID] and written["bytes"] == os.stat(file).st_size
    assert json.loads(run("verify", file, "--json").stdout) == []
    restored = json.loads(run("restore", file, "--replace", "--json").stdout)
    assert restored["rows"] == written["rows"] and restored["accept_older_until"] is None
    done = json.loads(run("rotate-kek", "--json").stdout)
    assert done == {"key_id": OLD_ID, "sealed": 0, "remaining": {}}


@pytest.mark.parametrize("way", ["file", "environment", "typed"])
def test_a_passphrase_is_never_an_argument(
    run: Run, env: Env, alice: User, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "passphrase").write_text("correct horse\n")
    with_file = ("--passphrase-file", str(tmp_path / "passphrase"))
    match way:
        case "file":
            assert run("backup", file, *with_file).exit_code == 0
        case "environment":
            with monkeypatch.context() as patch:
                patch.setenv("COGNATE_BACKUP_PASSPHRASE", "correct horse")
                assert run("backup", file).exit_code == 0
        case "typed":
            assert run("backup", file, "--passphrase", typed="correct horse\ncorrect horse\n").exit_code == 0
    assert isinstance(run("verify", file).exception, archive.BackupRefused)
    assert run("verify", file, *with_file).exit_code == 0
    assert run("restore", file, "--replace", *with_file).exit_code == 0


def test_a_backup_for_an_age_key(run: Run, env: Env, alice: User, file: str, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    assert run("backup", file, "--recipient", str(identity.to_public())).exit_code == 0
    assert isinstance(run("restore", file, "--replace").exception, archive.BackupRefused)
    assert run("restore", file, "--replace", "--identity", str(tmp_path / "identity")).exit_code == 0


def test_newer_refresh_tokens_are_accepted_for_as_long_as_was_said(
    run: Run, env: Env, pool: Pool, alice: User, file: str, clock: Clock
) -> None:
    client = rotating(env, pool)
    token = issued(env, client, alice).refresh
    run("backup", file)
    for _ in range(2):
        clock.forward(hours=1)
        token = refresh.tokens(env, client, token, oauth=False, origin=HERE).refresh or ""
    done = run("restore", file, "--replace", "--accept-older-refresh-tokens", "12h")
    assert "Newer refresh tokens are accepted until 2026-03-02 02:00:00 UTC.\n" in done.output
    with env.reading() as session:
        noted = session.scalars(select(Restoration)).one()
    assert noted.accept_older_until == clock() + timedelta(hours=12)
    clock.forward(hours=1)
    assert refresh.tokens(env, client, token, oauth=False, origin=HERE).refresh


@pytest.mark.parametrize("duration", ["12", "0h", "h", "-1h", "1y", "1h30m", "999999d", "٣h"])
def test_a_duration_that_is_none_is_a_usage_error(run: Run, file: str, duration: str) -> None:
    done = run("restore", file, "--accept-older-refresh-tokens", duration)
    assert done.exit_code == 2 and "such as 30m, 12h or 7d" in done.output


def test_verify_ends_with_one_and_names_what_it_cannot_open(
    run: Run, env: Env, pool: Pool, alice: User, file: str
) -> None:
    assert run("verify").exit_code == 0
    stranger = Seal(bytes(32))
    with env.transaction():
        env.db.execute(update(Password).values(srp_verifier=stranger.seal(b"x", about="y")))
    run("backup", file)
    for arguments in ((), (file,)):
        done = run("verify", *arguments)
        assert done.exit_code == 1
        assert f"password  srp_verifier  {alice.sub}  {pool.id}  {stranger.key_id}\n" in done.stdout
        assert "Could not be opened: 1." in done.stderr
        (listed,) = json.loads(run("verify", *arguments, "--json").stdout)
        assert listed["key_id"] == stranger.key_id and listed["pool"] == pool.id


def test_the_key_is_replaced(
    run: Run, env: Env, alice: User, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", file)
    for name, key in (("old", KEY), ("new", NEW)):
        (tmp_path / name).write_text(base64.b64encode(key).decode())
    monkeypatch.delenv("COGNATE_KEY")
    monkeypatch.setenv("COGNATE_KEY_FILE", str(tmp_path / "new"))
    assert run("rotate-kek").exit_code == 1, "without the key before, nothing opens"
    monkeypatch.setenv("COGNATE_OTHER_KEY_FILES", f"{tmp_path}/old")
    done = run("rotate-kek")
    assert done.exit_code == 0
    assert f"values sealed anew under {NEW_ID}.\nNothing is sealed under another key.\n" in done.output
    monkeypatch.delenv("COGNATE_OTHER_KEY_FILES")
    assert run("verify").exit_code == 0
    assert "made under the key" in str(run("restore", file, "--replace").exception), "an older backup has the older key"
    monkeypatch.setenv("COGNATE_OTHER_KEY_FILES", f"{tmp_path}/old")
    assert run("restore", file, "--replace").exit_code == 0
    assert run("rotate-kek").exit_code == 0


def test_what_is_left_under_another_key_is_an_error(
    run: Run, env: Env, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with env.transaction():
        env.db.execute(update(Password).values(srp_verifier=Seal(bytes(32)).seal(b"x", about="y")))
    done = run("rotate-kek")
    assert done.exit_code == 1 and f"Not all is under {OLD_ID}: 1 under {Seal(bytes(32)).key_id}." in done.output


@pytest.mark.slow
def test_a_rotation_that_was_killed_is_taken_up_where_it_was(
    env: Env, settings: Settings, another_app: Callable[..., Flask], alice: User, tmp_path: Path
) -> None:
    for name, key in (("old", KEY), ("new", NEW)):
        (tmp_path / name).write_text(base64.b64encode(key).decode())
    environ = {
        "COGNATE_DATABASE_URL": settings.database_url,
        "COGNATE_DATA_DIR": str(tmp_path),
        "COGNATE_KEY_FILE": str(tmp_path / "new"),
        "COGNATE_OTHER_KEY_FILES": str(tmp_path / "old"),
    }
    killing = """
import os, signal
from app.cli import main
from app.upkeep import sealed_values

real, sealed_values.BATCH = sealed_values._reseal, 1

def one(env, seal, sealed, rows):
    if sealed.table == "signing_key":
        os.kill(os.getpid(), signal.SIGKILL)
    return real(env, seal, sealed, rows)

sealed_values._reseal = one
main()
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    killed = subprocess.run([sys.executable, "-c", killing, "rotate-kek"], cwd=ROOT, env=clean | environ, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    both = cognate("verify", environ=environ)
    assert both.returncode == 0 and f"2 under {NEW_ID}" in both.stderr, "the secrets of the installation were the first"
    assert cognate("rotate-kek", environ=environ).returncode == 0
    alone = {name: value for name, value in environ.items() if name != "COGNATE_OTHER_KEY_FILES"}
    done = cognate("verify", environ=alone)
    assert done.returncode == 0 and OLD_ID not in done.stderr


@pytest.mark.slow
def test_a_new_machine_needs_the_backup_and_the_key_and_nothing_else(
    run: Run, env: Env, alice: User, file: str, tmp_path: Path
) -> None:
    run("backup", file)
    new = {"COGNATE_DATA_DIR": str(tmp_path / "new")}
    refused = cognate("restore", file, environ=new)
    assert refused.returncode == 2 and "has no key" in refused.stderr and not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "key").write_text(base64.b64encode(KEY).decode())
    assert cognate("restore", file, environ=new).returncode == 0
    listed = cognate("user", "list", alice.pool_id, "--json", environ=new)
    assert [one["username"] for one in json.loads(listed.stdout)] == ["alice"]
