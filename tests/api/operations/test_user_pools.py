"""CreateUserPool, DescribeUserPool, ListUserPools, DeleteUserPool at the door."""

from typing import Any

import pytest

from app.env import Env
from app.models import Pool
from app.pools import domains
from tests import build
from tests.api.conftest import Api

STRINGS = (
    "name given_name family_name middle_name nickname preferred_username profile picture website email gender zoneinfo "
    "locale phone_number address"
).split()


def test_a_pool_is_described_with_every_default(api: Api) -> None:
    made = api("CreateUserPool", PoolName="People")["UserPool"]
    assert made == api("DescribeUserPool", UserPoolId=made["Id"])["UserPool"]
    schema = {one["Name"]: one for one in made.pop("SchemaAttributes")}
    pool_id = made.pop("Id")
    assert made == {
        "Name": "People",
        "Arn": f"arn:aws:cognito-idp:us-east-1:000000000000:userpool/{pool_id}",
        "CreationDate": 1772366400.0,
        "LastModifiedDate": 1772366400.0,
        "Policies": {
            "PasswordPolicy": {
                "MinimumLength": 8,
                "RequireUppercase": True,
                "RequireLowercase": True,
                "RequireNumbers": True,
                "RequireSymbols": True,
                "TemporaryPasswordValidityDays": 7,
            },
            "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]},
        },
        "DeletionProtection": "INACTIVE",
        "LambdaConfig": {},
        "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE"},
        "MfaConfiguration": "OFF",
        "EstimatedNumberOfUsers": 0,
        "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
        "UserPoolTags": {},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False, "UnusedAccountValidityDays": 7},
        "UsernameConfiguration": {"CaseSensitive": True},
        "UserPoolTier": "ESSENTIALS",
        "AcrConfiguration": {f"Level{n}": {"AcrValue": f"urn:cognito:loa:{n}"} for n in (1, 2, 3, 4)},
    }
    usual = {"DeveloperOnlyAttribute": False, "Mutable": True, "Required": False}
    text = {**usual, "AttributeDataType": "String"}
    any_text = {"StringAttributeConstraints": {"MinLength": "0", "MaxLength": "2048"}}
    flag = {**usual, "AttributeDataType": "Boolean"}
    assert schema == {
        "sub": {
            **text,
            "Name": "sub",
            "Mutable": False,
            "Required": True,
            "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "2048"},
        },
        **{name: {**text, "Name": name, **any_text} for name in STRINGS},
        "birthdate": {
            **text,
            "Name": "birthdate",
            "StringAttributeConstraints": {"MinLength": "10", "MaxLength": "10"},
        },
        "email_verified": {**flag, "Name": "email_verified"},
        "phone_number_verified": {**flag, "Name": "phone_number_verified"},
        "updated_at": {
            **usual,
            "Name": "updated_at",
            "AttributeDataType": "Number",
            "NumberAttributeConstraints": {"MinValue": "0"},
        },
    }


