"""Requests that change the same rows at one moment, in an order that might make each wait for the other.

PostgreSQL ends one of two that do, a second later, which is a refusal here; SQLite has one writer, and shows only that
nothing is lost.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update

from app import errors
from app.accounts import administer, codes, find, groups, passwords, profile, sign_up
from app.env import Env, Origin
from app.models import Alias, Attempt, BrowserSession, Client, Group, LoginSession, Membership, Pool, User
from app.policy import attributes as policy
from app.pools import find as configuration
from app.pools import user_pools
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from app.tokens import revoke
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.parallel import in_parallel

BOTH = {"alias_attributes": ["email", "phone_number"], "auto_verified_attributes": ["email", "phone_number"]}
BY_CODE = {"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}}
FLOWS = {"explicit_auth_flows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_AUTH"]}
HOME = Origin("203.0.113.7")


def refusals(outcomes: list[Any]) -> set[str]:
    return {type(one).__name__ for one in outcomes if isinstance(one, errors.Refusal)}


def an_unconfirmed(env: Env, pool: Pool, name: str, **attributes: str) -> User:
    sub = env.random.uuid()
    with env.transaction():
        return sign_up.add_user(env, pool, sub=sub, username=name, attributes=attributes, status="UNCONFIRMED")


def a_code(env: Env, pool: Pool, user: User, attribute: str, sent: Any) -> str:
    """With which he confirms his sign-up, and proves the address."""
    with env.transaction():
        row = find.locked(env, user.sub)
        codes.send(env, pool, row, purpose="sign_up", attribute=attribute, counted=False)
    return str(sent(getattr(user, attribute))[0].code)


def tokens(env: Env, client: Client, name: str) -> str:
    given = {"USERNAME": name, "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=HOME)
    assert isinstance(step, Granted)
    return str(granting.tokens(env, step).refresh)


def test_who_take_each_others_addresses_by_force_do_not_wait_for_each_other(app: Flask, env: Env, sent: Any) -> None:
    """Alice confirms the e-mail address that bob signs in with, and bob the phone number that alice signs in with; an
    administrator had declared both proven before they were confirmed."""
    client = a_client(env, a_pool(env, **BOTH))
    for n in range(8):
        mail, phone = f"both{n}@example.com", f"+1555000{n:04}"
        alice = an_unconfirmed(
            env, client.pool, f"alice{n}", email=mail, phone_number=phone, phone_number_verified="true"
        )
        bob = an_unconfirmed(env, client.pool, f"bob{n}", phone_number=phone, email=mail, email_verified="true")
        confirm = [
            partial(sign_up.confirm, env, client, username=user.username, code=code, force_alias=True)
            for user, code in (
                (alice, a_code(env, client.pool, alice, "email", sent)),
                (bob, a_code(env, client.pool, bob, "phone_number", sent)),
            )
        ]
        assert refusals(in_parallel(app, *confirm)) == set()
        assert find.existing(env, client.pool, mail).user.sub == alice.sub
        assert find.existing(env, client.pool, phone).user.sub == bob.sub
        for user, left in ((alice, "phone_number"), (bob, "email")):
            assert not find.existing(env, client.pool, user.username).user.verified(left)


def test_who_are_made_with_the_addresses_of_the_same_two_do_not_wait_for_each_other(app: Flask, env: Env) -> None:
    pool = a_pool(env, **BOTH)
    for n in range(6):
        for name in ("alice", "bob"):
            digit = "1" if name == "alice" else "2"
            a_user(
                env,
                pool,
                f"{name}{n}",
                email=f"{name}{n}@example.com",
                phone_number=f"+155500{digit}{n:04}",
                phone_number_verified="true",
            )

        def make(name: str, mail: str, digit: str) -> Callable[[], Any]:
            given = {
                "email": f"{mail}{n}@example.com",  # noqa: B023 - run before the next round
                "email_verified": "true",
                "phone_number": f"+155500{digit}{n:04}",  # noqa: B023
                "phone_number_verified": "true",
            }
            return partial(
                administer.create,
                env,
                pool,
                username=f"{name}{n}",  # noqa: B023
                attributes=given,
                temporary_password=PASSWORD,
                silent=True,
                force_alias=True,
            )

        outcomes = in_parallel(app, make("carol", "alice", "2"), make("dave", "bob", "1"))
        assert refusals(outcomes) == set()
        assert find.existing(env, pool, f"alice{n}@example.com").user.username == f"carol{n}"
        assert find.existing(env, pool, f"+1555001{n:04}").user.username == f"dave{n}"


def test_a_code_for_a_forgotten_password_is_asked_for_and_used_at_once(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env))
    for n in range(4):
        name = f"alice{n}"
        a_user(env, client.pool, name, email=f"{name}@example.com")
        ask = partial(passwords.forgot, env, client, username=name, origin=HOME)
        use = partial(passwords.confirm_forgot, env, client, username=name, code="none", password="Another-horse-8")
        ask()
        outcomes = in_parallel(app, *[ask, use] * 3)
        assert refusals(outcomes) <= {"CodeMismatch", "ExpiredCode"}


def test_users_and_groups_are_deleted_at_once(app: Flask, env: Env) -> None:
    pool = a_pool(env)
    for n in range(4):
        names, users = [f"group{n}{x}" for x in "abc"], [f"user{n}{x}" for x in "abc"]
        for name in names:
            groups.create(env, pool, name=name)
        for user in users:
            a_user(env, pool, user, email=None)
            for name in names:
                groups.add(env, pool, name=name, username=user)
        acts: list[Callable[[], Any]] = [partial(groups.delete, env, pool, name=name) for name in names]
        acts += [partial(administer.delete, env, pool, username=user) for user in users]
        assert in_parallel(app, *acts) == [None] * 6
    with env.reading() as session:
        assert [session.scalar(select(func.count()).select_from(model)) for model in (Group, Membership, User)] == [
            0
        ] * 3


@pytest.mark.parametrize("ends", [administer.disable, administer.delete])
def test_a_sign_in_goes_on_while_its_user_is_disabled_or_deleted(
    app: Flask, env: Env, ends: Callable[..., None]
) -> None:
    """A choice proves nothing yet, but uses his attempt up; whoever disables him takes his attempts away."""
    client = a_client(env, a_pool(env, **BY_CODE), **FLOWS)
    for n in range(8):
        name = f"alice{n}"
        a_user(env, client.pool, name, email=f"{name}@example.com")
        steps = [flow.begin(env, client, flow="USER_AUTH", given={"USERNAME": name}, origin=HOME) for _ in range(4)]
        choices = [
            partial(
                flow.answer,
                env,
                client,
                challenge="SELECT_CHALLENGE",
                session=step.handle,
                given={"USERNAME": name, "ANSWER": "EMAIL_OTP"},
                origin=HOME,
            )
            for step in steps
            if isinstance(step, Ask)
        ]
        ended, *outcomes = in_parallel(app, partial(ends, env, client.pool, username=name), *choices)
        assert ended is None
        assert refusals(outcomes) <= {"NotAuthorized", "UserDisabled", "UserNotFound", "SessionInvalid", "SessionUsed"}
    if ends is administer.delete:
        with env.reading() as session:
            assert session.scalar(select(func.count()).select_from(Attempt)) == 0


def test_a_session_and_the_browsers_that_it_came_out_of_end_while_the_user_is_deleted(app: Flask, env: Env) -> None:
    pool = a_pool(env)
    user_pools.set_sessions(env, pool, tracking="ENABLED", most=5)
    client = configuration.client(env, a_client(env, pool).id)
    for n in range(8):
        name = f"alice{n}"
        alice = a_user(env, pool, name, email=None)
        given = tokens(env, client, name)
        with env.transaction():
            env.db.execute(
                insert(BrowserSession).values(
                    digest=f"digest {n}",
                    id=str(n),
                    pool_id=pool.id,
                    user_sub=alice.sub,
                    client_id=client.id,
                    auth_time=env.now(),
                    methods=[],
                    ip="",
                    user_agent="",
                    created_at=env.now(),
                    expires_at=env.now(),
                )
            )
            env.db.execute(update(LoginSession).values(browser_session_id=str(n)))

        def leave(token: str = given) -> None:
            with env.transaction():
                revoke.refresh_token(env, client, token, linked=True)

        outcomes = in_parallel(app, leave, partial(administer.delete, env, pool, username=name), leave)
        assert outcomes == [None] * 3


def test_one_state_is_left_by_whatever_is_done_to_one_user_at_once(app: Flask, env: Env) -> None:
    """What he is called by is what his attributes say, whoever was last."""
    client = a_client(env, a_pool(env))
    pool = client.pool
    groups.create(env, pool, name="staff")
    for _ in range(6):
        alice = a_user(env, pool)
        acts: list[Callable[[], Any]] = [
            partial(administer.update_attributes, env, pool, username="alice", attributes={"email": f"{x}@example.com"})
            for x in "ab"
        ]
        acts += [
            partial(profile.update_attributes, env, client, alice, attributes={"email": "c@example.com"}),
            partial(groups.add, env, pool, name="staff", username="alice"),
            partial(groups.remove, env, pool, name="staff", username="alice"),
            partial(tokens, env, client, "alice"),
            partial(administer.disable, env, pool, username="alice"),
            partial(administer.enable, env, pool, username="alice"),
        ]
        assert refusals(in_parallel(app, *acts)) <= {"UserDisabled", "NotAuthorized"}
        with env.reading() as session:
            row = session.get_one(User, alice.sub)
            names = session.scalars(select(Alias).where(Alias.user_sub == alice.sub)).all()
            assert {(one.generation, one.attribute, one.value) for one in names} == set(policy.claims(pool.naming, row))
        administer.delete(env, pool, username="alice")


def test_a_pool_is_deleted_while_its_users_are_at_work(app: Flask, env: Env) -> None:
    """Here the order cannot be kept: whoever deletes a pool comes from above, and begins again where he has to."""
    for _ in range(4):
        client = a_client(env, a_pool(env, algorithm="ES256"))
        pool = client.pool
        for name in ("alice", "bob"):
            a_user(env, pool, name, email=f"{name}@example.com")

        def change(name: str) -> None:
            given = {"email": f"{name}2@example.com", "email_verified": "true"}
            administer.update_attributes(env, client.pool, username=name, attributes=given)  # noqa: B023

        acts = [partial(change, name) for name in ("alice", "bob")]
        ended, *outcomes = in_parallel(app, partial(user_pools.delete, env, pool), *acts)
        assert ended is None
        assert refusals(outcomes) <= {"UserNotFound", "TooManyRequests"}
    with env.reading() as session:
        assert [session.scalar(select(func.count()).select_from(model)) for model in (Pool, User, Alias)] == [0] * 3
