"""What everybody does in an application: the same journeys with boto3, pycognito, amazon-cognito-identity-js, Amplify.

The last two run in Node; without it, or without what `make test` installs with npm, theirs are skipped.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.journeys.applications import KINDS, Application, Install, Place, Refused
from tests.journeys.conftest import RunningServer
from tests.journeys.people import NEW, PASSWORD, Authenticator, a_member, a_place, payload, with_totp

# A client does to one database what it does to the other: test_sdk and the tests of the use-cases have both.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", ["sqlite"], indirect=True)]


@pytest.fixture(params=KINDS)
def application(request: pytest.FixtureRequest, install: Install) -> Callable[[Place], Application]:
    """Starts the application, with one of the SDKs, on one more device."""
    kind = KINDS[request.param]
    return lambda place: install(kind, place)


def assert_ended(admin: Any, place: Place, tokens: dict[str, str]) -> None:
    """Whoever kept them can do nothing with them."""
    with pytest.raises(admin.exceptions.NotAuthorizedException, match="Access Token has been revoked"):
        admin.get_user(AccessToken=tokens["access"])
    for flow in ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"):
        with pytest.raises(admin.exceptions.NotAuthorizedException, match="Refresh Token has been revoked"):
            admin.initiate_auth(
                ClientId=place.client_id, AuthFlow=flow, AuthParameters={"REFRESH_TOKEN": tokens["refresh"]}
            )
    with pytest.raises(admin.exceptions.NotAuthorizedException, match="Refresh Token has been revoked"):
        admin.get_tokens_from_refresh_token(ClientId=place.client_id, RefreshToken=tokens["refresh"])


def test_somebody_signs_up_signs_in_by_srp_and_signs_out_everywhere(
    server: RunningServer, admin: Any, application: Callable[[Place], Application]
) -> None:
    place = a_place(server, admin)
    laptop, phone = application(place), application(place)
    email = a_member(server, laptop)

    with pytest.raises(Refused) as refused:
        laptop.sign_in(email, NEW)
    assert (refused.value.name, refused.value.message) == ("NotAuthorizedException", "Incorrect username or password.")
    assert laptop.sign_in(email, PASSWORD) is None
    assert phone.sign_in("nora", PASSWORD) is None
    profile = laptop.profile()
    assert (profile["email"], profile["name"]) == (email, "Nora")
    assert payload(laptop.tokens()["id"])["sub"] == profile["sub"]

    laptop.change(name="Nora Doe")
    assert phone.profile()["name"] == "Nora Doe"
    before = payload(phone.tokens()["access"])
    after = payload(phone.refresh())
    assert after["jti"] != before["jti"]
    assert (after["origin_jti"], after["auth_time"]) == (before["origin_jti"], before["auth_time"])
    assert payload(phone.tokens()["id"])["name"] == "Nora Doe"
    laptop.change_password(PASSWORD, NEW)

    kept = laptop.tokens()
    laptop.sign_out()
    assert_ended(admin, place, kept)
    assert phone.profile()["name"] == "Nora Doe"

    assert laptop.sign_in("nora", NEW) is None
    kept = laptop.tokens()
    laptop.sign_out_everywhere()
    assert_ended(admin, place, kept)
    assert_ended(admin, place, phone.tokens())
    with pytest.raises(Refused) as refused:
        phone.profile()
    assert (refused.value.name, refused.value.message) == (
        "NotAuthorizedException",
        "Access Token has been revoked",
    )
    with pytest.raises(Refused) as refused:
        phone.refresh()
    assert refused.value.name == "NotAuthorizedException"


def test_an_authenticator_app_is_set_up_and_then_asked_for(
    server: RunningServer, admin: Any, application: Callable[[Place], Application]
) -> None:
    place = a_place(server, admin)
    with_totp(admin, place)
    laptop = application(place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None

    app = Authenticator(laptop.associate())
    with pytest.raises(Refused) as refused:
        laptop.verify(app.wrong(), "Telephone")
    assert refused.value.name == "EnableSoftwareTokenMFAException"
    laptop.verify(app.code(), "Telephone")
    laptop.prefer()
    user = admin.get_user(AccessToken=laptop.tokens()["access"])
    assert (user["UserMFASettingList"], user["PreferredMfaSetting"]) == (["SOFTWARE_TOKEN_MFA"], "SOFTWARE_TOKEN_MFA")
    laptop.sign_out()

    assert laptop.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    with pytest.raises(Refused) as refused:
        laptop.answer("SOFTWARE_TOKEN_MFA", app.wrong())
    assert refused.value.name == "CodeMismatchException"
    code = app.code()
    assert laptop.answer("SOFTWARE_TOKEN_MFA", code) is None  # the session has outlived the wrong code
    assert laptop.profile()["name"] == "Nora"
    assert payload(laptop.refresh())["username"] == "nora"

    thief = application(place)
    assert thief.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    with pytest.raises(Refused) as refused:
        thief.answer("SOFTWARE_TOKEN_MFA", code)
    assert (refused.value.name, refused.value.message) == (
        "ExpiredCodeException",
        "Your software token has already been used once.",
    )
    kept = laptop.tokens()
    laptop.sign_out_everywhere()
    assert_ended(admin, place, kept)


def test_a_remembered_device_comes_back_and_is_not_asked_for_a_code(
    server: RunningServer, admin: Any, application: Callable[[Place], Application]
) -> None:
    place = a_place(
        server,
        admin,
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": True},
    )
    with_totp(admin, place)
    laptop = application(place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    assert laptop.device_key() in laptop.devices()
    app = Authenticator(laptop.associate())
    laptop.verify(app.code(), "Telephone")
    laptop.prefer()
    laptop.sign_out()

    # It is known by now, but nobody has said that it be remembered.
    assert laptop.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    assert laptop.answer("SOFTWARE_TOKEN_MFA", app.code()) is None
    laptop.remember()
    laptop.sign_out()

    assert laptop.sign_in("nora", PASSWORD) is None
    key = laptop.device_key()
    assert key and payload(laptop.tokens()["access"])["device_key"] == key
    assert payload(laptop.refresh())["device_key"] == key
    without_device = {"REFRESH_TOKEN": laptop.tokens()["refresh"]}
    with pytest.raises(admin.exceptions.NotAuthorizedException, match="Invalid Refresh Token"):
        admin.initiate_auth(ClientId=place.client_id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=without_device)

    another = application(place)
    assert another.sign_in("nora", PASSWORD) == "SOFTWARE_TOKEN_MFA"
    assert another.answer("SOFTWARE_TOKEN_MFA", app.code()) is None
    assert another.device_key() in another.devices()
    assert another.device_key() != key

    laptop.sign_out_everywhere()
    assert laptop.sign_in("nora", PASSWORD) is None  # signing out is not forgetting


@pytest.mark.parametrize("application", ["amazon-cognito-identity-js", "amplify"], indirect=True)
def test_a_forgotten_device_is_forgotten_on_both_sides(
    server: RunningServer, admin: Any, application: Callable[[Place], Application]
) -> None:
    place = a_place(server, admin, DeviceConfiguration={"ChallengeRequiredOnNewDevice": True})
    laptop = application(place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    key = laptop.device_key()
    assert key
    laptop.sign_out()
    admin.admin_forget_device(UserPoolId=place.pool_id, Username="nora", DeviceKey=key)

    assert laptop.sign_in("nora", PASSWORD) is None
    assert laptop.device_key() not in (None, key)
    assert laptop.devices() == [laptop.device_key()]
