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
from app.accounts import administer, passwords
from app.accounts.find import by_name as find_user
from app.crypto.passwords import Hasher
from app.env import Env, Origin
from app.models import Attempt, Device, LoginSession, Password, User
from app.pools import find
from app.signin import flow, granting, plan
from app.signin.state import Asked, Proof, SignIn
from app.tokens import verify
from app.tokens.claims import API_SCOPE
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock
from tests.signin.test_srp import Device as Srp

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
    # Looked up, counted, looked at again with his row locked, counts forgotten, audit and session written.
    assert len(statements()) <= 6


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
    a_user(env, client.pool)
    for reset in ("success", "quiet", "nothing"):
        for _ in range(4):
            with pytest.raises(errors.NotAuthorized, match="Incorrect"):
                begin(env, client, password="wrong")
        if reset == "success":
            granting.tokens(env, begin(env, client))
        elif reset == "quiet":
            clock.forward(minutes=15)
    with pytest.raises(errors.NotAuthorized, match="Incorrect"):
        begin(env, client, password="wrong")
    with pytest.raises(errors.LockedOut):
        begin(env, client)


def test_guessing_in_parallel_gains_no_more_than_what_was_under_way(app: Flask, env: Env) -> None:
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
    assert 5 <= seen.count("Incorrect username or password.") <= 5 + 6
    with pytest.raises(errors.LockedOut):
        begin(env, client)


@pytest.mark.parametrize(
    ("status", "refusal"),
    [("UNCONFIRMED", errors.UserNotConfirmed), ("RESET_REQUIRED", errors.PasswordResetRequired)],
)
def test_an_honest_password_locks_nobody_whatever_else_he_is_told(
    env: Env, status: str, refusal: type[errors.Refusal]
) -> None:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool, status=status)
    for _ in range(7):
        with pytest.raises(refusal):
            begin(env, client)


def test_neither_does_that_of_a_user_who_is_disabled_or_whose_temporary_one_has_expired(env: Env, clock: Clock) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    user = a_user(env, client.pool)
    with env.transaction():
        env.db.get_one(User, user.sub).enabled = False
    passwords_of_bob = invite(env, client, "bob")
    clock.forward(days=8)
    for _ in range(7):
        with pytest.raises(errors.UserDisabled):
            begin(env, client)
        with pytest.raises(errors.TemporaryPasswordExpired):
            begin(env, client, "bob", passwords_of_bob)


def test_a_right_password_that_leads_to_a_question_takes_only_its_own_count_back(env: Env) -> None:
    """Whoever has the password, and not what is asked after it, cannot use it to forget his wrong guesses."""
    client = a_client(env, a_pool(env))
    password = invite(env, client, "alice")
    for _ in range(4):
        with pytest.raises(errors.NotAuthorized):
            begin(env, client, password="wrong")
    for _ in range(7):
        assert isinstance(begin(env, client, password=password), flow.Ask)
    with pytest.raises(errors.NotAuthorized, match="Incorrect"):
        begin(env, client, password="wrong")
    with pytest.raises(errors.LockedOut):
        begin(env, client, password=password)


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


def test_who_is_locked_is_told_that_before_he_is_told_that_he_is_disabled(env: Env, clock: Clock) -> None:
    """The order of reference 5."""
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    for _ in range(5):
        with pytest.raises(errors.NotAuthorized):
            begin(env, client, password="Wrong-horse-9")
    administer.disable(env, client.pool, username="alice")
    with pytest.raises(errors.LockedOut):
        begin(env, client)
    clock.forward(seconds=1)
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


def invite(env: Env, client: Any, who: str, **attributes: str) -> str:
    administer.create(
        env,
        client.pool,
        username=who,
        attributes={"email": f"{who}@example.com", "email_verified": "true", **attributes},
        temporary_password=PASSWORD,
        silent=True,
    )
    return PASSWORD


def invited(env: Env, **pool: Any) -> Any:
    client = a_client(env, a_pool(env, **pool))
    invite(env, client, "alice", **({"name": "A"} if pool else {}))
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
    with pytest.raises(errors.SessionUsed):
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


