"""What deploy/ has for operators: systemd units, a Compose file, and a site of nginx, each as its own tool reads it."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import cli, config
from app.config import PREFIX, Settings
from app.server import supervisor, transport, worker
from tests import nginx

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("cognate.service", "cognate-migrate.service")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


class Unit(configparser.ConfigParser):
    """A unit file, where keys keep their case; none of ours is given twice but lists that are."""

    def __init__(self, name: str) -> None:
        super().__init__(interpolation=None, strict=False)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(DEPLOY / name)


def command(*words: str, **given: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True, timeout=600, **given)


# -- systemd ---------------------------------------------------------------------------------------------------


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("no systemd-analyze: run `make deploy-tools` as root, or apt-get install systemd")
    return found


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units with the command of this environment: systemd looks whether it is there."""
    here = str(Path(sys.executable).with_name("cognate"))
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        assert "/opt/cognate/bin/cognate" in text
        (tmp_path / name).write_text(text.replace("/opt/cognate/bin/cognate", here))
    return [str(tmp_path / name) for name in UNITS]


def test_systemd_finds_nothing_wrong_with_the_units(analyze: str, units: list[str]) -> None:
    """It warns of what it does not know, and ends with 0 all the same."""
    done = command(analyze, "verify", *units)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_have_found_a_mistake(analyze: str, units: list[str]) -> None:
    unit = Path(units[0])
    unit.write_text(unit.read_text().replace("RestartSec=", "RestartSecs="))
    assert "Unknown key" in command(analyze, "verify", *units).stderr


@pytest.mark.parametrize("number", range(len(UNITS)))
def test_the_units_may_do_little(analyze: str, units: list[str], number: int) -> None:
    """2.0 on systemd's scale of exposure, where a unit without any of its options has 9.6."""
    done = command(analyze, "security", "--offline=true", "--threshold=20", units[number])
    assert done.returncode == 0, done.stdout


def test_the_server_is_started_again_for_ever() -> None:
    unit = Unit("cognate.service")
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_who_stops_the_server_waits_for_longer_than_it_takes() -> None:
    """systemd and Docker kill what is still there then, with all that it has under way."""
    drain = config.read({"COGNATE_TRUSTED_PROXIES": "1"}).drain_seconds
    longest = drain + worker.FINISHING + supervisor.GRACE
    stop = re.findall(r"--stop-timeout (\d+)", DOCKERFILE + (ROOT / "docs/operations.md").read_text())
    stop += [Unit("cognate.service")["Service"]["TimeoutStopSec"]]
    stop += [COMPOSE["services"]["server"]["stop_grace_period"].removesuffix("s")]
    assert len(stop) == 5 and min(map(int, stop)) > longest


def test_nginx_gives_up_idle_connections_before_the_server_does() -> None:
    (idle,) = re.findall(r"(?m)^    keepalive_timeout (\d+)s;", nginx.TEMPLATE.read_text())
    assert int(idle) * 1000 < transport.HEADERS_WITHIN


def test_the_server_is_told_to_make_new_workers() -> None:
    assert Unit("cognate.service")["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_units_run_commands_that_exist_as_the_same_user_with_the_same_settings() -> None:
    server, migration = map(Unit, UNITS)
    for unit, name in ((server, "serve"), (migration, "migrate")):
        assert unit["Service"]["ExecStart"] == f"/opt/cognate/bin/cognate {name}"
        assert name in cli.cognate.commands
    different = {
        "Type",
        "ExecStart",
        "ExecReload",
        "Restart",
        "RestartSec",
        "KillMode",
        "TimeoutStopSec",
        "LimitNOFILE",
    }
    shared = set(server["Service"]) - different
    assert {name: server["Service"][name] for name in shared} == {
        name: value for name, value in migration["Service"].items() if name not in different
    }


def test_the_settings_file_is_read_as_it_stands_and_with_every_line_that_is_offered() -> None:
    """By systemd, which takes lines as they are, and by a shell (`set -a; . cognate.env`)."""
    offered = re.sub(r"(?m)^#(?=COGNATE_)", "", (DEPLOY / "cognate.env").read_text())
    for text in ((DEPLOY / "cognate.env").read_text(), offered):
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        given = dict(line.split("=", 1) for line in lines)
        shell = command("sh", "-c", "set -a; . /dev/stdin; env", input=text, env={"PATH": os.environ["PATH"]})
        sourced = dict(line.split("=", 1) for line in shell.stdout.splitlines() if line.startswith(PREFIX))
        assert given == sourced
        settings = config.read(given)
        assert settings.mode == "production" and settings.trusted_proxies == 1
        assert str(settings.data_dir) == f"/var/lib/{Unit('cognate.service')['Service']['StateDirectory']}"


# -- Compose ---------------------------------------------------------------------------------------------------


def test_the_compose_file_is_one_by_the_specification() -> None:
    """By its own schema, which check-jsonschema brings."""
    done = command(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(DEPLOY / "compose.yaml"),
    )
    assert done.returncode == 0, done.stdout


def test_the_schema_would_have_found_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DEPLOY / "compose.yaml").read_text().replace("depends_on:", "depend_on:"))
    done = command(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong))
    assert done.returncode == 1 and "depend_on" in done.stdout


