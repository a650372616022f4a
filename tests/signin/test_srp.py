"""Signing in by SRP, with the client side done by a published library."""

import base64
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from pycognito.aws_srp import AWSSRP
from sqlalchemy import update

from app import errors
from app.accounts import find, passwords
from app.crypto import base64url
from app.env import Env, Origin
from app.models import Password
from app.signin import flow, granting, srp_exchange
from app.signin.srp_exchange import Exchange
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock


class Device:
    """The client: pycognito's arithmetic, without its network."""

    def __init__(self, client: Any, username: str, password: str = PASSWORD) -> None:
        self.username = username
        self.srp = AWSSRP(
            username=username, password=password, pool_id=client.pool_id, client_id=client.id, client=object()
        )

    def first(self) -> dict[str, str]:
        return {"USERNAME": self.username, "SRP_A": f"{self.srp.large_a_value:x}"}

    def second(self, params: Any, now: datetime) -> dict[str, str]:
        answer = dict(self.srp.process_challenge(dict(params), {"USERNAME": params["USERNAME"]}))
        # Signed for the test's clock and not for this machine's: sign again what the library signed.
        stamp = f"{now:%a %b} {now.day} {now:%H:%M:%S} UTC {now.year}"
        return answer | {"TIMESTAMP": stamp, "PASSWORD_CLAIM_SIGNATURE": self._signed(params, stamp)}

    def _signed(self, params: Any, stamp: str) -> str:
        import hashlib
        import hmac

        key = self.srp.get_password_authentication_key(
            params["USER_ID_FOR_SRP"], self.srp.password, int(params["SRP_B"], 16), params["SALT"]
        )
        message = (
            self.srp.pool_id.split("_")[1].encode()
            + params["USER_ID_FOR_SRP"].encode()
            + base64.standard_b64decode(params["SECRET_BLOCK"])
            + stamp.encode()
        )
        return base64.standard_b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def ask(env: Env, client: Any, device: Device) -> flow.Ask:
    step = flow.begin(env, client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())
    assert isinstance(step, flow.Ask)
    return step


def reply(env: Env, client: Any, given: dict[str, str]) -> Any:
    return flow.answer(env, client, challenge="PASSWORD_VERIFIER", session=None, given=given, origin=Origin())


@pytest.fixture
def client(env: Env) -> Any:
    client = a_client(env, a_pool(env), prevent_user_existence_errors="ENABLED")
    a_user(env, client.pool)
    return client


@pytest.mark.parametrize("name", ["alice", "alice@example.com", "ALICE"])
@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_the_password_is_proven_without_travelling(env: Env, client: Any, clock: Clock, name: str, hides: str) -> None:
    client = a_client(env, client.pool, prevent_user_existence_errors=hides)
    device = Device(client, name)
    step = ask(env, client, device)
    alice = find.existing(env, client.pool, "alice").user
    assert step.params["USER_ID_FOR_SRP"] == (alice.sub if hides == "ENABLED" else "alice")
    assert step.handle is None
    tokens = granting.tokens(env, reply(env, client, device.second(step.params, clock())))
    assert tokens.refresh


def test_it_costs_few_statements(env: Env, client: Any, clock: Clock, statements: Callable[[], list[str]]) -> None:
    for _ in range(2):
        statements()
        device = Device(client, "alice")
        step = ask(env, client, device)
        granting.tokens(env, reply(env, client, device.second(step.params, clock())))
    # Two for the first step; then looked up, counted, looked at again, answer spent, counts forgotten, session written,
    # and a row of the audit.
    assert len(statements()) <= 9


def test_a_wrong_password_is_refused_and_counted(env: Env, client: Any, clock: Clock) -> None:
    for n in range(6):
        device = Device(client, "alice", "wrong")
        with pytest.raises(errors.NotAuthorized) as refused:
            step = ask(env, client, device)
            reply(env, client, device.second(step.params, clock()))
        assert isinstance(refused.value, errors.LockedOut) is (n == 5)


def test_an_answer_is_accepted_once(app: Flask, env: Env, client: Any, clock: Clock) -> None:
    device = Device(client, "alice")
    given = device.second(ask(env, client, device).params, clock())

    def send(n: int) -> bool:
        with app.app_context():
            try:
                granting.tokens(env, reply(env, client, given))
            except errors.SessionUsed:
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(send, range(6))) == 1


