"""Statements of hot requests: built by SQLAlchemy once, compiled once for each engine's dialect, and executed on the
driver's own connection, with the column types' conversions, giving small frozen records.

A session of the ORM makes objects that notice changes, and a connection of SQLAlchemy's makes a context for each
execution. Hot requests need neither, and both take several times as long as the database does. What stays the same:

- the pool, with its limits, its ping and its time limits, and the transaction that is open (`Opened`), which the ORM
  shares: what one has written the other sees;
- what the driver raises becomes SQLAlchemy's exception, and so the same refusal (app.outages, db.orphaned, env);
- each execution is measured and traced, because it goes through the dialect (db.measure).

Statements are built at import, never in a function: one is compiled for each object that is made (a test looks).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from operator import itemgetter
from types import FunctionType
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Column, Dialect, Engine, Select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Executable

from app.db import BEGUN, READ_ONLY, Base, table
from app.outages import Outages

M = TypeVar("M", bound=Base)

Row = Sequence[Any]
Given = Mapping[str, Any]


class Database(Protocol):
    """What statements are executed on: env.Env."""

    @property
    def engine(self) -> Engine: ...

    @property
    def outages(self) -> Outages: ...


# -- records ---------------------------------------------------------------------------------------------------


def record_of(model: type[M], *more: str, only: Collection[str] = ()) -> type[M]:
    """What a hot statement makes of a row of this model: frozen, with its columns (or `only` some), its properties and
    methods, and places for what is read beside them (`more`), None at first. To the type checker it is the model:
    whoever reads one may be given the other. Writing to it raises AttributeError, and so does reading what was left
    out."""
    fields = [column.key for column in columns(model, only)]
    questions = {
        name: found
        for base in model.__mro__[model.__mro__.index(Base) :: -1]
        for name, found in vars(base).items()
        if isinstance(found, property | FunctionType) and not name.startswith("__") and name not in more
    }
    base = namedtuple(f"{model.__name__}Record", [*fields, *more])  # type: ignore[misc]  # noqa: PYI024
    made = type(base.__name__, (base,), {"__slots__": (), "__doc__": model.__doc__, "_more": len(more), **questions})
    return cast(type[M], made)


def columns(model: type[Base], only: Collection[str] = ()) -> list[Column[Any]]:
    """In the order in which the model's record has them."""
    return [column for column in table(model).columns if not only or column.key in only]


# -- the transaction that is open ------------------------------------------------------------------------------


class Opened:
    """One connection of the pool for what is being done here, from the first statement to the end: for hot statements
    as the driver has it, and for the ORM as one of SQLAlchemy's, if it is asked for anything."""

    __slots__ = ("_fairy", "_session", "_wrapped", "engine", "writes")

    def __init__(self, engine: Engine, session: Session, *, writes: bool) -> None:
        self.engine = engine
        self.writes = writes
        self._session = session
        self._fairy: Any = None
        self._wrapped: Connection | None = None

    def driver(self) -> Any:
        """The driver's connection, in the transaction."""
        if self._session.in_transaction():
            self._session.flush()
            return self._session.connection().connection
        if self._fairy is None:
            self._fairy = connected(self.engine)
            if self.engine.dialect.name == "sqlite":
                _executed(self.engine, self._fairy, "BEGIN IMMEDIATE", (), _nothing)
        return self._fairy

    def of_session(self) -> Connection | None:
        """The connection that the ORM has to use; None where it may begin on one of its own."""
        if self._fairy is None:
            return None
        if self._wrapped is None:
            self._wrapped = Connection(self.engine, connection=self._fairy).execution_options(**{BEGUN: True})
        return self._wrapped

    def commit(self) -> None:
        self._session.commit()
        if self._fairy is not None:
            try:
                self.engine.dialect.do_commit(self._fairy)
            except self.engine.dialect.loaded_dbapi.Error as error:
                raise translated(self.engine, self._fairy, error, "COMMIT") from error

    def rollback(self) -> None:
        self._session.rollback()
        if self._fairy is not None and self._fairy.is_valid:
            self.engine.dialect.do_rollback(self._fairy)

    def close(self) -> None:
        self._session.close()
        if self._fairy is not None:
            self._fairy.close()


