"""InitiateAuth and RespondToAuthChallenge at the door; the client's side of SRP is pycognito's."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from pycognito.aws_srp import AWSSRP
from sqlalchemy import update

from app.config import Settings
from app.env import Env
from app.models import Client, Pool, User
from app.pools import client_secrets, find
from app.triggers import Functions, events
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import payload
from tests.build import app_code
from tests.conftest import Clock

WRONG = ("NotAuthorized", "Incorrect username or password.")


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool)


@pytest.fixture
def confidential(env: Env, pool: Pool) -> Client:
    return build.a_client(env, pool, secret=True)


@pytest.fixture
def discreet(env: Env, pool: Pool) -> Client:
    return build.a_client(env, pool, prevent_user_existence_errors="ENABLED")


def begin(api: Api, client: Client, flow: str, **parameters: str | None) -> dict[str, Any]:
    return api("InitiateAuth", ClientId=client.id, AuthFlow=flow, AuthParameters=parameters)


def refused(api: Api, client: Client, flow: str, **parameters: str | None) -> tuple[str, str]:
    return api.refused("InitiateAuth", ClientId=client.id, AuthFlow=flow, AuthParameters=parameters)


def by_password(api: Api, client: Client, name: str = "alice", password: str = build.PASSWORD) -> dict[str, Any]:
    return begin(api, client, "USER_PASSWORD_AUTH", USERNAME=name, PASSWORD=password)


def set_column(env: Env, user: User, **values: Any) -> None:
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(values))


def hashed(env: Env, client: Client, name: str) -> str:
    [secret] = client_secrets.of(env, client)
    made = hmac.new(secret.encode(), (name + client.id).encode(), hashlib.sha256)
    return base64.b64encode(made.digest()).decode()


# -- USER_PASSWORD_AUTH ----------------------------------------------------------------------------------------


def test_a_password_is_answered_with_three_tokens(api: Api, client: Client, alice: User) -> None:
    said = by_password(api, client, "ALICE@example.com")
    result = said["AuthenticationResult"]
    assert said["ChallengeParameters"] == {}
    assert result.keys() == {"AccessToken", "IdToken", "RefreshToken", "ExpiresIn", "TokenType"}
    assert (result["ExpiresIn"], result["TokenType"]) == (3600, "Bearer")
    access, identity = payload(result["AccessToken"]), payload(result["IdToken"])
    assert access["scope"] == "aws.cognito.signin.user.admin"
    assert (access["username"], access["sub"]) == ("alice", alice.sub)
    assert (identity["aud"], identity["email"]) == (client.id, "alice@example.com")
    assert access["origin_jti"] == identity["origin_jti"]


def test_a_wrong_password_and_an_unknown_name(api: Api, client: Client, discreet: Client, alice: User) -> None:
    for name in ("alice", "nobody"):
        given = {"USERNAME": name, "PASSWORD": "Wrong-horse-9"}
        assert refused(api, discreet, "USER_PASSWORD_AUTH", **given) == WRONG
    given = {"USERNAME": "nobody", "PASSWORD": "Wrong-horse-9"}
    assert refused(api, client, "USER_PASSWORD_AUTH", **given) == ("UserNotFound", "User does not exist.")


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"status": "UNCONFIRMED"}, ("UserNotConfirmed", "User is not confirmed.")),
        ({"status": "RESET_REQUIRED"}, ("PasswordResetRequired", "Password reset required for the user")),
        ({"enabled": False}, ("NotAuthorized", "User is disabled.")),
    ],
)
def test_states_in_which_nobody_signs_in(
    api: Api, env: Env, client: Client, alice: User, values: Any, refusal: tuple[str, str]
) -> None:
    set_column(env, alice, **values)
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    assert refused(api, client, "USER_PASSWORD_AUTH", **given) == refusal
    if "status" in values:
        assert refused(api, client, "USER_PASSWORD_AUTH", **{**given, "PASSWORD": "Wrong-horse-9"}) == WRONG


def test_too_many_wrong_passwords_lock(api: Api, client: Client, alice: User) -> None:
    for _ in range(5):
        refused(api, client, "USER_PASSWORD_AUTH", USERNAME="alice", PASSWORD="Wrong-horse-9")
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    assert refused(api, client, "USER_PASSWORD_AUTH", **given) == ("NotAuthorized", "Password attempts exceeded")


def test_a_secret_hash_is_asked_for(api: Api, env: Env, confidential: Client, alice: User) -> None:
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    assert refused(api, confidential, "USER_PASSWORD_AUTH", **given) == (
        "NotAuthorized",
        f"Client {confidential.id} is configured with secret but SECRET_HASH was not received",
    )
    wrong = hashed(env, confidential, "bob")
    assert refused(api, confidential, "USER_PASSWORD_AUTH", **given, SECRET_HASH=wrong) == (
        "NotAuthorized",
        f"Unable to verify secret hash for client {confidential.id}",
    )
    right = hashed(env, confidential, "alice")
    assert begin(api, confidential, "USER_PASSWORD_AUTH", **given, SECRET_HASH=right)["AuthenticationResult"]


# -- what cannot begin -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "parameters", "sentence"),
    [
        ("USER_PASSWORD_AUTH", {}, "Missing required parameter USERNAME"),
        ("USER_PASSWORD_AUTH", {"USERNAME": ""}, "Missing required parameter USERNAME"),
        ("USER_PASSWORD_AUTH", {"USERNAME": None}, "Missing required parameter USERNAME"),
        ("USER_PASSWORD_AUTH", {"USERNAME": "alice"}, "Missing required parameter PASSWORD"),
        ("USER_SRP_AUTH", {"USERNAME": "alice"}, "Missing required parameter SRP_A"),
        ("USER_SRP_AUTH", {"USERNAME": "alice", "SRP_A": "0"}, "SRP_A is not a valid public value"),
        ("USER_SRP_AUTH", {"USERNAME": "alice", "SRP_A": "xyz"}, "SRP_A is not a valid public value"),
        ("REFRESH_TOKEN_AUTH", {}, "Missing required parameter REFRESH_TOKEN"),
        ("REFRESH_TOKEN", {"REFRESH_TOKEN": ""}, "Missing required parameter REFRESH_TOKEN"),
        ("ADMIN_NO_SRP_AUTH", {"USERNAME": "alice"}, "Initiate Auth method not supported."),
        ("ADMIN_USER_PASSWORD_AUTH", {"USERNAME": "alice"}, "Initiate Auth method not supported."),
        ("CUSTOM_AUTH", {"USERNAME": "alice"}, "Auth flow not enabled for this client"),
        ("USER_AUTH", {"USERNAME": "alice"}, "Auth flow not enabled for this client"),
    ],
)
def test_what_cannot_begin(
    api: Api, client: Client, alice: User, flow: str, parameters: dict[str, str | None], sentence: str
) -> None:
    assert refused(api, client, flow, **parameters) == ("InvalidParameter", sentence)


def test_flows_that_the_client_does_not_have(api: Api, env: Env, pool: Pool) -> None:
    client = build.a_client(env, pool, explicit_auth_flows=["ALLOW_CUSTOM_AUTH", "ALLOW_USER_AUTH"])
    for flow, sentence in {
        "USER_PASSWORD_AUTH": "USER_PASSWORD_AUTH flow not enabled for this client",
        "USER_SRP_AUTH": "USER_SRP_AUTH is not enabled for the client.",
        "REFRESH_TOKEN_AUTH": "Auth flow not enabled for this client",
        "CUSTOM_AUTH": "Custom auth lambda trigger is not configured for the user pool.",
    }.items():
        assert refused(api, client, flow, USERNAME="u", PASSWORD="p", REFRESH_TOKEN="t", SRP_A="2") == (
            "InvalidParameter",
            sentence,
        )


# -- USER_SRP_AUTH ---------------------------------------------------------------------------------------------


class Device:
    """An SDK: pycognito's arithmetic, our door."""

    def __init__(self, api: Api, client: Client, name: str, password: str, secret: str | None = None) -> None:
        self.api, self.client = api, client
        self.srp = AWSSRP(
            username=name,
            password=password,
            pool_id=client.pool_id,
            client_id=client.id,
            client=object(),
            client_secret=secret,
        )

    def ask(self) -> dict[str, Any]:
        return begin(self.api, self.client, "USER_SRP_AUTH", **self.srp.get_auth_params())

    def responses(self, asked: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = self.srp.process_challenge(asked["ChallengeParameters"], self.srp.get_auth_params())
        return found

    def answer(self, responses: dict[str, str]) -> dict[str, Any]:
        return self.api(
            "RespondToAuthChallenge",
            ClientId=self.client.id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses=responses,
        )

    def refused(self, responses: dict[str, str]) -> tuple[str, str]:
        return self.api.refused(
            "RespondToAuthChallenge",
            ClientId=self.client.id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses=responses,
        )


@pytest.fixture
def today(clock: Clock) -> Clock:
    """pycognito asks the machine what time it is."""
    clock.moment = datetime.now(UTC)
    return clock


def test_srp_needs_no_session(api: Api, client: Client, alice: User, today: Clock) -> None:
    device = Device(api, client, "alice@example.com", build.PASSWORD)
    asked = device.ask()
    assert asked["ChallengeName"] == "PASSWORD_VERIFIER"
    assert "Session" not in asked
    parameters = asked["ChallengeParameters"]
    assert parameters.keys() == {"SALT", "SECRET_BLOCK", "SRP_B", "USERNAME", "USER_ID_FOR_SRP"}
    assert (parameters["USERNAME"], parameters["USER_ID_FOR_SRP"]) == ("alice", "alice")
    assert device.answer(device.responses(asked))["AuthenticationResult"]["RefreshToken"]


def test_an_overheard_answer_is_worth_nothing(api: Api, client: Client, alice: User, today: Clock) -> None:
    device = Device(api, client, "alice", build.PASSWORD)
    responses = device.responses(device.ask())
    device.answer(responses)
    assert device.refused(responses) == (
        "NotAuthorized",
        "Invalid session for the user, session can only be used once.",
    )


def test_a_wrong_password_by_srp(api: Api, discreet: Client, alice: User, today: Clock) -> None:
    for name in ("alice", "nobody"):
        device = Device(api, discreet, name, "Wrong-horse-9")
        assert device.refused(device.responses(device.ask())) == WRONG


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"USERNAME": ""}, ("InvalidParameter", "Missing required parameter USERNAME")),
        ({"TIMESTAMP": ""}, ("InvalidParameter", "Missing required parameter TIMESTAMP")),
        ({"TIMESTAMP": "Sun Mar 1 12:00:00 UTC 2020"}, WRONG),
        ({"TIMESTAMP": "now"}, WRONG),
        ({"PASSWORD_CLAIM_SECRET_BLOCK": "AAAA"}, ("NotAuthorized", "Invalid session for the user.")),
        ({"PASSWORD_CLAIM_SECRET_BLOCK": "é"}, ("NotAuthorized", "Invalid session for the user.")),
        ({"PASSWORD_CLAIM_SIGNATURE": "AAAA"}, WRONG),
        ({"PASSWORD_CLAIM_SIGNATURE": "é"}, WRONG),
    ],
)
def test_an_answer_that_was_changed(
    api: Api, client: Client, alice: User, today: Clock, change: dict[str, str], refusal: tuple[str, str]
) -> None:
    device = Device(api, client, "alice", build.PASSWORD)
    assert device.refused({**device.responses(device.ask()), **change}) == refusal


