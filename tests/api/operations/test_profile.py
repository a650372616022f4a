"""GetUser at the door."""

from app.env import Env
from app.models import Pool
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import tokens_of


def test_a_token_shows_whose_it_is(api: Api, env: Env, pool: Pool) -> None:
    client = build.a_client(env, pool)
    alice = build.a_user(env, pool, name="Alice")
    assert api("GetUser", AccessToken=tokens_of(env, client, alice).access) == {
        "Username": "alice",
        "UserAttributes": [
            {"Name": "sub", "Value": alice.sub},
            {"Name": "email", "Value": "alice@example.com"},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "name", "Value": "Alice"},
        ],
    }


def test_a_client_reads_what_it_may(api: Api, env: Env, pool: Pool) -> None:
    client = build.a_client(env, pool, read_attributes=["name"])
    alice = build.a_user(env, pool, name="Alice")
    assert api("GetUser", AccessToken=tokens_of(env, client, alice).access)["UserAttributes"] == [
        {"Name": "sub", "Value": alice.sub},
        {"Name": "name", "Value": "Alice"},
    ]
