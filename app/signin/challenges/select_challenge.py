"""The choice between first factors (reference: 5.5)."""

from __future__ import annotations

from collections.abc import Mapping

from app import errors
from app.env import Env
from app.signin.state import Asked, Chosen, SignIn

NAME = "SELECT_CHALLENGE"
NEEDS = ("ANSWER",)
GUESSABLE = False
AVAILABLE = "available"
"""Note: what there is to choose from. It is told at the top of the answer, and not among the parameters."""


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    return Asked({})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Chosen:
    """Raises errors.InvalidParameter for what was not offered."""
    available = sign_in.notes[AVAILABLE]
    if given["ANSWER"] not in available:
        raise errors.InvalidParameter(f"ANSWER must be one of {', '.join(available)}.")
    return Chosen(given["ANSWER"])
