"""What is stored at one door is read at every other: whatever a value looks like, no answer is a 500.

Each member that is kept is given many odd values, through the API or a page; what is refused there is fine.
Whatever was kept is then read through sign-in, tokens, userInfo, the pages, lists and descriptions, mails, and
`cognate pool show`. COGNATE_FUZZ_EXAMPLES=500 adds as many values of hypothesis' own making to each member.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import create_app
from app.api.registry import OPERATIONS
from app.cli import blueprint, documents
from app.config import Settings
from app.crypto import jose
from app.db import db
from app.env import Message
from app.messaging.email import Smtp
from app.messaging.outbox import Outbox
from app.pools import find
from tests import build, pictures
from tests.api.conftest import Api, body
from tests.build import PASSWORD
from tests.conftest import Clock, test_settings
from tests.hosted.conftest import Visitor
from tests.oauth.relying_party import CHALLENGE, VERIFIER

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("COGNATE_FUZZ_EXAMPLES") or 0)

JSON_OF_A_KIND = (
    '{"a":1' + "0" * 30 + "}",
    '{"a":' + "9" * 2000 + "}",
    '{"a":-1e999}',
    '{"a":NaN}',
    '{"a":"\\ud800"}',
    '{"\\udfff":1}',
    '{"a":"\\u0000"}',
    "{" + '"a":{' * 300 + "}" * 301,
    '{"a":' + "[" * 1000 + "]" * 1000 + "}",
    "[" * 2000,
    '{"a":' * 400,
    '{"formatted":1,"formatted":[null]}',
    "[]",
    "null",
    "1e5",
    '{"street_address":"1 Main St","country":"US"}',
)
NUMBERS = (
    "0",
    "-1",
    "007",
    "999999999999999999",
    "-999999999999999999",
    "1e3",
    "٣",
    "1.5",
    "1" + "0" * 40,
    "+1",
    "0x1",
)
DATES = ("0001-01-01", "9999-12-31", "2026-02-29", "2026-W01-1", "253402300800", "999999999999.999999999", "0000-00-00")
TEXTS = (
    "a",
    " ",
    "\x01",
    "\x7f\x85\x9b",
    "a\r\nX: y",
    "line\nbreak",
    "\u2028\u2029",
    "\u202eevil\u202c",
    "\u200b",
    "\ufeff",
    "\ufffe\uffff",
    "\ufdfa" * 28,
    "𝒳" * 128,
    "𝒳" * 2048,
    "İ" * 2048,
    "x" * 2048,
    "%s%(x)s{0}{x}{{7*7}}",
    "{####} {username} {##x##}",
    "<script>alert(1)</script>",
    "'\" OR 1=1; --",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
    "a: &b *c !!python/object",
    "~",
    "0o17",
    "true",
    "\\ud800",
    "a@b",
    "a@b..c",
    '"a b"@c',
    "a..b@example.com",
    ".@example.com",
    "a@[::1",
    "a@b]",
    "é@é",
    "%@%",
    "=?utf-8?q?x?=@example.com",
    "x" * 64 + "@" + "y" * 255,
    "+15550123456789",
    "+0",
    "https://[::1",
    "https://[::1]/",
    "https://a:99999/",
    "https://a;script-src *",
    "https://a;b,c/",
    "https://a/%00%zz",
    "http://localhost",
    "com.example:/x",
    "a//b",
    "https://ａ.example/",
    "https://x.example/" + "y" * 1000,
    "arn:aws:iam::1:role/x",
    "en-US-x-" + "a" * 200,
)
WORST = (
    JSON_OF_A_KIND[0],
    JSON_OF_A_KIND[8],
    "a\r\nX: y",
    "line\nbreak",
    "\u202eevil\u202c",
    "\ufdfa" * 28,
    "𝒳" * 128,
    "x" * 2048,
    "{####} {username} {##x##}",
    "<script>alert(1)</script>",
    "~",
    "true",
    "a..b@example.com",
    "https://[::1",
    "https://a;script-src *",
    "com.example:/x",
)
"""For what takes longer: of each kind of trouble one."""

STANDARD = (
    "name given_name family_name middle_name nickname preferred_username profile picture website email gender "
    "zoneinfo locale phone_number address birthdate updated_at"
).split()
CUSTOM = ("custom:text", "custom:number", "custom:moment", "custom:flag", "dev:custom:note")
SCHEMA = [
    {"Name": "text", "AttributeDataType": "String"},
    {"Name": "number", "AttributeDataType": "Number"},
    {"Name": "moment", "AttributeDataType": "DateTime"},
    {"Name": "flag", "AttributeDataType": "Boolean"},
    {"Name": "note", "AttributeDataType": "String", "DeveloperOnlyAttribute": True},
]
FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
OAUTH = {
    "AllowedOAuthFlows": ["code"],
    "AllowedOAuthScopes": ["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"],
    "AllowedOAuthFlowsUserPoolClient": True,
    "SupportedIdentityProviders": ["COGNITO"],
    "CallbackURLs": [build.CALLBACK],
}


class Post:
    """A mail server that takes everything, after each letter was put into the bytes that would leave."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        pass

    def send_message(self, mail: EmailMessage, to_addrs: list[str]) -> None:
        mail.as_bytes(policy=policy.SMTPUTF8)


