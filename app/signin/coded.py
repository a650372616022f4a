"""Codes that sign somebody in: sent to his phone or mailbox, and taken back within the attempt (reference: 5.5, 10.4).

The attempt keeps a digest of the code, so it is worth something to this sign-in only, and no longer than that; the
digits are few, so what protects them is that every answer is counted before it is looked at (accounts.lockout).

Before a password has been given, anybody can ask for a code by name. Where the client hides who exists, a name that
means nobody, or somebody without such an address, is then answered alike, after the same steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from app import errors
from app.accounts import addresses, codes, limits, nobody
from app.accounts import attributes as writing
from app.crypto.seal import same
from app.env import Env
from app.messaging import messages
from app.models import Pool, User
from app.signin import plan
from app.signin.state import Asked, Proof, SignIn

NOTE = "code"
"""What the attempt keeps of a code that was sent: `{"nonce", "digest", "address"}`."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What the challenges of this sort differ in."""

    name: str
    attribute: str
    """`email` or `phone_number`."""
    wrong: str
    """Said of a code that is wrong."""
    digits: int = 6
    digits_first: int = 6
    """Where no password was given before."""


def is_first(sign_in: SignIn) -> bool:
    """Whether nobody has proven anything yet: the code is then all that is asked."""
    return not plan.BY_PASSWORD.intersection(sign_in.proven)


def ask(env: Env, sign_in: SignIn, kind: Kind, address: str | None) -> Asked:
    """Send a code to the address. Raises errors.InvalidParameter where there is none, unless that is hidden;
    errors.TooManyCodes when a first factor is asked for too often; errors.UnexpectedLambda; after the commit
    errors.CodeDeliveryFailure."""
    pool, first = sign_in.pool, is_first(sign_in)
    hiding = first and sign_in.client.hides_users
    messages.demand_own_words(pool, kind.attribute)
    if first and not sign_in.has(kind.name):
        address = None  # it was offered all the same, and a code would come to nothing
    if address is None and not hiding:
        raise errors.InvalidParameter(f"The user has no {kind.attribute} that a code could be sent to.")
    code, nonce = env.random.digits(kind.digits_first if first else kind.digits), env.random.token(16)
    send = _nothing
    if hiding:
        told = codes.simulated(env, pool, sign_in.name, sign_in.user, (kind.attribute,))
    if address is not None:
        told = messages.delivery(kind.attribute, address)
        send = messages.sending(env, messages.sign_in_code(pool, kind.attribute, address, code))
    params = {"CODE_DELIVERY_DELIVERY_MEDIUM": told.medium, "CODE_DELIVERY_DESTINATION": told.destination}
    if not first and sign_in.user is not None:
        params["USER_ID_FOR_SRP"] = sign_in.user.username
    note = {"nonce": nonce, "digest": _digest(env, kind, nonce, code), "address": address}

    def write() -> None:
        if first:
            _count(env, sign_in)
        if address is not None and not addresses.is_proven(sign_in.user, kind.attribute, address):
            if not addresses.may_send(env, pool, kind.attribute, address):
                if not hiding:
                    raise errors.TooManyCodes
                return
        env.after_commit((lambda: env.later(lambda: _unseen(send))) if hiding else send)

    return Asked(params, notes={NOTE: note}, write=write)


def answer(
    env: Env, sign_in: SignIn, kind: Kind, given: str, write: Callable[[User, str], None] | None = None
) -> Proof:
    """Compare. What was proven is the address that the code went to; `write` is told of it in place of what is
    usually done with it: if it is still the user's, it is verified.

    Raises errors.CodeMismatch; errors.SessionInvalid in the write, where the user has left the address.
    """
    note = sign_in.notes.get(NOTE) or {}
    user, address = sign_in.user, note.get("address")
    guess = None
    if address is not None and not addresses.is_proven(user, kind.attribute, address):
        with env.transaction(counting=True):
            guess = addresses.guess(env, sign_in.pool, kind.attribute, address)
        if guess is None:
            raise errors.CodeMismatch(kind.wrong)
    right = same(str(note.get("digest")), _digest(env, kind, str(note.get("nonce")), given))
    if user is None or address is None or not right:
        raise errors.CodeMismatch(kind.wrong)

    def accept(row: User) -> None:
        if guess is not None:
            addresses.take_back(env, guess)
        if write is not None:
            write(row, address)
            return
        if getattr(row, kind.attribute) != address:
            raise errors.SessionInvalid
        prove(env, sign_in.pool, row, kind.attribute, address)

    return Proof(user, None if is_first(sign_in) else sign_in.password, accept, changes_user=True)


def prove(env: Env, pool: Pool, row: User, attribute: str, address: str) -> None:
    """The address is the user's: write it, as verified. Where it is a name that somebody else has proven and signs in
    with, it stays unverified, which hinders no code. Inside a transaction.

    Raises errors.AliasExists where an address that takes the username's place is another user's.
    """
    if row.verified(attribute) and getattr(row, attribute) == address:
        return
    try:
        writing.prove(env, pool, row, attribute=attribute, address=address)
    except errors.AliasExists:
        if attribute in pool.username_attributes:
            raise
        setattr(row, f"{attribute}_verified", False)


def _digest(env: Env, kind: Kind, nonce: str, code: str) -> str:
    """Bound to the challenge and to a nonce: what was hashed for one attempt is worth nothing in another."""
    return env.keyed.digest("sign-in code", f"{kind.name} {nonce} {''.join(code.split())}")


def _count(env: Env, sign_in: SignIn) -> None:
    pool = sign_in.pool
    who = sign_in.user.sub if sign_in.user else f"nobody {nobody.sub(env, pool, sign_in.name)}"
    try:
        limits.count(env, pool, "sign_in_code", who, sign_in.failures.place)
    except errors.LimitExceeded:
        raise errors.TooManyCodes from None  # the word that the API has for it here


def _unseen(send: Callable[[], None]) -> None:
    """Nobody waits for how it went."""
    try:
        send()
    except errors.CodeDeliveryFailure as failed:
        log.warning("a code to sign in with was not sent: %s", failed.message)


def _nothing() -> None:
    """Sent to nobody, by the same way."""
