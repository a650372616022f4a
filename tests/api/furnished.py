"""A server with some of everything in it, and the words by which a fuzzer finds it: ids, names, live tokens, codes.

Made through the API itself. Nobody is asserted about here: what cannot be made ends the test that wanted it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from app.crypto import totp
from app.db import db
from app.models import OutboxMessage
from tests import build, pictures
from tests.api.conftest import Api
from tests.authenticator import Authenticator
from tests.build import app_code
from tests.conftest import START

PASSWORD = "Correct-horse-7"
OTHER_PASSWORD = "Another-horse-8"
MADE = "made"
"""Stands for the hash that shows a client's secret, until it is known whose and for whom."""

FLOWS = [
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
]
EXCHANGES = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION", "ALLOW_TOKEN_EXCHANGE_DELEGATION"]
IDENTIFIER = "https://api.example.com"
CALLBACK = "https://app.example.com/callback"
PAGE = "http://people.localhost:8080"
"""Of the pool's own pages, by its domain."""
LINKS = {"cognito:default": "https://example.com/terms"}
USERS = ("alice", "bob", "dave", "erin")
"""alice has it all; bob has been invited; dave has forgotten his password; erin is disabled. Besides them carol has
signed up and not confirmed it."""


@dataclass
class Furnished:
    """What there is. `pool` has it all, `addresses` takes addresses for usernames, `empty` has nothing in it."""

    pool: str = ""
    addresses: str = ""
    empty: str = ""
    arn: str = ""
    public: str = ""
    confidential: str = ""
    single: str = ""
    """A confidential client with one secret; the one above has two."""
    foreign: str = ""
    """A client of `addresses`."""
    secrets: dict[str, str] = field(default_factory=dict)
    """In clear, by client."""
    secret_id: str = ""
    style: str = ""
    terms: str = ""
    sub: str = ""
    tokens: list[dict[str, Any]] = field(default_factory=list)
    """alice's, with either client, and with the first again."""
    session: str = ""
    """bob's, who has to choose a password."""
    choice: str = ""
    """dave's, who can choose how to sign in."""
    asked: str = ""
    """alice's, who has to show a code of her authenticator app."""
    app_codes: list[str] = field(default_factory=list)
    """What her app shows: of the secret that waits to be verified, and of the one in use, in the next half minute."""
    codes: dict[str, str] = field(default_factory=dict)
    """The newest that was sent, by address."""
    machine: str = ""
    """A client that gets tokens of its own, and one that exchanges others'."""
    service: str = ""
    sessions: list[str] = field(default_factory=list)
    """Names of alice's."""
    passkey: str = ""
    """Credential id of one of alice's."""
    registrations: list[dict[str, Any]] = field(default_factory=list)
    """What her browser answers to the registration that waits: right, and wrong in several ways."""
    devices: list[str] = field(default_factory=list)
    """Keys of alice's: one that she was offered, and two that she has confirmed."""
    confirming: dict[str, Any] = field(default_factory=dict)
    """What she would confirm the first one with."""
    pages: list[str] = field(default_factory=list)
    """Tokens of the next page, of several lists."""

    def signed(self, given: dict[str, Any]) -> dict[str, Any]:
        """With the hash that shows the client's secret wherever a hash is asked for, unless another one is given."""
        client_id = given.get("ClientId")
        secret = self.secrets.get(client_id) if isinstance(client_id, str) else None
        for place, name, key in (
            (None, "Username", "SecretHash"),
            ("AuthParameters", "USERNAME", "SECRET_HASH"),
            ("ChallengeResponses", "USERNAME", "SECRET_HASH"),
        ):
            inner = given if place is None else given.get(place)
            if not isinstance(inner, dict) or inner.get(key, MADE) != MADE or not isinstance(inner.get(name), str):
                continue
            inner = {member: value for member, value in inner.items() if member != key}
            if secret is not None:
                said = (inner[name] + client_id).encode("utf-8", "surrogatepass")
                inner[key] = base64.b64encode(hmac.digest(secret.encode("utf-8"), said, hashlib.sha256)).decode("ascii")
            given = inner if place is None else {**given, place: inner}
        return given


