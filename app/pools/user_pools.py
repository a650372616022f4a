"""Making, listing and removing user pools (reference: 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from app import errors
from app.db import raising
from app.env import Env
from app.models import Domain, Pool, User
from app.paging import Page, page
from app.policy.attributes import standard_attributes
from app.tokens import keys

NOT_YET = "{} is not available in this version of Cognate; leave it out."


def create(env: Env, *, name: str, settings: Mapping[str, Any], algorithm: str = "RS256") -> Pool:
    """A new pool with its signing keys. `settings` in our own words, as given; defaults are filled in.

    Raises errors.InvalidParameter.
    """
    complete = with_defaults(settings)
    now = env.now()
    pool = Pool(
        id=env.random.pool_id(env.settings.region),
        name=name,
        algorithm=algorithm,
        settings=complete,
        generation=0,
        building=None,
        created_at=now,
        modified_at=now,
    )
    pair = keys.pair(env, pool, active_at=now)
    with env.transaction():
        with raising(env.db, pk_pool=errors.ConcurrentModification()):
            env.db.add(pool)
        env.db.add_all(pair)
        env.configuration_changed()
    return pool


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with Cognito's defaults, checked for what contradicts itself. Raises errors.InvalidParameter."""
    refuse_what_is_not_enforced_yet(given)
    settings = {name: value for name, value in given.items() if value is not None}
    if settings.get("alias_attributes") and settings.get("username_attributes"):
        raise errors.InvalidParameter(
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool."
        )
    settings["attributes"] = _attributes(settings.pop("schema", []))
    settings["policies"] = {"password_policy": _password_policy(settings)}
    settings.setdefault("username_configuration", {"case_sensitive": True})
    admin = {"allow_admin_create_user_only": False, **settings.get("admin_create_user_config", {})}
    admin.setdefault("unused_account_validity_days", 7)
    settings["admin_create_user_config"] = admin
    settings.setdefault("mfa_configuration", "OFF")
    settings.setdefault("deletion_protection", "INACTIVE")
    settings.setdefault("user_pool_tier", "ESSENTIALS")
    settings.setdefault("email_configuration", {"email_sending_account": "COGNITO_DEFAULT"})
    settings["verification_message_template"] = _verification(settings)
    return settings


def refuse_what_is_not_enforced_yet(given: Mapping[str, Any]) -> None:
    """A setting that protects somebody is refused as long as nothing acts on it: storing it would be a promise."""
    policies = given.get("policies") or {}
    unkept = {
        "Multi-factor authentication": given.get("mfa_configuration", "OFF") != "OFF",
        "A trigger": any((given.get("lambda_config") or {}).values()),
        "Threat protection": (given.get("user_pool_add_ons") or {}).get("advanced_security_mode", "OFF") != "OFF",
        "A first factor other than the password": set(
            (policies.get("sign_in_policy") or {}).get("allowed_first_auth_factors", ["PASSWORD"])
        )
        != {"PASSWORD"},
        "Password history": bool((policies.get("password_policy") or {}).get("password_history_size")),
        "Device tracking": bool(given.get("device_configuration")),
        "Confirmation by link": (given.get("verification_message_template") or {}).get("default_email_option")
        == "CONFIRM_WITH_LINK",
        "Dynamic client registration": given.get("dcr_configuration") is not None
        and given["dcr_configuration"].get("enable_status", "Enabled") == "Enabled",
        "A customer-managed key": (given.get("key_configuration") or {}).get("key_type") == "CUSTOMER_MANAGED_KEY",
    }
    for what, asked in unkept.items():
        if asked:
            raise errors.InvalidParameter(NOT_YET.format(what))