def test_an_unknown_name_walks_the_same_steps(env: Env, client: Any, clock: Clock) -> None:
    for name in ("nobody", "nobody@example.com"):
        seen = [ask(env, client, Device(client, name)).params for _ in range(2)]
        known = ask(env, client, Device(client, "alice")).params
        assert seen[0].keys() == known.keys()
        for stable in ("SALT", "USERNAME", "USER_ID_FOR_SRP"):
            assert seen[0][stable] == seen[1][stable]
        assert seen[0]["SRP_B"] != seen[1]["SRP_B"]
        assert len(seen[0]["SALT"]) == len(known["SALT"])
        assert seen[0]["SALT"] != known["SALT"]
        device = Device(client, name)
        step = ask(env, client, device)
        with pytest.raises(errors.NotAuthorized, match="Incorrect username or password."):
            reply(env, client, device.second(step.params, clock()))


@pytest.mark.parametrize("by_address", [False, True], ids=["usernames", "addresses"])
def test_asking_again_by_the_name_that_was_told_does_not_tell_who_exists(
    env: Env, clock: Clock, by_address: bool
) -> None:
    """An alias is answered with a name. A user has that one too, with the same salt and the same lock; and so must
    those who are nobody."""
    names = {"alias_attributes": [], "username_attributes": ["email"]} if by_address else {}
    pool = a_pool(env, algorithm="ES256", **names)
    client = a_client(env, pool, prevent_user_existence_errors="ENABLED")
    a_user(env, pool)
    for name in ("alice@example.com", "nobody@example.com", *(() if by_address else ("alice", "ALICE", "zoe", "ZOE"))):
        first = ask(env, client, Device(client, name)).params
        again = ask(env, client, Device(client, first["USERNAME"])).params
        other = ask(env, client, Device(client, first["USERNAME"].upper())).params
        for stable in ("USERNAME", "USER_ID_FOR_SRP", "SALT"):
            assert again[stable] == first[stable]
            assert (other[stable] == first[stable]) is by_address
        assert passwords.forgot(env, client, username=name, origin=Origin()) == passwords.forgot(
            env, client, username=first["USERNAME"], origin=Origin()
        )
        for _ in range(5):
            with pytest.raises(errors.NotAuthorized):
                device = Device(client, name, "wrong")
                reply(env, client, device.second(ask(env, client, device).params, env.now()))
        with pytest.raises(errors.LockedOut):
            ask(env, client, Device(client, first["USERNAME"]))
        clock.forward(minutes=31)


def test_an_old_verifier_works_and_gives_way_to_one_that_hides(env: Env, client: Any, clock: Clock) -> None:
    """A password that was set by a version before has a verifier by the username only."""
    alice = find.existing(env, client.pool, "alice").user
    with env.transaction():
        env.db.execute(update(Password).where(Password.user_sub == alice.sub).values(srp_sub_verifier=None))
    device = Device(client, "alice@example.com")
    step = ask(env, client, device)
    assert step.params["USERNAME"] == "alice"
    granting.tokens(env, reply(env, client, device.second(step.params, clock())))
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    granting.tokens(env, flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin()))  # type: ignore[arg-type]
    device = Device(client, "alice@example.com")
    step = ask(env, client, device)
    assert step.params["USERNAME"] == alice.sub
    granting.tokens(env, reply(env, client, device.second(step.params, clock())))


def test_the_size_of_the_block_does_not_tell_who_exists(env: Env, client: Any) -> None:
    """To the byte: whoever asks often enough sees the difference of one."""

    def size(name: str) -> int:
        given = {"USERNAME": name, "SRP_A": f"{2**2047:x}"}
        step = flow.begin(env, client, flow="USER_SRP_AUTH", given=given, origin=Origin())
        assert isinstance(step, flow.Ask)
        sealed = base64.b64decode(step.params["SECRET_BLOCK"]).decode("ascii").rpartition(".")[2]
        # A number that has zeros in front is written shorter.
        return len(base64url.decode(sealed)) - len(step.params["SRP_B"])

    assert size("alice") == size("nobod")


