"""User pools at the door: made, described, changed, listed, deleted; second factors, sessions, certificate."""

import base64
from typing import Any

import pytest
from cryptography import x509

from app.api import registry
from app.env import Env
from app.models import Pool
from app.pools import domains
from app.tokens import keys
from tests import build
from tests.api.conftest import Api
from tests.conftest import Clock

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
            {"KeyConfiguration": {"KeyType": "CUSTOMER_MANAGED_KEY"}},
            "A customer-managed key is not available in this version of Cognate; leave KeyConfiguration out.",
        ),
        (
            {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["EMAIL_OTP"]}}},
            "AllowedFirstAuthFactors must contain PASSWORD.",
        ),
        (
            {"Schema": [{"Name": "n", "AttributeDataType": "Number", "NumberAttributeConstraints": {"MinValue": "x"}}]},
            "Invalid NumberAttributeConstraints for schema attribute n",
        ),
    ],
)
def test_what_contradicts_itself_or_cannot_be_kept_is_refused(api: Api, given: Any, sentence: str) -> None:
    assert api.refused("CreateUserPool", PoolName="p", **given) == ("InvalidParameter", sentence)


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
ROLE = "arn:aws:iam::123456789012:role/sms"
EVERY_TRIGGER = {
    **{
        trigger: FUNCTION
        for trigger in (
            "PreSignUp CustomMessage PostConfirmation PreAuthentication PostAuthentication DefineAuthChallenge "
            "CreateAuthChallenge VerifyAuthChallengeResponse PreTokenGeneration UserMigration"
        ).split()
    },
    "PreTokenGenerationConfig": {"LambdaVersion": "V2_0", "LambdaArn": FUNCTION},
    "CustomSMSSender": {"LambdaVersion": "V1_0", "LambdaArn": FUNCTION},
    "CustomEmailSender": {"LambdaVersion": "V1_0", "LambdaArn": FUNCTION},
    "InboundFederation": {"LambdaVersion": "V1_0", "LambdaArn": FUNCTION},
    "KMSKeyID": KEY,
}
FIRST: dict[str, Any] = {
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 12,
            "RequireUppercase": True,
            "RequireLowercase": False,
            "RequireNumbers": True,
            "RequireSymbols": False,
            "PasswordHistorySize": 5,
            "TemporaryPasswordValidityDays": 3,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"]},
    },
    "DeletionProtection": "ACTIVE",
    "LambdaConfig": EVERY_TRIGGER,
    "AutoVerifiedAttributes": ["email", "phone_number"],
    "SmsVerificationMessage": "{####} verifies",
    "EmailVerificationMessage": "Here: {####}",
    "EmailVerificationSubject": "Here",
    "VerificationMessageTemplate": {
        "SmsMessage": "{####} verifies",
        "EmailMessage": "Here: {####}",
        "EmailSubject": "Here",
        "EmailMessageByLink": "{##Here##}",
        "EmailSubjectByLink": "There",
        "DefaultEmailOption": "CONFIRM_WITH_CODE",
    },
    "SmsAuthenticationMessage": "{####} signs in",
    "MfaConfiguration": "OPTIONAL",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
    "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": False},
    "EmailConfiguration": {
        "SourceArn": "arn:aws:ses:us-east-1:123456789012:identity/a@example.com",
        "ReplyToEmailAddress": "r@example.com",
        "EmailSendingAccount": "DEVELOPER",
        "From": "a@example.com",
        "ConfigurationSet": "c",
    },
    "SmsConfiguration": {"SnsCallerArn": ROLE, "ExternalId": "x", "SnsRegion": "us-east-1"},
    "UserPoolTags": {"a": "b"},
    "AdminCreateUserConfig": {
        "AllowAdminCreateUserOnly": True,
        "UnusedAccountValidityDays": 3,
        "InviteMessageTemplate": {
            "SMSMessage": "{username} {####}",
            "EmailMessage": "{username}: {####}",
            "EmailSubject": "Come",
        },
    },
    "UserPoolAddOns": {
        "AdvancedSecurityMode": "AUDIT",
        "AdvancedSecurityAdditionalFlows": {"CustomAuthMode": "AUDIT"},
    },
    "DcrConfiguration": {
        "EnableStatus": "Enabled",
        "OpenDcrEnabled": True,
        "AuthenticatedGrantTypes": ["code"],
        "OpenDcrGrantTypes": [],
        "AllowedScopes": ["a/b"],
    },
    "AccountRecoverySetting": {
        "RecoveryMechanisms": [
            {"Priority": 2, "Name": "verified_email"},
            {"Priority": 1, "Name": "verified_phone_number"},
        ]
    },
    "UserPoolTier": "PLUS",
    "KeyConfiguration": {"KeyType": "AWS_OWNED_KEY"},
    "IssuerConfiguration": {"Type": "UPDATED"},
    "AcrConfiguration": {f"Level{n}": {"AcrValue": f"level-{n}"} for n in (1, 2, 3, 4)},
}
SECOND: dict[str, Any] = {
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 6,
            "RequireUppercase": False,
            "RequireLowercase": True,
            "RequireNumbers": False,
            "RequireSymbols": True,
            "PasswordHistorySize": 1,
            "TemporaryPasswordValidityDays": 30,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]},
    },
    "DeletionProtection": "INACTIVE",
    "LambdaConfig": {"PreSignUp": FUNCTION},
    "AutoVerifiedAttributes": ["phone_number"],
    "SmsVerificationMessage": "{####} again",
    "EmailVerificationMessage": "Again: {####}",
    "EmailVerificationSubject": "Again",
    "VerificationMessageTemplate": {
        "SmsMessage": "{####} again",
        "EmailMessage": "Again: {####}",
        "EmailSubject": "Again",
        "EmailMessageByLink": "{##Again##}",
        "EmailSubjectByLink": "And again",
        "DefaultEmailOption": "CONFIRM_WITH_CODE",
    },
    "SmsAuthenticationMessage": "{####} once more",
    "MfaConfiguration": "ON",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["phone_number"]},
    "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": False, "DeviceOnlyRememberedOnUserPrompt": True},
    "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT", "ReplyToEmailAddress": "q@example.com"},
    "SmsConfiguration": {
        "EumsSms": {
            "CallerArn": ROLE,
            "ExternalId": "x",
            "OriginationIdentity": "o",
            "ConfigurationSetName": "c",
            "InEntityId": "e",
            "InTemplateId": "t",
            "Region": "us-east-1",
        }
    },
    "UserPoolTags": {"c": "d"},
    "AdminCreateUserConfig": {
        "AllowAdminCreateUserOnly": False,
        "UnusedAccountValidityDays": 30,
        "InviteMessageTemplate": {
            "SMSMessage": "{####} {username}",
            "EmailMessage": "{####}: {username}",
            "EmailSubject": "Come again",
        },
    },
    "UserPoolAddOns": {"AdvancedSecurityMode": "OFF"},
    "DcrConfiguration": {
        "EnableStatus": "Disabled",
        "OpenDcrEnabled": False,
        "AuthenticatedGrantTypes": ["code", "client_credentials"],
        "OpenDcrGrantTypes": ["code"],
        "AllowedScopes": [],
    },
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "admin_only"}]},
    "UserPoolTier": "LITE",
    "KeyConfiguration": {},
    "IssuerConfiguration": {"Type": "ORIGINAL"},
    "AcrConfiguration": {f"Level{n}": {"AcrValue": f"other-{n}"} for n in (1, 2, 3, 4)},
}
IDENTITY = ("Id", "Arn", "CreationDate")


