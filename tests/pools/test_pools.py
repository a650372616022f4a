"""Domains and resource servers: what is made, and what is refused."""

import pytest

from app import errors
from app.env import Env
from app.pools import domains, find, resource_servers
from app.tokens import resources
from tests.build import a_pool


def test_a_domain_belongs_to_one_pool_and_finds_it(env: Env) -> None:
    pool, other = a_pool(env), a_pool(env)
    domains.create(env, pool, domain="people", custom=False, settings={})
    domains.create(env, pool, domain="auth.example.com", custom=True, settings={})
    for host in ("people.localhost:8080", "PEOPLE.localhost:8080", "auth.example.com", "auth.example.com:443"):
        found = find.pool_by_host(env, host)
        assert found and found.id == pool.id
    for host in ("localhost:8080", "x.people.localhost:8080", "people.example.com", "people", "", "auth.example.com."):
        assert find.pool_by_host(env, host) is None
    with pytest.raises(errors.InvalidParameter, match="Domain already associated with another user pool."):
        domains.create(env, other, domain="people", custom=False, settings={})
    with pytest.raises(errors.InvalidParameter, match="already has a domain of this kind"):
        domains.create(env, pool, domain="people2", custom=False, settings={})


@pytest.mark.parametrize("prefix", ["my-cognito", "aws1", "-x", "x-", "X", "a.b", "", "a" * 64])
def test_prefixes_that_cannot_be_had(env: Env, prefix: str) -> None:
    with pytest.raises(errors.InvalidParameter):
        domains.create(env, a_pool(env), domain=prefix, custom=False, settings={})


@pytest.mark.parametrize("name", ["localhost", "x.localhost", "exa mple.com", "example..com", "-a.example.com"])
def test_custom_domains_that_cannot_be_had(env: Env, name: str) -> None:
    with pytest.raises(errors.InvalidParameter):
        domains.create(env, a_pool(env), domain=name, custom=True, settings={})


def test_a_resource_server_is_known_by_its_identifier(env: Env) -> None:
    pool = a_pool(env)
    resource_servers.create(env, pool, identifier="api", name="API", scopes=[("read", "Read")])
    assert resources.of(env, pool).scopes == {"api/read"}
    with pytest.raises(errors.InvalidParameter, match=f"api already exists in user pool {pool.id}."):
        resource_servers.create(env, pool, identifier="api", name="API", scopes=[])
    with pytest.raises(errors.InvalidParameter, match="once only"):
        resource_servers.create(env, pool, identifier="b", name="B", scopes=[("x", ""), ("x", "")])
