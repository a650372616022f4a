"""Rates that the service sells by category of operations (reference: 6.9, 12.1).

Each pool has the rate of a category for itself, and throttling.callers counts against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.dialects import postgresql, sqlite

from app import errors
from app.db import table
from app.env import Env
from app.models import ProvisionedLimit
from app.throttling.categories import FREE, rates

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
    return Limit(category, rates(env)[category], FREE[category])


def provision(env: Env, category: str, value: int) -> Limit:
    """Set a rate, of at least what is free. Raises errors.InvalidParameter, ServiceQuotaExceeded."""
    free = FREE[category]
    if value < free:
        raise errors.InvalidParameter(f"The limit of {category} cannot be below its default of {free}.")
    if value > free * MOST:
        raise errors.ServiceQuotaExceeded(f"The limit of {category} cannot be above {free * MOST}.")
    insert = postgresql.insert if env.engine.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table(ProvisionedLimit)).values(category=category, value=value)
    with env.transaction():
        env.configuration_changed()
        env.db.execute(statement.on_conflict_do_update(index_elements=["category"], set_={"value": value}))
    return Limit(category, value, free)
