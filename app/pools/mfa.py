"""Which second factors and passkeys a pool offers (reference: 10.1, 10.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app import errors
from app.env import Env
from app.models import Pool
from app.pools import find, pool_settings, user_pools

SECOND = ("sms_mfa_configuration", "software_token_mfa_configuration", "email_mfa_configuration")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def configure(env: Env, pool: Pool, given: Mapping[str, Any]) -> Pool:
    """Factors as given, and no others. Whether MFA fits them is judged by which members are there, not by what is in
    them. The pool's SMS settings stay where none are given: they are for its codes too.

    Raises errors.InvalidParameter, UnknownPool.
    """
    demand = given.get("mfa_configuration", "OFF")
    offered = [factor for factor in SECOND if given.get(factor) is not None]
    if demand == "OFF" and offered:
        raise errors.InvalidParameter(
            "Invalid MFA configuration given, can't turn off MFA and configure an MFA together."
        )
    if demand != "OFF" and not offered:
        raise errors.InvalidParameter(
            "At least one of [SmsMfaConfiguration] or [SoftwareTokenMfaConfiguration] must be provided."
        )
    passkeys = given.get("web_authn_configuration")
    if passkeys is not None:
        passkeys = {"user_verification": "preferred", **passkeys}
        _check_relying_party(passkeys.get("relying_party_id"))
    sms = given.get("sms_mfa_configuration")
    with env.transaction():
        row = user_pools.locked(env, pool)
        settings = {
            **row.settings,
            "mfa_configuration": demand,
            "sms_mfa": sms is not None,
            "software_token_mfa_configuration": given.get("software_token_mfa_configuration"),
            "email_mfa_configuration": given.get("email_mfa_configuration"),
            "web_authn_configuration": passkeys,
        }
        if sms is not None:
            settings["sms_authentication_message"] = sms.get("sms_authentication_message")
            settings["sms_configuration"] = sms.get("sms_configuration") or row.settings.get("sms_configuration")
            if not settings["sms_configuration"]:
                raise errors.InvalidParameter("SMS configuration is required for MFA by SMS.")
            pool_settings.check_sms(settings["sms_configuration"])
        settings = {name: value for name, value in settings.items() if value is not None}
        pool_settings.check_factors(settings)
        row.settings = settings
        user_pools.changed(env, row)
    return find.pool(env, pool.id)


def configuration(pool: Pool) -> dict[str, Any]:
    """What `configure` was given, in its words; MFA by SMS also where the pool was made with it."""
    names = ("mfa_configuration", "software_token_mfa_configuration", "email_mfa_configuration")
    found = {name: pool.settings.get(name) for name in (*names, "web_authn_configuration")}
    if pool.settings.get("sms_mfa"):
        parts = ("sms_authentication_message", "sms_configuration")
        found["sms_mfa_configuration"] = {name: pool.settings.get(name) for name in parts}
    return found


def _check_relying_party(host: str | None) -> None:
    """A browser takes nothing but the name of a host (Web Authentication Level 3, 5.1.2)."""
    if host is not None and not _HOST.fullmatch(host):
        raise errors.InvalidParameter(f"{host} is not a RelyingPartyId: expected a domain such as auth.example.com.")
