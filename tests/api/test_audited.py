"""Administrative calls in the audit: each has its row, and in none is a secret that came with it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import delete, select

from app.api import operations
from app.api.registry import MODEL, OPERATIONS
from app.audit import record
from app.audit.masking import MASK
from app.env import Env
from app.models import AuditEvent, Client, Pool
from tests.api import furnished, generate
from tests.api.conftest import TARGET, Api
from tests.api.generate import Asked
from tests.build import PASSWORD, a_client, a_pool, a_user

operations.load()

SIGNED = sorted(name for name, one in OPERATIONS.items() if one.who == "signed")
NAMED_SO = (
    "password",
    "secretcode",
    "confirmationcode",
    "usercode",
    "clientmetadata",
    "authparameters",
    "providerdetails",
)
"""Members that are secret whatever the model says, with all that is inside."""
PUBLIC = re.compile(r"https?:|arn:|us-east-1|[A-Z_]+$|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""Ids (a sub is one of a user's names), URLs and names of challenges, which are given to all kinds of members."""


def calls(env: Env) -> list[AuditEvent]:
    with env.reading() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.kind == "call").order_by(AuditEvent.at)))


def forget(env: Env) -> None:
    with env.transaction():
        env.db.execute(delete(AuditEvent))


def whole(row: AuditEvent) -> str:
    return json.dumps([str(getattr(row, name)) for name in record.MACED], ensure_ascii=False)


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool, explicit_auth_flows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"])


@pytest.fixture
def alice(env: Env, pool: Pool) -> Any:
    return a_user(env, pool)


def test_a_call_tells_who_did_what_to_whom(env: Env, api: Api, pool: Pool, alice: Any) -> None:
    forget(env)
    headers = {"User-Agent": "terraform/1"}
    api.http.environ_base.update({"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": headers["User-Agent"]})
    answer = api.answer("AdminDisableUser", UserPoolId=pool.id, Username="alice")
    (row,) = calls(env)
    assert (row.operation, row.pool_id, row.user_sub, row.error_code) == ("AdminDisableUser", pool.id, alice.sub, None)
    assert (row.actor_kind, row.actor) == ("access_key", "anybody")
    assert (row.ip, row.user_agent) == ("127.0.0.1", "terraform/1")
    assert row.request_id == answer.headers["x-amzn-RequestId"]
    assert json.loads(row.parameters) == {"UserPoolId": pool.id, "Username": MASK}


def test_what_only_reads_has_a_row(env: Env, api: Api, pool: Pool) -> None:
    forget(env)
    api("DescribeUserPool", UserPoolId=pool.id)
    (row,) = calls(env)
    assert (row.operation, row.target, row.error_code) == ("DescribeUserPool", f"userpool/{pool.id}", None)


@pytest.mark.parametrize(
    ("operation", "members"),
    [("AdminGetUser", {"Username": "alice"}), ("ListUsers", {}), ("DescribeUserPool", {})],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_only_reads_writes_nothing_before_its_answer(
    app: Flask,
    env: Env,
    api: Api,
    pool: Pool,
    alice: Any,
    statements: Callable[[], list[str]],
    operation: str,
    members: dict[str, str],
) -> None:
    """Where its row may wait (app.audit.reads): it costs the database what it would without an audit."""
    unaudited = replace(env, settings=replace(env.settings, audit_reads="off"))

    def cost() -> list[str]:
        api(operation, UserPoolId=pool.id, **members)
        statements()
        api(operation, UserPoolId=pool.id, **members)
        return statements()

    app.extensions["cognate_reads"].open()
    costs = cost()
    assert not any("audit" in statement or "INSERT" in statement for statement in costs)
    assert [row["operation"] for row in app.extensions["cognate_reads"].waiting()] == [operation] * 2
    app.extensions["cognate"] = unaudited
    assert costs == cost()


def test_what_is_refused_has_a_row_with_its_error(env: Env, api: Api, pool: Pool) -> None:
    forget(env)
    api.refused("AdminGetUser", UserPoolId=pool.id, Username="nobody")
    api.refused("DescribeUserPool", UserPoolId="us-east-1_AAAAAAAAA")
    api.refused("CreateUserPool")
    found = {row.operation: (row.pool_id, row.target, row.error_code) for row in calls(env)}
    assert found == {
        "AdminGetUser": (pool.id, f"userpool/{pool.id}", "UserNotFound"),
        "DescribeUserPool": ("", "userpool/us-east-1_AAAAAAAAA", "ResourceNotFound"),
        "CreateUserPool": ("", "", "InvalidParameter"),
    }


def test_what_is_made_is_named(env: Env, api: Api) -> None:
    forget(env)
    pool_id = api("CreateUserPool", PoolName="New")["UserPool"]["Id"]
    client_id = api("CreateUserPoolClient", UserPoolId=pool_id, ClientName="App")["UserPoolClient"]["ClientId"]
    sub = {a["Name"]: a["Value"] for a in api(
        "AdminCreateUser", UserPoolId=pool_id, Username="bob", MessageAction="SUPPRESS"
    )["User"]["Attributes"]}["sub"]  # fmt: skip
    found = {row.operation: (row.target, row.user_sub) for row in calls(env)}
    assert found["CreateUserPool"] == (f"userpool/{pool_id}", None)
    assert found["CreateUserPoolClient"] == (f"client/{client_id}", None)
    assert found["AdminCreateUser"][1] == sub


def test_the_rows_of_a_pool_outlive_it(env: Env, api: Api, pool: Pool) -> None:
    api("DeleteUserPool", UserPoolId=pool.id)
    assert calls(env)[-1].operation == "DeleteUserPool"
    assert calls(env)[-1].pool_id == pool.id


def test_who_has_not_signed_writes_nothing(env: Env, http: FlaskClient, pool: Pool) -> None:
    """Or every stranger could fill the database."""
    forget(env)
    headers = {"X-Amz-Target": TARGET + "ListUserPools", "Origin": "https://example.com"}
    answer = http.post("/", json={"MaxResults": 1}, headers=headers, content_type="application/x-amz-json-1.1")
    assert answer.status_code == 400
    assert calls(env) == []


def test_what_needs_no_access_key_is_no_administrative_call(env: Env, api: Api, client: Client) -> None:
    forget(env)
    api.refused("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": "a"})
    assert calls(env) == []


