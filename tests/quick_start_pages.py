"""The pages of docs/quick-starts/, as tests read them: fenced blocks and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).parents[1] / "docs" / "quick-starts"
_FENCE = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    text: str


def read(page: str) -> str:
    """The Markdown of a page."""
    return (PAGES / page).read_text()


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = read(page)
    found = [Block(**match.groupdict()) for match in _FENCE.finditer(text)]
    assert len(found) * 2 == len(re.findall("^```", text, re.MULTILINE)), f"{page} has a fence that is not understood"
    return found


def table(page: str, heading: str) -> list[dict[str, str]]:
    """The rows of the first table after a heading, by the names of its columns."""
    section = read(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert lines, f"{page} has no table under {heading}"
    head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in lines[0].splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def code(cell: str) -> list[str]:
    """What a cell has between backticks."""
    return re.findall("`([^`]+)`", cell)
