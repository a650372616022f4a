"""The bench of the directory fills it, checks what it is answered, and holds it against its target."""

from pathlib import Path

import pytest

from app.accounts import search
from app.paging import Page
from bench import directory
from bench.directory import ASIDE, QUESTIONS, main, person, rows
from tests import postgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_it_asks_everything_and_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--database", "sqlite", "--sizes", "2000,2500", "--samples", "2"]) in (0, 1)
    said = capsys.readouterr()
    assert "### SQLite" in said.out
    for name in QUESTIONS | ASIDE:
        assert f"| {name} |" in said.out
    assert "SQLite: 2,500 users" in said.err


@pytest.mark.slow
@pytest.mark.postgres
def test_it_loads_postgresql_too(postgres_server: postgres.Server, tmp_path: Path) -> None:
    with directory.directory("PostgreSQL", postgres_server.create("bench_directory"), tmp_path) as world:
        for size in (2000, 2100):
            world.grow(size)
            assert directory.measure(world, 1).keys() == (QUESTIONS | ASIDE).keys()
        assert world.megabytes() > 1


@pytest.mark.slow
def test_a_wrong_answer_is_not_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = search.users

    def nobody_at_all(*given: object, wanted: object = None, **more: object) -> object:
        return Page([], None) if wanted else asked(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "users", nobody_at_all)
    assert main(["--database", "sqlite", "--sizes", "2000", "--samples", "1"]) == 2
    assert "not what was asked for" in capsys.readouterr().err


def test_people_are_the_same_in_every_run_and_differ() -> None:
    assert person(7) == person(7)
    people = [person(n) for n in range(500)]
    for attribute in ("sub", "username", "email", "created_at"):
        assert len({getattr(one, attribute) for one in people}) == 500


@pytest.mark.parametrize(("most", "said"), [(1.5, "yes"), (1.51, "NO")])
def test_a_median_may_grow_by_half(most: float, said: str) -> None:
    first = dict.fromkeys(QUESTIONS | ASIDE, (1.0, 9.0))
    last = dict.fromkeys(QUESTIONS | ASIDE, (most, 9.0))
    table = rows({10_000: first, 1_000_000: last})
    assert {row[-1] for row in table[1 : len(QUESTIONS) + 1]} == {said}
    assert {row[-1] for row in table[len(QUESTIONS) + 1 :]} == {""}


@pytest.mark.parametrize("sizes", ["100", "20000,10000", "10000,10000", "x"])
def test_sizes_rise_and_fill_a_page(sizes: str) -> None:
    with pytest.raises(SystemExit):
        main(["--sizes", sizes])


def test_the_document_has_its_table() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert [name for name in QUESTIONS | ASIDE if f"| {name} |" not in text] == []
