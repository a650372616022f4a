"""Input checked against the published model, in Cognito's sentences (reference: 1.2).

A shape of the model becomes an object that reads a JSON value. A value of the wrong JSON type is a
SerializationException at once; values that break a constraint are collected and refused together. What is read is
clean: unknown members and nulls are gone, so an operation meets nothing that was not checked.

Anybody may send anything, so the work is bounded before it is done: a size is looked at before the parts, every text,
list and map has one, and nothing is looked at beyond the violations that are told.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app import errors
from app.api.errors import Serialization

DEEPEST = 20
"""Levels of a free document: enough for any, and nothing that later recurses into it gets lost."""
MOST_TOLD = 100
"""Violations of one request: a list of nothing but empty members would be told at thirty times its own length."""
LONGEST_TOLD = 1024
"""Characters of a value that a refusal repeats."""
LONGEST = 131072
"""Characters of a text for which the model names no bound; it names none that is greater."""
MOST = 1000
"""Members of a list or map for which the model names no bound: a user has some seventy attributes at most."""
NO_NUL = "Member must not contain the character U+0000"
"""PostgreSQL can store every character but this one."""
RANGES = {"integer": (-(2**31), 2**31 - 1, "Integer"), "long": (-(2**63), 2**63 - 1, "Long")}


def check(shape: Structure, value: Any) -> dict[str, Any]:
    """The members that are known and present. Raises Serialization, errors.InvalidParameter."""
    wrong: list[str] = []
    found = shape.read(value, "", wrong)
    if wrong:
        told = wrong[:MOST_TOLD]
        count = f"{len(told)} validation error{'s' if len(told) > 1 else ''} detected: "
        raise errors.InvalidParameter(count + "; ".join(told))
    return found


def missing(member: str) -> errors.InvalidParameter:
    """The refusal for a member that the model lets be left out, and this server does not."""
    return errors.InvalidParameter(f"1 validation error detected: {_null(lower_camel(member))}")


def lower_camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _null(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def _violation(shown: str, path: str, reason: str) -> str:
    return f"Value {shown}at '{path}' failed to satisfy constraint: {reason}"


def _shown(value: Any) -> str:
    """A value as a refusal repeats it, with the blank that follows it."""
    text = str(value)
    return f"'{text if len(text) <= LONGEST_TOLD else text[:LONGEST_TOLD] + '…'}' "


def _inconvertible(value: Any, wanted: str) -> Serialization:
    if isinstance(value, dict | list):
        return Serialization("Start of structure or map found where not expected.")
    given = {bool: "Boolean", int: "Integer", float: "Double"}.get(type(value), "String")
    return Serialization(f"class java.lang.{given} can not be converted to an {wanted}")


@dataclass(frozen=True)
class Scalar:
    """A value without parts. `rules` are the sentences of all its constraints."""

    secret: bool
    """A secret value is never repeated in a refusal."""

    @property
    def rules(self) -> list[str]:
        return []

    def broken(self, value: Any) -> list[str]:
        """Sentences of the constraints that a value breaks. Raises Serialization for the wrong type."""
        raise NotImplementedError

    def read(self, value: Any, path: str, wrong: list[str]) -> Any:
        broken = self.broken(value)
        if broken:
            shown = "" if self.secret else _shown(value)
            wrong.extend(_violation(shown, path, reason) for reason in broken)
        return value


@dataclass(frozen=True)
class String(Scalar):
    shortest: int
    longest: int | None
    told: str | None
    """The pattern as it is told, and `matches` as it is applied."""
    matches: Callable[[str], bool] | None
    enum: tuple[str, ...]

    @property
    def rules(self) -> list[str]:
        found = []
        if self.longest is not None:
            found.append(_at_most(self.longest))
        if self.shortest:
            found.append(_at_least(self.shortest))
        if self.told is not None:
            found.append(_pattern(self.told))
        if self.enum:
            found.append(_enum(self.enum))
        return found

    def broken(self, value: Any) -> list[str]:
        if type(value) is not str:
            raise _inconvertible(value, "String")
        found = []
        size = len(value)
        longest = LONGEST if self.longest is None else self.longest
        if size > longest:
            # Not looked at any further: a pattern may take longer than its text is long.
            return [_at_most(longest)]
        if self.matches is not None and not self.matches(value):
            found.append(_pattern(self.told or ""))
        if size < self.shortest:
            found.append(_at_least(self.shortest))
        if self.enum and value not in self.enum:
            found.append(_enum(self.enum))
        if "\0" in value:
            found.append(NO_NUL)
        return found


@dataclass(frozen=True)
class Number(Scalar):
    kind: str
    least: int | None
    greatest: int | None

    def broken(self, value: Any) -> list[str]:
        low, high, name = RANGES[self.kind]
        if type(value) is not int or not low <= value <= high:
            raise _inconvertible(value, name)
        if self.least is not None and value < self.least:
            return [f"Member must have value greater than or equal to {self.least}"]
        if self.greatest is not None and value > self.greatest:
            return [f"Member must have value less than or equal to {self.greatest}"]
        return []


@dataclass(frozen=True)
class Boolean(Scalar):
    def broken(self, value: Any) -> list[str]:
        if type(value) is not bool:
            raise _inconvertible(value, "Boolean")
        return []


@dataclass(frozen=True)
class Timestamp(Scalar):
    """Seconds since 1970, with a fraction."""

    def broken(self, value: Any) -> list[str]:
        if type(value) not in (int, float):
            raise _inconvertible(value, "Date")
        return []


@dataclass(frozen=True)
class Blob:
    """Bytes, in base64 on the wire."""

    longest: int | None

    def read(self, value: Any, path: str, wrong: list[str]) -> bytes:
        if type(value) is not str:
            raise _inconvertible(value, "Blob")
        if self.longest is not None and len(value) > (self.longest + 2) // 3 * 4:
            wrong.append(_violation("", path, _at_most(self.longest)))
            return b""
        try:
            found = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise Serialization("The value is not base64.") from None
        if self.longest is not None and len(found) > self.longest:
            wrong.append(_violation("", path, _at_most(self.longest)))
        return found


@dataclass(frozen=True)
class Document:
    """Any JSON, as it is, with its nulls; the operation says what it may be."""

    def read(self, value: Any, path: str, wrong: list[str]) -> Any:
        level, depth = [value], 0
        while level:
            depth += 1
            if depth > DEEPEST:
                wrong.append(_violation("", path, f"Member must not be nested deeper than {DEEPEST} levels"))
                break
            texts = [one for one in level if isinstance(one, str)]
            texts += [key for one in level if isinstance(one, dict) for key in one]
            if any("\0" in text for text in texts):
                wrong.append(_violation("", path, NO_NUL))
                break
            inner: list[Any] = []
            for one in level:
                inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            level = inner
        return value


@dataclass(frozen=True)
class Sequence:
    """A list."""

    member: Shape
    shortest: int
    longest: int | None
    secret: bool

    def read(self, value: Any, path: str, wrong: list[str]) -> list[Any]:
        if type(value) is not list:
            raise Serialization("Unexpected field type")
        # Before nulls are left out, for each would have to be looked at.
        if len(value) > _most(self):
            wrong.append(_violation("", path, _at_most(_most(self))))
            return []
        given = [one for one in value if one is not None]
        size = len(given)
        if isinstance(self.member, Scalar):
            if any(self.member.broken(one) for one in given):
                shown = "" if self.secret or self.member.secret else _shown(_listed(given))
                every = ", ".join(self.member.rules)
                wrong.append(_violation(shown, path, f"Member must satisfy constraint: [{every}]"))
        else:
            member = self.member
            read = []
            for place, one in enumerate(given, 1):
                if len(wrong) >= MOST_TOLD:
                    break
                read.append(member.read(one, f"{path}.{place}.member", wrong))
            given = read
        if size < self.shortest:
            wrong.append(_violation("", path, _at_least(self.shortest)))
        return given


def _listed(members: list[Any]) -> str:
    """As Java prints a list. Each member is cut as the whole will be, or it would be put together first."""
    return f"[{', '.join(str(one)[:LONGEST_TOLD] for one in members[:LONGEST_TOLD])}]"


@dataclass(frozen=True)
class Map:
    key: Scalar
    value: Shape
    shortest: int
    longest: int | None

    def read(self, value: Any, path: str, wrong: list[str]) -> dict[str, Any]:
        if type(value) is not dict:
            raise Serialization("Unexpected field type")
        if len(value) > _most(self):
            wrong.append(_violation("", path, _at_most(_most(self))))
            return {}
        given = {key: one for key, one in value.items() if one is not None}
        if any(self.key.broken(key) for key in given):
            wrong.append(_violation("", path, f"Map keys must satisfy constraint: [{', '.join(self.key.rules)}]"))
            return {}  # and no path is made of such a key
        if isinstance(self.value, Scalar):
            if any(self.value.broken(one) for one in given.values()):
                every = ", ".join(self.value.rules)
                wrong.append(_violation("", path, f"Map value must satisfy constraint: [{every}]"))
        else:
            inner = self.value
            given = {key: inner.read(one, f"{path}.{key}.member", wrong) for key, one in given.items()}
        if len(given) < self.shortest:
            wrong.append(_violation("", path, _at_least(self.shortest)))
        return given


@dataclass(frozen=True)
class Member:
    shape: Shape
    required: bool
    path: str
    """In lowerCamel, as refusals name it."""
    own: str
    """In our own words."""


@dataclass(frozen=True)
class Structure:
    members: Mapping[str, Member]

    def read(self, value: Any, path: str, wrong: list[str]) -> dict[str, Any]:
        if type(value) is not dict:
            raise Serialization("Unexpected field type")
        found = {}
        for name, member in self.members.items():
            given = value.get(name)
            if given is not None:
                found[name] = member.shape.read(given, f"{path}.{member.path}" if path else member.path, wrong)
            elif member.required:
                wrong.append(_null(f"{path}.{member.path}" if path else member.path))
        return found


Shape = Scalar | Blob | Document | Sequence | Map | Structure


def _at_least(size: int) -> str:
    return f"Member must have length greater than or equal to {size}"


def _at_most(size: int) -> str:
    return f"Member must have length less than or equal to {size}"


def _pattern(told: str) -> str:
    return f"Member must satisfy regular expression pattern: {told}"


def _enum(values: Iterable[str]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def _most(shape: Sequence | Map) -> int:
    return MOST if shape.longest is None else shape.longest


# -- patterns ---------------------------------------------------------------------------------------------------
# The model's patterns are Java's: \w and \s are ASCII, and \p{L} is a Unicode category, which `re` does not know. They
# tell characters beyond ASCII apart by category only, so one character can stand for all of its category.

_STANDS_FOR = {category: chr(0xE000 + place) for place, category in enumerate("LMNPSZC")}
_ASCII = {
    category: "".join(re.escape(chr(code)) for code in range(128) if unicodedata.category(chr(code))[0] == category)
    for category in _STANDS_FOR
}
_AROUND = re.compile(r"(?P<any>\[[^\]]*\])(?P<times>[*+])(?P<middle>.+?)(?P=any)(?P=times)")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole text is of this pattern."""
    around = _AROUND.fullmatch(pattern)
    if around:
        # `X*aX*bX*` or `X+aX+`: tried as it stands, a long text that fails takes the square or the cube of its length.
        # But X has the characters of a and b, too: the text is all of X, and a, then b, stands somewhere inside.
        every = _translated(around["any"] + around["times"])
        literals = around["middle"].split(around["any"] + "*")
        in_order = _translated("(?s)" + "".join(f"(?>.*?{literal})" for literal in literals))
        edge = 1 if around["times"] == "+" else 0

        def matches(text: str) -> bool:
            seen = _seen(text)
            return bool(every.fullmatch(seen) and in_order.match(seen, edge, len(seen) - edge))

        return matches
    whole = _translated(pattern)
    return lambda text: whole.fullmatch(_seen(text)) is not None


def _translated(pattern: str) -> re.Pattern[str]:
    python = re.sub(r"\\p\{(\w)\}", lambda found: _ASCII[found[1]] + _STANDS_FOR[found[1]], pattern)
    return re.compile(python, re.ASCII)


def _seen(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c if c < "\x80" else _STANDS_FOR[unicodedata.category(c)[0]] for c in text)
