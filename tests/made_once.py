"""What every application makes for itself, takes long to make, and is the same in all of them: made once for all tests.

A server makes one application; the tests make some ten thousand. Without this they take a third longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine, event
from werkzeug.routing import Rule


class CompiledStatements(dict[Any, Any]):
    """SQL that was compiled in one test, for all others. SQLAlchemy keeps it by dialect, of which each engine has its
    own, and then by all that makes a statement another one."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self) >= 2000:
            self.clear()
        super().__setitem__(key[1:], compiled)


class CompiledTemplates(BytecodeCache):
    """Templates that were compiled in one test, for all others; each is compiled again when its text has changed."""

    def __init__(self) -> None:
        self._found: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        found = self._found.get(bucket.key + bucket.checksum)
        if found is not None:
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._found[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


STATEMENTS = {"sqlite": CompiledStatements(), "postgresql": CompiledStatements()}
TEMPLATES = CompiledTemplates()


def share(app: Flask, engine: Engine) -> None:
    """Let an application use what others have made."""
    engine.update_execution_options(compiled_cache=STATEMENTS[engine.dialect.name])
    app.extensions["cognate_theme"]._templates.bytecode_cache = TEMPLATES
    if engine.dialect.name == "sqlite":
        # The last connection that is closed writes all back, and would wait for the disk.
        event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA synchronous=OFF"))


def share_url_builders() -> None:
    """Let rules of the same form have the same function that builds their URLs, whichever map they are in: Werkzeug
    compiles two for each rule."""
    compile_builder: Callable[..., Callable[..., tuple[str, str]]] = Rule._compile_builder
    builders: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}

    def shared(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        form = rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown
        if form not in builders:
            builders[form] = compile_builder(rule, append_unknown)
        return builders[form]

    Rule._compile_builder = shared  # type: ignore[method-assign]
