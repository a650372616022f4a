"""Second factors at the door, in Cognito's words."""

from collections.abc import Callable
from typing import Any

import pytest

from app import errors
from app.accounts import passwords
from app.env import Env
from app.messaging.outbox import Outbox
from app.models import Client, OutboxMessage, Pool, User
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import tokens_of
from tests.build import app_code
from tests.conftest import Clock

ALL = ("SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP")
ON, FIRST = {"Enabled": True}, {"Enabled": True, "PreferredMfa": True}
NEVER = {"Enabled": False, "PreferredMfa": False}
"""What pycognito sends of every factor that is not wanted."""


@pytest.fixture
def pool(env: Env) -> Pool:
    return build.with_factors(env, build.a_pool(env, algorithm="ES256"), "OPTIONAL", *ALL)


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool, phone_number="+15555550100")


@pytest.fixture
def token(env: Env, client: Client, alice: User) -> str:
    return tokens_of(env, client, alice).access


def set_up(api: Api, env: Env, token: str) -> str:
    secret: str = api("AssociateSoftwareToken", AccessToken=token)["SecretCode"]
    code = app_code(secret, env.now())
    assert api("VerifySoftwareToken", AccessToken=token, UserCode=code) == {"Status": "SUCCESS"}
    return secret


def sign_in(api: Api, client: Client, name: str = "alice") -> dict[str, Any]:
    how = {"USERNAME": name, "PASSWORD": build.PASSWORD}
    return api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=how)


def respond(client: Client, asked: dict[str, Any], **given: str) -> dict[str, Any]:
    return {
        "ClientId": client.id,
        "ChallengeName": asked["ChallengeName"],
        "Session": asked["Session"],
        "ChallengeResponses": {"USERNAME": "alice", **given},
    }


def told(found: dict[str, Any]) -> dict[str, Any]:
    members = ("UserMFASettingList", "PreferredMfaSetting", "MFAOptions")
    return {name: found[name] for name in members if name in found}


# -- the app ---------------------------------------------------------------------------------------------------


def test_an_app_is_set_up_preferred_and_asked_for(api: Api, env: Env, client: Client, token: str, clock: Clock) -> None:
    secret = set_up(api, env, token)
    assert len(secret) == 52 and secret.isalnum()
    settings = {"SoftwareTokenMfaSettings": FIRST, "SMSMfaSettings": NEVER}
    assert api("SetUserMFAPreference", AccessToken=token, **settings) == {}
    asked = sign_in(api, client)
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    assert asked["ChallengeParameters"] == {"USER_ID_FOR_SRP": "alice"}
    used = respond(client, asked, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()))
    assert api.refused("RespondToAuthChallenge", **used) == (
        "ExpiredCode",
        "Your software token has already been used once.",
    )
    clock.forward(seconds=30)
    wrong = respond(client, asked, SOFTWARE_TOKEN_MFA_CODE="000000")
    assert api.refused("RespondToAuthChallenge", **wrong) == ("CodeMismatch", "Invalid code received for user")
    right = respond(client, asked, SOFTWARE_TOKEN_MFA_CODE=app_code(secret, env.now()))
    assert api("RespondToAuthChallenge", **right)["AuthenticationResult"]["AccessToken"]


def test_an_app_is_set_up_in_the_sign_in_that_requires_one(api: Api, env: Env) -> None:
    pool = build.with_factors(env, build.a_pool(env, algorithm="ES256"), "ON", "SOFTWARE_TOKEN_MFA")
    client = build.a_client(env, pool)
    build.a_user(env, pool)
    asked = sign_in(api, client)
    assert asked["ChallengeName"] == "MFA_SETUP"
    begun = api("AssociateSoftwareToken", Session=asked["Session"])
    code = app_code(begun["SecretCode"], env.now())
    verified = api("VerifySoftwareToken", Session=begun["Session"], UserCode=code, FriendlyDeviceName="Her phone")
    assert verified["Status"] == "SUCCESS"
    done = api("RespondToAuthChallenge", **respond(client, {**asked, "Session": verified["Session"]}))
    access = done["AuthenticationResult"]["AccessToken"]
    assert told(api("GetUser", AccessToken=access)) == {
        "UserMFASettingList": ["SOFTWARE_TOKEN_MFA"],
        "PreferredMfaSetting": "SOFTWARE_TOKEN_MFA",
    }
    assert sign_in(api, client)["ChallengeParameters"]["FRIENDLY_DEVICE_NAME"] == "Her phone"