def test_an_answer_for_another_client(api: Api, client: Client, discreet: Client, alice: User, today: Clock) -> None:
    device = Device(api, client, "alice", build.PASSWORD)
    responses = device.responses(device.ask())
    device.client = discreet
    assert device.refused(responses) == ("NotAuthorized", "Invalid session for the user.")


def test_the_hash_of_an_answer_may_be_over_any_name_of_the_user(
    api: Api, env: Env, confidential: Client, alice: User, today: Clock
) -> None:
    [secret] = client_secrets.of(env, confidential)
    for name in ("alice", "alice@example.com", alice.sub):
        device = Device(api, confidential, "alice@example.com", build.PASSWORD, secret)
        responses = device.responses(device.ask())
        assert device.answer({**responses, "SECRET_HASH": hashed(env, confidential, name)})["AuthenticationResult"]
    device = Device(api, confidential, "alice", build.PASSWORD, secret)
    responses = device.responses(device.ask())
    assert device.refused({**responses, "SECRET_HASH": hashed(env, confidential, "bob")}) == (
        "NotAuthorized",
        f"Unable to verify secret hash for client {confidential.id}",
    )
    del responses["SECRET_HASH"]
    assert device.refused(responses)[0] == "NotAuthorized"


def test_a_sign_in_by_srp_asks_the_database_little(
    api: Api, client: Client, alice: User, today: Clock, statements: Any
) -> None:
    device = Device(api, client, "alice", build.PASSWORD)
    device.answer(device.responses(device.ask()))
    statements()
    device.answer(device.responses(device.ask()))
    asked = statements()
    assert len(asked) <= 9, "\n".join(asked)


