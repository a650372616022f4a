"""A device begins to prove that it is the one that was confirmed (reference: 5.7)."""

from __future__ import annotations

from collections.abc import Mapping

from app import errors
from app.accounts import devices
from app.env import Env
from app.signin import srp_exchange
from app.signin.state import Asked, Proof, SignIn

NAME = "DEVICE_SRP_AUTH"
NEEDS = ("DEVICE_KEY", "SRP_A")
GUESSABLE = False


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    return Asked({"USERNAME": sign_in.name, "DEVICE_KEY": sign_in.device_key or ""})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """It proves nothing yet. Raises errors.InvalidParameter for an SRP_A that is none, ResourceNotFound for another
    device than the one that was asked."""
    srp_exchange.public(given)
    if sign_in.user is None:
        raise errors.SessionInvalid
    if given["DEVICE_KEY"] != sign_in.device_key:
        raise errors.ResourceNotFound(devices.UNKNOWN)
    return Proof(sign_in.user, sign_in.password)
