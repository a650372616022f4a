"""The locks are complete: pip installs each by itself and resolves nothing, whatever has appeared since."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
Lock = dict[NormalizedName, Requirement]
Environment = dict[str, str]

SYSTEMS: list[Environment] = [
    {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64"},
]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""From the oldest Python that the locks are written for (`requires-python`)."""
HERE = cast(Environment, default_environment())
ELSEWHERE = [
    HERE | system | {"python_version": version, "python_full_version": f"{version}.0"}
    for system in SYSTEMS
    for version in VERSIONS
]
UNSEEN = {"async-timeout", "tzdata"}
"""Locked for Python before 3.11.3 and for Windows only, so that their metadata cannot be read here. They require
nothing."""


def locked(name: str) -> Lock:
    """The requirements in a lock file by package, after a look at each line."""
    text = (ROOT / name).read_text()
    entries = re.sub(r"(?m)^\s*#.*\n?", "", text).replace("\\\n", " ").splitlines()
    found: Lock = {}
    for entry in filter(str.strip, entries):
        requirement, *hashes = re.split(r"\s+(?=--)", entry.strip())
        assert hashes and all(HASH.fullmatch(word) for word in hashes), f"{name}: {requirement} has no hash"
        parsed = Requirement(requirement)
        (pin,) = parsed.specifier
        assert pin.operator == "==" and parsed.url is None, f"{name}: {requirement} is not one version"
        package = canonicalize_name(parsed.name)
        assert package not in found, f"{name}: {package} stands there twice"
        found[package] = parsed
    return found


def hashes(name: str) -> dict[str, set[str]]:
    """By version of a package, such as `flask==3.1.3`."""
    entries = re.findall(r"(?m)^([^\s#]+==\S+).*?\\\n((?:    --hash.*\n)+)", (ROOT / name).read_text())
    return {pin: set(HASH.findall(lines)) for pin, lines in entries}


def version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    return pin.version


def active(requirement: Requirement, environment: Environment, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment | {"extra": extra})


def group(name: str) -> Iterator[Requirement]:
    """A dependency group (PEP 735) with those it includes."""
    entry: Any
    for entry in PROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from group(entry["include-group"])


def wanted(lock: str) -> list[Requirement]:
    """What `make lock` writes a lock for."""
    project = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    extra = [Requirement(text) for text in PROJECT["project"]["optional-dependencies"]["otel"]]
    return {
        "requirements.lock": project,
        "requirements-build.lock": list(group("build")),
        "requirements-dev.lock": [*project, *extra, *group("dev")],
    }[lock]


def installed_distributions() -> dict[NormalizedName, Distribution]:
    return {canonicalize_name(one.metadata["Name"]): one for one in distributions()}


@pytest.fixture(scope="module")
def installed() -> dict[NormalizedName, Distribution]:
    return installed_distributions()


def walk(
    lock: Lock, roots: list[Requirement], installed: dict[NormalizedName, Distribution], environment: Environment
) -> tuple[set[str], set[str]]:
    """From what is asked for to all that is needed for it in an environment, by the metadata of what is installed:
    the packages that were met on the way, and what the lock does not meet, in sentences."""
    reached: set[str] = set()
    unmet: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [("pyproject.toml", requirement) for requirement in roots if active(requirement, environment)]
    while todo:
        by, requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        pin = lock.get(name)
        if pin is None or not active(pin, environment):
            unmet.add(f"{by} needs {requirement}, which the lock does not have")
            continue
        if not requirement.specifier.contains(version(pin), prereleases=True):
            unmet.add(f"{by} needs {requirement}, and the lock has {version(pin)}")
        reached.add(name)
        if name not in installed:
            continue
        for extra in {"", *requirement.extras} - {extra for package, extra in seen if package == name}:
            seen.add((name, extra))
            for text in installed[name].requires or ():
                needed = Requirement(text)
                if active(needed, environment, extra):
                    todo.append((f"{name}[{extra}]" if extra else name, needed))
    return reached, unmet


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_by_hash(name: str) -> None:
    assert locked(name)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place_to_load_from(name: str) -> None:
    """Where packages come from is for the machine to say (pip.conf, PIP_INDEX_URL)."""
    assert not re.search(r"://|--(index-url|extra-index-url|find-links|trusted-host)", (ROOT / name).read_text())


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_installed_here_is_what_the_lock_says(name: str, installed: dict[NormalizedName, Distribution]) -> None:
    """All that follows reads the metadata of what is installed."""
    for package, pin in locked(name).items():
        if active(pin, HERE):
            assert package in installed, f"{package} is not installed: run `make test`"
            assert installed[package].version == version(pin), f"{package}: run `make test`, which installs the lock"
        else:
            assert package in installed or package in UNSEEN


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_every_locked_package_is_met_by_the_lock(
    name: str, installed: dict[NormalizedName, Distribution]
) -> None:
    """Extras included; for this interpreter, and for the others that the lock is for."""
    for environment in (HERE, *ELSEWHERE):
        _, unmet = walk(locked(name), wanted(name), installed, environment)
        where = " ".join(environment[key] for key in ("sys_platform", "platform_machine", "python_version"))
        assert not unmet, f"make lock: {name} on {where}: {'; '.join(sorted(unmet))}"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_nothing_that_nothing_asks_for(name: str, installed: dict[NormalizedName, Distribution]) -> None:
    reached: set[str] = set()
    for environment in ELSEWHERE:
        reached |= walk(locked(name), wanted(name), installed, environment)[0]
    assert set(locked(name)) == reached


