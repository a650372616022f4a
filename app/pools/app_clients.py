"""Making app clients (reference: 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from app import errors
from app.env import Env
from app.models import Client, ClientSecret, Pool
from app.models.client import LEGACY_FLOWS, UNITS
from app.pools import find
from app.tokens.claims import API_SCOPE, OIDC_SCOPES

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def create(
    env: Env, pool: Pool, *, name: str, settings: Mapping[str, Any], generate_secret: bool, secret: str | None
) -> Client:
    """A new client, with a secret that is generated, given, or none.

    Raises errors.InvalidParameter, InvalidOAuthFlow, ScopeDoesNotExist.
    """
    if generate_secret and secret:
        raise errors.InvalidParameter("Only one of GenerateSecret and ClientSecret can be given.")
    plain = env.random.client_secret() if generate_secret else secret
    complete = with_defaults(settings)
    check(env, pool, complete, confidential=plain is not None)
    now = env.now()
    client_id = env.random.client_id()
    with env.transaction():
        env.db.add(Client(id=client_id, pool_id=pool.id, name=name, settings=complete, created_at=now, modified_at=now))
        env.db.flush()
        if plain is not None:
            env.db.add(_secret(env, client_id, plain))
        env.configuration_changed()
    return find.client(env, client_id)


def _secret(env: Env, client_id: str, plain: str) -> ClientSecret:
    now = env.now()
    secret_id = f"{client_id}--{int(now.timestamp())}"
    return ClientSecret(
        id=secret_id,
        client_id=client_id,
        sealed=env.seal.seal(plain.encode("utf-8"), about=f"client secret {secret_id}"),
        digest=secret_digest(env, client_id, plain),
        created_at=now,
    )


def secrets_of(env: Env, client: Client) -> list[str]:
    """The live secrets, in clear: for Describe, and for the hashes that SDKs make with them."""
    return [
        env.seal.open(secret.sealed, about=f"client secret {secret.id}").decode("utf-8") for secret in client.secrets
    ]


def secret_digest(env: Env, client_id: str, plain: str) -> str:
    return env.keyed.digest("client secret", f"{client_id} {plain}")


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: value for name, value in given.items() if value is not None}
    settings.setdefault("refresh_token_validity", 30)
    settings.setdefault("prevent_user_existence_errors", "LEGACY")
    settings.setdefault("enable_token_revocation", True)
    settings.setdefault("auth_session_validity", 3)
    settings.setdefault("allowed_oauth_flows_user_pool_client", False)
    return settings


def check(env: Env, pool: Pool, settings: Mapping[str, Any], *, confidential: bool) -> None:
    """Refuse settings that contradict one another or name what does not exist."""
    if (settings.get("refresh_token_rotation") or {}).get("feature") == "ENABLED":
        raise errors.InvalidParameter("Refresh token rotation is not available in this version of Cognate.")
    for provider in settings.get("supported_identity_providers") or []:
        if provider != "COGNITO":
            raise errors.InvalidParameter(f"The provider {provider} does not exist for User Pool {pool.id}.")
    _check_auth_flows(settings)
    _check_attributes(pool, settings)
    _check_oauth(env, pool, settings, confidential)
    for url in [*settings.get("callback_urls", []), *settings.get("logout_urls", [])]:
        check_url(url)
    default = settings.get("default_redirect_uri")
    if default is not None and default not in settings.get("callback_urls", []):
        raise errors.InvalidParameter("The default redirect URI must be one of the callback URLs.")
    _check_validity(settings)


def _check_auth_flows(settings: Mapping[str, Any]) -> None:
    flows = settings.get("explicit_auth_flows") or []
    legacy = [flow for flow in flows if flow in LEGACY_FLOWS]
    if legacy and len(legacy) != len(flows):
        raise errors.InvalidParameter("The auth flows of the old and of the new style cannot be mixed.")


def _check_attributes(pool: Pool, settings: Mapping[str, Any]) -> None:
    schema = pool.schema
    for member in ("read_attributes", "write_attributes"):
        for name in settings.get(member) or []:
            if name not in schema:
                raise errors.InvalidParameter(
                    f"Invalid {member.split('_')[0]} attributes specified while creating a client"
                )
    writable = settings.get("write_attributes")
    if writable:
        missing = [name for name, one in schema.items() if one.required and name != "sub" and name not in writable]
        if missing:
            raise errors.InvalidParameter(f"Required attributes must be writable: {', '.join(missing)}")


def _check_oauth(env: Env, pool: Pool, settings: Mapping[str, Any], confidential: bool) -> None:
    flows = set(settings.get("allowed_oauth_flows") or [])
    scopes: Sequence[str] = settings.get("allowed_oauth_scopes") or []
    if "client_credentials" in flows and len(flows) > 1:
        raise errors.InvalidOAuthFlow(
            "client_credentials flow can not be selected along with code flow or implicit flow"
        )
    if "client_credentials" in flows and not confidential:
        raise errors.InvalidOAuthFlow(
            "client_credentials flow can not be selected if client does not have a client secret."
        )
    if "implicit" in flows:
        raise errors.InvalidOAuthFlow("The implicit flow is not available in this version of Cognate; use code.")
    if settings["allowed_oauth_flows_user_pool_client"] and not (flows and scopes):
        raise errors.InvalidParameter(
            "AllowedOAuthFlows and AllowedOAuthScopes are required if user pool client is allowed to use OAuth flows."
        )
    if "code" in flows and settings["allowed_oauth_flows_user_pool_client"] and not settings.get("callback_urls"):
        raise errors.InvalidParameter("The code flow needs at least one callback URL.")
    custom = find.scopes(env, pool)
    for scope in scopes:
        if scope not in OIDC_SCOPES and scope != API_SCOPE and scope not in custom:
            raise errors.ScopeDoesNotExist(f"Invalid scope requested: {scope}")
    if {"phone", "email", "profile"} & set(scopes) and "openid" not in scopes:
        raise errors.InvalidParameter("The scope openid must be present to use phone, email or profile.")


def check_url(url: str) -> None:
    """Absolute, without fragment; https, or http on loopback, or an app's own scheme (reference: 3.1).

    `javascript:` and its like would run in the browser that is sent there. Raises errors.InvalidParameter.
    """
    parts = urlsplit(url)
    refused = (
        not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", parts.scheme)
        or "#" in url
        or not url.isascii()  # a URI is (RFC 3986), and it goes into headers as it stands
        or any(c.isspace() or not c.isprintable() for c in url)
        or parts.scheme.lower() in ("javascript", "data", "vbscript", "file", "about", "blob")
        or (parts.scheme in ("http", "https") and not parts.hostname)
        or (parts.scheme == "http" and parts.hostname not in LOOPBACK)
    )
    if refused:
        raise errors.InvalidParameter(f"{url} is not a valid redirect URI: it needs https, or http on localhost.")


def _check_validity(settings: Mapping[str, Any]) -> None:
    units = settings.get("token_validity_units") or {}
    life = {}
    for token, unit, low, high in (
        ("access", "hours", timedelta(minutes=5), timedelta(days=1)),
        ("id", "hours", timedelta(minutes=5), timedelta(days=1)),
        ("refresh", "days", timedelta(minutes=60), timedelta(days=3650)),
    ):
        number = settings.get(f"{token}_token_validity") or (30 if token == "refresh" else 1)
        life[token] = number * UNITS[units.get(f"{token}_token") or unit]
        if not low <= life[token] <= high:
            raise errors.InvalidParameter("Invalid range for token validity.")
    if max(life["access"], life["id"]) > life["refresh"]:
        raise errors.InvalidParameter("ID and access tokens must not live longer than the refresh token.")
