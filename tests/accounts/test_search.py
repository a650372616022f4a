"""Searching users: who is found, in which pages, and by which index of the database."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text

from app import create_app, errors
from app.accounts import search
from app.db import db
from app.env import Env
from app.models import Pool, User
from app.models.user import SEARCHED
from app.policy.attributes import search_key
from app.policy.filters import Filter, parse
from tests import build
from tests.conftest import START, Clock, test_settings

FOLDED = ("username", *SEARCHED)
SEARCHABLE = (*FOLDED, "phone_number", "sub", "status", "cognito:user_status")


def a_crowd(env: Env, pool: Pool, rows: list[dict[str, Any]]) -> None:
    """Users as rows, many at once: without passwords, and without names that sign in."""
    if not rows:
        return
    common = {"status": "CONFIRMED", "enabled": True, "attributes": {}, "created_at": START, "modified_at": START}
    keys = {f"{attribute}_key" for attribute in FOLDED}
    columns = {column.key: None for column in User.__table__.columns if column.nullable}
    filled = []
    for row in rows:
        own = {name: value for name, value in row.items() if name in User.__table__.columns}
        derived = {f"{a}_key": search_key(row[a]) for a in FOLDED if row.get(a)}
        others = {name: row[name] for name in ("name", "given_name", "family_name") if row.get(name)}
        filled.append({**columns, **dict.fromkeys(keys), **common, **own, **derived, "attributes": others})
    with env.transaction():
        for row in filled:
            row.setdefault("sub", env.random.uuid())
            row["pool_id"] = pool.id
        env.db.execute(insert(User), filled)


def walked(env: Env, pool: Pool, wanted: Filter | None, *, limit: int = 60) -> list[User]:
    """All pages."""
    found: list[User] = []
    token = None
    while True:
        page = search.users(env, pool, wanted=wanted, limit=limit, token=token)
        assert len(page.rows) <= limit
        found += page.rows
        token = page.token
        if token is None:
            return found


def names(env: Env, pool: Pool, asked: str) -> set[str]:
    return {user.username for user in walked(env, pool, parse(asked))}


@pytest.fixture
def people(env: Env) -> Pool:
    pool = build.a_pool(env)
    build.a_user(env, pool, "Alice", email="Alice@Example.com", name="Jürgen", phone_number="+4930123456")
    build.a_user(env, pool, "alice2", email="alice@example.com.au", given_name="Straße", phone_number="+493012")
    build.a_user(env, pool, "bob", email=None, name="jurgen", family_name='O"Neil\\', status="UNCONFIRMED")
    build.a_user(env, pool, "carl", email=None, preferred_username="Alice", status="FORCE_CHANGE_PASSWORD")
    with env.transaction():
        env.db.execute(User.__table__.update().where(User.username == "bob").values(enabled=False))
    build.a_user(env, build.a_pool(env), "Alice", email="alice@example.com", name="jürgen")
    return pool


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", {"Alice", "alice2", "bob", "carl"}),
        ('username = "Alice"', {"Alice"}),
        ('username = "ALICE"', {"Alice"}),
        ('username ^= "aLi"', {"Alice", "alice2"}),
        ('username ^= "Alicd"', set()),
        ('email = "ALICE@EXAMPLE.COM"', {"Alice"}),
        ('email ^= "alice@EXAMPLE.com"', {"Alice", "alice2"}),
        ('email = "alice"', set()),
        ('email ^= ""', {"Alice", "alice2"}),
        ('email = ""', set()),
        ('phone_number ^= "+493012"', {"Alice", "alice2"}),
        ('phone_number = "+493012"', {"alice2"}),
        ('name = "JU\u0308RGEN"', {"Alice"}),
        ('name ^= "jur"', {"bob"}),
        ('given_name = "STRASSE"', {"alice2"}),
        ('family_name = "o\\"neil\\\\"', {"bob"}),
        ('preferred_username ^= "AL"', {"carl"}),
        ('status = "Enabled"', {"Alice", "alice2", "carl"}),
        ('status = "Disabled"', {"bob"}),
        ('status = "disabled"', set()),
        ('status ^= "Dis"', {"bob"}),
        ('status ^= ""', {"Alice", "alice2", "bob", "carl"}),
        ('cognito:user_status = "confirmed"', {"Alice", "alice2"}),
        ('cognito:user_status = "UNCONFIRMED"', {"bob"}),
        ('user_status = "UNCONFIRMED"', {"bob"}),
        ('user_status ^= "co"', {"Alice", "alice2"}),
        ('cognito:user_status ^= "Co"', {"Alice", "alice2"}),
        ('cognito:user_status ^= "un"', {"bob"}),
        ('cognito:user_status ^= "force_"', {"carl"}),
        ('cognito:user_status ^= ""', {"Alice", "alice2", "bob", "carl"}),
        ('cognito:user_status = ""', set()),
        ('cognito:user_status = "ENABLED"', set()),
        ('sub = "nobody"', set()),
        ('sub ^= "nobody"', set()),
        ('sub ^= ""', {"Alice", "alice2", "bob", "carl"}),
        ('name ^= "\' OR 1=1 --"', set()),
        ('name ^= "%"', set()),
        ('username ^= "\U0010ffff"', set()),
    ],
)
def test_whom_a_filter_finds(env: Env, people: Pool, asked: str, found: set[str]) -> None:
    assert names(env, people, asked) == found


def test_usernames_are_searched_as_the_pool_compares_them(env: Env) -> None:
    pool = build.a_pool(env, username_configuration={"case_sensitive": True})
    for name in ("Alice", "alice"):
        build.a_user(env, pool, name, email=None)
    for asked, found in (('= "Alice"', {"Alice"}), ('^= "a"', {"alice"}), ('= "ALICE"', set())):
        assert names(env, pool, f"username {asked}") == found


def test_a_sub_is_found_by_itself_and_by_its_beginnings(env: Env) -> None:
    pool = build.a_pool(env)
    subs = [
        "00000000-0000-4000-8000-000000000000",
        "00000000-0000-4000-8000-000000000001",
        "ffffffff-ffff-4fff-bfff-fffffffffffe",
        "ffffffff-ffff-4fff-bfff-ffffffffffff",
    ]
    a_crowd(env, pool, [{"username": sub, "sub": sub} for sub in subs])
    for sub in subs:
        assert names(env, pool, f'sub = "{sub}"') == {sub}
        for n in range(37):
            assert names(env, pool, f'sub ^= "{sub[:n].upper()}"') == {one for one in subs if one.startswith(sub[:n])}
        assert names(env, pool, f'sub ^= "{sub}0"') == set()


@pytest.mark.parametrize("attribute", ["custom:x", "nickname", "Email", "email_verified", "retired", "pool_id"])
def test_what_cannot_be_searched(env: Env, people: Pool, attribute: str) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        search.users(env, people, wanted=Filter(attribute, False, "x"))
    assert refused.value.message == f"Invalid search attribute: {attribute}"


def test_a_value_is_found_as_far_as_the_keys_reach(env: Env) -> None:
    """One character can become eighteen when it is compared (U+FDFA), and then a filter is longer than any key."""
    pool = build.a_pool(env)
    build.a_user(env, pool, "longest", email=None, name="\ufdfa" * 100)
    assert names(env, pool, 'name ^= "' + "\ufdfa" * 28 + '"') == {"longest"}
    for operator in ("=", "^="):
        with pytest.raises(errors.InvalidParameter, match="Error while parsing filter."):
            names(env, pool, f"name {operator} " + '"' + "\ufdfa" * 29 + '"')


@pytest.mark.parametrize(
    "asked", ["", 'name ^= "n"', 'name = "nn"', 'status = "Enabled"', 'cognito:user_status ^= "co"']
)
def test_a_token_is_of_one_filter(env: Env, asked: str) -> None:
    pool = build.a_pool(env)
    a_crowd(env, pool, [{"username": f"u{n}", "name": "nn"} for n in range(3)])
    token = search.users(env, pool, wanted=parse(asked), limit=1).token
    assert token
    assert search.users(env, pool, wanted=parse(asked), limit=1, token=token).rows
    for other in ("", 'name ^= "nn"', 'email ^= "n"', 'name = "n"', 'status ^= "Enabled"'):
        with pytest.raises(errors.InvalidParameter, match="Invalid pagination token"):
            search.users(env, pool, wanted=parse(other) if other != asked else parse('name ^= "m"'), token=token)


def test_users_of_several_statuses_come_one_status_after_the_other(env: Env, clock: Clock) -> None:
    """However old or new they are, and however small the pages."""
    pool = build.a_pool(env)
    statuses = ["CONFIRMED", "COMPROMISED", "UNKNOWN", "UNCONFIRMED", "RESET_REQUIRED", "FORCE_CHANGE_PASSWORD"]
    rows = [
        {"username": f"u{n}", "status": statuses[n % len(statuses)], "created_at": START + timedelta(seconds=n // 4)}
        for n in range(30)
    ]
    a_crowd(env, pool, rows)
    found = walked(env, pool, parse('cognito:user_status ^= "CO"'), limit=3)
    assert [user.status for user in found] == ["COMPROMISED"] * 5 + ["CONFIRMED"] * 5
    assert len({user.sub for user in found}) == 10


def test_only_attributes_of_the_pool_can_be_asked_for(env: Env) -> None:
    pool = build.a_pool(env)
    search.check_attributes(pool, ["sub", "email", "zoneinfo"])
    with pytest.raises(errors.InvalidParameter, match="do not exist"):
        search.check_attributes(pool, ["email", "custom:unknown"])


# -- plans of the database -----------------------------------------------------------------------------------


INDEXES = {"status": "enabled", "cognito:user_status": "status", "": "pool_id_created_at"} | {
    attribute: f"{attribute}_key" for attribute in FOLDED
}
BEGINNINGS = {"sub": "a", "status": "Dis", "cognito:user_status": "UN", "phone_number": "+4"}


def with_two_of_each(count: int) -> list[dict[str, Any]]:
    """Users who differ in everything, but for another one; few are disabled, or not confirmed."""
    words = random.Random(1)
    rows = []
    for n in range(0, count, 2):
        word = f"{words.choice('abcdefgh')}{words.randrange(10**6)}"
        alike = {
            "email": f"{word}@example.com",
            "phone_number": f"+{words.randrange(10**9)}",
            "status": "UNCONFIRMED" if n % 40 == 0 else "UNKNOWN" if n % 40 == 2 else "CONFIRMED",
            "enabled": n % 40 != 0,
            "created_at": START + timedelta(seconds=n),
            **dict.fromkeys(("name", "given_name", "family_name", "preferred_username"), word),
        }
        rows += [{"username": f"{word}-{which}", **alike} for which in "ab"]
    return rows


@pytest.mark.parametrize("analysed", [False, True], ids=["unknown", "analysed"])
def test_every_search_walks_its_index_and_sorts_nothing(env: Env, explained: Callable[[], str], analysed: bool) -> None:
    """From the first page and from the second, whether or not the database has looked at what is in its tables."""
    pool, other = build.a_pool(env), build.a_pool(env, username_configuration={"case_sensitive": True})
    rows = with_two_of_each(4000)
    a_crowd(env, pool, rows[:3000])
    a_crowd(env, other, rows[3000:])
    postgres = db.engine.dialect.name == "postgresql"
    if analysed or postgres:  # whose autovacuum would look sooner or later, and in the meantime it knows the size
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Rows that a test before has left in this database, dead by now, would make every way dearer.
            connection.execute(text('VACUUM FULL ANALYZE "user"' if postgres else "ANALYZE"))
    exact = {"status": "Disabled", "cognito:user_status": "UNKNOWN"}
    for attribute, pool in (*((attribute, pool) for attribute in ("", *SEARCHABLE)), ("username", other)):
        one = search.users(env, pool, limit=1).rows[0]
        for prefix in (False, True):
            value = (
                BEGINNINGS.get(attribute, "a1") if prefix else exact.get(attribute) or one.all_attributes.get(attribute)
            )
            wanted = Filter(attribute, prefix, value or one.username) if attribute else None
            index = f"ix_user_{attribute if pool is other else INDEXES.get(attribute, attribute)}"
            token = None
            for number in (1, 2):
                page = search.users(env, pool, wanted=wanted, limit=1, token=token)
                assert page.rows, wanted
                plan = explained()
                if attribute == "sub" and not prefix:  # one row at most, by whichever of two indexes
                    assert "pk_user" in plan or "sqlite_autoindex_user_1" in plan or index in plan, plan
                    break
                using = f"Index Scan using {index} on" if postgres else f"SEARCH user USING INDEX {index} ("
                assert using in plan, (wanted, plan)
                for slow in ("Sort", "Seq Scan", "Bitmap", "Filter", "SCAN", "TEMP B-TREE"):
                    assert slow not in plan, (wanted, plan)
                if token is not None:
                    assert ">" in plan.replace("->", ""), (wanted, "the place is not where the walk begins", plan)
                token = page.token
                if number == 1 and token is None:
                    assert attribute == "username" and not prefix, wanted
                    break


# -- properties ----------------------------------------------------------------------------------------------

ANYTHING = settings(deadline=None, derandomize=True, database=None, max_examples=60)
LETTERS = st.sampled_from(
    ["a", "A", "b", "ß", "\u0308", "u", "%", "_", '"', "\\", "\ud7ff", "\ue000", "\U0010ffff", "漢"]
)
WORD = st.text(LETTERS, max_size=4)
MOMENT = st.integers(0, 3).map(lambda n: START + timedelta(seconds=n))
SOMEBODY = st.fixed_dictionaries(
    {
        "created_at": MOMENT,
        "status": st.sampled_from(search.STATUSES),
        "enabled": st.booleans(),
        "username": WORD.filter(bool),
        "sub": st.uuids(version=4).map(str),
    },
    optional={
        attribute: WORD.filter(bool)
        for attribute in ("email", "name", "given_name", "family_name", "preferred_username", "phone_number")
    },
)
WANTED = st.one_of(
    st.none(),
    st.builds(Filter, st.sampled_from(SEARCHABLE), st.booleans(), WORD),
    st.builds(Filter, st.just("sub"), st.just(True), st.text("0123456789abcdef", max_size=2)),
    st.builds(Filter, st.just("cognito:user_status"), st.just(True), st.sampled_from(["c", "CO", "u", "UN", "r", ""])),
    st.builds(Filter, st.just("status"), st.booleans(), st.sampled_from(["Enabled", "Disabled", "D", "E", ""])),
)


def has(row: dict[str, Any], wanted: Filter | None) -> bool:
    """What the filter says, without a database."""
    if wanted is None:
        return True
    value = wanted.value
    match wanted.attribute:
        case "status":
            own = "Enabled" if row["enabled"] else "Disabled"
        case "cognito:user_status":
            own, value = row["status"].lower(), search_key(value)
        case "phone_number":
            own = row.get(wanted.attribute)
        case "sub":
            own, value = row["sub"], value.lower()
        case attribute:
            own, value = search_key(row[attribute]) if attribute in row else None, search_key(value)
    if own is None:
        return False
    return own.startswith(value) if wanted.prefix else own == value


@pytest.fixture(scope="module")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Env, Pool]]:
    """One database and pool for all examples: each empties it."""
    path = tmp_path_factory.mktemp("search") / "cognate.sqlite"
    shutil.copy(sqlite_template, path)
    clock = Clock()
    app = create_app(test_settings(f"sqlite:///{path}", data_dir=path.parent), now=clock, ticks=clock.ticks)
    with app.app_context():
        env: Env = app.extensions["cognate"]
        yield env, build.a_pool(env, algorithm="ES256")
        db.engine.dispose()


def refill(env: Env, pool: Pool, rows: list[dict[str, Any]]) -> None:
    with env.transaction():
        env.db.execute(delete(User))
    a_crowd(env, pool, rows)


@ANYTHING
@given(
    rows=st.lists(SOMEBODY, max_size=14, unique_by=lambda row: row["sub"]),
    wanted=WANTED,
    limit=st.integers(1, 6),
    leaving=st.lists(st.integers(0, 13), max_size=8),
)
def test_pages_show_everybody_who_stays_once_and_nobody_twice(
    world: tuple[Env, Pool], rows: list[dict[str, Any]], wanted: Filter | None, limit: int, leaving: list[int]
) -> None:
    """Wherever the pages end, and whoever leaves between two of them."""
    env, pool = world
    refill(env, pool, rows)
    matching = {row["sub"] for row in rows if has(row, wanted)}
    gone: set[str] = set()
    seen: list[str] = []
    leavers = iter(leaving)
    token = None
    while True:
        page = search.users(env, pool, wanted=wanted, limit=limit, token=token)
        assert len(page.rows) <= limit
        assert not gone & {user.sub for user in page.rows}
        seen += [user.sub for user in page.rows]
        token = page.token
        if token is None:
            break
        leaver = next(leavers, len(rows))
        if leaver < len(rows):
            gone.add(rows[leaver]["sub"])
            with env.transaction():
                env.db.execute(delete(User).where(User.sub == rows[leaver]["sub"]))
    assert len(seen) == len(set(seen)), "shown twice"
    assert set(seen) <= matching, "shown without being meant"
    assert matching - gone <= set(seen), "skipped"


@ANYTHING
@given(rows=st.lists(SOMEBODY, min_size=3, max_size=10, unique_by=lambda row: row["sub"]), wanted=WANTED)
def test_pages_are_one_walk_whatever_their_size(
    world: tuple[Env, Pool], rows: list[dict[str, Any]], wanted: Filter | None
) -> None:
    env, pool = world
    refill(env, pool, rows)
    whole = [user.sub for user in walked(env, pool, wanted)]
    for limit in range(1, len(rows) + 1):
        assert [user.sub for user in walked(env, pool, wanted, limit=limit)] == whole
