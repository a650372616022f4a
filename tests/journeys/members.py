"""A user pool and an app client with every member that the API knows, and both of them changed throughout.

What each SDK sends, reads back and compares. `left_out` compares them with the published model, so that a member of a
new botocore does not go unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.api.registry import MODEL

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
ROLE = "arn:aws:iam::123456789012:role/"
SCOPE = "https://api.example.com/read"
RESOURCE_SERVER = {
    "Identifier": "https://api.example.com",
    "Name": "API",
    "Scopes": [{"ScopeName": "read", "ScopeDescription": "Read"}],
}

TRIGGERS = (
    "PreSignUp CustomMessage PostConfirmation PreAuthentication PostAuthentication DefineAuthChallenge "
    "CreateAuthChallenge VerifyAuthChallengeResponse UserMigration"
).split()


def _triggers(word: str, version: str) -> dict[str, Any]:
    return {
        **{trigger: f"{ARN}{trigger}{word}" for trigger in TRIGGERS},
        # The older name of the same trigger, which has to agree with the newer one.
        "PreTokenGeneration": f"{ARN}Tokens{word}",
        "PreTokenGenerationConfig": {"LambdaVersion": version, "LambdaArn": f"{ARN}Tokens{word}"},
        "CustomSMSSender": {"LambdaVersion": "V1_0", "LambdaArn": f"{ARN}Sms{word}"},
        "CustomEmailSender": {"LambdaVersion": "V1_0", "LambdaArn": f"{ARN}Email{word}"},
        "KMSKeyID": f"arn:aws:kms:us-east-1:123456789012:key/{word}",
        "InboundFederation": {"LambdaVersion": "V1_0", "LambdaArn": f"{ARN}Inbound{word}"},
    }


POOL: dict[str, Any] = {
    "PoolName": "Every member",
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 10,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": False,
            "PasswordHistorySize": 4,
            "TemporaryPasswordValidityDays": 3,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]},
    },
    "DeletionProtection": "ACTIVE",
    "LambdaConfig": _triggers("One", "V2_0"),
    "AutoVerifiedAttributes": ["email"],
    "AliasAttributes": ["email", "preferred_username"],
    "SmsVerificationMessage": "Ihr Code: {####}",
    "EmailVerificationMessage": "Grüße! Ihr Code ist {####}.",
    "EmailVerificationSubject": "Ihr Code",
    "VerificationMessageTemplate": {
        "SmsMessage": "Ihr Code: {####}",
        "EmailMessage": "Grüße! Ihr Code ist {####}.",
        "EmailSubject": "Ihr Code",
        "EmailMessageByLink": "Bitte {##hier bestätigen##}",
        "EmailSubjectByLink": "Bitte bestätigen",
        "DefaultEmailOption": "CONFIRM_WITH_CODE",
    },
    "SmsAuthenticationMessage": "Anmelden mit {####}",
    "MfaConfiguration": "OPTIONAL",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
    "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": False},
    "EmailConfiguration": {
        "SourceArn": "arn:aws:ses:us-east-1:123456789012:identity/example.com",
        "ReplyToEmailAddress": "help@example.com",
        "EmailSendingAccount": "DEVELOPER",
        "From": "Example <no-reply@example.com>",
        "ConfigurationSet": "first-set",
    },
    "SmsConfiguration": {"SnsCallerArn": f"{ROLE}sms", "ExternalId": "one", "SnsRegion": "eu-central-1"},
    "UserPoolTags": {"team": "blue", "Kosten:Stelle": "4711 ü"},
    "AdminCreateUserConfig": {
        "AllowAdminCreateUserOnly": True,
        "UnusedAccountValidityDays": 3,
        "InviteMessageTemplate": {
            "SMSMessage": "{username}: {####}",
            "EmailMessage": "Willkommen {username}, Ihr Passwort ist {####}",
            "EmailSubject": "Willkommen",
        },
    },
    "Schema": [
        {"Name": "email", "AttributeDataType": "String", "Required": True, "Mutable": True},
        {
            "Name": "tier",
            "AttributeDataType": "String",
            "DeveloperOnlyAttribute": False,
            "Mutable": True,
            "Required": False,
            "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "20"},
        },
        {
            "Name": "age",
            "AttributeDataType": "Number",
            "DeveloperOnlyAttribute": True,
            "Mutable": False,
            "Required": False,
            "NumberAttributeConstraints": {"MinValue": "0", "MaxValue": "150"},
        },
    ],
    "UserPoolAddOns": {
        "AdvancedSecurityMode": "AUDIT",
        "AdvancedSecurityAdditionalFlows": {"CustomAuthMode": "AUDIT"},
    },
    "DcrConfiguration": {
        "EnableStatus": "Disabled",
        "OpenDcrEnabled": False,
        "AuthenticatedGrantTypes": ["code", "client_credentials"],
        "OpenDcrGrantTypes": ["code"],
        "AllowedScopes": ["openid"],
    },
    "UsernameConfiguration": {"CaseSensitive": False},
    "AccountRecoverySetting": {
        "RecoveryMechanisms": [
            {"Priority": 1, "Name": "verified_email"},
            {"Priority": 2, "Name": "verified_phone_number"},
        ]
    },
    "UserPoolTier": "PLUS",
    "KeyConfiguration": {"KeyType": "AWS_OWNED_KEY"},
    "IssuerConfiguration": {"Type": "ORIGINAL"},
    "AcrConfiguration": {"Level1": {"AcrValue": "bronze"}, "Level2": {"AcrValue": "silver"}},
}

POOL_CHANGED: dict[str, Any] = {
    "PoolName": "Every member, changed",
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 12,
            "RequireUppercase": False,
            "RequireLowercase": False,
            "RequireNumbers": False,
            "RequireSymbols": True,
            "PasswordHistorySize": 0,
            "TemporaryPasswordValidityDays": 5,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]},
    },
    "DeletionProtection": "INACTIVE",
    "LambdaConfig": _triggers("Two", "V1_0"),
    "AutoVerifiedAttributes": ["phone_number", "email"],
    "SmsVerificationMessage": "Code {####} it is",
    "EmailVerificationMessage": "Your code: {####}",
    "EmailVerificationSubject": "Code",
    "VerificationMessageTemplate": {
        "SmsMessage": "Code {####} it is",
        "EmailMessage": "Your code: {####}",
        "EmailSubject": "Code",
        "EmailMessageByLink": "Please {##confirm here##}",
        "EmailSubjectByLink": "Please confirm",
        "DefaultEmailOption": "CONFIRM_WITH_LINK",
    },
    "SmsAuthenticationMessage": "Sign in with {####}",
    "MfaConfiguration": "OFF",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["phone_number", "email"]},
    "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": False, "DeviceOnlyRememberedOnUserPrompt": True},
    "EmailConfiguration": {
        "SourceArn": "arn:aws:ses:us-east-1:123456789012:identity/example.org",
        "ReplyToEmailAddress": "help@example.org",
        "EmailSendingAccount": "DEVELOPER",
        "From": "Example <no-reply@example.org>",
        "ConfigurationSet": "second-set",
    },
    "SmsConfiguration": {
        "EumsSms": {
            "CallerArn": f"{ROLE}messages",
            "ExternalId": "two",
            "OriginationIdentity": "pool-1",
            "ConfigurationSetName": "set",
            "InEntityId": "entity",
            "InTemplateId": "template",
            "Region": "eu-west-1",
        }
    },
    "UserPoolTags": {"team": "green"},
    "AdminCreateUserConfig": {
        "AllowAdminCreateUserOnly": False,
        "UnusedAccountValidityDays": 5,
        "InviteMessageTemplate": {
            "SMSMessage": "{####} is for {username}",
            "EmailMessage": "Welcome {username}: {####}",
            "EmailSubject": "Welcome",
        },
    },
    "UserPoolAddOns": {
        "AdvancedSecurityMode": "ENFORCED",
        "AdvancedSecurityAdditionalFlows": {"CustomAuthMode": "ENFORCED"},
    },
    "DcrConfiguration": {
        "EnableStatus": "Enabled",
        "OpenDcrEnabled": True,
        "AuthenticatedGrantTypes": ["code"],
        "OpenDcrGrantTypes": [],
        "AllowedScopes": ["openid", "email"],
    },
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "admin_only"}]},
    "UserPoolTier": "ESSENTIALS",
    "KeyConfiguration": {"KeyType": "AWS_OWNED_KEY"},
    "IssuerConfiguration": {"Type": "ORIGINAL"},
    "AcrConfiguration": {"Level1": {"AcrValue": "copper"}, "Level4": {"AcrValue": "platinum"}},
}

CLIENT: dict[str, Any] = {
    "ClientName": "Every member",
    "GenerateSecret": True,
    "RefreshTokenValidity": 20,
    "AccessTokenValidity": 30,
    "IdTokenValidity": 2,
    "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "hours", "RefreshToken": "days"},
    "ReadAttributes": ["email", "email_verified", "custom:tier"],
    "WriteAttributes": ["email", "name"],
    "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_CUSTOM_AUTH"],
    "SupportedIdentityProviders": ["COGNITO"],
    "CallbackURLs": ["https://app.example.com/callback", "myapp://callback"],
    "LogoutURLs": ["https://app.example.com/bye"],
    "DefaultRedirectURI": "https://app.example.com/callback",
    "AllowedOAuthFlows": ["code", "implicit"],
    "AllowedOAuthScopes": ["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin", SCOPE],
    "AllowedOAuthFlowsUserPoolClient": True,
    "AnalyticsConfiguration": {
        "ApplicationId": "0123456789abcdef0123456789abcdef",
        "ApplicationArn": "arn:aws:mobiletargeting:us-east-1:123456789012:apps/one",
        "RoleArn": f"{ROLE}analytics",
        "ExternalId": "one",
        "UserDataShared": True,
    },
    "PreventUserExistenceErrors": "ENABLED",
    "EnableTokenRevocation": False,
    "EnablePropagateAdditionalUserContextData": True,
    "AuthSessionValidity": 7,
    "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 30},
}

CLIENT_CHANGED: dict[str, Any] = {
    "ClientName": "Every member, changed",
    "RefreshTokenValidity": 1200,
    "AccessTokenValidity": 3,
    "IdTokenValidity": 1800,
    "TokenValidityUnits": {"AccessToken": "hours", "IdToken": "seconds", "RefreshToken": "minutes"},
    "ReadAttributes": ["email", "name"],
    "WriteAttributes": ["email", "name", "custom:tier"],
    "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    "SupportedIdentityProviders": ["COGNITO"],
    "CallbackURLs": ["http://localhost:3000/callback"],
    "LogoutURLs": ["http://localhost:3000/bye", "myapp://bye"],
    "DefaultRedirectURI": "http://localhost:3000/callback",
    "AllowedOAuthFlows": ["code"],
    "AllowedOAuthScopes": ["openid", SCOPE],
    "AllowedOAuthFlowsUserPoolClient": True,
    "AnalyticsConfiguration": {
        "ApplicationId": "fedcba9876543210fedcba9876543210",
        "ApplicationArn": "arn:aws:mobiletargeting:us-east-1:123456789012:apps/two",
        "RoleArn": f"{ROLE}insights",
        "ExternalId": "two",
        "UserDataShared": False,
    },
    "PreventUserExistenceErrors": "LEGACY",
    "EnableTokenRevocation": True,
    "EnablePropagateAdditionalUserContextData": False,
    "AuthSessionValidity": 5,
    "RefreshTokenRotation": {"Feature": "DISABLED", "RetryGracePeriodSeconds": 10},
}

NOT_GIVEN = {
    "UsernameAttributes": "a pool has these or aliases; the directory's journey has a pool of them",
    "KeyConfiguration.KmsKeyArn": "a customer-managed key is refused",
    "ClientSecret": "a client has a generated secret or one that it brings; the secrets' journey brings one",
    "UserPoolId": "",
    "ClientId": "",
}
SAME_AGAIN = {
    "KeyConfiguration": "there is no other key that is accepted",
    "IssuerConfiguration": "the other issuer is a host of AWS",
    "SupportedIdentityProviders": "no other provider exists",
    "AllowedOAuthFlowsUserPoolClient": "without it the others could not be given",
}


def left_out(operation: str, *given: Mapping[str, Any]) -> set[str]:
    """Paths of the members of an operation's input that none of these has."""
    return set(_paths(MODEL["operations"][operation]["input"]["shape"], list(given), "")) - NOT_GIVEN.keys()


