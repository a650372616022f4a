"""SignUp, ConfirmSignUp, ResendConfirmationCode and AdminConfirmSignUp at the door."""

from collections.abc import Callable
from typing import Any

import pytest

from app import errors
from app.env import Env, Message
from app.messaging.outbox import Outbox
from app.models import Client, Pool, User
from tests import build
from tests.api.conftest import Api
from tests.conftest import Clock

Code = Callable[[str], str]
EMAIL = [{"Name": "email", "Value": "bob@example.com"}]
DELIVERY = {"AttributeName": "email", "DeliveryMedium": "EMAIL", "Destination": "b***@e***"}
MISMATCH = ("CodeMismatch", "Invalid verification code provided, please try again.")
EXPIRED = ("ExpiredCode", "Invalid code provided, please request a code again.")


def sign_up(api: Api, client: Client, **given: Any) -> dict[str, Any]:
    members = {"Username": "bob", "Password": build.PASSWORD, "UserAttributes": EMAIL, **given}
    return api("SignUp", ClientId=client.id, **members)


def refused(api: Api, client: Client, **given: Any) -> tuple[str, str]:
    members = {"Username": "bob", "Password": build.PASSWORD, "UserAttributes": EMAIL, **given}
    return api.refused("SignUp", ClientId=client.id, **members)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


# -- SignUp ----------------------------------------------------------------------------------------------------


def test_a_person_signs_up_confirms_and_signs_in(api: Api, client: Client, code: Code) -> None:
    done = sign_up(api, client)
    assert done == {"UserConfirmed": False, "UserSub": done["UserSub"], "CodeDeliveryDetails": DELIVERY}
    sign_in = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"USERNAME": "bob", "PASSWORD": build.PASSWORD}}
    assert api.refused("InitiateAuth", ClientId=client.id, **sign_in) == (
        "UserNotConfirmed",
        "User is not confirmed.",
    )
    confirmed = api("ConfirmSignUp", ClientId=client.id, Username="bob", ConfirmationCode=code("bob@example.com"))
    assert confirmed == {}
    assert api("InitiateAuth", ClientId=client.id, **sign_in)["AuthenticationResult"]["AccessToken"]


def test_nothing_is_said_of_a_delivery_where_nothing_was_sent(api: Api, client: Client) -> None:
    assert sign_up(api, client, UserAttributes=[]).keys() == {"UserConfirmed", "UserSub"}


def test_what_cannot_be_used_yet_is_taken(api: Api, client: Client) -> None:
    assert sign_up(
        api,
        client,
        ValidationData=[{"Name": "captcha", "Value": "x"}],
        AnalyticsMetadata={"AnalyticsEndpointId": "x"},
        UserContextData={"EncodedData": "x", "IpAddress": "192.0.2.1"},
        ClientMetadata={"a": "b"},
    )


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        (
            {"Password": None},
            "InvalidParameter",
            "1 validation error detected: Value null at 'password' failed to satisfy constraint: "
            "Member must not be null",
        ),
        ({"Password": "Sh0rt!"}, "InvalidPassword", "Password did not conform with policy: Password not long enough"),
        (
            {"Password": "no-capitals-7"},
            "InvalidPassword",
            "Password did not conform with policy: Password must have uppercase characters",
        ),
        (
            {"Username": "bob@example.com"},
            "InvalidParameter",
            "Username cannot be of email format, since user pool is configured for email alias.",
        ),
        (
            {"UserAttributes": [{"Name": "email", "Value": "nonsense"}]},
            "InvalidParameter",
            "Invalid email address format.",
        ),
        (
            {"UserAttributes": [{"Name": "phone_number", "Value": "555"}]},
            "InvalidParameter",
            "Invalid phone number format.",
        ),
        (
            {"UserAttributes": [{"Name": "custom:role", "Value": "admin"}]},
            "InvalidParameter",
            "Attributes did not conform to the schema: Type for attribute {custom:role} could not be determined",
        ),
        (
            {"UserAttributes": [{"Name": "email_verified", "Value": "true"}]},
            "NotAuthorized",
            "A client attempted to write unauthorized attribute",
        ),
        (
            {"UserAttributes": [{"Name": "sub", "Value": "x"}]},
            "NotAuthorized",
            "A client attempted to write unauthorized attribute",
        ),
        (
            {"UserAttributes": [{"Name": "picture"}]},
            "InvalidParameter",
            "Attribute value for picture must not be null",
        ),
    ],
)
def test_what_may_not_be_is_refused(api: Api, client: Client, given: Any, code: str, sentence: str) -> None:
    assert refused(api, client, **given) == (code, sentence)


def test_a_name_is_taken_once(api: Api, client: Client) -> None:
    sign_up(api, client)
    assert refused(api, client, Username="BOB") == ("UsernameExists", "User already exists")


