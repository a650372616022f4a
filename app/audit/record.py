"""Writing rows of the audit: of administrative calls (`administrative`) and of security events (`event`).

A row is inserted in the transaction of what it tells: nothing is acknowledged without its row, and no row tells of what
was rolled back. (Reads may be told a moment later: app.audit.reads.) It has a MAC of its own and is linked into the
chain later (app.audit.chain), so that writers do not wait for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import insert

from app import logs
from app.audit import acting
from app.db import table
from app.env import Env
from app.errors import InternalError, Refusal, ServiceUnavailable
from app.models import AuditEvent, Pool
from app.statements import Statement

INSTALLATION = ""
"""In the place of a pool's id."""
SIGN_IN, SIGN_IN_FAILED = "SignIn", "SignInFailed"
OF_SIGN_INS = frozenset({SIGN_IN, SIGN_IN_FAILED})
"""What a pool may leave out (pools.own_settings)."""
LONGEST_PARAMETERS = 16384
"""Bytes of a row's parameters; a document or a template may have 128 KB."""
MACED = (
    *("id", "at", "pool_id", "kind", "operation", "actor_kind", "actor", "user_sub", "target", "ip", "user_agent"),
    *("request_id", "error_code", "error_message", "parameters"),
)
"""Columns that a row's MAC covers: all that are there from the beginning."""

_INSERT = Statement(insert(table(AuditEvent)), inserts=(*MACED, "mac"))


@dataclass
class Call:
    """An administrative call under way, as far as is known by now."""

    operation: str
    pool_id: str = INSTALLATION
    target: str = ""
    user_sub: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Secrets are masked."""
    told: str | None = None
    """The error code of the row that was written last."""
    written: bool = False
    """Whether there is a row, when it is over."""


_call: ContextVar[Call | None] = ContextVar("call", default=None)


def only_reads(operation: str) -> bool:
    """Whether the operation of this name, of the API, is one that changes nothing."""
    return operation.startswith(("Describe", "Get", "List", "AdminGet", "AdminList"))


@contextmanager
def administrative(env: Env, call: Call, *, reading: bool = True) -> Iterator[Call]:
    """Around an administrative call: its row is written with the first transaction that it commits, or with one of its
    own where there is none. Without `reading`, what has written nothing gets no row. That of a granted operation that
    only reads is written a moment later, or not at all, as the settings say.

    A call that fails after it has committed something has two rows, the second with the error. One that the database
    could not serve gets none: there is nowhere to write it.
    """

    def made(refusal: Refusal | None) -> list[dict[str, Any]]:
        call.told = refusal.code if refusal else None
        message = type(refusal).message if refusal else None
        return _rows(
            env,
            kind="call",
            operations=(call.operation,),
            pool_id=call.pool_id,
            user_sub=call.user_sub,
            target=call.target,
            error=call.told,
            message=message,
            parameters=call.parameters,
        )

    def write(refusal: Refusal | None) -> None:
        _insert(env, made(refusal))

    failed: Exception | None = None
    before = _call.set(call)
    try:
        with env.alongside(write) as row:
            try:
                yield call
            except ServiceUnavailable:
                raise
            except Exception as raised:
                failed = raised
    finally:
        _call.reset(before)
    refusal = failed if isinstance(failed, Refusal) or failed is None else InternalError()
    if (reading or row.written) and (not row.written or (refusal and refusal.code != call.told)):
        if refusal is None and only_reads(call.operation):
            _of_read(env, made)
        else:
            with env.transaction():
                write(refusal)
            row.written = True
    call.written = row.written
    if failed is not None:
        raise failed


def _of_read(env: Env, made: Callable[[Refusal | None], list[dict[str, Any]]]) -> None:
    if env.settings.audit_reads == "off":
        return
    (row,) = made(None)
    if env.settings.audit_reads == "together" and env.reads.put(row):
        return
    with env.transaction():
        _INSERT.execute(env, row)


def about(*, target: str | None = None, user_sub: str | None = None) -> None:
    """Say what the administrative call that is under way, if there is one, is about."""
    call = _call.get()
    if call is None:
        return
    call.target = target or call.target
    call.user_sub = user_sub or call.user_sub


def event(
    env: Env,
    pool: Pool | str,
    *what: str,
    sub: str | None = None,
    target: str = "",
    refusal: Refusal | None = None,
    **details: Any,
) -> None:
    """Something that concerns security, under one name or several: one statement, inside the transaction that it
    happens in. `details` are no secrets and no names of people.

    Where no administrator did it, the user did, whom it is about, unless it was refused: then it was anybody.
    """
    if isinstance(pool, Pool) and not pool.audits_sign_ins:
        what = tuple(name for name in what if name not in OF_SIGN_INS)
    if not what:
        return
    about(user_sub=sub)
    rows = _rows(
        env,
        kind="event",
        operations=what,
        pool_id=pool if isinstance(pool, str) else pool.id,
        user_sub=sub,
        target=target,
        error=refusal.code if refusal else None,
        message=type(refusal).message if refusal else None,
        parameters=details,
        by_user=refusal is None,
    )
    _insert(env, rows)


def _insert(env: Env, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        _INSERT.execute(env, row)


def _rows(
    env: Env,
    *,
    kind: str,
    operations: tuple[str, ...],
    pool_id: str,
    user_sub: str | None,
    target: str,
    error: str | None,
    message: str | None,
    parameters: Mapping[str, Any],
    by_user: bool = False,
) -> list[dict[str, Any]]:
    who = acting.current()
    actor_kind, actor = who.kind, who.name
    if actor_kind == acting.ANYBODY and by_user and user_sub is not None:
        actor_kind, actor = acting.USER, user_sub
    row = {
        "at": env.now(),
        "pool_id": pool_id,
        "kind": kind,
        "actor_kind": actor_kind,
        "actor": _text(actor, 128),
        "user_sub": user_sub,
        "target": _text(target, 512),
        "ip": _text(who.ip, 64),
        "user_agent": _text(who.user_agent, 512),
        "request_id": logs.request_id(),
        "error_code": error,
        "error_message": message,
        "parameters": _packed(parameters),
    }
    rows = [{**row, "id": env.random.uuid(), "operation": operation} for operation in operations]
    return [{**one, "mac": mac(env, one)} for one in rows]


def mac(env: Env, row: Mapping[str, Any]) -> str:
    """Of a row, under a key that is not in the database in a form that can be read."""
    at: datetime = row["at"]
    values = [at.isoformat() if column == "at" else row[column] for column in MACED]
    return env.keyed.digest("audit row", orjson.dumps(values).decode("utf-8"))


def _packed(parameters: Mapping[str, Any]) -> str:
    packed = orjson.dumps(parameters, default=str)
    if len(packed) > LONGEST_PARAMETERS:
        packed = orjson.dumps({"omitted": f"{len(packed)} bytes", "names": sorted(parameters)[:100]})
    return packed.decode("utf-8")


def _text(given: str, longest: int) -> str:
    """PostgreSQL stores no character 0; and nobody's header is to break the row that tells of it."""
    return given.encode("utf-8", "replace").decode("utf-8").replace("\0", "")[:longest]
