"""Asking the customer's code: a typed question, a typed verdict.

Owns which trigger a pool has, and what is said when it refuses, fails or talks nonsense (reference: 9.1). How the
question gets there is for `env.triggers`; what follows from the verdict, for whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from app import errors
from app.env import Env
from app.models import Pool
from app.models.pool import TRIGGERS
from app.triggers import events

DEFINE = "define_auth_challenge"
CREATE = "create_auth_challenge"
VERIFY = "verify_auth_challenge_response"
NOT_CONFIGURED = "Custom auth lambda trigger is not configured for the user pool."


class _Verdict(Protocol):
    def sound(self) -> bool: ...


V = TypeVar("V", bound=_Verdict)


class Functions:
    """An `env.triggers` that calls functions of this process: each takes the question of its trigger and returns the
    verdict. What one raises is the customer's no."""

    def __init__(self, functions: Mapping[str, Callable[..., object]] | None = None) -> None:
        self._functions = dict(functions or {})

    def __call__(self, trigger: str, arn: str, question: object) -> object:
        """Raises errors.UnexpectedLambda for a trigger that nobody stands in for."""
        function = self._functions.get(trigger)
        if function is None:
            raise errors.UnexpectedLambda(f"{TRIGGERS[trigger]} invocation failed due to error TriggersNotAvailable.")
        return function(question)


def define_auth_challenge(env: Env, pool: Pool, question: events.DefineAuthChallenge) -> events.Defined:
    """Raises what all of these do: errors.InvalidParameter (not configured), UserLambdaValidation (it refused),
    UnexpectedLambda (it could not be asked), InvalidLambdaResponse (nonsense)."""
    return _asked(env, pool, DEFINE, question, events.Defined)


def create_auth_challenge(env: Env, pool: Pool, question: events.CreateAuthChallenge) -> events.Created:
    return _asked(env, pool, CREATE, question, events.Created)


def verify_auth_challenge_response(
    env: Env, pool: Pool, question: events.VerifyAuthChallengeResponse
) -> events.Verified:
    return _asked(env, pool, VERIFY, question, events.Verified)


def demand(pool: Pool, trigger: str) -> str:
    """Where the pool has it (its ARN). Raises errors.InvalidParameter where it has none."""
    arn = (pool.settings.get("lambda_config") or {}).get(trigger)
    if not arn:
        raise errors.InvalidParameter(NOT_CONFIGURED)
    return str(arn)


def _asked(env: Env, pool: Pool, trigger: str, question: object, verdict: type[V]) -> V:
    arn = demand(pool, trigger)
    env.nothing_open("ask a trigger")
    try:
        found = env.triggers(trigger, arn, question)
    except (errors.UnexpectedLambda, errors.InvalidLambdaResponse):
        raise
    except Exception as failed:
        raise errors.UserLambdaValidation(f"{TRIGGERS[trigger]} failed with error {failed}.") from failed
    # Somebody else's code: what is not of the type that it should be would be believed somewhere further on.
    if not isinstance(found, verdict) or not found.sound():
        raise errors.InvalidLambdaResponse
    return found