opened: ContextVar[Opened | None] = ContextVar("opened", default=None)
"""Of whichever application; each looks whether the engine is its own."""


def opened_on(engine: Engine) -> Opened | None:
    found = opened.get()
    return found if found is not None and found.engine is engine else None


def connected(engine: Engine) -> Any:
    """A connection of the pool. Raises what SQLAlchemy raises."""
    try:
        return engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise translated(engine, None, error, None) from error


def translated(engine: Engine, fairy: Any, error: BaseException, sql: str | None) -> BaseException:
    """What SQLAlchemy would raise for an exception of the driver. A connection that is of no more use is given up, and
    the others of the pool with it."""
    dialect = engine.dialect
    cursor: Any = None
    lost = fairy is not None and (
        dialect.is_disconnect(cast(Any, error), fairy.dbapi_connection, cursor)
        or getattr(error, "sqlstate", None) == READ_ONLY
    )
    if lost:
        fairy.invalidate(error)
        engine.dispose()
    return DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )


# -- statements ------------------------------------------------------------------------------------------------


class Statement:
    """One statement. `records` says what is made of each row, from its first column on: a record takes as many columns
    as it has fields of its own, and is None where the first of them is NULL (an outer join that found nothing); what
    remains are values."""

    def __init__(
        self,
        statement: Executable | Callable[[str], Executable],
        *records: type[Any],
        inserts: Iterable[str] | None = None,
    ) -> None:
        """What differs between dialects is made by a function of the dialect's name. `inserts` names the columns of an
        INSERT without VALUES."""
        self._statement = statement
        self._records = records
        self._inserts = None if inserts is None else list(inserts)
        self._compiled: dict[str, _Compiled] = {}

    def first(self, env: Database, given: Given) -> tuple[Any, ...] | None:
        """The only row, or the first; None where there is none."""
        compiled, row = self._run(env, given, _fetch_one)
        return None if row is None else compiled.shape(row)

    def rows(self, env: Database, given: Given) -> list[tuple[Any, ...]]:
        compiled, rows = self._run(env, given, _fetch_all)
        return [compiled.shape(row) for row in rows]

    def scalar(self, env: Database, given: Given) -> Any:
        """The first value of the first row; None where there is none."""
        found = self.first(env, given)
        return None if found is None else found[0]

    def execute(self, env: Database, given: Given) -> int:
        """How many rows were written."""
        return cast(int, self._run(env, given, _row_count)[1])

    def _run(self, env: Database, given: Given, fetch: Callable[[Any], Any]) -> tuple[_Compiled, Any]:
        engine = env.engine
        compiled = self._compiled.get(engine.dialect.name)
        if compiled is None:
            statement = self._statement
            if not isinstance(statement, Executable):
                statement = statement(engine.dialect.name)
            compiled = _Compiled(statement, self._records, self._inserts, engine.dialect)
            self._compiled[engine.dialect.name] = compiled
        transaction = opened_on(engine)
        if not compiled.reads and (transaction is None or not transaction.writes):
            raise RuntimeError("what writes or locks needs a transaction: env.transaction()")
        arguments = compiled.arguments(given)
        if transaction is not None:
            return compiled, _executed(engine, transaction.driver(), compiled.sql, arguments, fetch)
        with env.outages.translated():
            fairy = connected(engine)
            try:
                if engine.dialect.name == "sqlite":
                    return compiled, _executed(engine, fairy, compiled.sql, arguments, fetch)
                # A statement by itself needs no BEGIN, and no round trip for one.
                fairy.driver_connection.autocommit = True
                try:
                    return compiled, _executed(engine, fairy, compiled.sql, arguments, fetch)
                finally:
                    if fairy.is_valid and not fairy.driver_connection.closed:
                        fairy.driver_connection.autocommit = False
            finally:
                fairy.close()


