"""What is counted of a request, and in which order.

Whoever has proven who they are is counted by that, and strangers by where they come from. The narrowest counter comes
first and ends the counting when it is used up: what one network sends in excess takes nothing from its pool.

Names are counted together with the network that they come from, because anybody can say a name: a stranger who floods
one keeps nobody else from using it (docs/decisions/010).
"""

from __future__ import annotations

from collections.abc import Mapping

from app import errors
from app.env import Env
from app.models import Client, Pool, User
from app.throttling import categories, short, whole
from app.throttling.networks import network

MINUTE, SECOND = 60, 1
_NOTHING: Mapping[str, int] = {}
AS_INSTALLED = -1
"""A pool's own setting that leaves a limit to the installation."""


def check(
    env: Env,
    category: str,
    ip: str,
    *,
    server: bool = False,
    pool: Pool | None = None,
    client: Client | None = None,
    user: User | None = None,
    name: str | None = None,
) -> None:
    """Count a request of a category, before anything is done for it.

    `ip` is where it comes from, which is not counted for a `server` that has shown a secret; `user` has shown a token,
    and `name` is whom a stranger says to be. Raises errors.RateLimited.
    """
    # Each counter costs half a microsecond of every request, so they are asked without the detour by `hit`.
    count, installed = env.counters.hit, env.settings
    whose, own = (pool.id, pool.settings) if pool is not None else ("", _NOTHING)
    per_account = own.get("requests_per_account", AS_INSTALLED)
    if per_account == AS_INSTALLED:
        per_account = installed.requests_per_account
    left = None
    if user is not None:
        left = per_account and count(("account", category, whose, user.sub), per_account, MINUTE)
    else:
        # Whoever comes without an address is counted with all who do: to hide it must be worth nothing.
        near = network(ip) or ""
        if not server:
            per_address = own.get("requests_per_address", AS_INSTALLED)
            if per_address == AS_INSTALLED:
                per_address = installed.requests_per_address
            left = per_address and count(("address", category, whose, near), per_address, MINUTE)
        if name and not left:
            key = ("name", category, whose, near, short(env, name.lower()))
            left = per_account and count(key, per_account, MINUTE)
    if client is not None and not left:
        per_client = own.get("requests_per_client", AS_INSTALLED)
        if per_client == AS_INSTALLED:
            per_client = installed.requests_per_client
        left = per_client and count(("client", category, client.id), per_client, SECOND)
    if installed.provisioned_limits and not left:
        left = count(("pool", category, whose), categories.rates(env)[category], SECOND)
    if left:
        raise errors.RateLimited(whole(left))


def check_unproven(env: Env, ip: str) -> None:
    """Refuse whoever has had too many proofs refused: before a signature or a secret is compared, and before it is
    counted for a client, whose budget a stranger without its secret would use up. Raises errors.RateLimited."""
    most = env.settings.requests_per_address
    left = env.counters.used_up(("unproven", network(ip) or ""), most, MINUTE) if most else None
    if left is not None:
        raise errors.RateLimited(whole(left))


def count_unproven(env: Env, ip: str) -> None:
    """Count a signature or a client's secret that was wrong."""
    most = env.settings.requests_per_address
    if most:
        env.counters.hit(("unproven", network(ip) or ""), most, MINUTE)
