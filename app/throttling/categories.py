"""The rates of Cognito's categories of operations (reference: 12.1): what is free, and what UpdateProvisionedLimit has
made of it.

Cognito counts a category for all pools of an account together. Here each pool has the rate for itself, so that a flood
of one does not starve another; what belongs to no pool, such as CreateUserPool, is counted together.
"""

from __future__ import annotations

from sqlalchemy import select

from app.env import Env
from app.models import ProvisionedLimit

FREE = {
    "UserAuthentication": 120,
    "UserCreation": 50,
    "UserFederation": 25,
    "UserAccountRecovery": 30,
    "UserRead": 120,
    "UserUpdate": 25,
    "UserToken": 120,
    "UserResourceRead": 50,
    "UserResourceUpdate": 25,
    "UserList": 30,
    "UserPoolRead": 15,
    "UserPoolUpdate": 15,
    "UserPoolResourceRead": 20,
    "UserPoolResourceUpdate": 15,
    "UserPoolClientRead": 15,
    "UserPoolClientUpdate": 15,
    "ClientAuthentication": 150,
}
"""Requests per second that each category has without being asked."""
ANSWERS = "UserAuthentication, answers"
"""Answers to challenges: no category of its own, but counted by itself and three times as much."""
ANSWERS_FOR_EACH = 3
AUTHORIZATION = "authorization endpoint"
"""Visits to /oauth2/authorize. Cognito has no category for them, and takes 500 per second for a domain."""
AUTHORIZATIONS = 500


def rates(env: Env) -> dict[str, int]:
    """Requests per second of each category, and of ANSWERS and AUTHORIZATION. Out of the cache."""

    def load() -> dict[str, int]:
        with env.aside() as session:
            provisioned = {row.category: row.value for row in session.scalars(select(ProvisionedLimit))}
        each = {**FREE, **provisioned}
        each[ANSWERS] = each["UserAuthentication"] * ANSWERS_FOR_EACH
        each[AUTHORIZATION] = AUTHORIZATIONS
        return each

    return env.cache.get(("rates",), load)
