"""`cognate doctor` on installations that are broken, as an operator runs it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import update

from app import installation
from app.config import Settings
from app.env import Env
from app.models import Pool
from app.pools import find, user_pools
from tests.build import a_client, a_pool, with_factors
from tests.certificates import TODAY, made, written
from tests.cli.conftest import KEY_TEXT, Run
from tests.cli.test_cli import cognate
from tests.messaging import mail_server
from tests.ports import free_port

PASSWORD = "a-secret-of-somebodys"


def examine(*arguments: str, **settings: object) -> tuple[int, dict[str, Any]]:
    """The status, and what is found in a process of its own."""
    environ = {f"COGNATE_{name.upper()}": str(value) for name, value in settings.items()}
    done = cognate("doctor", "--json", *arguments, environ=environ)
    assert PASSWORD not in done.stdout + done.stderr and KEY_TEXT not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def of(told: dict[str, Any], state: str) -> list[tuple[str, str]]:
    return [(one["group"], one["name"]) for one in told["findings"] if one["state"] == state]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A data directory with a key and a migrated database."""
    assert cognate("migrate", environ={"COGNATE_DATA_DIR": str(tmp_path / "var")}).returncode == 0
    return tmp_path / "var"


OFFLINE = [part for group in ("configuration", "files", "database", "mail", "pools") for part in ("--only", group)]


def test_a_new_installation(installed: Path) -> None:
    status, told = examine(*OFFLINE, data_dir=installed)
    assert status == 0 and told["problem"] == 0 and told["skipped"] == 0
    assert {one["group"] for one in told["findings"]} == {"configuration", "files", "database", "mail", "pools"}
    assert of(told, "advice") == [("configuration", "base-url"), ("mail", "mail")]
    assert examine("--strict", *OFFLINE, data_dir=installed)[0] == 1


@pytest.mark.parametrize("more", [{}, {"mode": "development", "tls": "self-signed"}])
def test_a_wrong_directory_is_told_and_nothing_is_left_there(tmp_path: Path, more: dict[str, str]) -> None:
    status, told = examine(data_dir=tmp_path / "wrong", **more)
    assert status == 1
    assert of(told, "problem") == [("files", "database-file"), ("files", "key")]
    assert {group for group, _ in of(told, "skipped")} >= {"database", "clock", "proxy", "pools", "dns"}
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "wrong").mkdir()
    assert examine(data_dir=tmp_path / "wrong", **more)[0] == 1
    assert list((tmp_path / "wrong").iterdir()) == []


def test_a_setting_that_cannot_be_read(tmp_path: Path) -> None:
    status, told = examine(data_dir=tmp_path, threads="many")
    assert (status, of(told, "problem")) == (1, [("configuration", "settings")])
    assert "COGNATE_THREADS is 'many'" in told["findings"][0]["what"]


def test_a_wrong_key(installed: Path) -> None:
    (installed / "key").write_text(KEY_TEXT)
    status, told = examine(*OFFLINE, data_dir=installed)
    assert (status, of(told, "problem")) == (1, [("configuration", "installation")])
    assert "The key is not the one that this database was made with" in told["findings"][0]["what"]


def test_a_database_that_was_not_migrated(tmp_path: Path) -> None:
    installation.prepare(Settings(data_dir=tmp_path / "var"))
    status, told = examine(*OFFLINE, data_dir=tmp_path / "var")
    (problem,) = (one for one in told["findings"] if one["state"] == "problem" and one["group"] == "database")
    assert status == 1 and problem["fix"] == "cognate migrate"


