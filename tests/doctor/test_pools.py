"""Where pools and clients deviate from what is recommended."""

from dataclasses import replace
from typing import Any

import pytest

from app.doctor import pools
from app.doctor.finding import ADVICE, FINE, PROBLEM, SKIPPED, Finding
from app.doctor.subject import Subject
from app.env import Env
from app.models import Client, Pool
from app.pools import find, own_settings, user_pools
from tests.build import a_client, a_pool, with_factors

LONG = {"minimum_length": 15, "require_uppercase": False, "require_lowercase": False, "require_numbers": False}
POLICIES = {
    "password_policy": {**LONG, "require_symbols": False},
    "sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]},
}
RECOVERY = {"recovery_mechanisms": [{"name": "verified_email", "priority": 1}]}
SOUND_CLIENT: dict[str, Any] = {
    "prevent_user_existence_errors": "ENABLED",
    "explicit_auth_flows": ["ALLOW_USER_SRP_AUTH"],
    "refresh_token_rotation": {"feature": "ENABLED", "retry_grace_period_seconds": 30},
    "require_pkce": True,
}


def names(found: list[Finding]) -> list[str]:
    assert all(one.fix and one.state == ADVICE for one in found), found
    return [one.name for one in found]


def sound(env: Env, **settings: Any) -> Pool:
    """A pool that deviates in nothing; `settings` in place of some of its own."""
    given = {"policies": POLICIES, "account_recovery_setting": RECOVERY, **settings}
    pool = with_factors(env, a_pool(env, **given), "OPTIONAL", "SOFTWARE_TOKEN_MFA")
    user_pools.set_sessions(env, pool, tracking="ENABLED", most=20)
    return own_settings.configure(env, find.pool(env, pool.id), own_settings.PRESETS["recommended"])


def sound_client(env: Env, **settings: Any) -> Client:
    return find.client(env, a_client(env, sound(env), **{**SOUND_CLIENT, **settings}).id)


def test_what_deviates_in_nothing_is_fine(env: Env, subject: Subject) -> None:
    client = sound_client(env)
    assert pools.of_pool(client.pool) == [] and pools.of_client(client) == []
    (found,) = pools.check(subject)
    assert (found.state, found.what) == (FINE, "1 pool, as recommended.")


def test_a_pool_that_was_made_as_in_cognito(env: Env) -> None:
    pool = user_pools.create(env, name="Plain", settings={})
    assert names(pools.of_pool(pool)) == [
        "EndSessionsWithPassword",
        "RecentSignInMinutes",
        "MinimumLength",
        "composition",
        "MfaConfiguration",
        "WEB_AUTHN",
        "AutoVerifiedAttributes",
        "SessionConfiguration",
    ]


def test_a_client_that_was_made_as_in_cognito(env: Env) -> None:
    client = a_client(env, sound(env))
    assert names(pools.of_client(client)) == ["PreventUserExistenceErrors", "RequirePKCE", "RefreshTokenRotation"]


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ({"end_sessions_with_password": False}, "EndSessionsWithPassword"),
        ({"recent_sign_in_minutes": 0}, "RecentSignInMinutes"),
        ({"recent_sign_in_minutes": 60}, "RecentSignInMinutes"),
    ],
)
def test_a_setting_of_our_own(env: Env, own: dict[str, Any], name: str) -> None:
    assert names(pools.of_pool(own_settings.configure(env, sound(env), own))) == [name]


def test_a_password_that_always_comes_with_a_second_factor_may_be_shorter(env: Env) -> None:
    for length, demand, expected in ((8, "ON", []), (7, "ON", ["MinimumLength"]), (14, "OPTIONAL", ["MinimumLength"])):
        policies = {"password_policy": {**POLICIES["password_policy"], "minimum_length": length}}
        pool = with_factors(env, a_pool(env, policies=policies), demand, "SOFTWARE_TOKEN_MFA")
        assert [name for name in names(pools.of_pool(find.pool(env, pool.id))) if name == "MinimumLength"] == expected


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (
            {"account_recovery_setting": {"recovery_mechanisms": [{"name": "admin_only", "priority": 1}]}},
            "by themselves",
        ),
        (
            {"account_recovery_setting": {"recovery_mechanisms": [{"name": "verified_phone_number", "priority": 1}]}},
            "SMS",
        ),
    ],
)
def test_a_password_that_nobody_can_recover(env: Env, given: dict[str, Any], name: str) -> None:
    (found,) = pools.of_pool(sound(env, **given))
    assert found.name == "AccountRecoverySetting" and name in found.what