def test_every_member_is_described_back_changed_and_put_back(api: Api, clock: Clock) -> None:
    """The three lives of a pool: made with everything, changed in everything, updated with nothing."""
    of_an_update = registry.OPERATIONS["UpdateUserPool"].input.members.keys()
    assert FIRST.keys() == SECOND.keys() == of_an_update - {"UserPoolId", "PoolName"}
    plain = api("CreateUserPool", PoolName="Plain")["UserPool"]

    made = api("CreateUserPool", PoolName="People", **FIRST)["UserPool"]
    assert {member: made[member] for member in FIRST} == FIRST
    assert made == api("DescribeUserPool", UserPoolId=made["Id"])["UserPool"]

    clock.forward(minutes=1)
    assert api("UpdateUserPool", UserPoolId=made["Id"], PoolName="Others", **SECOND) == {}
    changed = api("DescribeUserPool", UserPoolId=made["Id"])["UserPool"]
    assert {member: changed[member] for member in SECOND} == SECOND
    assert changed["Name"] == "Others"
    assert changed["LastModifiedDate"] == made["LastModifiedDate"] + 60
    assert {member: changed[member] for member in IDENTITY} == {member: made[member] for member in IDENTITY}

    assert api("UpdateUserPool", UserPoolId=made["Id"]) == {}
    reset = api("DescribeUserPool", UserPoolId=made["Id"])["UserPool"]
    own = {*IDENTITY, "Name", "LastModifiedDate"}
    assert reset.pop("DcrConfiguration") == SECOND["DcrConfiguration"]
    assert {name: value for name, value in reset.items() if name not in own} == {
        name: value for name, value in plain.items() if name not in own
    }
    assert reset["Name"] == "Others"


def test_what_was_described_can_be_sent_back(api: Api) -> None:
    made = api("CreateUserPool", PoolName="People", **FIRST)["UserPool"]
    taken = registry.OPERATIONS["UpdateUserPool"].input.members.keys()
    again = {member: value for member, value in made.items() if member in taken}
    api("UpdateUserPool", UserPoolId=made["Id"], PoolName=made["Name"], **again)
    assert api("DescribeUserPool", UserPoolId=made["Id"])["UserPool"] == made
    schema = [one for one in made["SchemaAttributes"] if len(one["Name"]) <= 20]  # all but phone_number_verified
    twin = api("CreateUserPool", PoolName="Twin", Schema=schema, **FIRST)["UserPool"]
    assert twin["SchemaAttributes"] == made["SchemaAttributes"]


