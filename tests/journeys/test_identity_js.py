"""What only amazon-cognito-identity-js does, or does in a way of its own; what all do is in test_applications.py."""

from typing import Any

import pytest

from tests.journeys.applications import IdentityJs, Install, Refused
from tests.journeys.conftest import RunningServer
from tests.journeys.people import PASSWORD, Authenticator, a_member, a_place, payload, with_totp

# A client does to one database what it does to the other: test_sdk and the tests of the use-cases have both.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", ["sqlite"], indirect=True)]


def test_a_second_factor_is_set_up_on_the_way_in_where_everybody_needs_one(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(server, admin)
    with_totp(admin, place, "ON")
    laptop = install(IdentityJs, place)
    a_member(server, laptop)

    assert laptop.sign_in("nora", PASSWORD) == "MFA_SETUP"
    app = Authenticator(laptop.associate())
    with pytest.raises(Refused) as refused:
        laptop.verify(app.wrong(), "Telephone")
    assert refused.value.name == "EnableSoftwareTokenMFAException"
    laptop.verify(app.code(), "Telephone")
    assert laptop.profile()["name"] == "Nora"

    laptop.sign_out()
    assert laptop.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    assert laptop.answer("SOFTWARE_TOKEN_MFA", app.code()) is None


def test_a_device_proves_itself_after_the_code_and_with_the_session_that_the_code_used_up(
    server: RunningServer, admin: Any, install: Install
) -> None:
    """It answers DEVICE_SRP_AUTH with the Session that it had before the code."""
    place = a_place(server, admin, DeviceConfiguration={"ChallengeRequiredOnNewDevice": False})
    with_totp(admin, place)
    laptop = install(IdentityJs, place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    app = Authenticator(laptop.associate())
    laptop.verify(app.code(), "Telephone")
    laptop.prefer()
    key = laptop.device_key()

    assert laptop.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    assert laptop.answer("SOFTWARE_TOKEN_MFA", app.code()) is None
    assert (laptop.device_key(), laptop.devices()) == (key, [key])
    assert payload(laptop.tokens()["access"])["device_key"] == key


def test_a_device_comes_back_with_the_password_in_clear(server: RunningServer, admin: Any, install: Install) -> None:
    place = a_place(
        server,
        admin,
        "ALLOW_USER_PASSWORD_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": False},
    )
    laptop = install(IdentityJs, place)
    email = a_member(server, laptop)
    for _ in range(2):
        step = laptop.step("signIn", username=email, password=PASSWORD, flow="USER_PASSWORD_AUTH")
        assert step["asked"] is None
    assert laptop.devices() == [laptop.device_key()]
    assert payload(laptop.refresh())["device_key"] == laptop.device_key()


def test_somebody_with_two_second_factors_chooses_one(server: RunningServer, admin: Any, install: Install) -> None:
    place = a_place(server, admin, SmsConfiguration={"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"})
    sms = {"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"}}
    with_totp(admin, place, SmsMfaConfiguration=sms)
    laptop = install(IdentityJs, place)
    a_member(server, laptop)
    admin.admin_update_user_attributes(
        UserPoolId=place.pool_id,
        Username="nora",
        UserAttributes=[
            {"Name": "phone_number", "Value": "+12065550100"},
            {"Name": "phone_number_verified", "Value": "true"},
        ],
    )
    assert laptop.sign_in("nora", PASSWORD) is None
    app = Authenticator(laptop.associate())
    laptop.verify(app.code(), "Telephone")
    admin.set_user_mfa_preference(
        AccessToken=laptop.tokens()["access"],
        SMSMfaSettings={"Enabled": True},
        SoftwareTokenMfaSettings={"Enabled": True},
    )

    step = laptop.step("signIn", username="nora", password=PASSWORD)
    assert step["asked"] == "SELECT_MFA_TYPE"
    assert sorted(step["about"]["MFAS_CAN_CHOOSE"].strip("[]").split(",")) == ['"SMS_MFA"', '"SOFTWARE_TOKEN_MFA"']
    step = laptop.step("choose", factor="SMS_MFA")
    assert step["asked"] == "SMS_MFA"
    assert laptop.answer("SMS_MFA", server.messages("+12065550100")[0]["code"]) is None

    assert laptop.sign_in("nora", PASSWORD) == "SELECT_MFA_TYPE"
    assert laptop.step("choose", factor="SOFTWARE_TOKEN_MFA")["asked"] == "SOFTWARE_TOKEN_MFA"
    assert laptop.answer("SOFTWARE_TOKEN_MFA", app.code()) is None