def test_a_closed_pool_says_so_before_anything_else(api: Api, env: Env) -> None:
    pool = build.a_pool(env, algorithm="ES256", admin_create_user_config={"allow_admin_create_user_only": True})
    client = build.a_client(env, pool)
    said = refused(api, client, Password="short")
    assert said == ("NotAuthorized", "SignUp is not permitted for this user pool")


def test_an_attribute_beyond_the_clients_list_is_refused(api: Api, env: Env, pool: Pool) -> None:
    client = build.a_client(env, pool, write_attributes=["email"])
    given = [*EMAIL, {"Name": "name", "Value": "Bob"}]
    assert refused(api, client, UserAttributes=given)[0] == "NotAuthorized"


def test_a_pool_of_addresses_takes_each_once(api: Api, env: Env) -> None:
    pool = build.a_pool(env, algorithm="ES256", alias_attributes=[], username_attributes=["email"])
    client = build.a_client(env, pool)
    assert refused(api, client, Username="bob") == ("InvalidParameter", "Username should be an email.")
    sign_up(api, client, Username="bob@example.com", UserAttributes=[])
    assert refused(api, client, Username="bob@example.com", UserAttributes=[]) == (
        "UsernameExists",
        "An account with the given email already exists.",
    )


def test_a_preferred_username_that_signs_in_comes_after_the_confirmation(api: Api, env: Env) -> None:
    """It would be an alias at once, and claim a name for somebody who has proven nothing."""
    pool = build.a_pool(env, algorithm="ES256", alias_attributes=["preferred_username"])
    client = build.a_client(env, pool)
    said = refused(api, client, UserAttributes=[{"Name": "preferred_username", "Value": "root"}])
    assert said[0] == "InvalidParameter"


@pytest.mark.parametrize("member", ["Username", "email", "preferred_username"])
def test_what_grows_when_it_is_normalised_is_refused_in_words(api: Api, env: Env, member: str) -> None:
    """One character here is eighteen in NFKC: more than a column or an index holds."""
    pool = build.a_pool(env, algorithm="ES256", username_configuration={"case_sensitive": False})
    client = build.a_client(env, pool)
    long = "\ufdfa" * 120
    given: dict[str, Any] = {"Username": long} if member == "Username" else {}
    if member == "email":
        given = {"UserAttributes": [{"Name": "email", "Value": f"{long}@example.com"}]}
    if member == "preferred_username":
        given = {"UserAttributes": [{"Name": "preferred_username", "Value": long}]}
    assert refused(api, client, **given)[0] == "InvalidParameter"


def test_a_code_that_cannot_be_delivered_leaves_the_user(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Outbox, message: Message) -> None:
        raise errors.CodeDeliveryFailure

    monkeypatch.setattr(Outbox, "send", fail)
    assert refused(api, client)[0] == "CodeDeliveryFailure"
    assert refused(api, client)[0] == "UsernameExists"


# -- ConfirmSignUp ---------------------------------------------------------------------------------------------


def test_a_wrong_code_is_refused_and_counted(api: Api, client: Client, code: Code) -> None:
    sign_up(api, client)
    right = code("bob@example.com")
    for _ in range(5):
        said = api.refused("ConfirmSignUp", ClientId=client.id, Username="bob", ConfirmationCode=wrong(right))
        assert said == MISMATCH
    said = api.refused("ConfirmSignUp", ClientId=client.id, Username="bob", ConfirmationCode=right)
    assert said == EXPIRED


def test_a_code_lives_a_day(api: Api, client: Client, code: Code, clock: Clock) -> None:
    sign_up(api, client)
    clock.forward(hours=24)
    given = {"ClientId": client.id, "Username": "bob", "ConfirmationCode": code("bob@example.com")}
    assert api.refused("ConfirmSignUp", **given) == EXPIRED


def test_nobody_is_confirmed_twice(api: Api, client: Client, code: Code) -> None:
    sign_up(api, client)
    given = {"ClientId": client.id, "Username": "bob", "ConfirmationCode": code("bob@example.com")}
    api("ConfirmSignUp", **given)
    assert api.refused("ConfirmSignUp", **given) == (
        "NotAuthorized",
        "User cannot be confirmed. Current status is CONFIRMED",
    )


def test_an_address_that_is_taken_is_refused_or_moved(
    api: Api, env: Env, pool: Pool, client: Client, code: Code
) -> None:
    build.a_user(env, pool, "robert", email="bob@example.com")
    sign_up(api, client)
    given = {"ClientId": client.id, "Username": "bob", "ConfirmationCode": code("bob@example.com")}
    assert api.refused("ConfirmSignUp", **given) == (
        "AliasExists",
        "An account with the given email already exists.",
    )
    assert api("ConfirmSignUp", **given, ForceAliasCreation=True) == {}
    robert = api("AdminGetUser", UserPoolId=pool.id, Username="robert")
    assert {"Name": "email_verified", "Value": "false"} in robert["UserAttributes"]


