"""The ticket of the browser that signed up: good for its own user, its own password, once, and for a while."""

from collections.abc import Callable
from typing import Any

import pytest

from app import errors
from app.accounts import passwords, sign_up
from app.accounts.sign_up import SignedUp
from app.env import Env, Origin
from app.models import Client, OutboxMessage, User
from app.signin import after_sign_up, browser
from app.signin.state import Granted
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[OutboxMessage]]
WHO = Origin()


@pytest.fixture(params=["ENABLED", "LEGACY"])
def client(request: pytest.FixtureRequest, env: Env) -> Client:
    return a_client(env, a_pool(env), prevent_user_existence_errors=request.param)


def register(env: Env, client: Client, name: str = "bob") -> SignedUp:
    given = {"email": f"{name}@example.com"}
    return sign_up.sign_up(env, client, username=name, password=PASSWORD, attributes=given, origin=WHO)


def confirm(env: Env, client: Client, sent: Sent, ticket: str | None, name: str = "bob") -> Granted | None:
    code = str(sent(f"{name}@example.com")[0].code)
    return after_sign_up.confirm(env, client, username=name, code=code, ticket=ticket, origin=WHO)


def test_ticket_and_code_sign_in(env: Env, client: Client, sent: Sent) -> None:
    done = register(env, client)
    granted = confirm(env, client, sent, after_sign_up.ticket(env, client, done))
    assert granted
    assert (granted.user.sub, granted.proven, granted.auth_time) == (done.user.sub, ("PASSWORD",), env.now())
    token = browser.open_session(env, granted)
    found = browser.recognise(env, client.pool, token)
    assert found and found.user.status == "CONFIRMED"


def test_a_code_alone_confirms_and_no_more(env: Env, client: Client, sent: Sent) -> None:
    register(env, client)
    assert confirm(env, client, sent, None) is None
    assert env.db.get_one(User, sign_up.find.existing(env, client.pool, "bob").user.sub).status == "CONFIRMED"


@pytest.mark.parametrize("forged", ["", "nonsense", "v1.aaaaaaaa.AAAA"])
def test_a_forged_ticket_is_none(env: Env, client: Client, sent: Sent, forged: str) -> None:
    register(env, client)
    assert confirm(env, client, sent, forged) is None


def test_what_was_sealed_for_something_else_is_no_ticket(env: Env, client: Client, sent: Sent) -> None:
    done = register(env, client)
    ticket = after_sign_up.ticket(env, client, done)
    other = env.seal.seal(env.seal.open(ticket, about="sign-up in this browser"), about="srp secret block")
    assert confirm(env, client, sent, other) is None


def test_the_ticket_of_one_does_not_sign_in_another(env: Env, client: Client, sent: Sent) -> None:
    """Somebody signs up himself, and then confirms a stranger whose code he has come by."""
    register(env, client, "bob")
    own = after_sign_up.ticket(env, client, register(env, client, "mallory"))
    assert confirm(env, client, sent, own, "bob") is None
    assert confirm(env, client, sent, own, "mallory") is not None


def test_a_ticket_counts_at_the_client_where_it_was_given(env: Env, client: Client, sent: Sent) -> None:
    ticket = after_sign_up.ticket(env, a_client(env, client.pool), register(env, client))
    assert confirm(env, client, sent, ticket) is None


def test_a_ticket_expires(env: Env, client: Client, sent: Sent, clock: Clock) -> None:
    ticket = after_sign_up.ticket(env, client, register(env, client))
    clock.forward(minutes=15)
    assert confirm(env, client, sent, ticket) is None


def test_a_ticket_works_once(env: Env, client: Client, sent: Sent) -> None:
    """A user is confirmed once; the second time the holder is told so, and nothing is granted."""
    ticket = after_sign_up.ticket(env, client, register(env, client))
    assert confirm(env, client, sent, ticket)
    with pytest.raises(errors.AlreadyConfirmed):
        confirm(env, client, sent, ticket)


def test_who_has_no_ticket_does_not_learn_that_a_user_is_confirmed(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    confirm(env, client, sent, after_sign_up.ticket(env, client, register(env, client)))
    with pytest.raises(errors.CodeMismatch):
        confirm(env, client, sent, None)
    stranger = after_sign_up.ticket(env, client, register(env, client, "mallory"))
    with pytest.raises(errors.CodeMismatch):
        confirm(env, client, sent, stranger)


def test_a_password_that_was_changed_meanwhile_is_asked_for(env: Env, client: Client, sent: Sent) -> None:
    ticket = after_sign_up.ticket(env, client, register(env, client))

    def unconfirmed_again(user: User) -> None:
        with env.transaction():
            env.db.get_one(User, user.sub).status = "UNCONFIRMED"

    passwords.set_by_administrator(env, client.pool, username="bob", password="Another-horse-8", permanent=True)
    unconfirmed_again(sign_up.find.existing(env, client.pool, "bob").user)
    assert confirm(env, client, sent, ticket) is None


@pytest.mark.parametrize("what", ["disabled", "password", "locked"])
def test_what_changes_between_the_grant_and_the_session_is_noticed(
    env: Env, client: Client, sent: Sent, what: str, clock: Clock
) -> None:
    granted = confirm(env, client, sent, after_sign_up.ticket(env, client, register(env, client)))
    assert granted
    if what == "disabled":
        with env.transaction():
            env.db.get_one(User, granted.user.sub).enabled = False
    elif what == "password":
        passwords.set_by_administrator(env, client.pool, username="bob", password="Another-horse-8", permanent=True)
    else:
        for _ in range(5):
            _fail(env, granted)
    with pytest.raises(errors.NotAuthorized):
        browser.open_session(env, granted)


def _fail(env: Env, granted: Granted) -> None:
    with env.transaction():
        after_sign_up.lockout.failed(env, granted.sign_in.failures)


def test_a_plan_that_asks_for_more_is_not_passed_by(
    env: Env, client: Client, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a second factor is asked for after the password, the ticket stands for the password only."""

    def more(*given: Any) -> str:
        return "SOFTWARE_TOKEN_MFA"

    monkeypatch.setattr(after_sign_up.plan, "next_challenge", more)
    assert confirm(env, client, sent, after_sign_up.ticket(env, client, register(env, client))) is None


def test_a_name_that_somebody_else_signs_in_with_is_not_confused(env: Env, client: Client, sent: Sent) -> None:
    a_user(env, client.pool)
    with pytest.raises(errors.AliasExists):
        done = sign_up.sign_up(
            env,
            client,
            username="bob",
            password=PASSWORD,
            attributes={"email": "alice@example.com"},
            origin=WHO,
        )
        code = str(sent("alice@example.com")[0].code)
        ticket = after_sign_up.ticket(env, client, done)
        after_sign_up.confirm(env, client, username="bob", code=code, ticket=ticket, origin=WHO)
