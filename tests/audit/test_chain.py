"""The chain of a pool's rows: what somebody does to them who has the database, and not the key, is found."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update

from app.audit import chain, record
from app.audit.chain import Anchor, Verified
from app.db import db, table
from app.env import Env
from app.models import AuditChain, AuditEvent, Pool
from app.pools import own_settings, user_pools
from tests.build import a_pool
from tests.conftest import Clock

EVENTS = table(AuditEvent)


def happened(env: Env, pool: Pool, count: int = 1, what: str = "KeysRotated") -> None:
    for _ in range(count):
        with env.transaction():
            record.event(env, pool, what)


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def chained(env: Env, pool: Pool) -> Pool:
    """A pool with five rows, all of them linked."""
    happened(env, pool, 5)
    assert chain.link(env) == 5
    return pool


def looked(env: Env, pool: Pool, *anchors: Anchor) -> Verified:
    (found,) = chain.verify(env, pool.id, anchors)
    return found


def told(env: Env, pool: Pool, *anchors: Anchor) -> list[tuple[int | None, str]]:
    return [(finding.number, finding.what) for finding in looked(env, pool, *anchors).findings]


def tamper(env: Env, *statements: Any) -> None:
    """What somebody does who has the database."""
    with env.transaction():
        for statement in statements:
            env.db.execute(statement)


def linked(env: Env, pool: Pool) -> list[AuditEvent]:
    with env.reading() as session:
        mine = select(AuditEvent).where(AuditEvent.pool_id == pool.id, AuditEvent.number.is_not(None))
        return list(session.scalars(mine.order_by(AuditEvent.number)))


def test_rows_are_linked_once_and_a_whole_chain_has_no_findings(env: Env, chained: Pool) -> None:
    assert chain.link(env) == 0
    found = looked(env, chained)
    assert (found.kept, found.waiting, found.anchor.number, found.findings) == (5, 0, 5, ())


def test_rows_that_are_not_linked_yet_are_no_alarm_until_they_have_waited_long(
    env: Env, chained: Pool, clock: Clock
) -> None:
    happened(env, chained)
    assert (looked(env, chained).waiting, told(env, chained)) == (1, [])
    clock.forward(minutes=16)
    ((number, what),) = told(env, chained)
    assert number is None and "is not linked" in what


def test_each_pool_has_a_chain_of_its_own(env: Env, chained: Pool) -> None:
    other = a_pool(env, algorithm="ES256")
    happened(env, other, 2)
    with env.transaction():
        record.event(env, record.INSTALLATION, "AccessKeyCreated")
    assert chain.link(env) == 3
    found = {one.anchor.pool_id: one.kept for one in chain.verify(env)}
    assert found == {"": 1, chained.id: 5, other.id: 2}


@pytest.mark.parametrize(
    "column", [name for name in record.MACED if name not in ("pool_id", "at")], ids=lambda name: str(name)
)
def test_no_column_can_be_changed(env: Env, chained: Pool, column: str) -> None:
    other = {"id": "x", "kind": "call", "parameters": '{"a":1}'}.get(column, "other")
    third = (EVENTS.c.pool_id == chained.id, EVENTS.c.number == 3)
    tamper(env, update(EVENTS).where(*third).values({column: other}))
    assert told(env, chained) == [(3, "changed, or not written by this installation")]


def test_a_row_is_not_moved_to_another_time(env: Env, chained: Pool, clock: Clock) -> None:
    clock.forward(days=1)
    tamper(env, update(EVENTS).where(EVENTS.c.number == 3).values(at=clock()))
    assert told(env, chained) == [(3, "changed, or not written by this installation")]


def test_a_row_is_not_removed(env: Env, chained: Pool) -> None:
    tamper(env, delete(EVENTS).where(EVENTS.c.number == 3))
    assert told(env, chained) == [(3, "removed: rows 3 to 3 are missing")]


def test_a_row_is_not_removed_by_closing_the_gap(env: Env, chained: Pool) -> None:
    """Without the key no digest can be made that fits the new numbers."""
    tamper(
        env,
        delete(EVENTS).where(EVENTS.c.number == 3),
        update(EVENTS).where(EVENTS.c.number == 4).values(number=3),
        update(EVENTS).where(EVENTS.c.number == 5).values(number=4),
    )
    assert [number for number, _ in told(env, chained)] == [3, 4, 5]


def test_the_end_is_not_cut_off(env: Env, chained: Pool) -> None:
    tamper(env, delete(EVENTS).where(EVENTS.c.number > 3))
    assert told(env, chained) == [(4, "truncated: rows 4 to 5, at the end, are missing")]


def test_the_end_is_not_cut_off_with_the_record_of_it_made_to_fit(env: Env, chained: Pool) -> None:
    third = linked(env, chained)[2]
    tamper(
        env,
        delete(EVENTS).where(EVENTS.c.number > 3),
        update(AuditChain).where(AuditChain.pool_id == chained.id).values(number=3, digest=third.digest),
    )
    assert told(env, chained) == [(None, "the record of where the chain ends was changed")]
    happened(env, chained)
    assert chain.link(env) == 0  # which would sign what somebody else has made of it


def test_an_older_copy_of_everything_is_found_by_an_anchor(env: Env, pool: Pool) -> None:
    """The record of the end was right once, so nothing in the database tells; what was printed before does."""
    happened(env, pool, 3)
    chain.link(env)
    with env.reading() as session:
        then = dict(session.execute(select(table(AuditChain)).where(AuditChain.pool_id == pool.id)).one()._mapping)
    happened(env, pool, 2)
    chain.link(env)
    anchor = looked(env, pool).anchor
    tamper(
        env,
        delete(EVENTS).where(EVENTS.c.number > 3),
        update(AuditChain).where(AuditChain.pool_id == pool.id).values(then),
    )
    assert told(env, pool) == []
    assert told(env, pool, anchor) == [(5, "truncated: an anchor has seen row 5, and the chain ends at 3")]
    happened(env, pool, 2)
    chain.link(env)
    assert told(env, pool, anchor) == [(5, "is not what an anchor has seen there: the chain was made anew")]


def test_a_whole_chain_that_was_removed_is_found_by_an_anchor(env: Env, chained: Pool) -> None:
    anchor = looked(env, chained).anchor
    tamper(env, delete(EVENTS), delete(AuditChain))
    assert [one.anchor.pool_id for one in chain.verify(env, None, [anchor]) if one.findings] == [chained.id]


def test_the_record_of_the_end_is_not_removed(env: Env, chained: Pool) -> None:
    tamper(env, delete(AuditChain).where(AuditChain.pool_id == chained.id))
    assert (None, "the record of where the chain ends was removed") in told(env, chained)
    happened(env, chained)
    assert chain.link(env) == 0


def test_a_row_is_not_inserted(env: Env, chained: Pool) -> None:
    """Neither beyond the end, nor among those that wait, nor as a copy of one that was written."""
    third = {name: getattr(linked(env, chained)[2], name) for name in EVENTS.c.keys()}
    tamper(env, insert(EVENTS).values({**third, "id": "a", "number": 6}))
    found = told(env, chained)
    assert (6, "inserted: 1 linked rows are outside what the chain has linked") in found
    tamper(
        env,
        delete(EVENTS).where(EVENTS.c.id == "a"),
        insert(EVENTS).values({**third, "id": "b", "number": None, "digest": None}),
    )
    assert told(env, chained) == [
        (None, "row b, not linked yet, was changed, or not written by this installation"),
    ]
    chain.link(env)  # it stays where it can be seen
    assert told(env, chained) == [(6, "changed, or not written by this installation")]


def test_a_row_that_was_taken_out_of_the_chain_is_missing_there(env: Env, chained: Pool) -> None:
    tamper(env, update(EVENTS).where(EVENTS.c.number == 3).values(number=None, digest=None))
    chain.link(env)
    assert told(env, chained) == [(3, "removed: rows 3 to 3 are missing")]


def test_rows_of_two_installations_are_not_exchanged(
    env: Env, chained: Pool, another_app: Callable[..., Flask], app: Flask
) -> None:
    """The MAC is made with the installation's key."""
    foreign = replace(env, keyed=type(env.keyed)(bytes(reversed(range(32)))))  # type: ignore[call-arg]
    (found,) = chain.verify(foreign, chained.id)
    assert len(found.findings) >= 6


