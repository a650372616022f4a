"""A recovery code in place of a second factor that is lost (requirements: 62). Cognito has none."""

from __future__ import annotations

from collections.abc import Mapping

from app import errors
from app.accounts import recovery_codes
from app.env import Env
from app.signin import plan
from app.signin.state import Asked, Proof, SignIn

NAME = "RECOVERY_CODE"
NEEDS = ("RECOVERY_CODE",)
GUESSABLE = True
STANDS_IN_FOR = frozenset({"SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP", "SELECT_MFA_TYPE", "WEB_AUTHN"})
"""Challenges that take one as their answer."""


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Never the next challenge: whoever asks for another factor takes this one as well."""
    return Asked({})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Raises errors.CodeMismatch; errors.SessionInvalid where no password was given before: a code that is written on
    paper is no first factor."""
    user = sign_in.user
    if user is None or not plan.BY_PASSWORD.intersection(sign_in.proven):
        raise errors.SessionInvalid
    code = given["RECOVERY_CODE"]
    if not recovery_codes.fits(env, user, code):
        raise errors.CodeMismatch("Invalid code received for user")
    return Proof(user, sign_in.password, lambda row: recovery_codes.take(env, row, code))
