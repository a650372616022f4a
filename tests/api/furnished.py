"""A server with some of everything in it, and the words by which a fuzzer finds it: ids, names, live tokens, codes.

Made through the API itself. Nobody is asserted about here: what cannot be made ends the test that wanted it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from app.db import db
from app.models import OutboxMessage
from tests import pictures
from tests.api.conftest import Api

PASSWORD = "Correct-horse-7"
OTHER_PASSWORD = "Another-horse-8"
MADE = "made"
"""Stands for the hash that shows a client's secret, until it is known whose and for whom."""

FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
IDENTIFIER = "https://api.example.com"
CALLBACK = "https://app.example.com/callback"
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
    tokens: list[dict[str, str]] = field(default_factory=list)
    """alice's, with either client."""
    session: str = ""
    """bob's, who has to choose a password."""
    codes: dict[str, str] = field(default_factory=dict)
    """The newest that was sent, by address."""
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
    made.pages = [
        api("ListUsers", UserPoolId=made.pool, Limit=1)["PaginationToken"],
        api("ListUserPools", MaxResults=1)["NextToken"],
        api("ListUserPoolClients", UserPoolId=made.pool, MaxResults=1)["NextToken"],
        api("ListGroups", UserPoolId=made.pool, Limit=1)["NextToken"],
        api("ListUsersInGroup", UserPoolId=made.pool, GroupName="admins", Limit=1)["NextToken"],
        api("AdminListGroupsForUser", UserPoolId=made.pool, Username="alice", Limit=1)["NextToken"],
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
    )["UserPool"]
    made.pool, made.arn = created["Id"], created["Arn"]
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

    made.tokens = [sign_in(client, "alice")["AuthenticationResult"] for client in (made.public, made.confidential)]
    made.session = sign_in(made.public, "bob")["Session"]
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


def known(made: Furnished) -> dict[str, list[Any]]:
    """By which values all that is found, for `generate`: of a member, of a shape, or all that a call needs."""
    mine = made.tokens[0]["AccessToken"]
    carol = {"ClientId": made.public, "Username": "carol"}
    dave = {"ClientId": made.public, "Username": "dave"}
    passwords = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    # Any A will do that is not 0 modulo N.
    srp = {"USERNAME": "alice", "SRP_A": "ab" * 384}
    refreshing = {"REFRESH_TOKEN": made.tokens[0]["RefreshToken"]}
    chosen = {"USERNAME": "bob", "NEW_PASSWORD": OTHER_PASSWORD}
    limit = {"LimitDefinition": {"LimitClass": "API_CATEGORY", "Attributes": {"Category": "UserRead"}}}
    attributes = (
        "email custom:tier phone_number email_verified custom:age custom:since dev:custom:note preferred_username "
        "name given_name birthdate updated_at sub"
    ).split()
    return {
        "UserPoolIdType": [made.pool] * 9 + [made.addresses, "us-east-1_000000000"],
        "ResourceArn": [made.arn],
        "ClientIdType": [made.public] * 5 + [made.confidential, made.single, made.foreign, "0" * 26],
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
        "SessionType": [made.session],
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
        "AuthParametersType": [passwords, srp, refreshing, {"USERNAME": "bob"}],
        "ChallengeResponsesType": [chosen, {**chosen, "userAttributes.name": "B"}],
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
        "ChangePassword": [{"AccessToken": mine, "PreviousPassword": PASSWORD, "ProposedPassword": OTHER_PASSWORD}],
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
        "GetProvisionedLimit": [limit],
        "InitiateAuth": [
            {"ClientId": made.public, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": passwords},
            {"ClientId": made.public, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": srp},
            {"ClientId": made.public, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": refreshing},
            {"ClientId": made.confidential, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": passwords},
        ],
        "ResendConfirmationCode": [carol],
        "RespondToAuthChallenge": [
            {
                "ClientId": made.public,
                "ChallengeName": "NEW_PASSWORD_REQUIRED",
                "Session": made.session,
                "ChallengeResponses": chosen,
            }
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
        "VerifyUserAttribute": [
            {"AccessToken": mine, "AttributeName": "phone_number", "Code": made.codes["+15550100"]}
        ],
    }