class Mail:
    """Sends as an installation with a mail server does, and keeps messages as development does."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        settings = Settings(smtp_host="mail.example.com", smtp_from="no-reply@example.com")
        self._smtp = Smtp(settings, connect=Post)  # type: ignore[arg-type]
        self._outbox = Outbox(db.session, now)

    def send(self, message: Message) -> None:
        self._outbox.send(message)
        if message.channel == "email":
            self._smtp.send(message)


@dataclass
class World:
    """A pool with a client, a resource server, a group and alice, who is everything's example."""

    app: Flask
    clock: Clock
    pool: str = ""
    client: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    kept: bool = False
    """Whether anything was changed since the last reading."""
    trail: list[str] = field(default_factory=list)

    @property
    def http(self) -> FlaskClient:
        return self.app.test_client()

    def say(self, operation: str, **members: Any) -> dict[str, Any]:
        """Whatever is answered, unless it is a 500; limits are passed by waiting."""
        self.clock.forward(seconds=1)
        if "UserPoolId" in OPERATIONS[operation].input.members:
            members = {"UserPoolId": self.pool, **members}
        answer = Api(self.http).answer(operation, **members)
        self.trail.append(f"{operation} {answer.status_code} {answer.text[:200]}")
        assert answer.status_code < 500, (operation, members, self.trail[-5:])
        self.kept = self.kept or (answer.status_code == 200 and operation.startswith(WRITES))
        return body(answer)

    def signed_in(self, name: str) -> dict[str, str]:
        how = {"USERNAME": name, "PASSWORD": PASSWORD}
        said = self.say("InitiateAuth", ClientId=self.client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=how)
        return said.get("AuthenticationResult", {})


WRITES = ("Create", "Update", "Set", "AdminUpdate", "AdminCreate", "SignUp")


@pytest.fixture
def world(database_url: str, tmp_path: Path, rsa_keys: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(jose, "generate", lambda kind: rsa_keys[0])
    clock = Clock()
    mail = Mail(clock)
    app = create_app(test_settings(database_url, data_dir=tmp_path), now=clock, ticks=clock.ticks, mail=mail)
    app.config["TESTING"] = True
    with app.app_context():
        yield _furnished(World(app, clock))
        db.session.remove()
        db.engine.dispose()


def _furnished(world: World) -> World:
    created = world.say(
        "CreateUserPool",
        PoolName="People",
        Schema=SCHEMA,
        AutoVerifiedAttributes=["email"],
        AliasAttributes=["email", "preferred_username"],
        UsernameConfiguration={"CaseSensitive": False},
        DeviceConfiguration={"ChallengeRequiredOnNewDevice": False},
        Policies={"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN", "EMAIL_OTP"]}},
    )
    world.pool = created["UserPool"]["Id"]
    world.say("SetUserPoolMfaConfig", MfaConfiguration="OPTIONAL", SoftwareTokenMfaConfiguration={"Enabled": True})
    made = world.say("CreateUserPoolClient", ClientName="App", ExplicitAuthFlows=FLOWS, **OAUTH)
    world.client = made["UserPoolClient"]["ClientId"]
    _a_person(world, "alice")
    world.say("CreateGroup", GroupName="staff")
    world.say("AdminAddUserToGroup", GroupName="staff", Username="alice")
    world.tokens = world.signed_in("alice")
    assert world.tokens
    return world