@pytest.mark.parametrize(
    "own_words",
    [
        {},
        {
            "AccountRecoverySetting": {
                "RecoveryMechanisms": [
                    {"Name": "verified_email", "Priority": 1},
                    {"Name": "verified_phone_number", "Priority": 2},
                ]
            }
        },
    ],
    ids=["unsaid", "e-mail first"],
)
def test_the_pool_of_the_documentation_can_be_signed_into(
    api: Api, code: Callable[[str], str], own_words: dict[str, Any]
) -> None:
    """CreateUserPool with MfaConfiguration ON and an SmsConfiguration; whoever signs up there has proven a phone, and
    that is the second factor. Where the pool has not said what recovers a password, the phone does not (reference:
    2.7)."""
    phone, mail = "+15555550188", "dora@example.com"
    pool_id = api(
        "CreateUserPool",
        PoolName="Example",
        MfaConfiguration="ON",
        SmsConfiguration={"SnsCallerArn": "arn:aws:iam::1:role/sms"},
        AutoVerifiedAttributes=["phone_number"],
        **own_words,
    )["UserPool"]["Id"]
    client_id = api(
        "CreateUserPoolClient", UserPoolId=pool_id, ClientName="App", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    attributes = [{"Name": "phone_number", "Value": phone}, {"Name": "email", "Value": mail}]
    api("SignUp", ClientId=client_id, Username="dora", Password=build.PASSWORD, UserAttributes=attributes)
    api("ConfirmSignUp", ClientId=client_id, Username="dora", ConfirmationCode=code(phone))
    if own_words:
        verified = [{"Name": "email_verified", "Value": "true"}]
        api("AdminUpdateUserAttributes", UserPoolId=pool_id, Username="dora", UserAttributes=verified)
    how = {"USERNAME": "dora", "PASSWORD": build.PASSWORD}
    asked = api("InitiateAuth", ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=how)
    assert asked["ChallengeName"] == "SMS_MFA"
    done = api(
        "RespondToAuthChallenge",
        ClientId=client_id,
        ChallengeName="SMS_MFA",
        Session=asked["Session"],
        ChallengeResponses={"USERNAME": "dora", "SMS_MFA_CODE": code(phone)},
    )
    assert done["AuthenticationResult"]["AccessToken"]
    forgot = {"ClientId": client_id, "Username": "dora"}
    if own_words:
        assert api("ForgotPassword", **forgot)["CodeDeliveryDetails"]["AttributeName"] == "email"
    else:
        assert api.refused("ForgotPassword", **forgot) == ("InvalidParameter", passwords.NO_ADDRESS)


def test_a_code_that_does_not_verify_the_app(api: Api, env: Env, token: str) -> None:
    call = {"AccessToken": token, "UserCode": "000000", "FriendlyDeviceName": ""}
    assert api.refused("VerifySoftwareToken", **call) == (
        "InvalidParameter",
        "User has not set up software token mfa",
    )
    api("AssociateSoftwareToken", AccessToken=token)
    assert api.refused("VerifySoftwareToken", **call) == (
        "EnableSoftwareTokenMFA",
        "Code mismatch and fail enable Software Token MFA",
    )
    assert api.refused("VerifySoftwareToken", **{**call, "UserCode": "12a456"})[0] == "InvalidParameter"


@pytest.mark.parametrize(
    ("operation", "more"), [("AssociateSoftwareToken", {}), ("VerifySoftwareToken", {"UserCode": "123456"})]
)
def test_one_of_token_and_session_is_needed(
    api: Api, env: Env, token: str, operation: str, more: dict[str, str]
) -> None:
    one = ("InvalidParameter", "Either AccessToken or Session must be given, and not both.")
    assert api.refused(operation, **more) == one
    assert api.refused(operation, **more, AccessToken=token, Session="x" * 43) == one
    assert api.refused(operation, **more, Session="x" * 43) == ("NotAuthorized", "Invalid session for the user.")
    assert api.refused(operation, **more, AccessToken="x.y.z")[0] == "NotAuthorized"


def test_a_pool_without_authenticator_apps(api: Api, env: Env) -> None:
    client = build.a_client(env, build.a_pool(env, algorithm="ES256"))
    token = tokens_of(env, client, build.a_user(env, client.pool)).access
    sentence = "Software Token MFA has not been enabled by the userPool"
    assert api.refused("AssociateSoftwareToken", AccessToken=token) == ("SoftwareTokenMFANotFound", sentence)
    assert api.refused("VerifySoftwareToken", AccessToken=token, UserCode="123456") == (
        "SoftwareTokenMFANotFound",
        sentence,
    )


def test_an_administrator_unregisters_an_app(api: Api, env: Env, pool: Pool, token: str) -> None:
    set_up(api, env, token)
    api("SetUserMFAPreference", AccessToken=token, SoftwareTokenMfaSettings=FIRST)
    which = {"UserPoolId": pool.id, "Username": "alice"}
    assert api("AdminDeleteSoftwareToken", **which) == {}
    assert told(api("AdminGetUser", **which)) == {}
    assert api.refused("AdminDeleteSoftwareToken", **which)[0] == "InvalidParameter"
    which["Username"] = "nobody"
    assert api.refused("AdminDeleteSoftwareToken", **which) == ("UserNotFound", "User does not exist.")


# -- preferences -----------------------------------------------------------------------------------------------


def test_what_is_switched_on_is_shown_and_what_is_empty_is_not(api: Api, pool: Pool, token: str) -> None:
    which = {"UserPoolId": pool.id, "Username": "alice"}
    assert told(api("GetUser", AccessToken=token)) == told(api("AdminGetUser", **which)) == {}
    api("SetUserMFAPreference", AccessToken=token, SMSMfaSettings=ON, EmailMfaSettings=FIRST)
    shown = {
        "UserMFASettingList": ["SMS_MFA", "EMAIL_OTP"],
        "PreferredMfaSetting": "EMAIL_OTP",
        "MFAOptions": [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}],
    }
    assert told(api("GetUser", AccessToken=token)) == told(api("AdminGetUser", **which)) == shown
    api("AdminSetUserMFAPreference", **which, SMSMfaSettings=NEVER, EmailMfaSettings=NEVER)
    assert told(api("GetUser", AccessToken=token)) == {}


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        ("user", "User has not set up software token mfa"),
        ("administrator", "User does not have delivery config set to turn on SOFTWARE_TOKEN_MFA"),
    ],
)
def test_an_app_that_is_not_there_cannot_be_switched_on(
    api: Api, pool: Pool, token: str, by: str, sentence: str
) -> None:
    wanted = {"SoftwareTokenMfaSettings": ON}
    if by == "user":
        refused = api.refused("SetUserMFAPreference", AccessToken=token, **wanted)
        api("AssociateSoftwareToken", AccessToken=token)
        waiting = api.refused("SetUserMFAPreference", AccessToken=token, **wanted)
        assert waiting == ("InvalidParameter", "User has not verified software token mfa")
    else:
        refused = api.refused("AdminSetUserMFAPreference", UserPoolId=pool.id, Username="alice", **wanted)
    assert refused == ("InvalidParameter", sentence)