def test_what_was_given_is_described_back(api: Api) -> None:
    given: dict[str, Any] = {
        "Policies": {"PasswordPolicy": {"MinimumLength": 12, "RequireNumbers": True}},
        "DeletionProtection": "ACTIVE",
        "AutoVerifiedAttributes": ["email"],
        "UsernameAttributes": ["email", "phone_number"],
        "EmailVerificationMessage": "Ihr Schlüssel ist {####}",
        "EmailVerificationSubject": "Grüße",
        "SmsVerificationMessage": "{####}",
        "UserPoolTags": {"CostCenter": "R&D", "team_name": "x"},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
        "UsernameConfiguration": {"CaseSensitive": False},
        "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
        "UserPoolTier": "PLUS",
        "AcrConfiguration": {"Level2": {"AcrValue": "silver"}},
        "MfaConfiguration": None,
        "Schema": [
            {"Name": "email", "Required": True, "Mutable": False},
            {"Name": "tier", "AttributeDataType": "String", "StringAttributeConstraints": {"MaxLength": "8"}},
            {"Name": "age", "AttributeDataType": "Number", "NumberAttributeConstraints": {"MinValue": "18"}},
            {"Name": "flag", "AttributeDataType": "Boolean", "DeveloperOnlyAttribute": True},
        ],
    }
    pool_id = api("CreateUserPool", PoolName="People", **given)["UserPool"]["Id"]
    found = api("DescribeUserPool", UserPoolId=pool_id)["UserPool"]
    for member in (
        "DeletionProtection AutoVerifiedAttributes UsernameAttributes UserPoolTags UsernameConfiguration "
        "AccountRecoverySetting UserPoolTier EmailVerificationMessage EmailVerificationSubject SmsVerificationMessage"
    ).split():
        assert found[member] == given[member]
    assert found["Policies"]["PasswordPolicy"] == {
        "MinimumLength": 12,
        "RequireUppercase": False,
        "RequireLowercase": False,
        "RequireNumbers": True,
        "RequireSymbols": False,
        "TemporaryPasswordValidityDays": 7,
    }
    assert found["VerificationMessageTemplate"] == {
        "DefaultEmailOption": "CONFIRM_WITH_CODE",
        "EmailMessage": "Ihr Schlüssel ist {####}",
        "EmailSubject": "Grüße",
        "SmsMessage": "{####}",
    }
    assert found["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert found["AcrConfiguration"]["Level2"] == {"AcrValue": "silver"}
    assert found["AcrConfiguration"]["Level1"] == {"AcrValue": "urn:cognito:loa:1"}
    schema = {one["Name"]: one for one in found["SchemaAttributes"]}
    assert (schema["email"]["Required"], schema["email"]["Mutable"]) == (True, False)
    assert schema["custom:tier"]["StringAttributeConstraints"] == {"MaxLength": "8"}
    assert schema["custom:age"]["NumberAttributeConstraints"] == {"MinValue": "18"}
    assert schema["dev:custom:flag"]["DeveloperOnlyAttribute"] is True


def test_users_and_domains_are_counted_in(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool)
    domains.create(env, pool, domain="people", custom=False, settings={})
    domains.create(env, pool, domain="auth.example.com", custom=True, settings={})
    found = api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]
    assert found["EstimatedNumberOfUsers"] == 1
    assert (found["Domain"], found["CustomDomain"]) == ("people", "auth.example.com")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"AliasAttributes": ["email"], "UsernameAttributes": ["email"]},
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool.",
        ),
        (
            {"EmailVerificationMessage": "a {####}", "VerificationMessageTemplate": {"EmailMessage": "b {####}"}},
            "The verification messages given in two places must be equal.",
        ),
        (
            {"Schema": [{"Name": "email", "AttributeDataType": "Number"}]},
            "You can not change AttributeDataType or set developerOnlyAttribute for standard schema attribute email",
        ),
        (
            {"Schema": [{"Name": "tier", "AttributeDataType": "String", "Required": True}]},
            "Required custom attributes are not supported currently.",
        ),
        (
            {"MfaConfiguration": "ON"},
            "Multi-factor authentication is not available in this version of Cognate; leave it out.",
        ),
        (
            {"LambdaConfig": {"PreSignUp": "arn:aws:lambda:us-east-1:123456789012:function:f"}},
            "A trigger is not available in this version of Cognate; leave it out.",
        ),
        (
            {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}}},
            "A first factor other than the password is not available in this version of Cognate; leave it out.",
        ),
        (
            {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["EMAIL_OTP"]}}},
            "A first factor other than the password is not available in this version of Cognate; leave it out.",
        ),
        (
            {"DcrConfiguration": {"OpenDcrEnabled": True}},
            "Dynamic client registration is not available in this version of Cognate; leave it out.",
        ),
    ],
)
def test_what_contradicts_itself_or_cannot_be_kept_is_refused(api: Api, given: Any, sentence: str) -> None:
    assert api.refused("CreateUserPool", PoolName="p", **given) == ("InvalidParameter", sentence)


def test_pools_are_listed_a_page_at_a_time(api: Api, env: Env) -> None:
    made = {build.a_pool(env, algorithm="ES256").id for _ in range(3)}
    first = api("ListUserPools", MaxResults=2)
    assert len(first["UserPools"]) == 2
    assert first["UserPools"][0].keys() == {"Id", "Name", "LambdaConfig", "CreationDate", "LastModifiedDate"}
    second = api("ListUserPools", MaxResults=2, NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert {one["Id"] for one in first["UserPools"] + second["UserPools"]} == made


def test_a_page_after_nothing_we_said_is_refused(api: Api) -> None:
    said = api.refused("ListUserPools", MaxResults=2, NextToken="'or''='")
    assert said == ("InvalidParameter", "Invalid pagination token.")


def test_a_deleted_pool_is_gone_at_once(api: Api, env: Env, pool: Pool) -> None:
    client = build.a_client(env, pool)
    assert api("DeleteUserPool", UserPoolId=pool.id) == {}
    said = api.refused("DescribeUserPool", UserPoolId=pool.id)
    assert said == ("ResourceNotFound", f"User pool {pool.id} does not exist.")
    assert api.refused("ForgotPassword", ClientId=client.id, Username="u")[0] == "ResourceNotFound"


def test_a_protected_pool_stays(api: Api, env: Env) -> None:
    pool = build.a_pool(env, algorithm="ES256", deletion_protection="ACTIVE")
    assert api.refused("DeleteUserPool", UserPoolId=pool.id)[0] == "InvalidParameter"
    assert api("DescribeUserPool", UserPoolId=pool.id)


def test_a_pool_with_a_domain_stays(api: Api, env: Env, pool: Pool) -> None:
    domains.create(env, pool, domain="people", custom=False, settings={})
    assert api.refused("DeleteUserPool", UserPoolId=pool.id) == (
        "InvalidParameter",
        "User pool cannot be deleted. It has a domain configured that should be deleted first.",
    )