def _executed(engine: Engine, fairy: Any, sql: str, arguments: Any, fetch: Callable[[Any], Any]) -> Any:
    dialect = engine.dialect
    try:
        cursor = fairy.dbapi_connection.cursor()
        try:
            dialect.do_execute(cursor, sql, arguments)
            return fetch(cursor)
        finally:
            cursor.close()
    except dialect.loaded_dbapi.Error as error:
        raise translated(engine, fairy, error, sql) from error


def _fetch_one(cursor: Any) -> Any:
    return cursor.fetchone()


def _fetch_all(cursor: Any) -> Any:
    return cursor.fetchall()


def _nothing(cursor: Any) -> Any:
    return None


def _row_count(cursor: Any) -> Any:
    return cursor.rowcount


class _Compiled:
    """A statement in the words of one dialect."""

    def __init__(
        self, statement: Executable, records: Sequence[type[Any]], inserts: list[str] | None, dialect: Dialect
    ) -> None:
        compiled = cast(SQLCompiler, cast(ClauseElement, statement).compile(dialect=dialect, column_keys=inserts))
        if compiled.post_compile_params or compiled.insert_prefetch or compiled.update_prefetch:
            raise TypeError(f"its text or its values depend on the execution: {compiled.string}")
        self.sql = compiled.string
        # A lock that a single statement takes is gone with it: whoever asks for one means a transaction.
        self.reads = isinstance(statement, Select) and statement._for_update_arg is None
        self.arguments = _arguments(compiled, dialect)
        found = getattr(statement, "exported_columns", ())
        self.shape = _shape([column.type for column in found], records, dialect)


def _arguments(compiled: SQLCompiler, dialect: Dialect) -> Callable[[Given], Any]:
    """What the driver is given for what the statement is given."""
    binds = {name: parameter for parameter, name in compiled.bind_names.items()}
    fixed: dict[str, Any] = {}
    taken: list[tuple[str, str, Callable[[Any], Any] | None]] = []
    for name, parameter in binds.items():
        process = parameter.type.dialect_impl(dialect).bind_processor(dialect)
        if parameter.required:
            taken.append((name, parameter.key, process))
        else:
            value = parameter.effective_value
            fixed[name] = value if process is None else process(value)

    def named(given: Given) -> dict[str, Any]:
        made = dict(fixed)
        for name, key, process in taken:
            value = given[key]
            made[name] = value if process is None else process(value)
        return made

    if not compiled.positional:
        return named
    order = list(compiled.positiontup or ())
    if not order:
        return lambda given: ()
    pick = itemgetter(*order)
    if len(order) == 1:
        return lambda given: (pick(named(given)),)
    return lambda given: pick(named(given))


def _shape(types: Sequence[Any], records: Sequence[type[Any]], dialect: Dialect) -> Callable[[Row], tuple[Any, ...]]:
    processors = [kind.dialect_impl(dialect).result_processor(dialect, None) for kind in types]
    parts: list[Callable[[Row], Any]] = []
    begin = 0
    for made in records:
        end = begin + len(made._fields) - made._more
        parts.append(_record(made, begin, end, processors[begin:end]))
        begin = end
    rest = list(enumerate(processors[begin:], begin))

    def shaped(row: Row) -> tuple[Any, ...]:
        values = [row[place] if process is None else process(row[place]) for place, process in rest]
        return (*[part(row) for part in parts], *values)

    return shaped


def _record(made: Any, begin: int, end: int, processors: Sequence[Callable[[Any], Any] | None]) -> Callable[[Row], Any]:
    converted = [(place, process) for place, process in enumerate(processors) if process is not None]
    missing = [None] * made._more

    def of(row: Row) -> Any:
        if row[begin] is None:
            return None
        values = list(row[begin:end])
        for place, process in converted:
            values[place] = process(values[place])
        return made._make(values + missing)

    return of
