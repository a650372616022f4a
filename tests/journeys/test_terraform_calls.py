"""Terraform's AWS provider, played: its calls in its order and with its habits, and what it would find to change.

The provider itself cannot be run here. After every apply it reads all back. What it is told then and was not asked for,
where it has no default of its own, it would take away in every plan to come; what it asked for and is not told, it
would set for ever. So after each step there must be nothing left to do.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests import pictures

pytestmark = pytest.mark.slow

Told = dict[str, Any]
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:hook"
CSS = ".label-customizable {font-weight: 400;}"
WAIT = 60
"""Seconds that the provider waits for a domain."""

# -- a pool -----------------------------------------------------------------------------------------------------

UNASKED = (
    "AliasAttributes AutoVerifiedAttributes DeviceConfiguration EmailMfaConfiguration LambdaConfig "
    "SmsAuthenticationMessage SoftwareTokenMfaConfiguration UserAttributeUpdateSettings UserPoolAddOns "
    "UsernameAttributes UsernameConfiguration WebAuthnConfiguration"
).split()
"""Of these the provider knows no default: told without having been asked for, they are a change."""
OWN_DEFAULTS = {"DeletionProtection": "INACTIVE", "MfaConfiguration": "OFF"}
FACTORS = ("SoftwareTokenMfaConfiguration", "EmailMfaConfiguration", "WebAuthnConfiguration")
USUAL = {"DeveloperOnlyAttribute": False, "Mutable": True, "Required": False}
TEXTS = (
    "address email family_name gender given_name locale middle_name name nickname phone_number picture "
    "preferred_username profile website zoneinfo"
).split()


def text(name: str, least: str, most: str, **more: bool) -> Told:
    bounds = {"MinLength": least, "MaxLength": most}
    return {**USUAL, "Name": name, "AttributeDataType": "String", "StringAttributeConstraints": bounds, **more}


STANDARD = [
    *(text(name, "0", "2048") for name in TEXTS),
    text("birthdate", "10", "10"),
    text("sub", "1", "2048", Mutable=False, Required=True),
    {**USUAL, "Name": "email_verified", "AttributeDataType": "Boolean"},
    {**USUAL, "Name": "phone_number_verified", "AttributeDataType": "Boolean"},
    {
        **USUAL,
        "Name": "updated_at",
        "AttributeDataType": "Number",
        "NumberAttributeConstraints": {"MinValue": "0"},
    },
]
"""What the provider passes over; one that is told otherwise it takes for somebody's own."""


def plain(value: Any) -> Any:
    """As the provider keeps it: false, nothing and empty are one, and of a list the order says nothing."""
    if isinstance(value, dict):
        return {name: plain(value[name]) for name in sorted(value) if plain(value[name])} or None
    if isinstance(value, list):
        return sorted((plain(one) for one in value), key=repr) or None
    return value or None


def own_attributes(told: list[Told], wanted: list[Told]) -> list[Told]:
    asked = {one["Name"]: one for one in wanted}
    found = []
    for one in told:
        if one in STANDARD:
            continue
        one = {**one, "Name": one["Name"].removeprefix("dev:").removeprefix("custom:")}
        if "StringAttributeConstraints" not in asked.get(one["Name"], {}):
            one.pop("StringAttributeConstraints", None)
        found.append(one)
    return found


def described(admin: Any, pool_id: str) -> Told:
    factors: Told = admin.get_user_pool_mfa_config(UserPoolId=pool_id)
    told: Told = admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    return {**told, "MfaConfiguration": factors["MfaConfiguration"]} | {
        name: factors[name] for name in FACTORS if name in factors
    }


def changes_of_pool(admin: Any, pool_id: str, wanted: Told) -> set[str]:
    """What a plan would change."""
    told = described(admin, pool_id)
    told["PoolName"] = told["Name"]
    told["UserPoolTags"] = admin.list_tags_for_resource(ResourceArn=told["Arn"])["Tags"]
    asked = {**OWN_DEFAULTS, "UserPoolTags": {}, **wanted}
    if "VerificationMessageTemplate" in wanted:  # of which every member stays as it is told, until another is asked for
        asked["VerificationMessageTemplate"] = {
            **told["VerificationMessageTemplate"],
            **asked["VerificationMessageTemplate"],
        }
    schema = asked.pop("Schema", [])
    found = {name for name in (*asked, *UNASKED) if plain(told.get(name)) != plain(asked.get(name))}
    if plain(own_attributes(told["SchemaAttributes"], schema)) != plain(schema):
        found.add("Schema")
    return found


