"""Tags, limits and the delivery of logs at the door."""

from typing import Any

import pytest

from app.env import Env
from app.models import Pool
from tests import build
from tests.api.conftest import Api

GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:cognito"
NOTIFICATIONS = {
    "EventSource": "userNotification",
    "LogLevel": "ERROR",
    "CloudWatchLogsConfiguration": {"LogGroupArn": GROUP},
}
EVENTS = {
    "EventSource": "userAuthEvents",
    "LogLevel": "INFO",
    "S3Configuration": {"BucketArn": "arn:aws:s3:::logs"},
}


def arn_of(api: Api, pool: Pool) -> str:
    return str(api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]["Arn"])


# -- tags ------------------------------------------------------------------------------------------------------


def test_tags_are_those_of_the_pool(api: Api, env: Env) -> None:
    """In whichever operation they are given or shown; their keys are the customer's own words."""
    made = api("CreateUserPool", PoolName="People", UserPoolTags={"Team-Name": "blue", "gone": ""})["UserPool"]
    this = {"ResourceArn": made["Arn"]}
    assert api("ListTagsForResource", **this) == {"Tags": {"Team-Name": "blue", "gone": ""}}
    assert api("TagResource", **this, Tags={"Team-Name": "red", "CostCentre": "7"}) == {}
    assert api("UntagResource", **this, TagKeys=["gone", "never-there"]) == {}
    left = {"Team-Name": "red", "CostCentre": "7"}
    assert api("ListTagsForResource", **this) == {"Tags": left}
    assert api("DescribeUserPool", UserPoolId=made["Id"])["UserPool"]["UserPoolTags"] == left


def test_a_pool_without_tags(api: Api, pool: Pool) -> None:
    assert api("ListTagsForResource", ResourceArn=arn_of(api, pool)) == {"Tags": {}}


def test_a_pool_has_fifty_tags(api: Api, pool: Pool) -> None:
    this = {"ResourceArn": arn_of(api, pool)}
    api("TagResource", **this, Tags={f"t{n}": "" for n in range(50)})
    assert api.refused("TagResource", **this, Tags={"one more": ""})[0] == "InvalidParameter"
    api("TagResource", **this, Tags={"t0": "changed"})
    api("UntagResource", **this, TagKeys=["t1"])
    api("TagResource", **this, Tags={"one more": ""})
    assert len(api("ListTagsForResource", **this)["Tags"]) == 50


@pytest.mark.parametrize("tags", [{"aws:x": ""}, {"AWS:x": ""}, {"k" * 129: ""}, {"k": "v" * 257}, {"": "v"}])
def test_tags_that_cannot_be(api: Api, pool: Pool, tags: dict[str, str]) -> None:
    this = {"ResourceArn": arn_of(api, pool)}
    assert api.refused("TagResource", **this, Tags=tags)[0] == "InvalidParameter"
    assert api("ListTagsForResource", **this) == {"Tags": {}}


@pytest.mark.parametrize(
    ("arn", "refusal"),
    [
        ("arn:aws:cognito-idp:us-east-1:{account}:userpool/us-east-1_AAAAAAAAA", "ResourceNotFound"),
        ("arn:aws:cognito-idp:eu-west-1:{account}:userpool/{pool}", "ResourceNotFound"),
        ("arn:aws:cognito-idp:us-east-1:999999999999:userpool/{pool}", "ResourceNotFound"),
        ("arn:aws-cn:cognito-idp:us-east-1:{account}:userpool/{pool}", "ResourceNotFound"),
        ("arn:aws:cognito-idp:us-east-1:{account}:userpool/{pool}:userpool/{pool}", "ResourceNotFound"),
        ("arn:aws:cognito-idp:us-east-1:{account}:{pool}", "InvalidParameter"),
        ("arn:aws:cognito-identity:us-east-1:{account}:userpool/{pool}", "InvalidParameter"),
        ("arn:aws:s3:us-east-1:{account}:bucket-of-somebody", "InvalidParameter"),
        ("not-an-arn-but-long-enough", "InvalidParameter"),
    ],
)
def test_an_arn_that_is_no_pools(api: Api, env: Env, pool: Pool, arn: str, refusal: str) -> None:
    this = {"ResourceArn": arn.format(account=env.settings.account_id, pool=pool.id)}
    for operation, more in (
        ("TagResource", {"Tags": {"a": "b"}}), ("UntagResource", {"TagKeys": ["a"]}), ("ListTagsForResource", {})
    ):  # fmt: skip
        assert api.refused(operation, **this, **more)[0] == refusal


def test_the_tags_of_one_pool_are_none_of_anothers(api: Api, env: Env, pool: Pool) -> None:
    other = build.a_pool(env, algorithm="ES256")
    api("TagResource", ResourceArn=arn_of(api, other), Tags={"a": "b"})
    assert api("ListTagsForResource", ResourceArn=arn_of(api, pool)) == {"Tags": {}}


# -- limits ----------------------------------------------------------------------------------------------------


def limit(category: str) -> dict[str, Any]:
    return {"LimitDefinition": {"LimitClass": "API_CATEGORY", "Attributes": {"Category": category}}}


def test_a_limit_is_raised_and_lowered_again(api: Api) -> None:
    definition = limit("UserCreation")
    free = {"Limit": {**definition, "ProvisionedLimitValue": 50, "FreeLimitValue": 50}}
    assert api("GetProvisionedLimit", **definition) == free
    for value in (80, 120, 50):
        expected = {"Limit": {**definition, "ProvisionedLimitValue": value, "FreeLimitValue": 50}}
        assert api("UpdateProvisionedLimit", **definition, RequestedLimitValue=value) == expected
        assert api("GetProvisionedLimit", **definition) == expected
    assert api("GetProvisionedLimit", **limit("UserAuthentication"))["Limit"]["FreeLimitValue"] == 120


