"""The attributes that a pool's users may have, from the words in which they are asked for (reference: 2.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app import errors
from app.policy.attributes import DEVELOPER, LONGEST, standard_attributes
from app.pools.plans import MOST_CUSTOM
from app.pools.plans import custom as is_custom

LONGEST_NAME = 20
"""Characters of a custom attribute's name without its prefix."""
_BOUND = re.compile(r"-?[0-9]{1,18}")
"""A bound on the wire. No longer than a value of the attribute may be, and within what JSON libraries can write."""

Definition = dict[str, Any]
"""One attribute in the words of `models.pool.SchemaAttribute`."""


def for_new_pool(schema: Sequence[Mapping[str, Any]]) -> list[Definition]:
    """Standard attributes as the schema restates them, and the custom ones under their whole name.

    Raises errors.InvalidParameter.
    """
    found = standard_attributes()
    restated = [given for given in schema if given.get("name") in found]
    for given in restated:
        found[given["name"]] = _restated(found[given["name"]], given)
    return with_custom(list(found.values()), [given for given in schema if given not in restated])


def with_custom(present: Sequence[Definition], schema: Iterable[Mapping[str, Any]]) -> list[Definition]:
    """A pool's attributes and more custom ones. One name is one attribute, whether it is for developers only or not.

    Raises errors.InvalidParameter.
    """
    found = {one["name"].removeprefix(DEVELOPER): one for one in present}
    for given in schema:
        new = _custom(given)
        plain = new["name"].removeprefix(DEVELOPER)
        if plain in found:
            raise errors.InvalidParameter(f"{plain}: Existing attribute already has name {found[plain]['name']}.")
        found[plain] = new
    if sum(map(is_custom, found)) > MOST_CUSTOM:
        raise errors.InvalidParameter(f"A pool has at most {MOST_CUSTOM} custom attributes.")
    return list(found.values())


def _restated(standard: Definition, given: Mapping[str, Any]) -> Definition:
    name = standard["name"]
    if given.get("attribute_data_type", standard["kind"]) != standard["kind"] or given.get("developer_only_attribute"):
        raise errors.InvalidParameter(
            f"You can not change AttributeDataType or set developerOnlyAttribute for standard schema attribute {name}"
        )
    kept = {key: given[key] for key in ("mutable", "required") if given.get(key) is not None}
    restated = {**standard, **kept, **_constraints(name, standard["kind"], given, standard)}
    # Tokens, sessions and rows all name a user by it.
    if name == "sub" and restated != standard:
        raise errors.InvalidParameter("sub is written by the server and cannot be changed.")
    return restated


def _custom(given: Mapping[str, Any]) -> Definition:
    kind = given.get("attribute_data_type")
    if kind is None:
        raise errors.InvalidParameter(
            "Invalid AttributeDataType input, consider using the provided AttributeDataType enum."
        )
    if given.get("required"):
        raise errors.InvalidParameter("Required custom attributes are not supported currently.")
    if "name" not in given:  # the model lets it be left out
        raise errors.InvalidParameter("Value null at 'name' failed to satisfy constraint: Member must not be null")
    if len(given["name"]) > LONGEST_NAME:
        raise errors.InvalidParameter(
            f"{given['name']}: A custom attribute's name has {LONGEST_NAME} characters at most."
        )
    name = (f"{DEVELOPER}custom:" if given.get("developer_only_attribute") else "custom:") + given["name"]
    return {
        "name": name,
        "kind": kind,
        "mutable": given.get("mutable", True),  # (the reference leaves the default open; tools expect this one)
        "required": False,
        **_constraints(given["name"], kind, given),
    }


def _constraints(
    name: str, kind: str, given: Mapping[str, Any], standard: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Bounds from the wire's strings. One that is not given is what it is in the standard, so that the two together
    let something through. Raises errors.InvalidParameter."""
    member, low, high = {
        "String": ("string_attribute_constraints", "min_length", "max_length"),
        "Number": ("number_attribute_constraints", "min_value", "max_value"),
    }.get(kind, ("", "", ""))
    bounds = given.get(member) or {}
    names = ("shortest", "longest") if kind == "String" else ("least", "greatest")
    asked = (_bound(name, kind, bounds.get(which)) for which in (low, high))
    found = {key: value for key, value in zip(names, asked, strict=True) if value is not None}
    least, most = ({**(standard or {}), **found}.get(key) for key in names)
    if kind == "String" and max(least or 0, most or 0) > LONGEST:
        raise errors.InvalidParameter(f"user.{name}: String attributes cannot have a length of more than {LONGEST}")
    if least is not None and most is not None and most < least:
        what = "length" if kind == "String" else "value"
        raise errors.InvalidParameter(f"user.{name}: Max {what} cannot be less than min {what}.")
    return found


def _bound(name: str, kind: str, text: str | None) -> int | None:
    if not text:
        return None
    if not _BOUND.fullmatch(text) or (kind == "String" and int(text) < 0):
        raise errors.InvalidParameter(f"Invalid {kind}AttributeConstraints for schema attribute {name}")
    return int(text)
