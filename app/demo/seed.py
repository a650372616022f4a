"""The demo's pool, made once, and its facts for people and for scripts.

`<data directory>/demo.json` has the facts, secrets included, readable by the owner only. It is written by development
mode alone, which also is what the known user and the open outbox need.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from app import errors
from app.accounts import administer, passwords
from app.config import LOOPBACK, Settings
from app.env import Env
from app.models import Client, Pool
from app.pools import (
    access_keys,
    app_clients,
    client_secrets,
    domains,
    find,
    own_settings,
    resource_servers,
    user_pools,
)
from app.tokens.claims import API_SCOPE, issuer

FILE = "demo.json"
PATH = "/demo"
"""Of the application, below the base URL."""
API = "demo-api"
EMAIL = "demo@example.com"
WEB_SCOPES = ["openid", "email", "profile", API_SCOPE]
Facts = dict[str, Any]


def prepare(env: Env) -> Facts:
    """The demo's facts; makes the pool if there is none yet, and otherwise changes nothing in it but the URLs of its
    own application, which follow the settings."""
    path = env.settings.data_dir / FILE
    seed = _kept(env, path) or _seed(env)
    seed["clients"]["app"] = _application(env, find.pool(env, seed["pool_id"]), seed["clients"].get("app"))
    facts = _described(env, seed)
    _write(path, facts)
    return facts


def written(settings: Settings) -> Facts | None:
    """The facts that an earlier start wrote."""
    try:
        facts: Facts = json.loads((settings.data_dir / FILE).read_text())
        facts["issuer"], facts["clients"]["app"]["client_secret"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts


def origin(settings: Settings) -> str:
    """Where the application is reached: the base URL, where a redirect URI may be below it; else this machine, since
    plain http is allowed to nobody elsewhere."""
    if settings.https or urlsplit(settings.base_url).hostname in LOOPBACK:
        return settings.base_url
    return f"http://localhost:{settings.port}"


def _kept(env: Env, path: Path) -> Facts | None:
    """What an earlier start made, if the database still has it."""
    try:
        kept: Facts = json.loads(path.read_text())
        find.pool(env, kept["pool_id"])
        kept["user"], kept["clients"]["web"], kept["access_key"]
    except (OSError, ValueError, KeyError, TypeError, errors.UnknownPool):
        return None
    return kept


def _seed(env: Env) -> Facts:
    pool = user_pools.create(
        env,
        name="Demo",
        settings={
            "alias_attributes": ["email"],
            "auto_verified_attributes": ["email"],
            "username_configuration": {"case_sensitive": False},
            "policies": {"password_policy": {"minimum_length": 8}},
            "account_recovery_setting": {"recovery_mechanisms": [{"name": "verified_email", "priority": 1}]},
            "schema": [{"name": "email", "required": True, "mutable": True}],
            **own_settings.PRESETS["recommended"],
        },
    )
    _domain(env, pool)
    resource_servers.create(
        env, pool, identifier=API, name="Demo API", scopes=[("read", "Read things"), ("write", "Change things")]
    )
    password = env.random.temporary_password(12, upper=True, lower=True, digits=True, symbols=False)
    administer.create(
        env,
        pool,
        username="demo",
        attributes={"email": EMAIL, "email_verified": "true", "name": "Demo User"},
        temporary_password=password,
        silent=True,
    )
    passwords.set_by_administrator(env, pool, username="demo", password=password, permanent=True)
    key = access_keys.create(env, description="demo")
    return {
        "pool_id": pool.id,
        "user": {"username": "demo", "email": EMAIL, "password": password},
        "clients": {
            "spa": _client(env, _web_client(env, pool, "Demo single-page app", "http://localhost:3000", secret=False)),
            "web": _client(env, _web_client(env, pool, "Demo web app", "http://localhost:3001", secret=True)),
            "machine": _client(env, _machine(env, pool)),
        },
        "access_key": {"id": key.id, "secret": key.secret},
    }


def _domain(env: Env, pool: Pool) -> None:
    """`demo`, unless a pool of an earlier data directory on the same database has it."""
    try:
        domains.create(env, pool, domain="demo", custom=False, settings={})
    except errors.InvalidParameter:
        domains.create(env, pool, domain=f"demo-{pool.short_id.lower()}", custom=False, settings={})


def _web_client(env: Env, pool: Pool, name: str, origin: str, *, secret: bool) -> Client:
    return app_clients.create(
        env,
        pool,
        name=name,
        settings={
            "explicit_auth_flows": ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            "callback_urls": [f"{origin}/callback"],
            "logout_urls": [f"{origin}/"],
            "allowed_oauth_flows": ["code"],
            "allowed_oauth_scopes": WEB_SCOPES,
            "allowed_oauth_flows_user_pool_client": True,
            "supported_identity_providers": ["COGNITO"],
            "prevent_user_existence_errors": "ENABLED",
            "require_pkce": not secret,
        },
        generate_secret=secret,
        secret=None,
    )


def _application(env: Env, pool: Pool, kept: Facts | None) -> Facts:
    """The client of the demo's own application, with the URLs of this start. It is made for a demo of before there was
    one, and anew where somebody has deleted it."""
    home = origin(env.settings) + PATH
    urls = {"callback_urls": f"{home}/callback", "logout_urls": home}
    try:
        client = find.client(env, (kept or {}).get("client_id", ""), pool)
        if not client.confidential:
            raise errors.UnknownClient(client.id)
    except errors.UnknownClient:
        settings: Facts = {
            "explicit_auth_flows": ["ALLOW_REFRESH_TOKEN_AUTH"],
            **{name: [url] for name, url in urls.items()},
            "allowed_oauth_flows": ["code"],
            "allowed_oauth_scopes": WEB_SCOPES,
            "allowed_oauth_flows_user_pool_client": True,
            "supported_identity_providers": ["COGNITO"],
            "prevent_user_existence_errors": "ENABLED",
            "require_pkce": True,
        }
        client = app_clients.create(
            env, pool, name="Demo application", settings=settings, generate_secret=True, secret=None
        )
    stale = {name: url for name, url in urls.items() if url not in client.settings.get(name, [])}
    if stale:
        moved = {
            name: [url, *(one for one in client.settings.get(name, []) if urlsplit(one).path != urlsplit(url).path)]
            for name, url in urls.items()
        }
        client = app_clients.update(env, client, name=None, settings={**client.settings, **moved})
    return {**_client(env, client), "redirect_uri": urls["callback_urls"], "logout_uri": urls["logout_urls"]}


def _machine(env: Env, pool: Pool) -> Client:
    return app_clients.create(
        env,
        pool,
        name="Demo machine",
        settings={
            "allowed_oauth_flows": ["client_credentials"],
            "allowed_oauth_scopes": [f"{API}/read", f"{API}/write"],
            "allowed_oauth_flows_user_pool_client": True,
        },
        generate_secret=True,
        secret=None,
    )


def _client(env: Env, client: Client) -> Facts:
    facts: Facts = {"client_id": client.id}
    for secret in client_secrets.of(env, client):
        facts["client_secret"] = secret
    for url in client.callback_urls:
        facts["redirect_uri"] = url
    for url in client.logout_urls:
        facts["logout_uri"] = url
    facts["scopes"] = client.oauth_scopes
    return facts


def _described(env: Env, seed: Facts) -> Facts:
    """With the URLs, which follow the settings of this start."""
    base = env.settings.base_url
    pool = find.pool(env, seed["pool_id"])
    own = issuer(env.settings, pool)
    return {
        "base_url": base,
        "region": env.settings.region,
        "pool_id": pool.id,
        "issuer": own,
        "discovery_url": f"{own}/.well-known/openid-configuration",
        "demo_url": origin(env.settings) + PATH,
        "sign_in_url": f"{origin(env.settings)}{PATH}/sign-in",
        "outbox_url": f"{base}/dev/outbox",
        **{name: seed[name] for name in ("user", "clients", "access_key")},
    }


def _write(path: Path, facts: Facts) -> None:
    """Whole or not at all, and not readable by others: it has secrets in it."""
    text = json.dumps(facts, indent=2) + "\n"
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def printed(facts: Facts) -> str:
    """The facts for a terminal: aligned, and each line complete in itself, to be copied."""
    machine, key = facts["clients"]["machine"], facts["access_key"]
    token = (
        f"curl -s -u {machine['client_id']}:{machine['client_secret']} "
        f"-d 'grant_type=client_credentials&scope={quote(machine['scopes'][0], safe='')}' "
        f"{facts['issuer']}/oauth2/token"
    )
    users = (
        f"AWS_ACCESS_KEY_ID={key['id']} AWS_SECRET_ACCESS_KEY={key['secret']} AWS_DEFAULT_REGION={facts['region']} "
        f"aws cognito-idp list-users --user-pool-id {facts['pool_id']} --endpoint-url {facts['base_url']}"
    )
    rows = {
        "Sign in": facts["demo_url"],
        "as": f"{facts['user']['username']} (or {facts['user']['email']}), password {facts['user']['password']}",
        "Discovery": facts["discovery_url"],
        "Machine token": token,
        "AWS CLI": users,
        "Outbox": facts["outbox_url"],
    }
    width = max(map(len, rows))
    return "\n".join(["", *(f"  {name:<{width}}  {value}" for name, value in rows.items()), ""])
