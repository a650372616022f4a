"""Who is calling: the client and its secret, the holder of an access token, the pool that a client belongs to."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from app.api import caller, registry
from app.env import Env, Origin
from app.models import Client, LoginSession, Pool, User
from app.pools import client_secrets
from app.tokens import issue, revoke
from app.tokens.claims import API_SCOPE
from tests import build
from tests.api.conftest import Api
from tests.conftest import Clock


@pytest.fixture
def confidential(env: Env, pool: Pool) -> Client:
    return build.a_client(env, pool, secret=True)


@pytest.fixture
def secret(env: Env, confidential: Client) -> str:
    return client_secrets.of(env, confidential)[0]


def hashed(secret: str, name: str, client: Client) -> str:
    made = hmac.new(secret.encode(), (name + client.id).encode(), hashlib.sha256)
    return base64.b64encode(made.digest()).decode()


def test_a_secret_hash_is_made_as_the_reference_makes_it(env: Env, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "of", lambda env, client: ["mysecret"])
    client = Client(id="1example23456789", secrets=[])
    caller.check_secret_hash(env, client, "vaj8HTBe5GbOXXYp/c3Y8ONQDrEIMNo6p+wW9dQfQmQ=", ["alice"])


# -- SecretHash ------------------------------------------------------------------------------------------------

TAKING_A_HASH = {
    "SignUp": {"Password": build.PASSWORD},
    "ConfirmSignUp": {"ConfirmationCode": "123456"},
    "ResendConfirmationCode": {},
    "ForgotPassword": {},
    "ConfirmForgotPassword": {"ConfirmationCode": "123456", "Password": build.PASSWORD},
}


def test_no_operation_that_takes_a_hash_is_forgotten() -> None:
    taking = {name for name in registry.OPERATIONS if "SecretHash" in registry.OPERATIONS[name].input.members}
    assert taking == TAKING_A_HASH.keys()


@pytest.mark.parametrize("operation", TAKING_A_HASH)
def test_a_confidential_client_must_send_a_hash(api: Api, confidential: Client, operation: str) -> None:
    given: Any = {"ClientId": confidential.id, "Username": "alice", **TAKING_A_HASH[operation]}
    assert api.refused(operation, **given) == (
        "NotAuthorized",
        f"Client {confidential.id} is configured with secret but SECRET_HASH was not received",
    )


@pytest.mark.parametrize("operation", TAKING_A_HASH)
@pytest.mark.parametrize("wrong", ["of another name", "of another client", "of another secret", "nonsense"])
def test_a_wrong_hash_is_refused(
    api: Api, client: Client, confidential: Client, secret: str, operation: str, wrong: str
) -> None:
    given = {
        "of another name": hashed(secret, "bob", confidential),
        "of another client": hashed(secret, "alice", client),
        "of another secret": hashed("x" * 52, "alice", confidential),
        "nonsense": "AAAA",
    }[wrong]
    said = api.refused(
        operation, ClientId=confidential.id, Username="alice", SecretHash=given, **TAKING_A_HASH[operation]
    )
    assert said == ("NotAuthorized", f"Unable to verify secret hash for client {confidential.id}")


def test_a_hash_for_a_client_without_secret_is_refused(api: Api, client: Client, secret: str) -> None:
    said = api.refused(
        "ForgotPassword", ClientId=client.id, Username="alice", SecretHash=hashed(secret, "alice", client)
    )
    assert said == ("NotAuthorized", f"Unable to verify secret hash for client {client.id}")


def test_the_hash_is_over_what_was_sent_and_not_over_what_it_means(
    api: Api, env: Env, pool: Pool, confidential: Client, secret: str
) -> None:
    build.a_user(env, pool)
    for sent, made_with, fine in (
        ("ALICE@example.com", "ALICE@example.com", True),
        ("ALICE@example.com", "alice", False),
        ("ALICE@example.com", "alice@example.com", False),
    ):
        answer = api.answer(
            "ForgotPassword",
            ClientId=confidential.id,
            Username=sent,
            SecretHash=hashed(secret, made_with, confidential),
        )
        assert (answer.status_code == 200) is fine


def test_a_name_beyond_ascii_is_hashed_as_utf_8(api: Api, confidential: Client, secret: str) -> None:
    assert api(
        "SignUp",
        ClientId=confidential.id,
        Username="zoë",
        Password=build.PASSWORD,
        SecretHash=hashed(secret, "zoë", confidential),
    )["UserSub"]


def test_the_secret_is_asked_for_before_anything_else(api: Api, confidential: Client) -> None:
    """Who does not have it learns nothing about users or rules."""
    assert api.refused("SignUp", ClientId=confidential.id, Username="u", Password="short")[0] == "NotAuthorized"


# -- clients and pools -----------------------------------------------------------------------------------------


def test_an_unknown_client_is_named(api: Api) -> None:
    said = api.refused("ForgotPassword", ClientId="nobody", Username="u")
    assert said == ("ResourceNotFound", "User pool client nobody does not exist.")


def test_an_unknown_pool_is_named(api: Api) -> None:
    said = api.refused("AdminGetUser", UserPoolId="us-east-1_None", Username="u")
    assert said == ("ResourceNotFound", "User pool us-east-1_None does not exist.")


def test_a_client_of_another_pool_is_unknown_in_this_one(api: Api, env: Env, client: Client) -> None:
    other = build.a_pool(env, algorithm="ES256")
    said = api.refused("DescribeUserPoolClient", UserPoolId=other.id, ClientId=client.id)
    assert said == ("ResourceNotFound", f"User pool client {client.id} does not exist.")


# -- access tokens ---------------------------------------------------------------------------------------------


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool)


def tokens_of(env: Env, client: Client, user: User, scope: str = API_SCOPE) -> issue.Tokens:
    with env.transaction():
        opened = issue.open_session(
            env, client, user, scope=scope, auth_time=env.now(), methods=["PASSWORD"], origin=Origin()
        )
    return issue.signed(env, client, user, opened.session, oauth=False, refresh=opened.refresh)


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def altered(token: str, **claims: Any) -> str:
    head, _, signature = token.split(".")
    changed = base64.urlsafe_b64encode(json.dumps({**payload(token), **claims}).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


REFUSED_TOKENS = {
    "no token": ("x", "Invalid Access Token"),
    "two dots": ("a.b.c", "Invalid Access Token"),
    "an ID token": ("id", "Could not verify signature for Access Token"),
    "another user": ("altered", "Could not verify signature for Access Token"),
    "no algorithm": ("none", "Could not verify signature for Access Token"),
    "another scope": ("scope", "Access Token does not have required scopes"),
    "another issuer": ("issuer", "Invalid Access Token"),
}


@pytest.mark.parametrize("case", REFUSED_TOKENS)
def test_what_is_not_a_live_access_token_is_refused(api: Api, env: Env, client: Client, alice: User, case: str) -> None:
    kind, sentence = REFUSED_TOKENS[case]
    good = tokens_of(env, client, alice)
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    token = {
        "id": good.id,
        "altered": altered(good.access, sub="somebody"),
        "none": f"{none}.{good.access.split('.')[1]}.",
        "scope": tokens_of(env, client, alice, scope="openid").access,
        "issuer": altered(good.access, iss="https://evil.example.com/us-east-1_abc"),
    }.get(kind, kind)
    for operation in ("GetUser", "GlobalSignOut"):
        code, said = api.refused(operation, AccessToken=token)
        assert code == "NotAuthorized"
        assert said == sentence


def test_an_access_token_ends(api: Api, env: Env, client: Client, alice: User, clock: Clock) -> None:
    token = tokens_of(env, client, alice).access
    clock.forward(seconds=timedelta(hours=1).total_seconds() - 1)
    assert api("GetUser", AccessToken=token)
    clock.forward(seconds=1)
    assert api.refused("GetUser", AccessToken=token) == ("NotAuthorized", "Access Token has expired")


def test_a_revoked_session_ends_its_access_tokens(api: Api, env: Env, client: Client, alice: User) -> None:
    token = tokens_of(env, client, alice).access
    with env.transaction():
        revoke.session(env, payload(token)["event_id"])
    assert api.refused("GetUser", AccessToken=token) == ("NotAuthorized", "Access Token has been revoked")


def test_a_disabled_user_is_refused(api: Api, env: Env, client: Client, alice: User) -> None:
    token = tokens_of(env, client, alice).access
    with env.transaction():
        env.db.get_one(User, alice.sub).enabled = False
    assert api.refused("GetUser", AccessToken=token) == ("NotAuthorized", "User is disabled.")


def test_a_user_who_is_gone_is_told_in_the_words_that_the_operation_has(
    api: Api, env: Env, client: Client, alice: User
) -> None:
    token = tokens_of(env, client, alice).access
    with env.transaction():
        env.db.execute(delete(User).where(User.sub == alice.sub))
    assert api.refused("GetUser", AccessToken=token) == ("UserNotFound", "User does not exist.")
    assert api.refused("GlobalSignOut", AccessToken=token) == ("NotAuthorized", "Access Token has been revoked")


def test_a_session_that_was_swept_away_ends_its_access_tokens(api: Api, env: Env, client: Client, alice: User) -> None:
    token = tokens_of(env, client, alice).access
    with env.transaction():
        env.db.execute(delete(LoginSession))
    assert api.refused("GetUser", AccessToken=token) == ("NotAuthorized", "Access Token has been revoked")
