"""Rows with good defaults: a_pool(), a_client(), a_machine(), a_user()."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm.attributes import set_committed_value

from app.accounts import credentials, sign_up
from app.env import Env
from app.models import Client, Pool, User
from app.pools import app_clients, resource_servers, user_pools

PASSWORD = "Correct-horse-7"
CALLBACK = "https://app.example.com/callback"
LOGOUT = "https://app.example.com/"


def a_pool(env: Env, **settings: Any) -> Pool:
    """A pool whose users sign in by username or verified e-mail address."""
    algorithm = settings.pop("algorithm", "RS256")
    given = {
        "alias_attributes": ["email"],
        "auto_verified_attributes": ["email"],
        "username_configuration": {"case_sensitive": False},
        **settings,
    }
    return user_pools.create(env, name="People", settings=given, algorithm=algorithm)


def a_client(env: Env, pool: Pool, *, secret: bool = False, **settings: Any) -> Client:
    """A client that may do all flows of the API, and the code flow with all scopes."""
    given = {
        "explicit_auth_flows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        "callback_urls": [CALLBACK],
        "logout_urls": [LOGOUT],
        "allowed_oauth_flows": ["code"],
        "allowed_oauth_scopes": ["openid", "email", "profile", "aws.cognito.signin.user.admin"],
        "allowed_oauth_flows_user_pool_client": True,
        "supported_identity_providers": ["COGNITO"],
        **settings,
    }
    return app_clients.create(env, pool, name="App", settings=given, generate_secret=secret, secret=None)


def a_machine(env: Env, pool: Pool) -> Client:
    """A confidential client that asks for tokens of its own, with two scopes."""
    resource_servers.create(
        env, pool, identifier="https://api.example.com", name="API", scopes=[("read", "Read"), ("write", "Write")]
    )
    return app_clients.create(
        env,
        pool,
        name="Machine",
        settings={
            "allowed_oauth_flows": ["client_credentials"],
            "allowed_oauth_scopes": ["https://api.example.com/read", "https://api.example.com/write"],
            "allowed_oauth_flows_user_pool_client": True,
        },
        generate_secret=True,
        secret=None,
    )


def a_user(
    env: Env,
    pool: Pool,
    username: str = "alice",
    *,
    email: str | None = "alice@example.com",
    password: str = PASSWORD,
    status: str = "CONFIRMED",
    **other: str,
) -> User:
    """A user with a verified address and a password, made without any message."""
    given = {**({"email": email, "email_verified": "true"} if email else {}), **other}
    sub = env.random.uuid()
    name = sub if pool.username_attributes else username
    prepared = credentials.prepare(env, pool, sub=sub, username=name, password=password)
    with env.transaction():
        user = sign_up.add_user(env, pool, sub=sub, username=name, attributes=given, status=status)
        credentials.store(env, user, prepared)
    set_committed_value(user, "memberships", [])
    return user
