"""How much of the server one caller may take: requests in a window of time, counted before anything is done for them.

It protects capacity. What protects secrets from being guessed is counted exactly, in the database, by
`accounts.lockout`, `accounts.limits`, `accounts.addresses` and `accounts.networks`
(docs/decisions/015-two-kinds-of-limits.md). Here `counters` has the places where counts are kept, `categories` the
rates of Cognito's categories, `networks` what counts as one network, and `callers` what is counted of a request.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.env import Env

LONGEST_KEY = 128
"""Characters of a part of a key that is kept as it is."""


@dataclass(frozen=True)
class Limit:
    """So many requests within so many seconds, from the first one that is counted. Those of one name and the same keys
    share a counter. With an amount of 0 nothing is counted, and everything allowed."""

    name: str
    amount: int
    seconds: int


def hit(env: Env, limit: Limit, *keys: str) -> int | None:
    """Count a request under these keys; None where the limit allows it, else the seconds to wait.

    What is refused is counted too, but extends no window. Keys may be whatever a caller has sent: long ones are kept
    as digests, and no two lists of them are taken for each other.
    """
    if not limit.amount:
        return None
    left = env.counters.hit((limit.name, *[short(env, key) for key in keys]), limit.amount, limit.seconds)
    return None if left is None else whole(left)


def short(env: Env, key: str) -> str:
    """A part of a key, or a digest in place of what is long: otherwise memory would hold whatever is sent."""
    return key if len(key) <= LONGEST_KEY else env.keyed.digest("limits", key)


def whole(seconds: float) -> int:
    """As Retry-After says it."""
    return max(1, math.ceil(seconds))
