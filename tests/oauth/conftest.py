"""The doors without a network, each request in a context of its own, and a client application that asks them."""

import contextvars
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.env import Env
from tests import build
from tests.oauth.relying_party import RelyingParty


class Network(FlaskClient):
    """Requests do not see the application context that the test stands in, as they would not over a network."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return contextvars.Context().run(super().open, *args, **kwargs)


@pytest.fixture
def app(app: Flask) -> Iterator[Flask]:
    app.test_client_class = Network
    yield app


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def relying_party(env: Env, http: FlaskClient) -> RelyingParty:
    """A public client of a pool of its own."""
    return RelyingParty.of_new_pool(env, http)


@pytest.fixture
def machine(env: Env, http: FlaskClient) -> RelyingParty:
    """A client that asks for tokens of its own."""
    return RelyingParty.of(env, http, build.a_machine(env, build.a_pool(env)))


@pytest.fixture
def confidential(env: Env, http: FlaskClient) -> RelyingParty:
    """The same with a secret."""
    return RelyingParty.of_new_pool(env, http, secret=True)