# -- NEW_PASSWORD_REQUIRED -------------------------------------------------------------------------------------


def respond(api: Api, client: Client, session: str | None, **responses: str) -> Any:
    return api.answer(
        "RespondToAuthChallenge",
        ClientId=client.id,
        ChallengeName="NEW_PASSWORD_REQUIRED",
        Session=session,
        ChallengeResponses={"USERNAME": "alice", **responses},
    )


def told(answer: Any) -> tuple[str, str]:
    said = answer.get_json(force=True)
    return said["__type"].removesuffix("Exception"), said["message"]


@pytest.fixture
def session(api: Api, pool: Pool, client: Client, alice: User) -> str:
    """A sign-in with a temporary password, which waits for a new one."""
    api("AdminSetUserPassword", UserPoolId=pool.id, Username="alice", Password=build.PASSWORD)
    asked = by_password(api, client)
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    assert asked["ChallengeParameters"] == {
        "USER_ID_FOR_SRP": "alice",
        "requiredAttributes": "[]",
        "userAttributes": '{"email":"alice@example.com","email_verified":"true"}',
    }
    found: str = asked["Session"]
    return found


def test_a_temporary_password_is_replaced(api: Api, pool: Pool, client: Client, session: str) -> None:
    weak = respond(api, client, session, NEW_PASSWORD="short")
    assert told(weak) == ("InvalidPassword", "Password did not conform with policy: Password not long enough")
    done = respond(api, client, session, NEW_PASSWORD="Another-horse-8", PASSWORD_CLAIM_SIGNATURE="left over")
    assert done.get_json(force=True)["AuthenticationResult"]["AccessToken"]
    assert api("AdminGetUser", UserPoolId=pool.id, Username="alice")["UserStatus"] == "CONFIRMED"
    again = respond(api, client, session, NEW_PASSWORD="Another-horse-8")
    assert told(again) == ("NotAuthorized", "Invalid session for the user, session can only be used once.")


