"""Random members for the operations, from the published model: mostly such as it allows, some that it does not.

Everything is a hypothesis strategy, so that a failure shrinks to the few members that matter. Values come from the
shape (enums, patterns, bounds: at the bounds, too, and with characters from everywhere), from what exists in the world
that is fuzzed (`known`, by the name of a member or of its shape), and then something may go wrong with the whole: a
member left out, of another type, too long, nested, null.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from app.api.registry import LIVE_PATTERNS, MODEL
from tests import pictures

Known = Mapping[str, Sequence[Any]]
"""What exists, under the name of a member (`ClientId`) or of a shape (`UserPoolIdType`), the likeliest first; and under
the name of an operation members with which it succeeds, where these have to fit one another."""

LONGEST = 131072
"""Characters of a text for which the model names no bound. It has no longer ones."""
ODD = (
    "a",
    "Z",
    "0",
    "-",
    "ß",
    "İ",
    "ﬀ",
    "中",
    "é",
    "٣",
    "𝒳",
    "🜚",
    "\u202e",
    "\u200b",
    "\u0301",
    "\ufdfa",
    "'",
    '"',
    "<",
    "\\",
)
"""Characters that something trips over: that fold or normalise to several, that turn the text around, that quote."""

CLASSES = {
    "L": "A-Za-zß中İﬀ𝒳",
    "M": "\u0301\u20dd",
    "S": "$+<=>^`|~€🜚",
    "N": "0-9٣Ⅷ",
    "P": "!-#%-*,-/:;?@\\[\\\\\\]_{}¿",
    "Z": " \u00a0",
}
"""Some characters of each Unicode category, for patterns that `re` cannot read."""

PICTURES = (
    pictures.png(),
    pictures.jpeg(),
    pictures.webp(),
    pictures.ico(),
    pictures.svg(),
    pictures.png(2**31 - 1, 2**31 - 1),
    pictures.svg("<script>alert(1)</script>"),
    pictures.svg("&a;", before='<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
    pictures.svg("<g>" * 3000 + "</g>" * 3000),
    pictures.png() + b"<script>",
    pictures.jpeg()[:20],
    b"",
    b"\0" * 2000,
)
"""Whole ones of each kind, and such as would harm somebody."""


def _nested(depth: int, leaf: Any, *, key: str | None = None) -> Any:
    for _ in range(depth):
        leaf = [leaf] if key is None else {key: leaf}
    return leaf


JUNK: tuple[Any, ...] = (
    None,
    "",
    0,
    -1,
    True,
    1.5,
    [],
    {},
    [None],
    {"": None},
    [[]],
    " ",
    "\0",
    "a\0b",
    "a\r\nb: c",
    "\u202eabc",
    "𝒳" * 40,
    "ﷺ" * 120,
    "\ud800",
    "' OR 1=1 --",
    "%_\\%",
    "{0}{x}%s%(x)s",
    "{{7*7}}<script>",
    "a" * 64,
    "a" * 129,
    "a" * 257,
    "a" * 2049,
    "1" * 5000,
    "a" * (LONGEST + 1),
    "\ufffe\uffff",
    2**31,
    2**63,
    2**64,
    10**40,
    -(2**63) - 1,
    1e308,
    float("inf"),
    [1, "a", None, {}],
    {"Name": "email", "Value": None},
    {"a": {"b": [None, {"c": None}]}},
    _nested(60, None),
    _nested(600, "deep", key="a"),
    _nested(1100, []),
)
"""What no shape wants, or wants and does not expect."""

DOCUMENTS: tuple[Any, ...] = (
    {},
    {"components": {"primaryButton": {"lightMode": {"defaults": {"backgroundColor": "ff0000ff"}}}}},
    {"categories": {"global": {"colorSchemeMode": "LIGHT"}}, "componentClasses": {"buttons": {"borderRadius": 8.0}}},
    {"categories": None, "components": []},
    {"a" * 5000: 1e308, "b": 2**64, "c": -(2**63)},
    {"": {"": {"": ""}}},
    {"\u202e": "\0"},
    {"x": "\ud800"},
    {"x": list(range(3000))},
    _nested(100, 1, key="a"),
    _nested(260, 1, key="a"),
    _nested(900, 1, key="a"),
)


@dataclass(frozen=True, repr=False)
class Asked:
    """One call. Told in short where it fails, for it may be of the size of a book."""

    operation: str
    members: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.operation} {_told(self.members)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # Hypothesis would print the fields of a dataclass whatever it says of itself.
        printer.text(repr(self))


def calls(operation: str, known: Known) -> SearchStrategy[Asked]:
    """Calls of this operation."""
    return _members(operation, known).map(lambda members: Asked(operation, members))


@st.composite
def _members(draw: DrawFn, operation: str, known: Known) -> dict[str, Any]:
    found: dict[str, Any] = draw(_structure(MODEL["operations"][operation]["input"]["shape"], known))
    succeeds = known.get(operation)
    if succeeds and draw(st.booleans()):
        found |= draw(st.sampled_from(succeeds))
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 0, 0, 1, 1, 2, 4)))):
        found = draw(_spoiled(found))
    return found


def _value(member: str, shape: str, known: Known) -> SearchStrategy[Any]:
    """A value that the model allows, most of the time one that exists where something of this name does."""
    given = MODEL["shapes"][shape]
    fresh = _fresh(shape, known)
    exists = known.get(member) or known.get(shape)
    if not exists or given["type"] == "structure":
        return fresh
    return st.integers(0, 15).flatmap(lambda chance: fresh if chance == 15 else st.sampled_from(exists))


def _fresh(shape: str, known: Known) -> SearchStrategy[Any]:
    given = MODEL["shapes"][shape]
    match given["type"]:
        case "structure":
            return st.sampled_from(DOCUMENTS) if given.get("document") else _structure(shape, known)
        case "list":
            inner = _value(given["member"]["shape"], given["member"]["shape"], known)
            return _sized(inner, given.get("min", 0), given.get("max"))
        case "map":
            key, value = given["key"]["shape"], given["value"]["shape"]
            pairs = st.tuples(_value(key, key, known), _value(value, value, known))
            return _sized(pairs, given.get("min", 0), given.get("max")).map(dict)
        case "string":
            return st.sampled_from(given["enum"]) if "enum" in given else _text(shape)
        case "integer" | "long":
            low, high = given.get("min", -(2**31)), given.get("max", 2**31 - 1)
            return st.one_of(st.integers(low, min(high, max(low, 0) + 10)), st.sampled_from((low, high)))
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.sampled_from((0, 1.5, -1, 1772366400, 253402300800, 1e18))
        case "blob":
            return st.sampled_from(PICTURES).map(lambda made: base64.b64encode(made).decode("ascii"))
        case kind:
            raise TypeError(f"the model has a shape of kind {kind}: {shape}")


@st.composite
def _structure(draw: DrawFn, shape: str, known: Known) -> dict[str, Any]:
    """All that is required, and of the rest few, half, or all."""
    given = MODEL["shapes"][shape]
    required = given.get("required", ())
    share = draw(st.sampled_from((0, 2, 5, 10)))
    return {
        member: draw(_value(member, of["shape"], known))
        for member, of in given["members"].items()
        if member in required or (share and draw(st.integers(1, 10)) <= share)
    }


def _sized(inner: SearchStrategy[Any], shortest: int, longest: int | None) -> SearchStrategy[list[Any]]:
    few = min(longest if longest is not None else 3, shortest + 3)
    many = longest if longest is not None else 70
    usual = st.lists(inner, min_size=shortest, max_size=few)
    # As long as may be, of one value: drawing seventy takes longer than what becomes of them.
    return st.one_of(usual, usual, usual, inner.map(lambda one: [one] * min(many, 200)))


@cache
def _text(shape: str) -> SearchStrategy[str]:
    given = MODEL["shapes"][shape]
    shortest, longest = given.get("min", 0), given.get("max", LONGEST)
    pattern = LIVE_PATTERNS.get(shape, (given.get("pattern"),))[0]
    if pattern is None or pattern == "(?s).*":
        usual = st.text(st.sampled_from(ODD), min_size=shortest, max_size=min(longest, shortest + 12))
        return st.one_of(usual, usual, st.sampled_from(ODD).map(lambda c: c * longest))
    readable = re.sub(r"\\p\{(\w)\}", lambda found: CLASSES[found[1]], pattern)
    run = re.fullmatch(r"\^?(\[(?:[^\]\\]|\\.)*\])[+*]\$?", readable)
    if run:
        one = st.from_regex(re.compile(run[1], re.ASCII), fullmatch=True)
        usual = st.lists(one, min_size=shortest or 1, max_size=min(longest, (shortest or 1) + 12)).map("".join)
        return st.one_of(usual, usual, one.map(lambda c: c * longest))
    return st.from_regex(re.compile(readable, re.ASCII), fullmatch=True).filter(
        lambda text: shortest <= len(text) <= longest
    )


def _told(value: Any, depth: int = 0) -> str:
    """A value in Python's words, its long texts and lists cut."""
    match value:
        case str() if len(value) > 400:
            return f"{value[:12]!r}…({len(value)} characters)"
        case dict() | list() if depth > 8:
            return "…"
        case dict():
            return "{" + ", ".join(f"{_told(key)}: {_told(one, depth + 1)}" for key, one in value.items()) + "}"
        case list():
            more = f", …({len(value)} members)" if len(value) > 8 else ""
            return "[" + ", ".join(_told(one, depth + 1) for one in value[:8]) + more + "]"
    return repr(value)


