"""How many users may sign up from one network in an hour: whoever makes accounts by the thousand does it from a few."""

from __future__ import annotations

import ipaddress

from app import errors, metrics
from app.accounts import limits
from app.env import Env, Origin
from app.models import Pool

IPV6_PREFIX = 56
"""Bits. What a home is given at least (RIPE-690, 4.2); a single host has 64 of its own, and 18 quintillion addresses.
An IPv4 address counts by itself: a /24 would count 256 homes together."""


def network(ip: str) -> str | None:
    """The network of an address, as it is counted; None for what is no address."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), IPV6_PREFIX), strict=False))


def count_sign_up(env: Env, pool: Pool, origin: Origin) -> None:
    """Count a sign-up. Inside a transaction, the last of all rows in it: many wait for this one.

    A server that signs its users up is not counted: its address says nothing about them, and its operator can bound
    them. Raises errors.LimitExceeded.
    """
    found = None if origin.server else network(origin.ip)
    if found is None or not env.settings.sign_ups_per_network:
        return
    key = env.keyed.digest("sign-ups", f"{pool.id} from {found}")
    if limits.next_number(env, key, limits.WINDOW) > env.settings.sign_ups_per_network:
        metrics.RATE_LIMITED.add("sign_ups_of_network")
        raise errors.LimitExceeded