@pytest.mark.parametrize("pages", [True, False])
def test_a_sign_in_ends_at_the_door_at_which_it_began(env: Env, pages: bool) -> None:
    """The session of the pages is in a cookie that its browser can read. Answered by API it would give tokens of the
    API, which the client may not have."""
    client = invited(env)
    step = begin(env, client, by=plan.PAGES if pages else "USER_PASSWORD_AUTH")
    given = {"NEW_PASSWORD": NEW}

    def answer(pages: bool) -> Any:
        challenge, session, origin = step.challenge, step.handle, Origin()
        return flow.answer(env, client, challenge=challenge, session=session, given=given, origin=origin, pages=pages)

    with pytest.raises(errors.SessionInvalid, match="Invalid session for the user."):
        answer(not pages)
    assert isinstance(answer(pages), flow.Granted)


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


# -- devices, as far as the engine goes ------------------------------------------------------------------------

KEY = "us-east-1_11111111-2222-3333-4444-555555555555"
HOME, ABROAD = Origin(ip="192.0.2.1"), Origin(ip="203.0.113.9")


class Stub:
    """A step of a device that is met by whoever answers it."""

    NEEDS: tuple[str, ...] = ()
    GUESSABLE = False

    def __init__(self, name: str) -> None:
        self.NAME = name

    def ask(self, env: Env, sign_in: SignIn, given: Any) -> Asked:
        return Asked({"DEVICE_KEY": sign_in.device_key or ""})

    def answer(self, env: Env, sign_in: SignIn, given: Any) -> Proof:
        assert sign_in.user
        return Proof(sign_in.user, sign_in.password)


@pytest.fixture
def tracking(env: Env, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a pool that knows alice's device."""
    for name in flow.WITHOUT_SESSION:
        monkeypatch.setitem(flow.CHALLENGES, name, Stub(name))
    settings = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
    client = a_client(env, a_pool(env, device_configuration=settings))
    user = a_user(env, client.pool)
    now = env.now()
    row = Device(
        key=KEY,
        user_sub=user.sub,
        group_key="-group",
        salt="00",
        verifier="",
        remembered=True,
        trusted=True,
        last_ip="",
        created_at=now,
        modified_at=now,
        authenticated_at=now,
    )
    with env.transaction():
        env.db.add(row)
    return client


def with_device(env: Env, client: Any, key: str | None = KEY, origin: Origin = HOME) -> Any:
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD, **({"DEVICE_KEY": key} if key else {})}
    return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=origin)


def device_answers(
    env: Env, client: Any, session: str | None, origin: Origin = HOME, challenge: str = "DEVICE_SRP_AUTH", **given: str
) -> Any:
    given = {"USERNAME": "alice", "DEVICE_KEY": KEY, **given}
    return flow.answer(env, client, challenge=challenge, session=session, given=given, origin=origin)


@pytest.mark.parametrize("brought", ["its session", "none", "one that is used up"])
def test_a_device_is_found_by_what_waits_for_it(env: Env, tracking: Any, brought: str) -> None:
    """Some of Cognito's own clients bring no session with the device's answers, some the one before."""
    used = with_device(env, tracking).handle
    before = device_answers(env, tracking, used)
    granting.tokens(env, device_answers(env, tracking, before.handle, challenge=before.challenge))
    step = with_device(env, tracking)
    assert step.challenge == "DEVICE_SRP_AUTH"
    session = {"its session": step.handle, "none": None, "one that is used up": used}[brought]
    step = device_answers(env, tracking, session)
    assert step.challenge == "DEVICE_PASSWORD_VERIFIER"
    session = {"its session": step.handle, "none": None, "one that is used up": used}[brought]
    granted = device_answers(env, tracking, session, challenge="DEVICE_PASSWORD_VERIFIER", USERNAME="alice@example.com")
    assert granted.proven == ("PASSWORD", "DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER")
    granting.tokens(env, granted)
    with pytest.raises(errors.SessionInvalid):
        device_answers(env, tracking, None, challenge="DEVICE_PASSWORD_VERIFIER")


@pytest.mark.parametrize(
    "other",
    [
        {"USERNAME": "bob"},
        {"USERNAME": "nobody"},
        {"DEVICE_KEY": "us-east-1_99999999-2222-3333-4444-555555555555"},
        {"origin": ABROAD},
        {"challenge": "DEVICE_PASSWORD_VERIFIER"},
    ],
)
def test_without_its_session_all_else_must_fit(env: Env, tracking: Any, other: dict[str, Any]) -> None:
    a_user(env, tracking.pool, "bob", email=None)
    with_device(env, tracking)
    with pytest.raises(errors.SessionInvalid):
        device_answers(env, tracking, None, **other)
    assert device_answers(env, tracking, None).challenge == "DEVICE_PASSWORD_VERIFIER"


