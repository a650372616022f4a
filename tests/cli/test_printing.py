"""Tables, JSON, and what is told of something that takes long."""

import threading

import pytest

from app.cli import printing


def test_columns_stand_below_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    printing.table(["NAME", "N"], [("a longer one", 1), ("b", None), ("c", True), ("d", ["x", "y"])])
    assert capsys.readouterr().out.splitlines() == [
        "NAME          N",
        "a longer one  1",
        "b             -",
        "c             yes",
        "d             x y",
    ]


def test_rows_are_printed_as_they_come(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "AHEAD", 1)
    seen: list[str] = []

    def rows() -> object:
        yield ("a",)
        yield ("b",)
        seen.append(capsys.readouterr().out)
        yield ("c",)

    printing.table(["X"], rows())  # type: ignore[arg-type]
    assert seen == ["X\na\nb\n"]
    assert capsys.readouterr().out == "c\n"


def test_a_list_is_json_whether_or_not_it_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    for values, said in (([], "[]\n"), ([1], "[\n1\n]\n"), ([1, {"a": 2}], '[\n1,\n{"a":2}\n]\n')):
        printing.json_list(values)
        assert capsys.readouterr().out == said


def test_what_takes_long_is_told_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Semaphore(0)
    lines: list[str] = []

    def echo(line: str, *, err: bool) -> None:
        assert err
        lines.append(line)
        told.release()

    monkeypatch.setattr(printing.click, "echo", echo)
    monkeypatch.setattr(printing, "PATIENCE", 0)
    monkeypatch.setattr(printing, "AGAIN", 0.001)
    with printing.working("Counting", clock=lambda: 3.0) as work:
        assert told.acquire(timeout=60)
        work.what = "Counting: 7 users"
        while "Counting: 7 users (0 s)" not in lines:
            assert told.acquire(timeout=60)
    assert lines[0] == "Counting (0 s)"
    before = len(lines)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"] and len(lines) == before


def test_what_is_done_at_once_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with printing.working("Counting"):
        pass
    assert capsys.readouterr() == ("", "")
