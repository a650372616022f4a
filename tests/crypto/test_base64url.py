from __future__ import annotations

import pytest

from app.crypto import base64url


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xff\xfe", b"\xfb\xef\xbe", bytes(range(256))])
def test_what_was_encoded_comes_back(raw: bytes) -> None:
    text = base64url.encode(raw)
    assert not set(text) & set("=+/")
    assert base64url.decode(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AA==", id="padding"),
        pytest.param("+/8", id="the other alphabet"),
        pytest.param("A A", id="a space inside"),
        pytest.param("AA\n", id="a line end"),
        pytest.param("AB", id="spare bits that are not zero: AA and AB would be the same byte"),
        pytest.param("A", id="six bits are no byte"),
        pytest.param("ÄÄ", id="not ASCII"),
        pytest.param("A\ud800", id="half a surrogate pair"),
    ],
)
def test_a_text_that_encode_would_not_have_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        base64url.decode(text)