def furnish(api: Api) -> Furnished:
    """Make some of everything. Inside an application context."""
    made = Furnished()
    _pools(api, made)
    _clients(api, made)
    _people(api, made)
    _what_they_hold(api, made)
    _belongings(api, made)
    _passkeys(api, made)
    _devices(api, made)
    made.pages = [
        api("ListUsers", UserPoolId=made.pool, Limit=1)["PaginationToken"],
        api("ListUserPools", MaxResults=1)["NextToken"],
        api("ListUserPoolClients", UserPoolId=made.pool, MaxResults=1)["NextToken"],
        api("ListGroups", UserPoolId=made.pool, Limit=1)["NextToken"],
        api("ListUsersInGroup", UserPoolId=made.pool, GroupName="admins", Limit=1)["NextToken"],
        api("AdminListGroupsForUser", UserPoolId=made.pool, Username="alice", Limit=1)["NextToken"],
        api("AdminListDevices", UserPoolId=made.pool, Username="alice", Limit=1)["PaginationToken"],
    ]
    return made


def _pools(api: Api, made: Furnished) -> None:
    created = api(
        "CreateUserPool",
        PoolName="People",
        AliasAttributes=["email", "phone_number", "preferred_username"],
        AutoVerifiedAttributes=["email"],
        UsernameConfiguration={"CaseSensitive": False},
        Schema=[
            {"Name": "tier", "AttributeDataType": "String", "StringAttributeConstraints": {"MaxLength": "20"}},
            {"Name": "age", "AttributeDataType": "Number", "NumberAttributeConstraints": {"MaxValue": "150"}},
            {"Name": "since", "AttributeDataType": "DateTime", "Mutable": False},
            {"Name": "note", "AttributeDataType": "Boolean", "DeveloperOnlyAttribute": True},
        ],
        UserPoolTags={"team": "blue"},
        Policies={"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN"]}},
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": True},
    )["UserPool"]
    made.pool, made.arn = created["Id"], created["Arn"]
    api(
        "SetUserPoolMfaConfig",
        UserPoolId=made.pool,
        MfaConfiguration="OPTIONAL",
        SoftwareTokenMfaConfiguration={"Enabled": True},
        SmsMfaConfiguration={"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::1:role/sms"}},
        EmailMfaConfiguration={},
    )
    tracking = {"UserSessionTracking": "ENABLED", "TokenSession": {"MaxPerUser": 20}}
    api("SetUserPoolSessionConfiguration", UserPoolId=made.pool, **tracking)
    by_address = api("CreateUserPool", PoolName="Addresses", UsernameAttributes=["email", "phone_number"])
    made.addresses = by_address["UserPool"]["Id"]
    made.empty = api("CreateUserPool", PoolName="Empty")["UserPool"]["Id"]


def _clients(api: Api, made: Furnished) -> None:
    def client(pool: str, **more: Any) -> str:
        given = {"UserPoolId": pool, "ClientName": "App", "ExplicitAuthFlows": FLOWS, **more}
        found: dict[str, str] = api("CreateUserPoolClient", **given)["UserPoolClient"]
        if "ClientSecret" in found:
            made.secrets[found["ClientId"]] = found["ClientSecret"]
        return found["ClientId"]

    scope = {"ScopeName": "read", "ScopeDescription": "Read"}
    api("CreateResourceServer", UserPoolId=made.pool, Identifier=IDENTIFIER, Name="API", Scopes=[scope])
    made.public = client(
        made.pool,
        CallbackURLs=[CALLBACK],
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid", f"{IDENTIFIER}/read"],
        AllowedOAuthFlowsUserPoolClient=True,
        SupportedIdentityProviders=["COGNITO"],
    )
    made.confidential = client(made.pool, GenerateSecret=True)
    made.single = client(made.pool, GenerateSecret=True)
    made.foreign = client(made.addresses)
    scopes = {"AllowedOAuthScopes": [f"{IDENTIFIER}/read"]}
    made.machine = client(made.pool, GenerateSecret=True, ExplicitAuthFlows=["ALLOW_CLIENT_TOKEN_AUTH"], **scopes)
    made.service = client(made.pool, ExplicitAuthFlows=EXCHANGES, AllowedOAuthScopes=["aws.cognito.signin.user.admin"])
    which = {"UserPoolId": made.pool, "ClientId": made.confidential}
    made.secret_id = api("AddUserPoolClientSecret", **which)["ClientSecretDescriptor"]["ClientSecretId"]


