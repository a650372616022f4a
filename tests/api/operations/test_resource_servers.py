"""Resource servers at the door."""

from collections.abc import Callable

import pytest

from app.env import Env
from app.models import Pool
from tests import build
from tests.api.conftest import Api

SERVER = {"Identifier": "https://api.example.com", "Name": "API"}
READ = {"ScopeName": "read", "ScopeDescription": "Read everything"}


def test_its_scopes_can_be_asked_for_by_clients(api: Api, pool: Pool) -> None:
    made = api("CreateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[READ])
    assert made == {"ResourceServer": {"UserPoolId": pool.id, **SERVER, "Scopes": [READ]}}
    assert api(
        "CreateUserPoolClient",
        UserPoolId=pool.id,
        ClientName="Machine",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=["https://api.example.com/read"],
    )


def test_it_may_do_without_scopes(api: Api, pool: Pool) -> None:
    assert api("CreateResourceServer", UserPoolId=pool.id, **SERVER)["ResourceServer"]["Scopes"] == []


def test_an_identifier_is_used_once_in_a_pool(api: Api, pool: Pool) -> None:
    api("CreateResourceServer", UserPoolId=pool.id, **SERVER)
    assert api.refused("CreateResourceServer", UserPoolId=pool.id, **SERVER) == (
        "InvalidParameter",
        f"https://api.example.com already exists in user pool {pool.id}.",
    )


def test_a_scope_is_named_once(api: Api, pool: Pool) -> None:
    said = api.refused("CreateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[READ, READ])
    assert said == ("InvalidParameter", "Each scope of a resource server can be given once only.")


def test_a_scope_has_no_slash(api: Api, pool: Pool) -> None:
    scope = {**READ, "ScopeName": "a/b"}
    said = api.refused("CreateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[scope])
    assert "scopes.1.member.scopeName" in said[1]


def test_it_is_described_changed_and_removed(api: Api, pool: Pool) -> None:
    this = {"UserPoolId": pool.id, "Identifier": "https://api.example.com"}
    made = api("CreateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[READ])
    assert api("DescribeResourceServer", **this) == made
    write = {"ScopeName": "write", "ScopeDescription": "Write anything"}
    changed = api("UpdateResourceServer", **this, Name="Another", Scopes=[write])
    assert changed == {"ResourceServer": {**this, "Name": "Another", "Scopes": [write]}}
    assert api("DescribeResourceServer", **this) == changed
    assert api("DeleteResourceServer", **this) == {}
    assert api("ListResourceServers", UserPoolId=pool.id) == {"ResourceServers": []}


def test_an_update_without_scopes_removes_them(api: Api, pool: Pool) -> None:
    """So the model warns: what is not given is set to its default."""
    api("CreateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[READ])
    assert api("UpdateResourceServer", UserPoolId=pool.id, **SERVER)["ResourceServer"]["Scopes"] == []


def test_an_update_is_checked_like_a_creation(api: Api, pool: Pool) -> None:
    api("CreateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[READ])
    assert api.refused("UpdateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=[READ, READ]) == (
        "InvalidParameter",
        "Each scope of a resource server can be given once only.",
    )
    many = [{**READ, "ScopeName": f"s{n}"} for n in range(101)]
    assert api.refused("UpdateResourceServer", UserPoolId=pool.id, **SERVER, Scopes=many)[0] == "InvalidParameter"
    nameless = {"UserPoolId": pool.id, "Identifier": SERVER["Identifier"]}
    assert api.refused("UpdateResourceServer", **nameless)[0] == "InvalidParameter"
    described = api("DescribeResourceServer", **nameless)["ResourceServer"]
    assert described["Scopes"] == [READ]


@pytest.mark.parametrize("operation", ["DescribeResourceServer", "UpdateResourceServer", "DeleteResourceServer"])
def test_one_of_another_pool_does_not_exist(api: Api, env: Env, pool: Pool, operation: str) -> None:
    other = build.a_pool(env, algorithm="ES256")
    api("CreateResourceServer", UserPoolId=other.id, **SERVER, Scopes=[READ])
    given = dict(SERVER) if operation.startswith("Update") else {"Identifier": SERVER["Identifier"]}
    assert api.refused(operation, UserPoolId=pool.id, **given) == (
        "ResourceNotFound",
        "Resource server https://api.example.com does not exist.",
    )
    assert len(api("ListResourceServers", UserPoolId=other.id)["ResourceServers"]) == 1


def test_they_are_listed_in_pages(api: Api, pool: Pool) -> None:
    for name in ("c", "a", "b"):
        api("CreateResourceServer", UserPoolId=pool.id, Identifier=name, Name=name, Scopes=[READ])
    first = api("ListResourceServers", UserPoolId=pool.id, MaxResults=2)
    second = api("ListResourceServers", UserPoolId=pool.id, MaxResults=2, NextToken=first["NextToken"])
    found = first["ResourceServers"] + second["ResourceServers"]
    assert [one["Identifier"] for one in found] == ["a", "b", "c"]
    assert "NextToken" not in second
    assert api("ListResourceServers", UserPoolId=pool.id) == {"ResourceServers": found}
    for wrong in ({"MaxResults": 0}, {"MaxResults": 51}, {"NextToken": "made-up"}):
        assert api.refused("ListResourceServers", UserPoolId=pool.id, **wrong)[0] == "InvalidParameter"


def test_a_pool_has_as_many_as_the_operator_says(api: Api, pool: Pool, limited: Callable[..., Env]) -> None:
    limited(resource_servers=1)
    api("CreateResourceServer", UserPoolId=pool.id, **SERVER)
    assert api.refused("CreateResourceServer", UserPoolId=pool.id, Identifier="b", Name="B") == (
        "LimitExceeded",
        "Resource server limit exceeded: a user pool has at most 1 (COGNATE_LIMIT_RESOURCE_SERVERS).",
    )
    limited(resource_servers=2)
    api("CreateResourceServer", UserPoolId=pool.id, Identifier="b", Name="B")
