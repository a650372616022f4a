"""What an access token alone may not do, in a pool that demands a recent sign-in for it (pools.own_settings)."""

from typing import Any

import pytest

from app.api import registry
from app.env import Env
from app.models import Client, Pool, User
from app.pools import find, own_settings
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import tokens_of
from tests.conftest import Clock

TOO_OLD = (
    "NotAuthorized",
    "This user pool allows that within 10 minutes of a sign-in only, and the access token is of an older one. "
    "Sign in again, and repeat the request with the new access token.",
)
TRACKED = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
OFF = {"Enabled": False}

DEMANDING: list[Any] = [
    ("SetUserMFAPreference", {"SoftwareTokenMfaSettings": OFF}),
    ("SetUserMFAPreference", {"SMSMfaSettings": {"Enabled": True, "PreferredMfa": True}}),
    ("SetUserSettings", {"MFAOptions": []}),
    ("AssociateSoftwareToken", {}),
    ("VerifySoftwareToken", {"UserCode": "123456"}),
    ("StartWebAuthnRegistration", {}),
    ("CompleteWebAuthnRegistration", {"Credential": {}}),
    ("DeleteWebAuthnCredential", {"CredentialId": "x"}),
    ("UpdateUserAttributes", {"UserAttributes": [{"Name": "phone_number", "Value": "+15555550199"}]}),
    (
        "UpdateUserAttributes",
        {"UserAttributes": [{"Name": "name", "Value": "A"}, {"Name": "email", "Value": "thief@example.com"}]},
    ),
    ("DeleteUserAttributes", {"UserAttributeNames": ["phone_number"]}),
    ("ChangePassword", {"ProposedPassword": "Another-horse-8"}),
    ("ConfirmDevice", {"DeviceKey": "us-east-1_11111111-2222-3333-4444-555555555555"}),
]
FREE = {
    "GetUser": "reads",
    "GetUserAuthFactors": "reads",
    "GetDevice": "reads",
    "ListDevices": "reads",
    "ListUserSessions": "reads",
    "ListWebAuthnCredentials": "reads",
    "GetUserAttributeVerificationCode": "sends a code to an address that the user has, or has asked for recently",
    "VerifyUserAttribute": "needs the code that went there",
    "ForgetDevice": "takes trust away",
    "UpdateDeviceStatus": "gives no trust",
    "RevokeUserSession": "ends something",
    "GlobalSignOut": "ends something",
    "DeleteUser": "ends everything, and leaves nothing to sign in with",
}
"""Operations by access token that demand no recent sign-in, and why."""


@pytest.fixture
def pool(env: Env) -> Pool:
    made = build.a_pool(
        env,
        algorithm="ES256",
        device_configuration=TRACKED,
        policies={"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}},
    )
    build.with_factors(env, made, "OPTIONAL", "SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP")
    return own_settings.configure(env, made, own_settings.PRESETS["recommended"])


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    made = build.a_client(env, pool, explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
    return find.client(env, made.id)


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool, phone_number="+15555550100", phone_number_verified="true")


@pytest.mark.parametrize(("operation", "members"), DEMANDING)
def test_a_stolen_access_token_changes_nothing_that_the_owner_signs_in_with(
    api: Api, env: Env, client: Client, alice: User, clock: Clock, operation: str, members: dict[str, Any]
) -> None:
    token = tokens_of(env, client, alice).access
    clock.forward(minutes=10, seconds=1)
    assert api.refused(operation, AccessToken=token, **members) == TOO_OLD


@pytest.mark.parametrize(("operation", "members"), DEMANDING)
def test_ten_minutes_are_recent(
    api: Api, env: Env, client: Client, alice: User, clock: Clock, operation: str, members: dict[str, Any]
) -> None:
    token = tokens_of(env, client, alice).access
    clock.forward(minutes=10)
    assert "within 10 minutes of a sign-in" not in api.answer(operation, AccessToken=token, **members).text


def test_every_operation_with_an_access_token_has_been_thought_of(api: Api) -> None:
    by_token = {name for name, one in registry.OPERATIONS.items() if one.who == "token"}
    thought_of = {name for name, _ in DEMANDING} | FREE.keys()
    assert by_token == thought_of


def test_refreshing_makes_a_sign_in_no_younger_and_signing_in_again_does(
    api: Api, client: Client, alice: User, clock: Clock
) -> None:
    how = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    begin = {"ClientId": client.id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": how}
    first = api("InitiateAuth", **begin)["AuthenticationResult"]
    clock.forward(minutes=11)
    again = {"REFRESH_TOKEN": first["RefreshToken"]}
    refreshed = api("InitiateAuth", ClientId=client.id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=again)
    off = {"SoftwareTokenMfaSettings": OFF}
    token = refreshed["AuthenticationResult"]["AccessToken"]
    assert api.refused("SetUserMFAPreference", AccessToken=token, **off) == TOO_OLD
    token = api("InitiateAuth", **begin)["AuthenticationResult"]["AccessToken"]
    assert api("SetUserMFAPreference", AccessToken=token, **off) == {}


def test_the_rest_of_a_profile_is_free(api: Api, env: Env, client: Client, alice: User, clock: Clock) -> None:
    token = tokens_of(env, client, alice).access
    clock.forward(minutes=30)
    attributes = [{"Name": "nickname", "Value": "Al"}, {"Name": "email", "Value": "alice@example.com"}]
    assert api("UpdateUserAttributes", AccessToken=token, UserAttributes=attributes) == {"CodeDeliveryDetailsList": []}
    assert api("DeleteUserAttributes", AccessToken=token, UserAttributeNames=["nickname"]) == {}
    changed = {"PreviousPassword": build.PASSWORD, "ProposedPassword": "Another-horse-8"}
    assert api("ChangePassword", AccessToken=token, **changed) == {}


def test_a_pool_as_cognito_has_it_asks_nobody(api: Api, env: Env, pool: Pool, client: Client, alice: User) -> None:
    own_settings.configure(env, pool, own_settings.PRESETS["cognito-compatible"])
    token = tokens_of(env, client, alice).access
    assert api("SetUserMFAPreference", AccessToken=token, SoftwareTokenMfaSettings=OFF) == {}
    assert api("AssociateSoftwareToken", AccessToken=token)["SecretCode"]
