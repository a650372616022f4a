"""Setting up a second factor, where the pool requires one and the user has none (reference: 5.6, 10.2).

An authenticator app is set up by AssociateSoftwareToken and VerifySoftwareToken (signin.set_up), and the session of
the latter is the answer. Or an address is given, and a code that went there is the next challenge. Nothing is written
of the address before: with one that was mistyped, the next sign-in asks for another.

This rests on the password alone. So it ends as soon as the user has a factor, by whatever way he got it.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import errors
from app.accounts import factors, mfa, software_token
from app.env import Env
from app.policy import attributes as policy
from app.signin.state import Asked, Proof, SignIn

NAME = "MFA_SETUP"
NEEDS = ()
GUESSABLE = False
VERIFIED = "verified"
"""What the attempt notes when the app has been verified."""
NOTHING = "The user pool requires a second factor, and the user can set none up: an administrator has to."


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """What he can set up by himself. Raises errors.InvalidParameter where that is nothing, and
    errors.InvalidUserPoolConfiguration where nobody can have a factor."""
    user = sign_in.user
    if user is None:
        raise errors.SessionInvalid
    if not sign_in.pool.second_factors:
        raise errors.InvalidUserPoolConfiguration("The user pool requires a second factor, and offers none.")
    setups = factors.second(sign_in.pool, user, factors.held(env, user)).setups
    if not setups:
        raise errors.InvalidParameter(NOTHING)
    return Asked({"MFAS_CAN_SETUP": orjson.dumps(setups).decode("ascii"), "USER_ID_FOR_SRP": user.username})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Raises errors.InvalidParameter, NotAuthorized (an address that the client may not write); errors.SessionInvalid
    where there is nothing left to set up."""
    user, pool = sign_in.user, sign_in.pool
    if user is None:
        raise errors.SessionInvalid
    second = factors.second(pool, user, factors.held(env, user))
    if sign_in.notes.get(VERIFIED):
        if second.usable != (factors.TOTP,):
            raise errors.SessionInvalid
        return Proof(
            user,
            sign_in.password,
            lambda row: mfa.switch_on(env, row, factors.TOTP),
            changes_user=True,
            met=(NAME, factors.TOTP),
        )
    if second.usable:
        raise errors.SessionInvalid
    address = given.get("EMAIL")
    if not address:
        raise errors.InvalidParameter(software_token.NOT_VERIFIED)
    if factors.EMAIL not in second.setups:
        raise errors.InvalidParameter("The user cannot set up a second factor by e-mail.", field="email")
    wanted = {"email": address}
    policy.check_writable(wanted, sign_in.client.writable)
    policy.check_values(pool, wanted, new=False)
    policy.check_changes(pool, wanted)
    return Proof(user, sign_in.password, notes={"chosen": factors.EMAIL, "email": address})


def address_of(sign_in: SignIn) -> str | None:
    """The address that is being set up."""
    address = sign_in.notes.get("email")
    return str(address) if address is not None and NAME in sign_in.proven else None
