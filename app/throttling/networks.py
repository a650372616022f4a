"""The network that an address belongs to: whoever has one address of it has all of them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPV6_PREFIX = 56
"""Bits. What a home is given at least (RIPE-690, 4.2); a single host has 64 of its own, and 18 quintillion addresses.
An IPv4 address counts by itself: a /24 would count 256 homes together."""


@lru_cache(maxsize=4096)
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
