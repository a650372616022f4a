r"""The filter of ListUsers: one condition, `attribute = "value"` or `attribute ^= "value"` (reference: 4.9).

    filter    = blank attribute blank operator blank value blank
    attribute = one or more characters, none of them blank or one of  = ^ "
    operator  = "=" | "^="
    value     = '"' { any character but " and \ | '\"' | '\\' | '\' and any other character } '"'

A backslash makes the quote or the backslash that follows it part of the value; before anything else it is only itself.
Pure: what an attribute means, and how it is looked up, is for accounts.search.
"""

from __future__ import annotations

from dataclasses import dataclass

from app import errors

BLANK = " \t\r\n"
_NOT_IN_NAMES = BLANK + '=^"'
_FIRST_SURROGATE, _AFTER_SURROGATES, _LAST = 0xD800, 0xE000, 0x10FFFF


@dataclass(frozen=True)
class Filter:
    """What a user must have: an attribute that is `value`, or begins with it."""

    attribute: str
    prefix: bool
    value: str

    def __str__(self) -> str:
        """As it could be written; parsed again, it is the same filter."""
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.attribute} {"^=" if self.prefix else "="} "{escaped}"'


def parse(text: str) -> Filter | None:
    """What is asked for; None: nothing, so everybody. Raises errors.InvalidParameter."""
    if not text:
        return None
    # No value holds them, and PostgreSQL cannot be asked for them.
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise malformed()
    attribute, at = _attribute(text, _blank(text, 0))
    prefix, at = _operator(text, _blank(text, at))
    value, at = _value(text, _blank(text, at))
    if _blank(text, at) != len(text):  # there is no AND, and no OR
        raise malformed()
    return Filter(attribute, prefix, value)


def malformed() -> errors.InvalidParameter:
    return errors.InvalidParameter("Error while parsing filter.", field="filter")


def successor(prefix: str) -> str | None:
    """The least text that comes after all that begins with `prefix`, in the order of code points, which is that of the
    bytes of UTF-8. None: there is no such text."""
    while prefix:
        point = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if point <= _LAST:
            return prefix + chr(_AFTER_SURROGATES if point == _FIRST_SURROGATE else point)
    return None


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in BLANK:
        at += 1
    return at


def _attribute(text: str, at: int) -> tuple[str, int]:
    start = at
    while at < len(text) and text[at] not in _NOT_IN_NAMES:
        at += 1
    if at == start:
        raise malformed()
    return text[start:at], at


def _operator(text: str, at: int) -> tuple[bool, int]:
    for operator, prefix in (("^=", True), ("=", False)):
        if text.startswith(operator, at):
            return prefix, at + len(operator)
    raise malformed()


def _value(text: str, at: int) -> tuple[str, int]:
    if not text.startswith('"', at):
        raise malformed()
    found: list[str] = []
    at += 1
    while at < len(text):
        if text[at] == '"':
            return "".join(found), at + 1
        if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            at += 1
        found.append(text[at])
        at += 1
    raise malformed()