def make_pool(admin: Any, wanted: Told) -> str:
    given = {name: value for name, value in wanted.items() if name not in ("MfaConfiguration", *FACTORS)}
    pool_id: str = admin.create_user_pool(**given)["UserPool"]["Id"]
    if wanted.get("MfaConfiguration", "OFF") != "OFF" or "WebAuthnConfiguration" in wanted:
        factors = {name: wanted[name] for name in ("MfaConfiguration", *FACTORS) if name in wanted}
        if "SmsConfiguration" in wanted:
            factors["SmsMfaConfiguration"] = {"SmsConfiguration": wanted["SmsConfiguration"]}
        admin.set_user_pool_mfa_config(UserPoolId=pool_id, **factors)
    return pool_id


REPEATED = (
    "AccountRecoverySetting AdminCreateUserConfig EmailConfiguration EmailVerificationMessage EmailVerificationSubject "
    "Policies SmsConfiguration SmsVerificationMessage VerificationMessageTemplate"
).split()
"""What the provider says again as it was told, where nobody asks for another."""


def change_pool(admin: Any, pool_id: str, before: Told, wanted: Told) -> None:
    told = described(admin, pool_id)
    demand = wanted.get("MfaConfiguration", "OFF")
    factors = {name: wanted[name] for name in FACTORS if name in wanted}
    if "SmsConfiguration" in told and demand != "OFF":
        factors["SmsMfaConfiguration"] = {"SmsConfiguration": told["SmsConfiguration"]}
    admin.set_user_pool_mfa_config(UserPoolId=pool_id, MfaConfiguration=demand, **factors)
    given = {name: told[name] for name in REPEATED if name in told}
    given["AdminCreateUserConfig"] = {
        name: value for name, value in told["AdminCreateUserConfig"].items() if name != "UnusedAccountValidityDays"
    }
    apart = ("AliasAttributes", "Schema", "UserPoolTags", "VerificationMessageTemplate", *FACTORS)
    given |= {name: value for name, value in wanted.items() if name not in apart}
    given["VerificationMessageTemplate"] |= wanted.get("VerificationMessageTemplate", {})
    if "UserAttributeUpdateSettings" in before and "UserAttributeUpdateSettings" not in wanted:
        given["UserAttributeUpdateSettings"] = {"AttributesRequireVerificationBeforeUpdate": []}
    admin.update_user_pool(UserPoolId=pool_id, **{"MfaConfiguration": demand, **given})
    more = [one for one in wanted.get("Schema", []) if one not in before.get("Schema", [])]
    if more:
        admin.add_custom_attributes(UserPoolId=pool_id, CustomAttributes=more)


@pytest.fixture
def pool(admin: Any) -> Iterator[str]:
    """A pool of which nothing is said but its name."""
    made = make_pool(admin, {"PoolName": "Basic"})
    yield made
    admin.delete_user_pool(UserPoolId=made)


def attribute(name: str, kind: str, **more: Any) -> Told:
    return {**USUAL, "Mutable": False, "Name": name, "AttributeDataType": kind, **more}


def test_a_pool_of_which_nothing_is_said_stays_as_it_is(admin: Any, pool: str) -> None:
    assert changes_of_pool(admin, pool, {"PoolName": "Basic"}) == set()
    for case_sensitive in (True, False):
        wanted = {"PoolName": "Case", "UsernameConfiguration": {"CaseSensitive": case_sensitive}}
        other = make_pool(admin, wanted)
        told = admin.describe_user_pool(UserPoolId=other)["UserPool"]
        assert told["UsernameConfiguration"] == wanted["UsernameConfiguration"]
        admin.delete_user_pool(UserPoolId=other)


