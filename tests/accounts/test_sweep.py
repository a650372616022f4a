"""What has expired is forgotten, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from app import errors
from app.accounts import administer, find, passkeys, passwords, sign_up, sweep
from app.db import Base, db
from app.env import Env, Origin
from app.models import LoginSession
from app.signin import browser, flow, granting
from app.throttling import counters
from app.tokens import codes
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_pool_with_passkeys, a_user
from tests.conftest import Clock


def counts(env: Env) -> dict[str, int]:
    with env.reading() as session:
        return {
            model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0
            for model, _, _ in sweep.UNTIL
        }


@pytest.fixture
def traffic(env: Env) -> Any:
    """A row in every table that grows by traffic, but those of one-time SRP answers."""
    client = a_client(env, a_pool_with_passkeys(env))
    user = a_user(env, client.pool)
    passkeys.start(env, client, user)
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    granted = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(granted, flow.Granted)
    tokens = granting.tokens(env, granted)
    browser.open_session(env, granted)
    with env.transaction():
        codes.give(
            env, client, user.sub, redirect_uri=CALLBACK, scope="openid", nonce=None, code_challenge=None,
            auth_time=env.now(), methods=["PASSWORD"], browser_session_id=None)  # fmt: skip
    passwords.forgot(env, client, username="alice", origin=Origin())
    with pytest.raises(errors.NotAuthorized):
        flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given | {"PASSWORD": "x"}, origin=Origin())
    a_user(env, client.pool, "bob", email=None, status="FORCE_CHANGE_PASSWORD")
    flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given | {"USERNAME": "bob"}, origin=Origin())
    counters.Database(lambda: db.engine, env.now, env.outages, env.keyed).hit(("address", "192.0.2.1"), 300, 60)
    return tokens


def test_every_table_with_an_end_is_swept() -> None:
    ends = {
        table.name
        for table in Base.metadata.sorted_tables
        if {"expires_at", "forget_at", "sent_at"} & set(table.columns.keys())
    }
    assert {model.__tablename__ for model, _, _ in sweep.UNTIL} == ends


def test_what_lives_is_kept(env: Env, traffic: Any) -> None:
    before = counts(env)
    assert all(before[name] for name in before if name != "spent")
    assert sum(sweep.expired(env).values()) == 0
    assert counts(env) == before


def test_what_has_ended_goes_table_by_table(env: Env, traffic: Any, clock: Clock) -> None:
    clock.forward(days=1)
    swept = sweep.expired(env)
    assert swept["authorization_code"] == swept["browser_session"] == swept["attempt"] == 1
    assert swept["passkey_registration"] == 1
    # alice's failure, her hour of forgotten passwords, and bob's attempt, which was right but not all.
    assert swept["throttle"] == 3
    assert swept["login_session"] == swept["outbox_message"] == swept["code"] == 0
    clock.forward(days=7)
    assert sweep.expired(env)["code"] == 1
    clock.forward(days=31)
    sweep.expired(env)
    assert {name for name, count in counts(env).items() if count} == {"password"}  # those without an end


def test_a_temporary_password_that_was_never_used_goes_and_its_user_stays(env: Env, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    for name in ("ann", "ben"):
        administer.create(
            env, client.pool, username=name, attributes={}, temporary_password=PASSWORD, silent=True
        )  # fmt: skip
    passwords.set_by_administrator(env, client.pool, username="ben", password=PASSWORD, permanent=True)

    def sign_in(name: str) -> flow.Step:
        given = {"USERNAME": name, "PASSWORD": PASSWORD}
        return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())

    clock.forward(days=7)
    sweep.expired(env)
    with pytest.raises(errors.TemporaryPasswordExpired):
        sign_in("ann")
    clock.forward(days=30)
    assert sweep.expired(env)["password"] == 1
    with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
        sign_in("ann")
    assert isinstance(sign_in("ben"), flow.Granted)
    found = find.existing(env, client.pool, "ann")
    assert (found.user.status, found.password) == ("FORCE_CHANGE_PASSWORD", None)
    administer.invite_again(env, client.pool, username="ann", temporary_password=PASSWORD)
    assert isinstance(sign_in("ann"), flow.Ask)


def test_who_never_confirmed_is_kept(env: Env, clock: Clock) -> None:
    """His name stays taken, as in Cognito; whoever runs the pool deletes him."""
    pool = a_pool(env)
    a_user(env, pool, status="UNCONFIRMED")
    clock.forward(days=1000)
    sweep.expired(env)
    assert find.existing(env, pool, "alice").password


def test_many_rows_go_in_batches(
    env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch, statements: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 2)
    client = a_client(env, a_pool(env))
    for n in range(5):
        name = f"user{n}@example.com"
        sign_up.sign_up(
            env, client, username=f"user{n}", password=PASSWORD, attributes={"email": name}, origin=Origin()
        )
    clock.forward(days=8)
    statements()
    assert sweep.expired(env)["code"] == 5
    assert sum(statement.startswith("DELETE FROM code") for statement in statements()) == 3


def test_a_session_outlives_its_refresh_token_by_the_life_of_its_last_access_token(
    env: Env, traffic: Any, clock: Clock
) -> None:
    clock.forward(days=30, hours=23)
    sweep.expired(env)
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(LoginSession)) == 1