def _a_person(world: World, name: str) -> None:
    address = [{"Name": "email", "Value": "alice@example.com"}, {"Name": "email_verified", "Value": "true"}]
    world.say("AdminCreateUser", Username=name, UserAttributes=address, MessageAction="SUPPRESS")
    world.say("AdminSetUserPassword", Username=name, Password=PASSWORD, Permanent=True)


# -- what is read -------------------------------------------------------------------------------------------------


def read_a_person(world: World, name: str = "alice") -> None:
    """By everything that shows a user, or makes something of him."""
    told = world.say("AdminGetUser", Username=name)
    for attribute in ("username", "name", "given_name", "family_name", "email", "phone_number", "preferred_username"):
        value = next((one["Value"] for one in told.get("UserAttributes", []) if one["Name"] == attribute), name)
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')[:200]
        world.say("ListUsers", Filter=f'{attribute} ^= "{quoted}"'[:256])
    world.say("ListUsers")
    for operation in ("AdminListGroupsForUser", "AdminListDevices", "AdminListUserSessions"):
        world.say(operation, Username=name)
    world.say("ListUsersInGroup", GroupName="staff")
    tokens = world.signed_in(name)
    assert tokens, world.trail[-3:]
    mine = {"AccessToken": tokens["AccessToken"]}
    for operation in ("GetUser", "ListDevices", "ListWebAuthnCredentials", "StartWebAuthnRegistration"):
        world.say(operation, **mine)
    world.say("AssociateSoftwareToken", **mine)
    world.say("GetUserAuthFactors", **mine)
    refresh = {"REFRESH_TOKEN": tokens["RefreshToken"]}
    world.say("InitiateAuth", ClientId=world.client, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=refresh)
    world.say("InitiateAuth", ClientId=world.client, AuthFlow="USER_AUTH", AuthParameters={"USERNAME": name})
    code = {"USERNAME": name, "PREFERRED_CHALLENGE": "EMAIL_OTP"}
    world.say("InitiateAuth", ClientId=world.client, AuthFlow="USER_AUTH", AuthParameters=code)
    world.clock.forward(hours=2)
    world.say("ForgotPassword", ClientId=world.client, Username=name)
    world.say("AdminUserGlobalSignOut", Username=name)
    read_by_browser(world, name)