def test_the_older_operations_know_sms_only(api: Api, pool: Pool, token: str) -> None:
    sms = [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}]
    assert api("SetUserSettings", AccessToken=token, MFAOptions=sms) == {}
    assert api("GetUser", AccessToken=token)["UserMFASettingList"] == ["SMS_MFA"]
    which = {"UserPoolId": pool.id, "Username": "alice"}
    assert api("AdminSetUserSettings", **which, MFAOptions=[]) == {}
    assert told(api("GetUser", AccessToken=token)) == {}
    for wrong in ({"DeliveryMedium": "EMAIL", "AttributeName": "email"}, {"DeliveryMedium": "SMS"}, {}):
        assert api.refused("SetUserSettings", AccessToken=token, MFAOptions=[wrong])[0] == "InvalidParameter"
    which["Username"] = "nobody"
    assert api.refused("AdminSetUserSettings", **which, MFAOptions=sms)[0] == "UserNotFound"


def test_what_a_user_can_sign_in_with(api: Api, env: Env, pool: Pool, token: str) -> None:
    which = {"UserPoolId": pool.id, "Username": "alice"}
    found = {"Username": "alice", "ConfiguredUserAuthFactors": ["PASSWORD", "EMAIL_OTP"]}
    assert api("GetUserAuthFactors", AccessToken=token) == api("AdminGetUserAuthFactors", **which) == found
    set_up(api, env, token)
    api("SetUserMFAPreference", AccessToken=token, SoftwareTokenMfaSettings=FIRST)
    assert api("GetUserAuthFactors", AccessToken=token) == {
        "Username": "alice",
        "PreferredMfaSetting": "SOFTWARE_TOKEN_MFA",
        "UserMFASettingList": ["SOFTWARE_TOKEN_MFA"],
        "ConfiguredUserAuthFactors": ["PASSWORD", "EMAIL_OTP", "SOFTWARE_TOKEN"],
    }
    which["Username"] = "nobody"
    assert api.refused("AdminGetUserAuthFactors", **which) == ("UserNotFound", "User does not exist.")


def test_a_code_by_mail_comes_after_the_password(
    api: Api, env: Env, client: Client, token: str, sent: Callable[..., list[OutboxMessage]]
) -> None:
    api("SetUserMFAPreference", AccessToken=token, EmailMfaSettings=FIRST)
    asked = sign_in(api, client)
    assert asked["ChallengeName"] == "EMAIL_OTP"
    wrong = respond(client, asked, EMAIL_OTP_CODE="000000")
    assert api.refused("RespondToAuthChallenge", **wrong) == (
        "CodeMismatch",
        "Invalid code or auth state for the user.",
    )
    code = sent("alice@example.com")[0].code
    assert api("RespondToAuthChallenge", **respond(client, asked, EMAIL_OTP_CODE=code or ""))["AuthenticationResult"]


def test_a_code_that_could_not_leave_is_told(
    api: Api, client: Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise errors.CodeDeliveryFailure

    api("SetUserMFAPreference", AccessToken=token, EmailMfaSettings=FIRST)
    monkeypatch.setattr(Outbox, "send", fail)
    how = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    call = {"ClientId": client.id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": how}
    assert api.refused("InitiateAuth", **call)[0] == "CodeDeliveryFailure"
