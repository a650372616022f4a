"""What a client may read of a user, in the ID token."""

import base64
import json
from typing import Any

import pytest

from app.env import Env, Origin
from app.models import Client
from app.tokens import issue
from tests.build import a_client, a_pool, a_user

SCHEMA = [
    {"name": "tier", "attribute_data_type": "String"},
    {"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True},
]
ALL = {"email", "email_verified", "nickname", "custom:tier"}


def identity(env: Env, client: Client, *, scope: str = "openid", oauth: bool = True) -> dict[str, Any]:
    user = a_user(env, client.pool, nickname="Al", **{"custom:tier": "gold", "dev:custom:score": "7"})
    with env.transaction():
        opened = issue.open_session(
            env, client, user, scope=scope, auth_time=env.now(), methods=["PASSWORD"], origin=Origin()
        )
    token = issue.signed(env, client, user, opened.session, oauth=oauth).id
    assert token
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def shown(claims: dict[str, Any]) -> set[str]:
    return claims.keys() & {*ALL, "dev:custom:score"}


@pytest.mark.parametrize("oauth", [False, True])
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (None, ALL),
        (["nickname", "email"], {"nickname", "email"}),
        (["custom:tier", "email_verified"], {"custom:tier", "email_verified"}),
    ],
)
def test_attributes_are_those_that_the_client_may_read(
    env: Env, oauth: bool, listed: list[str] | None, expected: set[str]
) -> None:
    settings = {"read_attributes": listed} if listed else {}
    client = a_client(env, a_pool(env, schema=SCHEMA, algorithm="ES256"), **settings)
    claims = identity(env, client, oauth=oauth)
    assert shown(claims) == expected
    assert claims["sub"] and claims["cognito:username"] == "alice"


def test_a_scope_limits_further_and_never_adds(env: Env) -> None:
    client = a_client(env, a_pool(env, schema=SCHEMA, algorithm="ES256"), read_attributes=["email", "nickname"])
    assert shown(identity(env, client, scope="openid email")) == {"email"}