def test_nor_is_it_found_for_another_client_or_after_its_time(env: Env, tracking: Any, clock: Clock) -> None:
    with_device(env, tracking)
    with pytest.raises(errors.SessionInvalid):
        device_answers(env, a_client(env, tracking.pool), None)
    for missing in ("USERNAME", "DEVICE_KEY"):
        with pytest.raises(errors.InvalidParameter, match=f"Missing required parameter {missing}"):
            device_answers(env, tracking, None, **{missing: ""})
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionInvalid):
        device_answers(env, tracking, None)


def test_a_device_may_be_named_with_a_later_step(env: Env, tracking: Any) -> None:
    """By SRP, some clients name it with the second."""
    device = Srp(tracking, "alice")
    step = flow.begin(env, tracking, flow="USER_SRP_AUTH", given=device.first(), origin=HOME)
    assert isinstance(step, flow.Ask)
    given = {**device.second(step.params, env.now()), "DEVICE_KEY": KEY}
    step = flow.answer(env, tracking, challenge="PASSWORD_VERIFIER", session=None, given=given, origin=HOME)
    assert isinstance(step, flow.Ask) and step.challenge == "DEVICE_SRP_AUTH"


def test_a_device_that_was_forgotten_uses_up_nothing_and_locks_nobody(env: Env, tracking: Any) -> None:
    """Clients look for this sentence, forget the key, and send the same answer again without it."""
    device = Srp(tracking, "alice")
    step = flow.begin(env, tracking, flow="USER_SRP_AUTH", given=device.first(), origin=HOME)
    assert isinstance(step, flow.Ask)
    given = device.second(step.params, env.now())
    for key in [KEY[:-1] + "0"] * 7 + ["x" * 56, "a\0b"]:
        with pytest.raises(errors.ResourceNotFound, match="^Device does not exist.$"):
            again = {**given, "DEVICE_KEY": key}
            flow.answer(env, tracking, challenge="PASSWORD_VERIFIER", session=None, given=again, origin=HOME)
    granted = flow.answer(env, tracking, challenge="PASSWORD_VERIFIER", session=None, given=given, origin=HOME)
    granting.tokens(env, granted)


def test_whoever_does_not_know_the_password_learns_nothing_of_devices(env: Env, tracking: Any) -> None:
    for key in (KEY, KEY[:-1] + "0"):
        given = {"USERNAME": "alice", "PASSWORD": "wrong", "DEVICE_KEY": key}
        with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
            flow.begin(env, tracking, flow="USER_PASSWORD_AUTH", given=given, origin=HOME)


def test_another_users_device_is_unknown(env: Env, tracking: Any) -> None:
    a_user(env, tracking.pool, "bob", email=None)
    given = {"USERNAME": "bob", "PASSWORD": PASSWORD, "DEVICE_KEY": KEY}
    with pytest.raises(errors.ResourceNotFound):
        flow.begin(env, tracking, flow="USER_PASSWORD_AUTH", given=given, origin=HOME)


# -- whose answer it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bob", "nobody", "bob@example.com", "\0"])
def test_an_answer_that_names_somebody_else_is_not_meant_for_this_session(env: Env, name: str) -> None:
    client = invited(env)
    a_user(env, client.pool, "bob", email="bob@example.com")
    step = begin(env, client)
    with pytest.raises(errors.SessionInvalid, match="^Invalid session for the user.$"):
        respond(env, client, step, USERNAME=name, NEW_PASSWORD=NEW)
    granting.tokens(env, respond(env, client, step, USERNAME="Alice@Example.com", NEW_PASSWORD=NEW))


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_nor_is_a_block_answered_in_another_name(env: Env, name: str) -> None:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    a_user(env, client.pool)
    a_user(env, client.pool, "bob", email=None)
    device = Srp(client, "alice")
    step = flow.begin(env, client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())
    assert isinstance(step, flow.Ask)
    given = device.second(step.params, env.now())
    with pytest.raises(errors.SessionInvalid):
        flow.answer(
            env,
            client,
            challenge="PASSWORD_VERIFIER",
            session=None,
            given={**given, "USERNAME": name},
            origin=Origin(),
        )
    granting.tokens(
        env, flow.answer(env, client, challenge="PASSWORD_VERIFIER", session=None, given=given, origin=Origin())
    )
