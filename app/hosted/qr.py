"""A QR code as one path of an SVG, which a page has in itself: no picture to ask for, and nothing for a policy to
refuse."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import qrcode  # type: ignore[import-untyped]
from qrcode.constants import ERROR_CORRECT_M  # type: ignore[import-untyped]

QUIET = 4
"""Modules of white around it, without which readers do not find it (ISO/IEC 18004)."""


@dataclass(frozen=True)
class Drawing:
    """`path` is the dark part, in a square of `size` units with its corner at 0, 0."""

    size: int
    path: str


def drawn(text: str) -> Drawing:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET)
    code.add_data(text)
    code.make()
    rows: list[list[bool]] = code.get_matrix()
    return Drawing(len(rows), "".join(_bars(y, row) for y, row in enumerate(rows)))


def _bars(y: int, row: list[bool]) -> str:
    """The dark stretches of a row, each one a rectangle of height one."""
    path, x = "", 0
    for dark, modules in groupby(row):
        width = len(list(modules))
        if dark:
            path += f"M{x} {y}h{width}v1h-{width}z"
        x += width
    return path
