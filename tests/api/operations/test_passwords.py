"""Passwords at the door: changed, forgotten, reset or set by an administrator."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from app.env import Env
from app.models import Client, Pool, User
from tests import build
from tests.api.conftest import Api

Code = Callable[[str], str]
NEW = "Another-horse-8"


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool)


@pytest.fixture
def discreet(env: Env, pool: Pool) -> Client:
    return build.a_client(env, pool, prevent_user_existence_errors="ENABLED")


def signs_in(api: Api, client: Client, password: str) -> bool:
    given = {"USERNAME": "alice", "PASSWORD": password}
    answer = api.answer("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    return answer.status_code == 200


def set_column(env: Env, user: User, **values: Any) -> None:
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(values))


def test_a_forgotten_password_is_replaced(api: Api, client: Client, alice: User, code: Code) -> None:
    assert api("ForgotPassword", ClientId=client.id, Username="alice@example.com") == {
        "CodeDeliveryDetails": {"AttributeName": "email", "DeliveryMedium": "EMAIL", "Destination": "a***@e***"}
    }
    assert signs_in(api, client, build.PASSWORD)
    given = {"ClientId": client.id, "Username": "alice", "ConfirmationCode": code("alice@example.com")}
    assert api.refused("ConfirmForgotPassword", **given, Password="short")[0] == "InvalidPassword"
    assert api("ConfirmForgotPassword", **given, Password=NEW) == {}
    assert signs_in(api, client, NEW)
    assert not signs_in(api, client, build.PASSWORD)
    assert api.refused("ConfirmForgotPassword", **given, Password=NEW)[0] == "ExpiredCode"


def test_a_wrong_code_is_refused(api: Api, client: Client, alice: User, code: Code) -> None:
    api("ForgotPassword", ClientId=client.id, Username="alice")
    wrong = f"{(int(code('alice@example.com')) + 1) % 1_000_000:06d}"
    said = api.refused(
        "ConfirmForgotPassword", ClientId=client.id, Username="alice", ConfirmationCode=wrong, Password=NEW
    )
    assert said == ("CodeMismatch", "Invalid verification code provided, please try again.")


def test_codes_are_sent_only_so_often(api: Api, client: Client, alice: User) -> None:
    for _ in range(20):
        api("ForgotPassword", ClientId=client.id, Username="alice")
    assert api.refused("ForgotPassword", ClientId=client.id, Username="alice")[0] == "LimitExceeded"


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        (
            {"email_verified": False},
            (
                "InvalidParameter",
                "Cannot reset password for the user as there is no registered/verified email or phone_number",
            ),
        ),
        ({"enabled": False}, ("NotAuthorized", "User is disabled.")),
        (
            {"status": "FORCE_CHANGE_PASSWORD"},
            ("NotAuthorized", "User password cannot be reset in the current state."),
        ),
    ],
)
def test_states_in_which_it_cannot_be_reset(
    api: Api, env: Env, client: Client, alice: User, values: Any, refusal: tuple[str, str]
) -> None:
    set_column(env, alice, **values)
    assert api.refused("ForgotPassword", ClientId=client.id, Username="alice") == refusal


def test_where_only_an_administrator_may_reset(api: Api, env: Env) -> None:
    recovery = {"recovery_mechanisms": [{"priority": 1, "name": "admin_only"}]}
    client = build.a_client(env, build.a_pool(env, algorithm="ES256", account_recovery_setting=recovery))
    said = api.refused("ForgotPassword", ClientId=client.id, Username="alice")
    assert said == ("NotAuthorized", "Contact administrator to reset password.")


def test_where_only_administrators_set_passwords_none_is_reset(api: Api, env: Env) -> None:
    """And nothing is said of addresses, which the user has."""
    recovery = {"recovery_mechanisms": [{"priority": 1, "name": "admin_only"}]}
    pool = build.a_pool(env, algorithm="ES256", account_recovery_setting=recovery)
    build.a_user(env, pool)
    code, sentence = api.refused("AdminResetUserPassword", UserPoolId=pool.id, Username="alice")
    assert code == "InvalidParameter" and sentence.endswith("Use AdminSetUserPassword.")
    assert api("AdminGetUser", UserPoolId=pool.id, Username="alice")["UserStatus"] == "CONFIRMED"
    assert api.refused("AdminResetUserPassword", UserPoolId=pool.id, Username="nobody")[0] == "UserNotFound"


@pytest.mark.parametrize("status", ["FORCE_CHANGE_PASSWORD", "EXTERNAL_PROVIDER"])
def test_where_no_code_can_be_asked_for_none_is_there(
    api: Api, env: Env, client: Client, alice: User, status: str
) -> None:
    set_column(env, alice, status=status)
    given = {"ClientId": client.id, "Username": "alice", "ConfirmationCode": "123456", "Password": NEW}
    said = api.refused("ConfirmForgotPassword", **given)
    assert said == ("ExpiredCode", "Invalid code provided, please request a code again.")


def test_an_attacker_with_a_code_of_before_does_not_end_a_temporary_password(
    api: Api, env: Env, client: Client, alice: User, code: Callable[[str], str]
) -> None:
    api("ForgotPassword", ClientId=client.id, Username="alice")
    set_column(env, alice, status="FORCE_CHANGE_PASSWORD")
    given = {"ClientId": client.id, "Username": "alice", "ConfirmationCode": code("alice@example.com"), "Password": NEW}
    assert api.refused("ConfirmForgotPassword", **given)[0] == "CodeMismatch"
    assert api("AdminGetUser", UserPoolId=client.pool_id, Username="alice")["UserStatus"] == "FORCE_CHANGE_PASSWORD"


def test_an_unknown_name_is_told_only_by_clients_that_may(api: Api, client: Client, discreet: Client) -> None:
    said = api.refused("ForgotPassword", ClientId=client.id, Username="nobody")
    assert said == ("UserNotFound", "Username/client id combination not found.")
    assert api("ForgotPassword", ClientId=discreet.id, Username="x@example.com") == {
        "CodeDeliveryDetails": {"AttributeName": "email", "DeliveryMedium": "EMAIL", "Destination": "x***@e***"}
    }
    given = {"Username": "nobody", "ConfirmationCode": "123456", "Password": NEW}
    said = api.refused("ConfirmForgotPassword", ClientId=client.id, **given)
    assert said == ("UserNotFound", "User does not exist.")
    said = api.refused("ConfirmForgotPassword", ClientId=discreet.id, **given)
    assert said == ("CodeMismatch", "Invalid verification code provided, please try again.")


def test_an_administrator_sets_a_password_for_good(api: Api, pool: Pool, client: Client, alice: User) -> None:
    given = {"UserPoolId": pool.id, "Username": "alice", "Password": NEW}
    assert api("AdminSetUserPassword", **given, Permanent=True) == {}
    assert signs_in(api, client, NEW)


def test_or_one_that_must_be_changed(api: Api, pool: Pool, client: Client, alice: User) -> None:
    api("AdminSetUserPassword", UserPoolId=pool.id, Username="alice", Password=NEW)
    assert api("AdminGetUser", UserPoolId=pool.id, Username="alice")["UserStatus"] == "FORCE_CHANGE_PASSWORD"


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"Username": "nobody", "Password": NEW}, ("UserNotFound", "User does not exist.")),
        (
            {"Username": "alice", "Password": "short"},
            ("InvalidPassword", "Password did not conform with policy: Password not long enough"),
        ),
    ],
)
def test_what_an_administrator_may_not_set(api: Api, pool: Pool, alice: User, given: Any, refusal: Any) -> None:
    assert api.refused("AdminSetUserPassword", UserPoolId=pool.id, **given) == refusal


def test_asking_and_answering_share_one_limit(api: Api, client: Client, alice: User) -> None:
    """However many codes are sent in between, nobody guesses twenty times an hour."""
    given = {"ClientId": client.id, "Username": "alice"}
    for _ in range(10):
        api("ForgotPassword", **given)
        api.refused("ConfirmForgotPassword", **given, ConfirmationCode="wrong!", Password=NEW)
    said = ("LimitExceeded", "Attempt limit exceeded, please try after some time.")
    assert api.refused("ForgotPassword", **given) == said
    assert api.refused("ConfirmForgotPassword", **given, ConfirmationCode="wrong!", Password=NEW) == said


# -- ChangePassword --------------------------------------------------------------------------------------------


@pytest.fixture
def token(api: Api, client: Client, alice: User) -> str:
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    done = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    return str(done["AuthenticationResult"]["AccessToken"])


def test_a_user_changes_his_password_and_stays_signed_in(api: Api, client: Client, token: str) -> None:
    given = {"AccessToken": token, "PreviousPassword": build.PASSWORD, "ProposedPassword": NEW}
    assert api("ChangePassword", **given) == {}
    assert signs_in(api, client, NEW)
    assert not signs_in(api, client, build.PASSWORD)
    assert api("GetUser", AccessToken=token)["Username"] == "alice"


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"PreviousPassword": "wrong"}, ("NotAuthorized", "Incorrect username or password.")),
        ({}, ("InvalidParameter", "Missing required parameter PreviousPassword")),
        ({"PreviousPassword": ""}, ("InvalidParameter", "Missing required parameter PreviousPassword")),
        (
            {"PreviousPassword": build.PASSWORD, "ProposedPassword": ""},
            ("InvalidPassword", "Password did not conform with policy: Password not long enough"),
        ),
        (
            {"PreviousPassword": build.PASSWORD, "ProposedPassword": "no-capitals-7"},
            ("InvalidPassword", "Password did not conform with policy: Password must have uppercase characters"),
        ),
        ({"AccessToken": "x"}, ("NotAuthorized", "Invalid Access Token")),
    ],
)
def test_a_change_that_is_refused(api: Api, client: Client, token: str, given: Any, refusal: tuple[str, str]) -> None:
    assert api.refused("ChangePassword", **{"AccessToken": token, "ProposedPassword": NEW, **given}) == refusal
    assert signs_in(api, client, build.PASSWORD)


def test_five_changes_in_an_hour(api: Api, token: str) -> None:
    given = {"AccessToken": token, "PreviousPassword": "wrong", "ProposedPassword": NEW}
    for _ in range(5):
        assert api.refused("ChangePassword", **given)[0] == "NotAuthorized"
    said = api.refused("ChangePassword", **{**given, "PreviousPassword": build.PASSWORD})
    assert said == ("LimitExceeded", "Attempt limit exceeded, please try after some time.")


def test_a_password_of_before_is_refused_everywhere(api: Api, env: Env, code: Code) -> None:
    policies = {"password_policy": {"password_history_size": 2}}
    pool = build.a_pool(env, algorithm="ES256", policies=policies)
    client = build.a_client(env, pool)
    build.a_user(env, pool)
    said = ("PasswordHistoryPolicyViolation", "Password has previously been used")
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    done = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    token = done["AuthenticationResult"]["AccessToken"]
    assert said == api.refused(
        "ChangePassword", AccessToken=token, PreviousPassword=build.PASSWORD, ProposedPassword=build.PASSWORD
    )
    api("ForgotPassword", ClientId=client.id, Username="alice")
    answer = {"ClientId": client.id, "Username": "alice", "ConfirmationCode": code("alice@example.com")}
    assert api.refused("ConfirmForgotPassword", **answer, Password=build.PASSWORD) == said
    user = {"UserPoolId": pool.id, "Username": "alice"}
    assert api.refused("AdminSetUserPassword", **user, Password=build.PASSWORD) == said
    api("AdminSetUserPassword", **user, Password=NEW)
    given["PASSWORD"] = NEW
    asked = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    responses = {"USERNAME": "alice", "NEW_PASSWORD": build.PASSWORD}
    assert said == api.refused(
        "RespondToAuthChallenge",
        ClientId=client.id,
        ChallengeName="NEW_PASSWORD_REQUIRED",
        Session=asked["Session"],
        ChallengeResponses=responses,
    )


# -- AdminResetUserPassword ------------------------------------------------------------------------------------


def test_an_administrator_makes_a_user_choose_another(
    api: Api, pool: Pool, client: Client, alice: User, code: Code
) -> None:
    given = {"UserPoolId": pool.id, "Username": "alice@example.com", "ClientMetadata": {"a": "b"}}
    assert api("AdminResetUserPassword", **given) == {}
    assert api("AdminGetUser", UserPoolId=pool.id, Username="alice")["UserStatus"] == "RESET_REQUIRED"
    sign_in = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    said = api.refused("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=sign_in)
    assert said == ("PasswordResetRequired", "Password reset required for the user")
    answer = {"ClientId": client.id, "Username": "alice", "ConfirmationCode": code("alice@example.com")}
    api("ConfirmForgotPassword", **answer, Password=NEW)
    assert signs_in(api, client, NEW)


def test_what_an_administrator_cannot_reset(api: Api, env: Env, pool: Pool, alice: User) -> None:
    given = {"UserPoolId": pool.id, "Username": "alice"}
    assert api.refused("AdminResetUserPassword", **{**given, "Username": "nobody"})[0] == "UserNotFound"
    set_column(env, alice, email_verified=False)
    assert api.refused("AdminResetUserPassword", **given) == (
        "InvalidParameter",
        "Cannot reset password for the user as there is no registered/verified email or phone_number",
    )
    set_column(env, alice, enabled=False)
    assert api.refused("AdminResetUserPassword", **given) == ("NotAuthorized", "User is disabled.")
    set_column(env, alice, enabled=True, status="FORCE_CHANGE_PASSWORD")
    said = ("NotAuthorized", "User password cannot be reset in the current state.")
    assert api.refused("AdminResetUserPassword", **given) == said
