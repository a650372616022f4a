"""What commands do, in the audit: in one place for all of them, since each opens its environment in the same way."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import click

from app import facts, logs
from app.audit import acting, chain, record
from app.audit.masking import MASK, is_secret
from app.env import Env
from app.errors import Refusal
from app.facts import Facts
from app.pools import find


@contextmanager
def command(env: Env) -> Iterator[None]:
    """Around what a command does. If it writes, its row is written with that, and linked at the end: there may be no
    server to do so."""
    context = click.get_current_context()
    call = record.Call(context.command_path, parameters=_masked(context.params))
    named = context.params.get("pool_id")
    if named:
        with suppress(Refusal):
            call.pool_id = find.pool(env, named).id
    with facts.during(Facts(logs.new_id())), acting.during(acting.Acting(acting.COMMAND_LINE, _os_user())):
        with record.administrative(env, call, reading=False):
            yield
    if call.written:
        chain.link(env)


def _masked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: MASK if isinstance(value, str) and is_secret(name) else value
        for name, value in parameters.items()
        if value not in (None, (), False)
    }


def _os_user() -> str:
    """Who runs the command. In a container the number may have no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
