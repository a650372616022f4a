"""Rates at the API's door: which category an operation has, and what too many requests are answered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app.api import categories, registry
from app.env import Env
from app.models import Client, Pool
from app.throttling.categories import ANSWERS, FREE
from tests.api.conftest import Api, body
from tests.build import PASSWORD, a_client, a_user
from tests.conftest import Clock


@pytest.fixture
def limit(app: Flask, env: Env) -> Any:
    """`limit(requests_per_address=2)`: the same server with other settings."""

    def change(**settings: Any) -> None:
        app.extensions["cognate"] = replace(env, settings=replace(env.settings, **settings))

    return change


def sign_in(api: Api, client: Client, name: str = "nobody", **members: Any) -> Any:
    given = {"USERNAME": name, "PASSWORD": PASSWORD, **members}
    return api.answer("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)


def test_every_operation_has_a_category() -> None:
    """Those that the model names and the table does not are about what belongs to a pool."""
    assert {categories.of(name) for name in registry.NAMES} == {ANSWERS, *FREE} - {"UserFederation"}
    assert categories.of("SignUp") == "UserCreation"
    assert categories.of("CreateGroup") == "UserPoolResourceUpdate"
    assert categories.of("ListGroups") == "UserPoolResourceRead"
    listed = [name for names in categories.OPERATIONS.values() for name in names.split()]
    assert len(listed) == len(set(listed)) and set(listed) <= registry.NAMES


def test_too_many_are_told_when_to_come_again(api: Api, client: Client, env: Env, limit: Any) -> None:
    a_user(env, client.pool, "owner")
    limit(requests_per_address=2)
    assert [sign_in(api, client, "owner").status_code for _ in range(2)] == [200, 200]
    answer = sign_in(api, client, "owner")
    assert body(answer) == {"__type": "TooManyRequestsException", "message": "Too many requests"}
    assert (answer.status_code, answer.headers["Retry-After"]) == (400, "60")


def test_development_limits_nothing(api: Api, client: Client) -> None:
    assert {sign_in(api, client).headers.get("Retry-After") for _ in range(200)} == {None}


def test_nothing_is_hashed_for_who_is_refused(api: Api, client: Client, env: Env, app: Flask, limit: Any) -> None:
    class Counting:
        calls = 0

        def verify_nothing(self, password: str) -> None:
            self.calls += 1

    limit(requests_per_account=3)
    hasher = Counting()
    app.extensions["cognate"] = replace(app.extensions["cognate"], hasher=hasher)
    for _ in range(10):
        sign_in(api, client)
    assert hasher.calls == 3


def test_an_administrator_is_counted_by_pool_alone(api: Api, pool: Pool, limit: Any) -> None:
    limit(requests_per_address=1, requests_per_account=1, requests_per_client=1)
    assert {api.answer("ListUsers", UserPoolId=pool.id).status_code for _ in range(5)} == {200}


def test_a_provisioned_limit_acts_at_once(api: Api, pool: Pool, limit: Any) -> None:
    limit(provisioned_limits=True)
    users = FREE["UserList"]
    named = {"LimitDefinition": {"LimitClass": "API_CATEGORY", "Attributes": {"Category": "UserList"}}}
    assert {api.answer("ListUsers", UserPoolId=pool.id).status_code for _ in range(users)} == {200}
    assert api.answer("ListUsers", UserPoolId=pool.id).headers["Retry-After"] == "1"
    api("UpdateProvisionedLimit", **named, RequestedLimitValue=users * 2)
    assert {api.answer("ListUsers", UserPoolId=pool.id).status_code for _ in range(users - 1)} == {200}
    assert api.refused("ListUsers", UserPoolId=pool.id)[0] == "TooManyRequests"


def test_a_stranger_without_the_secret_takes_nothing_from_a_client_for_long(
    api: Api, pool: Pool, env: Env, limit: Any
) -> None:
    client = a_client(env, pool, secret=True)
    limit(requests_per_address=3)
    answers = [sign_in(api, client, SECRET_HASH="wrong") for _ in range(5)]
    assert [body(one)["__type"] for one in answers[2:]] == ["NotAuthorizedException"] + ["TooManyRequestsException"] * 2


def test_who_is_not_known_to_sit_behind_a_proxy_cannot_choose_an_address(api: Api, client: Client, limit: Any) -> None:
    limit(requests_per_address=2)
    api.http.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.1"
    sign_in(api, client)
    api.http.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.2"
    sign_in(api, client)
    api.http.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.3"
    assert body(sign_in(api, client))["__type"] == "TooManyRequestsException"


def test_who_has_done_something_too_often_in_an_hour_is_told_an_hour(
    api: Api, client: Client, env: Env, clock: Clock
) -> None:
    """And not what is left of it: that would tell a stranger when the owner of a name did something last."""
    a_user(env, client.pool, "owner")
    clock.forward(minutes=10)
    for _ in range(20):
        api("ForgotPassword", ClientId=client.id, Username="owner")
        clock.forward(minutes=1)
    answer = api.answer("ForgotPassword", ClientId=client.id, Username="owner")
    assert body(answer)["__type"] == "LimitExceededException"
    assert answer.headers["Retry-After"] == "3600"


def test_a_quota_that_is_full_is_not_a_matter_of_time(api: Api, pool: Pool, limited: Callable[..., Env]) -> None:
    limited(groups=1)
    api("CreateGroup", UserPoolId=pool.id, GroupName="one")
    answer = api.answer("CreateGroup", UserPoolId=pool.id, GroupName="two")
    assert body(answer)["__type"] == "LimitExceededException" and "Retry-After" not in answer.headers
