"""Whatever the customer's code asks, and how it judges the answer (reference: 5.3)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import triggers
from app.env import Env
from app.models import seals
from app.signin.challenges import password_srp
from app.signin.state import Asked, Judged, SignIn
from app.triggers import events

NAME = "CUSTOM_CHALLENGE"
NEEDS = ("ANSWER",)
GUESSABLE = False
"""How often may be guessed is for DefineAuthChallenge to say (reference: 5.3). So that it is asked, each answer uses
the session up before it is judged (flow)."""
SESSION = "session"
"""Note: what was answered, as `[challenge, correct, metadata]` each."""
METADATA = "challenge_metadata"
_PRIVATE = "private"


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Raises what `triggers.create_auth_challenge` does."""
    question = events.CreateAuthChallenge(who(sign_in), NAME, session(sign_in), metadata_sent(sign_in))
    created = triggers.create_auth_challenge(env, sign_in.pool, question)
    private = env.seal.seal(orjson.dumps(dict(created.private)), about=seals.custom_challenge())
    return Asked(
        {**created.public, "USERNAME": password_srp.username(env, sign_in)},
        notes={_PRIVATE: private, METADATA: created.metadata},
    )


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Judged:
    """Raises what `triggers.verify_auth_challenge_response` does."""
    private = orjson.loads(env.seal.open(sign_in.notes[_PRIVATE], about=seals.custom_challenge(), pool=sign_in.pool.id))
    question = events.VerifyAuthChallengeResponse(who(sign_in), private, given["ANSWER"], metadata_sent(sign_in))
    return Judged(triggers.verify_auth_challenge_response(env, sign_in.pool, question).correct)


def who(sign_in: SignIn) -> events.Person:
    user, client = sign_in.user, sign_in.client
    if user is None:
        return events.Person(client.pool_id, client.id, sign_in.name, {}, found=False)
    attributes = {**user.all_attributes, "cognito:user_status": user.status}
    return events.Person(client.pool_id, client.id, user.username, attributes, found=True)


def session(sign_in: SignIn) -> tuple[events.Answered, ...]:
    return tuple(events.Answered(*one) for one in sign_in.notes[SESSION])


def metadata_sent(sign_in: SignIn) -> Mapping[str, str]:
    """That of an answer; what came with the beginning is for other triggers (reference: 5.8)."""
    return {} if sign_in.attempt is None else sign_in.origin.client_metadata