def test_a_session_is_of_one_client_and_one_challenge(api: Api, client: Client, discreet: Client, session: str) -> None:
    other = respond(api, discreet, session, NEW_PASSWORD="Another-horse-8")
    assert told(other) == ("NotAuthorized", "Invalid session for the user.")
    invented = respond(api, client, "x" * 43, NEW_PASSWORD="Another-horse-8")
    assert told(invented) == ("NotAuthorized", "Invalid session for the user.")
    missing = respond(api, client, None, NEW_PASSWORD="Another-horse-8")
    assert told(missing) == ("InvalidParameter", "Missing required parameter Session")


def test_a_session_ends(api: Api, client: Client, session: str, clock: Clock) -> None:
    clock.forward(minutes=3)
    late = respond(api, client, session, NEW_PASSWORD="Another-horse-8")
    assert told(late) == ("NotAuthorized", "Invalid session for the user, session is expired.")


def test_a_challenge_that_nobody_is_asked_is_refused(api: Api, client: Client) -> None:
    said = api.refused(
        "RespondToAuthChallenge",
        ClientId=client.id,
        ChallengeName="ADMIN_NO_SRP_AUTH",
        Session="x" * 43,
        ChallengeResponses={"USERNAME": "alice", "PASSWORD": build.PASSWORD},
    )
    assert said == ("InvalidParameter", "The challenge ADMIN_NO_SRP_AUTH is not available in this version of Cognate.")


