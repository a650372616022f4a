"""Rows with good defaults: a_pool(), a_client(), a_machine(), a_user()."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyotp
from sqlalchemy import func, select
from sqlalchemy.orm.attributes import set_committed_value

from app.accounts import credentials, devices, passkeys, sign_up, software_token
from app.crypto import srp
from app.env import Env, Origin
from app.models import Client, Device, LoginSession, Pool, RecoveryCode, User
from app.pools import app_clients, mfa, resource_servers, user_pools
from app.tokens.issue import Tokens
from tests.authenticator import Authenticator

PASSWORD = "Correct-horse-7"
DEVICE_PASSWORD = "made up by the device"
CALLBACK = "https://app.example.com/callback"
LOGOUT = "https://app.example.com/"
PAGE = "https://app.example.com"
"""The origin of the client's pages."""


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


def with_factors(env: Env, pool: Pool, demand: str, *factors: str) -> Pool:
    """The pool with MFA `OPTIONAL` or `ON`, by these of SMS_MFA, SOFTWARE_TOKEN_MFA, EMAIL_OTP."""
    given: dict[str, Any] = {
        "SMS_MFA": ("sms_mfa_configuration", {"sms_configuration": {"sns_caller_arn": "arn:aws:iam::1:role/sms"}}),
        "SOFTWARE_TOKEN_MFA": ("software_token_mfa_configuration", {"enabled": True}),
        "EMAIL_OTP": ("email_mfa_configuration", {"message": "Your code is {####}", "subject": "Signing in"}),
    }
    kept = {"web_authn_configuration": pool.settings.get("web_authn_configuration")}
    return mfa.configure(env, pool, {"mfa_configuration": demand, **dict(given[name] for name in factors), **kept})


def a_pool_with_passkeys(env: Env, *, passkeys: dict[str, Any] | None = None, **settings: Any) -> Pool:
    """A pool whose users may sign in by passkey, at pages of example.com unless `passkeys` says otherwise."""
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}}
    pool = a_pool(env, policies=policies, **settings)
    return mfa.configure(
        env, pool, {"web_authn_configuration": {"relying_party_id": "example.com", **(passkeys or {})}}
    )


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


def an_app(env: Env, user: User) -> str:
    """An authenticator app that he has set up a minute ago; returns the secret that is in it."""
    secret, write = software_token.begin(env, user)
    with env.transaction():
        write()
    now = env.now() - timedelta(minutes=1)
    earlier = replace(env, now=lambda: now)
    matched = software_token.fits(earlier, user, software_token.waiting(env, user), app_code(secret, now))
    assert matched is not None
    with env.transaction():
        software_token.take_into_use(env, matched, name=None, first=True)
    return secret


def app_code(secret: str, moment: datetime) -> str:
    """What an authenticator app with this secret shows."""
    return pyotp.TOTP(secret).at(moment)


def recovery_codes_left(env: Env, user: User) -> int:
    """How many have not been used."""
    with env.reading() as database:
        return database.scalar(select(func.count()).where(RecoveryCode.user_sub == user.sub)) or 0


def a_verifier(group_key: str, key: str, password: str = DEVICE_PASSWORD) -> dict[str, str]:
    """What a device confirms its key with, as Cognito's clients make it: `password_verifier` and `salt`."""
    salt = srp.new_salt()
    made = int(srp.verifier(group_key, key, password, salt), 16)
    encoded = [base64.b64encode(srp.pad(number)).decode("ascii") for number in (made, int(salt, 16))]
    return dict(zip(("password_verifier", "salt"), encoded, strict=True))


def a_device(env: Env, client: Client, user: User, tokens: Tokens, *, name: str = "Her phone") -> Device:
    """The device that signed in for these tokens, confirmed with DEVICE_PASSWORD."""
    assert tokens.new_device is not None
    key = tokens.new_device.key
    with env.reading() as database:
        session = database.scalars(select(LoginSession).where(LoginSession.device_key == key)).one()
    verifier = a_verifier(tokens.new_device.group_key, key)
    devices.confirm(env, client, user, session, key=key, name=name, origin=Origin("203.0.113.7"), **verifier)
    return devices.recognise(env, user, key)


def a_passkey(env: Env, client: Client, user: User, **how: Any) -> Authenticator:
    """An authenticator with a passkey that he has registered, at the client's own page."""
    key = Authenticator(**how)
    options = passkeys.start(env, client, user)
    passkeys.complete(env, client, user, credential=key.register(options, PAGE))
    return key
