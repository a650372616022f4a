"""Which user a name means, when somebody would like to be taken for another."""

from __future__ import annotations

import pytest

from app import errors
from app.accounts import find, profile, sign_up
from app.env import Env, Origin
from app.models import Client
from tests.build import PASSWORD, a_client, a_pool, a_user

HERS = {"email": "mallory@evil.example"}


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env, algorithm="ES256", alias_attributes=["email", "preferred_username"]))


def meant(env: Env, client: Client, name: str) -> str:
    return find.existing(env, client.pool, name).user.sub


def test_nobody_is_taken_for_another_by_calling_himself_by_that_ones_sub(env: Env, client: Client) -> None:
    """Servers name users by their `sub`, to put them into groups for example; and it is in every token."""
    alice = a_user(env, client.pool)
    sign_up.sign_up(env, client, username=alice.sub, password=PASSWORD, attributes=HERS, origin=Origin())
    assert meant(env, client, alice.sub) == alice.sub
    assert find.sub_by_name(env, client.pool, alice.sub) == alice.sub


@pytest.mark.parametrize("name", ["alice\uff20example.com", "\uff41lice\uff20example.com"])
def test_nor_by_an_address_in_other_letters(env: Env, client: Client, name: str) -> None:
    alice = a_user(env, client.pool)
    with pytest.raises(errors.InvalidParameter, match="Username cannot be of email format"):
        sign_up.sign_up(env, client, username=name, password=PASSWORD, attributes=HERS, origin=Origin())
    assert meant(env, client, "alice@example.com") == alice.sub


@pytest.mark.parametrize("first", ["alice", "mallory"])
def test_nor_by_preferring_to_be_called_by_his_address_or_name(env: Env, client: Client, first: str) -> None:
    people = {}
    for name in sorted(["alice", "mallory"], key=lambda one: one != first):
        people[name] = a_user(env, client.pool, name, email=f"{name}@example.com")
    for name in ("alice@example.com", "alice"):
        profile.update_attributes(env, client, people["mallory"], attributes={"preferred_username": name})
        assert meant(env, client, name) == people["alice"].sub
    assert meant(env, client, "mallory") == people["mallory"].sub
