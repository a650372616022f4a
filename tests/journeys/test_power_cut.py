"""The power is cut right after an answer: what it has acknowledged is still true when the server runs again.

The server is a real one, which loses all that it has not synced (tests/power_cut.py).
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.config import Settings
from tests.journeys.conftest import RunningServer, prepared
from tests.journeys.test_sign_ups import PASSWORD, call, sign_up, word
from tests.power_cut import Powered, powered

pytestmark = pytest.mark.slow

WHERE = Path("srv", "cognate")
"""The data directory, in one that `migrate` makes as well."""


@pytest.fixture
def disk(tmp_path: Path) -> Powered:
    return powered(tmp_path)


@dataclass(frozen=True)
class Acknowledged:
    """Something that was done, and the request that would do it, or undo it, once more."""

    what: str
    operation: str
    members: dict[str, Any]


Told = Callable[..., dict[str, str]]


@pytest.fixture
def told_after_power_cuts(disk: Powered, tmp_path: Path, another_app: Callable[..., Flask]) -> Told:
    """By what was done on a server with these variables: what whoever does it once more is told, after the power was
    cut behind the first answer."""

    def find(**variables: str) -> dict[str, str]:
        server = installed(disk)
        server.start()
        try:
            reset, revoked = a_reset_and_a_token(server)
        finally:
            assert server.stop() == 0
        server.environ |= variables
        told = {}
        server.start()
        try:
            for number, done in enumerate(acknowledge(server, reset, revoked)):
                left = disk.left_by_a_cut(tmp_path / f"left-{number}") / WHERE
                again = another_app(Settings(mode="development", data_dir=left))
                told[done.what] = ask(again, server, done)
        finally:
            server.kill()
        return told

    return find


def installed(disk: Powered) -> RunningServer:
    """A server with the demo, which has been made on this disk too."""
    server = prepared(disk.directory / WHERE, None)
    server.environ |= {**disk.environ, "COGNATE_ARGON2_MEMORY_KIB": "64", "COGNATE_ARGON2_TIME": "1"}
    subprocess.run([*server.command, "--seed-only"], env=server.environ, check=True, capture_output=True)
    return server


def a_reset_and_a_token(server: RunningServer) -> tuple[dict[str, str], str]:
    """Members that reset a password, and a refresh token."""
    user = server.demo["user"]
    assert word(call(server, "ForgotPassword", Username=user["username"])) == "done"
    code = server.messages(user["email"])[0]["code"]
    signed_in = call(
        server,
        "InitiateAuth",
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )
    reset = {"Username": user["username"], "ConfirmationCode": code, "Password": PASSWORD}
    return reset, signed_in.json()["AuthenticationResult"]["RefreshToken"]


def acknowledge(server: RunningServer, reset: dict[str, str], token: str) -> Iterator[Acknowledged]:
    """Each is given out as soon as the server has answered that it was done."""
    assert word(call(server, "RevokeToken", Token=token)) == "done"
    refresh = {"AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": {"REFRESH_TOKEN": token}}
    yield Acknowledged("a revocation", "InitiateAuth", refresh)

    assert word(call(server, "ConfirmForgotPassword", **reset)) == "done"
    yield Acknowledged("a used code", "ConfirmForgotPassword", reset)

    assert word(sign_up(server, "zoe", "zoe@example.com")) == "done"
    zoe = {"Username": "zoe", "Password": PASSWORD, "UserAttributes": [{"Name": "email", "Value": "zoe@example.com"}]}
    yield Acknowledged("a sign-up", "SignUp", zoe)


def ask(again: Flask, server: RunningServer, done: Acknowledged) -> str:
    answer = again.test_client().post(
        "/",
        json={"ClientId": server.demo["clients"]["spa"]["client_id"], **done.members},
        headers={"X-Amz-Target": f"AWSCognitoIdentityProviderService.{done.operation}"},
        content_type="application/x-amz-json-1.1",
    )
    return "done" if answer.status_code == 200 else str(json.loads(answer.data)["__type"])


def test_what_was_acknowledged_outlives_a_power_cut(told_after_power_cuts: Told) -> None:
    assert told_after_power_cuts() == {
        "a revocation": "NotAuthorizedException",
        "a used code": "CodeMismatchException",  # as of a wrong one: the client does not tell who has a code
        "a sign-up": "UsernameExistsException",
    }


def test_a_power_cut_undoes_what_normal_has_acknowledged(told_after_power_cuts: Told) -> None:
    """What the setting says it risks; and were nothing lost here, the test above could not fail."""
    told = told_after_power_cuts(COGNATE_SQLITE_SYNCHRONOUS="normal")
    assert told == {"a revocation": "done", "a used code": "done", "a sign-up": "done"}
