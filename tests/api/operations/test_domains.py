"""Domains at the door."""

from typing import Any

import pytest

from app.env import Env
from app.models import Pool
from tests import build
from tests.api.conftest import Api

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"


def test_a_prefix_is_given_to_a_pool(api: Api, pool: Pool) -> None:
    assert api("CreateUserPoolDomain", UserPoolId=pool.id, Domain="people") == {"ManagedLoginVersion": 1}
    assert api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]["Domain"] == "people"


def test_the_reply_for_a_custom_domain_says_what_to_point_it_at(api: Api, pool: Pool) -> None:
    given = {"Domain": "auth.example.com", "CustomDomainConfig": {"CertificateArn": CERTIFICATE}}
    made = api("CreateUserPoolDomain", UserPoolId=pool.id, **given, ManagedLoginVersion=2)
    assert made == {"ManagedLoginVersion": 2, "CloudFrontDomain": "localhost:8080"}
    assert api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]["CustomDomain"] == "auth.example.com"


@pytest.mark.parametrize("domain", ["auth..example.com", "auth.example.-com", "example", "pools.localhost"])
def test_a_custom_domain_is_a_name_elsewhere(api: Api, pool: Pool, domain: str) -> None:
    given = {"Domain": domain, "CustomDomainConfig": {"CertificateArn": CERTIFICATE}}
    assert api.refused("CreateUserPoolDomain", UserPoolId=pool.id, **given)[0] == "InvalidParameter"


@pytest.mark.parametrize("domain", ["Upper", "a.b", "-a", "a-", "ünder", "x" * 64])
def test_a_prefix_is_one_plain_label(api: Api, pool: Pool, domain: str) -> None:
    assert api.refused("CreateUserPoolDomain", UserPoolId=pool.id, Domain=domain)[0] == "InvalidParameter"


def test_a_name_belongs_to_one_pool(api: Api, env: Env, pool: Pool) -> None:
    other = build.a_pool(env, algorithm="ES256")
    api("CreateUserPoolDomain", UserPoolId=other.id, Domain="people")
    assert api.refused("CreateUserPoolDomain", UserPoolId=pool.id, Domain="people") == (
        "InvalidParameter",
        "Domain already associated with another user pool.",
    )


def test_a_pool_has_one_prefix(api: Api, pool: Pool) -> None:
    api("CreateUserPoolDomain", UserPoolId=pool.id, Domain="people")
    assert api.refused("CreateUserPoolDomain", UserPoolId=pool.id, Domain="others") == (
        "InvalidParameter",
        "The user pool already has a domain of this kind; delete it first.",
    )


@pytest.mark.parametrize("domain", ["my-cognito", "aws", "amazonia"])
def test_some_words_are_reserved(api: Api, pool: Pool, domain: str) -> None:
    assert api.refused("CreateUserPoolDomain", UserPoolId=pool.id, Domain=domain)[0] == "InvalidParameter"


def test_failover_cannot_be_kept(api: Api, pool: Pool) -> None:
    said = api.refused(
        "CreateUserPoolDomain",
        UserPoolId=pool.id,
        Domain="people",
        Routing={"Failover": {"SecondaryRegion": "us-west-2", "PrimaryRoute53HealthCheckId": "x" * 36}},
    )
    assert said == ("InvalidParameter", "Routing is not available in this version of Cognate; leave it out.")


def custom(pool: Pool, domain: str = "auth.example.com") -> dict[str, Any]:
    return {"UserPoolId": pool.id, "Domain": domain, "CustomDomainConfig": {"CertificateArn": CERTIFICATE}}


def test_a_prefix_is_described(api: Api, env: Env, pool: Pool) -> None:
    api("CreateUserPoolDomain", UserPoolId=pool.id, Domain="people")
    assert api("DescribeUserPoolDomain", Domain="people") == {
        "DomainDescription": {
            "UserPoolId": pool.id,
            "AWSAccountId": env.settings.account_id,
            "Domain": "people",
            "CloudFrontDistribution": "localhost:8080",
            "Version": "20260301120000",
            "Status": "ACTIVE",
            "ManagedLoginVersion": 1,
        }
    }


def test_a_custom_domain_is_described_with_its_certificate(api: Api, pool: Pool) -> None:
    given = custom(pool)
    given["CustomDomainConfig"]["SecurityPolicy"] = "TLS_V1_3_2025"
    api("CreateUserPoolDomain", **given)
    described = api("DescribeUserPoolDomain", Domain="auth.example.com")["DomainDescription"]
    assert described["CustomDomainConfig"] == given["CustomDomainConfig"]


