"""What only boto3 and pycognito do, or do in a way of their own; what all SDKs do is in test_applications.py."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pycognito import Cognito
from pycognito.aws_srp import AWSSRP
from pycognito.exceptions import SoftwareTokenMFAChallengeException

from tests.journeys.applications import Boto3, Install, Place
from tests.journeys.conftest import RunningServer
from tests.journeys.people import BY_MAIL, NEW, PASSWORD, Authenticator, a_member, a_place, payload, with_totp

pytestmark = pytest.mark.slow


@pytest.fixture
def pool_id(admin: Any) -> str:
    made = admin.create_user_pool(
        PoolName="Journey",
        AliasAttributes=["email"],
        AutoVerifiedAttributes=["email"],
        UsernameConfiguration={"CaseSensitive": False},
    )
    found: str = made["UserPool"]["Id"]
    return found


def app_client(admin: Any, pool_id: str, **given: Any) -> dict[str, Any]:
    flows = ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    made = admin.create_user_pool_client(UserPoolId=pool_id, ClientName="App", ExplicitAuthFlows=flows, **given)
    found: dict[str, Any] = made["UserPoolClient"]
    return found


@pytest.fixture
def anonymous(server: RunningServer, pool_id: str) -> Iterator[Callable[..., Cognito]]:
    """Makes what runs in an application: it has no access key."""
    made: list[Cognito] = []

    def make(client: dict[str, Any], username: str) -> Cognito:
        nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
        one = Cognito(
            pool_id,
            client["ClientId"],
            username=username,
            client_secret=client.get("ClientSecret"),
            boto3_client_kwargs={"endpoint_url": server.base_url, **nobody},
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.client.close()


@pytest.mark.parametrize("secret", [False, True], ids=["public", "confidential"])
def test_from_sign_up_to_global_sign_out(
    server: RunningServer, admin: Any, anonymous: Callable[..., Cognito], pool_id: str, secret: bool
) -> None:
    assert admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]["AliasAttributes"] == ["email"]
    client = app_client(admin, pool_id, GenerateSecret=secret)
    assert ("ClientSecret" in client) is secret
    email = f"{uuid.uuid4()}@example.com"

    newcomer = anonymous(client, "nora")
    newcomer.set_base_attributes(email=email, name="Nora")
    signed_up = newcomer.register("nora", PASSWORD)
    assert signed_up["UserConfirmed"] is False
    [message] = server.messages(email)
    newcomer.confirm_sign_up(message["code"], username="nora")

    nora = anonymous(client, email)
    nora.authenticate(PASSWORD)  # by SRP, and both tokens are verified with the pool's published keys
    first = payload(nora.access_token)
    assert first["username"] == "nora"
    assert first["iss"] == f"{server.base_url}/{pool_id}"

    nora.renew_access_token()
    second = payload(nora.access_token)
    assert second["jti"] != first["jti"]
    assert second["origin_jti"] == first["origin_jti"]

    profile = admin.get_user(AccessToken=nora.access_token)
    attributes = {one["Name"]: one["Value"] for one in profile["UserAttributes"]}
    assert attributes["sub"] == signed_up["UserSub"]
    assert (attributes["email"], attributes["email_verified"]) == (email, "true")

    admin.global_sign_out(AccessToken=nora.access_token)
    with pytest.raises(admin.exceptions.NotAuthorizedException, match="Access Token has been revoked"):
        admin.get_user(AccessToken=nora.access_token)
    with pytest.raises(admin.exceptions.NotAuthorizedException):
        nora.renew_access_token()


def test_an_invited_person_and_a_forgotten_password(
    server: RunningServer, admin: Any, anonymous: Callable[..., Cognito], pool_id: str
) -> None:
    client = app_client(admin, pool_id)
    email = f"{uuid.uuid4()}@example.com"
    admin.admin_create_user(
        UserPoolId=pool_id,
        Username="ivan",
        UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
        DesiredDeliveryMediums=["EMAIL"],
    )
    [invitation] = server.messages(email)
    srp = AWSSRP(
        username="ivan",
        password=invitation["code"],
        pool_id=pool_id,
        client_id=client["ClientId"],
        client=admin,
    )
    tokens = srp.set_new_password_challenge(PASSWORD)
    assert tokens["AuthenticationResult"]["AccessToken"]

    ivan = anonymous(client, "ivan")
    ivan.initiate_forgot_password()
    ivan.confirm_forgot_password(server.messages(email)[0]["code"], NEW)
    ivan.authenticate(NEW)
    admin.revoke_token(Token=ivan.refresh_token, ClientId=client["ClientId"])
    with pytest.raises(admin.exceptions.NotAuthorizedException):
        admin.get_user(AccessToken=ivan.access_token)

    assert admin.admin_get_user(UserPoolId=pool_id, Username=email)["UserStatus"] == "CONFIRMED"
    pages = admin.get_paginator("list_users").paginate(UserPoolId=pool_id, PaginationConfig={"PageSize": 1})
    assert [user["Username"] for page in pages for user in page["Users"]] == ["ivan"]


def test_a_client_with_a_secret_proves_it_with_every_answer(
    server: RunningServer, admin: Any, anonymous: Callable[..., Cognito], pool_id: str
) -> None:
    """pycognito goes on computing the hash with the address that was typed, not with the username that came back."""
    client = app_client(admin, pool_id, GenerateSecret=True)
    with_totp(admin, Place(server.base_url, pool_id, client["ClientId"]))
    email = f"{uuid.uuid4()}@example.com"
    nora = anonymous(client, "nora")
    nora.set_base_attributes(email=email)
    nora.register("nora", PASSWORD)
    nora.confirm_sign_up(server.messages(email)[0]["code"], username="nora")

    nora = anonymous(client, email)
    nora.authenticate(PASSWORD)
    app = Authenticator(nora.associate_software_token())
    assert nora.verify_software_token(app.code())
    nora.set_user_mfa_preference(sms_mfa=False, software_token_mfa=True, preferred="SOFTWARE_TOKEN")
    nora.logout()

    with pytest.raises(SoftwareTokenMFAChallengeException):
        nora.authenticate(PASSWORD)
    nora.respond_to_software_token_mfa_challenge(app.code())
    nora.renew_access_token()
    assert payload(nora.access_token)["username"] == "nora"


# -- what an administrator's server does for somebody ------------------------------------------------------------------


def test_an_administrators_server_signs_somebody_in_and_out(
    server: RunningServer, admin: Any, install: Install
) -> None:
    place = a_place(server, admin, "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
    with_totp(admin, place)
    laptop = install(Boto3, place)
    a_member(server, laptop)
    which = {"UserPoolId": place.pool_id, "ClientId": place.client_id}
    given = {"USERNAME": "nora", "PASSWORD": PASSWORD}

    for flow in ("ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"):
        answer = admin.admin_initiate_auth(**which, AuthFlow=flow, AuthParameters=given)
        assert payload(answer["AuthenticationResult"]["AccessToken"])["username"] == "nora"
    with pytest.raises(admin.exceptions.InvalidParameterException):
        admin.initiate_auth(ClientId=place.client_id, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=given)

    assert laptop.sign_in("nora", PASSWORD) is None
    app = Authenticator(laptop.associate())
    laptop.verify(app.code(), "Telephone")
    whose = {"UserPoolId": place.pool_id, "Username": "nora"}
    admin.admin_set_user_mfa_preference(**whose, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True})
    asked = admin.admin_initiate_auth(**which, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=given)
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    answer = admin.admin_respond_to_auth_challenge(
        **which,
        ChallengeName="SOFTWARE_TOKEN_MFA",
        Session=asked["Session"],
        ChallengeResponses={"USERNAME": "nora", "SOFTWARE_TOKEN_MFA_CODE": app.code()},
    )
    access = answer["AuthenticationResult"]["AccessToken"]
    assert laptop.profile()["name"] == "Nora"

    admin.admin_user_global_sign_out(**whose)
    for revoked in (access, laptop.tokens()["access"]):
        with pytest.raises(admin.exceptions.NotAuthorizedException, match="Access Token has been revoked"):
            admin.get_user(AccessToken=revoked)

    admin.admin_delete_software_token(**whose)
    assert laptop.sign_in("nora", PASSWORD) is None  # whoever has lost his telephone is helped


def test_somebody_looks_at_his_sessions_and_ends_one(server: RunningServer, admin: Any, install: Install) -> None:
    place = a_place(server, admin)
    admin.set_user_pool_session_configuration(
        UserPoolId=place.pool_id, UserSessionTracking="ENABLED", TokenSession={"MaxPerUser": 2}
    )
    laptop, phone = install(Boto3, place), install(Boto3, place)
    a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    assert phone.sign_in("nora", PASSWORD) is None

    sessions = laptop.api.list_user_sessions(**laptop.access)["Sessions"]
    assert sorted(one["IsCurrentSession"] for one in sessions) == [False, True]
    [other] = [one for one in sessions if not one["IsCurrentSession"]]
    laptop.api.revoke_user_session(**laptop.access, SessionId=other["SessionId"])
    with pytest.raises(admin.exceptions.NotAuthorizedException):
        admin.get_user(AccessToken=phone.tokens()["access"])
    assert laptop.profile()["name"] == "Nora"

    whose = {"UserPoolId": place.pool_id, "Username": "nora"}
    [left] = admin.admin_list_user_sessions(**whose)["Sessions"]
    admin.admin_revoke_user_session(**whose, SessionId=left["SessionId"])
    with pytest.raises(admin.exceptions.NotAuthorizedException):
        admin.get_user(AccessToken=laptop.tokens()["access"])


# -- flows that begin with a choice ------------------------------------------------------------------------------------


def test_somebody_chooses_how_to_prove_himself(server: RunningServer, admin: Any, install: Install) -> None:
    place = a_place(server, admin, "ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", **BY_MAIL)
    laptop = install(Boto3, place)
    email = a_member(server, laptop)
    client = {"ClientId": place.client_id}

    def begin(**more: str) -> Any:
        return laptop.api.initiate_auth(**client, AuthFlow="USER_AUTH", AuthParameters={"USERNAME": "nora", **more})

    def answer(asked: Any, **given: str) -> Any:
        return laptop.api.respond_to_auth_challenge(
            **client,
            ChallengeName=asked["ChallengeName"],
            Session=asked["Session"],
            ChallengeResponses={"USERNAME": "nora", **given},
        )

    asked = begin()
    assert asked["ChallengeName"] == "SELECT_CHALLENGE"
    assert sorted(asked["AvailableChallenges"]) == ["EMAIL_OTP", "PASSWORD", "PASSWORD_SRP"]
    done = answer(asked, ANSWER="PASSWORD", PASSWORD=PASSWORD)
    assert payload(done["AuthenticationResult"]["AccessToken"])["username"] == "nora"

    asked = begin(PREFERRED_CHALLENGE="EMAIL_OTP")
    assert asked["ChallengeName"] == "EMAIL_OTP" and "EMAIL_OTP" in asked["AvailableChallenges"]
    done = answer(asked, EMAIL_OTP_CODE=server.messages(email)[0]["code"])
    assert payload(done["AuthenticationResult"]["IdToken"])["email"] == email

    done = begin(PREFERRED_CHALLENGE="PASSWORD", PASSWORD=PASSWORD)
    assert laptop.api.get_user_auth_factors(AccessToken=done["AuthenticationResult"]["AccessToken"])[
        "ConfiguredUserAuthFactors"
    ] == ["PASSWORD", "EMAIL_OTP"]


def test_a_code_by_mail_as_the_second_factor(server: RunningServer, admin: Any, install: Install) -> None:
    place = a_place(server, admin, EmailConfiguration=BY_MAIL["EmailConfiguration"])
    admin.set_user_pool_mfa_config(
        UserPoolId=place.pool_id,
        MfaConfiguration="OPTIONAL",
        EmailMfaConfiguration={"Message": "Sign in with {####}", "Subject": "Sign in"},
    )
    laptop = install(Boto3, place)
    email = a_member(server, laptop)
    assert laptop.sign_in("nora", PASSWORD) is None
    laptop.api.set_user_mfa_preference(**laptop.access, EmailMfaSettings={"Enabled": True, "PreferredMfa": True})
    assert laptop.sign_in("nora", PASSWORD) == "EMAIL_OTP"
    message = server.messages(email)[0]
    assert message["subject"] == "Sign in"
    assert laptop.answer("EMAIL_OTP", message["code"]) is None
    assert laptop.profile()["email"] == email
