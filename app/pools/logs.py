"""Where a pool's logs should go (reference: 6.9).

The configuration is checked, kept and described. Nothing is delivered yet: this version has neither the events that
would be logged nor a way to the places named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app import errors
from app.env import Env
from app.models import Pool

DESTINATIONS = {
    "cloud_watch_logs_configuration": ("log_group_arn", "logs"),
    "s3_configuration": ("bucket_arn", "s3"),
    "firehose_configuration": ("stream_arn", "firehose"),
}
"""Where logs can go: which member names it, and of which service it must be."""
LEVEL = {"userNotification": "ERROR", "userAuthEvents": "INFO"}
"""The one level that each source of events has."""


def of(pool: Pool) -> list[dict[str, Any]]:
    return list(pool.settings.get("log_delivery_configuration") or [])


def configure(env: Env, pool: Pool, given: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace all that was configured; an empty list ends it.

    Raises errors.InvalidParameter, FeatureUnavailableInTier, UnknownPool.
    """
    sources = [one["event_source"] for one in given]
    if len(set(sources)) != len(sources):
        raise errors.InvalidParameter("Each EventSource can be configured once only.")
    for one in given:
        _check(one)
    kept = list(given)
    with env.transaction():
        row = env.db.get(Pool, pool.id, with_for_update={"key_share": True})
        if row is None:
            raise errors.UnknownPool(pool.id)
        if "userAuthEvents" in sources and row.settings["user_pool_tier"] != "PLUS":
            raise errors.FeatureUnavailableInTier("The export of userAuthEvents needs the Plus tier.")
        row.settings = {**row.settings, "log_delivery_configuration": kept}
        env.configuration_changed()
    return kept


def _check(one: dict[str, Any]) -> None:
    source = one["event_source"]
    if one["log_level"] != LEVEL[source]:
        raise errors.InvalidParameter(f"The LogLevel of {source} must be {LEVEL[source]}.")
    places = [place for place in DESTINATIONS if one.get(place) is not None]
    if len(places) != 1:
        raise errors.InvalidParameter(f"The logs of {source} need exactly one destination.")
    if source == "userNotification" and places != ["cloud_watch_logs_configuration"]:
        raise errors.InvalidParameter(f"The logs of {source} can go to CloudWatch Logs only.")
    member, service = DESTINATIONS[places[0]]
    arn = one[places[0]].get(member)
    if arn is None or arn.split(":")[2] != service:
        raise errors.InvalidParameter(f"The destination of {source} must be named by an ARN of {service}.")
