"""The customer's own challenges with amazon-cognito-identity-js and Amplify.

A server in this process, so that functions of this file can stand in for the customer's code.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app.config import Settings
from app.env import Env
from app.models import Client
from app.triggers import Functions, events
from tests import build
from tests.journeys.applications import Amplify, Boto3, IdentityJs, Install, JavaScript, Place, Refused
from tests.serving import serving

# A client does to one database what it does to the other: test_sdk and the tests of the use-cases have both.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

PASSWORD = build.PASSWORD
TRIES = 3


def define(question: events.DefineAuthChallenge) -> events.Defined:
    """The password, if the application begins with it; then a riddle, for which there are three tries."""
    last = question.session[-1] if question.session else None
    if last and last.challenge == "SRP_A":
        return events.Defined(challenge="PASSWORD_VERIFIER")
    if last and last.challenge == "PASSWORD_VERIFIER" and not last.correct:
        return events.Defined(fail=True)
    riddles = [one for one in question.session if one.challenge == "CUSTOM_CHALLENGE"]
    if riddles and riddles[-1].correct:
        return events.Defined(issue_tokens=True)
    return events.Defined(fail=True) if len(riddles) == TRIES else events.Defined(challenge="CUSTOM_CHALLENGE")


def create(question: events.CreateAuthChallenge) -> events.Created:
    return events.Created(public={"riddle": "What has keys and opens nothing?"}, private={"answer": "piano"})


def verify(question: events.VerifyAuthChallengeResponse) -> events.Verified:
    return events.Verified(correct=question.answer == question.private["answer"])


@dataclass(frozen=True)
class Riddles:
    """A server whose one pool asks a riddle, and Alice, who is in it."""

    env: Env
    client: Client
    place: Place


@pytest.fixture
def riddles(settings: Settings, another_app: Callable[..., Flask]) -> Iterator[Riddles]:
    functions = {
        "define_auth_challenge": define,
        "create_auth_challenge": create,
        "verify_auth_challenge_response": verify,
    }
    app = another_app(settings, triggers=Functions(functions))
    with app.app_context():
        env: Env = app.extensions["cognate"]
        arns = {name: f"arn:aws:lambda:us-east-1:123456789012:function:{name}" for name in functions}
        devices = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
        pool = build.a_pool(env, lambda_config=arns, device_configuration=devices)
        client = build.a_client(env, pool, explicit_auth_flows=["ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
        build.a_user(env, pool)
        with serving(app) as address:
            yield Riddles(env, client, Place(address, pool.id, client.id))


@pytest.fixture(params=[IdentityJs, Amplify], ids=["amazon-cognito-identity-js", "amplify"])
def alice(request: pytest.FixtureRequest, riddles: Riddles, install: Install) -> JavaScript:
    """What she has on her laptop."""
    kind: type[JavaScript] = request.param
    return install(kind, riddles.place)


def begin(alice: JavaScript, **more: Any) -> dict[str, Any]:
    return alice.step("signIn", username="alice", flow="CUSTOM_AUTH", **more)


def test_somebody_without_a_password_answers_a_riddle(alice: JavaScript) -> None:
    step = begin(alice)
    assert step["asked"] == "CUSTOM_CHALLENGE"
    about = step["about"].get("additionalInfo", step["about"])
    assert (about["riddle"], about["USERNAME"]) == ("What has keys and opens nothing?", "alice")
    assert "answer" not in about
    assert alice.answer("CUSTOM_CHALLENGE", "a map") == "CUSTOM_CHALLENGE"
    assert alice.answer("CUSTOM_CHALLENGE", "piano") is None
    assert alice.profile()["email"] == "alice@example.com"
    assert alice.refresh()


def test_the_customer_decides_how_often_one_may_guess(alice: JavaScript) -> None:
    begin(alice)
    for _ in range(TRIES - 1):
        assert alice.answer("CUSTOM_CHALLENGE", "a map") == "CUSTOM_CHALLENGE"
    with pytest.raises(Refused) as refused:
        alice.answer("CUSTOM_CHALLENGE", "a map")
    assert (refused.value.name, refused.value.message) == ("NotAuthorizedException", "Incorrect username or password.")


def test_the_password_comes_first_where_the_application_begins_with_it(alice: JavaScript) -> None:
    with pytest.raises(Refused) as refused:
        begin(alice, password="Wrong-horse-7")
    assert refused.value.name == "NotAuthorizedException"
    assert begin(alice, password=PASSWORD)["asked"] == "CUSTOM_CHALLENGE"
    assert alice.answer("CUSTOM_CHALLENGE", "piano") is None
    assert alice.profile()["email"] == "alice@example.com"


@pytest.mark.parametrize("password", [{}, {"password": PASSWORD}], ids=["without SRP", "with SRP"])
def test_a_device_comes_back(alice: JavaScript, password: dict[str, str]) -> None:
    begin(alice, **password)
    assert alice.answer("CUSTOM_CHALLENGE", "piano") is None
    key = alice.device_key()
    assert key
    alice.sign_out()
    assert begin(alice, **password)["asked"] == "CUSTOM_CHALLENGE"
    assert alice.answer("CUSTOM_CHALLENGE", "piano") is None
    assert (alice.device_key(), alice.devices()) == (key, [key])


def test_amplify_does_without_a_device_that_was_forgotten(riddles: Riddles, install: Install) -> None:
    alice = install(Amplify, riddles.place)
    begin(alice)
    assert alice.answer("CUSTOM_CHALLENGE", "piano") is None
    key, access = alice.device_key(), alice.tokens()["access"]
    assert key
    install(Boto3, riddles.place).api.forget_device(AccessToken=access, DeviceKey=key)
    alice.sign_out()
    assert begin(alice)["asked"] == "CUSTOM_CHALLENGE"
    assert alice.answer("CUSTOM_CHALLENGE", "piano") is None
    assert alice.device_key() not in (None, key)
