"""Changing what the API lets nobody change, with users who come, go and sign in meanwhile."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import administer, find, sign_up
from app.accounts import attributes as writing
from app.cache import STALE_AFTER
from app.config import Settings
from app.env import Env, Origin
from app.models import Alias, Pool, PoolChange, User
from app.pools import changes, names, plans
from app.pools import find as pools
from app.pools.changes import Step
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock
from tests.parallel import overtaken

PLAIN: dict[str, Any] = {"alias_attributes": [], "username_attributes": []}
ME = "me"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three users in a batch, so that a few are several batches."""
    for module in (names, changes, plans):
        monkeypatch.setattr(module, "BATCH", 3)


def now(env: Env, pool: Pool) -> Pool:
    return pools.pool(env, pool.id)


def begin(env: Env, pool: Pool, wanted: plans.Wanted, **options: Any) -> None:
    changes.begin(env, pool, plans.plan(env, pool, wanted), runner=ME, **options)


def finish(env: Env, pool: Pool, **options: Any) -> list[Step]:
    steps: list[Step] = []
    changes.run(env, pool, runner=ME, wait=lambda: None, report=steps.append, **options)
    return steps


def change(env: Env, pool: Pool, wanted: plans.Wanted, **options: Any) -> Pool:
    begin(env, now(env, pool), wanted, **options)
    finish(env, pool, **options)
    return now(env, pool)


def undo(env: Env, pool: Pool) -> Pool:
    done = changes.last(env, pool)
    assert done is not None
    return change(env, pool, done.before)


def named(env: Env, pool: Pool, name: str) -> str | None:
    """The username of whoever signs in by this name."""
    found = find.by_name(env, now(env, pool), name)
    return found.user.username if found else None


def generations(env: Env, pool: Pool) -> dict[int, int]:
    query = select(Alias.generation, func.count()).where(Alias.pool_id == pool.id).group_by(Alias.generation)
    with env.reading() as session:
        return {generation: count for generation, count in session.execute(query)}


def states(env: Env, pool: Pool) -> list[str]:
    query = select(PoolChange.state).where(PoolChange.pool_id == pool.id).order_by(PoolChange.created_at)
    with env.reading() as session:
        return list(session.scalars(query))


def people(env: Env, pool: Pool, count: int, **other: str) -> list[User]:
    return [a_user(env, pool, f"user-{n}", email=f"user-{n}@example.com", **other) for n in range(count)]


# -- names -----------------------------------------------------------------------------------------------------