def test_a_pool_is_made_changed_and_destroyed(admin: Any) -> None:
    first: Told = {
        "PoolName": "People",
        "AliasAttributes": ["email", "preferred_username"],
        "AutoVerifiedAttributes": ["email"],
        "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
        "AccountRecoverySetting": {
            "RecoveryMechanisms": [
                {"Name": "verified_phone_number", "Priority": 2},
                {"Name": "verified_email", "Priority": 1},
            ]
        },
        "DeviceConfiguration": {},  # both switches off, which the SDK leaves out
        "EmailConfiguration": {
            "EmailSendingAccount": "DEVELOPER",
            "SourceArn": "arn:aws:ses:us-east-1:000000000000:identity/mail@example.com",
            "From": "People <mail@example.com>",
        },
        "SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::000000000000:role/sms", "ExternalId": "people"},
        "VerificationMessageTemplate": {
            "DefaultEmailOption": "CONFIRM_WITH_LINK",
            "EmailMessage": "One {####}",
            "EmailMessageByLink": "Or {##here##}",
        },
        "UserPoolAddOns": {"AdvancedSecurityMode": "AUDIT"},
        "MfaConfiguration": "OPTIONAL",
        "SoftwareTokenMfaConfiguration": {"Enabled": True},
        "WebAuthnConfiguration": {"RelyingPartyId": "example.com", "UserVerification": "required"},
        "DeletionProtection": "ACTIVE",
        "UserPoolTags": {"team": "blue", "stage": "test"},
        "Schema": [
            attribute(
                "email", "String", Required=True, StringAttributeConstraints={"MinLength": "5", "MaxLength": "99"}
            ),
            attribute("tier", "String", Mutable=True),
            attribute("level", "Number", NumberAttributeConstraints={"MinValue": "2", "MaxValue": "6"}),
            attribute("hidden", "Boolean", DeveloperOnlyAttribute=True),
        ],
    }
    pool_id = make_pool(admin, first)
    assert changes_of_pool(admin, pool_id, first) == set()

    second: Told = {
        "PoolName": "Persons",
        "AliasAttributes": first["AliasAttributes"],
        "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE", "EmailMessage": "Two {####}"},
        "LambdaConfig": {
            "PreSignUp": FUNCTION,
            "PreTokenGeneration": FUNCTION,
            "PreTokenGenerationConfig": {"LambdaArn": FUNCTION, "LambdaVersion": "V1_0"},
        },
        "UserPoolTier": "LITE",
        "UserPoolTags": {"team": "red"},
        "Schema": [*first["Schema"], attribute("more", "String", StringAttributeConstraints={"MaxLength": "7"})],
    }
    arn = admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]["Arn"]

    def retag() -> None:
        admin.untag_resource(ResourceArn=arn, TagKeys=["stage"])
        admin.tag_resource(ResourceArn=arn, Tags=second["UserPoolTags"])

    retag()
    change_pool(admin, pool_id, first, second)
    # The provider does not say the tags again, and what is left out is gone: it puts them back the next time.
    assert changes_of_pool(admin, pool_id, second) == {"UserPoolTags"}
    retag()
    assert changes_of_pool(admin, pool_id, second) == set()

    admin.delete_user_pool(UserPoolId=pool_id)
    for gone in (admin.describe_user_pool, admin.delete_user_pool):
        with pytest.raises(admin.exceptions.ResourceNotFoundException):
            gone(UserPoolId=pool_id)


# -- a client ---------------------------------------------------------------------------------------------------

SETS = (
    "AllowedOAuthFlows AllowedOAuthScopes CallbackURLs ExplicitAuthFlows LogoutURLs ReadAttributes "
    "SupportedIdentityProviders WriteAttributes"
).split()
KEPT = (
    "AccessTokenValidity AllowedOAuthFlowsUserPoolClient AuthSessionValidity ClientName DefaultRedirectURI "
    "EnablePropagateAdditionalUserContextData EnableTokenRevocation IdTokenValidity PreventUserExistenceErrors "
    "RefreshTokenValidity"
).split()
BLOCKS = ("AnalyticsConfiguration", "RefreshTokenRotation", "TokenValidityUnits")
"""Told without having been asked for, they are a change."""


