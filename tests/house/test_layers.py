"""Who may import whom; the contracts stand in pyproject.toml."""

import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
# Below the doors, but made to meet Flask (env, db) or without anything to import it for.
FREE = {"env", "db", "logs", "errors", "config"}


def names(layer: str) -> set[str]:
    return {name.strip(" ()") for name in layer.split("|")}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_contract_is_kept(
    contract: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    # It would silence every logger there is, for all tests after this one.
    monkeypatch.setattr("importlinter.cli._configure_logging", lambda verbose: None)
    broken = lint_imports(limit_to_contracts=(contract,), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_every_room_inside_the_doors_is_kept_from_flask() -> None:
    """The contract takes a list, and a new room is easily forgotten in it."""
    layers = CONTRACTS["layers"]["layers"]
    inside = set().union(*(names(layer) for layer in layers[layers.index("signin") :])) - FREE
    built = {f"app.{name}" for name in inside if (ROOT / "app" / name).is_dir()}
    assert set(CONTRACTS["no-http-inside"]["source_modules"]) == built
