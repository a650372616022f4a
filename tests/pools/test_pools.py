"""Pools, clients, domains, resource servers, access keys: what is made, and what is refused."""

from typing import Any

import pytest

from app import errors
from app.env import Env
from app.pools import access_keys, app_clients, domains, find, resource_servers, user_pools
from tests.build import CALLBACK, a_client, a_machine, a_pool


def client_with(env: Env, pool: Any, *, secret: bool = False, **settings: Any) -> Any:
    return app_clients.create(env, pool, name="C", settings=settings, generate_secret=secret, secret=None)


def test_a_pool_has_cognitos_defaults(env: Env) -> None:
    pool = user_pools.create(env, name="Plain", settings={})
    assert pool.id.startswith("us-east-1_") and len(pool.short_id) == 9
    policy = pool.password_policy
    assert (policy.minimum_length, policy.uppercase, policy.symbols, policy.temporary_validity.days) == (
        8,
        True,
        True,
        7,
    )
    assert pool.case_sensitive and pool.open_to_sign_up and not pool.protected
    assert pool.recovery == ["phone_number", "email"]
    assert len(pool.schema) == 20


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"alias_attributes": ["email"], "username_attributes": ["email"]}, "Only one of"),
        ({"schema": [{"name": "email", "attribute_data_type": "Number"}]}, "You can not change AttributeDataType"),
        ({"schema": [{"name": "x"}]}, "Invalid AttributeDataType"),
        ({"schema": [{"name": "x", "attribute_data_type": "String", "required": True}]}, "Required custom attributes"),
        ({"schema": [{"name": "x", "attribute_data_type": "String"}] * 2}, "Existing attribute already has name"),
        ({"policies": {"password_policy": {"temporary_password_validity_days": 3}},
          "admin_create_user_config": {"unused_account_validity_days": 5}}, "TemporaryPasswordValidityDays"),
        ({"mfa_configuration": "ON"}, "Multi-factor authentication is not available"),
        ({"lambda_config": {"pre_sign_up": "arn:x"}}, "A trigger is not available"),
        ({"policies": {"password_policy": {"password_history_size": 3}}}, "Password history is not available"),
    ],
)  # fmt: skip
def test_settings_that_contradict_themselves_or_would_not_be_enforced_are_refused(
    env: Env, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.InvalidParameter, match=sentence):
        user_pools.create(env, name="P", settings=given)


def test_a_pool_is_deleted_only_without_domain_and_protection(env: Env) -> None:
    pool = a_pool(env)
    domains.create(env, pool, domain="people", custom=False, settings={})
    with pytest.raises(errors.InvalidParameter, match="It has a domain configured that should be deleted first"):
        user_pools.delete(env, pool)
    protected = a_pool(env, deletion_protection="ACTIVE")
    with pytest.raises(errors.InvalidParameter, match="deletion protection"):
        user_pools.delete(env, protected)
    plain = a_pool(env)
    user_pools.delete(env, plain)
    for again in (lambda: user_pools.delete(env, plain), lambda: find.pool(env, plain.id)):
        with pytest.raises(errors.UnknownPool, match=f"User pool {plain.id} does not exist."):
            again()


def test_pools_are_listed_by_pages(env: Env) -> None:
    made = sorted(a_pool(env).id for _ in range(5))
    seen: list[str] = []
    token = None
    while True:
        page = user_pools.listed(env, limit=2, token=token)
        seen += [pool.id for pool in page.rows]
        token = page.token
        if token is None:
            break
    assert seen == made


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://app.example.com/cb?x=1", True),
        ("http://localhost:3000/cb", True),
        ("http://127.0.0.1/cb", True),
        ("http://[::1]:8/cb", True),
        ("myapp://callback", True),
        ("com.example.app:/cb", True),
        ("http://app.example.com/cb", False),
        ("http://localhost.example.com/cb", False),
        ("https:///cb", False),
        ("https://app.example.com/#f", False),
        ("https://app.example.com/cb#", False),
        ("javascript://h/%0aalert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("/relative", False),
        ("https://a b", False),
        ("https://app.example.com/\r\nX: y", False),
        ("//app.example.com", False),
    ],
)
def test_which_urls_a_browser_may_be_sent_to(url: str, fine: bool) -> None:
    if fine:
        app_clients.check_url(url)
        return
    with pytest.raises(errors.InvalidParameter, match="is not a valid redirect URI"):
        app_clients.check_url(url)


