"""What a customer's CSS may say on the classic pages: some properties of some classes (reference: 7.9).

Whoever may write any CSS into a sign-in page can read what is typed there, with a background image per character. So
this is a list of what is allowed, over the tokens of a real tokenizer, and everything else is refused: at-rules, other
selectors, other properties, strings, URLs, functions that are no colours, nesting. A backslash or an angle bracket is
refused before anything is read: an escape hides a word from whoever looks for it, and `</style` ends the sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import tinycss2

from app import errors

_NEVER = re.compile(r"[\\<>\x00-\x08\x0b\x0e-\x1f\x7f]")
_ENDLESS = re.compile(r"[0-9]{100}")
"""No size: Python does not make a number of more than 4300 digits, and the tokenizer would ask it to."""
_COLOURS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_PLAIN = frozenset({"ident", "number", "percentage", "dimension", "hash", "whitespace", "comment"})
_LAST = "end-of-sheet"
"""A rule of ours after the last of theirs: what is not closed swallows it."""

PROPERTIES: dict[str, frozenset[str]] = {
    selector: frozenset(properties.split())
    for selector, properties in {
        "background-customizable": "background-color",
        "banner-customizable": "padding background-color",
        "errorMessage-customizable": "margin padding font-size width background border color box-sizing",
        "idpButton-customizable": "height width text-align margin-bottom color background-color border-color",
        "idpButton-customizable:hover": "color background-color border-color",
        "idpDescription-customizable": "padding-top padding-bottom padding display font-size",
        "inputField-customizable": "width height color background-color border border-radius",
        "inputField-customizable:focus": "border-color outline",
        "label-customizable": "font-weight",
        "legalText-customizable": "color font-size",
        "logo-customizable": "max-width max-height",
        "passwordCheck-notValid-customizable": "color",
        "passwordCheck-valid-customizable": "color",
        "redirect-customizable": "text-align",
        "socialButton-customizable": "height text-align width margin-bottom border-radius padding",
        "submitButton-customizable": "font-size font-weight margin width height color background-color text-align",
        "submitButton-customizable:hover": "color background-color",
        "textDescription-customizable": "padding-top padding-bottom display font-size",
    }.items()
}
"""What each selector may set. The reference gives no properties for the hovers and for `redirect`: theirs are ours. The
radius of fields, radius and padding of social buttons, and the alignment of the submit button are not in its list
either: the template that the service hands out has them, and a customer's sheet starts from that."""


@dataclass(frozen=True)
class Rule:
    """One rule of a sheet, to be drawn from: `selector` without its dot."""

    selector: str
    declarations: tuple[tuple[str, str], ...]


def rules(sheet: str) -> list[Rule]:
    """The rules of a sheet, all of it allowed. Raises errors.InvalidParameter."""
    if _NEVER.search(sheet):
        raise _refused("it has a character that is not allowed")
    if _ENDLESS.search(sheet):
        raise _refused("it has a number with too many digits")
    found: list[Rule] = []
    for node in _parsed(f"{sheet}\n.{_LAST}{{}}"):
        if node.type == "at-rule":
            raise _refused(f"@{node.at_keyword[:40]} is not allowed")
        if node.type != "qualified-rule":
            raise _refused("it cannot be read")
        found.append(_rule(node))
    if not found or found.pop() != Rule(_LAST, ()) or any(rule.selector == _LAST for rule in found):
        raise _refused("a comment or a block is not closed")
    return found


def _parsed(sheet: str) -> Iterable[Any]:
    found: Iterable[Any] = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    return found


def _rule(node: Any) -> Rule:
    selector = _selector(node.prelude)
    declarations = []
    for each in tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True):
        if each.type != "declaration":
            raise _refused(f".{selector} holds something that is no declaration")
        if each.name not in PROPERTIES.get(selector, ()):
            raise _refused(f".{selector} cannot set {each.name[:40]}")
        if not _is_plain(each.value):
            raise _refused(f"the value of {each.name} of .{selector} is not allowed")
        important = " !important" if each.important else ""
        value = tinycss2.serialize([token for token in each.value if token.type != "comment"]).strip()
        declarations.append((each.name, value + important))
    return Rule(selector, tuple(declarations))


def _selector(prelude: Iterable[Any]) -> str:
    tokens = list(prelude)
    while tokens and tokens[0].type in ("whitespace", "comment"):
        tokens.pop(0)
    while tokens and tokens[-1].type in ("whitespace", "comment"):
        tokens.pop()
    if [token.type for token in tokens] not in (["literal", "ident"], ["literal", "ident", "literal", "ident"]):
        raise _refused("only single classes can be selected")
    text = "".join(token.value for token in tokens)
    selector = text.removeprefix(".")
    if text == selector or (selector not in PROPERTIES and selector != _LAST):
        raise _refused(f"{text[:80]} cannot be customized")
    return selector


def _is_plain(value: Iterable[Any], *, commas: bool = False) -> bool:
    """Words, numbers and colours. Commas stand inside colours only: elsewhere they would make layers."""
    for token in value:
        if token.type == "literal":
            if not commas or token.value not in (",", "/"):
                return False
        elif token.type == "function":
            if commas or token.lower_name not in _COLOURS or not _is_plain(token.arguments, commas=True):
                return False
        elif token.type not in _PLAIN:
            return False
    return True


def _refused(why: str) -> errors.InvalidParameter:
    return errors.InvalidParameter(f"The CSS is not valid: {why}.", field="css")
