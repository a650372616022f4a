"""CreateUserPoolDomain at the door."""

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
