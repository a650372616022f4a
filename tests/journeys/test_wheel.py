"""Installed from its wheel, as pip, pipx and uv do it: without the checkout, and where others are called `app`."""

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import app
from tests.house.test_locks import HERE, active, installed_distributions, locked
from tests.journeys.conftest import RunningServer, prepared
from tests.journeys.pages import sign_in

ROOT = Path(__file__).parents[2]
SOMEBODY_ELSES = "raise SystemExit('this is the app of somebody else')\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and what the runtime lock names, and nothing else but somebody else's `app`.

    The packages of the lock come from where `make` has installed them by their hashes, file by file. uv then installs
    the wheel without an index: it finds all that the wheel requires, or refuses.
    """
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment, with_pip=False, symlinks=True)
    (packages,) = environment.glob("lib/python3*/site-packages")
    distributions = installed_distributions()
    for package, pin in locked("requirements.lock").items():
        if not active(pin, HERE):
            continue
        for file in distributions[package].files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--no-config", "--no-cache", "--no-index", "--offline"]
        + ["--python", str(environment / "bin" / "python"), str(wheel)],
        executable=str(Path(sys.executable).with_name("uv")),
        check=True,
        timeout=600,
    )
    (packages / "app").mkdir()
    (packages / "app" / "__init__.py").write_text(SOMEBODY_ELSES)
    return environment


def a_server(place: Path, directory: Path, *command: str) -> RunningServer:
    """Started in the directory of an application, whose own package is called `app` too."""
    there = directory / "project"
    (there / "app").mkdir(parents=True)
    (there / "app" / "__init__.py").write_text(SOMEBODY_ELSES)
    running = prepared(directory, None)
    running.environ = {
        name: value for name, value in running.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    program, *arguments = command
    running.command = (str(place / "bin" / program), *arguments)
    running.working_directory = there
    return running


def test_it_brings_one_package_and_one_command(wheel: Path) -> None:
    """Above all none that is called `app`, `themes` or `migrations`, as those of many projects are."""
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (entry_points,) = (opened.read(name).decode() for name in names if name.endswith("/entry_points.txt"))
    assert {name.split("/")[0] for name in names} == {"cognate", f"cognate_idp-{app.__version__}.dist-info"}
    assert re.findall(r"(?m)^(\w+) = ", entry_points) == ["cognate"]


def test_it_brings_every_file_of_the_tree(wheel: Path) -> None:
    """Templates, static files, migrations and their template: whatever git has of these folders."""
    folders = ("cognate", "app", "themes", "migrations", "wsgi.py")
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", *folders], cwd=ROOT, text=True)
    with zipfile.ZipFile(wheel) as opened:
        brought = {name.removeprefix("cognate/") for name in opened.namelist() if name.startswith("cognate/")}
    assert brought == {name.removeprefix("cognate/") for name in listed.splitlines() if (ROOT / name).exists()}


@pytest.mark.parametrize("command", ["cognate demo", "python -m cognate demo"])
def test_somebody_signs_in_at_the_demo(command: str, place: Path, tmp_path: Path) -> None:
    server = a_server(place, tmp_path, *command.split())
    server.start()
    try:
        assert set(sign_in(server.demo)) >= {"id_token", "access_token", "refresh_token"}
        assert server.stop() == 0
    finally:
        server.kill()


def test_workers_that_are_spawned_find_it_too(place: Path, tmp_path: Path) -> None:
    """As from Python 3.14 on, and on macOS: they inherit nothing, and look where the server was started first."""
    server = a_server(place, tmp_path, "python", "-m", "cognate", "demo")
    (tmp_path / "sitecustomize.py").write_text("import multiprocessing\nmultiprocessing.set_start_method('spawn')\n")
    server.environ |= {"PYTHONPATH": str(tmp_path), "COGNATE_WORKERS": "1"}
    server.start()
    try:
        assert "id_token" in sign_in(server.demo)
    finally:
        server.kill()


def test_another_server_serves_it(place: Path, tmp_path: Path) -> None:
    server = a_server(place, tmp_path, "cognate", "demo", "--seed-only")
    subprocess.run(
        server.command, cwd=server.working_directory, env=server.environ, check=True, capture_output=True, timeout=600
    )
    server.command = (str(place / "bin" / "python"), "-m", "gunicorn", "cognate.wsgi:app", "--threads", "2")
    server.command += ("--bind", f"127.0.0.1:{server.port}", "--no-control-socket")
    server.start()
    try:
        assert "id_token" in sign_in(server.demo)
        assert server.stop() == 0
    finally:
        server.kill()


def test_whoever_does_not_ask_for_cognate_gets_their_own_app(place: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [place / "bin" / "python", "-c", "import app"], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.stderr == "this is the app of somebody else\n"


def test_a_process_that_has_another_app_already_is_told_so(place: Path, tmp_path: Path) -> None:
    """Mixed, half of the modules would be of the one and half of the other."""
    (tmp_path / "app.py").write_text("")
    done = subprocess.run(
        [place / "bin" / "python", "-c", "import app, cognate"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    (line,) = re.findall(r"(?m)^ImportError: .*$", done.stderr)
    assert f"another package called app, {tmp_path / 'app.py'}, has been imported here already" in line
