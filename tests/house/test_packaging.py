"""What stands beside the code names things that are there: files, programs, targets, settings, versions."""

import ast
import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import app
from app.config import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
README = (ROOT / "README.md").read_text()


def targets() -> set[str]:
    (phony,) = re.findall(r"(?m)^\.PHONY: (.*)$", MAKEFILE)
    return set(phony.split())


def dockerfile() -> list[tuple[str, str]]:
    """The instructions in order, each in one line."""
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    lines = (line.partition(" ") for line in text.splitlines() if line)
    return [(word.upper(), rest.strip()) for word, _, rest in lines]


def command_exists(target: str) -> bool:
    """Whether `module:function` is there, seen without running it."""
    module, _, function = target.partition(":")
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.is_file():
        path = path.with_suffix("") / "__init__.py"
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=assigned):
                names |= {name.id for name in assigned if isinstance(name, ast.Name)}
            case ast.ImportFrom(names=imported):
                names |= {name.asname or name.name for name in imported}
    return function in names


def test_the_command_of_the_project_exists() -> None:
    for target in PROJECT["project"]["scripts"].values():
        assert command_exists(target)


def test_the_code_and_the_project_tell_one_version() -> None:
    """Make installs no package, so that its metadata cannot be asked."""
    assert app.__version__ == PROJECT["project"]["version"]


def test_the_launcher_written_by_hand_starts_the_command_of_the_project() -> None:
    module, _, function = PROJECT["project"]["scripts"]["cognate"].partition(":")
    assert f"'from {module} import {function}' 'sys.exit({function}())'" in MAKEFILE


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        # Without what the make that runs these tests says to the makes below it.
        env={name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(re.findall(r"(?m)^  make (\S+) ", shown)) == targets()
    assert set(re.findall(r"(?m)^([a-z][a-z-]*):", MAKEFILE)) == targets()


def test_continuous_integration_runs_targets_of_the_makefile() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    (line,) = re.findall(r"(?m)^exec make (.*) </dev/null$", script.read_text())
    assert set(line.split()) <= targets()


def test_the_image_copies_only_what_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for instruction, rest in dockerfile():
        if instruction in ("COPY", "ADD") and not rest.startswith("--from="):
            copied |= set(shlex.split(rest)[:-1])
    assert copied == kept
    for source in sorted(copied):
        assert (ROOT / source).exists(), f"COPY {source}"


def test_the_image_has_all_that_the_wheel_is_made_of() -> None:
    """The build backend passes over what is not there."""
    copied = {word for instruction, rest in dockerfile() if instruction == "COPY" for word in shlex.split(rest)}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["only-include"], *wheel["force-include"]} <= copied
    assert {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= copied


def test_the_image_starts_the_command_of_the_project() -> None:
    found = dict(dockerfile())
    assert json.loads(found["ENTRYPOINT"])[0] in PROJECT["project"]["scripts"]
    (command,) = json.loads(found["CMD"])
    assert re.search(rf'command\("{command}"|def {command}\(', (ROOT / "app" / "cli" / "__init__.py").read_text())


def test_the_image_does_not_run_as_root() -> None:
    """A number other than zero, so that a cluster can see it without looking into the image."""
    users = [rest for instruction, rest in dockerfile() if instruction == "USER"]
    assert users and all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)


def test_the_health_check_needs_only_python() -> None:
    (check,) = (rest for instruction, rest in dockerfile() if instruction == "HEALTHCHECK")
    program, flag, source = json.loads(check[check.index("[") :])
    assert (program, flag) == ("python", "-c")
    assert "/healthz" in source
    ast.parse(source)


def test_the_image_sets_only_settings_that_exist() -> None:
    settings = {PREFIX + name.upper() for name in Settings.__dataclass_fields__}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+", DOCKERFILE)) <= settings


def test_the_readme_names_targets_that_exist() -> None:
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(code(README)))) <= targets()


def test_the_readme_names_the_two_commands() -> None:
    assert {"make run", "make test"} <= {piece.strip() for text in code(README) for piece in text.splitlines()}


def test_the_readme_names_files_that_exist() -> None:
    links = [target for target in re.findall(r"\]\(([^)#\s]+)", README) if "://" not in target]
    # In running text: what has a slash, or the ending of a file of ours, and is not a route, a URL or a pattern.
    named = re.findall(r"(?<!`)`(?![/.]?/)([\w.-]+(?:/[\w.-]*)+|[\w-]+\.(?:py|md|toml|lock))`(?!`)", README)
    made = {"var", "dist"}
    for name in {*links, *named}:
        assert (ROOT / name).exists() or (ROOT / "app" / name).exists() or name.split("/")[0] in made, name


def test_the_documents_name_the_wheel_that_is_built() -> None:
    for document in (ROOT / "README.md", ROOT / "docs" / "operations.md"):
        named = set(re.findall(r"cognate_idp-(\d[^-]*)", document.read_text()))
        assert named == {app.__version__}, document.name


def test_the_documents_install_what_is_locked_and_resolve_nothing() -> None:
    """By the same words as the Makefile and the image."""
    for document in (ROOT / "README.md", ROOT / "docs" / "operations.md"):
        commands = re.findall(r"pip install (.*requirements\S*\.lock)", document.read_text())
        assert commands == ["--no-deps --require-hashes --only-binary :all: -r requirements.lock"], document.name


def code(markdown: str) -> list[str]:
    """What is written as code: fenced blocks, and spans in running text."""
    blocks = re.findall(r"(?ms)^```[^\n]*\n(.*?)^```", markdown)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", markdown))
