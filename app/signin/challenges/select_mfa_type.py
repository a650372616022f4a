"""The choice between several second factors (reference: 5.6, 10.2)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import errors
from app.accounts import factors
from app.env import Env
from app.signin.state import Asked, Proof, SignIn

NAME = "SELECT_MFA_TYPE"
NEEDS = ("ANSWER",)
GUESSABLE = False


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Those that he can be asked for."""
    user = sign_in.user
    if user is None:
        raise errors.SessionInvalid
    usable = factors.second(sign_in.pool, user, factors.held(env, user)).usable
    choice = orjson.dumps(usable).decode("ascii")
    # Clients read the first of these names; the documentation prints the second.
    params = {"MFAS_CAN_CHOOSE": choice, "MFAS_CAN_SELECT": choice, "USER_ID_FOR_SRP": user.username}
    return Asked(params, notes={"choice": list(usable)})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Raises errors.InvalidParameter for what was not offered."""
    chosen = given["ANSWER"]
    if sign_in.user is None:
        raise errors.SessionInvalid
    if chosen not in sign_in.notes["choice"]:
        raise errors.InvalidParameter(f"ANSWER must be one of {', '.join(sign_in.notes['choice'])}.")
    return Proof(sign_in.user, sign_in.password, notes={"chosen": chosen})
