"""Uploaded pictures: whole, of the kind they are said to be, of a size that can be shown; SVG that only draws."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import images
from app.policy.images import NotAnImage
from tests import pictures

WHOLE = {
    "PNG": pictures.png(),
    "JPEG": pictures.jpeg(),
    "WEBP": pictures.webp(),
    "ICO": pictures.ico(),
    "SVG": pictures.svg(),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_picture_is_of_its_own_kind_and_no_other(kind: str) -> None:
    images.check(WHOLE[kind], kind)
    for other in WHOLE.keys() - {kind}:
        with pytest.raises(NotAnImage):
            images.check(WHOLE[kind], other)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_picture_that_is_cut_off_anywhere_is_refused(kind: str) -> None:
    for end in range(len(WHOLE[kind])):
        with pytest.raises(NotAnImage):
            images.check(WHOLE[kind][:end], kind)


@given(st.binary(max_size=200), st.sampled_from(sorted(WHOLE)), st.integers(0, 40))
def test_any_bytes_are_read_or_refused(content: bytes, kind: str, kept: int) -> None:
    try:
        images.check(WHOLE[kind][:kept] + content, kind)
    except NotAnImage:
        pass


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (pictures.png(10_001, 1), "PNG"),
        (pictures.png(0, 1), "PNG"),
        (pictures.png(6000, 6000), "PNG"),
        (pictures.jpeg(1, 20_000), "JPEG"),
        (pictures.webp(16_384, 1), "WEBP"),
        (pictures.ico(pictures.png(2**31, 2**31)), "ICO"),
        (pictures.ico(struct.pack("<Iii", 40, 20_000, 2)), "ICO"),
    ],
)
def test_a_picture_too_large_to_unpack_is_refused(content: bytes, kind: str) -> None:
    with pytest.raises(NotAnImage, match="pixels large"):
        images.check(content, kind)


def test_nothing_hides_behind_a_png() -> None:
    with pytest.raises(NotAnImage, match="after it"):
        images.check(pictures.png() + b"<script>alert(1)</script>", "PNG")


def test_a_damaged_png_is_refused() -> None:
    with pytest.raises(NotAnImage, match="damaged"):
        images.check(pictures.png().replace(b"IDAT", b"IDAX"), "PNG")


@pytest.mark.parametrize(
    "inside",
    [
        '<g fill="url(#a)" style="stroke: #000; fill: url(\'#b\')"><title>x</title></g>',
        '<defs><linearGradient id="a" href="#b"><stop offset="0" stop-color="red"/></linearGradient></defs>',
        '<text xml:space="preserve">&lt;script&gt;</text>',
    ],
)
def test_an_svg_may_draw(inside: str) -> None:
    images.check(pictures.svg(inside), "SVG")
    images.check(pictures.svg(inside, before='<?xml version="1.0" encoding="UTF-8"?><!-- x -->'), "SVG")


LINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
BOMB = '<!DOCTYPE svg [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    "content",
    [
        pictures.svg("<script>alert(1)</script>"),
        pictures.svg('<path onclick="alert(1)"/>'),
        pictures.svg('<path ONLOAD="alert(1)"/>'),
        pictures.svg('<a href="#x"/>'),
        pictures.svg('<image href="https://evil.example/x.png"/>'),
        pictures.svg("<foreignObject/>"),
        pictures.svg("<style>@import 'x'</style>"),
        pictures.svg('<use href="#a"/>'),
        pictures.svg('<animate attributeName="href" values="javascript:alert(1)"/>'),
        pictures.svg('<linearGradient href="https://evil.example/#a"/>'),
        pictures.svg(f'<linearGradient {LINK} xlink:href="data:x,#a"/>'),
        pictures.svg('<path fill="url(https://evil.example/#a)"/>'),
        pictures.svg('<path fill="url(#a) url(//evil.example)"/>'),
        pictures.svg('<path style="fill: u\\72l(//evil.example)"/>'),
        pictures.svg("<path style=\"fill: image-set('x' 1x)\"/>"),
        pictures.svg('<path style="x: java&#115;cript:y"/>'),
        pictures.svg('<path xmlns:e="urn:x" e:onclick="x"/>'),
        pictures.svg('<path xml:base="https://evil.example/"/>'),
        pictures.svg('<svg xmlns="http://www.w3.org/2000/svg"/>'),
        pictures.svg('<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>'),
        pictures.svg(before='<?xml-stylesheet href="//evil.example/x.css"?>'),
        pictures.svg("<text>&c;</text>", before=BOMB),
        pictures.svg(before='<!DOCTYPE svg SYSTEM "file:///etc/passwd">'),
        pictures.svg(before='<?xml version="1.0" encoding="UTF-7"?>'),
        pictures.svg().decode().encode("utf-16"),
        pictures.svg("<g>" * 60 + "</g>" * 60),
        pictures.svg("<g/>" * 10_000),
        pictures.svg("<g>"),
        b'<svg viewBox="0 0 1 1"/>',
        b'<g xmlns="http://www.w3.org/2000/svg"/>',
        b"",
    ],
)
def test_an_svg_that_is_not_clearly_harmless_is_refused(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        images.check(content, "SVG")


def test_the_first_bytes_tell_what_a_logo_is() -> None:
    assert images.kind(pictures.png()) == "PNG" and images.kind(pictures.jpeg()) == "JPEG"
    assert images.kind(pictures.svg()) is images.kind(b"") is images.kind(pictures.webp()) is None
