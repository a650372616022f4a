"""Hot statements: the rows that SQLAlchemy would give, in the same transaction, with the same errors and limits."""

from __future__ import annotations

import ast
import contextvars
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from app import errors, metrics
from app.db import measure, orphaned, table
from app.env import Env
from app.models import AuthorizationCode, Throttle, User
from app.statements import Statement, columns, opened_on, record_of
from tests.conftest import START
from tests.executed import noticing

APP = Path(__file__).parents[1] / "app"

_T = table(Throttle)
INSERT = Statement(insert(_T), inserts=("key", "count", "pending", "since", "expires_at"))
COUNT = Statement(select(func.count()).select_from(_T))
BY_KEY = Statement(select(*columns(Throttle)).where(_T.c.key == bindparam("key")), record_of(Throttle))
UPDATE = Statement(
    update(_T).where(_T.c.key == bindparam("wanted")).values(count=_T.c.count + 5).returning(_T.c.count, _T.c.since)
)
DELETE = Statement(delete(_T))
LOCK = Statement(select(_T.c.key).where(_T.c.key == bindparam("key")).with_for_update())
BESIDE = Statement(
    select(*columns(Throttle), *columns(User, ("sub", "enabled")), _T.c.count + 1)
    .select_from(_T.outerjoin(table(User), table(User).c.sub == _T.c.key))
    .where(_T.c.key == bindparam("key")),
    record_of(Throttle),
    record_of(User, only=("sub", "enabled")),
)
ORPHAN = Statement(insert(table(AuthorizationCode)), inserts=[column.key for column in columns(AuthorizationCode)])


class Undone(Exception):
    """Ends a transaction."""


def a_row(key: str, **other: Any) -> dict[str, Any]:
    return {"key": key, "count": 1, "pending": 0, "since": START, "expires_at": START + timedelta(hours=1), **other}


def keys(env: Env) -> list[str]:
    with env.reading() as session:
        return list(session.scalars(select(Throttle.key).order_by(Throttle.key)))


# -- records ---------------------------------------------------------------------------------------------------


def test_a_row_has_the_types_of_its_columns_and_cannot_be_written_to(env: Env) -> None:
    with env.transaction():
        assert INSERT.execute(env, a_row("a")) == 1
    found = BY_KEY.first(env, {"key": "a"})
    assert found is not None
    (row,) = found
    assert (row.key, row.count, row.since, row.locked_until) == ("a", 1, START, None)
    assert row.since.tzinfo is not None
    with pytest.raises(AttributeError):
        row.count = 2
    assert BY_KEY.first(env, {"key": "nobody"}) is None and BY_KEY.rows(env, {"key": "nobody"}) == []


def test_what_an_outer_join_does_not_find_is_none_and_values_come_last(env: Env) -> None:
    with env.transaction():
        INSERT.execute(env, a_row("a"))
    found = BESIDE.first(env, {"key": "a"})
    assert found is not None
    row, user, more = found
    assert (row.key, user, more) == ("a", None, 2)


def test_a_record_answers_what_its_model_does_but_what_was_left_out() -> None:
    whole, lean = record_of(User, "groups"), record_of(User, only=("sub", "status"))
    values = {column.key: None for column in columns(User)} | {"sub": "s", "status": "UNCONFIRMED", "attributes": {}}
    user = whole(**values, groups=[])
    assert (user.confirmed, user.all_attributes, user.groups) == (False, {"sub": "s"}, [])
    some = lean(sub="s", status="CONFIRMED")
    assert some.confirmed
    with pytest.raises(AttributeError):
        _ = some.email


# -- transactions ----------------------------------------------------------------------------------------------


def test_the_orm_and_hot_statements_see_what_the_other_has_written(env: Env) -> None:
    with env.transaction() as session:
        INSERT.execute(env, a_row("hot"))
        assert session.get(Throttle, "hot") is not None, "the session has joined"
        session.add(Throttle(**a_row("orm"), locked_until=None))
        assert COUNT.scalar(env, {}) == 2, "and was flushed"
        INSERT.execute(env, a_row("then"))
    assert keys(env) == ["hot", "orm", "then"]


@pytest.mark.parametrize("orm_first", [True, False])
def test_a_rollback_takes_back_both(env: Env, orm_first: bool) -> None:
    def by_orm() -> None:
        env.db.add(Throttle(**a_row("orm"), locked_until=None))
        env.db.flush()

    def hot() -> None:
        INSERT.execute(env, a_row("hot"))

    with pytest.raises(Undone), env.transaction():
        for act in (by_orm, hot) if orm_first else (hot, by_orm):
            act()
        raise Undone
    assert keys(env) == [] and opened_on(env.engine) is None
    with env.transaction():
        hot()
    assert keys(env) == ["hot"], "and the connection is as good as before"


