"""Tags of pools, limits of the installation, delivery of logs (reference: 6.9, 11.5, 12.1)."""

from __future__ import annotations

from typing import Any

from app.api import registry, wire
from app.api.caller import Call
from app.api.registry import operation
from app.pools import limits, logs, tags


@operation("TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    """Put tags on a pool."""
    tags.put(call.env, tags.pool_of(call.env, call["ResourceArn"]), call["Tags"])
    return {}


@operation("UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    """Take tags from a pool."""
    tags.remove(call.env, tags.pool_of(call.env, call["ResourceArn"]), call["TagKeys"])
    return {}


@operation("ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """The tags of a pool."""
    return {"Tags": tags.of(tags.pool_of(call.env, call["ResourceArn"]))}


@operation("GetProvisionedLimit")
def get_provisioned_limit(call: Call) -> dict[str, Any]:
    """How many requests of a category per second."""
    return _limit(call, limits.current(call.env, _category(call)))


@operation("UpdateProvisionedLimit")
def update_provisioned_limit(call: Call) -> dict[str, Any]:
    """Set how many requests of a category per second."""
    return _limit(call, limits.provision(call.env, _category(call), call["RequestedLimitValue"]))


@operation("GetLogDeliveryConfiguration")
def get_log_delivery_configuration(call: Call) -> dict[str, Any]:
    """Where a pool's logs should go."""
    return _delivery(call, logs.of(call.pool))


@operation("SetLogDeliveryConfiguration")
def set_log_delivery_configuration(call: Call) -> dict[str, Any]:
    """Replace where a pool's logs should go."""
    given = wire.inward(call.operation.input, call.members)["log_configurations"]
    return _delivery(call, logs.configure(call.env, call.pool, given))


def _category(call: Call) -> str:
    return limits.category_of(call["LimitDefinition"]["Attributes"])


def _limit(call: Call, limit: limits.Limit) -> dict[str, Any]:
    return {
        "Limit": {
            "LimitDefinition": call["LimitDefinition"],
            "ProvisionedLimitValue": limit.provisioned,
            "FreeLimitValue": limit.free,
        }
    }


def _delivery(call: Call, configurations: list[dict[str, Any]]) -> dict[str, Any]:
    shape = registry.structure("LogDeliveryConfigurationType")
    own = {"user_pool_id": call.pool.id, "log_configurations": configurations}
    return {"LogDeliveryConfiguration": wire.outward(shape, own)}
