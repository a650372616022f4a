"""The password by SRP: it never travels (reference: 5.2).

Everything between the two steps travels sealed in SECRET_BLOCK, so that SDKs which send no Session are served, and
the first step, which anybody can ask for any name, writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app import errors
from app.accounts import find, nobody
from app.crypto import srp
from app.env import Env
from app.models import Client, User, seals
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
    """USER_ID_FOR_SRP, which both sides hash."""
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
    name, salt, verifier = _numbers(env, sign_in)
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
    name, _, verifier = _numbers(env, sign_in)
    if block.flow != sign_in.flow or block.name != name:
        raise errors.SessionInvalid
    encoded = given["PASSWORD_CLAIM_SECRET_BLOCK"]
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
    """What whoever has proven nothing is told that the user is called. Where the client hides who exists, that is the
    `sub`, which a name that means nobody has as well: the username would tell that the name is an alias of somebody,
    and letters in another case that it is spelled otherwise."""
    if sign_in.user is None:
        return nobody.sub(env, sign_in.pool, sign_in.name)
    return sign_in.user.sub if sign_in.client.hides_users else sign_in.user.username


def _numbers(env: Env, sign_in: SignIn) -> tuple[str, str, str]:
    """USER_ID_FOR_SRP, salt and verifier, the latter in hexadecimal: the user's, or invented ones that are the same for
    the same user or name."""
    name, user, password = username(env, sign_in), sign_in.user, sign_in.password
    if user is None or password is None:
        about = f"{sign_in.pool.id} {name}"
        salt = srp.salt_from(env.keyed.number("invented salt", about, 16))
        return name, salt, env.keyed.number("invented verifier", about, 383).hex()
    if name != user.username and password.srp_sub_verifier is not None:
        by_sub = env.seal.open(password.srp_sub_verifier, about=seals.srp_sub_verifier(user.sub), pool=user.pool_id)
        return name, password.srp_salt, by_sub.decode("ascii")
    # Also for a password that was set by a version before: with its verifier, no other name works.
    opened = env.seal.open(password.srp_verifier, about=seals.srp_verifier(user.sub), pool=user.pool_id)
    return user.username, password.srp_salt, opened.decode("ascii")
