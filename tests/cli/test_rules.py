"""`cognate rules`, and the same rules in the file of a pool."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from app.env import Env
from app.errors import Refusal
from app.models import Pool
from app.pools import find, request_rules
from tests.build import a_pool
from tests.cli.conftest import Run

RULES = """\
AddressSets:
  office: [192.0.2.0/24, "2001:db8::/32"]
Rules:
  - Name: office
    Action: allow
    When: {Address: office}
  - Name: sign-ups
    Action: deny
    When: {All: [{Operation: SignUp}, {Rate: {Requests: 5, Seconds: 60}}]}
"""


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def kept(env: Env, pool: Pool) -> object:
    env.cache.drop()  # a command is another process, and this clock stands still
    return request_rules.document(find.pool(env, pool.id))


def refused(result: Result) -> str:
    assert isinstance(result.exception, Refusal)
    return result.exception.message


def test_rules_are_applied_and_shown_as_they_are_applied(env: Env, run: Run, pool: Pool, file: Path) -> None:
    assert run("rules", "show", pool.id).output == "Rules: []\n"
    assert run("rules", "apply", pool.id, str(file)).output == f"{pool.id} has 2 rules now.\n"
    shown = run("rules", "show", pool.id).output
    before = kept(env, pool)
    file.write_text(shown)
    run("rules", "apply", pool.id, str(file))
    assert kept(env, pool) == before is not None
    file.write_text("Rules: []")
    assert run("rules", "apply", pool.id, str(file)).output == f"{pool.id} has 0 rules now.\n"
    assert kept(env, pool) is None


def test_a_file_is_checked_without_a_pool(run: Run, file: Path) -> None:
    assert run("rules", "check", str(file)).output == "No mistakes: 2 rules.\n"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("Seconds: soon", 'line 9: Rules[1].When.All[1].Rate.Seconds: rule "sign-ups": expected a whole number from 1'),
        ("Seconds: 60, Per: planet", 'line 9: Rules[1].When.All[1].Rate.Per: rule "sign-ups": expected address, pref'),
    ],
)
def test_a_mistake_is_told_with_its_line_and_changes_nothing(
    env: Env, run: Run, pool: Pool, file: Path, wrong: str, told: str
) -> None:
    run("rules", "apply", pool.id, str(file))
    before = kept(env, pool)
    file.write_text(RULES.replace("Seconds: 60", wrong))
    for command in (["check"], ["apply", pool.id]):
        assert f"{file}, {told}" in refused(run("rules", *command, str(file)))
    assert kept(env, pool) == before


def test_an_operation_that_only_administrators_call_is_no_rule(run: Run, file: Path) -> None:
    file.write_text(RULES.replace("SignUp", "AdminGetUser"))
    assert "there is no operation 'AdminGetUser'" in refused(run("rules", "check", str(file)))


def test_the_file_of_a_pool_has_them_as_well(env: Env, run: Run, pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    indented = "".join(f"    {line}\n" for line in RULES.splitlines())
    path.write_text(f"Cognate:\n  RequestRules:\n{indented}")
    assert "Cognate.RequestRules" in run("pool", "plan", pool.id, str(path)).output
    run("pool", "apply", pool.id, str(path), "--yes")
    assert kept(env, pool) is not None
    assert "Nothing to change." in run("pool", "apply", pool.id, str(path), "--yes").output
    assert "RequestRules" in run("pool", "show", pool.id).output
    path.write_text("Cognate: {Preset: recommended}")
    run("pool", "apply", pool.id, str(path), "--yes")
    assert kept(env, pool) is not None
    path.write_text("Cognate: {RequestRules: null}")
    run("pool", "apply", pool.id, str(path), "--yes")
    assert kept(env, pool) is None
    path.write_text("Cognate: {RequestRules: {Rules: [{Name: a, Action: block}]}}")
    wrong = refused(run("pool", "apply", pool.id, str(path), "--yes"))
    assert 'Cognate.RequestRules.Rules[0].Action: rule "a": expected allow' in wrong
