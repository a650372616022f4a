"""A user's own profile at the door: what an access token may see and change of its user."""

from collections.abc import Callable
from typing import Any

import pytest

from app.accounts import administer
from app.api.registry import OPERATIONS
from app.env import Env
from app.models import Client, OutboxMessage, Pool, User
from app.tokens import revoke
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import tokens_of
from tests.conftest import Clock

NEW = "new@example.com"
Sent = Callable[..., list[OutboxMessage]]
Code = Callable[[str], str]


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool)


@pytest.fixture
def token(env: Env, client: Client, alice: User) -> str:
    return tokens_of(env, client, alice).access


def wire(**attributes: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in attributes.items()]


def profile(api: Api, token: str) -> dict[str, str]:
    found = api("GetUser", AccessToken=token)["UserAttributes"]
    return {one["Name"]: one["Value"] for one in found if one["Name"] != "sub"}


# -- GetUser ---------------------------------------------------------------------------------------------------


def test_a_token_shows_whose_it_is(api: Api, env: Env, client: Client) -> None:
    alice = build.a_user(env, client.pool, name="Alice")
    assert api("GetUser", AccessToken=tokens_of(env, client, alice).access) == {
        "Username": "alice",
        "UserAttributes": [
            {"Name": "sub", "Value": alice.sub},
            {"Name": "email", "Value": "alice@example.com"},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "name", "Value": "Alice"},
        ],
    }


