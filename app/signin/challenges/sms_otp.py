"""A code by SMS in place of a password (reference: 5.5)."""

from __future__ import annotations

from collections.abc import Mapping

from app.env import Env
from app.signin import coded
from app.signin.state import Asked, Proof, SignIn

NAME = "SMS_OTP"
NEEDS = ("SMS_OTP_CODE",)
GUESSABLE = True
_KIND = coded.Kind(NAME, "phone_number", "Invalid code or auth state for the user.")


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Raises what `coded.ask` does."""
    return coded.ask(env, sign_in, _KIND, sign_in.user.phone_number if sign_in.user else None)


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Raises what `coded.answer` does."""
    return coded.answer(env, sign_in, _KIND, given["SMS_OTP_CODE"])
