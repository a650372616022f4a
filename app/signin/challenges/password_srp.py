"""The password by SRP: it never travels (reference: 5.2).

Everything between the two steps travels sealed in SECRET_BLOCK, so that SDKs which send no Session are served, and
the first step, which anybody can ask for any name, writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app import errors
from app.accounts import find
from app.accounts.credentials import about_verifier
from app.crypto import srp
from app.env import Env
from app.models import Client, User
from app.policy.attributes import looks_like_email, looks_like_phone, name_key
from app.signin import once, srp_exchange
from app.signin.state import Asked, Proof, SignIn

NAME = "PASSWORD_VERIFIER"
NEEDS = srp_exchange.NEEDS
GUESSABLE = True
_ABOUT = "srp secret block"


@dataclass(frozen=True)
class Block(srp_exchange.Exchange):
    """What SECRET_BLOCK holds: for whom, for which client, until when, and the numbers of the exchange."""

    client_id: str
    flow: str
    name: str
    """The username that both sides hash; for a name that means nobody, a stable invented one."""
    known: int
    """1, or 0 for a name that means nobody. No bool: in JSON `false` is longer than `true`, and so would the block."""
    until: float
    typed: str = ""
    """The name that was asked for, by which those who are nobody are counted."""


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Parameters of PASSWORD_VERIFIER. A name that means nobody gets ones of the same shape, the same each time.

    Raises errors.InvalidParameter for an SRP_A that is none, UserNotFound where the client may know.
    """
    a_public = srp_exchange.public(given)
    if sign_in.user is None and not sign_in.client.hides_users:
        raise errors.UserNotFound
    name = username(env, sign_in)
    salt, verifier = _numbers(env, sign_in)
    b = srp.server_ephemeral()
    b_public = srp.server_public(verifier, b)
    block = Block(
        client_id=sign_in.client.id,
        flow=sign_in.flow,
        name=name,
        known=int(sign_in.user is not None),
        b=f"{b:x}",
        a_public=a_public,
        b_public=b_public,
        until=(env.now() + sign_in.client.session_validity).timestamp(),
        typed=sign_in.name,
    )
    return Asked(
        {
            "SALT": salt,
            "SECRET_BLOCK": srp_exchange.sealed(env, block, about=_ABOUT),
            "SRP_B": b_public,
            "USERNAME": name,
            "USER_ID_FOR_SRP": name,
        }
    )


def opened(env: Env, client: Client, given: Mapping[str, str]) -> Block:
    """The block that a client brings back. Raises errors.InvalidParameter, SessionInvalid, SessionExpired."""
    for name in NEEDS:
        if not given.get(name):
            raise errors.InvalidParameter(f"Missing required parameter {name}")
    block = Block(**srp_exchange.opened(env, given, about=_ABOUT))
    if block.client_id != client.id:
        raise errors.SessionInvalid
    if env.now().timestamp() >= block.until:
        raise errors.SessionExpired
    return block


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Compare signatures. Raises errors.NotAuthorized; SessionUsed when this very answer has been accepted before."""
    block = opened(env, sign_in.client, given)
    if block.flow != sign_in.flow or block.name != username(env, sign_in):
        raise errors.SessionInvalid
    encoded = given["PASSWORD_CLAIM_SECRET_BLOCK"]
    _, verifier = _numbers(env, sign_in)
    matches = srp_exchange.signed(
        env, given, block, verifier=verifier, group=sign_in.client.pool.short_id, name=block.name
    )
    if sign_in.user is None or sign_in.password is None or not block.known:
        raise find.absent(sign_in.client, errors.NotAuthorized())
    if not matches:
        raise errors.NotAuthorized
    digest = env.keyed.digest(_ABOUT, encoded)

    def write(row: User) -> None:
        # Whoever overheard the exchange holds a valid answer; inserting its digest is what makes it work once.
        once.use(env, digest, until=env.now() + 2 * srp_exchange.CLOCK_SKEW)

    return Proof(sign_in.user, sign_in.password, write)


def username(env: Env, sign_in: SignIn) -> str:
    """What both sides hash: the immutable username. An invented one looks like those of the pool."""
    if sign_in.user is not None:
        return sign_in.user.username
    pool = sign_in.client.pool
    if not (pool.username_attributes or looks_like_email(sign_in.name) or looks_like_phone(sign_in.name)):
        return sign_in.name
    raw = env.keyed.number("invented username", f"{pool.id} {name_key(pool, sign_in.name)}", 16)
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[raw[8] % 4]}{digits[17:20]}-{digits[20:]}"


def _numbers(env: Env, sign_in: SignIn) -> tuple[str, str]:
    """Salt and verifier, both hexadecimal: the user's, or invented ones that are the same for the same name."""
    if sign_in.user is not None and sign_in.password is not None:
        opened = env.seal.open(sign_in.password.srp_verifier, about=about_verifier(sign_in.user.sub))
        return sign_in.password.srp_salt, opened.decode("ascii")
    pool = sign_in.client.pool
    about = f"{pool.id} {name_key(pool, sign_in.name)}"
    salt = srp.salt_from(env.keyed.number("invented salt", about, 16))
    return salt, env.keyed.number("invented verifier", about, 383).hex()