def read_by_browser(world: World, name: str = "alice") -> None:
    """Sign in at the pages, redeem the code, ask userInfo, refresh."""
    world.clock.forward(minutes=20)
    visitor = Visitor(world.http)
    asked = {
        "client_id": world.client,
        "response_type": "code",
        "scope": "openid email phone profile aws.cognito.signin.user.admin",
        "redirect_uri": build.CALLBACK,
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    base = f"/{world.pool}"
    for path in ("signup", "forgotPassword", "confirmUser", "resendCode"):
        assert visitor.open(f"{base}/{path}?{urlencode(asked)}").status < 500
    page = visitor.open(f"{base}/oauth2/authorize?{urlencode(asked)}")
    assert page.status < 500
    if "password" not in page.inputs and "username" not in page.inputs:
        return  # what was stored keeps the client from its page, and says so
    page = visitor.press(username=name, password=PASSWORD)
    assert page.status < 500
    if "code=" not in visitor.landed:
        return
    code = urlsplit(visitor.landed).query.partition("code=")[2].partition("&")[0]
    given = {"client_id": world.client, "redirect_uri": build.CALLBACK}
    redeemed = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **given}
    tokens = _token(world, redeemed)
    if "access_token" not in tokens:
        return
    shown = world.http.get(f"{base}/oauth2/userInfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert shown.status_code == 200, shown.text
    _token(world, {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **given})


def _token(world: World, form: dict[str, str]) -> dict[str, Any]:
    answer = world.http.post(f"/{world.pool}/oauth2/token", data=form)
    assert answer.status_code < 500, answer.text
    return answer.json or {}


def read_the_configuration(world: World) -> None:
    """As tools describe it, as `cognate pool show` prints it, as pages and discovery draw it, as mails tell it."""
    described = world.say("DescribeUserPool")["UserPool"]
    world.say("ListUserPools", MaxResults=60)
    for operation in ("GetUserPoolMfaConfig", "GetUICustomization", "GetLogDeliveryConfiguration"):
        world.say(operation)
    for operation in ("ListUserPoolClients", "ListResourceServers", "ListTerms"):
        world.say(operation, MaxResults=50)
    for listed in world.say("ListGroups").get("Groups", []):
        world.say("GetGroup", GroupName=listed["GroupName"])
    of_client = {"ClientId": world.client}
    world.say("DescribeUserPoolClient", **of_client)
    world.say("DescribeManagedLoginBrandingByClient", **of_client)
    world.say("DescribeTermsByClient", **of_client, TermsName="terms-of-use")
    env = world.app.extensions["cognate"]
    pool = find.pool(env, described["Id"])
    shown = documents.written(blueprint.shown(env, pool))
    blueprint.check(documents.read("pool.yaml", shown.encode()))
    for path in (".well-known/openid-configuration", ".well-known/jwks.json"):
        assert world.http.get(f"/{world.pool}/{path}").status_code == 200
    read_mails(world)
    read_by_browser(world)


def read_mails(world: World) -> None:
    """Of a sign-up, an invitation, a forgotten password and a sign-in."""
    email = [{"Name": "email", "Value": "new@example.com"}]
    world.say("SignUp", ClientId=world.client, Username="newcomer", Password=PASSWORD, UserAttributes=email)
    world.say("AdminDeleteUser", Username="newcomer")
    world.say("AdminCreateUser", Username="invited", UserAttributes=email, DesiredDeliveryMediums=["EMAIL"])
    world.say("AdminDeleteUser", Username="invited")
    world.clock.forward(hours=2)
    world.say("ForgotPassword", ClientId=world.client, Username="alice")
    code = {"USERNAME": "alice", "PREFERRED_CHALLENGE": "EMAIL_OTP"}
    world.say("InitiateAuth", ClientId=world.client, AuthFlow="USER_AUTH", AuthParameters=code)


# -- what is stored ------------------------------------------------------------------------------------------------


Store = Callable[[World, str], None]


def _attribute(name: str) -> Store:
    def store(world: World, value: str) -> None:
        given = [{"Name": name, "Value": value}]
        if name in ("email", "phone_number"):
            given.append({"Name": f"{name}_verified", "Value": "true"})
        world.say("AdminUpdateUserAttributes", Username="alice", UserAttributes=given)

    return store


def by_administrators(world: World, value: str) -> None:
    """Every attribute at once, each only if it is taken alone: the cheap way to meet all values with all readers."""
    for name in (*STANDARD, *CUSTOM):
        _attribute(name)(world, value)


def by_the_user(world: World, value: str) -> None:
    tokens = world.signed_in("alice")
    for name in (*STANDARD, *CUSTOM):
        if name != "email":  # another one has to be proven first
            given = [{"Name": name, "Value": value}]
            world.say("UpdateUserAttributes", AccessToken=tokens["AccessToken"], UserAttributes=given)


def a_username(world: World, value: str) -> None:
    """A user of this name, who does all that alice does."""
    email = [{"Name": "email", "Value": "named@example.com"}]
    made = world.say("SignUp", ClientId=world.client, Username=value, Password=PASSWORD, UserAttributes=email)
    if "UserSub" not in made:
        return
    world.say("AdminConfirmSignUp", Username=value)
    world.say("AdminAddUserToGroup", GroupName="staff", Username=value)
    read_a_person(world, value)
    world.say("AdminDeleteUser", Username=value)


def a_group(world: World, value: str) -> None:
    world.say("CreateGroup", GroupName=value, Description=value, RoleArn=value, Precedence=2**31 - 1)
    world.say("CreateGroup", GroupName=value, Description=value, Precedence=2**31 - 1)
    world.say("AdminAddUserToGroup", GroupName=value, Username="alice")
    world.say("UpdateGroup", GroupName="staff", Description=value)


def a_resource_server(world: World, value: str) -> None:
    for scope in ({"ScopeName": value, "ScopeDescription": value}, {"ScopeName": "read", "ScopeDescription": value}):
        world.say("CreateResourceServer", Identifier=value, Name=value, Scopes=[scope])
        world.say("CreateResourceServer", Identifier=value, Name="API", Scopes=[scope])
    scopes = [*OAUTH["AllowedOAuthScopes"], f"{value}/{value}", f"{value}/read"]
    for wanted in scopes[-2:]:
        given = {**OAUTH, "AllowedOAuthScopes": [*scopes[:-2], wanted]}
        world.say("UpdateUserPoolClient", ClientId=world.client, ExplicitAuthFlows=FLOWS, **given)


def a_client(world: World, value: str) -> None:
    usual = {"ClientId": world.client, "ExplicitAuthFlows": FLOWS}
    for changed in (
        {"ClientName": value},
        {"CallbackURLs": [build.CALLBACK, value]},
        {"CallbackURLs": [build.CALLBACK, value], "DefaultRedirectURI": value},
        {"LogoutURLs": [value]},
        {"ReadAttributes": [value, "email"]},
        {"SupportedIdentityProviders": [value, "COGNITO"]},
        {"AnalyticsConfiguration": {"ApplicationId": value, "ExternalId": value}},
    ):
        world.say("UpdateUserPoolClient", **usual, **{**OAUTH, **changed})
        read_by_browser(world)


def messages(world: World, value: str) -> None:
    """Each text of a pool with the value in it, each alone."""
    code, both = f"{value}{{####}}", f"{{username}}{value}{{####}}"
    link = f"{value}{{##{value or 'x'}##}}"
    usual = {"AutoVerifiedAttributes": ["email"]}
    for changed in (
        {"PoolName": value},
        {"VerificationMessageTemplate": {"EmailMessage": code}},
        {"VerificationMessageTemplate": {"EmailSubject": value}},
        {"VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_LINK", "EmailMessageByLink": link}},
        {"VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_LINK", "EmailSubjectByLink": value}},
        {"VerificationMessageTemplate": {"SmsMessage": code}},
        {"AdminCreateUserConfig": {"InviteMessageTemplate": {"EmailMessage": both, "EmailSubject": value}}},
        {"AdminCreateUserConfig": {"InviteMessageTemplate": {"EmailSubject": value}}},
        {"EmailConfiguration": {"ReplyToEmailAddress": value}},
        {"EmailConfiguration": {"From": value, "EmailSendingAccount": "DEVELOPER"}},
        {"UserPoolTags": {value: value}},
        {"AcrConfiguration": {"Level1": {"AcrValue": value}}},
        {"SmsAuthenticationMessage": code},
    ):
        if not world.say("UpdateUserPool", **usual, **changed):
            read_mails(world)
    world.say("UpdateUserPool", **usual)
    world.say(
        "SetUserPoolMfaConfig",
        MfaConfiguration="OPTIONAL",
        EmailMfaConfiguration={"Message": code, "Subject": value},
        WebAuthnConfiguration={"RelyingPartyId": value},
    )
    world.say("StartWebAuthnRegistration", AccessToken=world.tokens["AccessToken"])


