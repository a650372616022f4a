"""What each way to sign in, and to go on, costs the database, in statements and transactions, with a full cache.

A transaction is a commit, and on SQLite there is one writer. Whoever makes something cheaper lowers the number here;
whoever makes it dearer says why in docs/decisions.

A sign-in that succeeds or fails, and a revocation, have one INSERT for the audit among them, in a transaction that they
had before (decision 014). No refresh and no other step has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from app import errors, triggers
from app.accounts import factors, mfa
from app.db import db
from app.env import Env, Origin
from app.pools import find
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from app.tokens import issue, keys, refresh, revoke
from app.triggers import events
from tests import remembering
from tests.build import PASSWORD, a_client, a_pool, a_user, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.signin.test_srp import Device as Srp

BUDGETS: list[Any] = []


def costs(statements: int, commits: int) -> Callable[[Callable[[Meter], Measured]], Callable[[Meter], Measured]]:
    """Declare a story, called what it is about, and what it may cost at most."""

    def declare(story: Callable[[Meter], Measured]) -> Callable[[Meter], Measured]:
        BUDGETS.append(pytest.param(story, (statements, commits), id=story.__name__))
        return story

    return declare


Measured = tuple[int, int]


class Meter:
    """A pool, and what something in it costs."""

    def __init__(self, app: Flask, env: Env, clock: Clock, statements: Callable[[], list[str]]) -> None:
        self.app, self.env, self.clock = app, env, clock
        self.pool = a_pool(env)
        self.client = a_client(env, self.pool)
        self._statements = statements
        self._commits = 0
        event.listen(db.engine, "commit", self._committed)

    def _committed(self, connection: object) -> None:
        self._commits += 1

    def of(self, act: Callable[[], Any]) -> Measured:
        keys.of(self.env, self.pool)  # as after the first signature of a worker
        self._statements()
        self._commits = 0
        act()
        return len(self._statements()), self._commits

    def close(self) -> None:
        event.remove(db.engine, "commit", self._committed)

    # -- steps

    def begin(self, by: str = "USER_PASSWORD_AUTH", **given: str) -> Any:
        given = {"USERNAME": "alice", "PASSWORD": PASSWORD, **given}
        return flow.begin(self.env, self.client, flow=by, given=given, origin=Origin())

    def answer(self, step: Ask, **given: str) -> Any:
        given = {"USERNAME": "alice", **given}
        return flow.answer(
            self.env, self.client, challenge=step.challenge, session=step.handle, given=given, origin=Origin()
        )

    def tokens(self, step: Any) -> issue.Tokens:
        assert isinstance(step, Granted), step
        return granting.tokens(self.env, step)


@costs(6, 2)
def a_password(m: Meter) -> Measured:
    a_user(m.env, m.pool)
    m.tokens(m.begin())
    return m.of(lambda: m.tokens(m.begin()))


@costs(4, 2)
def a_wrong_password(m: Meter) -> Measured:
    a_user(m.env, m.pool)
    m.tokens(m.begin())

    def guess() -> None:
        with pytest.raises(errors.NotAuthorized):
            m.begin(PASSWORD="wrong")

    return m.of(guess)


def _by_srp(m: Meter, device: Srp) -> Any:
    return flow.begin(m.env, m.client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())


@costs(2, 0)
def srp_the_first_step(m: Meter) -> Measured:
    a_user(m.env, m.pool)
    device = Srp(m.client, "alice")
    _by_srp(m, device)
    return m.of(lambda: _by_srp(m, device))


@costs(7, 2)
def srp_the_second_step(m: Meter) -> Measured:
    a_user(m.env, m.pool)
    device = Srp(m.client, "alice")
    step = _by_srp(m, device)
    given = device.second(step.params, m.env.now())
    return m.of(lambda: m.tokens(m.answer(step, **given)))


def _with_an_app(m: Meter) -> str:
    m.pool = with_factors(m.env, m.pool, "OPTIONAL", factors.TOTP)
    m.client = find.client(m.env, m.client.id)
    user = a_user(m.env, m.pool)
    secret = an_app(m.env, user)
    mfa.prefer(m.env, user, {factors.TOTP: mfa.Setting(True, True)})
    return secret


@costs(7, 2)
def a_password_before_a_second_factor(m: Meter) -> Measured:
    _with_an_app(m)
    m.begin()
    return m.of(m.begin)


@costs(8, 2)
def srp_before_a_second_factor(m: Meter) -> Measured:
    _with_an_app(m)
    device = Srp(m.client, "alice")
    step = _by_srp(m, device)
    given = device.second(step.params, m.env.now())
    return m.of(lambda: m.answer(step, **given))


@costs(10, 2)
def the_code_of_an_authenticator_app(m: Meter) -> Measured:
    secret = _with_an_app(m)
    step = m.begin()
    code = app_code(secret, m.env.now())
    return m.of(lambda: m.tokens(m.answer(step, SOFTWARE_TOKEN_MFA_CODE=code)))


def _refreshed(m: Meter, token: str | None) -> issue.Tokens:
    return refresh.tokens(m.env, m.client, token or "", oauth=False, origin=Origin())


@costs(1, 0)
def a_refresh(m: Meter) -> Measured:
    """REFRESH_TOKEN_AUTH, and GetTokensFromRefreshToken where tokens do not rotate."""
    a_user(m.env, m.pool)
    token = m.tokens(m.begin()).refresh
    _refreshed(m, token)
    return m.of(lambda: _refreshed(m, token))


def _rotating(m: Meter) -> str | None:
    a_user(m.env, m.pool)
    m.client = a_client(
        m.env,
        m.pool,
        explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH"],
        refresh_token_rotation={"feature": "ENABLED", "retry_grace_period_seconds": 30},
    )
    return m.tokens(m.begin()).refresh


@costs(2, 1)
def a_refresh_that_rotates(m: Meter) -> Measured:
    """GetTokensFromRefreshToken, and the token endpoint."""
    token = _rotating(m)
    return m.of(lambda: _refreshed(m, token))


@costs(1, 0)
def a_refresh_repeated_within_the_grace(m: Meter) -> Measured:
    token = _rotating(m)
    _refreshed(m, token)
    return m.of(lambda: _refreshed(m, token))


@costs(2, 1)
def a_refresh_soon_after_two_others(m: Meter) -> Measured:
    """The session then has earlier tokens to remember."""
    token = _rotating(m)
    for _ in range(2):
        token = _refreshed(m, token).refresh
    return m.of(lambda: _refreshed(m, token))


@costs(1, 0)
def a_refresh_that_comes_late(m: Meter) -> Measured:
    first = token = _rotating(m)
    for _ in range(2):
        token = _refreshed(m, token).refresh

    def late() -> None:
        with pytest.raises(errors.RefreshTokenRefused):
            _refreshed(m, first)

    return m.of(late)


@costs(2, 1)
def a_revocation(m: Meter) -> Measured:
    a_user(m.env, m.pool)
    token = m.tokens(m.begin()).refresh or ""

    def revoke_it() -> None:
        with m.env.transaction():
            revoke.refresh_token(m.env, m.client, token)

    return m.of(revoke_it)


def _as_the_customer_says(m: Meter) -> None:
    """A pool whose functions ask one question until it is answered."""

    def define(question: events.DefineAuthChallenge) -> events.Defined:
        if question.session and question.session[-1].correct:
            return events.Defined(issue_tokens=True)
        return events.Defined(challenge="CUSTOM_CHALLENGE")

    functions = {
        triggers.DEFINE: define,
        triggers.CREATE: lambda question: events.Created(public={"question": "?"}, private={"answer": "42"}),
        triggers.VERIFY: lambda question: events.Verified(question.answer == question.private["answer"]),
    }
    m.env = replace(m.env, triggers=triggers.Functions(functions))
    m.pool = a_pool(m.env, lambda_config={name: f"arn:aws:lambda:us-east-1:1:function:{name}" for name in functions})
    m.client = a_client(m.env, m.pool, explicit_auth_flows=["ALLOW_CUSTOM_AUTH"])
    a_user(m.env, m.pool)


@costs(15, 3)
def a_device_from_its_first_step(m: Meter) -> Measured:
    tracking = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
    m.pool = a_pool(m.env, device_configuration=tracking)
    m.client = a_client(m.env, m.pool)
    user = a_user(m.env, m.pool)
    new = m.tokens(m.begin()).new_device
    assert new is not None
    device = remembering.Device(new.key, new.group_key)
    remembering.confirm(m.env, m.client, user, device)
    step = m.begin(DEVICE_KEY=device.key)

    def prove() -> None:
        asked = m.answer(step, **device.first())
        m.tokens(m.answer(asked, **device.second(asked.params, m.env.now())))

    return m.of(prove)


@costs(3, 1)
def custom_auth_the_first_question(m: Meter) -> Measured:
    _as_the_customer_says(m)
    m.begin("CUSTOM_AUTH")
    return m.of(lambda: m.begin("CUSTOM_AUTH"))


@costs(3, 2)
def custom_auth_a_wrong_answer_and_the_next_question(m: Meter) -> Measured:
    _as_the_customer_says(m)
    step = m.begin("CUSTOM_AUTH")
    return m.of(lambda: m.answer(step, ANSWER="41"))


@costs(5, 2)
def custom_auth_the_right_answer(m: Meter) -> Measured:
    _as_the_customer_says(m)
    step = m.begin("CUSTOM_AUTH")
    return m.of(lambda: m.tokens(m.answer(step, ANSWER="42")))


@pytest.fixture
def meter(app: Flask, env: Env, clock: Clock, statements: Callable[[], list[str]]) -> Iterator[Meter]:
    made = Meter(app, env, clock, statements)
    yield made
    made.close()


@pytest.mark.parametrize(("story", "budget"), BUDGETS)
def test_it_costs_no_more_than_its_budget(story: Callable[[Meter], Measured], budget: Measured, meter: Meter) -> None:
    statements, commits = story(meter)
    assert statements <= budget[0] and commits <= budget[1], (statements, commits)
