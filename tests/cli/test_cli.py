"""The command line: what it prints, and how it ends."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import __version__, cli, errors
from app.cache import STALE_AFTER
from app.config import PREFIX, Settings, SettingsError
from app.env import Env
from app.pools import access_keys
from app.server import supervisor
from app.tokens import keys
from tests.build import a_pool
from tests.cli.conftest import KEY_TEXT, Run
from tests.conftest import KEY, Clock
from tests.ports import free_port

DOCUMENT = Path(__file__).parents[2] / "docs" / "command-line.md"

ROOT = Path(__file__).parents[2]


def cognate(*arguments: str, environ: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs a command as an operator does; on a port that is free, while a demo may be running on the usual one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    clean |= {f"{PREFIX}PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        cwd=ROOT,
        env=clean | (environ or {}),
        capture_output=True,
        text=True,
        timeout=300,
    )


# -- help ------------------------------------------------------------------------------------------------------


def commands(group: object, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *names, name)


@pytest.mark.parametrize("command", list(commands(cli.cognate)), ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself_without_settings(
    command: tuple[str, ...], flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COGNATE_MODE", "nonsense")
    done = CliRunner().invoke(cli.cognate, [*command, flag])
    assert done.exit_code == 0 and "Usage:" in done.output
    assert re.search(r"(?s)\n  [A-Z].*?\.\n", done.output), "a sentence that says what it does"


def test_it_tells_its_version() -> None:
    assert CliRunner().invoke(cli.cognate, ["--version"]).output == f"cognate {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--port", "1"], ["access-key", "revoke"], ["rotate-keys"]]
)
def test_a_mistake_in_the_command_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli.cognate, arguments).exit_code == 2


def test_the_documents_name_commands_that_exist() -> None:
    known = {" ".join(names) for names in commands(cli.cognate) if names}
    for document in (*(ROOT / "docs").glob("**/*.md"), ROOT / "README.md", ROOT / "Dockerfile"):
        for line in re.findall(r"(?:`|bin/|run .*)cognate ([a-z-]+(?: [a-z-]+)?)", document.read_text()):
            assert line in known or line.split()[0] in known, f"{document.name}: cognate {line}"


# -- access keys -----------------------------------------------------------------------------------------------


def made(run: Run, *arguments: str) -> tuple[str, str]:
    done = run("access-key", "create", *arguments)
    assert done.exit_code == 0
    found = re.fullmatch(r"AWS_ACCESS_KEY_ID=(AKIA\w{16})\nAWS_SECRET_ACCESS_KEY=(\S{40})\n", done.output)
    assert found, done.output
    return found[1], found[2]


def secret_of(env: Env, key_id: str) -> str | None:
    live = access_keys.live(env, key_id)
    return live.secret if live else None


def test_an_access_key_is_made_printed_once_and_works(run: Run, env: Env) -> None:
    key_id, secret = made(run, "--description", "of the deployment")
    assert secret_of(env, key_id) == secret
    listed = run("access-key", "list").output
    assert key_id in listed and "of the deployment" in listed
    assert secret not in listed


def test_an_access_key_can_be_limited(run: Run, env: Env) -> None:
    pool = a_pool(env)
    key_id, _ = made(run, "--pool", pool.id, "--action", "cognito-idp:List*", "--action", "cognito-idp:AdminGetUser")
    live = access_keys.live(env, key_id)
    assert live and live.pools == {pool.id} and live.actions == ("cognito-idp:List*", "cognito-idp:AdminGetUser")
    assert f"{pool.id}  cognito-idp:List* cognito-idp:AdminGetUser" in run("access-key", "list").output
    refused = run("access-key", "create", "--action", "s3:*")
    assert refused.exit_code == 1 and isinstance(refused.exception, errors.InvalidParameter)
    assert run("access-key", "create", "--pool", "us-east-1_nobody123").exit_code == 1


def test_a_revoked_key_ends_in_servers_that_run(run: Run, env: Env, clock: Clock) -> None:
    (key_id, secret), (other, _) = made(run), made(run)
    assert secret_of(env, key_id) == secret
    assert run("access-key", "revoke", key_id).output == f"{key_id} is revoked.\n"
    clock.forward(seconds=STALE_AFTER)
    assert secret_of(env, key_id) is None
    assert secret_of(env, other)
    shown = {one["id"]: one for one in json.loads(run("access-key", "list", "--json").output)}
    assert shown[key_id]["revoked"] == "2026-03-01T12:00:00Z" and shown[other]["revoked"] is None
    clock.forward(days=2)
    run("access-key", "revoke", key_id)
    lines = {line.split()[0]: line.split() for line in run("access-key", "list").output.splitlines()}
    assert lines[key_id][3:5] == ["2026-03-01", "12:00:00"], "the day it ended stays"
    assert lines[other][3] == "-"


def test_a_key_that_is_not_there_cannot_be_revoked(run: Run) -> None:
    done = run("access-key", "revoke", "AKIAAAAAAAAAAAAAAAAA")
    assert isinstance(done.exception, errors.ResourceNotFound)
    assert "AKIAAAAAAAAAAAAAAAAA" in str(done.exception)


def test_no_key_at_all_is_an_empty_list(run: Run) -> None:
    done = run("access-key", "list")
    assert done.exit_code == 0
    assert done.output.split() == ["ID", "CREATED", "REVOKED", "POOLS", "ACTIONS", "DESCRIPTION"]
    assert run("access-key", "list", "--json").output == "[]\n"


# -- signing keys and rows that have expired -------------------------------------------------------------------


def test_keys_are_rotated_and_it_says_from_when(run: Run, env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    before = keys.of(env, pool).signer("access", env.now()).kid
    done = run("rotate-keys", pool.id)
    assert done.output == f"New signing keys of {pool.id} are published, and sign from 2026-03-01 12:15:00 UTC.\n"
    clock.forward(seconds=STALE_AFTER)
    assert len(keys.of(env, pool).verifying["access"]) == 2
    assert keys.of(env, pool).signer("access", env.now()).kid == before
    done = run("rotate-keys", pool.id, "--emergency")
    assert done.output == f"New signing keys of {pool.id} are published, and sign now; the old ones are forgotten.\n"
    clock.forward(seconds=STALE_AFTER)
    assert before not in keys.of(env, pool).verifying["access"]


def test_a_pool_that_is_not_there_has_no_keys_to_rotate(run: Run) -> None:
    done = run("rotate-keys", "us-east-1_nobody")
    assert isinstance(done.exception, errors.UnknownPool)


def test_purging_says_how_much_was_forgotten(run: Run) -> None:
    done = run("purge")
    assert done.exit_code == 0 and re.search(r"(?m)^browser_session +0$", done.output)
    assert json.loads(run("purge", "--json").output)["browser_session"] == 0


# -- how it ends -----------------------------------------------------------------------------------------------


def ended(
    run: Run | None, *arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Exit status and standard error of the entry point."""
    monkeypatch.setattr(sys, "argv", ["cognate", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert printed.out == ""
    return int(end.value.code or 0), printed.err


@pytest.mark.parametrize(
    ("given", "arguments", "status", "said"),
    [
        ({"PORT": "many"}, ["serve"], 2, "COGNATE_PORT is 'many'; expected a whole number from 1 to 65535."),
        ({"PROT": "1"}, ["migrate"], 2, "COGNATE_PROT is not a setting; docs/settings.md lists them."),
        (
            {"KEY": "short"},
            ["purge"],
            2,
            "COGNATE_KEY is wrong; expected 32 bytes in base64 (openssl rand -base64 32).",
        ),
        ({}, ["rotate-keys", "us-east-1_x"], 1, "User pool us-east-1_x does not exist."),
        ({}, ["demo"], 2, "The demo has a known user and an open outbox: it needs COGNATE_MODE=development."),
    ],
)
def test_an_error_is_one_line_and_tells_settings_from_the_rest(
    run: Run,
    given: dict[str, str],
    arguments: list[str],
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(PREFIX + name, value)
    assert ended(run, *arguments, monkeypatch=monkeypatch, capsys=capsys) == (status, f"cognate: {said}\n")


@pytest.mark.parametrize("arguments", [["serve"], ["access-key", "list"], ["purge"], ["rotate-keys", "x"]])
def test_an_empty_database_says_what_to_run(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.sqlite").touch()
    monkeypatch.setenv("COGNATE_DATABASE_URL", f"sqlite:///{tmp_path}/empty.sqlite")
    monkeypatch.setattr(supervisor, "create_app", cli.create_app)
    monkeypatch.setenv("COGNATE_PORT", "1")
    done = run(*arguments)
    assert isinstance(done.exception, SettingsError)
    assert str(done.exception) == "The database is empty; run `cognate migrate` with the same settings."


def test_migrating_says_so_and_can_be_repeated(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNATE_DATABASE_URL", f"sqlite:///{tmp_path}/new.sqlite")
    for _ in range(2):
        done = run("migrate")
        assert (done.exit_code, done.output) == (0, "The database is up to date.\n")
    assert run("access-key", "list").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'. See `cognate --help`."),
        (["pool", "show"], "Missing argument 'POOL'. See `cognate pool show --help`."),
        (["user", "list", "p", "--limit", "0"], "Invalid value for '--limit': 0 is not in the range x>=1. See "),
        (["serve", "--port", "1"], "No such option"),
        (["pool", "lst"], "No such command 'lst'. Did you mean 'list'? See `cognate pool --help`."),
    ],
)
def test_a_wrong_command_is_one_line_too(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = ended(None, *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2 and told.startswith(f"cognate: {said}") and told.count("\n") == 1


def test_a_question_that_is_not_answered_is_a_refusal(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> Iterator[Env]:
        raise click.Abort

    monkeypatch.setattr(cli, "_environment", interrupt)
    told = ended(run, "access-key", "list", monkeypatch=monkeypatch, capsys=capsys)
    assert told == (1, "cognate: Not confirmed, or interrupted; nothing more was done.\n")


def test_a_mistake_of_ours_says_so_in_one_line_and_where_it_was_when_asked(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(env: Env) -> None:
        raise RuntimeError("with a secret in it")

    monkeypatch.setattr(access_keys, "listed", broken)
    with caplog.at_level("DEBUG"):
        status, told = ended(run, "access-key", "list", monkeypatch=monkeypatch, capsys=capsys)
    assert status == 70 and told.count("\n") == 1 and "RuntimeError" in told and "secret" not in told
    assert "with a secret in it" in caplog.text


def test_a_database_that_fails_is_one_line(
    run: Run, env: Env, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(env: Env) -> None:
        env.db.execute(text("SELECT secret FROM nowhere"))

    monkeypatch.setattr(access_keys, "listed", broken)
    status, told = ended(run, "access-key", "list", monkeypatch=monkeypatch, capsys=capsys)
    assert status == 1 and told.startswith("cognate: The database failed: ") and told.count("\n") == 1


def test_a_database_that_is_away_is_named_with_its_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(env: Env) -> None:
        with env.outages.translated():
            raise OperationalError("SELECT secret", {}, psycopg.OperationalError("connection refused\nby a host"))

    monkeypatch.setattr(access_keys, "listed", away)
    told = ended(run, "access-key", "list", monkeypatch=monkeypatch, capsys=capsys)
    assert told == (1, "cognate: The database failed: connection refused. Try again.\n")


# -- as an operator does it ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_nothing_to_an_access_key(tmp_path: Path) -> None:
    environ = {"COGNATE_DATA_DIR": str(tmp_path / "data")}
    refused = cognate("serve", environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"cognate: The data directory {tmp_path}/data (COGNATE_DATA_DIR) has no database: name the right one, or run "
        "`cognate migrate` for a new installation.\n"
    )
    assert list(tmp_path.iterdir()) == []
    migrated = cognate("migrate", environ=environ)
    slowly = [line for line in migrated.stderr.splitlines() if not line.startswith("Migrating the database (")]
    assert (migrated.returncode, slowly) == (0, []), "it may tell that it takes its time"
    made, done = migrated.stdout.splitlines()
    assert made.startswith(f"Made the key {tmp_path}/data/key: keep a copy") and done == "The database is up to date."
    assert cognate("migrate", environ=environ).stdout == f"{done}\n"
    created = cognate("access-key", "create", environ=environ)
    assert created.returncode == 0 and created.stdout.startswith("AWS_ACCESS_KEY_ID=AKIA") and not created.stderr
    revoked = cognate("access-key", "revoke", "AKIANOBODY", environ=environ)
    assert (revoked.returncode, revoked.stdout) == (1, "")
    assert revoked.stderr.startswith("cognate: There is no access key AKIANOBODY") and revoked.stderr.count("\n") == 1


def test_a_demo_whose_port_is_taken_makes_and_prints_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server on that port may be serving the same demo: its clients' redirect URIs would be changed under it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for name, value in {"MODE": "development", "DATA_DIR": f"{tmp_path}/new", "DATABASE_URL": ""}.items():
            monkeypatch.setenv(PREFIX + name, value)
        monkeypatch.setenv(f"{PREFIX}PORT", str(taken.getsockname()[1]))
        done = run("demo")
    assert isinstance(done.exception, SettingsError) and "another port in COGNATE_PORT" in str(done.exception)
    assert done.output == "" and not (tmp_path / "new").exists()


def test_the_table_of_the_documentation_has_every_command() -> None:
    listed = set()
    for cell in re.findall(r"(?m)^\| (`cognate .*?) \| ", DOCUMENT.read_text()):
        first, *others = re.findall("`(.+?)`", cell)  # `cognate domain prove NAME`, `accept`
        names = tuple(word for word in first.split()[1:] if word.islower())
        listed |= {names, *((*names[:-1], other) for other in others)}
    every = set(commands(cli.cognate))
    groups = {names[:length] for names in every for length in range(len(names))}
    assert listed == every - groups


READING = [
    ["pool", "list"],
    ["pool", "show", "us-east-1_x"],
    ["pool", "plan", "us-east-1_x", "pool.yaml"],
    ["client", "list", "us-east-1_x"],
    ["user", "list", "us-east-1_x"],
    ["user", "show", "us-east-1_x", "alice"],
    ["access-key", "list"],
    ["access-key", "create"],
    ["access-key", "revoke", "AKIANOBODY"],
    ["domain", "list"],
    ["domain", "prove", "auth.example.com"],
    ["domain", "accept", "auth.example.com", "--yes"],
    ["recovery-codes", "count", "us-east-1_x", "alice"],
    ["recovery-codes", "end", "us-east-1_x", "alice"],
    ["audit", "list"],
    ["audit", "verify"],
    ["audit", "export"],
    ["purge"],
    ["backup", "saved"],
    ["verify"],
    ["rotate-kek"],
    ["rotate-keys", "us-east-1_x"],
    ["pool", "apply", "pool.yaml"],
    ["pool", "revert", "us-east-1_x"],
    ["rules", "show", "us-east-1_x"],
    ["rules", "apply", "us-east-1_x", "rules.yaml"],
    ["serve"],
]


def test_what_makes_no_installation_leaves_nothing_in_a_wrong_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    makers = {("demo",), ("migrate",), ("restore",)}  # the last only where there is a key: test_upkeep
    others = {("doctor",), ("rules", "check")}  # which tells it as a problem, and which needs none
    for names in commands(cli.cognate):
        tried = any(tuple(one[: len(names)]) == names for one in READING)
        assert tried or names in makers | others, f"{names} is not tried"
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.logging.config, "dictConfig", lambda configuration: None)
    (tmp_path / "pool.yaml").write_text("Pool: {PoolName: Shop}\n")
    (tmp_path / "rules.yaml").write_text("Rules: []\n")
    for mode in ("production", "development"):
        monkeypatch.setenv("COGNATE_MODE", mode)
        monkeypatch.setenv("COGNATE_PORT", str(free_port()))
        for arguments in READING:
            status, told = ended(None, *arguments, monkeypatch=monkeypatch, capsys=capsys)
            assert (status, told) == (
                2,
                f"cognate: The data directory {tmp_path}/var (COGNATE_DATA_DIR) has no database: name the right one, "
                "or run `cognate migrate` for a new installation.\n",
            ), arguments
            assert {path.name for path in tmp_path.iterdir()} == {"pool.yaml", "rules.yaml"}, arguments


@pytest.mark.slow
def test_the_wrong_key_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    environ = {"COGNATE_DATA_DIR": str(tmp_path)}
    assert cognate("migrate", environ=environ).returncode == 0
    for damage, said in (
        (lambda key: key.unlink(), f"cognate: The data directory {tmp_path} (COGNATE_DATA_DIR) has no key: "),
        (lambda key: key.write_text(KEY_TEXT), "cognate: The key is not the one that this database was made with"),
    ):
        damage(tmp_path / "key")
        for command in (["serve"], ["migrate"], ["access-key", "list"]):
            refused = cognate(*command, environ=environ)
            assert (refused.returncode, refused.stdout) == (2, "")
            assert refused.stderr.startswith(said) and refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_database_that_does_not_answer_is_one_line_without_its_password(tmp_path: Path) -> None:
    environ = {
        "COGNATE_DATA_DIR": str(tmp_path),
        "COGNATE_KEY": KEY_TEXT,
        "COGNATE_DATABASE_URL": "postgresql://cognate:hunter2@127.0.0.1:1/cognate",
    }
    refused = cognate("serve", environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(r"cognate: COGNATE_DATABASE_URL cannot be used: connection .*refused.*\n", refused.stderr)
    assert "hunter2" not in refused.stderr


def test_the_key_in_this_file_is_the_one_of_the_tests() -> None:
    assert Settings(key=KEY).key == cli.config.read({"COGNATE_KEY": KEY_TEXT}).key