def _password_policy(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A policy that is given has what it names; a pool without one demands everything (reference: 2.5)."""
    given = (settings.get("policies") or {}).get("password_policy")
    flags = ("require_uppercase", "require_lowercase", "require_numbers", "require_symbols")
    policy: dict[str, Any] = {"minimum_length": 8, **dict.fromkeys(flags, given is None)}
    policy.update(given or {})
    admin_days = (settings.get("admin_create_user_config") or {}).get("unused_account_validity_days")
    days = policy.get("temporary_password_validity_days")
    if admin_days is not None and days is not None and admin_days != days:
        raise errors.InvalidParameter(
            "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays"
        )
    policy["temporary_password_validity_days"] = days or admin_days or 7
    return policy


def _verification(settings: dict[str, Any]) -> dict[str, Any]:
    """The template, with the three legacy members folded in; both given and different is refused (reference: 2.6)."""
    template = {"default_email_option": "CONFIRM_WITH_CODE", **settings.get("verification_message_template", {})}
    legacy = {
        "sms_verification_message": "sms_message",
        "email_verification_message": "email_message",
        "email_verification_subject": "email_subject",
    }
    for old, new in legacy.items():
        value = settings.pop(old, None)
        if value is not None and template.setdefault(new, value) != value:
            raise errors.InvalidParameter("The verification messages given in two places must be equal.")
    return template


def _attributes(schema: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Standard attributes as the schema restates them, and the custom ones under their whole name."""
    found = standard_attributes()
    for given in schema:
        name = given["name"]
        if name in found:
            found[name] = _restated(found[name], given)
        else:
            custom = _custom(given)
            if custom["name"] in found:
                raise errors.InvalidParameter(
                    f"{custom['name']}: Existing attribute already has name {custom['name']}."
                )
            found[custom["name"]] = custom
    return list(found.values())


def _restated(standard: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    name = standard["name"]
    if given.get("attribute_data_type", standard["kind"]) != standard["kind"] or given.get("developer_only_attribute"):
        raise errors.InvalidParameter(
            f"You can not change AttributeDataType or set developerOnlyAttribute for standard schema attribute {name}"
        )
    kept = {key: given[key] for key in ("mutable", "required") if given.get(key) is not None}
    return {**standard, **kept, **_constraints(name, standard["kind"], given)}


def _custom(given: Mapping[str, Any]) -> dict[str, Any]:
    kind = given.get("attribute_data_type")
    if kind is None:
        raise errors.InvalidParameter(
            "Invalid AttributeDataType input, consider using the provided AttributeDataType enum."
        )
    if given.get("required"):
        raise errors.InvalidParameter("Required custom attributes are not supported currently.")
    name = ("dev:custom:" if given.get("developer_only_attribute") else "custom:") + given["name"]
    return {
        "name": name,
        "kind": kind,
        "mutable": given.get("mutable", True),
        "required": False,
        **_constraints(given["name"], kind, given),
    }


def _constraints(name: str, kind: str, given: Mapping[str, Any]) -> dict[str, int]:
    """Bounds from the wire's strings. Raises errors.InvalidParameter."""
    member, low, high = {
        "String": ("string_attribute_constraints", "min_length", "max_length"),
        "Number": ("number_attribute_constraints", "min_value", "max_value"),
    }.get(kind, ("", "", ""))
    bounds = given.get(member) or {}
    try:
        least = int(bounds[low]) if bounds.get(low) else None
        most = int(bounds[high]) if bounds.get(high) else None
    except ValueError:
        raise errors.InvalidParameter(f"Invalid {kind}AttributeConstraints for schema attribute {name}") from None
    if kind == "String" and most is not None and most > 2048:
        raise errors.InvalidParameter(f"user.{name}: String attributes cannot have a length of more than 2048")
    if least is not None and most is not None and most < least:
        what = "length" if kind == "String" else "value"
        raise errors.InvalidParameter(f"user.{name}: Max {what} cannot be less than min {what}.")
    names = ("shortest", "longest") if kind == "String" else ("least", "greatest")
    return {key: value for key, value in zip(names, (least, most), strict=True) if value is not None}


def listed(env: Env, *, limit: int, token: str | None) -> Page[Pool]:
    """Pools in the order of their ids, a page at a time. Raises errors.InvalidParameter for a foreign token."""
    return page(env, select(Pool), by=(Pool.id,), size=limit, token=token, about="pools")


def count_users(env: Env, pool: Pool) -> int:
    with env.reading() as session:
        return int(session.scalar(select(func.count()).select_from(User).where(User.pool_id == pool.id)) or 0)


def delete(env: Env, pool: Pool) -> None:
    """Remove a pool and everything in it. Raises errors.InvalidParameter while it is protected or has a domain."""
    with env.transaction():
        row = env.db.get(Pool, pool.id, with_for_update=True)
        if row is None:
            raise errors.UnknownPool(pool.id)
        if row.protected:
            raise errors.InvalidParameter(
                "The user pool cannot be deleted because deletion protection is activated. "
                "Deletion protection must be inactivated first."
            )
        if env.db.scalar(select(Domain.domain).where(Domain.pool_id == pool.id).limit(1)):
            raise errors.InvalidParameter(
                "User pool cannot be deleted. It has a domain configured that should be deleted first."
            )
        env.db.delete(row)
        env.configuration_changed()
