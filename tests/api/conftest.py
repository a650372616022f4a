"""The API as its callers see it: `api("SignUp", ClientId=…)`, answered or refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.env import Env
from app.models import Client, Pool
from tests import build

TARGET = "AWSCognitoIdentityProviderService."
ANY_KEY = (
    "AWS4-HMAC-SHA256 Credential=anybody/20260301/us-east-1/cognito-idp/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00"
)
"""What development mode takes from loopback for a signature."""


def body(answer: TestResponse) -> dict[str, Any]:
    """What came back, as JSON; nothing for no body. (The content type is one that nobody else takes for JSON.)"""
    return json.loads(answer.data) if answer.data else {}


@dataclass
class Api:
    http: FlaskClient

    def answer(self, operation: str, **members: Any) -> TestResponse:
        """Whatever comes back."""
        headers = {"X-Amz-Target": TARGET + operation, "Authorization": ANY_KEY}
        return self.http.post("/", json=members, headers=headers, content_type="application/x-amz-json-1.1")

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        """The reply of an operation that succeeds."""
        answer = self.answer(operation, **members)
        assert answer.status_code == 200, answer.text
        return body(answer)

    def refused(self, operation: str, **members: Any) -> tuple[str, str]:
        """Type and sentence of a refusal."""
        answer = self.answer(operation, **members)
        assert answer.status_code == 400, answer.text
        said = body(answer)
        return said["__type"].removesuffix("Exception"), said["message"]


@pytest.fixture
def api(http: FlaskClient) -> Api:
    return Api(http)


@pytest.fixture
def pool(env: Env) -> Pool:
    """People who sign in by username or verified e-mail address. (ES256: its keys are made in no time.)"""
    return build.a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return build.a_client(env, pool)


@pytest.fixture
def code(sent: Callable[..., list[Any]]) -> Callable[[str], str]:
    """The newest code that was sent to an address."""

    def newest(to: str) -> str:
        return next(message.code for message in sent(to) if message.code)

    return newest