def test_email_becomes_an_alias_and_everybody_is_found_at_every_moment(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    everybody = people(env, pool, 8)
    assert named(env, pool, "user-3@example.com") is None
    begin(env, pool, {"alias_attributes": ["email"]})
    seen = []
    while (step := changes.advance(env, pool, runner=ME)) is not None:
        seen.append((step.state, step.users))
        assert [named(env, pool, user.username) for user in everybody] == [user.username for user in everybody]
        by_address = [named(env, pool, str(user.email)) for user in everybody]
        switched = any(state == "switched" for state, _ in seen)
        assert by_address == [user.username if switched else None for user in everybody]
    building = [("building", 3), ("building", 3), ("building", 2)]
    cleaning = [("cleaning", 3), ("cleaning", 3), ("cleaning", 2)]
    assert seen == [*building, ("switched", 0), *cleaning, ("done", 0)]
    assert now(env, pool).alias_attributes == ["email"] and now(env, pool).building is None
    assert generations(env, pool) == {1: 16}
    assert states(env, pool) == ["done"]


def test_an_address_that_is_not_proven_does_not_become_an_alias_but_takes_a_usernames_place(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    a_user(env, pool, "eve", email="eve@example.com", email_verified="false")
    pool = change(env, pool, {"alias_attributes": ["email"]})
    assert named(env, pool, "eve@example.com") is None
    pool = change(env, pool, {"alias_attributes": [], "username_attributes": ["email"]})
    assert named(env, pool, "eve@example.com") == "eve"
    assert named(env, pool, "eve") == "eve", "and by the username that he had"


def test_letter_case_ceases_to_matter(env: Env) -> None:
    pool = a_pool(env, username_configuration={"case_sensitive": True})
    a_user(env, pool, "Alice", email="Alice@Example.com")
    assert named(env, pool, "alice") is None and named(env, pool, "alice@example.com") is None
    pool = change(env, pool, {"username_configuration": {"case_sensitive": False}})
    assert named(env, pool, "ALICE") == "Alice" and named(env, pool, "alice@example.com") == "Alice"
    with pytest.raises(errors.UsernameExists):
        a_user(env, pool, "aLICE", email=None)


def test_users_who_would_share_a_name_are_told_and_nothing_begins(env: Env) -> None:
    pool = a_pool(env, username_configuration={"case_sensitive": True})
    for name in ("bob", "Bob", "BOB", "carol"):
        a_user(env, pool, name, email=f"{name}@example.com")
    planned = plans.plan(env, pool, {"username_configuration": {"case_sensitive": False}})
    assert planned.colliding == 4, "BOB and bob, Bob and bob; and their addresses"
    assert {one.attribute for one in planned.collisions} == {"username", "email"}
    assert all(one.first.lower() == one.second.lower() == "bob" for one in planned.collisions)
    with pytest.raises(plans.Collided, match="would sign in both"):
        changes.begin(env, pool, planned, runner=ME)
    assert states(env, pool) == [] and now(env, pool).building is None


def test_twenty_collisions_are_shown_and_all_are_counted(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    for n in range(23):
        a_user(env, pool, f"user-{n:02}", email="shared@example.com")
    planned = plans.plan(env, pool, {"username_attributes": ["email"]})
    assert (len(planned.collisions), planned.colliding) == (20, 22)


def test_a_username_that_reads_like_anothers_address_would_hide_him(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    a_user(env, pool, "victim@example.com", email=None)
    a_user(env, pool, "victim", email="victim@example.com")
    a_user(env, pool, "self@example.com", email="self@example.com")
    planned = plans.plan(env, pool, {"alias_attributes": ["email"]})
    assert [{one.first, one.second} for one in planned.collisions] == [{"victim@example.com", "victim"}]


def test_such_a_username_that_comes_after_the_plan_is_seen_before_the_switch(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    a_user(env, pool, "victim", email="victim@example.com")
    begin(env, pool, {"alias_attributes": ["email"]})
    a_user(env, now(env, pool), "victim@example.com", email=None)
    with pytest.raises(plans.Collided):
        finish(env, pool)
    assert now(env, pool).generation == 0 and named(env, pool, "victim@example.com") == "victim@example.com"


def test_users_whom_only_their_sub_would_sign_in_are_counted(env: Env) -> None:
    pool = a_pool(env, alias_attributes=[], username_attributes=["email"])
    a_user(env, pool, email="one@example.com")
    a_user(env, pool, email="two@example.com", email_verified="false")
    assert plans.plan(env, pool, {"username_attributes": []}).nameless == 2
    aliases = {"username_attributes": [], "alias_attributes": ["email"]}
    assert plans.plan(env, pool, aliases).nameless == 1, "of those the unproven address signs in no longer"


def test_rules_that_contradict_themselves_are_refused(env: Env) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.InvalidParameter, match="Only one of"):
        plans.plan(env, pool, {"username_attributes": ["email"]})
    required = {**pool_attribute(pool, "preferred_username"), "required": True}
    wanted = {"alias_attributes": ["preferred_username"], "attributes": {"preferred_username": required}}
    with pytest.raises(errors.InvalidParameter, match="both an alias and required"):
        plans.plan(env, pool, wanted)
    assert plans.plan(env, pool, {"alias_attributes": ["email"], "username_attributes": []}).after == {}


# -- who comes and goes meanwhile ------------------------------------------------------------------------------


def test_who_signs_up_meanwhile_has_both_kinds_of_names(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    client = a_client(env, pool)
    people(env, pool, 4)
    begin(env, pool, {"username_attributes": ["email"]})
    changes.advance(env, pool, runner=ME)
    fresh = pools.client(env, client.id)
    given = {"username": "late", "password": PASSWORD, "attributes": {"email": "late@example.com"}}
    sign_up.sign_up(env, fresh, origin=Origin(), **given)
    assert named(env, pool, "late") == "late" and named(env, pool, "late@example.com") is None
    with pytest.raises((errors.AliasExists, errors.UsernameExists)):
        sign_up.sign_up(env, fresh, origin=Origin(), **{**given, "username": "later"})
    finish(env, pool)
    assert named(env, pool, "late") == named(env, pool, "late@example.com") == "late"


def test_an_address_that_changes_meanwhile_signs_in_afterwards_and_the_one_before_does_not(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    everybody = people(env, pool, 4)
    begin(env, pool, {"alias_attributes": ["email"]})
    changes.advance(env, pool, runner=ME)
    for number, user in enumerate(everybody):  # some of whom have been gone through, and some not
        given = {"email": f"new-{number}@example.com", "email_verified": "true"}
        administer.update_attributes(env, now(env, pool), username=user.username, attributes=given)
    administer.delete(env, now(env, pool), username="user-3")
    finish(env, pool)
    assert [named(env, pool, f"new-{n}@example.com") for n in range(4)] == ["user-0", "user-1", "user-2", None]
    assert [named(env, pool, f"user-{n}@example.com") for n in range(4)] == [None] * 4


def test_a_writer_who_knew_nothing_of_the_change_is_found_before_the_switch(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    everybody = people(env, pool, 4)
    begin(env, pool, {"alias_attributes": ["email"]})
    for _ in range(2):
        changes.advance(env, pool, runner=ME)
    assert pool.building is None, "as it was read before the change began"
    a_user(env, pool, "stranger", email="stranger@example.com")
    with env.transaction():
        row = find.locked(env, everybody[0].sub)
        writing.put(env, row, {"email": "moved@example.com", "email_verified": "true"})
        writing.claim_names(env, pool, row)
    assert now(env, pool).building is not None
    steps = finish(env, pool)
    built = sum(step.users for step in steps if step.state == "building")
    assert built >= 2, "the stranger, and the one whose names he took"
    assert named(env, pool, "stranger@example.com") == "stranger"
    assert named(env, pool, "moved@example.com") == "user-0" and named(env, pool, "user-0@example.com") is None
    assert named(env, pool, "user-0") == "user-0"


def test_an_address_that_such_a_writer_moved_to_another_user_moves_with_him(env: Env) -> None:
    pool = a_pool(env, alias_attributes=["email"], username_configuration={"case_sensitive": True})
    client = a_client(env, pool)
    before = a_user(env, pool, "before", email="both@example.com")
    begin(env, pool, {"username_configuration": {"case_sensitive": False}})
    changes.advance(env, pool, runner=ME)
    a_user(env, pool, "after", email=None, status="CONFIRMED")
    with env.transaction():
        row = find.locked(env, str(find.existing(env, pool, "after").user.sub))
        writing.put(env, row, {"email": "both@example.com", "email_verified": "true"})
        writing.claim_names(env, client.pool, row, take_from=[before.sub])
    finish(env, pool)
    assert named(env, pool, "BOTH@example.com") == "after" and named(env, pool, "before") == "before"


def test_a_writer_who_knew_nothing_of_the_change_is_found_after_the_switch(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 2)
    begin(env, pool, {"alias_attributes": ["email"]})
    while (step := changes.advance(env, pool, runner=ME)) and step.state != "switched":
        pass
    assert step and step.settles
    a_user(env, pool, "stranger", email="stranger@example.com")
    assert named(env, pool, "stranger") is None, "half a second in which nobody knows him"
    finish(env, pool)
    assert named(env, pool, "stranger") == named(env, pool, "stranger@example.com") == "stranger"
    assert set(generations(env, pool)) == {1}


def test_a_name_that_two_came_to_have_meanwhile_stops_the_change_and_it_goes_on_when_one_has_left_it(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 5)
    begin(env, pool, {"username_attributes": ["email"]})
    a_user(env, pool, "thief", email="user-4@example.com")  # who knows nothing of the change
    with pytest.raises(names.Collided) as told:
        finish(env, pool)
    assert {told.value.collisions[0].first, told.value.collisions[0].second} == {"thief", "user-4"}
    assert states(env, pool) == ["building"] and named(env, pool, "user-4") == "user-4"
    administer.update_attributes(
        env,
        now(env, pool),
        username="thief",
        attributes={"email": "thief@example.com", "email_verified": "true"},
    )
    assert changes.take_up(env, pool, runner=ME)
    finish(env, pool)
    assert named(env, pool, "user-4@example.com") == "user-4" and named(env, pool, "thief@example.com") == "thief"


def test_people_who_sign_up_in_other_threads_all_have_their_names(app: Flask, env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 6)
    begin(env, pool, {"alias_attributes": ["email"]})
    started = threading.Barrier(3)
    failed: list[BaseException] = []

    def crowd(which: int) -> None:
        with app.app_context():
            started.wait()
            try:
                for n in range(8):
                    a_user(env, now(env, pool), f"crowd-{which}-{n}", email=f"crowd-{which}-{n}@example.com")
            except BaseException as error:
                failed.append(error)

    threads = [threading.Thread(target=crowd, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    started.wait()
    finish(env, pool)
    for thread in threads:
        thread.join()
    assert failed == []
    assert generations(env, pool)[1] == 2 * (6 + 16)
    assert named(env, pool, "crowd-1-7@example.com") == "crowd-1-7"


# -- stopping, going on, going back ----------------------------------------------------------------------------


@pytest.mark.parametrize("killed_after", range(9))
def test_a_change_that_is_killed_goes_on_where_it_stopped(env: Env, clock: Clock, killed_after: int) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 7)
    begin(env, pool, {"alias_attributes": ["email"]})
    for _ in range(killed_after):
        changes.advance(env, pool, runner=ME)
    clock.forward(seconds=changes.LEASE.seconds)
    if changes.take_up(env, pool, runner="another"):
        changes.run(env, pool, runner="another", wait=lambda: None)
    assert states(env, pool) == ["done"] and generations(env, pool) == {1: 14}
    assert [named(env, pool, f"user-{n}@example.com") for n in range(7)] == [f"user-{n}" for n in range(7)]


def test_of_two_who_change_a_pool_one_is_refused(env: Env, clock: Clock) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 4)
    wanted = {"alias_attributes": ["email"]}
    begin(env, pool, wanted)
    with pytest.raises(changes.Busy, match="under way"):
        changes.begin(env, pool, plans.plan(env, pool, wanted), runner="another")
    clock.forward(seconds=20)
    with pytest.raises(changes.Busy, match="20 s ago"):
        changes.take_up(env, pool, runner="another")
    changes.advance(env, pool, runner=ME)
    clock.forward(seconds=20)
    with pytest.raises(changes.Busy):
        changes.take_up(env, pool, runner="another")
    clock.forward(seconds=10)
    assert changes.take_up(env, pool, runner="another")
    with pytest.raises(changes.Busy, match="taken over"):
        changes.advance(env, pool, runner=ME)


def test_two_begin_at_once_and_one_is_refused(app: Flask, env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    planned = plans.plan(env, pool, {"alias_attributes": ["email"]})
    started = threading.Barrier(2)
    outcomes: list[str] = []

    def start(runner: str) -> None:
        with app.app_context():
            started.wait()
            try:
                changes.begin(env, pool, planned, runner=runner)
                outcomes.append("began")
            except changes.Busy:
                outcomes.append("refused")

    threads = [threading.Thread(target=start, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["began", "refused"]


def test_who_stops_in_an_orderly_way_leaves_it_to_the_next_at_once(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 4)
    begin(env, pool, {"alias_attributes": ["email"]})

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        changes.run(env, pool, runner=ME, wait=interrupted)
    assert changes.take_up(env, pool, runner="another")


def test_a_change_that_was_given_up_leaves_nothing(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    people(env, pool, 7)
    begin(env, pool, {"alias_attributes": ["email"]})
    for _ in range(2):
        changes.advance(env, pool, runner=ME)
    assert len(generations(env, pool)) == 2
    late = now(env, pool)
    changes.give_up(env, pool, runner=ME)
    finish(env, pool)
    assert generations(env, pool) == {0: 7} and states(env, pool) == ["reverted"]
    assert now(env, pool).building is None and named(env, pool, "user-1@example.com") is None
    # Somebody may still have believed that it went on: what he wrote is in nobody's way when it begins anew.
    a_user(env, late, "late", email="late@example.com")
    administer.update_attributes(
        env, pool, username="user-0", attributes={"email": "other@example.com", "email_verified": "true"}
    )
    assert set(generations(env, pool)) == {0, 1}
    pool = change(env, pool, {"alias_attributes": ["email"]})
    assert named(env, pool, "late@example.com") == "late" and named(env, pool, "other@example.com") == "user-0"


def test_what_has_switched_cannot_be_given_up(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    with pytest.raises(errors.InvalidParameter, match="No change"):
        changes.give_up(env, pool, runner=ME)
    begin(env, pool, {"alias_attributes": ["email"]})
    changes.advance(env, pool, runner=ME)
    with pytest.raises(errors.InvalidParameter, match="made already"):
        changes.give_up(env, pool, runner=ME)


def test_a_change_is_undone_and_then_the_one_before_it(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    a_user(env, pool, "Alice", email="alice@example.com")
    pool = change(env, pool, {"alias_attributes": ["email"]})
    pool = change(env, pool, {"username_configuration": {"case_sensitive": True}})
    assert named(env, pool, "alice") is None
    pool = undo(env, pool)
    assert named(env, pool, "alice") == "Alice" and named(env, pool, "alice@example.com") == "Alice"
    pool = undo(env, pool)
    assert named(env, pool, "alice@example.com") is None and named(env, pool, "alice") == "Alice"
    assert changes.last(env, pool) is None
    assert states(env, pool) == ["reverted"] * 4


def test_an_undoing_meets_the_same_checks(env: Env) -> None:
    pool = a_pool(env, username_configuration={"case_sensitive": False})
    pool = change(env, pool, {"username_configuration": {"case_sensitive": True}})
    for name in ("dan", "Dan"):
        a_user(env, pool, name, email=None)
    with pytest.raises(plans.Collided):
        undo(env, pool)
    assert named(env, pool, "Dan") == "Dan"


def test_a_plan_that_is_out_of_date_is_refused(env: Env) -> None:
    pool = a_pool(env, **PLAIN)
    planned = plans.plan(env, pool, {"alias_attributes": ["email"]})
    change(env, pool, {"alias_attributes": ["email", "phone_number"]})
    with pytest.raises(errors.ConcurrentModification, match="plan it again"):
        changes.begin(env, pool, planned, runner=ME)


def test_workers_of_other_processes_learn_of_it_in_the_pause(
    env: Env, settings: Settings, another_app: Callable[..., Flask], clock: Clock
) -> None:
    assert changes.SETTLE > STALE_AFTER
    pool = a_pool(env, **PLAIN)
    other = another_app(settings, now=clock, ticks=clock.ticks)
    with other.app_context():
        there: Env = other.extensions["cognate"]
        assert pools.pool(there, pool.id).building is None
    begin(env, pool, {"alias_attributes": ["email"]})
    clock.forward(seconds=changes.SETTLE)
    with other.app_context():
        assert pools.pool(there, pool.id).building is not None


# -- attributes ------------------------------------------------------------------------------------------------


def pool_attribute(pool: Pool, name: str) -> dict[str, Any]:
    return next(one for one in pool.settings["attributes"] if one["name"] == name)


def tier(**other: Any) -> dict[str, Any]:
    return {"name": "custom:tier", "kind": "String", "mutable": True, "required": False, **other}


@pytest.fixture
def tiered(env: Env) -> Iterator[Pool]:
    """A pool with a custom attribute, and five users of whom four have it."""
    given = {"name": "tier", "attribute_data_type": "String"}
    pool = a_pool(env, schema=[given])
    for n, value in enumerate(["1", "22", "gold", "4444"]):
        a_user(env, pool, f"user-{n}", email=None, **{"custom:tier": value})
    a_user(env, pool, "user-4", email=None)
    yield pool


def tiers(env: Env, pool: Pool) -> list[str | None]:
    with env.reading() as session:
        users = session.scalars(select(User).where(User.pool_id == pool.id).order_by(User.username))
        return [user.attributes.get("custom:tier") for user in users]


def test_an_attribute_is_removed_and_comes_back_with_its_values(env: Env, tiered: Pool) -> None:
    wanted = {"attributes": {"custom:tier": None}}
    planned = plans.plan(env, tiered, wanted)
    assert planned.removed == {"custom:tier": 4} and not planned.rebuilds
    pool = change(env, tiered, wanted)
    assert "custom:tier" not in pool.schema and tiers(env, pool) == [None] * 5
    assert pool.generation == 0, "names are not touched"
    pool = undo(env, pool)
    assert tiers(env, pool) == ["1", "22", "gold", "4444", None]
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(User).where(User.retired.is_not(None))) == 0


def test_values_do_not_come_back_to_another_attribute_of_the_same_name(env: Env, tiered: Pool) -> None:
    pool = change(env, tiered, {"attributes": {"custom:tier": None}})
    pool = change(env, pool, {"attributes": {"custom:tier": tier(kind="Number")}})
    assert tiers(env, pool) == [None] * 5


def test_values_that_do_not_fit_are_a_refusal_or_are_put_aside(env: Env, tiered: Pool) -> None:
    wanted = {"attributes": {"custom:tier": tier(kind="Number", greatest=100)}}
    planned = plans.plan(env, tiered, wanted)
    assert planned.misfits == {"custom:tier": plans.Misfits(2, planned.misfits["custom:tier"].users)}
    assert set(planned.misfits["custom:tier"].users) == {"user-2", "user-3"}
    with pytest.raises(errors.InvalidParameter, match="--retire-misfits"):
        begin(env, tiered, wanted)
    pool = change(env, tiered, wanted, retire_misfits=True)
    assert tiers(env, pool) == ["1", "22", None, None, None]
    administer.update_attributes(env, pool, username="user-3", attributes={"custom:tier": "5"})
    pool = undo(env, pool)
    assert tiers(env, pool) == ["1", "22", "gold", "5", None], "what was written since stays"


def test_attributes_are_added_made_required_and_written_once(env: Env, tiered: Pool) -> None:
    wanted = {
        "attributes": {
            "custom:age": {**tier(kind="Number", least=0), "name": "custom:age"},
            "custom:tier": tier(required=True, mutable=False),
            "given_name": {**pool_attribute(tiered, "given_name"), "required": True},
        }
    }
    planned = plans.plan(env, tiered, wanted)
    assert planned.lacking == {"custom:tier": 1, "given_name": 5}
    pool = change(env, tiered, wanted)
    assert pool.schema["custom:age"].least == 0 and pool.schema["given_name"].required
    client = a_client(env, pool)
    with pytest.raises(errors.InvalidParameter, match="custom:tier"):
        given = {"given_name": "Zoe", "email": "zoe@example.com"}
        sign_up.sign_up(env, client, username="zoe", password=PASSWORD, attributes=given, origin=Origin())
    with pytest.raises(errors.InvalidParameter, match="immutable"):
        administer.update_attributes(env, pool, username="user-0", attributes={"custom:tier": "9"})
    assert not undo(env, pool).schema["given_name"].required


def test_clients_whose_lists_name_the_attribute_stand_in_the_way(env: Env, tiered: Pool) -> None:
    client = a_client(env, tiered, read_attributes=["email", "custom:tier"], write_attributes=["email"])
    with pytest.raises(errors.InvalidParameter, match=f"Client {client.id} .* custom:tier: take it off"):
        begin(env, tiered, {"attributes": {"custom:tier": None}})
    required = {**pool_attribute(tiered, "given_name"), "required": True}
    with pytest.raises(errors.InvalidParameter, match="cannot write given_name"):
        begin(env, tiered, {"attributes": {"given_name": required}})


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"email": None}, "standard attribute"),
        ({"sub": tier(name="sub")}, "written by the server"),
        ({f"custom:n{n}": tier(name=f"custom:n{n}") for n in range(51)}, "at most 50"),
    ],
)
def test_what_no_change_may_do(env: Env, attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=said):
        plans.plan(env, a_pool(env), {"attributes": attributes})


def test_standard_values_that_do_not_fit_are_never_put_aside(env: Env) -> None:
    pool = a_pool(env)
    a_user(env, pool, given_name="Bartholomew")
    short = {**pool_attribute(pool, "given_name"), "longest": 5}
    with pytest.raises(errors.InvalidParameter, match="change them first"):
        begin(env, pool, {"attributes": {"given_name": short}}, retire_misfits=True)


def test_a_name_that_its_user_gives_up_while_it_is_looked_at_is_taken_from_him(app: Flask, env: Env) -> None:
    """Somebody who knew nothing of the change writes the user's row only. Whoever takes names away has read the user
    once before he waits for that row, and must not go on with what he read."""
    pool = a_pool(env)
    bob = a_user(env, pool, "bob", email="bob@example.com")
    claim = (pool.generation, "email", "bob@example.com")

    def release() -> None:
        with env.transaction():
            names._release(env, pool.id, pool.naming, [claim])

    def move() -> None:
        find.locked(env, bob.sub).email = "elsewhere@example.com"

    overtaken(app, release, by=move)
    assert find.by_name(env, pool, "bob@example.com") is None