@pytest.mark.parametrize("domain", ["nobody", "nobody.example.com"])
def test_a_domain_that_nobody_has_is_described_by_nothing(api: Api, pool: Pool, domain: str) -> None:
    assert api("DescribeUserPoolDomain", Domain=domain) == {"DomainDescription": {}}


def test_an_update_changes_what_it_names(api: Api, pool: Pool) -> None:
    api("CreateUserPoolDomain", **custom(pool))
    this = {"UserPoolId": pool.id, "Domain": "auth.example.com"}
    said = api("UpdateUserPoolDomain", **this, ManagedLoginVersion=2)
    assert said == {"ManagedLoginVersion": 2, "CloudFrontDomain": "localhost:8080"}
    renewed = CERTIFICATE.replace("1111", "2222")
    api("UpdateUserPoolDomain", **this, CustomDomainConfig={"CertificateArn": renewed})
    described = api("DescribeUserPoolDomain", Domain="auth.example.com")["DomainDescription"]
    assert described["ManagedLoginVersion"] == 2
    assert described["CustomDomainConfig"] == {"CertificateArn": renewed}
    assert api("UpdateUserPoolDomain", **this)["ManagedLoginVersion"] == 2


def test_a_prefix_has_no_certificate(api: Api, pool: Pool) -> None:
    api("CreateUserPoolDomain", UserPoolId=pool.id, Domain="people")
    assert api.refused("UpdateUserPoolDomain", **custom(pool, "people"))[0] == "InvalidParameter"
    assert "CustomDomainConfig" not in api("DescribeUserPoolDomain", Domain="people")["DomainDescription"]
    assert api("UpdateUserPoolDomain", UserPoolId=pool.id, Domain="people", ManagedLoginVersion=2) == {
        "ManagedLoginVersion": 2
    }


@pytest.mark.parametrize("version", [0, 3, -1])
def test_there_are_two_versions_of_managed_login(api: Api, pool: Pool, version: int) -> None:
    this = {"UserPoolId": pool.id, "Domain": "people"}
    assert api.refused("CreateUserPoolDomain", **this, ManagedLoginVersion=version)[0] == "InvalidParameter"
    api("CreateUserPoolDomain", **this)
    assert api.refused("UpdateUserPoolDomain", **this, ManagedLoginVersion=version)[0] == "InvalidParameter"


def test_the_lite_tier_has_the_first_only(api: Api, env: Env) -> None:
    lite = build.a_pool(env, algorithm="ES256", user_pool_tier="LITE")
    this = {"UserPoolId": lite.id, "Domain": "people"}
    assert api.refused("CreateUserPoolDomain", **this, ManagedLoginVersion=2)[0] == "FeatureUnavailableInTier"
    api("CreateUserPoolDomain", **this)
    assert api.refused("UpdateUserPoolDomain", **this, ManagedLoginVersion=2)[0] == "FeatureUnavailableInTier"


def test_failover_cannot_be_added(api: Api, pool: Pool) -> None:
    this = {"UserPoolId": pool.id, "Domain": "people"}
    api("CreateUserPoolDomain", **this)
    failover = {"SecondaryRegion": "us-west-2", "PrimaryRoute53HealthCheckId": "x" * 36}
    said = api.refused("UpdateUserPoolDomain", **this, Routing={"Failover": failover})
    assert said == ("InvalidParameter", "Routing is not available in this version of Cognate; leave it out.")


def test_a_domain_that_is_deleted_is_free(api: Api, env: Env, pool: Pool) -> None:
    this = {"UserPoolId": pool.id, "Domain": "people"}
    api("CreateUserPoolDomain", **this)
    assert api("DeleteUserPoolDomain", **this) == {}
    assert api("DescribeUserPoolDomain", Domain="people") == {"DomainDescription": {}}
    assert "Domain" not in api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]
    other = build.a_pool(env, algorithm="ES256")
    api("CreateUserPoolDomain", UserPoolId=other.id, Domain="people")
    api("DeleteUserPool", UserPoolId=pool.id)


@pytest.mark.parametrize("operation", ["UpdateUserPoolDomain", "DeleteUserPoolDomain"])
@pytest.mark.parametrize("domain", ["people", "nobody"])
def test_nobody_touches_the_domain_of_another_pool(api: Api, env: Env, pool: Pool, operation: str, domain: str) -> None:
    """And it is answered like one that does not exist."""
    other = build.a_pool(env, algorithm="ES256")
    api("CreateUserPoolDomain", UserPoolId=other.id, Domain="people")
    said = api.refused(operation, UserPoolId=pool.id, Domain=domain)
    assert said == ("InvalidParameter", "No such domain or user pool exists.")
    assert api("DescribeUserPoolDomain", Domain="people")["DomainDescription"]["UserPoolId"] == other.id
