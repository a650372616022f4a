"""A code by e-mail: in place of a password, after it, or to set this factor up (reference: 5.5, 5.6, 10.4)."""

from __future__ import annotations

from collections.abc import Mapping

from app import errors
from app.accounts import mfa
from app.env import Env
from app.models import User
from app.signin import coded
from app.signin.challenges import mfa_setup
from app.signin.state import Asked, Proof, SignIn

NAME = "EMAIL_OTP"
NEEDS = ("EMAIL_OTP_CODE",)
GUESSABLE = True
_KIND = coded.Kind(NAME, "email", "Invalid code or auth state for the user.", digits_first=8)


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Raises what `coded.ask` does."""
    address = mfa_setup.address_of(sign_in) or (sign_in.user.email if sign_in.user else None)
    return coded.ask(env, sign_in, _KIND, address)


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """With the factor that is being set up, the address is his from now on, and the factor is switched on.

    Raises what `coded.answer` does; in the write also errors.AliasExists (coded.prove).
    """

    def finish(row: User, address: str) -> None:
        if row.email is not None:  # somebody was quicker, and what he gave must not be replaced by a stranger's
            raise errors.SessionInvalid
        coded.prove(env, sign_in.pool, row, "email", address)
        mfa.switch_on(env, row, NAME)

    return coded.answer(
        env, sign_in, _KIND, given["EMAIL_OTP_CODE"], write=finish if mfa_setup.address_of(sign_in) else None
    )