def looks(world: World, value: str) -> None:
    """Branding, terms, the domain, classic CSS and its picture."""
    which = {"ClientId": world.client}
    world.say("SetUICustomization", **which, CSS=f".label-customizable {{ color: {value}; }}")
    world.say("SetUICustomization", **which, ImageFile=build.base64.b64encode(pictures.png()).decode("ascii"))
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        document = {value: {value: value}}
    for settings_ in (document, {"a": document}, {value: [document, 1e308, -0.0, 2**63, None, True]}):
        made = world.say("CreateManagedLoginBranding", **which, Settings=settings_)
        if "ManagedLoginBranding" in made:
            world.say("DescribeManagedLoginBrandingByClient", **which)
            of = made["ManagedLoginBranding"]["ManagedLoginBrandingId"]
            world.say("UpdateManagedLoginBranding", ManagedLoginBrandingId=of, Settings=settings_)
            world.say("DeleteManagedLoginBranding", ManagedLoginBrandingId=of)
    terms = {"TermsName": "terms-of-use", "TermsSource": "LINK", "Enforcement": "NONE"}
    made = world.say("CreateTerms", **which, **terms, Links={"cognito:default": value})
    world.say("DescribeTermsByClient", **which, TermsName="terms-of-use")
    if "Terms" in made:
        world.say("DeleteTerms", TermsId=made["Terms"]["TermsId"])
    world.say("CreateUserPoolDomain", Domain=value)
    world.say("DeleteUserPoolDomain", Domain=value)


