"""The choice of SRP, where the client did not bring its public value along (reference: 5.5)."""

from __future__ import annotations

from collections.abc import Mapping

from app.env import Env
from app.signin import srp_exchange
from app.signin.state import Asked, Chosen, SignIn

NAME = "PASSWORD_SRP"
NEEDS = ("SRP_A",)
GUESSABLE = False


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    return Asked({"USERNAME": sign_in.name})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Chosen:
    """Raises errors.InvalidParameter for an SRP_A that is none."""
    srp_exchange.public(given)
    return Chosen(NAME)
