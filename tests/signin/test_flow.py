"""Signing in: the machine that every door walks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app import errors
from app.accounts import administer, lockout, passwords
from app.accounts.find import by_name as find_user
from app.crypto.passwords import Hasher
from app.env import Env, Origin
from app.models import Attempt, LoginSession, Password, User
from app.pools import find
from app.signin import flow, granting
from app.tokens import verify
from app.tokens.claims import API_SCOPE
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock

NEW = "Another-horse-8"


def begin(env: Env, client: Any, name: str = "alice", password: str = PASSWORD, by: str = "USER_PASSWORD_AUTH") -> Any:
    return flow.begin(env, client, flow=by, given={"USERNAME": name, "PASSWORD": password}, origin=Origin())


def respond(env: Env, client: Any, step: flow.Ask, **given: str) -> Any:
    return flow.answer(
        env,
        client,
        challenge=step.challenge,
        session=step.handle,
        given={"USERNAME": "alice", **given},
        origin=Origin(),
    )


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.com"])
def test_a_password_signs_in_by_username_and_by_verified_address(env: Env, name: str) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    tokens = granting.tokens(env, begin(env, client, name))
    verified = verify.access_token(env, tokens.access, scope=API_SCOPE, pool_of=lambda one: find.pool(env, one))
    assert verified.user.sub == user.sub
    assert verified.scopes == [API_SCOPE]


def test_an_unverified_address_signs_nobody_in(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool, email=None, **{"email_verified": "false"})
    with pytest.raises(errors.UserNotFound):
        begin(env, client, "alice@example.com")


def test_a_sign_in_costs_few_statements(env: Env, statements: Callable[[], list[str]]) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    granting.tokens(env, begin(env, client))
    statements()
    granting.tokens(env, begin(env, client))
    assert len(statements()) <= 4


@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_a_wrong_password_and_an_unknown_name(env: Env, hides: str) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors=hides)
    a_user(env, client.pool)
    with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
        begin(env, client, password="wrong")
    unknown: type[errors.Refusal] = errors.NotAuthorized if hides == "ENABLED" else errors.UserNotFound
    with pytest.raises(unknown):
        begin(env, client, "nobody")


def test_an_unknown_name_costs_a_hash_too(env: Env) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    seen: list[str] = []

    class Counting(Hasher):
        def verify_nothing(self, password: str) -> None:
            seen.append(password)

    watched = replace(env, hasher=Counting(memory_kib=64, time_cost=1, parallelism=1, at_once=1, wait_seconds=1))
    with pytest.raises(errors.NotAuthorized):
        begin(watched, client, "nobody", "a guess")
    assert seen == ["a guess"]


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_five_failures_lock_for_a_second_and_each_further_one_for_twice_as_long(
    env: Env, clock: Clock, name: str
) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    a_user(env, client.pool)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
            begin(env, client, name, "wrong")
    for seconds in (1, 2, 4, 8):
        with pytest.raises(errors.LockedOut, match="Password attempts exceeded"):
            begin(env, client, name)
        clock.forward(seconds=seconds)
        with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
            begin(env, client, name, "wrong")
    clock.forward(seconds=16)
    if name == "alice":
        begin(env, client, name)


def test_success_and_a_quarter_of_an_hour_of_quiet_forget_the_failures(env: Env, clock: Clock) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    key = lockout.key_of(env, client.pool, user.sub)
    for reset in ("success", "quiet"):
        for _ in range(4):
            with pytest.raises(errors.NotAuthorized):
                begin(env, client, password="wrong")
        assert lockout.check(env, key) == 4
        if reset == "success":
            granting.tokens(env, begin(env, client))
        else:
            clock.forward(minutes=15)
        assert lockout.check(env, key) == 0


def test_guessing_in_parallel_gains_nothing(app: Flask, env: Env) -> None:
    """The right password among parallel guesses must not win after the lock has fallen."""
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)

    def guess(n: int) -> str:
        with app.app_context():
            try:
                begin(env, client, password=f"wrong{n}")
            except errors.Refusal as refused:
                return refused.message
        return "in"

    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(guess, range(30)))
    assert "in" not in seen
    # Each guess that was compared before the lock fell is at most one of the threads'.
    assert seen.count("Incorrect username or password.") <= 5 + 6
    with pytest.raises(errors.LockedOut):
        begin(env, client)


def test_a_guess_that_was_right_before_the_lock_fell_is_refused_after_it(env: Env) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    granted = begin(env, client)
    key = lockout.key_of(env, client.pool, user.sub)
    for _ in range(5):
        with env.transaction():
            lockout.failed(env, key)
    with pytest.raises(errors.LockedOut):
        granting.tokens(env, granted)


@pytest.mark.parametrize(
    ("meanwhile", "refusal"),
    [
        ({"enabled": False}, errors.UserDisabled),
        ({"status": "RESET_REQUIRED"}, errors.NotAuthorized),
    ],
)
def test_what_changed_while_the_password_was_compared_stops_the_sign_in(
    env: Env, meanwhile: dict[str, Any], refusal: type[errors.Refusal]
) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    granted = begin(env, client)
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(**meanwhile))
    with pytest.raises(refusal):
        granting.tokens(env, granted)
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0


def test_a_new_password_meanwhile_stops_it_too(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    granted = begin(env, client)
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=True)
    with pytest.raises(errors.NotAuthorized):
        granting.tokens(env, granted)


def test_a_status_is_told_only_to_whoever_knows_the_password(env: Env) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool, status="UNCONFIRMED")
    with pytest.raises(errors.NotAuthorized, match="Incorrect"):
        begin(env, client, password="wrong")
    with pytest.raises(errors.UserNotConfirmed, match="User is not confirmed."):
        begin(env, client)


@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_a_disabled_user_is_told_so_early_only_where_the_client_may_know(env: Env, hides: str) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors=hides)
    user = a_user(env, client.pool)
    with env.transaction():
        env.db.get_one(User, user.sub).enabled = False
    wrong = errors.UserDisabled if hides == "LEGACY" else errors.NotAuthorized
    with pytest.raises(wrong) as refused:
        begin(env, client, password="wrong")
    assert refused.value.message == ("User is disabled." if hides == "LEGACY" else "Incorrect username or password.")
    with pytest.raises(errors.UserDisabled):
        begin(env, client)


def test_flows_that_the_client_did_not_enable_are_refused(env: Env) -> None:
    client = a_client(env, a_pool(env), explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH"])
    a_user(env, client.pool)
    with pytest.raises(errors.InvalidParameter, match="USER_PASSWORD_AUTH flow not enabled for this client"):
        begin(env, client)
    with pytest.raises(errors.InvalidParameter, match="USER_SRP_AUTH is not enabled for the client."):
        flow.begin(env, client, flow="USER_SRP_AUTH", given={"USERNAME": "alice", "SRP_A": "2"}, origin=Origin())
    begin(env, client, by="HOSTED_PAGES")  # the pages are no flow of the API


@pytest.mark.parametrize("missing", ["USERNAME", "PASSWORD"])
def test_a_missing_parameter_is_named(env: Env, missing: str) -> None:
    client = a_client(env, a_pool(env))
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD, missing: ""}
    with pytest.raises(errors.InvalidParameter, match=f"Missing required parameter {missing}"):
        flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())


def test_a_password_is_hashed_again_when_the_parameters_have_changed(env: Env) -> None:
    client = a_client(env, a_pool(env))
    user = a_user(env, client.pool)
    stronger = replace(env, hasher=Hasher(memory_kib=128, time_cost=1, parallelism=1, at_once=1, wait_seconds=1))
    granting.tokens(stronger, begin(stronger, client))
    with env.reading() as session:
        assert "m=128" in session.get_one(Password, user.sub).hash
    granting.tokens(stronger, begin(stronger, client))


# -- a new password is required ------------------------------------------------------------------------------


def invited(env: Env, **pool: Any) -> Any:
    client = a_client(env, a_pool(env, **pool))
    administer.create(
        env,
        client.pool,
        username="alice",
        attributes={"email": "alice@example.com", "email_verified": "true"} | ({"name": "A"} if pool else {}),
        temporary_password=PASSWORD,
        silent=True,
    )
    return client


def test_someone_with_a_temporary_password_chooses_his_own(env: Env) -> None:
    client = invited(env)
    step = begin(env, client)
    assert step.challenge == "NEW_PASSWORD_REQUIRED"
    assert orjson.loads(step.params["requiredAttributes"]) == []
    assert orjson.loads(step.params["userAttributes"]) == {"email": "alice@example.com", "email_verified": "true"}
    granting.tokens(env, respond(env, client, step, NEW_PASSWORD=NEW))
    assert isinstance(begin(env, client, password=NEW), flow.Granted)


def test_a_weak_one_does_not_use_the_session_up_and_a_good_one_does(env: Env) -> None:
    client = invited(env)
    step = begin(env, client)
    with pytest.raises(errors.InvalidPassword):
        respond(env, client, step, NEW_PASSWORD="short")
    granted = respond(env, client, step, NEW_PASSWORD=NEW)
    granting.tokens(env, granted)
    with pytest.raises(errors.SessionInvalid):  # the new password ended what the old one began
        respond(env, client, step, NEW_PASSWORD=PASSWORD)


def test_of_parallel_answers_one_is_accepted(app: Flask, env: Env) -> None:
    client = invited(env)
    step = begin(env, client)

    def answer(n: int) -> bool:
        with app.app_context():
            try:
                granting.tokens(env, respond(env, client, step, NEW_PASSWORD=f"Another-horse-{n}"))
            except errors.NotAuthorized:
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(answer, range(6))) == 1


def test_a_session_is_of_one_client_one_challenge_and_three_minutes(env: Env, clock: Clock) -> None:
    client = invited(env)
    step = begin(env, client)
    with pytest.raises(errors.SessionInvalid, match="Invalid session for the user."):
        respond(env, a_client(env, client.pool), step, NEW_PASSWORD=NEW)
    with pytest.raises(errors.SessionInvalid):
        respond(env, client, replace(step, handle="x" * 43), NEW_PASSWORD=NEW)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired, match="Invalid session for the user, session is expired."):
        respond(env, client, step, NEW_PASSWORD=NEW)


def test_the_handle_is_stored_hashed(env: Env) -> None:
    client = invited(env)
    step = begin(env, client)
    with env.reading() as session:
        assert session.scalars(select(Attempt)).one().digest != step.handle


def test_missing_required_attributes_are_asked_for(env: Env) -> None:
    schema = [{"name": name, "required": True} for name in ("name", "email")]
    client = invited(env, schema=schema)
    with env.transaction():
        env.db.scalars(select(User)).one().attributes = {}
    step = begin(env, client)
    assert orjson.loads(step.params["requiredAttributes"]) == ["userAttributes.name"]
    with pytest.raises(errors.InvalidParameter, match="Invalid attributes given, name is missing"):
        respond(env, client, step, NEW_PASSWORD=NEW)
    with pytest.raises(errors.NotAuthorized, match="unauthorized attribute"):
        respond(env, client, step, NEW_PASSWORD=NEW, **{"userAttributes.email_verified": "true"})
    granting.tokens(
        env, respond(env, client, step, NEW_PASSWORD=NEW, **{"userAttributes.name": "Alice", "OTHER": "ignored"})
    )
    with env.reading() as session:
        assert session.scalars(select(User)).one().attributes == {"name": "Alice"}


def test_changing_the_address_on_the_way_makes_it_unverified(env: Env) -> None:
    client = invited(env)
    step = begin(env, client)
    granting.tokens(env, respond(env, client, step, NEW_PASSWORD=NEW, **{"userAttributes.email": "other@example.com"}))
    with env.reading() as session:
        user = session.scalars(select(User)).one()
    assert (user.email, user.email_verified) == ("other@example.com", False)
    for address in ("alice@example.com", "other@example.com"):  # the one he left, and the one he has not proven
        assert find_user(env, client.pool, address) is None
