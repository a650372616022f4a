"""Whether uploaded bytes are the image that they are said to be, and one that can be shown to a stranger.

Nothing is decoded: headers are read, lengths and dimensions checked. A picture of a few bytes that unpacks to gigabytes
is refused by its dimensions. SVG is a document that can run code and fetch from elsewhere; of it only what draws is
let through, by a list of what is allowed.
"""

from __future__ import annotations

import re
import struct
import zlib
from xml.parsers import expat

LONGEST_SIDE = 10_000
MOST_PIXELS = 25_000_000
"""What a browser unpacks to 100 MB."""
MOST_ICONS = 32

TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "ICO": "image/x-icon",
    "SVG": "image/svg+xml",
}


class NotAnImage(ValueError):
    """Why these bytes are not taken."""


def kind(content: bytes) -> str | None:
    """`PNG` or `JPEG` by the first bytes, which is what the classic pages take."""
    if content.startswith(_PNG):
        return "PNG"
    return "JPEG" if content.startswith(b"\xff\xd8\xff") else None


def check(content: bytes, kind: str) -> None:
    """Refuse what is not a whole image of this kind (a key of `TYPES`). Raises NotAnImage."""
    try:
        _CHECKS[kind](content)
    except (struct.error, IndexError):
        raise NotAnImage("the file is cut off") from None


_PNG = b"\x89PNG\r\n\x1a\n"


def _png(content: bytes) -> None:
    """Chunk by chunk to the end: nothing may follow it, so that the file is not something else besides."""
    if not content.startswith(_PNG):
        raise NotAnImage("it is no PNG")
    place, first, seen = len(_PNG), True, set()
    while True:
        length, name = struct.unpack_from(">I4s", content, place)
        data = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
        if checksum != zlib.crc32(name + data):
            raise NotAnImage("a part of the PNG is damaged")
        if first:
            if name != b"IHDR" or length != 13:
                raise NotAnImage("the PNG does not begin with its header")
            _sized(*struct.unpack_from(">II", data))
        seen.add(name)
        place, first = place + 12 + length, False
        if name == b"IEND":
            break
    if b"IDAT" not in seen or place != len(content):
        raise NotAnImage("the PNG has no picture, or something after it")


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(content: bytes) -> None:
    """Segment by segment to the scan; the frame before it says how large it is."""
    if not content.startswith(b"\xff\xd8\xff"):
        raise NotAnImage("it is no JPEG")
    place, framed = 2, False
    while True:
        if content[place] != 0xFF:
            raise NotAnImage("the JPEG is damaged")
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        if length < 2:
            raise NotAnImage("the JPEG is damaged")
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, place + 5)
            _sized(width, height)
            framed = True
        place += 2 + length
        if marker == 0xDA:
            break
    if not framed or b"\xff\xd9" not in content[place:]:
        raise NotAnImage("the JPEG has no picture, or no end")


def _webp(content: bytes) -> None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise NotAnImage("it is no WebP")
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 != len(content):
        raise NotAnImage("the WebP is not as long as it says")
    first = content[12:16]
    if first == b"VP8X":
        _sized(*(1 + int.from_bytes(_whole(content, place, 3), "little") for place in (24, 27)))
    elif first == b"VP8L":
        if content[20] != 0x2F:
            raise NotAnImage("the WebP is damaged")
        (packed,) = struct.unpack_from("<I", content, 21)
        _sized((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
    elif first == b"VP8 ":
        if content[23:26] != b"\x9d\x01\x2a":
            raise NotAnImage("the WebP is damaged")
        width, height = struct.unpack_from("<HH", content, 26)
        _sized(width & 0x3FFF, height & 0x3FFF)
    else:
        raise NotAnImage("the WebP has no picture")


def _ico(content: bytes) -> None:
    """A directory of pictures, each a PNG or a bitmap."""
    reserved, what, count = struct.unpack_from("<HHH", content)
    if (reserved, what) != (0, 1) or not 0 < count <= MOST_ICONS:
        raise NotAnImage("it is no ICO")
    for number in range(count):
        size, offset = struct.unpack_from("<II", content, 6 + 16 * number + 8)
        if offset < 6 + 16 * count:
            raise NotAnImage("a picture of the ICO lies in its directory")
        picture = _whole(content, offset, size)
        if picture.startswith(_PNG):
            _png(picture)
        else:
            header, width, height = struct.unpack_from("<Iii", picture)
            if header != 40:
                raise NotAnImage("a picture of the ICO cannot be read")
            _sized(width, abs(height) // 2)  # a mask as high as the picture stands below it


def _whole(content: bytes, place: int, size: int) -> bytes:
    found = content[place : place + size]
    if len(found) != size:
        raise NotAnImage("the file is cut off")
    return found


def _sized(width: int, height: int) -> None:
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE) or width * height > MOST_PIXELS:
        raise NotAnImage(f"it is {width} by {height} pixels large")


# -- SVG --------------------------------------------------------------------------------------------------------

_SVG, _XLINK, _XML = (
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/XML/1998/namespace",
)
# Not among them: script, style, a, image, foreignObject, animations, filters (feImage fetches); `use` and `pattern`,
# of which a few that refer to one another draw a picture for minutes.
_ELEMENTS = frozenset(
    f"{_SVG} {name}"
    for name in (
        "svg g defs title desc path rect circle ellipse line polyline polygon text tspan linearGradient radialGradient "
        "stop clipPath mask"
    ).split()
)
_LOCAL = re.compile(r"\s*#[\w.-]+\s*")
_LOCAL_URL = re.compile(r"""url\(\s*(["']?)#[\w.-]+\1\s*\)""", re.IGNORECASE)
_FETCHES = re.compile(r"url\s*\(|image|import|expression|script\s*:|data\s*:|[\\@]|/\*", re.IGNORECASE)
MOST_ELEMENTS = 10_000
DEEPEST = 50


def _svg(content: bytes) -> None:
    """Read by the rules of XML, in UTF-8 alone, which a browser then cannot read otherwise. A document type, which
    is where entities that multiply are declared, ends the reading before any of it is used."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise NotAnImage("the SVG is not XML 1.0 in UTF-8") from None
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEEPEST or count > MOST_ELEMENTS:
            raise NotAnImage("the SVG has too many elements")
        if name not in _ELEMENTS or (depth == 1) != (name == f"{_SVG} svg"):
            raise NotAnImage(f"the SVG has an element that is not allowed: {name.rpartition(' ')[2][:40]}")
        for attribute, value in attributes.items():
            if not _harmless(attribute, value):
                raise NotAnImage(f"the SVG has an attribute that is not allowed: {attribute.rpartition(' ')[2][:40]}")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0" or (encoding or "utf-8").lower() not in ("utf-8", "utf8"):
            raise NotAnImage("the SVG is not XML 1.0 in UTF-8")

    def never(*_: object) -> None:
        raise NotAnImage("the SVG has a document type, or an instruction")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.XmlDeclHandler = declared
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ProcessingInstructionHandler = never
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        raise NotAnImage("the SVG is not well-formed XML") from None


def _harmless(attribute: str, value: str) -> bool:
    namespace, _, name = attribute.rpartition(" ")
    if name == "href" and namespace in ("", _XLINK):
        return _LOCAL.fullmatch(value) is not None
    if namespace == _XML:
        return name in ("space", "lang")
    if namespace or name.lower().startswith("on"):
        return False
    return _FETCHES.search(_LOCAL_URL.sub("", value)) is None


_CHECKS = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp, "ICO": _ico, "SVG": _svg}