def _people(api: Api, made: Furnished) -> None:
    hers = {"email": "alice@example.com", "email_verified": "true", "phone_number": "+15550100", "custom:tier": "gold"}
    for name in USERS:
        theirs = hers if name == "alice" else {"email": f"{name}@example.com"}
        created = api(
            "AdminCreateUser",
            UserPoolId=made.pool,
            Username=name,
            UserAttributes=[{"Name": attribute, "Value": value} for attribute, value in theirs.items()],
            MessageAction="SUPPRESS",
            TemporaryPassword=PASSWORD,
        )
        if name == "alice":
            made.sub = next(one["Value"] for one in created["User"]["Attributes"] if one["Name"] == "sub")
        if name != "bob":
            api("AdminSetUserPassword", UserPoolId=made.pool, Username=name, Password=PASSWORD, Permanent=True)
    verified = [{"Name": "email_verified", "Value": "true"}]
    api("AdminUpdateUserAttributes", UserPoolId=made.pool, Username="dave", UserAttributes=verified)
    email = [{"Name": "email", "Value": "carol@example.com"}]
    api("SignUp", ClientId=made.public, Username="carol", Password=PASSWORD, UserAttributes=email)
    api("SignUp", ClientId=made.foreign, Username="frank@x.example", Password=PASSWORD)
    for group in ("admins", "editors"):
        api("CreateGroup", UserPoolId=made.pool, GroupName=group, Precedence=1)
        for name in USERS:
            api("AdminAddUserToGroup", UserPoolId=made.pool, GroupName=group, Username=name)


def _what_they_hold(api: Api, made: Furnished) -> None:
    def sign_in(client_id: str, name: str) -> dict[str, Any]:
        how = {"USERNAME": name, "PASSWORD": PASSWORD}
        asked = {"ClientId": client_id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": how}
        return api("InitiateAuth", **made.signed(asked))

    made.tokens = [
        sign_in(client, "alice")["AuthenticationResult"] for client in (made.public, made.confidential, made.public)
    ]
    listed = api("AdminListUserSessions", UserPoolId=made.pool, Username="alice")["Sessions"]
    made.sessions = [one["SessionId"] for one in listed]
    made.session = sign_in(made.public, "bob")["Session"]
    choosing = {"ClientId": made.public, "AuthFlow": "USER_AUTH", "AuthParameters": {"USERNAME": "dave"}}
    made.choice = api("InitiateAuth", **choosing)["Session"]
    hers = {"AccessToken": made.tokens[0]["AccessToken"]}
    in_use = api("AssociateSoftwareToken", **hers)["SecretCode"]
    api("VerifySoftwareToken", **hers, UserCode=app_code(in_use, START))
    waiting = api("AssociateSoftwareToken", **hers)["SecretCode"]
    made.app_codes = [app_code(waiting, START), app_code(in_use, START + timedelta(seconds=totp.PERIOD))]
    api("SetUserMFAPreference", **hers, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True})
    made.asked = sign_in(made.public, "alice")["Session"]
    api("AdminDisableUser", UserPoolId=made.pool, Username="erin")
    api("ForgotPassword", ClientId=made.public, Username="dave")
    api("GetUserAttributeVerificationCode", AccessToken=made.tokens[0]["AccessToken"], AttributeName="phone_number")
    sent = db.session.scalars(select(OutboxMessage).order_by(OutboxMessage.id))
    made.codes = {message.to: message.code for message in sent if message.code}
    db.session.remove()


