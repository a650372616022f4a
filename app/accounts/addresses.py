"""How often codes go to an address that nobody has proven, and how often they are guessed at, whichever accounts they
are for (decision 010).

Limits of an account do not bound this: where usernames are no addresses, a stranger makes as many accounts with
somebody else's address as they like, and each has guesses of its own. So both are counted by a keyed digest of pool,
channel and address, which is compared as mailboxes are.

The address of a user who has proven it is not counted here, because strangers would use its budget up: codes to it are
for one account, whose own limits bound them, and which strangers cannot multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, update

from app.accounts import limits
from app.db import inserting
from app.env import Env
from app.models import Pool, Throttle, User
from app.policy.attributes import address_key

REMEMBERED = timedelta(hours=48)
"""Of wrong guesses, from the last one: twice as long as codes live (codes.LIFETIME). A code that was sent while they
were remembered has then expired. Whoever finds one by guessing learns that it is right, though it moves nothing: it
must not become good by waiting."""
_UNBOUNDED = 2**31 - 2


@dataclass(frozen=True)
class Guess:
    """A guess at a code that went to an address. It counts as wrong until `take_back`."""

    key: str
    disputed: bool
    """Whether there was a wrong one before it."""


def is_proven(user: User | None, attribute: str, address: str) -> bool:
    return user is not None and user.verified(attribute) and getattr(user, attribute) == address


def may_send(env: Env, pool: Pool, attribute: str, address: str) -> bool:
    """Count a code that is about to be sent; whether it may be. Inside a transaction, after all rows of users."""
    number = limits.next_number(env, _key(env, pool, "codes to", attribute, address), limits.WINDOW)
    return number <= (env.settings.codes_per_address or _UNBOUNDED)


def guess(env: Env, pool: Pool, attribute: str, address: str) -> Guess | None:
    """Count a guess, before it is looked at; None where it must not be. Inside a transaction, after all rows of users
    and of codes. For whom there is no code, any stand-in of an address does.

    One statement, whatever runs in parallel. What is refused is not counted, and extends nothing.
    """
    key, now = _key(env, pool, "guesses at", attribute, address), env.now()
    over = Throttle.expires_at <= now
    number = env.db.scalar(
        inserting(env.db, Throttle)
        .values(key=key, count=1, since=now, expires_at=now + REMEMBERED)
        .on_conflict_do_update(
            index_elements=[Throttle.key],
            set_={
                "count": case((over, 1), else_=Throttle.count + 1),
                "since": case((over, now), else_=Throttle.since),
                "expires_at": now + REMEMBERED,
            },
            where=over | (Throttle.count < (env.settings.codes_per_address or _UNBOUNDED)),
        )
        .returning(Throttle.count)
    )
    return None if number is None else Guess(key, disputed=number > 1)


def take_back(env: Env, guess: Guess) -> None:
    """It was right. Inside a transaction."""
    one = (Throttle.key == guess.key) & (Throttle.count > 0)
    env.db.execute(update(Throttle).where(one).values(count=Throttle.count - 1))


def _key(env: Env, pool: Pool, what: str, attribute: str, address: str) -> str:
    return env.keyed.digest("address", f"{what} {pool.id} {attribute} {address_key(attribute, address)}")