def planned(told: Told, wanted: Told) -> Told:
    """What the provider expects after an update: what it was told before, where nothing else is wanted. A list that is
    not there is an empty one to it."""
    found = {name: told.get(name, []) for name in SETS} | {name: told[name] for name in KEPT if name in told}
    return {**found, **wanted}


def test_a_client_is_made_changed_and_destroyed(admin: Any, pool: str) -> None:
    bare = admin.create_user_pool_client(UserPoolId=pool, ClientName="Bare")["UserPoolClient"]
    which = {"UserPoolId": pool, "ClientId": bare["ClientId"]}
    assert not set(BLOCKS) & bare.keys() and "ClientSecret" not in bare

    steps: list[Told] = [
        {"ClientName": "Renamed"},
        {"ClientName": "Renamed", "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "hours", "RefreshToken":
         "days"}, "AccessTokenValidity": 60, "IdTokenValidity": 1},
        {"ClientName": "Web", "AllowedOAuthFlowsUserPoolClient": True, "AllowedOAuthFlows": ["code"],
         "AllowedOAuthScopes": ["email", "openid"], "CallbackURLs": ["https://app.example.com/"],
         "DefaultRedirectURI": "https://app.example.com/", "SupportedIdentityProviders": ["COGNITO"],
         "TokenValidityUnits": {"AccessToken": "hours", "IdToken": "hours", "RefreshToken": "days"},
         "AccessTokenValidity": 1, "ReadAttributes": ["email", "email_verified"], "WriteAttributes": ["email"],
         "PreventUserExistenceErrors": "ENABLED", "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"],
         "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10}},
    ]  # fmt: skip
    for wanted in steps:
        plan = planned(admin.describe_user_pool_client(**which)["UserPoolClient"], wanted)
        answer = admin.update_user_pool_client(**which, **plan)["UserPoolClient"]
        assert {name: plain(answer.get(name)) for name in plan} == {name: plain(plan[name]) for name in plan}
        assert {name for name in BLOCKS if name in answer} == {name for name in BLOCKS if name in wanted}
        assert admin.describe_user_pool_client(**which)["UserPoolClient"] == answer

    machine = admin.create_user_pool_client(UserPoolId=pool, ClientName="Machine", GenerateSecret=True)
    secret = machine["UserPoolClient"]["ClientSecret"]
    again = {"UserPoolId": pool, "ClientId": machine["UserPoolClient"]["ClientId"]}
    admin.update_user_pool_client(**again, **planned(machine["UserPoolClient"], {"ClientName": "Robot"}))
    assert admin.describe_user_pool_client(**again)["UserPoolClient"]["ClientSecret"] == secret

    admin.delete_user_pool_client(**which)
    for gone in (admin.describe_user_pool_client, admin.delete_user_pool_client):
        with pytest.raises(admin.exceptions.ResourceNotFoundException):
            gone(**which)


# -- what stands around them ------------------------------------------------------------------------------------


def domain_status(admin: Any, name: str) -> str | None:
    found: str | None = admin.describe_user_pool_domain(Domain=name)["DomainDescription"].get("Status")
    return found


def wait_for(admin: Any, name: str, wanted: str | None, passing: tuple[str, ...]) -> None:
    end = time.monotonic() + WAIT
    while (status := domain_status(admin, name)) != wanted:
        assert status in passing and time.monotonic() < end, status


