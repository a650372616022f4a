"""YAML for people who keep a pool as a file: a strict reading of it, in which text stays text.

What YAML 1.1 makes of `no`, `1e3`, `007` or `2026-03-01` is not what anybody means by them in a configuration: here
only `true`, `false`, `null`, whole numbers and decimal fractions are anything but text. A key that stands twice, an
alias (of which a few lines can make gigabytes) and a tag are refused. Everything refused is told with its line.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

import click
import yaml

from app import errors

LARGEST = 16 * 2**20
"""Bytes of a file at most: images may be in it."""
DEEPEST = 60

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+@=-]*(?: [A-Za-z0-9_./+@=-]+)*")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_OTHER_WORDS = {"yes", "no", "on", "off", "y", "n", "true", "false", "null", "nan", "inf"}
"""What some reader of YAML takes for something else, in whatever letter case."""

Path = tuple[str | int, ...]


class DocumentError(errors.InvalidParameter):
    """What is wrong with a file, and where."""


@dataclass(frozen=True)
class Document:
    """A file that was read: its value, and the line of everything in it."""

    name: str
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def wrong(self, path: Path, reason: str) -> DocumentError:
        """A refusal that tells the line of this path, or of what it would be in."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        where = f"{self.name}, line {self.lines.get(known, 1)}"
        return DocumentError(f"{where}: {told(path)}: {reason}" if path else f"{where}: {reason}")


def told(path: Path) -> str:
    """A path as people write it: `Clients[0].CallbackURLs`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def opened(file: str) -> Document:
    """The document in a file; `-` is standard input. Raises errors.InvalidParameter, DocumentError."""
    try:
        with click.open_file(file, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as failed:
        raise errors.InvalidParameter(f"{file} cannot be read: {os.strerror(failed.errno or 0)}.") from None
    return read("standard input" if file == "-" else file, data)


def read(name: str, data: bytes) -> Document:
    """A file's value. Raises DocumentError."""
    if len(data) > LARGEST:
        raise DocumentError(f"{name} is larger than {LARGEST // 2**20} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError(f"{name} is not UTF-8.") from None
    try:
        loader = yaml.SafeLoader(text)
        _refuse_aliases(name, text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else 1
        raise DocumentError(f"{name}, line {line}: {wrong.problem or wrong.context}.") from None
    except yaml.YAMLError as wrong:
        raise DocumentError(f"{name}: {str(wrong).splitlines()[0]}.") from None
    found = Document(name, None)
    if node is None:
        return found
    return Document(name, _value(found, node, ()), found.lines)


def _refuse_aliases(name: str, text: str) -> None:
    """Before anything is built of them; and what is nested deeper than any pool, which would end the reader's stack."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DocumentError(f"{name}, line {line}: anchors and aliases (& and *) are not read here; write it out.")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise DocumentError(f"{name}, line {line}: nested too deeply.")


def _value(document: Document, node: yaml.Node, path: Path) -> Any:
    document.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            document.lines[(*path, str(key))] = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise document.wrong((*path, str(key)), "a key must be a word")
            if key in found:
                raise document.wrong((*path, key), "stands there twice")
            line = document.lines[(*path, key)]
            found[key] = _value(document, value_node, (*path, key))
            document.lines[(*path, key)] = line
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(document, one, (*path, number)) for number, one in enumerate(node.value)]
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _IMPLICIT:
        raise document.wrong(path, f"the tag {node.tag} is not read here")
    text = node.style is not None or node.tag.endswith(":str")
    return node.value if text else _scalar(node.value)


_IMPLICIT = {
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
}


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):
    """Writes text so that every reader of YAML takes it for text, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _OTHER_WORDS
    # A block keeps lines readable, but drops what YAML does not count as printable, and blanks at the ends of lines.
    block = "\n" in value and value.isprintable() is False and re.fullmatch(r"(?:[^\W]|[ -~\n])+", value)
    if block and not re.search(r"[ \t]\n|^\s|[ \t]$", value):
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|")
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def written(value: Any) -> str:
    """A value as YAML, keys in the order they have."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
