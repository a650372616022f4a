"""Rates that the service sells by category of operations (reference: 6.9, 12.1).

They are kept and described, for tools that manage them, and nothing is counted against them: a server of one's own
has no neighbours to be kept apart from. What it does limit is in accounts.limits and accounts.lockout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.dialects import postgresql, sqlite

from app import errors
from app.db import table
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
MOST = 100
"""Times what is free. (The service's maximum is the account's; this one keeps a slip of the keyboard out.)"""


@dataclass(frozen=True)
class Limit:
    """Requests per second."""

    category: str
    provisioned: int
    free: int


def category_of(attributes: Mapping[str, str]) -> str:
    """The category that the attributes of a limit name. Raises errors.InvalidParameter."""
    category = attributes.get("Category")
    if category not in FREE or len(attributes) != 1:
        raise errors.InvalidParameter(
            f"The Attributes of an API_CATEGORY limit are one Category: {', '.join(FREE)}.", field="limit_definition"
        )
    return category


def current(env: Env, category: str) -> Limit:
    with env.reading() as session:
        row = session.get(ProvisionedLimit, category)
    return Limit(category, row.value if row else FREE[category], FREE[category])


def provision(env: Env, category: str, value: int) -> Limit:
    """Set a rate, of at least what is free. Raises errors.InvalidParameter, ServiceQuotaExceeded."""
    free = FREE[category]
    if value < free:
        raise errors.InvalidParameter(f"The limit of {category} cannot be below its default of {free}.")
    if value > free * MOST:
        raise errors.ServiceQuotaExceeded(f"The limit of {category} cannot be above {free * MOST}.")
    insert = postgresql.insert if env.db.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table(ProvisionedLimit)).values(category=category, value=value)
    with env.transaction():
        env.db.execute(statement.on_conflict_do_update(index_elements=["category"], set_={"value": value}))
    return Limit(category, value, free)
