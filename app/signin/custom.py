"""CUSTOM_AUTH: the customer's DefineAuthChallenge says what comes next (reference: 5.3).

It is told what has been answered so far, and asked once per answer, so that one which always says "again" goes round
once per request. Nothing that it says can stand for what the machine demands of everybody: a user who exists, is
enabled and confirmed, and, once he has given his password, the second factor that his pool asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import errors, triggers
from app.env import Env
from app.signin import srp_exchange
from app.signin.challenges import custom_challenge, password_srp
from app.signin.state import SignIn
from app.triggers import events

FLOW = "CUSTOM_AUTH"
BY_SRP = "SRP_A"
"""What CHALLENGE_NAME says when the password is to be asked for first, and the name of that step in the session."""
LONGEST = 100
"""Answers in one sign-in; the row of an attempt holds them all."""
_TO_CHOOSE_FROM = frozenset({custom_challenge.NAME, password_srp.NAME})
_SRP_A = "srp_a"
_ISSUED = "issued"


def begun(given: Mapping[str, str]) -> dict[str, Any]:
    """What a sign-in notes at its beginning. Raises errors.InvalidParameter."""
    wanted = given.get("CHALLENGE_NAME")
    if not wanted:
        return {custom_challenge.SESSION: []}
    if wanted != BY_SRP:
        raise errors.InvalidParameter(f"CHALLENGE_NAME must be {BY_SRP}.")
    return {custom_challenge.SESSION: [[BY_SRP, True, None]], _SRP_A: srp_exchange.public(given)}


def answered(sign_in: SignIn, challenge: str, *, correct: bool) -> dict[str, Any]:
    """The notes with one answer more."""
    metadata = sign_in.notes.get(custom_challenge.METADATA) if challenge == custom_challenge.NAME else None
    before = sign_in.notes[custom_challenge.SESSION]
    return {**sign_in.notes, custom_challenge.SESSION: [*before, [challenge, correct, metadata]]}


def next_challenge(env: Env, sign_in: SignIn) -> str | None:
    """What the trigger wants; None: he may have his tokens. With nothing open.

    Raises errors.NotAuthorized for its no, InvalidLambdaResponse for a challenge that it cannot choose, and what
    `triggers.define_auth_challenge` does.
    """
    session = custom_challenge.session(sign_in)
    if len(session) >= LONGEST:
        raise errors.NotAuthorized
    question = events.DefineAuthChallenge(
        custom_challenge.who(sign_in), session, custom_challenge.metadata_sent(sign_in)
    )
    verdict = triggers.define_auth_challenge(env, sign_in.pool, question)
    if verdict.fail:
        raise errors.NotAuthorized
    if verdict.issue_tokens:
        if sign_in.user is None:  # nobody gets tokens, whatever it says
            raise errors.NotAuthorized
        return None
    if verdict.challenge not in _TO_CHOOSE_FROM:
        raise errors.InvalidLambdaResponse
    return verdict.challenge


def asked_with(sign_in: SignIn) -> Mapping[str, str]:
    """What the challenge that it chose is asked with."""
    public = sign_in.notes.get(_SRP_A)
    return {"SRP_A": public} if public else {}


def may_have_tokens(sign_in: SignIn) -> dict[str, Any]:
    """The notes, when it has said so: what else is to be done is for the plan."""
    return {**sign_in.notes, _ISSUED: True}


def decides(sign_in: SignIn) -> bool:
    """Whether it still has the word."""
    return sign_in.flow == FLOW and not sign_in.notes.get(_ISSUED)
