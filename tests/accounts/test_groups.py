"""Groups, who is in them, and what tokens say of it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text

from app import errors
from app.accounts import administer, groups
from app.db import db
from app.env import Env, Origin
from app.models import Client, Group, Membership, Pool, User
from app.pools import user_pools
from app.signin import flow, granting
from app.tokens import codes, issue, refresh, resources
from tests.api.test_caller import payload
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_user
from tests.conftest import START, Clock
from tests.parallel import in_parallel

ROLE, OTHER = (f"arn:aws:iam::123456789012:role/{name}" for name in ("Staff", "Guest"))


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool)


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def join(env: Env, pool: Pool, *names: str, username: str = "alice") -> None:
    for name in names:
        groups.add(env, pool, name=name, username=username)


def of(env: Env, pool: Pool, username: str = "alice") -> list[str]:
    return [group.name for group in groups.of_user(env, pool, username=username).rows]


def within(env: Env, pool: Pool, name: str) -> list[str]:
    return [user.username for user in groups.members(env, pool, name=name).rows]


def memberships(env: Env) -> int:
    with env.reading() as session:
        return session.scalar(select(func.count()).select_from(Membership)) or 0


# -- groups ----------------------------------------------------------------------------------------------------


def test_a_name_is_one_groups_in_its_pool(env: Env, pool: Pool) -> None:
    groups.create(env, pool, name="staff")
    with pytest.raises(errors.GroupExists, match="A group with the name already exists."):
        groups.create(env, pool, name="staff")
    groups.create(env, pool, name="Staff")
    groups.create(env, a_pool(env, algorithm="ES256"), name="staff")
    assert [group.name for group in groups.listed(env, pool).rows] == ["Staff", "staff"]


def test_of_those_who_create_it_at_once_one_has_created_it(app: Flask, env: Env, pool: Pool) -> None:
    made = in_parallel(app, *[lambda: groups.create(env, pool, name="staff")] * 5)
    assert sorted(type(one).__name__ for one in made) == ["Group", *["GroupExists"] * 4]


def test_a_pool_has_so_many_groups(app: Flask, pool: Pool, limited: Callable[..., Env]) -> None:
    """Even when they come at once."""
    env = limited(groups=2)
    groups.create(env, a_pool(env, algorithm="ES256"), name="elsewhere")

    def make(name: str) -> Callable[[], Any]:
        return lambda: groups.create(env, pool, name=name)

    made = in_parallel(app, *map(make, "abcde"))
    assert sorted(type(one).__name__ for one in made) == ["Group", "Group", *["LimitExceeded"] * 3]
    assert len(groups.listed(env, pool).rows) == 2


def test_a_group_of_a_pool_that_is_gone(env: Env, pool: Pool) -> None:
    user_pools.delete(env, pool)
    with pytest.raises(errors.UnknownPool):
        groups.create(env, pool, name="staff")


def test_an_update_keeps_what_it_does_not_name(env: Env, pool: Pool, clock: Clock) -> None:
    groups.create(env, pool, name="staff", description="Who works here", role_arn=ROLE, precedence=3)
    clock.forward(minutes=5)
    groups.update(env, pool, name="staff", precedence=0)
    groups.update(env, pool, name="staff", description="")
    row = groups.existing(env, pool, "staff")
    assert (row.description, row.role_arn, row.precedence) == ("", ROLE, 0)
    assert (row.created_at, row.modified_at) == (START, clock.moment)


def test_a_group_that_is_not_there(env: Env, pool: Pool, alice: User) -> None:
    groups.create(env, a_pool(env, algorithm="ES256"), name="staff")
    for act in (
        lambda: groups.existing(env, pool, "staff"),
        lambda: groups.update(env, pool, name="staff", precedence=1),
        lambda: groups.delete(env, pool, name="staff"),
        lambda: groups.add(env, pool, name="staff", username="alice"),
        lambda: groups.remove(env, pool, name="staff", username="alice"),
        lambda: groups.members(env, pool, name="staff"),
    ):
        with pytest.raises(errors.ResourceNotFound, match="Group not found."):
            act()


def test_a_user_who_is_not_there(env: Env, pool: Pool, alice: User) -> None:
    groups.create(env, pool, name="staff")
    other = a_pool(env, algorithm="ES256")
    groups.create(env, other, name="staff")
    for where, name in ((pool, "nobody"), (other, "alice"), (other, alice.sub)):
        for act in (groups.add, groups.remove):
            with pytest.raises(errors.UserNotFound):
                act(env, where, name="staff", username=name)
        with pytest.raises(errors.UserNotFound):
            groups.of_user(env, where, username=name)
    assert memberships(env) == 0


# -- members ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["alice", "ALICE", "alice@example.com", "sub"])
def test_a_user_is_in_a_group_once_by_whatever_name(env: Env, pool: Pool, alice: User, named: str) -> None:
    username = alice.sub if named == "sub" else named
    groups.create(env, pool, name="staff")
    join(env, pool, "staff", "staff", username=username)
    assert within(env, pool, "staff") == ["alice"]
    assert of(env, pool, username) == ["staff"]
    groups.remove(env, pool, name="staff", username=username)
    groups.remove(env, pool, name="staff", username=username)
    assert (within(env, pool, "staff"), of(env, pool)) == ([], [])


def test_who_is_added_many_times_at_once_is_in_it_once(app: Flask, env: Env, pool: Pool, alice: User) -> None:
    groups.create(env, pool, name="staff")
    assert in_parallel(app, *[lambda: groups.add(env, pool, name="staff", username="alice")] * 5) == [None] * 5
    assert memberships(env) == 1


def test_a_user_is_in_so_many_groups(app: Flask, pool: Pool, alice: User, limited: Callable[..., Env]) -> None:
    """Even when they are added to all at once; to one that they are in they still can be."""
    env = limited(groups_of_user=2)
    for name in "abcde":
        groups.create(env, pool, name=name)

    def add(name: str) -> Callable[[], Any]:
        return lambda: groups.add(env, pool, name=name, username="alice")

    outcomes = in_parallel(app, *map(add, "abcde"))
    assert sum(isinstance(one, errors.InvalidParameter) for one in outcomes) == 3
    in_now = of(env, pool)
    assert len(in_now) == 2
    join(env, pool, *in_now)


def test_a_group_that_is_deleted_takes_nobody_with_it(env: Env, pool: Pool, alice: User) -> None:
    for name in ("staff", "admins"):
        groups.create(env, pool, name=name)
    join(env, pool, "staff", "admins")
    groups.delete(env, pool, name="staff")
    assert of(env, pool) == ["admins"]
    groups.create(env, pool, name="staff")
    assert within(env, pool, "staff") == []


def test_a_user_who_is_deleted_leaves_his_groups(env: Env, pool: Pool, alice: User) -> None:
    groups.create(env, pool, name="staff")
    join(env, pool, "staff")
    administer.delete(env, pool, username="alice")
    assert within(env, pool, "staff") == []


@pytest.mark.parametrize("which", ["group", "user"])
def test_nobody_is_added_to_what_is_deleted_meanwhile(
    app: Flask, env: Env, pool: Pool, alice: User, which: str
) -> None:
    groups.create(env, pool, name="staff")
    ends: dict[str, Callable[[], Any]] = {
        "group": lambda: groups.delete(env, pool, name="staff"),
        "user": lambda: administer.delete(env, pool, username="alice"),
    }
    adds = [lambda: groups.add(env, pool, name="staff", username="alice")] * 4
    ended, *added = in_parallel(app, ends[which], *adds)
    assert ended is None
    gone = errors.ResourceNotFound if which == "group" else errors.UserNotFound
    assert all(one is None or type(one) is gone for one in added)
    assert memberships(env) == 0


# -- pages -----------------------------------------------------------------------------------------------------


def pages(read: Callable[..., Any]) -> list[list[str]]:
    """Names by page of two."""
    found, token = [], None
    while True:
        page = read(limit=2, token=token)
        found.append([getattr(row, "username", None) or row.name for row in page.rows])
        token = page.token
        if token is None:
            return found


def test_every_list_comes_in_pages(env: Env, pool: Pool, alice: User) -> None:
    for name in "abcde":
        groups.create(env, pool, name=name)
        a_user(env, pool, f"user-{name}", email=None)
        join(env, pool, "a", username=f"user-{name}")
    join(env, pool, *"edcba")
    expected = [["a", "b"], ["c", "d"], ["e"]]
    assert pages(lambda **where: groups.listed(env, pool, **where)) == expected
    assert pages(lambda **where: groups.of_user(env, pool, username="alice", **where)) == expected
    found = pages(lambda **where: groups.members(env, pool, name="a", **where))
    assert [len(page) for page in found] == [2, 2, 2]
    assert {name for page in found for name in page} == {"alice", *(f"user-{name}" for name in "abcde")}


def test_a_token_is_good_for_its_own_list(env: Env, pool: Pool, alice: User) -> None:
    for name in "ab":
        groups.create(env, pool, name=name)
        join(env, pool, name)
    a_user(env, pool, "bob", email=None)
    join(env, pool, "a", "b", username="bob")
    token = groups.members(env, pool, name="a", limit=1).token
    assert token is not None
    other = a_pool(env, algorithm="ES256")
    groups.create(env, other, name="a")
    for act in (
        lambda: groups.members(env, pool, name="b", token=token),
        lambda: groups.members(env, other, name="a", token=token),
        lambda: groups.listed(env, pool, token=token),
        lambda: groups.of_user(env, pool, username="bob", token=token),
    ):
        with pytest.raises(errors.InvalidParameter, match="Invalid pagination token."):
            act()


def a_crowd(env: Env, pool: Pool, count: int) -> None:
    """Users who are all in two groups, `all` and `others`."""
    now = env.now()
    people = [
        {
            "sub": env.random.uuid(),
            "pool_id": pool.id,
            "username": f"user-{n}",
            "status": "CONFIRMED",
            "enabled": True,
            "attributes": {},
            "created_at": now,
            "modified_at": now,
        }
        for n in range(count)
    ]
    belonging = [
        {"user_sub": one["sub"], "group_name": name, "pool_id": pool.id, "created_at": now}
        for one in people
        for name in ("all", "others")
    ]
    for name in ("all", "others"):
        groups.create(env, pool, name=name)
    with env.transaction():
        env.db.execute(insert(User), people)
        env.db.execute(insert(Membership), belonging)
    if db.engine.dialect.name == "postgresql":  # whose autovacuum would look at it sooner or later
        with db.engine.connect() as connection, connection.begin():
            connection.execute(text("ANALYZE"))


def test_the_last_page_of_members_is_found_like_the_first(
    env: Env, pool: Pool, explained: Callable[..., str], statements: Callable[[], list[str]]
) -> None:
    """By its place in the index of memberships: neither database reads what comes before it, or sorts."""
    a_crowd(env, pool, 2000)
    token = groups.members(env, pool, name="all", limit=2).token
    statements()
    groups.members(env, pool, name="all", limit=2, token=token)
    assert len(statements()) == 3
    of_members, of_users = explained(-2), explained()
    assert "ix_membership_group" in of_members, of_members
    assert "Sort" not in of_members and "TEMP B-TREE" not in of_members, of_members
    [wanted] = [line for line in of_members.splitlines() if "group_name" in line]
    assert "user_sub>" in wanted.replace(" ", "").replace(")::text", ""), of_members
    for plan in (of_members, of_users):
        assert "Seq Scan" not in plan and "SCAN" not in plan and "Filter" not in plan, plan


def test_a_users_groups_are_found_without_looking_at_anybody_elses(
    env: Env, client: Client, explained: Callable[..., str]
) -> None:
    """When tokens are made: everybody waits for that."""
    a_crowd(env, client.pool, 2000)
    a_user(env, client.pool)
    join(env, client.pool, "all")
    signed_in(env, client)  # which reads the keys too, once
    tokens = signed_in(env, client)
    assert tokens.refresh is not None
    plans = [explained()]
    refresh.tokens(env, client, tokens.refresh, oauth=False, origin=Origin())
    plans.append(explained())
    whole = ("Seq Scan on membership", 'Seq Scan on "user"', "Merge", "Hash", "SCAN", "AUTOMATIC")
    for plan in plans:
        assert "membership" in plan
        assert not [word for word in whole if word in plan], plan


# -- tokens ----------------------------------------------------------------------------------------------------


def signed_in(env: Env, client: Client) -> issue.Tokens:
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(step, flow.Granted)
    return granting.tokens(env, step)


def said(token: str | None) -> dict[str, Any]:
    assert token is not None
    return {name: value for name, value in payload(token).items() if name in CLAIMS}


CLAIMS = ("cognito:groups", "cognito:roles", "cognito:preferred_role")


def test_tokens_of_someone_in_no_group_say_nothing_of_groups(env: Env, client: Client, alice: User) -> None:
    groups.create(env, client.pool, name="staff")
    tokens = signed_in(env, client)
    assert (said(tokens.access), said(tokens.id)) == ({}, {})


def test_the_strongest_group_comes_first_and_gives_the_preferred_role(env: Env, client: Client, alice: User) -> None:
    for name, precedence, role in (
        ("any", None, OTHER), ("b", 2, ROLE), ("a", 2, None), ("first", 0, None), ("weak", 7, OTHER)
    ):  # fmt: skip
        groups.create(env, client.pool, name=name, precedence=precedence, role_arn=role)
        join(env, client.pool, name)
    tokens = signed_in(env, client)
    order = ["first", "a", "b", "weak", "any"]
    assert said(tokens.access) == {"cognito:groups": order}
    assert said(tokens.id) == {
        "cognito:groups": order,
        "cognito:roles": [ROLE, OTHER],
        "cognito:preferred_role": ROLE,
    }


@pytest.mark.parametrize(
    ("roles", "preferred"),
    [
        ([(1, ROLE), (1, OTHER)], None),
        ([(1, ROLE), (1, ROLE)], ROLE),
        ([(None, ROLE), (None, OTHER)], None),
        ([(None, ROLE)], ROLE),
        ([(None, OTHER), (2147483647, ROLE)], ROLE),
        ([(0, None), (1, ROLE), (1, OTHER)], None),
    ],
)
def test_a_role_is_preferred_only_where_no_other_is_as_strong(
    env: Env, client: Client, alice: User, roles: list[tuple[int | None, str | None]], preferred: str | None
) -> None:
    for n, (precedence, role) in enumerate(roles):
        groups.create(env, client.pool, name=f"g{n}", precedence=precedence, role_arn=role)
        join(env, client.pool, f"g{n}")
    found = said(signed_in(env, client).id)
    assert found.get("cognito:preferred_role") == preferred
    assert ("cognito:preferred_role" in found) == (preferred is not None)
    assert set(found["cognito:roles"]) == {role for _, role in roles if role}


def test_groups_without_roles_give_no_roles(env: Env, client: Client, alice: User) -> None:
    groups.create(env, client.pool, name="staff", precedence=1)
    join(env, client.pool, "staff")
    assert said(signed_in(env, client).id) == {"cognito:groups": ["staff"]}


def test_a_change_of_groups_is_in_the_next_tokens(
    env: Env, client: Client, alice: User, statements: Callable[[], list[str]]
) -> None:
    """Of each door that makes tokens; and it costs no statement more."""
    pool = client.pool
    for name in ("staff", "admins"):
        groups.create(env, pool, name=name)
    begun = signed_in(env, client)
    assert begun.refresh is not None
    join(env, pool, "staff")
    statements()
    assert said(refresh.tokens(env, client, begun.refresh, oauth=False, origin=Origin()).access) == {
        "cognito:groups": ["staff"]
    }
    assert len(statements()) == 1
    join(env, pool, "admins")
    assert said(refresh.tokens(env, client, begun.refresh, oauth=False, origin=Origin()).id) == {
        "cognito:groups": ["admins", "staff"]
    }
    with env.transaction():
        code = codes.give(
            env,
            client,
            alice.sub,
            redirect_uri=CALLBACK,
            scope="openid",
            nonce=None,
            code_challenge=None,
            auth_time=env.now(),
            methods=["PASSWORD"],
            browser_session_id=None,
        )
    groups.remove(env, pool, name="admins", username="alice")
    resources.of(env, pool)  # in the cache since the code was asked for
    statements()
    tokens = codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=Origin())
    assert len(statements()) == 3
    assert (said(tokens.access), said(tokens.id)) == ({"cognito:groups": ["staff"]},) * 2
    groups.delete(env, pool, name="staff")
    assert said(refresh.tokens(env, client, begun.refresh, oauth=False, origin=Origin()).access) == {}


def test_nobody_has_anothers_groups(env: Env, client: Client, alice: User) -> None:
    a_user(env, client.pool, "bob", email=None)
    groups.create(env, client.pool, name="admins")
    join(env, client.pool, "admins", username="bob")
    assert said(signed_in(env, client).access) == {}
    with env.reading() as session:
        assert session.scalars(select(Group.name)).all() == ["admins"]