def test_what_users_do_by_access_token_they_did_themselves(env: Env, api: Api, pool: Pool, alice: Any) -> None:
    client = a_client(env, pool)
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    reply = api("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    forget(env)
    token = reply["AuthenticationResult"]["AccessToken"]
    api("ChangePassword", AccessToken=token, PreviousPassword=PASSWORD, ProposedPassword="Another-horse-8")
    with env.reading() as session:
        (row,) = session.scalars(select(AuditEvent))
    assert (row.operation, row.actor_kind, row.actor) == ("PasswordChanged", "user", alice.sub)


def test_a_failed_sign_in_by_an_administrator_is_told_twice_and_has_no_password(
    env: Env, api: Api, pool: Pool, client: Client, alice: Any
) -> None:
    forget(env)
    given = {"USERNAME": "alice", "PASSWORD": "guessed-Wrong-7"}
    members = {"UserPoolId": pool.id, "ClientId": client.id, "AuthParameters": given}
    api.refused("AdminInitiateAuth", AuthFlow="ADMIN_USER_PASSWORD_AUTH", **members)
    (row,) = calls(env)
    assert row.error_code == "NotAuthorized"
    assert json.loads(row.parameters)["AuthParameters"] == {"USERNAME": MASK, "PASSWORD": MASK}
    with env.reading() as session:
        told = [whole(one) for one in session.scalars(select(AuditEvent))]
    assert len(told) == 2 and not any("guessed" in one or "alice" in one for one in told)


# -- secrets -----------------------------------------------------------------------------------------------------


def secrets(shape: str, value: Any, *, inside: bool = False) -> Iterator[str]:
    """Texts in a value that are secret: what the model calls sensitive, and what is named like one. (The id of a client
    is sensitive to the model, and public.)"""
    described = MODEL["shapes"][shape]
    inside = (inside or bool(described.get("sensitive"))) and shape != "ClientIdType"
    match value:
        case str() if inside and described["type"] == "string":
            yield value
        case list() if described["type"] == "list":
            for one in value:
                yield from secrets(described["member"]["shape"], one, inside=inside)
        case dict() if described["type"] == "map":
            for one in value.values():
                yield from secrets(described["value"]["shape"], one, inside=inside)
        case dict() if described["type"] == "structure":
            for name, one in value.items():
                if name in described["members"]:
                    so = inside or name.lower() in NAMED_SO
                    yield from secrets(described["members"][name]["shape"], one, inside=so)


def test_no_secret_of_any_operation_is_in_a_row(env: Env, api: Api) -> None:
    known = furnished.known(furnished.furnish(api))
    read: set[str] = set()
    hidden: set[str] = set()
    for operation in SIGNED:

        @settings(
            max_examples=5, derandomize=True, database=None, deadline=None, phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(generate.calls(operation, known))
        def each(asked: Asked) -> None:
            forget(env)
            try:
                api.answer(asked.operation, **asked.members)
            except (UnicodeEncodeError, RecursionError, ValueError):
                return  # which no client could send
            given = set(secrets(MODEL["operations"][asked.operation]["input"]["shape"], asked.members))
            with env.reading() as session:
                rows = [whole(row) for row in session.scalars(select(AuditEvent))]
            if any(MASK in row for row in rows):
                hidden.add(asked.operation)
            if rows:
                read.add(asked.operation)
            for text in given:
                # Shorter ones, and words that are values of something else too, are in every row by chance.
                if len(text) >= 8 and not PUBLIC.match(text):
                    assert not any(text in row for row in rows), (asked.operation, text)

        each()
    assert read == set(SIGNED)
    assert len(hidden) > 20  # or nothing was looked at
