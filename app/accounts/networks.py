"""How many users may sign up from one network in an hour: whoever makes accounts by the thousand does it from a few."""

from __future__ import annotations

from app import errors, metrics
from app.accounts import limits
from app.env import Env, Origin
from app.models import Pool
from app.throttling.networks import network


def count_sign_up(env: Env, pool: Pool, origin: Origin) -> None:
    """Count a sign-up. Inside a transaction, the last of all rows in it: many wait for this one.

    A server that signs its users up is not counted: its address says nothing about them, and its operator can bound
    them. Raises errors.TooOften.
    """
    found = None if origin.server else network(origin.ip)
    if found is None or not env.settings.sign_ups_per_network:
        return
    key = env.keyed.digest("sign-ups", f"{pool.id} from {found}")
    if limits.next_number(env, key, limits.WINDOW) > env.settings.sign_ups_per_network:
        metrics.RATE_LIMITED.add("sign_ups_of_network")
        raise errors.TooOften