def test_the_compose_file_names_what_is_there() -> None:
    """What no schema knows: services, networks, volumes, files and commands."""
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert {one["source"] for one in service.get("configs", ())} <= set(COMPOSE["configs"])
        for volume in service["volumes"] if "volumes" in service else ():
            source = volume.split(":")[0]
            made = {"./tls"}
            assert source in COMPOSE["volumes"] or source in made or (DEPLOY / source).exists(), source
    for name in ("migrate", "server"):
        assert (DEPLOY / services[name]["build"] / "Dockerfile").is_file()
        for word in services[name].get("command", ()):
            assert word in cli.cognate.commands
    assert "server:8080" in services["nginx"]["environment"]["UPSTREAM"] and "COGNATE_PORT=8080" in DOCKERFILE


def test_the_compose_file_gives_settings_that_can_be_read() -> None:
    """With what it asks the operator for put in; and it asks for everything that has no default."""
    text = (DEPLOY / "compose.yaml").read_text()
    asked = {"COGNATE_HOSTNAME": "auth.example.com", "DATABASE_PASSWORD": "secret"}
    assert set(re.findall(r"\$\{(\w+)", text)) == set(asked)
    for name in asked:
        assert re.search(rf"\$\{{{name}:\?", text), f"{name} may be left out"
    filled = yaml.safe_load(re.sub(r"\$\{(\w+)[^}]*\}", lambda found: asked[found[1]], text))
    settings = config.read(filled["services"]["server"]["environment"])
    assert settings.base_url == "https://auth.example.com"
    assert settings.database_url.startswith("postgresql") and "cognate:secret@database/cognate" in settings.database_url
    assert settings.trusted_proxies == 1
    nginx_knows = set(re.findall(r"\$\{(\w+)\}", nginx.TEMPLATE.read_text()))
    assert nginx_knows == set(filled["services"]["nginx"]["environment"])


def test_only_nginx_can_be_reached_from_outside() -> None:
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert services["database"]["networks"] == ["inside"] and COMPOSE["networks"]["inside"] == {"internal": True}
    assert "inside" not in services["nginx"]["networks"]


# -- nginx -----------------------------------------------------------------------------------------------------

BASE_URL = "https://auth.example.com:18443"


def test_nginx_finds_nothing_wrong_with_its_configuration(tmp_path: Path) -> None:
    status, said = nginx.configured(tmp_path, upstream="127.0.0.1:8080", base_url=BASE_URL).check()
    # From 1.25.1 on there is another word for http2, which those before do not know.
    lines = [line for line in said.splitlines() if 'directive is deprecated, use the "http2"' not in line]
    assert status == 0 and all(line.endswith(("syntax is ok", "is successful")) for line in lines), said


def test_nginx_would_have_found_a_mistake(tmp_path: Path) -> None:
    there = nginx.configured(tmp_path, upstream="127.0.0.1:8080", base_url=BASE_URL, more="proxy_bufering on;")
    status, said = there.check()
    assert status == 1 and 'unknown directive "proxy_bufering"' in said


def test_nginx_takes_what_the_compose_file_gives_it(tmp_path: Path) -> None:
    given = COMPOSE["services"]["nginx"]["environment"]["UPSTREAM"]
    said = command(nginx.program(), "-v").stderr
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    assert found, said
    if tuple(map(int, found.groups())) < (1, 27, 3):
        pytest.skip(f"{said.strip()}: `resolve` of an upstream's server is known from 1.27.3 on, as in nginx:1.28")
    resolver = COMPOSE["configs"]["resolver"]["content"]
    status, said = nginx.configured(tmp_path, upstream=given, base_url=BASE_URL, more=resolver).check()
    assert status == 0, said


def test_nginx_takes_as_large_a_body_as_the_server(tmp_path: Path) -> None:
    from app import create_app, installation

    (limit,) = re.findall(r"client_max_body_size (\d+)m;", nginx.TEMPLATE.read_text())
    settings = Settings(mode="development", data_dir=tmp_path)
    installation.prepare(settings)
    app = create_app(settings)
    assert app.config["MAX_CONTENT_LENGTH"] == int(limit) * 1024 * 1024
