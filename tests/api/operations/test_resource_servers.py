"""CreateResourceServer at the door."""

from app.models import Pool
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