def test_a_block_in_other_letters_is_none(env: Env) -> None:
    """Base64 has spare bits at its end. Each spelling of one block would be good for one more use of the answer."""
    about, padded = "a block", 0
    for length in range(6):
        text = srp_exchange.sealed(env, Exchange("b" * length, "a", "c"), about=about)
        assert srp_exchange.opened(env, {"PASSWORD_CLAIM_SECRET_BLOCK": text}, about=about)["a_public"] == "a"
        letters, padding = text.rstrip("="), text.count("=")
        spellings = [letters[:-1] + last + "=" * padding for last in string.ascii_letters + string.digits + "+/"]
        others = [one for one in spellings if one != text and base64.b64decode(one) == base64.b64decode(text)]
        assert bool(others) is bool(padding)
        padded += bool(padding)
        for other in others:
            with pytest.raises(errors.SessionInvalid):
                srp_exchange.opened(env, {"PASSWORD_CLAIM_SECRET_BLOCK": other}, about=about)
    assert padded


def test_a_client_that_may_know_is_told_at_the_first_step(env: Env) -> None:
    client = a_client(env, a_pool(env))
    with pytest.raises(errors.UserNotFound, match="User does not exist."):
        ask(env, client, Device(client, "nobody"))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"PASSWORD_CLAIM_SECRET_BLOCK": base64.b64encode(b"v1.00000000.AAAA").decode()}, errors.SessionInvalid),
        ({"PASSWORD_CLAIM_SECRET_BLOCK": "%%%"}, errors.SessionInvalid),
        ({"PASSWORD_CLAIM_SECRET_BLOCK": ""}, errors.InvalidParameter),
        ({"PASSWORD_CLAIM_SIGNATURE": "AAAA"}, errors.NotAuthorized),
        ({"PASSWORD_CLAIM_SIGNATURE": "é"}, errors.NotAuthorized),
        ({"TIMESTAMP": "yesterday"}, errors.NotAuthorized),
        ({"TIMESTAMP": "Sun Mar 1 11:54:59 UTC 2026"}, errors.NotAuthorized),
    ],
)
def test_a_tampered_answer_is_refused(
    env: Env, client: Any, clock: Clock, change: dict[str, str], refusal: type[errors.Refusal]
) -> None:
    device = Device(client, "alice")
    given = device.second(ask(env, client, device).params, clock())
    with pytest.raises(refusal):
        reply(env, client, given | change)
    granting.tokens(env, reply(env, client, given))


@pytest.mark.parametrize("value", ["0", "zz", "", f"{flow.password_srp.srp.N:x}", "f" * 2000])
def test_a_public_value_that_fixes_the_key_is_refused(env: Env, client: Any, value: str) -> None:
    with pytest.raises(errors.InvalidParameter):
        flow.begin(env, client, flow="USER_SRP_AUTH", given={"USERNAME": "alice", "SRP_A": value}, origin=Origin())


def test_a_block_is_of_one_client_and_three_minutes(env: Env, client: Any, clock: Clock) -> None:
    device = Device(client, "alice")
    given = device.second(ask(env, client, device).params, clock())
    with pytest.raises(errors.SessionInvalid):
        reply(env, a_client(env, client.pool), given)
    clock.forward(minutes=3)
    with pytest.raises(errors.SessionExpired):
        reply(env, client, given)


def test_a_password_changed_between_the_steps_stops_it(env: Env, client: Any, clock: Clock) -> None:
    device = Device(client, "alice")
    given = device.second(ask(env, client, device).params, clock())
    passwords.set_by_administrator(env, client.pool, username="alice", password="Another-horse-8", permanent=True)
    with pytest.raises(errors.NotAuthorized):
        reply(env, client, given)


def test_the_verifier_follows_every_way_to_set_a_password(env: Env, client: Any, clock: Clock) -> None:
    passwords.set_by_administrator(env, client.pool, username="alice", password="Another-horse-8", permanent=False)
    device = Device(client, "alice", "Another-horse-8")
    step = reply(env, client, device.second(ask(env, client, device).params, clock()))
    assert step.challenge == "NEW_PASSWORD_REQUIRED"
    granted = flow.answer(
        env,
        client,
        challenge=step.challenge,
        session=step.handle,
        given={"USERNAME": "alice", "NEW_PASSWORD": "Third-horse-9"},
        origin=Origin(),
    )
    assert isinstance(granted, flow.Granted)
    granting.tokens(env, granted)
    device = Device(client, "alice", "Third-horse-9")
    granting.tokens(env, reply(env, client, device.second(ask(env, client, device).params, clock())))
