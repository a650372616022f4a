"""`acr` and `amr`: what tokens say of how surely somebody signed in."""

from typing import Any

import pytest

from app.env import Env, Origin
from app.models import Client, LoginSession
from app.tokens import assurance, issue, refresh
from tests.build import a_client, a_pool, a_user
from tests.tokens.test_tokens import claims_of

PASSWORD, CODE, KEY = ["PASSWORD"], ["EMAIL_OTP"], ["WEB_AUTHN"]


@pytest.mark.parametrize(
    ("met", "level", "methods"),
    [
        (PASSWORD, 1, ["pwd"]),
        (["PASSWORD_VERIFIER"], 1, ["pwd"]),
        (["PASSWORD", "NEW_PASSWORD_REQUIRED"], 1, ["pwd"]),
        (CODE, 2, ["otp", "email_otp"]),
        (["SMS_OTP"], 2, ["otp", "sms"]),
        (KEY, 3, ["swk"]),
        ([*PASSWORD, "SMS_MFA"], 3, ["pwd", "otp", "sms", "mfa"]),
        ([*PASSWORD, "EMAIL_OTP"], 3, ["pwd", "otp", "email_otp", "mfa"]),
        ([*PASSWORD, "RECOVERY_CODE"], 3, ["pwd", "otp", "mfa"]),
        ([*PASSWORD, "DEVICE_SRP_AUTH", "TRUSTED_DEVICE", "DEVICE_PASSWORD_VERIFIER"], 3, ["pwd", "swk", "mfa"]),
        ([*PASSWORD, "DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER"], 1, ["pwd"]),
        ([*PASSWORD, "EMAIL_OTP", "RECOVERED_BY_EMAIL"], 2, ["pwd", "otp", "email_otp"]),
        ([*PASSWORD, "EMAIL_OTP", "RECOVERED_BY_PHONE"], 3, ["pwd", "otp", "email_otp", "mfa"]),
        (["SMS_OTP", *PASSWORD, "RECOVERED_BY_PHONE"], 2, ["otp", "sms", "pwd"]),
        ([*PASSWORD, "SMS_MFA", "RECOVERED_BY_PHONE"], 2, ["pwd", "otp", "sms"]),
        (
            [*PASSWORD, "EMAIL_OTP", "SOFTWARE_TOKEN_MFA", "RECOVERED_BY_EMAIL"],
            4,
            ["pwd", "otp", "email_otp", "mfa"],
        ),
        ([*PASSWORD, "SOFTWARE_TOKEN_MFA"], 4, ["pwd", "otp", "mfa"]),
        (["PASSWORD_VERIFIER", "NEW_PASSWORD_REQUIRED", "MFA_SETUP", "SOFTWARE_TOKEN_MFA"], 4, ["pwd", "otp", "mfa"]),
        ([*PASSWORD, *KEY], 4, ["pwd", "swk", "mfa"]),
        (["CUSTOM_CHALLENGE"], 1, []),
        (["PASSWORD_VERIFIER", "CUSTOM_CHALLENGE"], 1, ["pwd"]),
        ([], 1, []),
    ],
)
def test_levels_and_methods(met: list[str], level: int, methods: list[str]) -> None:
    """Reference 6.6. What only asked, chose or was the customer's own proves nothing that has a name."""
    assert assurance.level(met) == level
    assert assurance.methods(met) == methods


def signed_in(env: Env, client: Client, methods: list[str], **more: Any) -> tuple[LoginSession, issue.Tokens]:
    user = a_user(env, client.pool)
    with env.transaction():
        opened = issue.open_session(
            env, client, user, scope="openid", auth_time=env.now(), methods=methods, origin=Origin(), **more
        )
    return opened.session, issue.signed(env, client, user, opened.session, oauth=True, refresh=opened.refresh)


def stated(env: Env, client: Client, tokens: issue.Tokens) -> list[tuple[Any, Any]]:
    """`acr` and `amr` of the access and of the ID token."""
    both = [claims_of(env, client, token) for token in (tokens.access, tokens.id or "")]
    return [(claims.get("acr"), claims.get("amr")) for claims in both]


def test_nobody_is_told_who_has_not_asked(env: Env) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    _, tokens = signed_in(env, client, PASSWORD)
    assert stated(env, client, tokens) == [(None, None)] * 2


def test_a_pool_that_names_its_levels_says_them(env: Env) -> None:
    names = {"Level1": {"acr_value": "bronze"}, "Level3": {"acr_value": "gold"}}
    client = a_client(env, a_pool(env, algorithm="ES256", acr_configuration=names))
    assert client.pool.acr_values == ("bronze", "urn:cognito:loa:2", "gold", "urn:cognito:loa:4")
    _, tokens = signed_in(env, client, [*PASSWORD, "SMS_MFA"])
    assert stated(env, client, tokens) == [("gold", ["pwd", "otp", "sms", "mfa"])] * 2


def test_a_client_that_asked_is_told_and_goes_on_being_told(env: Env) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    _, tokens = signed_in(env, client, ["CUSTOM_CHALLENGE"], acr_asked=True)
    assert stated(env, client, tokens) == [("urn:cognito:loa:1", None)] * 2
    again = refresh.tokens(env, client, tokens.refresh or "", oauth=True, origin=Origin())
    assert stated(env, client, again) == [("urn:cognito:loa:1", None)] * 2
