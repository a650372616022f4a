"""The customer's code: asked in types, believed in types only."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app import errors, triggers
from app.config import Settings
from app.env import Env
from app.models import Pool
from app.triggers import Functions, events
from tests.build import a_pool

ARN = "arn:aws:lambda:us-east-1:123456789012:function:challenge"
WHO = events.Person("us-east-1_A", "client", "alice", {"sub": "1"}, found=True)
DEFINE = events.DefineAuthChallenge(WHO, (), {})
CREATE = events.CreateAuthChallenge(WHO, "CUSTOM_CHALLENGE", (), {})
VERIFY = events.VerifyAuthChallengeResponse(WHO, {}, "42", {})

ASKED: list[tuple[str, Callable[..., Any], Any]] = [
    (triggers.DEFINE, triggers.define_auth_challenge, DEFINE),
    (triggers.CREATE, triggers.create_auth_challenge, CREATE),
    (triggers.VERIFY, triggers.verify_auth_challenge_response, VERIFY),
]
each = pytest.mark.parametrize(("name", "ask", "question"), ASKED)


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256", lambda_config={name: ARN for name, _, _ in ASKED})


def standing_in(env: Env, **functions: Callable[..., object]) -> Env:
    return replace(env, triggers=Functions(functions))


@pytest.mark.parametrize(
    ("name", "ask", "question", "verdict"),
    [
        (*ASKED[0], events.Defined("CUSTOM_CHALLENGE")),
        (*ASKED[1], events.Created({"hint": "6 x 7"}, {"answer": "42"}, "first")),
        (*ASKED[2], events.Verified(True)),
    ],
)
def test_a_function_is_asked_the_question_and_its_verdict_comes_back(
    env: Env, pool: Pool, name: str, ask: Any, question: Any, verdict: Any
) -> None:
    seen: list[object] = []

    def function(asked: object) -> object:
        seen.append(asked)
        return verdict

    assert ask(standing_in(env, **{name: function}), pool, question) == verdict
    assert seen == [question]


@each
def test_a_trigger_that_the_pool_does_not_have_is_not_configured(env: Env, name: str, ask: Any, question: Any) -> None:
    pool = a_pool(env, algorithm="ES256")
    with pytest.raises(
        errors.InvalidParameter, match="^Custom auth lambda trigger is not configured for the user pool"
    ):
        ask(standing_in(env, **{name: lambda asked: None}), pool, question)


@each
def test_one_that_nobody_can_reach_says_so(env: Env, pool: Pool, name: str, ask: Any, question: Any) -> None:
    called = "".join(word.capitalize() for word in name.split("_"))
    with pytest.raises(errors.UnexpectedLambda) as refused:
        ask(env, pool, question)
    assert refused.value.message == f"{called} invocation failed due to error TriggersNotAvailable."


@each
def test_what_it_raises_is_the_customers_no(env: Env, pool: Pool, name: str, ask: Any, question: Any) -> None:
    def function(asked: object) -> object:
        raise ValueError("not on a Sunday")

    called = "".join(word.capitalize() for word in name.split("_"))
    with pytest.raises(errors.UserLambdaValidation) as refused:
        ask(standing_in(env, **{name: function}), pool, question)
    assert refused.value.message == f"{called} failed with error not on a Sunday."


def test_it_cannot_pretend_to_be_a_refusal_of_ours(env: Env, pool: Pool) -> None:
    def function(asked: object) -> object:
        raise errors.PasswordResetRequired

    with pytest.raises(errors.UserLambdaValidation):
        triggers.define_auth_challenge(standing_in(env, define_auth_challenge=function), pool, DEFINE)


@pytest.mark.parametrize(
    ("which", "nonsense"),
    [
        (0, None),
        (0, {"issue_tokens": True}),
        (0, events.Verified(True)),
        (0, events.Defined(issue_tokens="false")),  # type: ignore[arg-type]
        (0, events.Defined(fail=0)),  # type: ignore[arg-type]
        (0, events.Defined(challenge=["CUSTOM_CHALLENGE"])),  # type: ignore[arg-type]
        (1, events.Created({"n": 42})),  # type: ignore[dict-item]
        (1, events.Created(private={"n": None})),  # type: ignore[dict-item]
        (1, events.Created([("n", "42")])),  # type: ignore[arg-type]
        (1, events.Created(metadata=7)),  # type: ignore[arg-type]
        (1, events.Created(metadata="a\0b")),
        (2, events.Verified("false")),  # type: ignore[arg-type]
        (2, True),
    ],
)
def test_what_is_not_of_the_type_that_it_should_be_is_not_believed(
    env: Env, pool: Pool, which: int, nonsense: object
) -> None:
    name, ask, question = ASKED[which]
    with pytest.raises(errors.InvalidLambdaResponse, match="^Unrecognizable lambda output$"):
        ask(standing_in(env, **{name: lambda asked: nonsense}), pool, question)


def test_nobody_is_asked_while_a_transaction_is_open(env: Env, pool: Pool) -> None:
    asking = standing_in(env, define_auth_challenge=lambda asked: events.Defined(fail=True))
    with pytest.raises(RuntimeError, match="cannot ask a trigger while a transaction is open"):
        with env.transaction():
            triggers.define_auth_challenge(asking, pool, DEFINE)


def test_an_application_is_made_with_whoever_stands_in(
    env: Env, pool: Pool, settings: Settings, another_app: Callable[..., Flask]
) -> None:
    """What will carry questions over the network takes this place."""
    carried: list[tuple[str, str, object]] = []

    def transport(trigger: str, arn: str, question: object) -> object:
        carried.append((trigger, arn, question))
        return events.Verified(True)

    app = another_app(settings, triggers=transport)
    with app.app_context():
        assert triggers.verify_auth_challenge_response(app.extensions["cognate"], pool, VERIFY).correct
    assert carried == [(triggers.VERIFY, ARN, VERIFY)]