def test_a_client_reads_what_it_may(api: Api, env: Env) -> None:
    schema = [{"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True}]
    pool = build.a_pool(env, algorithm="ES256", schema=schema)
    alice = build.a_user(env, pool, name="Alice", **{"dev:custom:score": "7"})
    limited = tokens_of(env, build.a_client(env, pool, read_attributes=["name", "email"]), alice).access
    assert profile(api, limited) == {"email": "alice@example.com", "name": "Alice"}
    unlimited = tokens_of(env, build.a_client(env, pool), alice).access
    assert profile(api, unlimited).keys() == {"email", "email_verified", "name"}


@pytest.mark.parametrize(
    ("lists", "verb"),
    [
        ({"write_attributes": ["name"]}, "write"),
        ({"read_attributes": ["name"]}, "read"),
        ({"read_attributes": ["name"], "write_attributes": ["email"]}, "read"),
    ],
)
def test_a_client_has_no_address_verified_that_it_may_not_read_and_write(
    api: Api, env: Env, pool: Pool, alice: User, code: Code, lists: dict[str, list[str]], verb: str
) -> None:
    limited = tokens_of(env, build.a_client(env, pool, **lists), alice).access
    unlimited = tokens_of(env, build.a_client(env, pool), alice).access
    which = {"AttributeName": "email"}
    refusal = ("NotAuthorized", f"A client attempted to {verb} unauthorized attribute")
    assert api.refused("GetUserAttributeVerificationCode", AccessToken=limited, **which) == refusal
    api("GetUserAttributeVerificationCode", AccessToken=unlimited, **which)
    given = {**which, "Code": code("alice@example.com")}
    assert api.refused("VerifyUserAttribute", AccessToken=limited, **given) == refusal
    assert api("VerifyUserAttribute", AccessToken=unlimited, **given) == {}


# -- changing --------------------------------------------------------------------------------------------------


def test_a_changed_address_is_verified_by_the_code_that_went_there(api: Api, token: str, code: Code) -> None:
    given = wire(email="old@example.com", nickname="Al") + wire(email=NEW)  # of two the last counts
    assert api("UpdateUserAttributes", AccessToken=token, UserAttributes=given) == {
        "CodeDeliveryDetailsList": [
            {"Destination": "n***@e***", "DeliveryMedium": "EMAIL", "AttributeName": "email"},
        ]
    }
    assert profile(api, token) == {"email": NEW, "email_verified": "false", "nickname": "Al"}
    verify = {"AccessToken": token, "AttributeName": "email", "Code": code(NEW)}
    assert api("VerifyUserAttribute", **verify) == {}
    assert profile(api, token)["email_verified"] == "true"
    assert api.refused("VerifyUserAttribute", **verify) == (
        "ExpiredCode",
        "Invalid code provided, please request a code again.",
    )


def test_where_nothing_is_to_be_verified_the_list_is_there_and_empty(api: Api, token: str) -> None:
    given = wire(nickname="Al", email="alice@example.com")
    assert api("UpdateUserAttributes", AccessToken=token, UserAttributes=given) == {"CodeDeliveryDetailsList": []}


def test_attributes_are_removed_by_an_empty_value_and_by_name(api: Api, token: str) -> None:
    api("UpdateUserAttributes", AccessToken=token, UserAttributes=wire(nickname="Al", locale="de", gender="x"))
    api("UpdateUserAttributes", AccessToken=token, UserAttributes=wire(nickname=""))
    assert api("DeleteUserAttributes", AccessToken=token, UserAttributeNames=["locale", "email", "email"]) == {}
    assert profile(api, token) == {"gender": "x"}


def test_a_code_can_be_asked_for(api: Api, env: Env, token: str, code: Code) -> None:
    asked = api("GetUserAttributeVerificationCode", AccessToken=token, AttributeName="email")
    assert asked == {
        "CodeDeliveryDetails": {"Destination": "a***@e***", "DeliveryMedium": "EMAIL", "AttributeName": "email"}
    }
    api("VerifyUserAttribute", AccessToken=token, AttributeName="email", Code=code("alice@example.com"))


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (wire(email_verified="true"), ("NotAuthorized", "A client attempted to write unauthorized attribute")),
        (wire(sub="x"), ("NotAuthorized", "A client attempted to write unauthorized attribute")),
        (
            [{"Name": "custom:foo", "Value": "1"}],
            ("InvalidParameter", "Invalid user attributes: user.custom:foo: Attribute does not exist in the schema.\n"),
        ),
        ([{"Name": "picture"}], ("InvalidParameter", "Attribute value for picture must not be null")),
        ([{"Name": "picture", "Value": None}], ("InvalidParameter", "Attribute value for picture must not be null")),
        (wire(email="nonsense"), ("InvalidParameter", "Invalid email address format.")),
        (wire(phone_number="0123"), ("InvalidParameter", "Invalid phone number format.")),
    ],
)
def test_what_cannot_be_written(api: Api, token: str, given: Any, refusal: tuple[str, str]) -> None:
    assert api.refused("UpdateUserAttributes", AccessToken=token, UserAttributes=given) == refusal


def test_a_taken_address_is_refused_when_it_is_proven(api: Api, env: Env, pool: Pool, token: str, code: Code) -> None:
    build.a_user(env, pool, "bob", email=NEW)
    api("UpdateUserAttributes", AccessToken=token, UserAttributes=wire(email=NEW))
    assert api.refused("VerifyUserAttribute", AccessToken=token, AttributeName="email", Code=code(NEW)) == (
        "AliasExists",
        "An account with the given email already exists.",
    )


def test_refusals_of_codes(api: Api, token: str) -> None:
    sentence = "Invalid attribute name. Only phone_number and email can be verified."
    for operation, other in (("GetUserAttributeVerificationCode", {}), ("VerifyUserAttribute", {"Code": "123456"})):
        refused = api.refused(operation, AccessToken=token, AttributeName="nickname", **other)
        assert refused == ("InvalidParameter", sentence)
    api("GetUserAttributeVerificationCode", AccessToken=token, AttributeName="email")
    assert api.refused("VerifyUserAttribute", AccessToken=token, AttributeName="email", Code="x") == (
        "CodeMismatch",
        "Invalid verification code provided, please try again.",
    )


