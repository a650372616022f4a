"""To and from the wire: settings, attributes, moments, users, deliveries.

Settings are translated by the model's structures, mechanically: `PasswordPolicy` is `password_policy` inside. The
keys of maps (tags, levels) are the customer's own words and are left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from app import errors
from app.accounts import factors
from app.api import shapes
from app.messaging.messages import Delivery
from app.models import User
from app.tokens.issue import Tokens


def inward(shape: shapes.Shape, value: Any) -> Any:
    """A checked value of this shape, in our own words."""
    match shape:
        case shapes.Structure():
            return {
                member.own: inward(member.shape, value[name]) for name, member in shape.members.items() if name in value
            }
        case shapes.Sequence():
            return [inward(shape.member, one) for one in value]
        case shapes.Map():
            return {key: inward(shape.value, one) for key, one in value.items()}
    return value


def outward(shape: shapes.Shape, value: Any) -> Any:
    """The other way. What the shape does not know stays inside."""
    match shape:
        case shapes.Structure():
            return {
                name: outward(member.shape, value[member.own])
                for name, member in shape.members.items()
                if value.get(member.own) is not None
            }
        case shapes.Sequence():
            return [outward(shape.member, one) for one in value]
        case shapes.Map():
            return {key: outward(shape.value, one) for key, one in value.items()}
    return value


def attributes(given: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """`[{Name, Value}]` as a dictionary; of two with one name the last counts. Raises errors.InvalidParameter."""
    found = {}
    for one in given or ():
        if "Value" not in one:
            raise errors.InvalidParameter(f"Attribute value for {one['Name']} must not be null", field=one["Name"])
        found[one["Name"]] = one["Value"]
    return found


def attribute_list(values: Mapping[str, str], only: Collection[str] | None = None) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items() if only is None or name in only]


def moment(when: datetime) -> float:
    """Seconds since 1970, with milliseconds."""
    return round(when.timestamp(), 3)


def user(row: User, *, attributes_as: str = "Attributes", only: Collection[str] | None = None) -> dict[str, Any]:
    """A user as administrators see him. Two operations call his attributes by another name than the rest."""
    return {
        "Username": row.username,
        attributes_as: attribute_list(row.all_attributes, only),
        "UserCreateDate": moment(row.created_at),
        "UserLastModifiedDate": moment(row.modified_at),
        "Enabled": row.enabled,
        "UserStatus": row.status,
    }


MFA_BY_SMS = {"DeliveryMedium": "SMS", "AttributeName": "phone_number"}


def second_factors(row: User) -> dict[str, Any]:
    """Those that are switched on for a user; members without content are left out. The older one knows SMS only."""
    on, preferred = factors.switched_on(row), factors.preferred(row)
    told: dict[str, Any] = {}
    if on:
        told["UserMFASettingList"] = list(on)
    if preferred is not None:
        told["PreferredMfaSetting"] = preferred
    if factors.SMS in on:
        told["MFAOptions"] = [MFA_BY_SMS]
    return told


def authentication(tokens: Tokens) -> dict[str, Any]:
    """The tokens of a sign-in or a refresh, those that there are; and what a new device needs to confirm itself."""
    result: dict[str, Any] = {"AccessToken": tokens.access, "ExpiresIn": tokens.expires_in, "TokenType": "Bearer"}
    if tokens.id is not None:
        result["IdToken"] = tokens.id
    if tokens.refresh is not None:
        result["RefreshToken"] = tokens.refresh
    if tokens.new_device is not None:
        result["NewDeviceMetadata"] = {
            "DeviceKey": tokens.new_device.key,
            "DeviceGroupKey": tokens.new_device.group_key,
        }
    return result


def delivery(to: Delivery | None) -> dict[str, Any]:
    """Where a code went; nothing where none was sent."""
    if to is None:
        return {}
    return {
        "CodeDeliveryDetails": {
            "Destination": to.destination,
            "DeliveryMedium": to.medium,
            "AttributeName": to.attribute,
        }
    }