def belongings(world: World, value: str) -> None:
    """Names of devices and of authenticator apps, and what a sign-in brings along."""
    world.clock.forward(minutes=20)
    tokens = world.signed_in("alice")
    mine = {"AccessToken": tokens["AccessToken"]}
    new = tokens["NewDeviceMetadata"]  # type: ignore[assignment]
    verifier = build.a_verifier(new["DeviceGroupKey"], new["DeviceKey"])  # type: ignore[index]
    secret = {"PasswordVerifier": verifier["password_verifier"], "Salt": verifier["salt"]}
    key = {"DeviceKey": new["DeviceKey"]}  # type: ignore[index]
    world.say("ConfirmDevice", **mine, **key, DeviceName=value, DeviceSecretVerifierConfig=secret)
    world.say("GetDevice", **mine, **key)
    world.say("AdminGetDevice", Username="alice", **key)
    waiting = world.say("AssociateSoftwareToken", **mine)
    code = build.app_code(waiting["SecretCode"], world.clock())
    world.say("VerifySoftwareToken", **mine, UserCode=code, FriendlyDeviceName=value)
    how = {"USERNAME": "alice", "PASSWORD": PASSWORD, "DEVICE_KEY": value, value: value}
    metadata = {"a": value, value: "a"}
    asked = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": how, "ClientMetadata": metadata}
    world.say("InitiateAuth", ClientId=world.client, **asked)
    agent = value.encode().decode("latin-1").replace("\r", " ").replace("\n", " ")[:4000]
    visitor = Visitor(world.http, headers={"User-Agent": agent, "Accept-Language": agent})
    said = {name: value for name in ("state", "nonce", "login_hint", "ui_locales", "lang", "acr_values", "max_age")}
    asked = {"client_id": world.client, "response_type": "code", "scope": "openid", "redirect_uri": build.CALLBACK}
    visitor.open(f"/{world.pool}/oauth2/authorize?{urlencode({**asked, 'state': value, 'nonce': value})}")
    for name in said:
        assert visitor.open(f"/{world.pool}/login?{urlencode({**asked, name: value})}").status < 500
        if "password" in visitor.page.inputs:
            assert visitor.press(username="alice", password=PASSWORD).status < 500


