"""Codes are bound to whom and what they were sent for, work once, and cannot be found by trying."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import errors
from app.accounts import administer, codes, passwords, sign_up
from app.env import Env, Origin
from app.messaging import outbox
from app.models import Client, Code, OutboxMessage, Pool, User
from app.pools import find as pools
from app.signin import flow
from tests.build import a_client, a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[Any]]
PURPOSES = ("sign_up", "forgot_password", "verify_email", "verify_phone_number")


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256", auto_verified_attributes=["email", "phone_number"])


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool, phone_number="+15555550100")


def send(env: Env, pool: Pool, user: User, purpose: str = "sign_up", **other: Any) -> str:
    """The code that was sent."""
    attribute = "phone_number" if purpose == "verify_phone_number" else "email"
    with env.transaction():
        codes.send(env, pool, user, purpose=purpose, attribute=attribute, **other)
    return str(outbox.kept(env)[0].code)


def take(env: Env, user: User, code: str, purpose: str = "sign_up", **other: Any) -> codes.Taken:
    with env.transaction():
        return codes.take(env, pools.pool(env, user.pool_id), user.sub, purpose=purpose, code=code, **other)


def wrong(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 1_000_000:06}"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_code_is_good_for_its_own_purpose_user_and_once(env: Env, pool: Pool, alice: User, purpose: str) -> None:
    bob = a_user(env, pool, "bob", email="bob@example.com")
    code = send(env, pool, alice, purpose)
    for other in set(PURPOSES) - {purpose}:
        with pytest.raises(errors.ExpiredCode):
            take(env, alice, code, other)
    with pytest.raises(errors.ExpiredCode):
        take(env, bob, code, purpose)
    taken = take(env, alice, f" {code} ", purpose)
    assert taken.destination == ("+15555550100" if purpose == "verify_phone_number" else "alice@example.com")
    with pytest.raises(errors.ExpiredCode):
        take(env, alice, code, purpose)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_how_long_a_code_lives(env: Env, pool: Pool, alice: User, clock: Clock, purpose: str) -> None:
    hours = 1 if purpose == "forgot_password" else 24
    code = send(env, pool, alice, purpose)
    clock.forward(hours=hours, seconds=-1)
    assert codes.fits(env, alice.sub, purpose=purpose, code=code)
    clock.forward(seconds=1)
    assert not codes.fits(env, alice.sub, purpose=purpose, code=code)
    with pytest.raises(errors.ExpiredCode):
        take(env, alice, code, purpose)


def test_a_code_goes_to_the_address_that_is_given(env: Env, pool: Pool, alice: User, sent: Sent) -> None:
    code = send(env, pool, alice, "verify_email", address="new@example.com")
    assert sent("new@example.com")[0].code == code
    assert take(env, alice, code, "verify_email").destination == "new@example.com"


def test_a_new_code_replaces_the_one_before(env: Env, pool: Pool, alice: User) -> None:
    old, new = send(env, pool, alice), send(env, pool, alice)
    if old != new:
        with pytest.raises(errors.CodeMismatch):
            take(env, alice, old)
    take(env, alice, new)


def test_codes_that_a_user_asks_for_are_few(env: Env, pool: Pool, alice: User) -> None:
    """Both addresses together; what an administrator has sent is not among them."""
    for purpose in ("verify_email", "verify_phone_number", "verify_email", "verify_email", "verify_phone_number"):
        send(env, pool, alice, purpose)
        send(env, pool, alice, purpose, counted=False)
    with pytest.raises(errors.LimitExceeded):
        send(env, pool, alice, "verify_email")


def test_of_two_right_answers_at_once_one_is_taken(app: Flask, env: Env, pool: Pool, alice: User) -> None:
    code = send(env, pool, alice)
    start = threading.Barrier(8)

    def one(_: int) -> bool:
        with app.app_context():
            start.wait()
            try:
                take(env, alice, code)
            except errors.ExpiredCode:
                return False
            return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(one, range(8))) == 1


def test_twenty_guesses_at_once_are_twenty_tries(app: Flask, env: Env, pool: Pool, alice: User) -> None:
    code = send(env, pool, alice)
    start = threading.Barrier(20)

    def one(number: int) -> type[Exception]:
        with app.app_context():
            start.wait()
            with pytest.raises(errors.Refusal) as refused:
                take(env, alice, wrong(code, number + 1))
            return refused.type

    with ThreadPoolExecutor(20) as threads:
        seen = list(threads.map(one, range(20)))
    assert (seen.count(errors.CodeMismatch), seen.count(errors.ExpiredCode)) == (5, 15)
    with env.reading() as session:
        assert session.scalar(select(Code.tries)) == 20
    with pytest.raises(errors.ExpiredCode):
        take(env, alice, code)


def test_where_users_are_hidden_only_the_right_code_is_told_to_be_too_late(
    env: Env, pool: Pool, alice: User, clock: Clock
) -> None:
    with pytest.raises(errors.CodeMismatch):
        take(env, alice, "123456", hiding=True)  # none was sent
    code = send(env, pool, alice)
    for _ in range(7):
        with pytest.raises(errors.CodeMismatch):
            take(env, alice, wrong(code), hiding=True)
    with pytest.raises(errors.ExpiredCode):
        take(env, alice, code, hiding=True)
    code = send(env, pool, alice)
    clock.forward(hours=24)
    with pytest.raises(errors.CodeMismatch):
        take(env, alice, wrong(code), hiding=True)
    with pytest.raises(errors.ExpiredCode):
        take(env, alice, code, hiding=True)


def test_whom_no_code_can_help_he_is_told_the_same_and_counted(env: Env, pool: Pool, alice: User) -> None:
    code = send(env, pool, alice)
    for _ in range(5):
        with pytest.raises(errors.CodeMismatch), env.transaction():
            raise codes.miss(env, pool, alice.sub, purpose="sign_up", code=code, hiding=True)
    with pytest.raises(errors.ExpiredCode):
        take(env, alice, code)


# -- where a code seems to go ----------------------------------------------------------------------------------


def simulated(env: Env, name: str, channels: list[str], **rules: Any) -> tuple[str, str]:
    given = {"auto_verified_attributes": ["email"], "alias_attributes": ["email"], **rules}
    pool = a_pool(env, algorithm="ES256", **given)
    delivery = codes.simulated(env, pool, name, None, channels)
    assert delivery == codes.simulated(env, pool, name, None, channels)
    return delivery.medium, delivery.destination


BOTH = ["phone_number", "email"]


@pytest.mark.parametrize(
    ("name", "channels", "rules", "medium"),
    [
        ("nobody", BOTH, {}, "EMAIL"),
        ("nobody", BOTH, {"auto_verified_attributes": ["phone_number", "email"]}, "SMS"),
        ("nobody", ["phone_number"], {"auto_verified_attributes": ["phone_number"]}, "SMS"),
        ("nobody", BOTH, {"auto_verified_attributes": [], "alias_attributes": ["phone_number"]}, "SMS"),
        ("nobody", BOTH, {"auto_verified_attributes": [], "alias_attributes": []}, "EMAIL"),
        ("+15555550100", BOTH, {}, "SMS"),
        ("+15555550100", ["email"], {}, "EMAIL"),
        ("x@example.com", BOTH, {}, "EMAIL"),
        ("x@example.com", ["phone_number"], {"auto_verified_attributes": ["phone_number"]}, "SMS"),
    ],
)
def test_a_simulated_delivery_is_of_the_kind_that_a_real_one_would_be(
    env: Env, name: str, channels: list[str], rules: dict[str, Any], medium: str
) -> None:
    found = simulated(env, name, channels, **rules)
    assert found[0] == medium
    assert len(found[1]) == (len("+*******0100") if medium == "SMS" else len("x***@e***"))
    assert "+*******" in found[1] or "***@" in found[1]


def test_spellings_of_one_name_have_one_simulated_address(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    first = codes.simulated(env, pool, "Nobody@Example.com", None, BOTH)
    assert first == codes.simulated(env, pool, "nobody@example.com", None, BOTH)
    assert first.destination == "n***@e***"
    assert codes.simulated(env, pool, "José") == codes.simulated(env, pool, "JOSE\u0301")
    different = {codes.simulated(env, pool, f"nobody{n}").destination for n in range(20)}
    assert len(different) > 10


def test_who_has_an_address_gets_every_simulated_code_there(env: Env, pool: Pool, alice: User) -> None:
    """As a real one for another purpose would show it: two that differ would tell that he exists."""
    assert codes.simulated(env, pool, "alice", alice, ["email"]).destination == "a***@e***"
    assert codes.simulated(env, pool, "alice", alice, BOTH).destination == "+*******0100"


# -- what is different comes after the answer --------------------------------------------------------------------


@pytest.fixture
def unanswered(env: Env) -> tuple[Env, list[Callable[[], None]]]:
    """An environment in which nobody has been answered yet, and what waits for that."""
    waiting: list[Callable[[], None]] = []
    return replace(env, later=waiting.append), waiting


def test_before_the_answer_nothing_depends_on_who_exists(
    env: Env, pool: Pool, unanswered: tuple[Env, list[Callable[[], None]]], statements: Callable[[], list[str]]
) -> None:
    hiding, waiting = unanswered
    client: Client = a_client(env, pool, prevent_user_existence_errors="ENABLED")
    a_user(env, pool, "known", email="known@example.com", status="UNCONFIRMED", email_verified="false")
    for name in ("known", "nobody"):  # once, for what is cached and counted afterwards
        sign_up.resend(hiding, client, username=name, origin=Origin())
    seen = {}
    for name in ("known", "nobody"):
        statements()
        sign_up.resend(hiding, client, username=name, origin=Origin())
        seen[name] = statements()
    assert seen["known"] == seen["nobody"]
    assert len(waiting) == 4


def test_after_the_answer_the_code_is_sent_and_works(
    env: Env, pool: Pool, unanswered: tuple[Env, list[Callable[[], None]]], sent: Callable[..., list[OutboxMessage]]
) -> None:
    hiding, waiting = unanswered
    client: Client = a_client(env, pool, prevent_user_existence_errors="ENABLED")
    a_user(env, pool, "known", email="known@example.com", status="UNCONFIRMED", email_verified="false")
    for name in ("known", "nobody"):
        sign_up.resend(hiding, client, username=name, origin=Origin())
    assert sent() == []
    for act in waiting:
        act()
    (message,) = sent()
    assert sign_up.confirm(env, client, username="known", code=message.code or "").status == "CONFIRMED"


def test_who_was_confirmed_or_deleted_before_it_was_sent_gets_none(
    env: Env, pool: Pool, unanswered: tuple[Env, list[Callable[[], None]]], sent: Callable[..., list[OutboxMessage]]
) -> None:
    hiding, waiting = unanswered
    client: Client = a_client(env, pool, prevent_user_existence_errors="ENABLED")
    for name in ("confirmed", "deleted"):
        a_user(env, pool, name, email=f"{name}@example.com", status="UNCONFIRMED", email_verified="false")
        sign_up.resend(hiding, client, username=name, origin=Origin())
    sign_up.confirm_by_administrator(env, pool, username="confirmed")
    administer.delete(env, pool, username="deleted")
    for act in waiting:
        act()
    assert sent() == []


@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_whatever_might_tell_by_its_time_is_done_in_steps(env: Env, pool: Pool, hides: str) -> None:
    waits: list[float] = []
    stepping = replace(env, sleep=waits.append)
    client: Client = a_client(env, pool, prevent_user_existence_errors=hides)
    a_user(env, pool, "known", email="known@example.com", status="UNCONFIRMED", email_verified="false")
    origin = Origin()
    srp = {"SRP_A": f"{2**2047:x}"}
    acts: tuple[Callable[[str], object], ...] = (
        lambda name: passwords.forgot(stepping, client, username=name, origin=origin),
        lambda name: passwords.confirm_forgot(stepping, client, username=name, code="000000", password="Another-1"),
        lambda name: sign_up.resend(stepping, client, username=name, origin=origin),
        lambda name: sign_up.confirm(stepping, client, username=name, code="000000"),
        lambda name: flow.begin(stepping, client, flow="USER_SRP_AUTH", given={"USERNAME": name, **srp}, origin=origin),
    )
    for name in ("known", "nobody"):
        for act in acts:
            with suppress(errors.Refusal):
                act(name)
    assert len(waits) == (10 if hides == "ENABLED" else 0)