@contextmanager
def silent() -> Iterator[int]:
    """A port where connections are taken, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_database_that_is_away_hides_nothing_else(tmp_path: Path) -> None:
    """And its password is not told."""
    certificate, key = written(tmp_path, made("Server", hosts=["localhost"], ends=TODAY - timedelta(days=2)))
    url = f"postgresql://cognate:{PASSWORD}@127.0.0.1:{free_port()}/cognate"
    with mail_server.running(refuse={"AUTH": f"535 not {PASSWORD}"}) as mail:
        status, told = examine(
            database_url=url,
            data_dir=tmp_path,
            key=KEY_TEXT,
            tls_certificate=certificate,
            tls_key=key,
            smtp_host="127.0.0.1",
            smtp_port=mail.port,
            smtp_tls="none",
            smtp_from="no-reply@example.com",
            smtp_username="cognate",
            smtp_password=PASSWORD,
        )
    assert status == 1
    assert of(told, "problem") == [("database", "connection"), ("tls", "expired"), ("mail", "mail")]
    assert {("pools", "pools"), ("proxy", "base-url"), ("dns", "domains")} <= set(of(told, "skipped"))


def test_what_hangs_is_given_up(installed: Path) -> None:
    with silent() as port:
        status, told = examine("--only", "mail", data_dir=installed, smtp_host="127.0.0.1", smtp_port=port)
    assert (status, of(told, "problem")) == (1, [("mail", "mail")])


def test_a_test_message(installed: Path) -> None:
    settings = {"data_dir": installed, "smtp_host": "127.0.0.1", "smtp_tls": "none", "smtp_from": "a@example.com"}
    with mail_server.running() as mail:
        status, told = examine("--only", "mail", "--send-to", "admin@example.com", smtp_port=mail.port, **settings)
    assert (status, [letter.recipients for letter in mail.letters]) == (0, [["admin@example.com"]])
    assert ("mail", "sending") in of(told, "fine")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--only", "weather"], "weather"),
        (["--clock", "http://time.example.com"], "expected an https URL"),
        (["--clock", "https://"], "expected an https URL"),
        (["--send-to", "a@example.com, b@example.com"], "expected one e-mail address"),
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments: list[str], why: str) -> None:
    done = cognate("doctor", *arguments)
    assert done.returncode == 2 and why in done.stderr and done.stdout == ""


def test_people_get_groups_with_fixes_and_no_colours_in_a_pipe(tmp_path: Path) -> None:
    done = cognate("doctor", *OFFLINE, environ={"COGNATE_DATA_DIR": str(tmp_path / "wrong")})
    assert done.returncode == 1 and "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    at = lines.index("files")
    assert lines[at + 1].startswith("  problem  The data directory ")
    assert lines[at + 2].startswith("           fix: COGNATE_DATA_DIR=")
    assert lines[-1] == "problem: 2, advice: 2, skipped: 2"


# -- pools, and whether a fix is one -----------------------------------------------------------------------------


@pytest.fixture(params=["OFF", "ON"])
def deviating(request: pytest.FixtureRequest, env: Env) -> str:
    """A pool as it comes from Cognito, with clients that deviate in all that can be applied."""
    policies = {"password_policy": {"temporary_password_validity_days": 30}}
    pool = user_pools.create(env, name="Shop", settings={"policies": policies})
    if request.param == "ON":
        pool = with_factors(env, pool, "ON", "EMAIL_OTP")
    a_client(env, pool, allowed_oauth_flows=["code", "implicit"], enable_token_revocation=False)
    long = {"access_token_validity": 1, "id_token_validity": 1, "refresh_token_validity": 90}
    a_client(env, pool, secret=True, **long, token_validity_units={"access_token": "days", "id_token": "days"})
    return pool.id


def test_what_each_fix_says_can_be_applied_and_ends_the_finding(run: Run, deviating: str, tmp_path: Path) -> None:
    found = json.loads(run("doctor", "--json", "--only", "pools", "--pool", deviating).stdout)["findings"]
    assert len({one["name"] for one in found}) > 12
    for one in found:
        told = one["fix"].partition(" FILE, with ")[2].split("; then with ")
        assert [yaml.safe_load(document) for document in told] == one["documents"]
        for document in told:
            file = tmp_path / "fix.yaml"
            file.write_text(document)
            done = run("pool", "apply", deviating, str(file), "--yes")
            assert done.exit_code == 0, (one, done.output)
    fresh = json.loads(run("doctor", "--json", "--only", "pools", "--pool", deviating).stdout)
    assert of(fresh, "advice") == [] and of(fresh, "problem") == []


def test_a_name_that_somebody_chose_moves_no_cursor(run: Run, env: Env, deviating: str) -> None:
    with env.transaction() as session:
        session.execute(update(Pool).values(name="Shop\x1b[2J"))
    done = run("doctor", "--only", "pools")
    assert done.exit_code == 0 and "\x1b" not in done.output
    assert f"{deviating} Shop\\x1b[2J" in done.output


def test_one_pool_alone(run: Run, env: Env, deviating: str) -> None:
    other = a_pool(env).id
    done = run("doctor", "--only", "pools", "--pool", deviating)
    assert deviating in done.output and other not in done.output
    unknown = run("doctor", "--only", "pools", "--pool", "us-east-1_nobody", "--json")
    assert unknown.exit_code == 1 and "does not exist" in unknown.output
    assert find.pool(env, other)
