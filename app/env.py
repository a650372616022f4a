"""What a use-case may touch besides its arguments: session, clock, randomness, secrets, mail, cache.

`create_app` makes one `Env` for the process and every thread shares it, so nothing of a request is kept on it: the
list of what is to be done after the commit lives on the session. This module also says when a transaction begins
and ends; nobody else commits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session

from app import facts, statements
from app.cache import CHANNEL, Cache
from app.config import Settings
from app.db import TRANSACTION
from app.errors import Refusal, TooManyRequests
from app.outages import Outages
from app.slots import Slots

T = TypeVar("T")
log = logging.getLogger(__name__)

STEP = 0.01
"""Seconds; see Env.in_steps."""
PATIENCE = 5
"""Times that Env.patiently begins. (PostgreSQL lets two wait for each other for a second.)"""
_REVISION = text("SELECT number FROM revision")
_NEXT_REVISION = text("UPDATE revision SET number = number + 1 RETURNING number")
_NEXT_REVISION_AND_NOTIFY = text(
    "WITH next AS (UPDATE revision SET number = number + 1 RETURNING number) "
    "SELECT number, pg_notify(:channel, CAST(number AS text)) FROM next"
).bindparams(channel=CHANNEL)


@dataclass(frozen=True)
class Origin:
    """Who is asking: made by a door, read by risk, triggers and the event log."""

    ip: str = ""
    user_agent: str = ""
    client_metadata: dict[str, str] = field(default_factory=dict)
    marks: str = ""
    """What the browser shows to be known by (accounts.known)."""
    server: bool = False
    """Whether a server asks for its users, which has shown a secret: its address is not theirs."""


NOWHERE = Origin()
"""Of what comes by no connection."""


@dataclass
class Alongside:
    """What is written with the first transaction of something that is being done (see Env.alongside)."""

    write: Callable[[Refusal | None], None]
    written: bool = False


_alongside: ContextVar[Alongside | None] = ContextVar("alongside", default=None)


@dataclass(frozen=True)
class Message:
    """Something to say to a person. `code` and `link` repeat what the body contains, for the outbox."""

    to: str
    channel: str
    """`email` or `sms`."""
    purpose: str
    subject: str
    body: str
    code: str | None = None
    link: str | None = None
    pool_id: str | None = None
    html: bool = False
    """Whether the body of a mail is HTML, because the pool's own words are."""
    sender: str | None = None
    """The From header of a mail, as the pool gives it: an address, or a name and an address. None: the operator's."""
    reply_to: str | None = None
    """The Reply-To header of a mail."""


class Sender(Protocol):
    """Delivers a message or raises errors.CodeDeliveryFailure."""

    def send(self, message: Message) -> None: ...


class Random(Protocol):
    """Fresh, unguessable values (app.crypto.codes)."""

    def digits(self, n: int) -> str: ...
    def token(self, nbytes: int = 32) -> str: ...
    def uuid(self) -> str: ...
    def pool_id(self, region: str) -> str: ...
    def client_id(self) -> str: ...
    def client_secret(self) -> str: ...
    def access_key_id(self) -> str: ...
    def access_key_secret(self) -> str: ...
    def recovery_code(self) -> str: ...
    def temporary_password(self, length: int, *, upper: bool, lower: bool, digits: bool, symbols: bool) -> str: ...


class Sealer(Protocol):
    """Encrypts what must be read again (app.crypto.seal.Seal)."""

    def seal(self, plain: bytes, *, about: str) -> str: ...
    def open(self, sealed: str, *, about: str, pool: str | None = None) -> bytes: ...


class Keyed(Protocol):
    """Hashes under a secret key what only has to be recognised (app.crypto.seal.KeyedHash)."""

    def digest(self, purpose: str, value: str) -> str: ...
    def number(self, purpose: str, value: str, size_bytes: int) -> bytes: ...


class Counters(Protocol):
    """Counts requests within windows of time (app.throttling.counters)."""

    def hit(self, key: tuple[str, ...], amount: int, seconds: int) -> float | None:
        """Count one; None if it is among the first `amount` of its window, else the seconds until that ends."""

    def used_up(self, key: tuple[str, ...], amount: int, seconds: int) -> float | None:
        """What `hit` would say, without counting."""


