"""The choice between several second factors, as the plan has it (reference: 5.6, 10.2)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import errors
from app.env import Env
from app.signin.state import Asked, Proof, SignIn

NAME = "SELECT_MFA_TYPE"
NEEDS = ("ANSWER",)
GUESSABLE = False
CHOICE = "choice"
"""Note: what there is to choose from."""


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Those that he can be asked for."""
    user = sign_in.user
    if user is None:
        raise errors.SessionInvalid
    choice = orjson.dumps(sign_in.notes[CHOICE]).decode("ascii")
    # Clients read the first of these names; the documentation prints the second.
    params = {"MFAS_CAN_CHOOSE": choice, "MFAS_CAN_SELECT": choice, "USER_ID_FOR_SRP": user.username}
    return Asked(params)


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Raises errors.InvalidParameter for what was not offered."""
    chosen = given["ANSWER"]
    if sign_in.user is None:
        raise errors.SessionInvalid
    if chosen not in sign_in.notes[CHOICE]:
        raise errors.InvalidParameter(f"ANSWER must be one of {', '.join(sign_in.notes[CHOICE])}.")
    return Proof(sign_in.user, sign_in.password, notes={"chosen": chosen})