@pytest.mark.parametrize(
    ("lock", "without", "said"),
    [
        ("requirements.lock", "markupsafe", "jinja2 needs MarkupSafe"),
        ("requirements.lock", "psycopg-binary", "psycopg[binary] needs psycopg-binary"),
        ("requirements-dev.lock", "coverage", "pytest-cov needs coverage[toml]"),
        ("requirements-build.lock", "pluggy", "hatchling needs pluggy"),
    ],
)
def test_a_package_that_is_missing_in_a_lock_is_noticed(
    lock: str, without: str, said: str, installed: dict[NormalizedName, Distribution]
) -> None:
    less = {name: pin for name, pin in locked(lock).items() if name != without}
    _, unmet = walk(less, wanted(lock), installed, HERE)
    assert any(sentence.startswith(said) for sentence in unmet), unmet


def test_a_version_that_does_not_fit_is_noticed(installed: dict[NormalizedName, Distribution]) -> None:
    older = locked("requirements.lock") | {canonicalize_name("werkzeug"): Requirement("werkzeug==2.0")}
    _, unmet = walk(older, wanted("requirements.lock"), installed, HERE)
    assert any(sentence.startswith("flask needs werkzeug") and sentence.endswith("has 2.0") for sentence in unmet)


def test_what_is_tested_is_what_is_served() -> None:
    """The same versions, and the same files of them."""
    tested = hashes("requirements-dev.lock")
    assert len(tested) == len(locked("requirements-dev.lock"))
    for name in ("requirements.lock", "requirements-build.lock"):
        assert hashes(name).items() <= tested.items()


def test_what_the_wheel_is_built_with_is_locked() -> None:
    assert set(map(str, group("build"))) == set(PROJECT["build-system"]["requires"])


@pytest.mark.parametrize("text", [MAKEFILE, DOCKERFILE], ids=["Makefile", "Dockerfile"])
def test_a_lock_is_installed_without_resolving(text: str) -> None:
    """With --no-deps, or pip looks at newer versions and stops at them; by hash, and wheels only."""
    program = re.sub(r"(?m)^\s*#.*\n", "", text).replace("\\\n", " ")
    commands = re.findall(r"pip\b[^\n]* install ([^\n]*-r)", program)
    assert commands
    for command in commands:
        assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(command.split())


# -- an index that has moved on --------------------------------------------------------------------------------


def a_wheel(folder: Path, name: str, version: str, *requires: str, extra: str = "") -> Path:
    """A distribution of one module, in the place that an index has for it."""
    path = folder / name / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    metadata += [f"Provides-Extra: {extra}"] if extra else []
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(file, content)
    return path


def an_index(folder: Path) -> str:
    """The URL of a simple index (PEP 503) of the wheels in a folder."""
    for project in filter(Path.is_dir, folder.iterdir()):
        links = "".join(f'<a href="{path.name}">{path.name}</a><br>\n' for path in sorted(project.glob("*.whl")))
        (project / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    return folder.as_uri()


@pytest.mark.slow
def test_newer_versions_in_the_index_change_nothing(tmp_path: Path) -> None:
    """As it happened: a locked package asks for an extra of another, of which a newer version has appeared."""
    index, project = tmp_path / "index", tmp_path / "project"
    project.mkdir()
    pinned = [
        a_wheel(index, "cover", "1.0", "toml-reader; extra == 'toml'", extra="toml"),
        a_wheel(index, "runner", "1.0", "cover[toml]>=1.0", "reporter>=1"),
        a_wheel(index, "reporter", "1.0"),
    ]
    lock = ""
    for path in pinned:
        name, version, *_ = path.stem.split("-")
        lock += f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    for name in ("cover", "runner", "reporter"):
        a_wheel(index, name, "9.0", "nobody-has-this")
    shutil.copy(ROOT / "Makefile", project)
    for name in LOCKS:
        (project / name).write_text(lock)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "--no-print-directory", "install", ".venv/.build", ".venv/.dev", f"PYTHON={sys.executable}"],
        cwd=project,
        # pip's own settings are honoured: it finds these packages nowhere else.
        env=clean | {"PIP_INDEX_URL": an_index(index), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    asked = "import cover, runner, reporter; print(cover.version, runner.version, reporter.version)"
    assert subprocess.check_output([project / ".venv/bin/python", "-c", asked], text=True).split() == ["1.0"] * 3