@pytest.mark.parametrize("custom", [False, True])
def test_a_domain_is_made_changed_and_destroyed(admin: Any, pool: str, custom: bool) -> None:
    name = f"d{uuid.uuid4().hex[:12]}" + (".example.com" if custom else "")
    certificate = {"CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/one"}
    given: Told = {"CustomDomainConfig": certificate} if custom else {}
    assert domain_status(admin, name) is None
    admin.create_user_pool_domain(Domain=name, UserPoolId=pool, **given)
    wait_for(admin, name, "ACTIVE", ("CREATING", "UPDATING"))

    def told() -> Told:
        found: Told = admin.describe_user_pool_domain(Domain=name)["DomainDescription"]
        assert (found["Domain"], found["UserPoolId"]) == (name, pool)
        assert found["AWSAccountId"] and found["CloudFrontDistribution"] and found["Version"]
        return found

    assert told().get("CustomDomainConfig") == given.get("CustomDomainConfig")
    version = told()["Version"]
    if custom:
        given = {"CustomDomainConfig": {"CertificateArn": certificate["CertificateArn"].replace("one", "two")}}
    admin.update_user_pool_domain(Domain=name, UserPoolId=pool, ManagedLoginVersion=2, **given)
    wait_for(admin, name, "ACTIVE", ("UPDATING",))
    found = told()
    assert (found["ManagedLoginVersion"], found.get("CustomDomainConfig")) == (2, given.get("CustomDomainConfig"))
    assert found["Version"] == version
    member = "CustomDomain" if custom else "Domain"
    assert admin.describe_user_pool(UserPoolId=pool)["UserPool"][member] == name

    admin.delete_user_pool_domain(Domain=name, UserPoolId=pool)
    wait_for(admin, name, None, ("UPDATING", "DELETING"))
    assert member not in admin.describe_user_pool(UserPoolId=pool)["UserPool"]


def test_a_resource_server_is_made_changed_and_destroyed(admin: Any, pool: str) -> None:
    which = {"UserPoolId": pool, "Identifier": "https://api.example.com"}
    scopes = [{"ScopeName": name, "ScopeDescription": name.title()} for name in ("read", "write")]
    for step, wanted in enumerate(([], scopes, scopes[1:], [])):
        set_it = admin.update_resource_server if step else admin.create_resource_server
        set_it(**which, Name="API", Scopes=wanted)
        told = admin.describe_resource_server(**which)["ResourceServer"]
        assert told == {**which, "Name": "API", "Scopes": wanted}
    admin.delete_resource_server(**which)
    for gone in (admin.describe_resource_server, admin.delete_resource_server):
        with pytest.raises(admin.exceptions.ResourceNotFoundException):
            gone(**which)


def test_a_user_in_a_group_is_made_changed_and_destroyed(admin: Any) -> None:
    schema = [attribute(name, "String", Mutable=True) for name in ("one", "two", "three")]
    pool = make_pool(admin, {"PoolName": "Users", "Schema": schema})
    group = {"UserPoolId": pool, "GroupName": "staff"}

    def told_of_group() -> Told:
        found = admin.get_group(**group)["Group"]
        return {name: found[name] for name in ("Description", "Precedence", "RoleArn") if found.get(name)}

    admin.create_group(**group)
    assert told_of_group() == {}
    role = "arn:aws:iam::000000000000:role/staff"
    admin.update_group(**group, Description="All", Precedence=3, RoleArn=role)
    assert told_of_group() == {"Description": "All", "Precedence": 3, "RoleArn": role}
    admin.update_group(**group, Description="", Precedence=0)  # taken out of the configuration
    assert told_of_group() == {"RoleArn": role}

    user = {"UserPoolId": pool, "Username": "alice"}

    def told_of_user() -> Told:
        found = admin.admin_get_user(**user)
        assert found["UserCreateDate"] and found["UserLastModifiedDate"]
        values = {one["Name"]: one["Value"] for one in found["UserAttributes"] if one["Name"] != "sub"}
        return {**values, "enabled": found["Enabled"], "status": found["UserStatus"]}

    attributes = {"email": "alice@example.com", "email_verified": "true", "custom:one": "1", "custom:two": "2"}
    given = [{"Name": name, "Value": value} for name, value in attributes.items()]
    admin.admin_create_user(**user, UserAttributes=given, MessageAction="SUPPRESS")
    admin.admin_disable_user(**user)
    assert told_of_user() == {**attributes, "enabled": False, "status": "FORCE_CHANGE_PASSWORD"}
    admin.admin_set_user_password(**user, Password="Correct-horse-7", Permanent=True)
    admin.admin_update_user_attributes(**user, UserAttributes=[{"Name": "custom:three", "Value": "3"}])
    admin.admin_delete_user_attributes(**user, UserAttributeNames=["custom:one"])
    admin.admin_enable_user(**user)
    attributes = {"email": "alice@example.com", "email_verified": "true", "custom:two": "2", "custom:three": "3"}
    assert told_of_user() == {**attributes, "enabled": True, "status": "CONFIRMED"}

    def groups() -> list[str]:
        pages = admin.get_paginator("admin_list_groups_for_user").paginate(**user)
        return [one["GroupName"] for page in pages for one in page["Groups"]]

    admin.admin_add_user_to_group(**user, GroupName="staff")
    assert groups() == ["staff"]
    admin.admin_remove_user_from_group(**user, GroupName="staff")
    assert groups() == []

    admin.admin_delete_user(**user)
    admin.delete_group(**group)
    for gone in (admin.admin_get_user, admin.admin_delete_user):
        with pytest.raises(admin.exceptions.UserNotFoundException):
            gone(**user)
    for gone in (admin.get_group, admin.delete_group):
        with pytest.raises(admin.exceptions.ResourceNotFoundException):
            gone(**group)
    admin.delete_user_pool(UserPoolId=pool)