def test_protection_that_nothing_gives(env: Env) -> None:
    """A setting that is stored only, and reads as a promise."""
    add_ons = {"user_pool_tier": "PLUS", "user_pool_add_ons": {"advanced_security_mode": "ENFORCED"}}
    assert names(pools.of_pool(sound(env, **add_ons))) == ["AdvancedSecurityMode"]


def test_second_factors_that_are_messages_only(env: Env) -> None:
    pool = with_factors(env, sound(env), "OPTIONAL", "EMAIL_OTP")
    found = {one.name: one for one in pools.of_pool(find.pool(env, pool.id))}
    assert "EMAIL_OTP" in found["SoftwareTokenMfaConfiguration"].what


def test_functions_that_this_version_does_not_run_are_a_problem(env: Env) -> None:
    """Sign-ins would be refused (docs/decisions/006)."""
    functions = {
        "pre_sign_up": "arn:aws:lambda:us-east-1:1:function:f",
        "custom_message": "arn:aws:lambda:us-east-1:1:function:g",
    }
    (found,) = pools.of_pool(sound(env, lambda_config=functions))
    assert (found.name, found.state) == ("triggers", PROBLEM)
    assert "PreSignUp, CustomMessage" in found.what


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prevent_user_existence_errors": "LEGACY"}, ["PreventUserExistenceErrors"]),
        ({"allowed_oauth_flows": ["code", "implicit"]}, ["implicit"]),
        ({"enable_token_revocation": False}, ["EnableTokenRevocation"]),
        ({"access_token_validity": 2, "token_validity_units": {"access_token": "hours"}}, ["AccessTokenValidity"]),
        ({"id_token_validity": 90, "token_validity_units": {"id_token": "minutes"}}, ["IdTokenValidity"]),
        ({"refresh_token_validity": 60}, ["RefreshTokenValidity"]),
        ({"callback_urls": ["http://localhost:3000/callback"]}, []),
        ({"refresh_token_rotation": None}, ["RefreshTokenRotation"]),
    ],
)
def test_a_setting_of_a_client(env: Env, given: dict[str, Any], expected: list[str]) -> None:
    assert names(pools.of_client(sound_client(env, **given))) == expected


def test_a_client_without_pkce(env: Env) -> None:
    client = sound_client(env, require_pkce=None)
    assert names(pools.of_client(client)) == ["RequirePKCE"]


def test_loopback_is_for_applications_on_somebodys_machine(env: Env) -> None:
    """Requirement 2. What has a secret is none."""
    urls = {"callback_urls": ["http://localhost:3000/callback"], "logout_urls": ["https://app.example.com/"]}
    client = sound_client(env, secret=True, **urls)
    (found,) = pools.of_client(client)
    assert found.name == "CallbackURLs" and "http://localhost:3000/callback" in found.what


def test_an_address_of_http_that_a_version_before_has_taken(env: Env) -> None:
    client = sound_client(env)
    client.settings = {**client.settings, "logout_urls": ["http://app.example.com/"]}
    assert names(pools.of_client(client)) == ["LogoutURLs"]


def test_all_pools_are_looked_at_or_one(env: Env, subject: Subject) -> None:
    made = [user_pools.create(env, name=f"Pool {n}", settings={}).id for n in range(pools.PAGE + 1)]
    assert {one.pool_id for one in pools.check(subject)} == set(made)
    assert {one.pool_id for one in pools.check(replace(subject, pool_id=made[3]))} == {made[3]}
    (unknown,) = pools.check(replace(subject, pool_id="us-east-1_nobody"))
    assert (unknown.name, unknown.state) == ("pool", PROBLEM)


def test_an_installation_that_cannot_be_opened(unopened: Any, settings: Any) -> None:
    assert [one.state for one in pools.check(unopened(settings))] == [SKIPPED]
