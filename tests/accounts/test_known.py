"""Strangers who use up what a name alone is needed for do not keep its owner out where the owner is known."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import errors
from app.accounts import administer, known, limits, lockout, passwords, sign_up
from app.env import Env, Origin
from app.models import Client, LoginSession, OutboxMessage, User
from app.pools import own_settings
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from app.tokens import revoke
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[OutboxMessage]]
STRANGER, AWAY = Origin(ip="203.0.113.9"), Origin(ip="198.51.100.7")
BY_CODE = {"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}}


@pytest.fixture
def client(env: Env) -> Client:
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_AUTH"]
    pool = a_pool(env, algorithm="ES256", **BY_CODE)
    return a_client(env, pool, explicit_auth_flows=flows, prevent_user_existence_errors="ENABLED")


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def at(marks: str, ip: str = AWAY.ip) -> Origin:
    return Origin(ip=ip, marks=marks)


def is_known(env: Env, client: Client, user: User, origin: Origin) -> bool:
    return known.is_known(env, known.place(env, client.pool, user.sub, origin))


def try_it(env: Env, client: Client, password: str, origin: Origin) -> object:
    given = {"USERNAME": "alice", "PASSWORD": password}
    return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=origin)


def guess_until_locked(env: Env, client: Client, origin: Origin) -> int:
    for looked_at in range(50):
        try:
            try_it(env, client, "wrong", origin)
        except errors.LockedOut:
            return looked_at
        except errors.NotAuthorized:
            pass
    raise AssertionError("fifty guesses, and no lock")


# -- the mark --------------------------------------------------------------------------------------------------


def test_a_mark_is_of_one_user_one_pool_and_half_a_year(env: Env, client: Client, alice: User, clock: Clock) -> None:
    marks = known.marked(env, client.pool, alice, "")
    bob = a_user(env, client.pool, "bob", email=None)
    other = a_client(env, a_pool(env, algorithm="ES256"))
    assert is_known(env, client, alice, at(marks))
    assert not is_known(env, client, bob, at(marks))
    assert not is_known(env, other, alice, at(marks))
    assert not known.is_known(env, known.place(env, client.pool, None, at(marks)))
    clock.forward(days=179)
    assert is_known(env, client, alice, at(marks))
    clock.forward(days=1)
    assert not is_known(env, client, alice, at(marks))


@pytest.mark.parametrize(
    "forge",
    [
        lambda mark: mark[:-1] + ("A" if mark[-1] != "A" else "B"),
        lambda mark: "A" * 22 + mark[22:],
        lambda mark: mark.replace(mark.split(".")[1], "9999999999"),
        lambda mark: mark + "x",
        lambda mark: "~".join(["A.1.B"] * 6 + [mark]),
        lambda mark: "\ud800" + mark,
        lambda mark: "",
    ],
)
def test_a_forged_mark_is_none(env: Env, client: Client, alice: User, forge: Callable[[str], str]) -> None:
    mark = known.marked(env, client.pool, alice, "")
    assert not is_known(env, client, alice, at(forge(mark)))


def test_a_mark_does_not_tell_whose_it_is(env: Env, client: Client, alice: User) -> None:
    marks = [known.marked(env, client.pool, alice, "") for _ in range(2)]
    for mark in marks:
        assert not any(name in mark for name in (alice.sub, "alice", alice.sub.replace("-", "")))
    numbers, signatures = ([mark.split(".")[part] for mark in marks] for part in (0, 2))
    assert numbers[0] != numbers[1] and signatures[0] != signatures[1]


def test_a_browser_knows_the_five_users_who_signed_in_last(env: Env, client: Client, alice: User) -> None:
    people = [alice, *(a_user(env, client.pool, f"user{n}", email=None) for n in range(5))]
    marks = ""
    for user in people:
        marks = known.marked(env, client.pool, user, marks)
    assert [is_known(env, client, user, at(marks)) for user in people] == [False] + [True] * 5
    again = known.marked(env, client.pool, people[2], marks)
    assert len(again.split("~")) == 5 and len(again) < 500
    assert [is_known(env, client, user, at(again)) for user in people] == [False] + [True] * 5


def test_signing_out_everywhere_ends_the_marks_that_were_made_before(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    """A stolen one with them. A new password does not: whoever is attacked sets one, and must not become a stranger."""
    marks = known.marked(env, client.pool, alice, "")
    passwords.set_by_administrator(env, client.pool, username="alice", password="Another-horse-8", permanent=True)
    assert is_known(env, client, alice, at(marks))
    clock.forward(seconds=2)
    with env.transaction():
        revoke.everything_of(env, env.db.get_one(User, alice.sub))
    assert not is_known(env, client, alice, at(marks))
    clock.forward(seconds=2)
    assert is_known(env, client, alice, at(known.marked(env, client.pool, alice, marks)))


def test_a_new_password_ends_no_mark_where_it_ends_sessions_either(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    pool = own_settings.configure(env, client.pool, own_settings.PRESETS["recommended"])
    marks = known.marked(env, pool, alice, "")
    clock.forward(seconds=2)
    passwords.set_by_administrator(env, pool, username="alice", password="Another-horse-8", permanent=True)
    assert is_known(env, client, alice, at(marks))
    guess_until_locked(env, client, STRANGER)
    assert isinstance(try_it(env, client, "Another-horse-8", at(marks)), Granted)


def test_whoever_was_deleted_is_known_nowhere(env: Env, client: Client, alice: User) -> None:
    marks = known.marked(env, client.pool, alice, "")
    administer.delete(env, client.pool, username="alice")
    assert not is_known(env, client, alice, at(marks))


# -- the lock --------------------------------------------------------------------------------------------------


def test_a_stranger_does_not_lock_the_owner_out_of_a_known_browser_wherever_it_is(
    env: Env, client: Client, alice: User
) -> None:
    mine = at(known.marked(env, client.pool, alice, ""))
    assert guess_until_locked(env, client, STRANGER) == 5
    with pytest.raises(errors.LockedOut):
        try_it(env, client, PASSWORD, AWAY)
    assert isinstance(try_it(env, client, PASSWORD, mine), Granted)


def test_a_stolen_mark_is_worth_one_counter_and_leaves_other_browsers_theirs(
    env: Env, client: Client, alice: User
) -> None:
    stolen, mine = (at(known.marked(env, client.pool, alice, "")) for _ in range(2))
    assert guess_until_locked(env, client, STRANGER) == 5
    assert guess_until_locked(env, client, stolen) == 5
    assert guess_until_locked(env, client, replace(stolen, ip="192.0.2.77")) == 0
    assert isinstance(try_it(env, client, PASSWORD, mine), Granted)


def test_a_success_in_a_known_browser_forgets_what_was_wrong_there(env: Env, client: Client, alice: User) -> None:
    mine = at(known.marked(env, client.pool, alice, ""))
    guess_until_locked(env, client, STRANGER)
    for _ in range(4):
        with pytest.raises(errors.NotAuthorized):
            try_it(env, client, "wrong", mine)
    step = try_it(env, client, PASSWORD, mine)
    assert isinstance(step, Granted)
    granting.tokens(env, step)
    counted = lockout.counter(env, client.pool, sub=alice.sub, origin=mine)
    lockout.check(env, counted)
    assert guess_until_locked(env, client, mine) == 10


# -- codes -----------------------------------------------------------------------------------------------------


def ask(env: Env, client: Client, origin: Origin, name: str = "alice") -> object:
    given = {"USERNAME": name, "PREFERRED_CHALLENGE": "EMAIL_OTP"}
    return flow.begin(env, client, flow="USER_AUTH", given=given, origin=origin)


def test_a_stranger_does_not_keep_a_passwordless_user_from_codes_where_they_are_known(
    env: Env, client: Client, alice: User, sent: Sent
) -> None:
    home = Origin(ip="192.0.2.1")
    step = try_it(env, client, PASSWORD, home)
    assert isinstance(step, Granted)
    granting.tokens(env, step)
    marked = at(known.marked(env, client.pool, alice, ""))
    for _ in range(20):
        ask(env, client, STRANGER)
    for away in (STRANGER, AWAY):
        with pytest.raises(errors.TooManyCodes):
            ask(env, client, away)
    for place in (home, marked):
        for _ in range(20):
            assert isinstance(ask(env, client, place), Ask)
        with pytest.raises(errors.TooManyCodes):
            ask(env, client, place)
    assert len(sent(alice.email)) == 60


def test_nor_from_replacing_a_forgotten_password(env: Env, client: Client, alice: User, sent: Sent) -> None:
    """Neither by asking for codes nor by guessing at them."""
    mine = at(known.marked(env, client.pool, alice, ""))
    for n in range(20):
        if n % 2:
            passwords.forgot(env, client, username="alice", origin=STRANGER)
        else:
            with pytest.raises(errors.CodeMismatch):
                passwords.confirm_forgot(
                    env, client, username="alice", code="no code", password="Another-horse-8", origin=STRANGER
                )
    with pytest.raises(errors.LimitExceeded):
        passwords.forgot(env, client, username="alice", origin=AWAY)
    passwords.forgot(env, client, username="alice", origin=mine)
    code = str(sent(alice.email)[0].code)
    with pytest.raises(errors.LimitExceeded):
        passwords.confirm_forgot(env, client, username="alice", code=code, password="Another-horse-8", origin=AWAY)
    passwords.confirm_forgot(env, client, username="alice", code=code, password="Another-horse-8", origin=mine)


def test_nor_from_confirming_a_sign_up(env: Env, client: Client, sent: Sent) -> None:
    given = {"email": "carol@example.com"}
    done = sign_up.sign_up(env, client, username="carol", password=PASSWORD, attributes=given, origin=AWAY)
    mine = at(known.marked(env, client.pool, done.user, ""))
    for _ in range(15):
        with pytest.raises(errors.CodeMismatch):
            sign_up.confirm(env, client, username="carol", code="wrong!", origin=STRANGER)
    for _ in range(5):
        sign_up.resend(env, client, username="carol", origin=STRANGER)
    with pytest.raises(errors.LimitExceeded):
        sign_up.resend(env, client, username="carol", origin=AWAY)
    sign_up.resend(env, client, username="carol", origin=mine)
    code = str(sent("carol@example.com")[0].code)
    with pytest.raises(errors.LimitExceeded):
        sign_up.confirm(env, client, username="carol", code=code, origin=AWAY)
    assert sign_up.confirm(env, client, username="carol", code=code, origin=mine).confirmed


def test_whoever_is_known_has_no_more_than_the_same_limit_again(env: Env, client: Client, alice: User) -> None:
    place = known.place(env, client.pool, alice.sub, at(known.marked(env, client.pool, alice, "")))
    counted = 0
    with pytest.raises(errors.LimitExceeded):
        for _ in range(100):
            limits.check(env, client.pool, "forgot_password", alice.sub, place)
            with env.transaction():
                limits.count(env, client.pool, "forgot_password", alice.sub, place)
            counted += 1
    assert counted == 2 * limits.PER_HOUR["forgot_password"]


def test_a_name_that_means_nobody_costs_the_same_statements(
    env: Env, client: Client, alice: User, statements: Callable[[], list[str]]
) -> None:
    """Also once it is too often."""

    def asked(name: str) -> list[str]:
        statements()
        with pytest.raises(errors.LimitExceeded):
            passwords.forgot(env, client, username=name, origin=STRANGER)
        return statements()

    for name in ("alice", "nobody"):
        for _ in range(20):
            passwords.forgot(env, client, username=name, origin=STRANGER)
    assert asked("alice") == asked("nobody") != []
    with env.reading() as session:
        assert session.query(LoginSession).count() == 0