@pytest.mark.parametrize("verifies", [[], ["email"], ["email", "phone_number"]], ids=["nothing", "email", "both"])
def test_a_user_whose_configuration_says_nothing_of_verified_addresses_converges(
    admin: Any, verifies: list[str]
) -> None:
    """What the provider reads back after each apply is what it was given, and nothing beside it: a flag that it had not
    set would be taken away, and be there again, for ever."""
    pool = make_pool(admin, {"PoolName": "Users", "AutoVerifiedAttributes": verifies})
    user = {"UserPoolId": pool, "Username": "alice"}

    def told() -> Told:
        found = admin.admin_get_user(**user)["UserAttributes"]
        return {one["Name"]: one["Value"] for one in found if one["Name"] != "sub"}

    before: Told = {}
    for wanted in (
        {"email": "alice@example.com", "phone_number": "+15555550100"},
        {"email": "al@example.com", "phone_number": "+15555550101"},
        {"phone_number": "+15555550101"},
        {"email": "alice@example.com", "phone_number": "+15555550101"},
    ):
        changed = [{"Name": name, "Value": value} for name, value in wanted.items() if before.get(name) != value]
        gone = [name for name in before if name not in wanted]
        if not before:
            admin.admin_create_user(**user, UserAttributes=changed, MessageAction="SUPPRESS")
        elif changed:
            admin.admin_update_user_attributes(**user, UserAttributes=changed)
        if gone:
            admin.admin_delete_user_attributes(**user, UserAttributeNames=gone)
        assert told() == wanted
        listed = admin.list_users(UserPoolId=pool)["Users"][0]["Attributes"]
        assert {one["Name"] for one in listed} == {"sub", *wanted}
        before = wanted


WIDE = (
    b'<svg width="20000" height="400" viewBox="0 0 20000 400" fill="none" xmlns="http://www.w3.org/2000/svg">'
    b'<g clip-path="url(#a)"><rect width="20000" height="400" fill="url(#b)"/></g><defs>'
    b'<linearGradient id="b" x1="0" y1="0" x2="0" y2="400" gradientUnits="userSpaceOnUse">'
    b'<stop stop-color="#122037"/><stop offset="1" stop-color="#122037" stop-opacity="0.5"/></linearGradient>'
    b'<clipPath id="a"><rect width="20000" height="400" fill="white"/></clipPath></defs></svg>'
)
"""A footer's background, of the kind that drawing programs write."""