class Reads(Protocol):
    """Rows of the audit that may be written a moment later (app.audit.reads)."""

    def put(self, row: Mapping[str, Any]) -> bool:
        """Whether it was taken."""


class Hasher(Protocol):
    """Slow password hashing (app.crypto.passwords.Hasher)."""

    def hash(self, password: str) -> str: ...
    def verify(self, encoded: str, password: str) -> bool: ...
    def verify_nothing(self, password: str) -> None: ...
    def outdated(self, encoded: str) -> bool: ...


class Triggers(Protocol):
    """Carries a question to the customer's code at an ARN, and brings what it says (app.triggers)."""

    def __call__(self, trigger: str, arn: str, question: object) -> object: ...


class Fetch(Protocol):
    """Reads a URL that somebody else has chosen (app.fetch.Reader)."""

    def __call__(self, url: str, *, private: bool, most: int, seconds: float) -> bytes: ...


@dataclass(frozen=True)
class Env:
    settings: Settings
    engine: Engine
    sessions: scoped_session[Any]
    now: Callable[[], datetime]
    ticks: Callable[[], float]
    random: Random
    seal: Sealer
    keyed: Keyed
    hasher: Hasher
    mail: Sender
    sms: Sender
    triggers: Triggers
    fetch: Fetch
    """Never inside a transaction: it takes seconds."""
    cache: Cache
    counters: Counters
    """Never inside a transaction: they may have one of their own."""
    reads: Reads
    outages: Outages
    writes: Slots
    """For transactions that write: how many of the threads may wait for the database in one."""
    reading_options: Mapping[str, Any]
    """Execution options of a connection that only reads (app.db.reading_options)."""
    later: Callable[[Callable[[], None]], None]
    """Does something after the answer (app.background): outside any transaction, in one of its own if it writes."""
    sleep: Callable[[float], None]
    """Lets seconds pass, where an attacker might measure them; nowhere else."""

    @property
    def db(self) -> Session:
        """The session of this request, inside `reading()` or `transaction()`."""
        session: Session = self.sessions()
        return session

    @property
    def passwords(self) -> Hasher:
        """Password hashing; never inside a transaction, where 25 ms would lock out every other writer."""
        self.nothing_open("hash a password")
        facts.current().hashed = True
        return self.hasher

    @contextmanager
    def in_steps(self, wanted: bool = True) -> Iterator[None]:
        """Let what is done here take a whole number of STEPs, however it ends, if that is wanted.

        Two ways that differ by microseconds then take the same time, and nobody has to make them do the same work. The
        thread waits meanwhile, with nothing open. A way that takes longer than a step, on a busy machine, is hidden by
        that machine's noise.
        """
        began = self.ticks()
        try:
            yield
        finally:
            if wanted:
                self.nothing_open("wait")
                self.sleep(STEP - (self.ticks() - began) % STEP)

    def nothing_open(self, what: str) -> None:
        if self._open(self.db):
            raise RuntimeError(f"cannot {what} while a transaction is open: read first, then do it, then write")

    def _open(self, session: Session) -> bool:
        return session.in_transaction() or statements.opened_on(self.engine) is not None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only view. What was loaded stays usable afterwards, detached.

        PostgreSQL reads in autocommit, which saves two round trips; what depends on several rows agreeing must be
        read in one statement or checked again in the write. Inside a transaction it is that transaction.

        Raises errors.ServiceUnavailable, as `aside` and `transaction` do, when the database cannot serve.
        """
        session = self.db
        with self.outages.translated():
            if self._open(session):
                yield session
                return
            begun = statements.opened.set(statements.Opened(self.engine, session, writes=False))
            try:
                session.connection(execution_options=dict(self.reading_options))
                yield session
            finally:
                statements.opened.reset(begun)
                session.close()

    @contextmanager
    def aside(self) -> Iterator[Session]:
        """A read-only session beside the request's own: for what goes into the cache.

        Read inside a transaction it could be rolled back, and every request would believe it all the same. It takes
        a second connection, which is why config.py wants more connections than threads.

        One statement more than what is done with it: a change is committed a moment before it is announced, and the
        answer that is made of what was read here must not be ahead of what the other processes give.
        """
        options = self.engine.execution_options(**self.reading_options)
        with self.outages.translated(), Session(options, expire_on_commit=False) as session:
            yield session
            self.cache.heard(session.scalar(_REVISION) or 0)

    @contextmanager
    def alongside(self, write: Callable[[Refusal | None], None]) -> Iterator[Alongside]:
        """Let `write` be called at the end of the first transaction that is committed in here, inside it: with the
        refusal that it ends with, if there is one. What is yielded says whether that has happened."""
        waiting = Alongside(write)
        before = _alongside.set(waiting)
        try:
            yield waiting
        finally:
            _alongside.reset(before)

    @contextmanager
    def transaction(self, *, counting: bool = False) -> Iterator[Session]:
        """The one write of a request: committed at the end, rolled back by an exception. Or, `counting`, what only
        counts or uses up an attempt before it: nothing is written alongside that.

        A refusal with `keep` commits what was written on the way to it. What `after_commit` collected runs once the
        commit has happened, in order; the first that fails is raised, and the others still run. A refusal goes before
        what failed after it.

        Where as many transactions as may be open at once stand still already, this one is refused before it begins
        (errors.ServiceUnavailable): threads have to be left for requests that only read. Not that of a request that has
        hashed a password, which could not have the others' threads.

        Of two that wait for each other the database ends one: nothing is written, and the caller is to come again
        (errors.TooManyRequests). The order in which rows are locked prevents it nearly everywhere: see
        docs/architecture.md.
        """
        with self.outages.translated(), self._transaction(None if counting else _alongside.get()) as session:
            yield session

    @contextmanager
    def _transaction(self, alongside: Alongside | None) -> Iterator[Session]:
        session = self.db
        if self._open(session):
            raise RuntimeError("a transaction is open already: use-cases do not nest them")
        # Who has hashed a password keeps none of the threads that reading needs.
        limited = not facts.current().hashed
        slot = self.writes.take() if limited else None
        if limited and slot is None:
            raise self.outages.refuse("writers", f"{self.writes.amount} transactions wait for it, and others for them")
        later: list[Callable[[], None]] = []
        session.info["after_commit"] = later
        transaction = session.info[TRANSACTION] = statements.Opened(self.engine, session, writes=True)
        begun = statements.opened.set(transaction)
        refusal: Refusal | None = None
        try:
            try:
                yield session
            except Refusal as refused:
                if not refused.keep:
                    raise
                refusal = refused
            if alongside is not None and not alongside.written:
                alongside.write(refusal)
            transaction.commit()
            if alongside is not None:
                alongside.written = True
        except BaseException as failed:
            transaction.rollback()
            if _deadlocked(failed):
                log.warning("a transaction has given way to another", exc_info=failed)
                raise TooManyRequests from failed
            raise
        finally:
            try:
                statements.opened.reset(begun)
                session.info.pop("after_commit", None)
                session.info.pop(TRANSACTION, None)
                transaction.close()
            finally:
                if slot is not None:
                    self.writes.give_back(slot)
        said: Exception | None = refusal
        for act in later:
            try:
                act()
            except Exception as failed:
                if said and not isinstance(failed, Refusal):
                    log.exception("failed after the commit, and is not told")
                said = said or failed
        if said:
            raise said

    @staticmethod
    def patiently(act: Callable[[], T]) -> T:
        """What an act with one transaction returns, which is begun again where it has given way to another. For acts
        that lock rows in no order that others could keep to, such as all that belongs to a pool."""
        for _ in range(PATIENCE - 1):
            try:
                return act()
            except TooManyRequests:
                continue
        return act()

    def after_commit(self, act: Callable[[], None]) -> None:
        """Do this once the transaction has been committed; nothing leaves the building before."""
        later: list[Callable[[], None]] | None = self.db.info.get("after_commit")
        if later is None:
            raise RuntimeError("no transaction is open whose commit could be waited for")
        later.append(act)

    def configuration_changed(self) -> None:
        """Say, inside a transaction, that pools, clients, domains, keys or the like are being changed.

        Once it is committed, every process of this host knows before the answer leaves (app.cache), and PostgreSQL
        notifies the other hosts.
        """
        dialect = self.engine.dialect.name
        revision = self.db.scalar(_NEXT_REVISION_AND_NOTIFY if dialect == "postgresql" else _NEXT_REVISION)
        self.after_commit(lambda: self.cache.changed(revision or 0))


def _deadlocked(failed: BaseException) -> bool:
    return isinstance(failed, DBAPIError) and getattr(failed.orig, "sqlstate", None) == "40P01"