# -- what goes wrong ---------------------------------------------------------------------------------------------


@st.composite
def _spoiled(draw: DrawFn, given: dict[str, Any]) -> dict[str, Any]:
    """The same with one thing wrong somewhere inside."""
    places = _places(given)
    if not places:
        return {"Unknown": draw(st.sampled_from(JUNK))}
    place = draw(st.sampled_from(places))
    match draw(st.sampled_from(("junk", "junk", "junk", "gone", "null", "more", "twice", "elsewhere"))):
        case "junk":
            return _with(given, place, draw(st.sampled_from(JUNK)))
        case "gone":
            return {key: value for key, value in given.items() if key != place[0]}
        case "null":
            return _with(given, place, None)
        case "more":
            return {**given, "Unknown": draw(st.sampled_from(JUNK)), "": None, "__type": "x"}
        case "twice":
            value = _at(given, place)
            return _with(given, place, value * 2 if isinstance(value, list | str) else [value, value])
        case _:
            return _with(given, place, _at(given, draw(st.sampled_from(places))))


Place = tuple[str | int, ...]


def _places(value: Any, here: Place = ()) -> list[Place]:
    """Every place inside a value, to a depth that a request of the model has."""
    if len(here) > 6:
        return []
    inside = value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
    return [place for key, one in inside for place in ((*here, key), *_places(one, (*here, key)))]


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def _with(value: Any, place: Place, new: Any) -> Any:
    """A copy with another value at a place."""
    if not place:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _with(copy[place[0]], place[1:], new)
    return copy
