"""What administrators do with users, at the door."""

from collections.abc import Callable
from typing import Any

import pytest

from app.env import Env
from app.models import Client, OutboxMessage, Pool
from tests import build
from tests.api.conftest import Api

EMAIL = [{"Name": "email", "Value": "bob@example.com"}, {"Name": "email_verified", "Value": "true"}]
Sent = Callable[..., list[OutboxMessage]]


def test_an_invited_person_chooses_a_password(api: Api, pool: Pool, client: Client, sent: Sent) -> None:
    made = api(
        "AdminCreateUser",
        UserPoolId=pool.id,
        Username="bob",
        UserAttributes=EMAIL,
        DesiredDeliveryMediums=["EMAIL"],
    )["User"]
    assert made == {
        "Username": "bob",
        "Attributes": [{"Name": "sub", "Value": made["Attributes"][0]["Value"]}, *EMAIL],
        "UserCreateDate": 1772366400.0,
        "UserLastModifiedDate": 1772366400.0,
        "Enabled": True,
        "UserStatus": "FORCE_CHANGE_PASSWORD",
    }
    [invitation] = sent("bob@example.com")
    given = {"USERNAME": "bob", "PASSWORD": invitation.code}
    asked = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"


def test_a_user_can_be_made_in_silence(api: Api, pool: Pool, sent: Sent) -> None:
    api("AdminCreateUser", UserPoolId=pool.id, Username="bob", UserAttributes=EMAIL, MessageAction="SUPPRESS")
    assert sent() == []


def test_a_blank_temporary_password_is_none(api: Api, env: Env, pool: Pool) -> None:
    """One is made up then, or there is none where a code signs in: "omit this parameter or submit a blank value"."""
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}
    for where, status in ((pool, "FORCE_CHANGE_PASSWORD"), (build.a_pool(env, policies=policies), "CONFIRMED")):
        given = {"Username": "bob", "UserAttributes": EMAIL, "TemporaryPassword": ""}
        assert api("AdminCreateUser", UserPoolId=where.id, **given)["User"]["UserStatus"] == status


def test_an_invitation_can_be_sent_again(api: Api, pool: Pool, sent: Sent) -> None:
    given = {"UserPoolId": pool.id, "Username": "bob", "DesiredDeliveryMediums": ["EMAIL"]}
    api("AdminCreateUser", **given, UserAttributes=EMAIL)
    again = api("AdminCreateUser", **given, MessageAction="RESEND")["User"]
    assert again["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    second, first = sent("bob@example.com")
    assert second.code != first.code


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"Username": "alice"}, ("UsernameExists", "User account already exists")),
        (
            {"Username": "bob", "UserAttributes": [{"Name": "email_verified", "Value": "true"}]},
            ("InvalidParameter", "Email is required to verify/un-verify an email"),
        ),
        (
            {"Username": "bob", "TemporaryPassword": "short1"},
            ("InvalidPassword", "Password did not conform with policy: Password not long enough"),
        ),
        (
            {"Username": "bob", "UserAttributes": [{"Name": "email", "Value": "alice@example.com"}, EMAIL[1]]},
            ("AliasExists", "An account with the given email already exists."),
        ),
        ({"Username": "nobody", "MessageAction": "RESEND"}, ("UserNotFound", "User does not exist.")),
        (
            {"Username": "alice", "MessageAction": "RESEND"},
            ("UnsupportedUserState", "Resend not possible. alice status is not FORCE_CHANGE_PASSWORD"),
        ),
    ],
)
def test_what_an_administrator_may_not_make(api: Api, env: Env, pool: Pool, given: Any, refusal: Any) -> None:
    build.a_user(env, pool)
    assert api.refused("AdminCreateUser", UserPoolId=pool.id, **given) == refusal


def test_a_user_is_found_by_every_name_he_has(api: Api, env: Env, pool: Pool) -> None:
    alice = build.a_user(env, pool, name="Alice")
    for name in ("alice", "ALICE", "alice@example.com", alice.sub):
        found = api("AdminGetUser", UserPoolId=pool.id, Username=name)
        assert found["Username"] == "alice"
        assert found["UserAttributes"] == [
            {"Name": "sub", "Value": alice.sub},
            {"Name": "email", "Value": "alice@example.com"},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "name", "Value": "Alice"},
        ]
    assert api.refused("AdminGetUser", UserPoolId=pool.id, Username="nobody")[0] == "UserNotFound"


def test_a_user_of_another_pool_is_not_found(api: Api, env: Env, pool: Pool) -> None:
    other = build.a_pool(env, algorithm="ES256")
    alice = build.a_user(env, other)
    for name in ("alice", alice.sub):
        assert api.refused("AdminGetUser", UserPoolId=pool.id, Username=name)[0] == "UserNotFound"


