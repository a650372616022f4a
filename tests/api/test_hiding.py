"""Where a client hides who exists, nothing that anybody can ask tells it: not status, body or headers, not once and
not by asking often (PreventUserExistenceErrors; requirements: 54)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from app import errors
from app.accounts import codes, find, passwords, sign_up
from app.env import Env, Message
from app.messaging.outbox import Outbox
from app.models import Client, Password, Pool, User
from tests import build
from tests.api.conftest import Api, body
from tests.conftest import Clock

NEW = "Another-horse-8"
A = f"{2**2047:x}"
"""An SRP_A like any other."""

Answer = tuple[int, Any, Any]

PEOPLE: dict[str, dict[str, Any] | None] = {
    "nobody": None,
    "confirmed": {},
    "disabled": {"enabled": False},
    "unverified": {"email_verified": False},
    "invited": {"status": "FORCE_CHANGE_PASSWORD"},
    "reset": {"status": "RESET_REQUIRED"},
    "external": {"status": "EXTERNAL_PROVIDER"},
    "unconfirmed": {"status": "UNCONFIRMED", "email_verified": False},
    "unconfirmed and disabled": {"status": "UNCONFIRMED", "enabled": False},
    "without a password": {"password": None},
    "with a code to confirm": {"status": "UNCONFIRMED", "email_verified": False, "sent": "sign_up"},
    "with an old code to confirm": {"status": "UNCONFIRMED", "email_verified": False, "sent": "sign_up", "age": 25},
    "with a code for a password": {"sent": "forgot"},
    "with an old code for a password": {"sent": "forgot", "age": 2},
}
OPERATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "ForgotPassword": ({},),
    "ConfirmForgotPassword": ({"ConfirmationCode": "wrong!", "Password": NEW},),
    "ResendConfirmationCode": ({},),
    "ConfirmSignUp": ({"ConfirmationCode": "wrong!"},),
}


@pytest.fixture
def pool(env: Env) -> Pool:
    """The name is the address, so that there is nothing to invent, and answers can be compared word for word."""
    return build.a_pool(env, algorithm="ES256", alias_attributes=[], username_attributes=["email"])


@pytest.fixture
def discreet(env: Env, pool: Pool) -> Client:
    return build.a_client(env, pool, prevent_user_existence_errors="ENABLED")


@pytest.fixture
def names(env: Env, pool: Pool, clock: Clock, api: Api) -> dict[str, str]:
    """One name for each kind of person; all of them are masked alike."""
    found = {kind: f"a{number}@example.com" for number, kind in enumerate(PEOPLE)}
    asking = build.a_client(env, pool)
    for kind, name in found.items():
        given = PEOPLE[kind]
        if given is not None:
            _make(env, asking, name, dict(given))
    # The same for all: codes have the age that they are to have, and nobody's calls of before are counted any more.
    for kind, name in found.items():
        given = PEOPLE[kind] or {}
        if "age" in given:
            _send(env, asking, name, given["sent"])
    clock.forward(hours=25)
    for kind, name in found.items():
        given = PEOPLE[kind] or {}
        if "sent" in given and "age" not in given:
            _send(env, asking, name, given["sent"])
    clock.forward(minutes=1)
    return found


def _make(env: Env, client: Client, name: str, given: dict[str, Any]) -> None:
    user = build.a_user(env, client.pool, email=name)
    values = {key: value for key, value in given.items() if key in ("status", "enabled", "email_verified")}
    with env.transaction():
        if values:
            env.db.execute(update(User).where(User.sub == user.sub).values(values))
        if "password" in given:
            env.db.execute(delete(Password).where(Password.user_sub == user.sub))


def _send(env: Env, client: Client, name: str, what: str) -> None:
    user = find.existing(env, client.pool, name).user
    purpose = sign_up.PURPOSE if what == "sign_up" else passwords.PURPOSE
    with env.transaction():
        codes.send(env, client.pool, user, purpose=purpose, attribute="email", counted=False)


def asked(api: Api, client: Client, operation: str, name: str, members: dict[str, Any]) -> Answer:
    answer = api.answer(operation, ClientId=client.id, Username=name, **members)
    of_its_own = ("x-amzn-requestid", "x-request-id", "date")
    headers = {key: value for key, value in answer.headers.items() if key.lower() not in of_its_own}
    return answer.status_code, body(answer), headers


def only_one(answers: dict[str, Any]) -> Any:
    """What everybody was answered."""
    first = answers["nobody"]
    assert {kind: answer for kind, answer in answers.items() if answer != first} == {}
    return first


@pytest.mark.parametrize("operation", OPERATIONS)
def test_everybody_is_answered_alike_from_the_first_time_until_it_is_too_often(
    api: Api, discreet: Client, names: dict[str, str], operation: str
) -> None:
    (members,) = OPERATIONS[operation]
    seen = only_one(
        {kind: [asked(api, discreet, operation, name, members) for _ in range(22)] for kind, name in names.items()}
    )
    kinds = [said.get("__type") for _, said, _ in seen]
    allowed = {"ForgotPassword": 20, "ConfirmForgotPassword": 20, "ResendConfirmationCode": 5, "ConfirmSignUp": 15}
    first = "CodeMismatchException" if operation.startswith("Confirm") else None
    assert kinds == [first] * allowed[operation] + ["LimitExceededException"] * (22 - allowed[operation])


def test_nor_does_one_operation_tell_after_another(api: Api, discreet: Client, names: dict[str, str]) -> None:
    order = ["ConfirmForgotPassword", "ForgotPassword", "ConfirmForgotPassword", "ConfirmSignUp"]
    order += ["ResendConfirmationCode", "ConfirmSignUp"] * 5 + ["ConfirmForgotPassword"] * 6 + ["ForgotPassword"]
    only_one(
        {
            kind: [asked(api, discreet, operation, name, OPERATIONS[operation][0]) for operation in order]
            for kind, name in names.items()
        }
    )


def test_nor_does_a_wrong_password(api: Api, discreet: Client, names: dict[str, str]) -> None:
    def sign_in(name: str) -> list[Answer]:
        given = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"USERNAME": name, "PASSWORD": "wrong"}}
        return [_sign_in(api, discreet, given) for _ in range(7)]

    seen = only_one({kind: sign_in(name) for kind, name in names.items()})
    assert seen[0][1]["message"] == "Incorrect username or password."
    assert seen[6][1]["message"] == "Password attempts exceeded"


def test_nor_the_challenge_of_srp(api: Api, discreet: Client, names: dict[str, str]) -> None:
    def begin(name: str) -> Any:
        given = {"AuthFlow": "USER_SRP_AUTH", "AuthParameters": {"USERNAME": name, "SRP_A": A}}
        status, said, _ = _sign_in(api, discreet, given)
        again = _sign_in(api, discreet, given)[1]["ChallengeParameters"]
        shown = said["ChallengeParameters"]
        assert shown["SALT"] == again["SALT"] and shown["USERNAME"] == again["USERNAME"]
        return status, said["ChallengeName"], sorted(shown), len(shown["USERNAME"]), "Session" in said

    only_one({kind: begin(name) for kind, name in names.items()})


def _sign_in(api: Api, client: Client, given: dict[str, Any]) -> Answer:
    answer = api.answer("InitiateAuth", ClientId=client.id, **given)
    of_its_own = ("x-amzn-requestid", "x-request-id", "date")
    headers = {key: value for key, value in answer.headers.items() if key.lower() not in of_its_own}
    if answer.status_code == 200:
        headers.pop("Content-Length")
    return answer.status_code, body(answer), headers


def test_nor_a_mail_that_cannot_leave(
    api: Api, discreet: Client, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Outbox, message: Message) -> None:
        raise errors.CodeDeliveryFailure

    monkeypatch.setattr(Outbox, "send", fail)
    for operation in ("ForgotPassword", "ResendConfirmationCode"):
        said = only_one({kind: asked(api, discreet, operation, name, {}) for kind, name in names.items()})
        assert said[0] == 200


def test_messages_go_only_to_those_who_may_have_them(
    api: Api, discreet: Client, names: dict[str, str], sent: Callable[..., list[Any]]
) -> None:
    for name in names.values():
        api("ForgotPassword", ClientId=discreet.id, Username=name)
        api("ResendConfirmationCode", ClientId=discreet.id, Username=name)
    got = {kind: [message.purpose for message in sent(name)] for kind, name in names.items()}
    assert {kind for kind, found in got.items() if "forgot_password" in found} == {
        "confirmed",
        "reset",
        "without a password",
        "with a code for a password",
        "with an old code for a password",
    }
    assert {kind for kind, found in got.items() if "sign_up" in found} == {
        "unconfirmed",
        "with a code to confirm",
        "with an old code to confirm",
    }
    assert got["nobody"] == got["disabled"] == got["external"] == got["unconfirmed and disabled"] == []


@pytest.mark.parametrize("name", ["alice", "zoe"])
def test_in_a_pool_of_usernames_the_address_is_always_the_same(api: Api, env: Env, name: str) -> None:
    """Whatever is asked, in whatever state the user is, and however the name is spelled."""
    pool = build.a_pool(env, algorithm="ES256")
    client = build.a_client(env, pool, prevent_user_existence_errors="ENABLED")
    user = build.a_user(env, pool)
    seen = set()
    for values in ({}, {"enabled": False}, {"enabled": True, "email_verified": False}, {"status": "UNCONFIRMED"}):
        with env.transaction():
            if values:
                env.db.execute(update(User).where(User.sub == user.sub).values(values))
        for operation in ("ForgotPassword", "ResendConfirmationCode"):
            said = api(operation, ClientId=client.id, Username=name.upper() if values else name)
            seen.add(str(said))
    assert len(seen) == 1