def test_a_style_is_made_changed_and_destroyed(admin: Any, pool: str) -> None:
    clients = [
        admin.create_user_pool_client(UserPoolId=pool, ClientName=name)["UserPoolClient"]["ClientId"]
        for name in ("Web", "Other")
    ]
    image = {"Category": "PAGE_FOOTER_BACKGROUND", "ColorMode": "DARK", "Extension": "SVG", "Bytes": WIDE}
    # The provider sends an empty list of assets where there are none, and assets beside the provided values.
    for assets in ([], [image]):
        given = {"UserPoolId": pool, "ClientId": clients[0], "UseCognitoProvidedValues": True, "Assets": assets}
        made = admin.create_managed_login_branding(**given)["ManagedLoginBranding"]
        which = {"UserPoolId": pool, "ManagedLoginBrandingId": made["ManagedLoginBrandingId"]}

        def told(merged: bool = False, which: Told = which) -> Told:
            answer = admin.describe_managed_login_branding(**which, ReturnMergedResources=merged)
            found: Told = answer["ManagedLoginBranding"]
            return found

        assert told() == made and made["UseCognitoProvidedValues"] is True
        assert made["Assets"] == assets and "Settings" not in made and told(merged=True)["Settings"]
        for settings in (
            {"components": {"form": {"borderRadius": 8.0}}},
            {"components": {"form": {"borderRadius": 4}}},
        ):
            admin.update_managed_login_branding(**which, Settings=settings, Assets=assets)
            found = told()
            assert (found["UseCognitoProvidedValues"], found["Settings"], found["Assets"]) == (False, settings, assets)
        admin.update_managed_login_branding(**which, UseCognitoProvidedValues=True, Assets=assets)
        found = told()
        assert found["UseCognitoProvidedValues"] is True and "Settings" not in found and found["Assets"] == assets

        owners = []  # it looks for the client of a style among all
        for page in admin.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool):
            for one in page["UserPoolClients"]:
                asked = {"UserPoolId": pool, "ClientId": one["ClientId"]}
                try:
                    style = admin.describe_managed_login_branding_by_client(**asked)["ManagedLoginBranding"]
                except admin.exceptions.ResourceNotFoundException:
                    continue
                assert style["ManagedLoginBrandingId"] == made["ManagedLoginBrandingId"]
                owners.append(one["ClientId"])
        assert owners == [clients[0]]

        admin.delete_managed_login_branding(**which)
        for gone in (admin.describe_managed_login_branding, admin.delete_managed_login_branding):
            with pytest.raises(admin.exceptions.ResourceNotFoundException):
                gone(**which)


def test_a_look_is_made_changed_and_destroyed(admin: Any, pool: str) -> None:
    domain = f"d{uuid.uuid4().hex[:12]}"
    admin.create_user_pool_domain(Domain=domain, UserPoolId=pool)
    client = admin.create_user_pool_client(UserPoolId=pool, ClientName="Web")["UserPoolClient"]["ClientId"]
    for client_id in ("ALL", client):
        which = {"UserPoolId": pool, "ClientId": client_id}
        steps = ({"CSS": CSS}, {"CSS": CSS, "ImageFile": pictures.png()}, {"CSS": CSS.replace("400", "100")})
        for given in steps:
            admin.set_ui_customization(**which, **given)
            told = admin.get_ui_customization(**which)["UICustomization"]
            assert told["CSS"] == given["CSS"] and told.items() >= which.items()
            assert ("ImageUrl" in told) == ("ImageFile" in given)
            assert told["CSSVersion"] and told["CreationDate"] and told["LastModifiedDate"]
        admin.set_ui_customization(**which)
        assert admin.get_ui_customization(**which)["UICustomization"] == {}
    admin.delete_user_pool_domain(Domain=domain, UserPoolId=pool)


def test_where_logs_go_is_set_changed_and_taken_back(admin: Any) -> None:
    pool = make_pool(admin, {"PoolName": "Logs", "UserPoolTier": "PLUS"})
    notices = {"EventSource": "userNotification", "LogLevel": "ERROR"}
    notices["CloudWatchLogsConfiguration"] = {"LogGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:people"}  # type: ignore[assignment]
    events = {"EventSource": "userAuthEvents", "LogLevel": "INFO", "S3Configuration": {"BucketArn": "arn:aws:s3:::b"}}
    for wanted in ([notices], [events, notices], [notices, events], [events], []):
        admin.set_log_delivery_configuration(UserPoolId=pool, LogConfigurations=wanted)
        told = admin.get_log_delivery_configuration(UserPoolId=pool)["LogDeliveryConfiguration"]
        assert told == {"UserPoolId": pool, "LogConfigurations": wanted}
    admin.delete_user_pool(UserPoolId=pool)
    with pytest.raises(admin.exceptions.ResourceNotFoundException):
        admin.set_log_delivery_configuration(UserPoolId=pool, LogConfigurations=[])