def test_an_update_of_nobody_and_one_that_contradicts_itself_are_refused(api: Api, pool: Pool) -> None:
    unknown = "us-east-1_000000000"
    assert api.refused("UpdateUserPool", UserPoolId=unknown) == (
        "ResourceNotFound",
        f"User pool {unknown} does not exist.",
    )
    assert api.refused("UpdateUserPool", UserPoolId=pool.id, UserPoolTags={"aws:x": ""}) == (
        "UserPoolTagging",
        "The tag aws:x cannot be set: aws: is reserved.",
    )


def test_custom_attributes_are_added(api: Api, pool: Pool) -> None:
    given = [
        {"Name": "tier", "AttributeDataType": "String", "StringAttributeConstraints": {"MinLength": "1"}},
        {"Name": "rank", "AttributeDataType": "Number", "DeveloperOnlyAttribute": True},
    ]
    assert api("AddCustomAttributes", UserPoolId=pool.id, CustomAttributes=given) == {}
    found = api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]["SchemaAttributes"]
    schema = {one["Name"]: one for one in found}
    assert schema["custom:tier"] == {
        "Name": "custom:tier",
        "AttributeDataType": "String",
        "DeveloperOnlyAttribute": False,
        "Mutable": True,
        "Required": False,
        "StringAttributeConstraints": {"MinLength": "1"},
    }
    assert schema["dev:custom:rank"]["DeveloperOnlyAttribute"] is True
    said = api.refused("AddCustomAttributes", UserPoolId=pool.id, CustomAttributes=given)
    assert said == ("InvalidParameter", "custom:tier: Existing attribute already has name custom:tier.")
    twice = api.refused(
        "AddCustomAttributes",
        UserPoolId=pool.id,
        CustomAttributes=[{"Name": f"a{n}", "AttributeDataType": "String"} for n in range(26)],
    )
    assert "Member must have length less than or equal to 25" in twice[1]


def test_second_factors_are_told_as_they_were_set(api: Api, pool: Pool) -> None:
    assert api("GetUserPoolMfaConfig", UserPoolId=pool.id) == {"MfaConfiguration": "OFF"}
    given = {
        "SmsMfaConfiguration": {
            "SmsAuthenticationMessage": "{####}!",
            "SmsConfiguration": {"SnsCallerArn": ROLE, "ExternalId": "x"},
        },
        "SoftwareTokenMfaConfiguration": {"Enabled": True},
        "EmailMfaConfiguration": {"Message": "{####}?", "Subject": "Code"},
        "MfaConfiguration": "OPTIONAL",
        "WebAuthnConfiguration": {
            "RelyingPartyId": "example.com",
            "UserVerification": "required",
            "FactorConfiguration": "SINGLE_FACTOR",
        },
    }
    assert api("SetUserPoolMfaConfig", UserPoolId=pool.id, **given) == given
    assert api("GetUserPoolMfaConfig", UserPoolId=pool.id) == given
    found = api("DescribeUserPool", UserPoolId=pool.id)["UserPool"]
    assert (found["MfaConfiguration"], found["SmsAuthenticationMessage"]) == ("OPTIONAL", "{####}!")
    said = api.refused("SetUserPoolMfaConfig", UserPoolId=pool.id, MfaConfiguration="ON")
    assert said == (
        "InvalidParameter",
        "At least one of [SmsMfaConfiguration] or [SoftwareTokenMfaConfiguration] must be provided.",
    )
    assert api("SetUserPoolMfaConfig", UserPoolId=pool.id) == {"MfaConfiguration": "OFF"}


def test_sessions_are_configured(api: Api, pool: Pool) -> None:
    default = {"UserPoolId": pool.id, "UserSessionTracking": "DISABLED", "TokenSession": {"MaxPerUser": 20}}
    assert api("GetUserPoolSessionConfiguration", UserPoolId=pool.id) == default
    given = {"UserPoolId": pool.id, "UserSessionTracking": "ENABLED", "TokenSession": {"MaxPerUser": 100}}
    assert api("SetUserPoolSessionConfiguration", **given) == given
    api("UpdateUserPool", UserPoolId=pool.id)
    assert api("GetUserPoolSessionConfiguration", UserPoolId=pool.id) == given


def test_the_signing_certificate_is_one_and_the_same(api: Api, env: Env, pool: Pool, clock: Clock) -> None:
    told = api("GetSigningCertificate", UserPoolId=pool.id)["Certificate"]
    found = x509.load_der_x509_certificate(base64.b64decode(told, validate=True))
    assert found.subject.rfc4514_string() == f"CN={pool.id}"
    clock.forward(days=40)
    keys.rotate(env, pool, emergency=True)
    assert api("GetSigningCertificate", UserPoolId=pool.id)["Certificate"] == told


def test_pools_are_listed_with_their_triggers(api: Api) -> None:
    api("CreateUserPool", PoolName="People", LambdaConfig=EVERY_TRIGGER)
    (one,) = api("ListUserPools", MaxResults=1)["UserPools"]
    assert one["LambdaConfig"] == EVERY_TRIGGER


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
