"""What an app client's settings may be, and what they are when nobody gives them (reference: 3.1, 3.2)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from app import errors
from app.models import Pool
from app.models.client import DEFAULT_VALIDITY, LEGACY_FLOWS, UNITS
from app.policy.attributes import SERVER_ONLY
from app.tokens.claims import API_SCOPE, OIDC_SCOPES

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEFAULTS = {
    "refresh_token_validity": 30,
    "prevent_user_existence_errors": "LEGACY",
    "enable_token_revocation": True,
    "enable_propagate_additional_user_context_data": False,
    "auth_session_validity": 3,
    "allowed_oauth_flows_user_pool_client": False,
}
KEPT = ("session_configuration", "newest_secret", "require_pkce")
"""What other operations set, and an update leaves alone."""


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """As given, with Cognito's defaults. A refresh token that lives for 0 units has the default too."""
    settings = {**DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    settings["refresh_token_validity"] = settings["refresh_token_validity"] or DEFAULTS["refresh_token_validity"]
    return settings


def check(pool: Pool, settings: Mapping[str, Any], *, scopes: Collection[str], confidential: bool) -> None:
    """Refuse settings that contradict one another or name what does not exist. `scopes` are the pool's own.

    Raises errors.InvalidParameter, InvalidOAuthFlow, ScopeDoesNotExist.
    """
    for provider in settings.get("supported_identity_providers") or []:
        if provider != "COGNITO":
            raise errors.InvalidParameter(f"The provider {provider} does not exist for User Pool {pool.id}.")
    _check_auth_flows(settings, confidential)
    _check_attributes(pool, settings)
    _check_oauth(settings, scopes, confidential)
    for url in [*settings.get("callback_urls", []), *settings.get("logout_urls", [])]:
        check_url(url)
    default = settings.get("default_redirect_uri")
    if default is not None and default not in settings.get("callback_urls", []):
        raise errors.InvalidParameter("The default redirect URI must be one of the callback URLs.")
    if settings["enable_propagate_additional_user_context_data"] and not confidential:
        # Anybody can speak for a client without a secret, and would choose the address that risk is judged by.
        raise errors.InvalidParameter("EnablePropagateAdditionalUserContextData needs a client with a secret.")
    _check_validity(settings)


def _check_auth_flows(settings: Mapping[str, Any], confidential: bool) -> None:
    flows = settings.get("explicit_auth_flows") or []
    if "ALLOW_CLIENT_TOKEN_AUTH" in flows and (len(set(flows)) > 1 or not confidential):
        raise errors.InvalidParameter("ALLOW_CLIENT_TOKEN_AUTH must be the only auth flow, of a client with a secret.")
    legacy = [flow for flow in flows if flow in LEGACY_FLOWS]
    if legacy and len(legacy) != len(flows):
        raise errors.InvalidParameter("The auth flows of the old and of the new style cannot be mixed.")
    rotates = (settings.get("refresh_token_rotation") or {}).get("feature") == "ENABLED"
    if rotates and "ALLOW_REFRESH_TOKEN_AUTH" in flows:
        raise errors.InvalidParameter("Refresh token rotation cannot be combined with ALLOW_REFRESH_TOKEN_AUTH.")


def _check_attributes(pool: Pool, settings: Mapping[str, Any]) -> None:
    schema = pool.schema
    for member, barred in (("read_attributes", frozenset[str]()), ("write_attributes", SERVER_ONLY)):
        for name in settings.get(member) or []:
            if name not in schema or name in barred:
                raise errors.InvalidParameter(
                    f"Invalid {member.split('_')[0]} attributes specified while creating a client"
                )
    writable = settings.get("write_attributes")
    if writable:
        missing = [name for name, one in schema.items() if one.required and name != "sub" and name not in writable]
        if missing:
            raise errors.InvalidParameter(f"Required attributes must be writable: {', '.join(missing)}")


def _check_oauth(settings: Mapping[str, Any], custom: Collection[str], confidential: bool) -> None:
    flows = set(settings.get("allowed_oauth_flows") or [])
    scopes: Sequence[str] = settings.get("allowed_oauth_scopes") or []
    enabled = settings["allowed_oauth_flows_user_pool_client"]
    if "client_credentials" in flows and len(flows) > 1:
        raise errors.InvalidOAuthFlow(
            "client_credentials flow can not be selected along with code flow or implicit flow"
        )
    if "client_credentials" in flows and not confidential:
        raise errors.InvalidOAuthFlow(
            "client_credentials flow can not be selected if client does not have a client secret."
        )
    if enabled and not (flows and scopes):
        raise errors.InvalidParameter(
            "AllowedOAuthFlows and AllowedOAuthScopes are required if user pool client is allowed to use OAuth flows."
        )
    if enabled and flows & {"code", "implicit"} and not settings.get("callback_urls"):
        raise errors.InvalidParameter("The code and implicit flows need at least one callback URL.")
    for scope in scopes:
        if scope not in OIDC_SCOPES and scope != API_SCOPE and scope not in custom:
            raise errors.ScopeDoesNotExist(f"Invalid scope requested: {scope}")
    if {"phone", "email", "profile"} & set(scopes) and "openid" not in scopes:
        raise errors.InvalidParameter("The scope openid must be present to use phone, email or profile.")


def check_url(url: str) -> None:
    """Absolute, without fragment; https, or http on loopback, or an app's own scheme (reference: 3.1).

    `javascript:` and its like would run in the browser that is sent there. Raises errors.InvalidParameter.
    """
    try:
        parts = urlsplit(url)
        host, web = parts.hostname, parts.scheme in ("http", "https")
        _ = web and parts.port  # which raises for what is no port
    except ValueError:
        raise _not_a_redirect(url) from None
    refused = (
        not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", parts.scheme)
        or "#" in url
        or not url.isascii()  # a URI is (RFC 3986), and it goes into headers as it stands
        or any(c.isspace() or not c.isprintable() for c in url)
        or parts.scheme.lower() in ("javascript", "data", "vbscript", "file", "about", "blob")
        or (web and not host)
        or (parts.scheme == "http" and host not in LOOPBACK)
    )
    if refused:
        raise _not_a_redirect(url)


def _not_a_redirect(url: str) -> errors.InvalidParameter:
    return errors.InvalidParameter(f"{url} is not a valid redirect URI: it needs https, or http on localhost.")


def _check_validity(settings: Mapping[str, Any]) -> None:
    """A unit without its number is the unit of the default number (reference: 3.1)."""
    units = settings.get("token_validity_units") or {}
    life = {}
    for token, low, high in (
        ("access", timedelta(minutes=5), timedelta(days=1)),
        ("id", timedelta(minutes=5), timedelta(days=1)),
        ("refresh", timedelta(minutes=60), timedelta(days=3650)),
    ):
        number, unit = DEFAULT_VALIDITY[token]
        life[token] = (settings.get(f"{token}_token_validity") or number) * UNITS[units.get(f"{token}_token") or unit]
        if not low <= life[token] <= high:
            raise errors.InvalidParameter("Invalid range for token validity.")
    if max(life["access"], life["id"]) > life["refresh"]:
        raise errors.InvalidParameter("ID and access tokens must not live longer than the refresh token.")
