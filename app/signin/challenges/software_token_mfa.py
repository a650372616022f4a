"""The code that an authenticator app shows, after the password (reference: 5.6, 10.3)."""

from __future__ import annotations

from collections.abc import Mapping

from app import errors
from app.accounts import software_token
from app.env import Env
from app.signin.state import Asked, Proof, SignIn

NAME = "SOFTWARE_TOKEN_MFA"
NEEDS = ("SOFTWARE_TOKEN_MFA_CODE",)
GUESSABLE = True


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Which of his apps is meant, by the name that he gave it."""
    user = sign_in.user
    if user is None:
        raise errors.SessionInvalid
    params = {"USER_ID_FOR_SRP": user.username}
    name = software_token.friendly_name(env, user)
    if name is not None:
        params["FRIENDLY_DEVICE_NAME"] = name
    return Asked(params)


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Raises errors.CodeMismatch; errors.CodeUsed for a code that was taken before, also in the write."""
    user = sign_in.user
    if user is None:
        raise errors.SessionInvalid
    matched = software_token.matches(env, user, given["SOFTWARE_TOKEN_MFA_CODE"])
    if matched is None:
        raise errors.CodeMismatch("Invalid code received for user")
    return Proof(user, sign_in.password, lambda row: software_token.use(env, matched))
