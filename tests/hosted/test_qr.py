"""The QR code that a page draws."""

import re

import pytest
import qrcode

from app.hosted import qr

URI = "otpauth://totp/App:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=App"


def dark(path: str) -> set[tuple[int, int]]:
    bars = re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path)
    assert "".join(f"M{x} {y}h{width}v1h-{back}z" for x, y, width, back in bars) == path
    assert all(width == back for _, _, width, back in bars)
    return {(int(x) + i, int(y)) for x, y, width, _ in bars for i in range(int(width))}


@pytest.mark.parametrize("text", ["a", URI, URI + "&x=" + "y" * 300])
def test_it_has_every_module_and_white_around_it(text: str) -> None:
    drawing = qr.drawn(text)
    code = qrcode.QRCode(border=4, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    rows = code.get_matrix()
    assert drawing.size == len(rows)
    found = dark(drawing.path)
    assert found == {(x, y) for y, row in enumerate(rows) for x, module in enumerate(row) if module}
    # The three finders, which begin where the quiet zone of four modules ends (ISO/IEC 18004, 6.3.8).
    first, last = 4, drawing.size - 5
    assert {(first, first), (last, first), (first, last)} <= found
    assert (min(x for x, _ in found), max(x for x, _ in found)) == (first, last)
    assert (min(y for _, y in found), max(y for _, y in found)) == (first, last)


def test_it_is_small() -> None:
    """A page with one is some kilobytes larger."""
    assert len(qr.drawn(URI).path) < 9000