# -- REFRESH_TOKEN_AUTH ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", ["REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"])
def test_a_refresh_token_is_answered_with_two_tokens_of_the_same_sign_in(
    api: Api, client: Client, alice: User, clock: Clock, flow: str
) -> None:
    first = by_password(api, client)["AuthenticationResult"]
    clock.forward(hours=2)
    said = begin(api, client, flow, REFRESH_TOKEN=first["RefreshToken"])
    result = said["AuthenticationResult"]
    assert said["ChallengeParameters"] == {}
    assert result.keys() == {"AccessToken", "IdToken", "ExpiresIn", "TokenType"}
    old, new = payload(first["AccessToken"]), payload(result["AccessToken"])
    assert new["iat"] == old["iat"] + 7200
    for claim in ("sub", "origin_jti", "auth_time", "event_id"):
        assert new[claim] == old[claim]


def test_refresh_tokens_that_are_refused(
    api: Api, env: Env, client: Client, discreet: Client, alice: User, clock: Clock
) -> None:
    token = by_password(api, client)["AuthenticationResult"]["RefreshToken"]
    assert refused(api, client, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN="x") == ("NotAuthorized", "Invalid Refresh Token")
    assert refused(api, discreet, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token)[1] == "Invalid Refresh Token"
    set_column(env, alice, enabled=False)
    assert refused(api, client, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token)[1] == "User is disabled."
    set_column(env, alice, enabled=True)
    clock.forward(days=30)
    assert refused(api, client, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token)[1] == "Refresh Token has expired"


def test_what_a_client_does_not_have_it_may_call_null(api: Api, client: Client, alice: User) -> None:
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD, "DEVICE_KEY": None, "SECRET_HASH": None}
    token = begin(api, client, "USER_PASSWORD_AUTH", **given)["AuthenticationResult"]["RefreshToken"]
    assert begin(api, client, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token, DEVICE_KEY=None)["AuthenticationResult"]


def test_the_hash_of_a_refresh_may_be_over_any_name_of_the_user(
    api: Api, env: Env, confidential: Client, alice: User
) -> None:
    secret_hash = hashed(env, confidential, "alice")
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD, "SECRET_HASH": secret_hash}
    token = begin(api, confidential, "USER_PASSWORD_AUTH", **given)["AuthenticationResult"]["RefreshToken"]
    for name in ("alice", alice.sub, "alice@example.com"):
        given = {"REFRESH_TOKEN": token, "SECRET_HASH": hashed(env, confidential, name)}
        assert begin(api, confidential, "REFRESH_TOKEN_AUTH", **given)["AuthenticationResult"]
    for wrong in (None, hashed(env, confidential, "bob")):
        assert refused(api, confidential, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token, SECRET_HASH=wrong)[0] == (
            "NotAuthorized"
        )


# -- for administrators ----------------------------------------------------------------------------------------

ADMIN_FLOWS = [
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
]


@pytest.fixture
def server(env: Env, pool: Pool) -> Client:
    """What an administrator's server signs people in with."""
    return build.a_client(env, pool, secret=True, explicit_auth_flows=ADMIN_FLOWS)