def test_a_transaction_of_hot_statements_alone_is_committed_and_nothing_else_sees_it_before(env: Env) -> None:
    seen: list[Any] = []

    def elsewhere() -> None:
        seen.append(COUNT.scalar(env, {}))  # outside any application context, too

    with env.transaction():
        INSERT.execute(env, a_row("a"))
        other = threading.Thread(target=contextvars.Context().run, args=(elsewhere,))
        other.start()
        other.join()
    assert seen == [0] and COUNT.scalar(env, {}) == 1


def test_returned_values_come_back_and_writes_say_how_many_rows_they_wrote(env: Env) -> None:
    with env.transaction():
        INSERT.execute(env, a_row("a"))
        assert UPDATE.first(env, {"wanted": "a"}) == (6, START)
        assert UPDATE.first(env, {"wanted": "b"}) is None
        INSERT.execute(env, a_row("b"))
        assert DELETE.execute(env, {}) == 2


def test_what_writes_needs_a_transaction(env: Env) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        INSERT.execute(env, a_row("a"))
    with env.reading():
        assert COUNT.scalar(env, {}) == 0
        with pytest.raises(RuntimeError, match="transaction"):
            INSERT.execute(env, a_row("a"))
    assert keys(env) == []


def test_what_locks_needs_one_too(env: Env) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        LOCK.first(env, {"key": "a"})
    with env.transaction():
        INSERT.execute(env, a_row("a"))
        assert LOCK.first(env, {"key": "a"}) == ("a",)


def test_a_single_read_gives_its_connection_back_and_leaves_no_transaction_open(env: Env) -> None:
    for _ in range(3 * env.settings.connections):
        COUNT.scalar(env, {})
    assert env.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with pytest.raises(Undone), env.transaction():
        INSERT.execute(env, a_row("a"))
        raise Undone
    assert keys(env) == [], "the transaction after it is one"


# -- errors ----------------------------------------------------------------------------------------------------


def test_a_violated_constraint_is_the_exception_that_sqlalchemy_raises(env: Env) -> None:
    with pytest.raises(IntegrityError), env.transaction():
        INSERT.execute(env, a_row("a"))
        INSERT.execute(env, a_row("a"))
    row = dict.fromkeys(column.key for column in columns(AuthorizationCode))
    text_columns = {"digest": "d", "client_id": "nobody", "user_sub": "nobody", "redirect_uri": "r", "scope": "s"}
    moments = dict.fromkeys(("auth_time", "created_at", "expires_at", "forget_at"), START)
    row |= text_columns | moments | {"methods": [], "redirect_uri_stated": True, "acr_asked": False}
    with pytest.raises(errors.TooManyRequests), env.transaction(), orphaned(errors.TooManyRequests()):
        ORPHAN.execute(env, row)
    assert env.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_database_that_cannot_serve_is_unavailable_and_a_mistake_is_a_mistake(env: Env) -> None:
    def refuse(statement: str, parameters: Any) -> None:
        raise OperationalError(statement, {}, env.engine.dialect.loaded_dbapi.OperationalError("gone"))

    mistaken = Statement(select(text("1")).select_from(text("no_such_table")))
    with pytest.raises(Exception, match="no_such_table"):
        mistaken.first(env, {})
    if env.engine.dialect.name == "postgresql":  # of SQLite's errors the driver's own code decides
        with noticing(env.engine, refuse), pytest.raises(errors.ServiceUnavailable):
            COUNT.scalar(env, {})
    assert COUNT.scalar(env, {}) == 0
    assert env.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_connection_that_was_cut_is_given_up(env: Env) -> None:
    if env.engine.dialect.name == "sqlite":
        pytest.skip("of PostgreSQL only")
    with pytest.raises(errors.ServiceUnavailable), env.transaction():
        INSERT.execute(env, a_row("a"))
        with env.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
        COUNT.scalar(env, {})
    assert COUNT.scalar(env, {}) == 0, "the next one has a new connection"
    assert keys(env) == []


# -- what is hot -----------------------------------------------------------------------------------------------


def test_each_execution_is_noticed_and_measured(
    env: Env, statements: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    took: list[float] = []
    monkeypatch.setattr(metrics.STATEMENTS, "observe", took.append)
    measure(env.engine)
    statements()
    COUNT.scalar(env, {})
    assert [one.split()[0] for one in statements()] == ["SELECT"] and len(took) == 1


def test_a_statement_whose_text_depends_on_its_values_is_refused(env: Env) -> None:
    some = Statement(select(_T.c.key).where(_T.c.key.in_(bindparam("some", expanding=True))))
    with pytest.raises(TypeError, match="depend"):
        some.rows(env, {"some": ["a"]})


def test_statements_are_made_at_import_alone() -> None:
    """One that a function made would be compiled at each call. (partial(…) of those of one form is at import, too.)"""
    found = []
    for path in sorted(APP.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name not in AT_IMPORT:
                made = [node for node in ast.walk(function) if _makes_a_statement(node)]
                found += [f"{path.relative_to(APP)}:{node.lineno}" for node in made]  # type: ignore[attr-defined]
    assert found == []


AT_IMPORT = {"_of_each_shape"}
"""Functions that are called at import only."""


def _makes_a_statement(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement"