def test_a_row_that_commits_later_than_its_successor_is_linked_when_it_is_seen(
    env: Env, app: Flask, chained: Pool
) -> None:
    """Ids and times say nothing about the order of commits."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("it has one writer at a time")
    with env.transaction():
        record.event(env, chained, "Slow")

        def others() -> None:
            with app.app_context():
                happened(env, chained, 2, "Quick")
                assert chain.link(env) == 2

        with ThreadPoolExecutor(1) as threads:
            threads.submit(others).result()
    assert chain.link(env) == 1
    assert [row.operation for row in linked(env, chained)][5:] == ["Quick", "Quick", "Slow"]
    assert told(env, chained) == []


def test_processes_that_link_at_once_make_one_chain(env: Env, app: Flask, pool: Pool) -> None:
    def busy(which: int) -> int:
        with app.app_context():
            happened(env, pool, 5)
            return chain.link(env)

    with ThreadPoolExecutor(4) as threads:
        total = sum(threads.map(busy, range(4)))
    assert total + chain.link(env) == 20
    assert [row.number for row in linked(env, pool)] == list(range(1, 21))
    assert told(env, pool) == []


# -- retention ---------------------------------------------------------------------------------------------------


def test_rows_go_when_their_retention_is_over_and_the_rest_still_fits(env: Env, chained: Pool, clock: Clock) -> None:
    clock.forward(days=300)
    happened(env, chained, 2)
    chain.link(env)
    assert chain.forget(env) == 0
    clock.forward(days=100)
    assert chain.forget(env) == 5
    found = looked(env, chained)
    assert (found.kept, found.forgotten, found.findings) == (2, 5, ())
    happened(env, chained)
    assert chain.link(env) == 1
    assert told(env, chained) == []


def test_more_is_not_taken_from_the_beginning_than_was_forgotten(env: Env, chained: Pool, clock: Clock) -> None:
    clock.forward(days=300)
    happened(env, chained, 3)
    chain.link(env)
    clock.forward(days=100)
    chain.forget(env)
    tamper(env, delete(EVENTS).where(EVENTS.c.number == 6))
    assert told(env, chained) == [(6, "removed: rows 6 to 6 are missing")]
    tamper(env, update(AuditChain).where(AuditChain.pool_id == chained.id).values(forgotten=6))
    assert (None, "the record of where the chain ends was changed") in told(env, chained)


def test_a_pool_says_how_long_and_all_can_go(env: Env, chained: Pool, clock: Clock) -> None:
    own_settings.configure(env, chained, {"audit_retention_days": 7})
    chain.link(env)
    clock.forward(days=8)
    assert chain.forget(env) == 6
    assert (looked(env, chained).kept, told(env, chained)) == (0, [])
    happened(env, chained)
    chain.link(env)
    assert (looked(env, chained).kept, told(env, chained)) == (1, [])


def test_for_ever_is_for_ever(env: Env, chained: Pool, clock: Clock) -> None:
    own_settings.configure(env, chained, {"audit_retention_days": 0})
    chain.link(env)
    clock.forward(days=36500)
    assert chain.forget(env) == 0


def test_rows_outlive_their_pool_as_long_as_it_had_said(env: Env, chained: Pool, clock: Clock) -> None:
    own_settings.configure(env, chained, {"audit_retention_days": 30})
    chain.link(env)
    chain.forget(env)  # by which the chain learns how long
    user_pools.delete(env, chained)
    clock.forward(days=29)
    assert chain.forget(env) == 0
    assert (looked(env, chained).kept, told(env, chained)) == (6, [])
    clock.forward(days=2)
    assert chain.forget(env) == 6


def test_what_was_tampered_with_is_not_forgotten(env: Env, chained: Pool, clock: Clock) -> None:
    """Evidence is not deleted by its own server."""
    tamper(env, delete(EVENTS).where(EVENTS.c.number == 2))
    clock.forward(days=400)
    assert chain.forget(env) == 1
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(AuditEvent)) == 3


def test_an_anchor_from_before_what_was_forgotten_is_passed_over(env: Env, chained: Pool, clock: Clock) -> None:
    anchor = looked(env, chained).anchor
    early = Anchor(chained.id, 2, linked(env, chained)[1].digest or "")
    clock.forward(days=400)
    happened(env, chained)
    chain.link(env)
    chain.forget(env)
    assert told(env, chained, anchor, early) == []
    assert told(env, chained, replace(anchor, digest="other")) == [
        (5, "is not what an anchor has seen there: the chain was made anew")
    ]


def test_what_waits_is_found_by_an_index_of_nothing_else(env: Env, chained: Pool) -> None:
    """Every process asks every few seconds."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads small tables without one")
    with env.reading() as session:
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {chain._WAITING}")).all()
    assert "ix_audit_event_unlinked" in str(plan)