def test_users_are_listed_a_page_at_a_time(api: Api, env: Env, pool: Pool) -> None:
    for name in ("a", "b", "c"):
        build.a_user(env, pool, name, email=None)
    first = api("ListUsers", UserPoolId=pool.id, Limit=2)
    second = api("ListUsers", UserPoolId=pool.id, Limit=2, PaginationToken=first["PaginationToken"])
    assert "PaginationToken" not in second
    assert {user["Username"] for user in first["Users"] + second["Users"]} == {"a", "b", "c"}
    assert len(api("ListUsers", UserPoolId=pool.id, Limit=0)["Users"]) == 3


def test_only_the_attributes_that_were_asked_for_are_listed(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool)
    [alice] = api("ListUsers", UserPoolId=pool.id, AttributesToGet=["email", "birthdate"])["Users"]
    assert alice["Attributes"] == [{"Name": "email", "Value": "alice@example.com"}]


def test_a_page_token_is_of_one_pool(api: Api, env: Env, pool: Pool) -> None:
    for name in ("a", "b"):
        build.a_user(env, pool, name, email=None)
    token = api("ListUsers", UserPoolId=pool.id, Limit=1)["PaginationToken"]
    other = build.a_pool(env, algorithm="ES256")
    for given in ({"UserPoolId": other.id, "PaginationToken": token}, {"UserPoolId": pool.id, "PaginationToken": "x"}):
        assert api.refused("ListUsers", **given) == ("InvalidParameter", "Invalid pagination token.")


# -- changing --------------------------------------------------------------------------------------------------


def attributes_of(api: Api, pool: Pool, name: str) -> dict[str, str]:
    found = api("AdminGetUser", UserPoolId=pool.id, Username=name)["UserAttributes"]
    return {one["Name"]: one["Value"] for one in found if one["Name"] != "sub"}


def wire(**attributes: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in attributes.items()]