def test_too_many_codes_are_refused_in_the_word_that_each_operation_has(api: Api, token: str) -> None:
    for _ in range(5):
        api("GetUserAttributeVerificationCode", AccessToken=token, AttributeName="email")
    sentence = "Attempt limit exceeded, please try after some time."
    refused = api.refused("GetUserAttributeVerificationCode", AccessToken=token, AttributeName="email")
    assert refused == ("LimitExceeded", sentence)
    changing = api.refused("UpdateUserAttributes", AccessToken=token, UserAttributes=wire(email=NEW))
    assert changing == ("TooManyRequests", sentence)
    assert profile(api, token)["email"] == "alice@example.com"


# -- leaving ---------------------------------------------------------------------------------------------------


def test_who_has_left_is_gone(api: Api, pool: Pool, token: str) -> None:
    assert api("DeleteUser", AccessToken=token) == {}
    assert api.refused("AdminGetUser", UserPoolId=pool.id, Username="alice")[0] == "UserNotFound"
    assert api.refused("DeleteUser", AccessToken=token) == ("UserNotFound", "User does not exist.")


# -- whose token -----------------------------------------------------------------------------------------------

BY_TOKEN: dict[str, dict[str, Any]] = {
    "GetUser": {},
    "UpdateUserAttributes": {"UserAttributes": wire(nickname="Al")},
    "DeleteUserAttributes": {"UserAttributeNames": ["email"]},
    "DeleteUser": {},
    "GetUserAttributeVerificationCode": {"AttributeName": "email"},
    "VerifyUserAttribute": {"AttributeName": "email", "Code": "123456"},
}


def test_no_operation_on_a_profile_is_forgotten_here() -> None:
    module = OPERATIONS["GetUser"].run.__module__
    assert {name for name, one in OPERATIONS.items() if one.run.__module__ == module} == BY_TOKEN.keys()


@pytest.mark.parametrize("operation", BY_TOKEN)
def test_each_wants_a_live_token_with_the_scope(
    api: Api, env: Env, client: Client, alice: User, token: str, clock: Clock, operation: str
) -> None:
    def refused(token: str) -> tuple[str, str]:
        return api.refused(operation, AccessToken=token, **BY_TOKEN[operation])

    without = tokens_of(env, client, alice, scope="openid profile").access
    assert refused(without) == ("NotAuthorized", "Access Token does not have required scopes")
    assert refused("x.y.z") == ("NotAuthorized", "Invalid Access Token")

    revoked = tokens_of(env, client, alice).access
    with env.transaction():
        revoke.everything_of(env, alice)
    assert refused(revoked) == ("NotAuthorized", "Access Token has been revoked")

    disabled = tokens_of(env, client, alice).access
    administer.disable(env, client.pool, username="alice")
    assert refused(disabled) == ("NotAuthorized", "Access Token has been revoked")
    administer.enable(env, client.pool, username="alice")
    assert refused(disabled) == ("NotAuthorized", "Access Token has been revoked")

    old = tokens_of(env, client, alice).access
    clock.forward(hours=1)
    assert refused(old) == ("NotAuthorized", "Access Token has expired")

    orphaned = tokens_of(env, client, alice).access
    administer.delete(env, client.pool, username="alice")
    assert refused(orphaned) == ("UserNotFound", "User does not exist.")


def test_a_token_of_one_pool_changes_nobody_in_another(
    api: Api, env: Env, pool: Pool, alice: User, token: str, sent: Sent
) -> None:
    """The same name and address in two pools are two people: a token acts on whom it is about."""
    other = build.a_pool(env, algorithm="ES256")
    namesake = build.a_user(env, other)
    foreign = tokens_of(env, build.a_client(env, other), namesake).access
    api("UpdateUserAttributes", AccessToken=foreign, UserAttributes=wire(email=NEW))
    assert api.refused("VerifyUserAttribute", AccessToken=token, AttributeName="email", Code=sent(NEW)[0].code) == (
        "ExpiredCode",
        "Invalid code provided, please request a code again.",
    )
    api("DeleteUser", AccessToken=foreign)
    assert profile(api, token) == {"email": "alice@example.com", "email_verified": "true"}
