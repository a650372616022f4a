"""What is sealed into a column is in the list that `cognate verify` and `cognate rotate-kek` go through."""

import ast
from collections.abc import Iterator
from pathlib import Path

from app.db import Base
from app.models import seals

ROOT = Path(__file__).parents[2]
HELD_BY_CLIENTS = {
    "app/demo/session.py",
    "app/hosted/mfa.py",
    "app/paging.py",
    "app/signin/after_sign_up.py",
    "app/signin/srp_exchange.py",
    "app/upkeep/archive.py",
}
"""What these seal is not in the database: cookies, tickets, pages, the header of a backup."""
AGAIN = {"app/upkeep/sealed_values.py"}
"""Seals what is in the list."""


def sealing(tree: ast.AST) -> Iterator[ast.expr]:
    """What is given as `about` wherever something is sealed or opened."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("seal", "open"):
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "about")


def named(about: ast.expr) -> str | None:
    match about:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="seals"), attr=name)):
            return name
    return None


def in_the_list() -> set[str]:
    source = ast.parse((ROOT / "app/models/seals.py").read_text())
    listed = next(node for node in source.body if isinstance(node, ast.Assign) and node.targets[0].id == "COLUMNS")  # type: ignore[attr-defined]
    return {node.id for node in ast.walk(listed) if isinstance(node, ast.Name)}


def test_what_is_sealed_into_a_column_is_about_something_of_the_list() -> None:
    listed, found = in_the_list(), set()
    for path in (ROOT / "app").rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        if place in HELD_BY_CLIENTS | AGAIN:
            continue
        for about in sealing(ast.parse(path.read_text())):
            name = named(about)
            assert name in listed, (
                f"{place}: line {about.lineno} seals about something that is not in app/models/seals.py"
            )
            found.add(name)
    assert found == {name for name in listed if name in vars(seals) and name.islower()}, "and nothing else is listed"


def test_a_column_that_is_not_in_the_list_would_be_noticed() -> None:
    (about,) = sealing(ast.parse('env.seal.seal(secret, about=f"new column {key}")'))
    assert named(about) is None
    (about,) = sealing(ast.parse("env.seal.seal(secret, about=seals.not_there(key))"))
    assert named(about) not in in_the_list()


def test_each_column_of_the_list_leads_to_the_database_and_to_its_pool() -> None:
    for sealed in seals.COLUMNS:
        table = Base.metadata.tables[sealed.table]
        assert sealed.column.key in table.columns and len(table.primary_key.columns) == 1
        if sealed.pool is not None:
            owner = seals.OWNERS.get(sealed.pool.key)
            assert sealed.pool.key == "pool_id" or owner is not None and "pool_id" in owner.class_.__table__.columns