def test_an_administrator_changes_what_no_client_may(api: Api, env: Env, sent: Sent) -> None:
    schema = [{"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True}]
    pool = build.a_pool(env, algorithm="ES256", schema=schema)
    build.a_user(env, pool)
    given = [*wire(email="new@example.com", email_verified="TRUE"), {"Name": "dev:custom:score", "Value": "7"}]
    who = {"UserPoolId": pool.id, "Username": "alice@example.com"}
    assert api("AdminUpdateUserAttributes", **who, UserAttributes=given) == {}
    assert attributes_of(api, pool, "new@example.com") == {
        "email": "new@example.com",
        "email_verified": "true",
        "dev:custom:score": "7",
    }
    assert sent() == []


def test_a_code_is_sent_where_the_administrator_does_not_say_that_the_address_is_proven(
    api: Api, env: Env, pool: Pool, sent: Sent
) -> None:
    build.a_user(env, pool)
    for n in range(7):  # more often than a user himself may have one sent in an hour
        given = wire(email=f"new{n}@example.com")
        api("AdminUpdateUserAttributes", UserPoolId=pool.id, Username="alice", UserAttributes=given)
    assert attributes_of(api, pool, "alice") == {"email": "new6@example.com", "email_verified": "false"}
    assert len(sent()) == 7


def test_attributes_of_a_user_are_deleted_by_name(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool, nickname="Al", locale="de")
    given = {"UserPoolId": pool.id, "Username": "alice", "UserAttributeNames": ["nickname", "email"]}
    assert api("AdminDeleteUserAttributes", **given) == {}
    assert attributes_of(api, pool, "alice") == {"locale": "de"}


@pytest.mark.parametrize(
    ("operation", "given", "refusal"),
    [
        (
            "AdminUpdateUserAttributes",
            {"UserAttributes": [{"Name": "custom:foo", "Value": "1"}]},
            ("InvalidParameter", "Invalid user attributes: user.custom:foo: Attribute does not exist in the schema.\n"),
        ),
        (
            "AdminUpdateUserAttributes",
            {"UserAttributes": wire(email="bob@example.com", email_verified="true")},
            ("AliasExists", "An account with the given email already exists."),
        ),
        (
            "AdminUpdateUserAttributes",
            {"UserAttributes": wire(phone_number_verified="true")},
            ("InvalidParameter", "Phone number is required to verify/un-verify a phone number"),
        ),
        (
            "AdminUpdateUserAttributes",
            {"UserAttributes": [{"Name": "email"}]},
            ("InvalidParameter", "Attribute value for email must not be null"),
        ),
        (
            "AdminDeleteUserAttributes",
            {"UserAttributeNames": ["given_name"]},
            ("InvalidParameter", "Invalid user attributes: given_name: Required attribute cannot be deleted."),
        ),
        (
            "AdminDeleteUserAttributes",
            {"UserAttributeNames": ["custom:foo"]},
            ("InvalidParameter", "Invalid user attributes: user.custom:foo: Attribute does not exist in the schema.\n"),
        ),
    ],
)
def test_what_an_administrator_may_not_change(
    api: Api, env: Env, operation: str, given: dict[str, Any], refusal: tuple[str, str]
) -> None:
    pool = build.a_pool(env, algorithm="ES256", schema=[{"name": "given_name", "required": True}])
    build.a_user(env, pool, given_name="Alice")
    build.a_user(env, pool, "bob", email="bob@example.com")
    before = attributes_of(api, pool, "alice")
    assert api.refused(operation, UserPoolId=pool.id, Username="alice", **given) == refusal
    assert attributes_of(api, pool, "alice") == before


# -- disabling and deleting ------------------------------------------------------------------------------------


def test_a_disabled_user_cannot_sign_in_until_he_is_enabled(api: Api, env: Env, pool: Pool, client: Client) -> None:
    build.a_user(env, pool)
    who = {"UserPoolId": pool.id, "Username": "alice"}
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    sign_in = {"ClientId": client.id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": given}
    tokens = api("InitiateAuth", **sign_in)["AuthenticationResult"]
    for _ in range(2):
        assert api("AdminDisableUser", **who) == {}
    assert api("AdminGetUser", **who)["Enabled"] is False
    assert api.refused("InitiateAuth", **sign_in) == ("NotAuthorized", "User is disabled.")
    refresh = {"ClientId": client.id, "AuthFlow": "REFRESH_TOKEN_AUTH"}
    refresh |= {"AuthParameters": {"REFRESH_TOKEN": tokens["RefreshToken"]}}
    assert api.refused("InitiateAuth", **refresh) == ("NotAuthorized", "Refresh Token has been revoked")
    for _ in range(2):
        assert api("AdminEnableUser", **who) == {}
    assert api.refused("InitiateAuth", **refresh) == ("NotAuthorized", "Refresh Token has been revoked")
    assert api.refused("GetUser", AccessToken=tokens["AccessToken"])[1] == "Access Token has been revoked"
    assert api("InitiateAuth", **sign_in)["AuthenticationResult"]


def test_a_user_is_deleted_whether_or_not_he_was_disabled(api: Api, env: Env, pool: Pool) -> None:
    for name in ("alice", "bob"):
        build.a_user(env, pool, name, email=None)
    api("AdminDisableUser", UserPoolId=pool.id, Username="bob")
    for name in ("alice", "bob"):
        assert api("AdminDeleteUser", UserPoolId=pool.id, Username=name) == {}
        refused = api.refused("AdminDeleteUser", UserPoolId=pool.id, Username=name)
        assert refused == ("UserNotFound", "User does not exist.")


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("AdminGetUser", {}),
        ("AdminUpdateUserAttributes", {"UserAttributes": wire(nickname="x")}),
        ("AdminDeleteUserAttributes", {"UserAttributeNames": ["email"]}),
        ("AdminDisableUser", {}),
        ("AdminEnableUser", {}),
        ("AdminDeleteUser", {}),
    ],
)
def test_nobody_in_another_pool_is_meant(api: Api, env: Env, pool: Pool, operation: str, given: Any) -> None:
    alice = build.a_user(env, pool)
    other = build.a_pool(env, algorithm="ES256")
    for name in ("alice", alice.sub, "alice@example.com", "nobody"):
        refused = api.refused(operation, UserPoolId=other.id, Username=name, **given)
        assert refused == ("UserNotFound", "User does not exist.")
    assert api("AdminGetUser", UserPoolId=pool.id, Username="alice")["Enabled"]


def test_what_only_a_trigger_would_see_is_taken_and_not_kept(api: Api, pool: Pool) -> None:
    made = api(
        "AdminCreateUser",
        UserPoolId=pool.id,
        Username="bob",
        ValidationData=wire(invitation="7"),
        ClientMetadata={"source": "test"},
    )["User"]
    assert [one["Name"] for one in made["Attributes"]] == ["sub"]


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("AdminUpdateUserAttributes", {"UserAttributes": [{"Name": "custom:none", "Value": "x"}]}),
        ("AdminUpdateUserAttributes", {"UserAttributes": [{"Name": "email", "Value": "no address"}]}),
        ("AdminUpdateUserAttributes", {"UserAttributes": [{"Name": "sub", "Value": "x"}]}),
        ("AdminDeleteUserAttributes", {"UserAttributeNames": ["custom:none"]}),
        ("AdminDeleteUserAttributes", {"UserAttributeNames": ["sub"]}),
    ],
)
def test_who_is_not_there_is_told_before_what_is_wrong_with_his_attributes(
    api: Api, pool: Pool, operation: str, members: Any
) -> None:
    said = api.refused(operation, UserPoolId=pool.id, Username="nobody", **members)
    assert said == ("UserNotFound", "User does not exist.")