def by_admin(env: Env, client: Client, flow: str, **parameters: str | None) -> dict[str, Any]:
    """Members of AdminInitiateAuth."""
    name = parameters.get("USERNAME") or "alice"
    parameters = {"USERNAME": "alice", "SECRET_HASH": hashed(env, client, name), **parameters}
    return {"UserPoolId": client.pool_id, "ClientId": client.id, "AuthFlow": flow, "AuthParameters": parameters}


def admins_answer(env: Env, client: Client, asked: dict[str, Any], **responses: str) -> dict[str, Any]:
    """Members of AdminRespondToAuthChallenge."""
    given = {"USERNAME": "alice", "SECRET_HASH": hashed(env, client, "alice"), **responses}
    which = {"ChallengeName": asked["ChallengeName"], "Session": asked["Session"], "ChallengeResponses": given}
    return {"UserPoolId": client.pool_id, "ClientId": client.id, **which}


@pytest.mark.parametrize("flow", ["ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"])
def test_an_administrator_signs_somebody_in_by_password(
    api: Api, env: Env, server: Client, alice: User, flow: str
) -> None:
    said = api("AdminInitiateAuth", **by_admin(env, server, flow, PASSWORD=build.PASSWORD))
    result = said["AuthenticationResult"]
    assert payload(result["AccessToken"])["sub"] == alice.sub
    refreshing = by_admin(env, server, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=result["RefreshToken"])
    assert api("AdminInitiateAuth", **refreshing)["AuthenticationResult"]["AccessToken"]
    wrong = by_admin(env, server, flow, PASSWORD="Wrong-horse-9")
    assert api.refused("AdminInitiateAuth", **wrong) == WRONG


def test_a_temporary_password_is_replaced_through_an_administrator(
    api: Api, env: Env, pool: Pool, server: Client
) -> None:
    given = {"Username": "alice", "TemporaryPassword": build.PASSWORD, "MessageAction": "SUPPRESS"}
    api("AdminCreateUser", UserPoolId=pool.id, **given)
    asked = api("AdminInitiateAuth", **by_admin(env, server, "ADMIN_USER_PASSWORD_AUTH", PASSWORD=build.PASSWORD))
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    chosen = admins_answer(env, server, asked, NEW_PASSWORD="Another-horse-8")
    without = {**chosen, "ChallengeResponses": {"USERNAME": "alice", "NEW_PASSWORD": "Another-horse-8"}}
    assert api.refused("AdminRespondToAuthChallenge", **without) == (
        "NotAuthorized",
        f"Client {server.id} is configured with secret but SECRET_HASH was not received",
    )
    assert api("AdminRespondToAuthChallenge", **chosen)["AuthenticationResult"]["AccessToken"]


def test_a_choice_is_made_through_an_administrator(api: Api, env: Env, server: Client, alice: User) -> None:
    asked = api("AdminInitiateAuth", **by_admin(env, server, "USER_AUTH"))
    assert asked["ChallengeName"] == "SELECT_CHALLENGE"
    assert asked["AvailableChallenges"] == ["PASSWORD_SRP", "PASSWORD"]
    chosen = admins_answer(env, server, asked, ANSWER="PASSWORD", PASSWORD=build.PASSWORD)
    assert api("AdminRespondToAuthChallenge", **chosen)["AuthenticationResult"]["AccessToken"]