def pages(world: World, value: str) -> None:
    """Typed into the forms, as anybody may."""
    asked = {"client_id": world.client, "response_type": "code", "scope": "openid", "redirect_uri": build.CALLBACK}
    for path, fields in (
        ("signup", {"username": value, "email": "typed@example.com", "password": PASSWORD}),
        ("signup", {"username": "typed", "email": value, "password": value}),
        ("login", {"username": value, "password": value}),
        ("forgotPassword", {"username": value}),
        ("confirmUser", {"username": value, "code": value}),
        ("resendCode", {"username": value}),
    ):
        visitor = Visitor(world.http)
        visitor.open(f"/{world.pool}/{path}?{urlencode(asked)}")
        page = visitor.press(**{name: text.replace("\0", "") for name, text in fields.items()})
        assert page.status < 500
        assert visitor.press(**{name: f"{text}\0" for name, text in fields.items()}).status < 500
    for typed in (value, "typed"):
        world.say("AdminDeleteUser", Username=typed)


def attribute_names(world: World, value: str) -> None:
    """A pool of its own each time: an attribute that is there stays."""
    usual = world.pool, world.client
    one = {"Name": value[:20], "AttributeDataType": "String"}
    made = world.say("CreateUserPool", PoolName="Names", Schema=[one])
    if "UserPool" in made:
        world.pool = made["UserPool"]["Id"]
        attribute = f"custom:{value[:20]}"
        listed = {"ReadAttributes": ["email", attribute], "WriteAttributes": [attribute]}
        client = world.say("CreateUserPoolClient", ClientName="App", ExplicitAuthFlows=FLOWS, **OAUTH, **listed)
        world.client = client["UserPoolClient"]["ClientId"]
        _a_person(world, "alice")
        world.say("AdminUpdateUserAttributes", Username="alice", UserAttributes=[{"Name": attribute, "Value": value}])
        read_the_configuration(world)
        world.say("DeleteUserPool", UserPoolId=world.pool)
    world.pool, world.client = usual


def temporary_passwords(world: World, value: str) -> None:
    given = {"TemporaryPassword": f"{value}Aa1!"[-256:], "DesiredDeliveryMediums": ["EMAIL"]}
    email = [{"Name": "email", "Value": "invited@example.com"}]
    world.say("AdminCreateUser", Username="invited", UserAttributes=email, **given)
    world.say("AdminDeleteUser", Username="invited")


@dataclass(frozen=True)
class Kept:
    """How values are stored, what reads them, and which are tried each time."""

    store: Store
    read: Callable[[World], None] = lambda world: None
    values: tuple[str, ...] = WORST


STORES = {
    "an e-mail address": Kept(_attribute("email"), read_a_person, tuple(text for text in TEXTS if "@" in text)),
    "a phone number": Kept(_attribute("phone_number"), read_a_person, tuple(text for text in TEXTS if text[0] == "+")),
    "all attributes, by administrators": Kept(by_administrators, read_a_person, (*JSON_OF_A_KIND, *NUMBERS, *DATES)),
    "all attributes, by the user": Kept(by_the_user, read_a_person),
    "a username": Kept(a_username),
    "a group": Kept(a_group, read_the_configuration),
    "a resource server": Kept(a_resource_server, read_the_configuration),
    "a client": Kept(a_client, read_the_configuration),
    "messages": Kept(messages, read_the_configuration),
    "looks": Kept(looks, read_the_configuration),
    "names of attributes": Kept(attribute_names),
    "temporary passwords": Kept(temporary_passwords),
    "belongings": Kept(belongings),
    "the pages": Kept(pages),
}


@pytest.mark.parametrize("stored", STORES)
def test_what_is_stored_can_be_read_at_every_door(world: World, stored: str) -> None:
    for value in STORES[stored].values:
        keep_and_read(world, value, STORES[stored])


def keep_and_read(world: World, value: str, how: Kept) -> None:
    world.kept = False
    how.store(world, value)
    if world.kept:
        how.read(world)


if EXAMPLES:

    @pytest.mark.parametrize("stored", STORES)
    def test_whatever_is_stored_can_be_read_at_every_door(world: World, stored: str) -> None:
        @settings(
            max_examples=EXAMPLES,
            derandomize=False,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.one_of(st.text(max_size=300), st.text(st.sampled_from('[]{}",:0123456789eE\\ud8-+.@'), max_size=200)))
        def keep(value: str) -> None:
            keep_and_read(world, value, STORES[stored])

        keep()
