"""The ticket of the browser that signed up: good for its own user, its own password, once, and for a while."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import administer, mfa, passwords, sign_up
from app.accounts.sign_up import SignedUp
from app.env import Env, Origin
from app.models import Client, LoginSession, OutboxMessage, Pool, User
from app.pools import find
from app.signin import after_sign_up, browser, flow, granting
from app.signin.state import Ask, Granted
from tests.build import PASSWORD, a_client, a_pool, a_user, an_app, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel

Sent = Callable[..., list[OutboxMessage]]
WHO = Origin()


@pytest.fixture(params=["ENABLED", "LEGACY"])
def client(request: pytest.FixtureRequest, env: Env) -> Client:
    return a_client(env, a_pool(env), prevent_user_existence_errors=request.param)


def register(env: Env, client: Client, name: str = "bob", *, password: str | None = PASSWORD) -> SignedUp:
    given = {"email": f"{name}@example.com"}
    return sign_up.sign_up(env, client, username=name, password=password, attributes=given, origin=WHO)


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


@pytest.mark.parametrize("what", ["disabled", "password"])
def test_what_changes_between_the_grant_and_the_session_is_noticed(
    env: Env, client: Client, sent: Sent, what: str
) -> None:
    granted = confirm(env, client, sent, after_sign_up.ticket(env, client, register(env, client)))
    assert granted
    if what == "disabled":
        with env.transaction():
            env.db.get_one(User, granted.user.sub).enabled = False
    else:
        passwords.set_by_administrator(env, client.pool, username="bob", password="Another-horse-8", permanent=True)
    with pytest.raises(errors.NotAuthorized):
        browser.open_session(env, granted)


def test_someone_who_was_disabled_between_code_and_sign_up_is_confirmed_and_no_more(
    env: Env, client: Client, sent: Sent
) -> None:
    done = register(env, client)
    with env.transaction():
        env.db.get_one(User, done.user.sub).enabled = False
    assert confirm(env, client, sent, after_sign_up.ticket(env, client, done)) is None


def test_a_pool_that_asks_for_more_is_not_passed_by(env: Env, sent: Sent) -> None:
    """Where a second factor is asked for after the password, the ticket stands for the password only."""
    pool = with_factors(env, a_pool(env), "ON", "SOFTWARE_TOKEN_MFA")
    client = a_client(env, pool)
    step = confirm(env, client, sent, after_sign_up.ticket(env, client, register(env, client)))
    assert isinstance(step, Ask)
    assert step.challenge == "MFA_SETUP"


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


# -- by the API: the session of SignUp and of ConfirmSignUp ----------------------------------------------------


@pytest.fixture
def choosing(env: Env) -> Client:
    """A client with the flow in which such a session is taken, of a pool where a code may come in place of a
    password."""
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}
    pool = a_pool(env, algorithm="ES256", policies=policies)
    return a_choosing_client(env, pool)


def a_choosing_client(env: Env, pool: Pool) -> Client:
    flows = ["ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    return a_client(env, pool, explicit_auth_flows=flows, prevent_user_existence_errors="ENABLED")


def confirmed(env: Env, client: Client, sent: Sent, session: str | None, name: str = "bob") -> str | None:
    code = str(sent(f"{name}@example.com")[0].code)
    user = sign_up.confirm(env, client, username=name, code=code)
    return after_sign_up.confirmed(env, client, session, user)


def begin(env: Env, client: Client, session: str | None, name: str = "bob", **given: str) -> Any:
    given = {"USERNAME": name, **given}
    return after_sign_up.begin(env, client, session=session or "", given=given, origin=WHO)


def a_session(env: Env, client: Client, sent: Sent, password: str | None = PASSWORD) -> str:
    """Of somebody who has just confirmed his account."""
    done = register(env, client, password=password)
    session = confirmed(env, client, sent, after_sign_up.first(env, client, done))
    assert session
    return session


def test_the_code_that_confirms_an_account_signs_in_as_well(env: Env, choosing: Client, sent: Sent) -> None:
    granted = begin(env, choosing, a_session(env, choosing, sent))
    assert (granted.user.username, granted.proven) == ("bob", ("PASSWORD",))
    assert granting.tokens(env, granted).refresh


def test_so_it_does_for_whoever_has_chosen_no_password(env: Env, choosing: Client, sent: Sent) -> None:
    """What he has shown is that he reads his mail, and that is what his tokens will say."""
    granted = begin(env, choosing, a_session(env, choosing, sent, password=None), "bob@example.com")
    assert granted.proven == ("EMAIL_OTP",)
    granting.tokens(env, granted)


def test_a_client_without_the_flow_gets_no_session(env: Env, client: Client) -> None:
    assert after_sign_up.first(env, client, register(env, client)) is None


def test_before_the_code_has_come_it_leads_nowhere(env: Env, choosing: Client) -> None:
    session = after_sign_up.first(env, choosing, register(env, choosing))
    with pytest.raises(errors.UserNotConfirmed):
        begin(env, choosing, session)
    without = after_sign_up.first(env, choosing, register(env, choosing, "carol", password=None))
    with pytest.raises(errors.SessionInvalid):
        begin(env, choosing, without, "carol")


def test_an_administrator_who_confirms_proves_no_address(env: Env, choosing: Client) -> None:
    """Whoever set the password may use it; whoever set none has shown nothing yet."""
    for name, password in (("bob", PASSWORD), ("carol", None)):
        session = after_sign_up.first(env, choosing, register(env, choosing, name, password=password))
        sign_up.confirm_by_administrator(env, choosing.pool, username=name)
        if password:
            assert isinstance(begin(env, choosing, session, name), Granted)
        else:
            with pytest.raises(errors.SessionInvalid):
                begin(env, choosing, session, name)


def test_a_code_alone_is_worth_a_code_to_sign_in_with(env: Env, choosing: Client, sent: Sent) -> None:
    """So Amplify confirms: it does not send the session of SignUp along. It shows no password."""
    register(env, choosing)
    granted = begin(env, choosing, confirmed(env, choosing, sent, None))
    assert granted.proven == ("EMAIL_OTP",)
    granting.tokens(env, granted)


def test_and_nothing_where_there_are_no_such_codes(env: Env, sent: Sent) -> None:
    only_passwords = a_choosing_client(env, a_pool(env, algorithm="ES256"))
    register(env, only_passwords)
    assert confirmed(env, only_passwords, sent, None) is None
    register(env, only_passwords, "carol")
    second = with_factors(env, only_passwords.pool, "ON", "SOFTWARE_TOKEN_MFA")
    assert confirmed(env, a_choosing_client(env, second), sent, None, "carol") is None


def test_the_session_of_somebody_elses_sign_up_adds_nothing_to_a_code(env: Env, choosing: Client, sent: Sent) -> None:
    """Somebody signs up himself, and then confirms a stranger whose code he has come by."""
    register(env, choosing)
    own = after_sign_up.first(env, choosing, register(env, choosing, "mallory"))
    session = confirmed(env, choosing, sent, own, "mallory")
    with pytest.raises(errors.SessionInvalid):
        begin(env, choosing, session, "bob")
    session = confirmed(env, choosing, sent, own, "bob")
    with pytest.raises(errors.SessionInvalid):
        begin(env, choosing, session, "mallory")
    assert begin(env, choosing, session, "bob").proven == ("EMAIL_OTP",)


def test_it_is_of_one_client(env: Env, choosing: Client, sent: Sent) -> None:
    session = a_session(env, choosing, sent)
    other = a_choosing_client(env, choosing.pool)
    with pytest.raises(errors.SessionInvalid):
        begin(env, other, session)
    with pytest.raises(errors.InvalidParameter, match="Auth flow not enabled for this client"):
        begin(env, a_client(env, choosing.pool), session)


def test_it_expires(env: Env, choosing: Client, sent: Sent, clock: Clock) -> None:
    session = a_session(env, choosing, sent)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        begin(env, choosing, session)


def test_it_is_good_once_and_so_is_all_that_led_to_it(app: Flask, env: Env, choosing: Client, sent: Sent) -> None:
    first = after_sign_up.first(env, choosing, register(env, choosing))
    second = confirmed(env, choosing, sent, first)

    def sign_in(session: str | None) -> Any:
        return lambda: granting.tokens(env, begin(env, choosing, session))

    outcomes = in_parallel(app, *[sign_in(one) for one in (first, second) for _ in range(3)])
    assert sum(isinstance(one, errors.SessionUsed) for one in outcomes) == 5
    for session in (first, second):
        with pytest.raises(errors.SessionUsed):
            sign_in(session)()
    with env.reading() as database:
        assert database.scalar(select(func.count()).select_from(LoginSession)) == 1


@pytest.mark.parametrize("forged", ["", "x" * 40, "v1.aaaaaaaa.AAAA"])
def test_a_forged_one_is_none(env: Env, choosing: Client, forged: str) -> None:
    register(env, choosing)
    with pytest.raises(errors.SessionInvalid):
        begin(env, choosing, forged)


def test_the_ticket_of_a_browser_is_none_and_the_other_way_round(env: Env, choosing: Client, sent: Sent) -> None:
    done = register(env, choosing)
    with pytest.raises(errors.SessionInvalid):
        begin(env, choosing, after_sign_up.ticket(env, choosing, done))
    session = after_sign_up.first(env, choosing, done)
    assert confirm(env, choosing, sent, session) is None


def test_the_session_of_a_challenge_is_none(env: Env, choosing: Client) -> None:
    a_user(env, choosing.pool)
    step = flow.begin(env, choosing, flow="USER_AUTH", given={"USERNAME": "alice"}, origin=WHO)
    assert isinstance(step, Ask)
    with pytest.raises(errors.SessionInvalid):
        begin(env, choosing, step.handle, "alice")


@pytest.mark.parametrize("meanwhile", ["password", "disabled", "deleted", "first password"])
def test_what_changes_meanwhile_ends_it(env: Env, choosing: Client, sent: Sent, meanwhile: str) -> None:
    session = a_session(env, choosing, sent, password=None if meanwhile == "first password" else PASSWORD)
    if meanwhile == "disabled":
        administer.disable(env, choosing.pool, username="bob")
    elif meanwhile == "deleted":
        administer.delete(env, choosing.pool, username="bob")
    else:
        passwords.set_by_administrator(env, choosing.pool, username="bob", password="Another-horse-8", permanent=True)
    with pytest.raises(errors.UserDisabled if meanwhile == "disabled" else errors.SessionInvalid):
        begin(env, choosing, session)


def test_a_second_factor_is_asked_for_all_the_same(env: Env, choosing: Client, sent: Sent) -> None:
    with_mfa = with_factors(env, choosing.pool, "OPTIONAL", "SOFTWARE_TOKEN_MFA")
    session = a_session(env, find.client(env, choosing.id), sent)
    user = sign_up.find.existing(env, with_mfa, "bob").user
    an_app(env, user)
    with env.transaction():
        mfa.switch_on(env, env.db.get_one(User, user.sub), "SOFTWARE_TOKEN_MFA")
    step = begin(env, find.client(env, choosing.id), session)
    assert isinstance(step, Ask) and step.challenge == "SOFTWARE_TOKEN_MFA"
    with pytest.raises(errors.SessionUsed):
        begin(env, find.client(env, choosing.id), session)


def test_nobody_goes_without_a_password_where_codes_alone_do_not_sign_in(env: Env, choosing: Client) -> None:
    closed = [a_client(env, choosing.pool), a_choosing_client(env, a_pool(env, algorithm="ES256"))]
    for client in closed:
        assert sign_up.needs_password(client)
        with pytest.raises(errors.InvalidParameter, match="Missing required parameter Password"):
            register(env, client, password=None)
    assert not sign_up.needs_password(choosing)
    with pytest.raises(errors.InvalidParameter, match="Without a password, email is required"):
        sign_up.sign_up(env, choosing, username="bob", password=None, attributes={}, origin=WHO)