def _paths(shape: str, given: list[Any], path: str) -> Iterator[str]:
    described = MODEL["shapes"][shape]
    match described["type"]:
        case "structure":
            for member, of in described["members"].items():
                here = f"{path}.{member}" if path else member
                values = [one[member] for one in given if member in one]
                if values:
                    yield from _paths(of["shape"], values, here)
                else:
                    yield here
        case "list":
            yield from _paths(described["member"]["shape"], [one for each in given for one in each], path)
        case "map":
            yield from _paths(described["value"]["shape"], [one for each in given for one in each.values()], path)


def unlike(described: Any, given: Any, path: str = "") -> list[str]:
    """Where what is described is not what was given; it may have more members. Lists must be equal."""
    if isinstance(given, Mapping):
        if not isinstance(described, Mapping):
            return [f"{path}: {described!r}, given {given!r}"]
        return [
            difference
            for key, value in given.items()
            for difference in unlike(described.get(key), value, f"{path}.{key}" if path else key)
        ]
    return [] if described == given else [f"{path}: {described!r}, given {given!r}"]


def unlike_pool(described: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The same for a pool: its name and its schema are described under other names than they are given."""
    told = {key: value for key, value in given.items() if key not in ("PoolName", "Schema")}
    found = unlike(described, {**told, "Name": given["PoolName"]})
    attributes = {one["Name"]: one for one in described["SchemaAttributes"]}
    for one in given.get("Schema", ()):
        name = one["Name"]
        if name not in attributes:
            name = ("dev:custom:" if one.get("DeveloperOnlyAttribute") else "custom:") + name
        found += unlike(attributes.get(name), {**one, "Name": name}, f"Schema[{name}]")
    return found


def unlike_client(described: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The same for a client: that a secret was wished for shows in the secret."""
    return unlike(described, {key: value for key, value in given.items() if key != "GenerateSecret"})