@pytest.mark.parametrize(
    ("flow", "parameters", "sentence"),
    [
        ("USER_PASSWORD_AUTH", {"PASSWORD": build.PASSWORD}, "Initiate Auth method not supported."),
        ("ADMIN_USER_PASSWORD_AUTH", {}, "Missing required parameter PASSWORD"),
        ("ADMIN_NO_SRP_AUTH", {"USERNAME": None}, "Missing required parameter USERNAME"),
        ("USER_SRP_AUTH", {}, "Missing required parameter SRP_A"),
        ("REFRESH_TOKEN_AUTH", {}, "Missing required parameter REFRESH_TOKEN"),
        ("CUSTOM_AUTH", {}, "Custom auth lambda trigger is not configured for the user pool."),
        ("USER_AUTH", {"PREFERRED_CHALLENGE": "MAGIC"}, None),
    ],
)
def test_what_an_administrator_cannot_begin(
    api: Api, env: Env, server: Client, alice: User, flow: str, parameters: dict[str, str | None], sentence: str | None
) -> None:
    code, said = api.refused("AdminInitiateAuth", **by_admin(env, server, flow, **parameters))
    assert code == "InvalidParameter"
    assert said == sentence or (sentence is None and said.startswith("PREFERRED_CHALLENGE must be one of"))


@pytest.mark.parametrize("flow", ["ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH", "USER_AUTH", "CUSTOM_AUTH"])
def test_flows_that_a_client_does_not_have_an_administrator_does_not_have_either(
    api: Api, env: Env, client: Client, alice: User, flow: str
) -> None:
    members = {
        "UserPoolId": client.pool_id,
        "ClientId": client.id,
        "AuthFlow": flow,
        "AuthParameters": {"USERNAME": "alice", "PASSWORD": build.PASSWORD},
    }
    said = api.refused("AdminInitiateAuth", **members)
    assert said == ("InvalidParameter", "Auth flow not enabled for this client")


def test_a_client_of_another_pool_is_unknown_to_an_administrator(
    api: Api, env: Env, server: Client, alice: User
) -> None:
    other = build.a_pool(env, algorithm="ES256")
    members = by_admin(env, server, "ADMIN_USER_PASSWORD_AUTH", PASSWORD=build.PASSWORD)
    said = api.refused("AdminInitiateAuth", **{**members, "UserPoolId": other.id})
    assert said == ("ResourceNotFound", f"User pool client {server.id} does not exist.")


def test_a_hash_may_be_made_with_any_secret_and_over_any_name(
    api: Api, env: Env, pool: Pool, server: Client, alice: User
) -> None:
    """A client that is changing its secret has two."""
    api("AddUserPoolClientSecret", UserPoolId=pool.id, ClientId=server.id)
    secrets = client_secrets.of(env, find.client(env, server.id))
    assert len(secrets) == 2
    for secret in secrets:
        for name in ("alice", alice.sub, "alice@example.com"):
            made = hmac.new(secret.encode(), (name + server.id).encode(), hashlib.sha256).digest()
            given = {"USERNAME": "alice", "SECRET_HASH": base64.b64encode(made).decode()}
            begun = {**given, "USERNAME": name}
            asked = api("InitiateAuth", ClientId=server.id, AuthFlow="USER_AUTH", AuthParameters=begun)
            done = api(
                "RespondToAuthChallenge",
                ClientId=server.id,
                ChallengeName="SELECT_CHALLENGE",
                Session=asked["Session"],
                ChallengeResponses={**given, "ANSWER": "PASSWORD", "PASSWORD": build.PASSWORD},
            )
            assert done["AuthenticationResult"]


# -- USER_AUTH and CUSTOM_AUTH at the door ---------------------------------------------------------------------


