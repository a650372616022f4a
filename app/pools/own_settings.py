"""Settings of a pool that Cognito does not have, and presets, which are named bundles of them (docs/decisions/011).

The API does not know them: it neither tells nor resets them, so what UpdateUserPool, Terraform or a console does to a
pool leaves them alone. They are set by `cognate pool apply`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import errors
from app.env import Env
from app.models import Pool
from app.models.pool import AUDIT_RETENTION
from app.pools import find, user_pools
from app.throttling.callers import AS_INSTALLED

LONGEST = 1440
"""Minutes for which a sign-in can count as recent: a day."""
LONGEST_RETENTION = 36500
"""Days: a century."""
MOST_REQUESTS = 1_000_000
_AS_INSTALLED = dict.fromkeys(("requests_per_account", "requests_per_address", "requests_per_client"), AS_INSTALLED)
_ALIKE = {"audit_sign_ins": True, "audit_retention_days": AUDIT_RETENTION, **_AS_INSTALLED}
COMPATIBLE: dict[str, Any] = {"end_sessions_with_password": False, "recent_sign_in_minutes": 0, **_ALIKE}
"""As Cognito has it, and so the default of a pool that is made through the API."""
PRESETS: dict[str, dict[str, Any]] = {
    "cognito-compatible": COMPATIBLE,
    "recommended": {"end_sessions_with_password": True, "recent_sign_in_minutes": 10, **_ALIKE},
}
"""A preset is nothing but its settings: which one a pool was given is not kept, and each can be changed alone."""


def of(pool: Pool) -> dict[str, Any]:
    """All of them, with the defaults of those that nobody has set."""
    return {name: pool.settings.get(name, default) for name, default in COMPATIBLE.items()}


def configure(env: Env, pool: Pool, given: Mapping[str, Any]) -> Pool:
    """Set those that are given; the others stay. Raises errors.InvalidParameter, UnknownPool."""
    unknown = given.keys() - COMPATIBLE.keys()
    if unknown:
        raise errors.InvalidParameter(f"There is no setting {', '.join(sorted(unknown))}.")
    minutes = given.get("recent_sign_in_minutes", 0)
    if not 0 <= minutes <= LONGEST:
        raise errors.InvalidParameter(
            f"RecentSignInMinutes must be 1 to {LONGEST}, or 0 to demand no recent sign-in; {minutes} was given."
        )
    days = given.get("audit_retention_days", 0)
    if not 0 <= days <= LONGEST_RETENTION:
        raise errors.InvalidParameter(
            f"AuditRetentionDays must be 1 to {LONGEST_RETENTION}, or 0 to keep the audit for ever; {days} was given."
        )
    for name in _AS_INSTALLED.keys() & given.keys():
        if not AS_INSTALLED <= given[name] <= MOST_REQUESTS:
            word = name.title().replace("_", "")
            raise errors.InvalidParameter(
                f"{word} must be 1 to {MOST_REQUESTS}, 0 for any number, or {AS_INSTALLED} for what the installation "
                f"is set to; {given[name]} was given."
            )
    with env.transaction():
        row = user_pools.locked(env, pool)
        row.settings = {**row.settings, **given}
        user_pools.changed(env, row)
    return find.pool(env, pool.id)