@pytest.mark.parametrize(
    ("value", "refusal"), [(49, "InvalidParameter"), (-1, "InvalidParameter"), (5001, "ServiceQuotaExceeded")]
)
def test_a_limit_stays_within_its_bounds(api: Api, value: int, refusal: str) -> None:
    definition = limit("UserCreation")
    assert api.refused("UpdateProvisionedLimit", **definition, RequestedLimitValue=value)[0] == refusal
    assert api("GetProvisionedLimit", **definition)["Limit"]["ProvisionedLimitValue"] == 50


@pytest.mark.parametrize(
    "attributes", [{}, {"Category": "Everything"}, {"category": "UserCreation"}, {"Category": "UserRead", "Pool": "x"}]
)
def test_a_limit_is_of_one_known_category(api: Api, attributes: dict[str, str]) -> None:
    definition = {"LimitDefinition": {"LimitClass": "API_CATEGORY", "Attributes": attributes}}
    assert api.refused("GetProvisionedLimit", **definition)[0] == "InvalidParameter"
    assert api.refused("UpdateProvisionedLimit", **definition, RequestedLimitValue=200)[0] == "InvalidParameter"


# -- logs ------------------------------------------------------------------------------------------------------


def configured(pool: Pool, *configurations: dict[str, Any]) -> dict[str, Any]:
    return {"LogDeliveryConfiguration": {"UserPoolId": pool.id, "LogConfigurations": list(configurations)}}


def test_logs_are_configured_replaced_and_cleared(api: Api, env: Env) -> None:
    pool = build.a_pool(env, algorithm="ES256", user_pool_tier="PLUS")
    this = {"UserPoolId": pool.id}
    assert api("GetLogDeliveryConfiguration", **this) == configured(pool)
    for given in ([NOTIFICATIONS, EVENTS], [EVENTS], []):
        expected = configured(pool, *given)
        assert api("SetLogDeliveryConfiguration", **this, LogConfigurations=given) == expected
        assert api("GetLogDeliveryConfiguration", **this) == expected
    assert "LogConfigurations" not in str(api("DescribeUserPool", **this))


def test_events_are_for_the_plus_tier(api: Api, pool: Pool) -> None:
    this = {"UserPoolId": pool.id}
    api("SetLogDeliveryConfiguration", **this, LogConfigurations=[NOTIFICATIONS])
    said = api.refused("SetLogDeliveryConfiguration", **this, LogConfigurations=[EVENTS])
    assert said[0] == "FeatureUnavailableInTier"
    assert api("GetLogDeliveryConfiguration", **this) == configured(pool, NOTIFICATIONS)


@pytest.mark.parametrize(
    "wrong",
    [
        [NOTIFICATIONS, NOTIFICATIONS],
        [NOTIFICATIONS, EVENTS, NOTIFICATIONS],
        [{**NOTIFICATIONS, "LogLevel": "INFO"}],
        [{**EVENTS, "LogLevel": "ERROR"}],
        [{"EventSource": "userNotification", "LogLevel": "ERROR"}],
        [{"EventSource": "userNotification", "LogLevel": "ERROR", "S3Configuration": EVENTS["S3Configuration"]}],
        [{**NOTIFICATIONS, "S3Configuration": EVENTS["S3Configuration"]}],
        [{**NOTIFICATIONS, "CloudWatchLogsConfiguration": {}}],
        [{**NOTIFICATIONS, "CloudWatchLogsConfiguration": {"LogGroupArn": "arn:aws:s3:us-east-1:123456789012:x"}}],
        [{**EVENTS, "S3Configuration": {"BucketArn": "arn:aws:logs:::logs"}}],
    ],
)
def test_a_source_has_its_level_and_its_destinations(api: Api, env: Env, wrong: list[dict[str, Any]]) -> None:
    pool = build.a_pool(env, algorithm="ES256", user_pool_tier="PLUS")
    said = api.refused("SetLogDeliveryConfiguration", UserPoolId=pool.id, LogConfigurations=wrong)
    assert said[0] == "InvalidParameter"
    assert api("GetLogDeliveryConfiguration", UserPoolId=pool.id) == configured(pool)


def test_tags_and_logs_do_not_undo_each_other(api: Api, pool: Pool) -> None:
    this = {"UserPoolId": pool.id}
    api("SetLogDeliveryConfiguration", **this, LogConfigurations=[NOTIFICATIONS])
    api("TagResource", ResourceArn=arn_of(api, pool), Tags={"a": "b"})
    assert api("GetLogDeliveryConfiguration", **this) == configured(pool, NOTIFICATIONS)
    api("SetLogDeliveryConfiguration", **this, LogConfigurations=[])
    assert api("ListTagsForResource", ResourceArn=arn_of(api, pool)) == {"Tags": {"a": "b"}}


def test_an_update_of_the_pool_leaves_its_logs(api: Api, pool: Pool) -> None:
    this = {"UserPoolId": pool.id}
    api("SetLogDeliveryConfiguration", **this, LogConfigurations=[NOTIFICATIONS])
    api("UpdateUserPool", **this)
    assert api("GetLogDeliveryConfiguration", **this) == configured(pool, NOTIFICATIONS)
