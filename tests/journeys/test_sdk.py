"""An application with the usual SDKs, boto3 and pycognito: from an empty account to signing out everywhere."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from pycognito import Cognito
from pycognito.aws_srp import AWSSRP

from tests.journeys.conftest import RunningServer

pytestmark = pytest.mark.slow

PASSWORD = "Correct-horse-7"
NEW = "Another-horse-8"


@pytest.fixture
def cognito(server: RunningServer) -> Iterator[Any]:
    """The client of an administrator, who has an access key."""
    key = server.demo["access_key"]
    client = boto3.client(
        "cognito-idp",
        endpoint_url=server.base_url,
        region_name=server.region,
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture
def pool_id(cognito: Any) -> str:
    made = cognito.create_user_pool(
        PoolName="Journey",
        AliasAttributes=["email"],
        AutoVerifiedAttributes=["email"],
        UsernameConfiguration={"CaseSensitive": False},
    )
    found: str = made["UserPool"]["Id"]
    return found


def app_client(cognito: Any, pool_id: str, **given: Any) -> dict[str, Any]:
    flows = ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    made = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="App", ExplicitAuthFlows=flows, **given)
    found: dict[str, Any] = made["UserPoolClient"]
    return found


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
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
    server: RunningServer, cognito: Any, anonymous: Callable[..., Cognito], pool_id: str, secret: bool
) -> None:
    assert cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]["AliasAttributes"] == ["email"]
    client = app_client(cognito, pool_id, GenerateSecret=secret)
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

    profile = cognito.get_user(AccessToken=nora.access_token)
    attributes = {one["Name"]: one["Value"] for one in profile["UserAttributes"]}
    assert attributes["sub"] == signed_up["UserSub"]
    assert (attributes["email"], attributes["email_verified"]) == (email, "true")

    cognito.global_sign_out(AccessToken=nora.access_token)
    with pytest.raises(cognito.exceptions.NotAuthorizedException, match="Access Token has been revoked"):
        cognito.get_user(AccessToken=nora.access_token)
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        nora.renew_access_token()


def test_an_invited_person_and_a_forgotten_password(
    server: RunningServer, cognito: Any, anonymous: Callable[..., Cognito], pool_id: str
) -> None:
    client = app_client(cognito, pool_id)
    email = f"{uuid.uuid4()}@example.com"
    cognito.admin_create_user(
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
        client=cognito,
    )
    tokens = srp.set_new_password_challenge(PASSWORD)
    assert tokens["AuthenticationResult"]["AccessToken"]

    ivan = anonymous(client, "ivan")
    ivan.initiate_forgot_password()
    ivan.confirm_forgot_password(server.messages(email)[0]["code"], NEW)
    ivan.authenticate(NEW)
    cognito.revoke_token(Token=ivan.refresh_token, ClientId=client["ClientId"])
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.get_user(AccessToken=ivan.access_token)

    assert cognito.admin_get_user(UserPoolId=pool_id, Username=email)["UserStatus"] == "CONFIRMED"
    pages = cognito.get_paginator("list_users").paginate(UserPoolId=pool_id, PaginationConfig={"PageSize": 1})
    assert [user["Username"] for page in pages for user in page["Users"]] == ["ivan"]
