"""Links between the documents lead to a file, and those with an anchor to exactly one heading of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "app").rglob("*.md")],
)


def prose(document: Path) -> str:
    return re.sub(r"(?ms)^```.*?^```$", "", document.read_text())


def anchors(document: Path) -> list[str]:
    """The anchors that GitHub makes of a document's headings, before it numbers those that are there twice."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(document))
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", prose(document)):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchors(target).count(anchor) == 1, f"{link}: not one heading"
