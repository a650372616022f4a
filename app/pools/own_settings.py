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

LONGEST = 1440
"""Minutes for which a sign-in can count as recent: a day."""
LONGEST_RETENTION = 36500
"""Days: a century."""
_AUDIT = {"audit_sign_ins": True, "audit_retention_days": AUDIT_RETENTION}
COMPATIBLE: dict[str, Any] = {"end_sessions_with_password": False, "recent_sign_in_minutes": 0, **_AUDIT}
"""As Cognito has it, and so the default of a pool that is made through the API."""
PRESETS: dict[str, dict[str, Any]] = {
    "cognito-compatible": COMPATIBLE,
    "recommended": {"end_sessions_with_password": True, "recent_sign_in_minutes": 10, **_AUDIT},
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
    with env.transaction():
        row = user_pools.locked(env, pool)
        row.settings = {**row.settings, **given}
        user_pools.changed(env, row)
    return find.pool(env, pool.id)