CODE = {"allowed_oauth_flows": ["code"], "allowed_oauth_flows_user_pool_client": True, "callback_urls": [CALLBACK]}
MACHINE = {"allowed_oauth_flows_user_pool_client": True, "allowed_oauth_scopes": ["aws.cognito.signin.user.admin"]}


@pytest.mark.parametrize(
    ("given", "refusal", "sentence"),
    [
        ({**CODE, "allowed_oauth_scopes": ["nope"]}, errors.ScopeDoesNotExist, "Invalid scope requested: nope"),
        ({**CODE, "allowed_oauth_scopes": ["email"]}, errors.InvalidParameter, "openid must be present"),
        ({**CODE}, errors.InvalidParameter, "are required"),
        ({**MACHINE, "allowed_oauth_flows": ["client_credentials"]}, errors.InvalidOAuthFlow, "does not have a client"),
        ({**MACHINE, "allowed_oauth_flows": ["client_credentials", "code"]}, errors.InvalidOAuthFlow, "along with"),
        ({"explicit_auth_flows": ["ADMIN_NO_SRP_AUTH", "ALLOW_USER_SRP_AUTH"]}, errors.InvalidParameter, "mixed"),
        ({"access_token_validity": 2, "token_validity_units": {"access_token": "days"}}, errors.InvalidParameter,
         "Invalid range for token validity."),
        ({"access_token_validity": 20, "refresh_token_validity": 2, "token_validity_units": {"refresh_token": "hours"}},
         errors.InvalidParameter, "must not live longer"),
        ({"read_attributes": ["custom:nope"]}, errors.InvalidParameter, "Invalid read attributes"),
        ({"default_redirect_uri": "https://x.example/"}, errors.InvalidParameter, "one of the callback URLs"),
        ({"refresh_token_rotation": {"feature": "ENABLED"}}, errors.InvalidParameter, "not available"),
    ],
)  # fmt: skip
def test_clients_whose_settings_do_not_fit_are_refused(
    env: Env, given: dict[str, Any], refusal: type[errors.Refusal], sentence: str
) -> None:
    with pytest.raises(refusal, match=sentence):
        client_with(env, a_pool(env), **given)


def test_a_secret_is_sealed_shown_again_and_recognised(env: Env) -> None:
    client = a_machine(env, a_pool(env))
    (plain,) = app_clients.secrets_of(env, client)
    assert len(plain) >= 51
    (row,) = client.secrets
    assert plain not in row.sealed
    assert row.digest == app_clients.secret_digest(env, client.id, plain)
    with pytest.raises(errors.InvalidParameter, match="Only one of"):
        app_clients.create(env, client.pool, name="C", settings={}, generate_secret=True, secret="x" * 24)


@pytest.mark.parametrize(
    ("flows", "allowed"),
    [
        ([], {"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"}),
        (["ADMIN_NO_SRP_AUTH"], {"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH",
                                 "ALLOW_ADMIN_USER_PASSWORD_AUTH"}),
        (["CUSTOM_AUTH_FLOW_ONLY"], {"ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}),
        (["ALLOW_USER_PASSWORD_AUTH"], {"ALLOW_USER_PASSWORD_AUTH"}),
    ],
)  # fmt: skip
def test_flows_of_the_old_style_mean_those_of_the_new(env: Env, flows: list[str], allowed: set[str]) -> None:
    assert client_with(env, a_pool(env), explicit_auth_flows=flows).auth_flows == allowed


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
    assert find.scopes(env, pool) == {"api/read"}
    with pytest.raises(errors.InvalidParameter, match=f"api already exists in user pool {pool.id}."):
        resource_servers.create(env, pool, identifier="api", name="API", scopes=[])
    with pytest.raises(errors.InvalidParameter, match="once only"):
        resource_servers.create(env, pool, identifier="b", name="B", scopes=[("x", ""), ("x", "")])


def test_a_client_is_of_its_pool(env: Env) -> None:
    client = a_client(env, a_pool(env))
    assert find.client(env, client.id, client.pool).id == client.id
    for lookup in (lambda: find.client(env, client.id, a_pool(env)), lambda: find.client(env, "nope")):
        with pytest.raises(errors.UnknownClient, match="User pool client .* does not exist."):
            lookup()