def test_a_token_is_brought_along_to_a_higher_level(env: Env, api: Api) -> None:
    pool = build.with_factors(env, build.a_pool(env), "OPTIONAL", "SOFTWARE_TOKEN_MFA")
    flows = ["ALLOW_USER_AUTH", "ALLOW_USER_PASSWORD_AUTH"]
    client = build.a_client(env, pool, explicit_auth_flows=flows)
    secret = build.an_app(env, build.a_user(env, pool))
    token = by_password(api, client)["AuthenticationResult"]["AccessToken"]
    wish = {"TARGET_ACR_VALUES": "urn:cognito:loa:4", "MAX_AGE": "60"}
    asked = begin(api, client, "USER_AUTH", USERNAME="alice", ACCESS_TOKEN=token, **wish)
    assert (asked["ChallengeName"], "AvailableChallenges" in asked) == ("SOFTWARE_TOKEN_MFA", False)
    given = {"USERNAME": "alice", "SOFTWARE_TOKEN_MFA_CODE": app_code(secret, env.now())}
    said = api(
        "RespondToAuthChallenge",
        ClientId=client.id,
        ChallengeName="SOFTWARE_TOKEN_MFA",
        Session=asked["Session"],
        ChallengeResponses=given,
    )
    for name in ("AccessToken", "IdToken"):
        claims = payload(said["AuthenticationResult"][name])
        assert (claims["acr"], claims["amr"]) == ("urn:cognito:loa:4", ["pwd", "otp", "mfa"])
    reason = refused(api, client, "USER_AUTH", USERNAME="alice", ACCESS_TOKEN=token[:-9] + "A" * 9, **wish)
    assert reason == ("NotAuthorized", "Could not verify signature for Access Token")


def test_a_preferred_challenge_comes_with_all_that_are_available(
    api: Api, server: Client, env: Env, pool: Pool
) -> None:
    client = build.a_client(env, pool, explicit_auth_flows=["ALLOW_USER_AUTH"], prevent_user_existence_errors="ENABLED")
    build.a_user(env, pool)
    shapes = []
    for name in ("alice", "nobod"):
        said = begin(api, client, "USER_AUTH", USERNAME=name, PREFERRED_CHALLENGE="PASSWORD")
        assert said["ChallengeName"] == "PASSWORD"
        assert said["ChallengeParameters"] == {"USERNAME": name}
        shapes.append((sorted(said), said["AvailableChallenges"], len(said["Session"])))
    assert (
        shapes[0]
        == shapes[1]
        == (
            ["AvailableChallenges", "ChallengeName", "ChallengeParameters", "Session"],
            ["PASSWORD_SRP", "PASSWORD"],
            43,
        )
    )


def test_a_customers_challenge(settings: Settings, env: Env, another_app: Callable[..., Flask]) -> None:
    """Reference: 5.3, 5.8. The metadata of an answer is told, and that of the beginning is not."""
    told: list[Any] = []

    def define(question: events.DefineAuthChallenge) -> events.Defined:
        told.append(dict(question.client_metadata))
        right = any(one.correct for one in question.session)
        return events.Defined(issue_tokens=True) if right else events.Defined("CUSTOM_CHALLENGE")

    functions = {
        "define_auth_challenge": define,
        "create_auth_challenge": lambda question: events.Created({"hint": "6 x 7"}, {"answer": "42"}),
        "verify_auth_challenge_response": lambda question: events.Verified(question.answer == "42"),
    }
    arns = {name: f"arn:aws:lambda:us-east-1:123456789012:function:{name}" for name in functions}
    pool = build.a_pool(env, algorithm="ES256", lambda_config=arns)
    client = build.a_client(env, pool, explicit_auth_flows=["ALLOW_CUSTOM_AUTH"])
    build.a_user(env, pool)
    app = another_app(settings, triggers=Functions(functions))
    app.config["TESTING"] = True
    api = Api(app.test_client())
    which = {"ClientId": client.id, "ClientMetadata": {"from": "the beginning"}}
    asked = api("InitiateAuth", **which, AuthFlow="CUSTOM_AUTH", AuthParameters={"USERNAME": "alice"})
    assert asked["ChallengeName"] == "CUSTOM_CHALLENGE"
    assert asked["ChallengeParameters"] == {"USERNAME": "alice", "hint": "6 x 7"}
    for answer in ("41", "42"):
        asked = api(
            "RespondToAuthChallenge",
            ClientId=client.id,
            ChallengeName="CUSTOM_CHALLENGE",
            Session=asked["Session"],
            ChallengeResponses={"USERNAME": "alice", "ANSWER": answer},
            ClientMetadata={"answer": answer},
        )
    assert asked["AuthenticationResult"]["AccessToken"]
    assert told == [{}, {"answer": "41"}, {"answer": "42"}]
