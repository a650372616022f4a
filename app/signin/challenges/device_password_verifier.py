"""A device proves by SRP that it has kept its secret: the same exchange as a password's, over the keys of its group
and its own (reference: 5.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app import errors
from app.accounts import devices
from app.crypto import srp
from app.env import Env
from app.models import User
from app.signin import plan, srp_exchange, step_up
from app.signin.state import Asked, Proof, SignIn
from app.tokens import assurance

NAME = "DEVICE_PASSWORD_VERIFIER"
NEEDS = ("DEVICE_KEY", *srp_exchange.NEEDS)
GUESSABLE = True
_ABOUT = "srp secret block of a device"
_BLOCK = "device_block"


@dataclass(frozen=True)
class Block(srp_exchange.Exchange):
    """What SECRET_BLOCK holds."""

    device_key: str


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Raises errors.InvalidParameter for an SRP_A that is none."""
    a_public, device = srp_exchange.public(given), sign_in.device
    if device is None:
        raise errors.SessionInvalid
    b = srp.server_ephemeral()
    b_public = srp.server_public(devices.opened_verifier(env, sign_in.pool, device), b)
    block = Block(b=f"{b:x}", a_public=a_public, b_public=b_public, device_key=device.key)
    sealed = srp_exchange.sealed(env, block, about=_ABOUT)
    return Asked(
        {
            "SALT": device.salt,
            "SECRET_BLOCK": sealed,
            "SRP_B": b_public,
            "DEVICE_KEY": device.key,
            "USERNAME": sign_in.name,
        },
        # An answer that was overheard fits no other sign-in than the one that its block was made for, and that takes
        # one answer.
        notes={_BLOCK: env.keyed.digest(_ABOUT, sealed)},
    )


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Compare signatures. Raises errors.ResourceNotFound for another device, or one that was forgotten; SessionInvalid
    for a block of another sign-in; NotAuthorized."""
    user = sign_in.user
    if user is None:
        raise errors.SessionInvalid
    if given["DEVICE_KEY"] != sign_in.device_key:
        raise errors.ResourceNotFound(devices.UNKNOWN)
    device = devices.recognise(env, user, given["DEVICE_KEY"])
    if env.keyed.digest(_ABOUT, given["PASSWORD_CLAIM_SECRET_BLOCK"]) != sign_in.notes.get(_BLOCK):
        raise errors.SessionInvalid
    block = Block(**srp_exchange.opened(env, given, about=_ABOUT))
    verifier = devices.opened_verifier(env, sign_in.pool, device)
    if not srp_exchange.signed(env, given, block, verifier=verifier, group=device.group_key, name=device.key):
        raise errors.NotAuthorized
    # Whoever has shown both factors says with it that the device is trusted: in this sign-in, not with an older token.
    met = step_up.fresh(sign_in)
    both = bool(plan.BY_PASSWORD & met and plan.SECOND & met)
    stood_in = devices.stands_in(sign_in.pool, device)

    def write(row: User) -> None:
        devices.proved(env, device, sign_in.origin, trusted=both, stood_in=stood_in)

    return Proof(user, sign_in.password, write, met=(assurance.TRUSTED_DEVICE, NAME) if stood_in else (NAME,))