def _belongings(api: Api, made: Furnished) -> None:
    which = {"UserPoolId": made.pool}
    api("CreateUserPoolDomain", **which, Domain="people", ManagedLoginVersion=1)
    style = api("CreateManagedLoginBranding", **which, ClientId=made.public, UseCognitoProvidedValues=True)
    made.style = style["ManagedLoginBranding"]["ManagedLoginBrandingId"]
    for whose in ({}, {"ClientId": made.public}):
        api("SetUICustomization", **which, **whose, CSS=".banner-customizable { padding: 1px; }")
    terms = {"TermsName": "terms-of-use", "TermsSource": "LINK", "Enforcement": "NONE", "Links": LINKS}
    made.terms = api("CreateTerms", **which, ClientId=made.public, **terms)["Terms"]["TermsId"]


def _passkeys(api: Api, made: Furnished) -> None:
    mine = made.tokens[0]["AccessToken"]

    def started() -> dict[str, Any]:
        return api("StartWebAuthnRegistration", AccessToken=mine)["CredentialCreationOptions"]  # type: ignore[no-any-return]

    key, another = Authenticator(), Authenticator(synced=True)
    api("CompleteWebAuthnRegistration", AccessToken=mine, Credential=key.register(started(), PAGE))
    made.passkey = key.name
    options = started()
    right = another.register(options, PAGE)
    made.registrations = [
        right,
        right,
        key.register(options, PAGE),
        another.register(options, "https://x.example"),
        another.register(options, PAGE, attestation={"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}}),
        {**right, "response": {**right["response"], "attestationObject": "////"}},
    ]


def _devices(api: Api, made: Furnished) -> None:
    def confirming(tokens: dict[str, Any]) -> dict[str, Any]:
        new = tokens["NewDeviceMetadata"]
        verifier = build.a_verifier(new["DeviceGroupKey"], new["DeviceKey"])
        secret = {"PasswordVerifier": verifier["password_verifier"], "Salt": verifier["salt"]}
        return {
            "AccessToken": tokens["AccessToken"],
            "DeviceKey": new["DeviceKey"],
            "DeviceSecretVerifierConfig": secret,
        }

    ways = [confirming(tokens) for tokens in made.tokens]
    made.devices = [way["DeviceKey"] for way in ways]
    made.confirming = ways[0]
    for way in ways[1:]:
        api("ConfirmDevice", **way, DeviceName="Phone")


def known(made: Furnished) -> dict[str, list[Any]]:
    """By which values all that is found, for `generate`: of a member, of a shape, or all that a call needs."""
    mine = made.tokens[0]["AccessToken"]
    carol = {"ClientId": made.public, "Username": "carol"}
    dave = {"ClientId": made.public, "Username": "dave"}
    passwords = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    # Any A will do that is not 0 modulo N.
    srp = {"USERNAME": "alice", "SRP_A": "ab" * 384}
    with_a_device = {**passwords, "DEVICE_KEY": made.devices[1]}
    refreshing = {"REFRESH_TOKEN": made.tokens[0]["RefreshToken"]}
    chosen = {"USERNAME": "bob", "NEW_PASSWORD": OTHER_PASSWORD}
    preferred = {"USERNAME": "dave", "PREFERRED_CHALLENGE": "PASSWORD_SRP"}
    for_admins = {"UserPoolId": made.pool, "ClientId": made.public}
    choice = {"ChallengeName": "SELECT_CHALLENGE", "Session": made.choice}
    limit = {"LimitDefinition": {"LimitClass": "API_CATEGORY", "Attributes": {"Category": "UserRead"}}}
    attributes = (
        "email custom:tier phone_number email_verified custom:age custom:since dev:custom:note preferred_username "
        "name given_name birthdate updated_at sub"
    ).split()
    return {
        "UserPoolIdType": [made.pool] * 9 + [made.addresses, "us-east-1_000000000"],
        "ResourceArn": [made.arn],
        "ClientIdType": [made.public] * 5 + [made.confidential, made.single, made.foreign, "0" * 26],
        "DeviceKeyType": made.devices,
        "ClientSecretIdType": [made.secret_id],
        "ClientSecretType": list(made.secrets.values()),
        "SecretHashType": [MADE],
        "UsernameType": [
            *USERS,
            *USERS,
            "carol",
            "alice@example.com",
            made.sub,
            "ALICE",
            "nobody",
            "frank@example.com",
        ],
        "PasswordType": [PASSWORD, OTHER_PASSWORD, "short", "ñandú-Correct-7𝒳"],
        "GroupNameType": ["admins", "editors", "admins", "nobodies"],
        "ResourceServerIdentifierType": [IDENTIFIER, "other"],
        "ScopeType": ["openid", "email", f"{IDENTIFIER}/read", f"{IDENTIFIER}/none"],
        "DomainType": ["people", "others", "auth.example.com"],
        "ManagedLoginBrandingIdType": [made.style],
        "TermsIdType": [made.terms],
        "Links": [LINKS],
        "CSS": [".banner-customizable { padding: 1px; }", "@import url(//x);", "</style><script>", "a{", "\\75rl(x)"],
        "SessionIdType": [*made.sessions, "tkn" + "0" * 25, "sso" + "z" * 25],
        "SessionType": [made.session, made.asked, made.choice],
        "SoftwareTokenMFAUserCodeType": [*made.app_codes, "000000"],
        "ConfirmationCodeType": [*made.codes.values(), "000000"],
        "TokenModelType": [mine] * 5 + [made.tokens[1]["AccessToken"], made.tokens[0]["IdToken"]],
        "Token": [one["RefreshToken"] for one in made.tokens],
        "RefreshToken": [one["RefreshToken"] for one in made.tokens],
        "NextToken": made.pages,
        "PaginationToken": made.pages,
        "AttributeNameType": attributes,
        "ClientPermissionType": attributes,
        "CustomAttributeNameType": ["tier", "age", "email", "fresh"],
        "AttributeValueType": ["new@example.com", "+15550199", "true", "1", "2000-02-30", "2026-03-01", ""],
        "AuthParametersType": [passwords, srp, refreshing, {"USERNAME": "bob"}, preferred, {**srp, **preferred}],
        "ChallengeResponsesType": [
            chosen,
            {**chosen, "userAttributes.name": "B"},
            {"USERNAME": "dave", "ANSWER": "PASSWORD"},
            {"USERNAME": "dave", "ANSWER": "PASSWORD_SRP"},
        ],
        "ProviderNameType": ["COGNITO", "Google"],
        "RedirectUrlType": [CALLBACK, "http://localhost:3000/", "myapp://x", "x"],
        "UserFilterType": [
            'email = "alice@example.com"',
            'username ^= "a"',
            'cognito:user_status = "CONFIRMED"',
            'status = "Enabled"',
            'sub = "\\""',
            "email ^= ",
            'custom:tier = "gold"',
            'name ^= "%_\\\\"',
        ],
        "MinLength": ["0", "1", "-1", "x", "٣", "9" * 30, "9" * 5000],
        "MaxLength": ["2048", "1", "0", "x", " 5", "1_000"],
        "MinValue": ["0", "-5", "1e3", "9" * 30],
        "MaxValue": ["150", "9" * 18, "NaN"],
        "RegionCodeType": ["us-east-1"],
        "EmailInviteMessageType": ["{username}: {####}", "{####} <b>{username}</b>", "no placeholder"],
        "SmsInviteMessageType": ["{username}: {####}", "{####}"],
        # Members that have to fit one another.
        "AddCustomAttributes": [
            {"UserPoolId": made.pool, "CustomAttributes": [{"Name": "fresh", "AttributeDataType": kind}]}
            for kind in ("String", "Number", "DateTime", "Boolean")
        ],
        "AddUserPoolClientSecret": [{"UserPoolId": made.pool, "ClientId": made.single}],
        "AdminConfirmSignUp": [{"UserPoolId": made.pool, "Username": "carol"}],
        "AdminCreateUser": [{"UserPoolId": made.pool, "Username": "gina", "UserAttributes": []}],
        "AdminInitiateAuth": [
            {**for_admins, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH", "AuthParameters": {**passwords, "USERNAME": "dave"}},
            {**for_admins, "AuthFlow": "USER_AUTH", "AuthParameters": preferred},
        ],
        "AdminRespondToAuthChallenge": [
            {**for_admins, **choice, "ChallengeResponses": {"USERNAME": "dave", "ANSWER": "PASSWORD"}},
        ],
        "AdminDeleteSoftwareToken": [{"UserPoolId": made.pool, "Username": "alice"}],
        "AssociateSoftwareToken": [{"AccessToken": mine}],
        "ChangePassword": [{"AccessToken": mine, "PreviousPassword": PASSWORD, "ProposedPassword": OTHER_PASSWORD}],
        "CompleteWebAuthnRegistration": [{"AccessToken": mine, "Credential": one} for one in made.registrations],
        "ConfirmDevice": [made.confirming, {**made.confirming, "DeviceName": "Her phone"}],
        "ConfirmForgotPassword": [
            {**dave, "ConfirmationCode": made.codes["dave@example.com"], "Password": OTHER_PASSWORD}
        ],
        "ConfirmSignUp": [{**carol, "ConfirmationCode": made.codes["carol@example.com"]}],
        "CreateManagedLoginBranding": [{"UserPoolId": made.pool, "ClientId": made.confidential}],
        "CreateTerms": [
            {"UserPoolId": made.pool, "ClientId": made.confidential, "TermsName": "privacy-policy", "Links": LINKS}
        ],
        "CreateUserPoolDomain": [{"UserPoolId": made.addresses, "Domain": "others"}],
        "DeleteUserPool": [{"UserPoolId": made.empty}],
        "DeleteUserPoolClientSecret": [
            {"UserPoolId": made.pool, "ClientId": made.confidential, "ClientSecretId": made.secret_id}
        ],
        "DeleteWebAuthnCredential": [{"AccessToken": mine, "CredentialId": made.passkey}],
        "GetClientToken": [{"ClientId": made.machine, "Secret": made.secrets[made.machine], "Scopes": []}],
        "GetDerivedToken": [
            {"ClientId": made.service, "SubjectToken": token, "SubjectTokenType": kind, "RequestedTokenType": kind}
            for token, kind in ((mine, "ACCESS_TOKEN"), (made.tokens[0]["IdToken"], "ID_TOKEN"))
        ],
        "GetProvisionedLimit": [limit],
        "GetTokensFromRefreshToken": [{"ClientId": made.public, "RefreshToken": made.tokens[0]["RefreshToken"]}],
        "InitiateAuth": [
            {"ClientId": made.public, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": passwords},
            {"ClientId": made.public, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": srp},
            {"ClientId": made.public, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": refreshing},
            {"ClientId": made.confidential, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": passwords},
            {"ClientId": made.public, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": with_a_device},
        ],
        "ResendConfirmationCode": [carol],
        "RespondToAuthChallenge": [
            {
                "ClientId": made.public,
                "ChallengeName": "NEW_PASSWORD_REQUIRED",
                "Session": made.session,
                "ChallengeResponses": chosen,
            },
            {
                "ClientId": made.public,
                "ChallengeName": "SOFTWARE_TOKEN_MFA",
                "Session": made.asked,
                "ChallengeResponses": {"USERNAME": "alice", "SOFTWARE_TOKEN_MFA_CODE": made.app_codes[1]},
            },
        ],
        "SetUICustomization": [
            {"UserPoolId": made.pool, "ImageFile": base64.b64encode(image).decode("ascii")}
            for image in (pictures.png(), pictures.jpeg())
        ],
        "SignUp": [{"ClientId": made.public, "Username": "gina", "Password": PASSWORD, "UserAttributes": []}],
        "UpdateProvisionedLimit": [{**limit, "RequestedLimitValue": 500}],
        "UpdateManagedLoginBranding": [{"UserPoolId": made.pool, "ManagedLoginBrandingId": made.style}],
        "UpdateUserAttributes": [
            {"AccessToken": mine, "UserAttributes": [{"Name": "email", "Value": "new@example.com"}]}
        ],
        "VerifySoftwareToken": [{"AccessToken": mine, "UserCode": made.app_codes[0]}],
        "VerifyUserAttribute": [
            {"AccessToken": mine, "AttributeName": "phone_number", "Code": made.codes["+15550100"]}
        ],
    }
