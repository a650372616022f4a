"""What only Amplify does, or does in a way of its own; what all do is in test_applications.py."""

import uuid
from typing import Any

import pytest

from tests.journeys.applications import Amplify, Install, Refused
from tests.journeys.conftest import RunningServer
from tests.journeys.people import BY_MAIL, NEW, PASSWORD, Authenticator, a_member, a_place, payload, with_totp

# A client does to one database what it does to the other: test_sdk and the tests of the use-cases have both.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", ["sqlite"], indirect=True)]


def test_a_second_factor_is_set_up_on_the_way_in_where_everybody_needs_one(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(server, admin)
    with_totp(admin, place, "ON")
    laptop = install(Amplify, place)
    a_member(server, laptop)

    step = laptop.step("signIn", username="nora", password=PASSWORD)
    assert step["asked"] == "MFA_SETUP"
    app = Authenticator(step["about"]["secret"])
    assert laptop.answer("MFA_SETUP", app.code()) is None
    assert laptop.profile()["name"] == "Nora"

    laptop.sign_out()
    assert laptop.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    assert laptop.answer("SOFTWARE_TOKEN_MFA", app.code()) is None


def test_asking_whether_an_account_is_confirmed_by_now_locks_nobody_out(
    server: RunningServer, admin: Any, install: Install
) -> None:
    """As Amplify does it every five seconds while somebody looks for the link in his mail."""
    place = a_place(server, admin)
    laptop = install(Amplify, place)
    email = f"{uuid.uuid4()}@example.com"
    laptop.sign_up("nora", PASSWORD, email=email)
    for _ in range(12):
        assert laptop.sign_in("nora", PASSWORD) == "CONFIRM_SIGN_UP"
    laptop.confirm_sign_up("nora", server.messages(email)[0]["code"])
    assert laptop.sign_in("nora", PASSWORD) is None


def test_an_invited_person_chooses_a_password_and_says_what_the_pool_requires(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(
        server,
        admin,
        Schema=[{"Name": "given_name", "AttributeDataType": "String", "Required": True, "Mutable": True}],
    )
    email = f"{uuid.uuid4()}@example.com"
    admin.admin_create_user(
        UserPoolId=place.pool_id,
        Username="ivan",
        UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
        DesiredDeliveryMediums=["EMAIL"],
    )
    laptop = install(Amplify, place)
    step = laptop.step("signIn", username=email, password=server.messages(email)[0]["code"])
    assert (step["asked"], step["about"]["missingAttributes"]) == ("NEW_PASSWORD_REQUIRED", ["given_name"])
    with pytest.raises(Refused) as refused:
        laptop.step("newPassword", password="short", attributes={"given_name": "Ivan"})
    assert refused.value.name == "InvalidPasswordException"
    assert laptop.step("newPassword", password=NEW, attributes={"given_name": "Ivan"})["asked"] is None
    assert laptop.profile()["given_name"] == "Ivan"


def test_a_password_that_was_reset_is_said_to_be(server: RunningServer, admin: Any, install: Install) -> None:
    place = a_place(server, admin)
    laptop = install(Amplify, place)
    a_member(server, laptop)
    admin.admin_reset_user_password(UserPoolId=place.pool_id, Username="nora")
    assert laptop.sign_in("nora", PASSWORD) == "RESET_PASSWORD"


def test_refresh_tokens_are_exchanged_for_new_ones_where_they_rotate(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(
        server,
        admin,
        "ALLOW_USER_SRP_AUTH",
        client={"RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}},
    )
    laptop = install(Amplify, place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    stolen = laptop.tokens()["refresh"]
    laptop.refresh()
    second = laptop.tokens()["refresh"]
    assert second != stolen
    laptop.refresh()
    assert laptop.tokens()["refresh"] not in (stolen, second)

    with pytest.raises(admin.exceptions.RefreshTokenReuseException):
        admin.get_tokens_from_refresh_token(RefreshToken=stolen, ClientId=place.client_id)
    with pytest.raises(Refused):  # whoever has the newest is signed out as well, for nobody knows who is the thief
        laptop.refresh()


def test_without_mfa_a_device_proves_itself_after_the_password(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(server, admin, DeviceConfiguration={"DeviceOnlyRememberedOnUserPrompt": False})
    laptop = install(Amplify, place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    key = laptop.device_key()
    laptop.sign_out()
    assert laptop.sign_in("nora", PASSWORD) is None
    assert (laptop.device_key(), laptop.devices()) == (key, [key])
    assert payload(laptop.tokens()["access"])["device_key"] == key


def test_who_forgets_the_device_in_use_sees_the_list_without_it(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(server, admin, DeviceConfiguration={"DeviceOnlyRememberedOnUserPrompt": False})
    laptop = install(Amplify, place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    key = laptop.device_key()
    assert laptop.devices() == [key]
    laptop.run("forgetDevice")
    assert laptop.devices() == []
    laptop.sign_out()
    assert laptop.sign_in("nora", PASSWORD) is None
    assert laptop.device_key() not in (None, key)


# -- a choice of the first factor ------------------------------------------------------------------------------------


@pytest.fixture
def passwordless(server: RunningServer, admin: Any, install: Install) -> Amplify:
    """An application where Nora, who has signed up, may choose how to come in."""
    place = a_place(
        server,
        admin,
        "ALLOW_USER_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
        **BY_MAIL,
    )
    laptop = install(Amplify, place)
    laptop.email = a_member(server, laptop)  # type: ignore[attr-defined]
    return laptop


def test_somebody_chooses_a_code_by_mail(server: RunningServer, passwordless: Any) -> None:
    step = passwordless.step("signIn", username="nora", flow="USER_AUTH")
    assert step["asked"] == "SELECT_CHALLENGE"
    assert sorted(step["about"]["availableChallenges"]) == ["EMAIL_OTP", "PASSWORD", "PASSWORD_SRP"]
    assert passwordless.step("choose", factor="EMAIL_OTP")["asked"] == "EMAIL_OTP"
    code = server.messages(passwordless.email)[0]["code"]
    assert passwordless.answer("EMAIL_OTP", code) is None
    assert passwordless.profile()["email"] == passwordless.email


@pytest.mark.parametrize("factor", ["PASSWORD", "PASSWORD_SRP"])
def test_somebody_chooses_the_password(passwordless: Any, factor: str) -> None:
    assert passwordless.step("signIn", username="nora", flow="USER_AUTH")["asked"] == "SELECT_CHALLENGE"
    assert passwordless.step("choose", factor=factor)["asked"] == "PASSWORD"
    assert passwordless.answer("PASSWORD", PASSWORD) is None
    assert passwordless.profile()["name"] == "Nora"


@pytest.mark.parametrize("factor", ["PASSWORD", "PASSWORD_SRP"])
def test_who_always_types_the_password_is_asked_for_nothing_else(passwordless: Any, factor: str) -> None:
    step = passwordless.step("signIn", username="nora", password=PASSWORD, flow="USER_AUTH", first=factor)
    assert step["asked"] is None


def test_who_always_wants_a_code_gets_one(server: RunningServer, passwordless: Any) -> None:
    step = passwordless.step("signIn", username=passwordless.email, flow="USER_AUTH", first="EMAIL_OTP")
    assert step["asked"] == "EMAIL_OTP"
    assert passwordless.answer("EMAIL_OTP", server.messages(passwordless.email)[0]["code"]) is None


# -- signed in by having signed up -----------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [None, PASSWORD], ids=["without a password", "with one"])
def test_the_code_that_confirms_an_account_signs_in_as_well(
    server: RunningServer, admin: Any, install: Install, password: str | None
) -> None:
    place = a_place(server, admin, "ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", **BY_MAIL)
    laptop = install(Amplify, place)
    email = f"{uuid.uuid4()}@example.com"
    how = {"username": "nora", "attributes": {"email": email}, "autoSignIn": {"authFlowType": "USER_AUTH"}}
    laptop.run("signUp", password=password, **how)
    confirmed = laptop.run("confirmSignUp", username="nora", code=server.messages(email)[0]["code"])
    assert confirmed == "COMPLETE_AUTO_SIGN_IN"
    assert laptop.step("autoSignIn")["asked"] is None
    assert laptop.profile()["email"] == email
    assert len(server.messages(email)) == 1


def test_an_application_signs_in_by_srp_with_the_password_that_it_has_just_been_told(
    server: RunningServer, admin: Any, install: Install
) -> None:
    laptop = install(Amplify, a_place(server, admin))
    email = f"{uuid.uuid4()}@example.com"
    laptop.run("signUp", username="nora", password=PASSWORD, attributes={"email": email}, autoSignIn=True)
    laptop.run("confirmSignUp", username="nora", code=server.messages(email)[0]["code"])
    assert laptop.step("autoSignIn")["asked"] is None
    assert laptop.profile()["email"] == email