def test_whether_a_user_exists_is_told_only_by_clients_that_may(api: Api, env: Env, pool: Pool, client: Client) -> None:
    discreet = build.a_client(env, pool, prevent_user_existence_errors="ENABLED")
    given = {"Username": "nobody", "ConfirmationCode": "123456"}
    said = api.refused("ConfirmSignUp", ClientId=client.id, **given)
    assert said == ("UserNotFound", "User does not exist.")
    assert api.refused("ConfirmSignUp", ClientId=discreet.id, **given) == MISMATCH


# -- ResendConfirmationCode ------------------------------------------------------------------------------------


def test_a_new_code_replaces_the_old_one(api: Api, client: Client, code: Code) -> None:
    sign_up(api, client)
    old = code("bob@example.com")
    said = api("ResendConfirmationCode", ClientId=client.id, Username="bob")
    assert said == {"CodeDeliveryDetails": DELIVERY}
    new = code("bob@example.com")
    if new != old:
        given = {"ClientId": client.id, "Username": "bob"}
        assert api.refused("ConfirmSignUp", **given, ConfirmationCode=old) == MISMATCH
        assert api("ConfirmSignUp", **given, ConfirmationCode=new) == {}


def test_codes_are_sent_only_so_often(api: Api, client: Client) -> None:
    sign_up(api, client)
    for _ in range(5):
        api("ResendConfirmationCode", ClientId=client.id, Username="bob")
    assert api.refused("ResendConfirmationCode", ClientId=client.id, Username="bob") == (
        "LimitExceeded",
        "Attempt limit exceeded, please try after some time.",
    )


def test_there_is_nothing_to_confirm_twice(api: Api, env: Env, pool: Pool, client: Client) -> None:
    build.a_user(env, pool)
    said = api.refused("ResendConfirmationCode", ClientId=client.id, Username="alice")
    assert said == ("InvalidParameter", "User is already confirmed.")


def test_a_pool_that_verifies_nothing_sends_nothing(api: Api, env: Env) -> None:
    client = build.a_client(env, build.a_pool(env, algorithm="ES256", auto_verified_attributes=[]))
    said = api.refused("ResendConfirmationCode", ClientId=client.id, Username="bob")
    assert said == ("InvalidParameter", "Cannot resend codes. Auto verification not turned on.")


def test_a_name_that_means_nobody_is_answered_alike_where_users_are_hidden(
    api: Api, env: Env, pool: Pool, client: Client
) -> None:
    discreet = build.a_client(env, pool, prevent_user_existence_errors="ENABLED")
    said = api.refused("ResendConfirmationCode", ClientId=client.id, Username="nobody")
    assert said == ("UserNotFound", "Username/client id combination not found.")
    first = api("ResendConfirmationCode", ClientId=discreet.id, Username="nobody")
    assert first["CodeDeliveryDetails"]["DeliveryMedium"] == "EMAIL"
    assert first == api("ResendConfirmationCode", ClientId=discreet.id, Username="nobody")


def test_who_is_disabled_gets_no_new_code(api: Api, env: Env, client: Client) -> None:
    sub = sign_up(api, client)["UserSub"]
    with env.transaction():
        env.db.get_one(User, sub).enabled = False
    said = api.refused("ResendConfirmationCode", ClientId=client.id, Username="bob")
    assert said == ("NotAuthorized", "User is disabled.")


@pytest.mark.parametrize(
    ("operation", "allowed", "members"),
    [("ConfirmSignUp", 15, {"ConfirmationCode": "wrong!"}), ("ResendConfirmationCode", 5, {})],
)
def test_the_limits_of_an_hour(
    api: Api, client: Client, clock: Clock, operation: str, allowed: int, members: dict[str, str]
) -> None:
    """New codes in between do not help."""
    sign_up(api, client)
    for _ in range(allowed):
        assert "LimitExceeded" not in api.answer(operation, ClientId=client.id, Username="bob", **members).text
    said = api.refused(operation, ClientId=client.id, Username="bob", **members)
    assert said == ("LimitExceeded", "Attempt limit exceeded, please try after some time.")
    clock.forward(hours=1)
    assert "LimitExceeded" not in api.answer(operation, ClientId=client.id, Username="bob", **members).text


def test_where_both_addresses_are_to_be_verified_only_the_phone_gets_a_code(
    api: Api, env: Env, sent: Callable[..., list[Any]]
) -> None:
    pool = build.a_pool(env, algorithm="ES256", auto_verified_attributes=["email", "phone_number"])
    client = build.a_client(env, pool)
    phone = {"Name": "phone_number", "Value": "+15555550100"}
    done = sign_up(api, client, UserAttributes=[*EMAIL, phone])
    assert done["CodeDeliveryDetails"] == {
        "AttributeName": "phone_number",
        "DeliveryMedium": "SMS",
        "Destination": "+*******0100",
    }
    assert [message.to for message in sent()] == ["+15555550100"]
    code = sent()[0].code
    api("ConfirmSignUp", ClientId=client.id, Username="bob", ConfirmationCode=code)
    found = {
        one["Name"]: one["Value"] for one in api("AdminGetUser", UserPoolId=pool.id, Username="bob")["UserAttributes"]
    }
    assert found["phone_number_verified"] == "true" and "email_verified" not in found


# -- AdminConfirmSignUp ----------------------------------------------------------------------------------------


def test_an_administrator_confirms_a_user_but_not_his_address(api: Api, pool: Pool, client: Client, code: Code) -> None:
    sign_up(api, client)
    assert api("AdminConfirmSignUp", UserPoolId=pool.id, Username="bob", ClientMetadata={"a": "b"}) == {}
    bob = api("AdminGetUser", UserPoolId=pool.id, Username="bob")
    assert bob["UserStatus"] == "CONFIRMED"
    assert "email_verified" not in {one["Name"] for one in bob["UserAttributes"]}
    given = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"USERNAME": "bob", "PASSWORD": build.PASSWORD}}
    assert api("InitiateAuth", ClientId=client.id, **given)["AuthenticationResult"]
    given["AuthParameters"] = {"USERNAME": "bob@example.com", "PASSWORD": build.PASSWORD}
    assert api.refused("InitiateAuth", ClientId=client.id, **given)[0] == "UserNotFound"
    said = api.refused("ConfirmSignUp", ClientId=client.id, Username="bob", ConfirmationCode=code("bob@example.com"))
    assert said[0] == "NotAuthorized"


def test_only_who_is_unconfirmed_is_confirmed(api: Api, env: Env, pool: Pool) -> None:
    for status in ("CONFIRMED", "FORCE_CHANGE_PASSWORD", "RESET_REQUIRED"):
        build.a_user(env, pool, status, email=None, status=status)
        assert api.refused("AdminConfirmSignUp", UserPoolId=pool.id, Username=status) == (
            "NotAuthorized",
            f"User cannot be confirmed. Current status is {status}",
        )
    said = api.refused("AdminConfirmSignUp", UserPoolId=pool.id, Username="nobody")
    assert said == ("UserNotFound", "User does not exist.")


# -- straight on into the first sign-in ------------------------------------------------------------------------


@pytest.fixture
def choosing(env: Env) -> Client:
    """Of a pool in which a code may come in place of a password."""
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}}
    pool = build.a_pool(env, algorithm="ES256", policies=policies)
    return build.a_client(env, pool, explicit_auth_flows=["ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])


@pytest.mark.parametrize("password", [build.PASSWORD, None, ""], ids=["with a password", "without", "with a blank one"])
def test_the_session_of_a_sign_up_goes_on_into_a_sign_in(
    api: Api, choosing: Client, code: Code, password: str | None
) -> None:
    """Reference: 4.2, 4.3, 5.5. So Amplify's autoSignIn does it."""
    given = {} if password is None else {"Password": password}
    done = api("SignUp", ClientId=choosing.id, Username="bob", UserAttributes=EMAIL, **given)
    assert done.keys() == {"UserConfirmed", "UserSub", "CodeDeliveryDetails", "Session"}
    which = {"ClientId": choosing.id, "Username": "bob"}
    confirmed = api("ConfirmSignUp", **which, ConfirmationCode=code("bob@example.com"), Session=done["Session"])
    assert confirmed.keys() == {"Session"}
    begun = {"ClientId": choosing.id, "AuthFlow": "USER_AUTH", "AuthParameters": {"USERNAME": "bob"}}
    assert api("InitiateAuth", **begun, Session=confirmed["Session"])["AuthenticationResult"]["AccessToken"]
    assert api.refused("InitiateAuth", **begun, Session=confirmed["Session"]) == (
        "NotAuthorized",
        "Invalid session for the user, session can only be used once.",
    )
    assert api.refused("InitiateAuth", **begun, Session=done["Session"])[0] == "NotAuthorized"
    assert api("InitiateAuth", **begun)["ChallengeName"] == "SELECT_CHALLENGE"


@pytest.mark.parametrize("blank", [{}, {"Password": ""}])
def test_a_password_is_missed_where_it_is_needed(api: Api, client: Client, blank: Any) -> None:
    said = api.refused("SignUp", ClientId=client.id, Username="bob", UserAttributes=EMAIL, **blank)
    assert said[0] == "InvalidParameter"
    assert "'password' failed to satisfy constraint: Member must not be null" in said[1]
