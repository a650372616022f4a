"""An administrator with boto3: pools and clients with every member, all lists page by page, the life of a directory."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from botocore import xform_name

from tests import pictures
from tests.journeys import members
from tests.journeys.conftest import RunningServer, administrator

pytestmark = pytest.mark.slow

PASSWORD = "Correct-horse-7"
NEW = "Another-horse-8"


def a_pool(admin: Any, **more: Any) -> str:
    found: str = admin.create_user_pool(PoolName="Directory", **more)["UserPool"]["Id"]
    return found


def a_client(admin: Any, pool_id: str) -> str:
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    made = admin.create_user_pool_client(UserPoolId=pool_id, ClientName="App", ExplicitAuthFlows=flows)
    found: str = made["UserPoolClient"]["ClientId"]
    return found


def a_user(admin: Any, pool_id: str, username: str, **attributes: str) -> None:
    admin.admin_create_user(
        UserPoolId=pool_id,
        Username=username,
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
        MessageAction="SUPPRESS",
    )
    admin.admin_set_user_password(UserPoolId=pool_id, Username=username, Password=PASSWORD, Permanent=True)


def sign_in(admin: Any, client_id: str, username: str, password: str = PASSWORD) -> str:
    given = {"USERNAME": username, "PASSWORD": password}
    answer = admin.initiate_auth(ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    found: str = answer["AuthenticationResult"]["AccessToken"]
    return found


def attributes(user: dict[str, Any], under: str = "UserAttributes") -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in user[under]}


def test_every_member_of_the_model_is_given() -> None:
    """So that the two journeys below mean what their names say, with the next botocore, too."""
    assert members.left_out("CreateUserPool", members.POOL, members.POOL_CHANGED) == set()
    assert members.left_out("UpdateUserPool", members.POOL, members.POOL_CHANGED) == set()
    assert members.left_out("CreateUserPoolClient", members.CLIENT) == set()
    assert members.left_out("UpdateUserPoolClient", members.CLIENT_CHANGED) == set()
    for before, after in ((members.POOL, members.POOL_CHANGED), (members.CLIENT, members.CLIENT_CHANGED)):
        assert {name for name in after if after[name] == before[name]} <= members.SAME_AGAIN.keys()


def test_a_pool_with_every_member_is_described_as_it_was_given_and_changed(admin: Any) -> None:
    made = admin.create_user_pool(**members.POOL)["UserPool"]
    assert members.unlike_pool(made, members.POOL) == []
    pool_id = made["Id"]
    described = admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    assert members.unlike_pool(described, members.POOL) == []

    with pytest.raises(admin.exceptions.InvalidParameterException, match="deletion protection"):
        admin.delete_user_pool(UserPoolId=pool_id)

    admin.update_user_pool(UserPoolId=pool_id, **members.POOL_CHANGED)
    changed = admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    assert members.unlike_pool(changed, members.POOL_CHANGED) == []
    kept = {name: members.POOL[name] for name in ("AliasAttributes", "UsernameConfiguration")}
    assert members.unlike(changed, kept) == []
    assert changed["SchemaAttributes"] == described["SchemaAttributes"]
    assert "SnsCallerArn" not in changed["SmsConfiguration"]  # what is given is replaced as a whole

    admin.update_user_pool(UserPoolId=pool_id)
    defaults = admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    plain = admin.describe_user_pool(UserPoolId=a_pool(admin))["UserPool"]
    own = {"Id", "Arn", "Name", "CreationDate", "LastModifiedDate"}
    made_with = {"AliasAttributes", "UsernameConfiguration", "SchemaAttributes", "DcrConfiguration"}
    assert {
        name for name in defaults.keys() | plain.keys() if defaults.get(name) != plain.get(name)
    } == own | made_with  # all else is what it would be if nothing had ever been given

    admin.delete_user_pool(UserPoolId=pool_id)
    with pytest.raises(admin.exceptions.ResourceNotFoundException, match=f"User pool {pool_id} does not exist."):
        admin.describe_user_pool(UserPoolId=pool_id)


def test_a_client_with_every_member_is_described_as_it_was_given_and_changed(admin: Any) -> None:
    tier = {"Name": "tier", "AttributeDataType": "String", "Mutable": True}
    pool_id = a_pool(admin, Schema=[tier])
    admin.create_resource_server(UserPoolId=pool_id, **members.RESOURCE_SERVER)
    made = admin.create_user_pool_client(UserPoolId=pool_id, **members.CLIENT)["UserPoolClient"]
    assert members.unlike_client(made, members.CLIENT) == []
    which = {"UserPoolId": pool_id, "ClientId": made["ClientId"]}
    described = admin.describe_user_pool_client(**which)["UserPoolClient"]
    assert described == made
    assert len(described["ClientSecret"]) >= 24

    changed = admin.update_user_pool_client(**which, **members.CLIENT_CHANGED)["UserPoolClient"]
    assert members.unlike_client(changed, members.CLIENT_CHANGED) == []
    assert changed["ClientSecret"] == made["ClientSecret"]
    assert admin.describe_user_pool_client(**which)["UserPoolClient"] == changed

    bare = admin.update_user_pool_client(**which)["UserPoolClient"]
    assert "CallbackURLs" not in bare
    assert bare["RefreshTokenValidity"] == 30

    admin.delete_user_pool_client(**which)
    with pytest.raises(admin.exceptions.ResourceNotFoundException):
        admin.describe_user_pool_client(**which)


def test_a_second_secret_takes_over_from_the_first(admin: Any) -> None:
    pool_id = a_pool(admin)
    own = "a_secret_that_was_made_elsewhere_1"
    made = admin.create_user_pool_client(UserPoolId=pool_id, ClientName="App", ClientSecret=own)["UserPoolClient"]
    assert made["ClientSecret"] == own
    which = {"UserPoolId": pool_id, "ClientId": made["ClientId"]}
    added = admin.add_user_pool_client_secret(**which)["ClientSecretDescriptor"]
    assert added["ClientSecretValue"]
    with pytest.raises(admin.exceptions.LimitExceededException):
        admin.add_user_pool_client_secret(**which)
    listed = admin.list_user_pool_client_secrets(**which)["ClientSecrets"]
    assert len(listed) == 2
    assert not any(one.get("ClientSecretValue") for one in listed)
    [first] = [one["ClientSecretId"] for one in listed if one["ClientSecretId"] != added["ClientSecretId"]]
    admin.delete_user_pool_client_secret(**which, ClientSecretId=first)
    with pytest.raises(admin.exceptions.InvalidParameterException):
        admin.delete_user_pool_client_secret(**which, ClientSecretId=added["ClientSecretId"])


# -- lists -------------------------------------------------------------------------------------------------------

NOT_BUILT = {"ListIdentityProviders", "AdminListUserAuthEvents"}
"""Paginators of operations that this version does not have."""


@pytest.fixture(scope="module")
def crowd(server: RunningServer) -> Iterator[str]:
    """A pool with five of everything that can be listed."""
    admin = administrator(server)
    pool_id = a_pool(admin)
    for n in range(5):
        a_client(admin, pool_id)
        admin.create_resource_server(UserPoolId=pool_id, Identifier=f"https://api{n}.example.com", Name=f"API {n}")
        admin.create_group(UserPoolId=pool_id, GroupName=f"group{n}")
        a_pool(admin)
        admin.admin_create_user(UserPoolId=pool_id, Username=f"user{n}", MessageAction="SUPPRESS")
        admin.admin_add_user_to_group(UserPoolId=pool_id, Username=f"user{n}", GroupName="group0")
        if n:
            admin.admin_add_user_to_group(UserPoolId=pool_id, Username="user0", GroupName=f"group{n}")
    yield pool_id
    admin.close()


PAGINATORS: dict[str, tuple[dict[str, str], str, Callable[[dict[str, Any]], str]]] = {
    "AdminListGroupsForUser": ({"Username": "user0"}, "Groups", lambda one: str(one["GroupName"])),
    "ListGroups": ({}, "Groups", lambda one: str(one["GroupName"])),
    "ListUsersInGroup": ({"GroupName": "group0"}, "Users", lambda one: str(one["Username"])),
    "ListResourceServers": ({}, "ResourceServers", lambda one: str(one["Identifier"])),
    "ListUserPoolClients": ({}, "UserPoolClients", lambda one: str(one["ClientId"])),
    "ListUserPools": ({}, "UserPools", lambda one: str(one["Id"])),
    "ListUsers": ({}, "Users", lambda one: str(one["Username"])),
}


def test_all_paginators_are_used_and_there_is_nothing_to_wait_for(admin: Any) -> None:
    """boto3 has no waiters for user pools: everything is done when it is answered."""
    operations = admin.meta.service_model.operation_names
    assert {name for name in operations if admin.can_paginate(xform_name(name))} == PAGINATORS.keys() | NOT_BUILT
    assert admin.waiter_names == []


@pytest.mark.parametrize("name", PAGINATORS)
def test_a_list_comes_whole_page_by_page(admin: Any, crowd: str, name: str) -> None:
    which, key, told = PAGINATORS[name]
    if name != "ListUserPools":
        which = {"UserPoolId": crowd, **which}
    pages = list(admin.get_paginator(xform_name(name)).paginate(**which, PaginationConfig={"PageSize": 2}))
    assert len(pages) >= 3
    assert all(len(page[key]) <= 2 for page in pages)
    found = [told(one) for page in pages for one in page[key]]
    assert len(set(found)) == len(found)
    assert len(found) == 5 if name != "ListUserPools" else crowd in found

    first = admin.get_paginator(xform_name(name)).paginate(**which, PaginationConfig={"MaxItems": 3, "PageSize": 2})
    begun = first.build_full_result()
    rest = admin.get_paginator(xform_name(name)).paginate(
        **which, PaginationConfig={"StartingToken": begun["NextToken"], "PageSize": 2}
    )
    assert [told(one) for one in begun[key] + rest.build_full_result()[key]] == found


# -- the life of a directory -------------------------------------------------------------------------------------


def test_from_the_first_group_to_the_deleted_pool(server: RunningServer, admin: Any) -> None:
    pool_id = a_pool(
        admin,
        AliasAttributes=["email"],
        AutoVerifiedAttributes=["email"],
        UserAttributeUpdateSettings={"AttributesRequireVerificationBeforeUpdate": ["email"]},
    )
    admin.add_custom_attributes(
        UserPoolId=pool_id, CustomAttributes=[{"Name": "tier", "AttributeDataType": "String", "Mutable": True}]
    )
    client_id = a_client(admin, pool_id)
    old, new = f"{uuid.uuid4()}@example.com", f"{uuid.uuid4()}@example.com"

    made = admin.create_group(
        UserPoolId=pool_id, GroupName="editors", Precedence=5, Description="They write", RoleArn=members.ROLE + "editor"
    )["Group"]
    assert (made["Precedence"], made["Description"]) == (5, "They write")
    changed = admin.update_group(UserPoolId=pool_id, GroupName="editors", Precedence=1)["Group"]
    assert changed["Precedence"] == 1
    assert admin.get_group(UserPoolId=pool_id, GroupName="editors")["Group"] == changed

    a_user(admin, pool_id, "nora", email=old, email_verified="true", **{"custom:tier": "gold"})
    for _ in range(2):  # a second time changes nothing
        admin.admin_add_user_to_group(UserPoolId=pool_id, Username=old, GroupName="editors")
    [group] = admin.admin_list_groups_for_user(UserPoolId=pool_id, Username="nora")["Groups"]
    assert group["GroupName"] == "editors"
    [member] = admin.list_users_in_group(UserPoolId=pool_id, GroupName="editors")["Users"]
    assert attributes(member, "Attributes")["custom:tier"] == "gold"

    token = sign_in(admin, client_id, old)
    answer = admin.update_user_attributes(
        AccessToken=token,
        UserAttributes=[{"Name": "email", "Value": new}, {"Name": "name", "Value": "Nora ♥"}],
    )
    [sent] = answer["CodeDeliveryDetailsList"]
    assert (sent["AttributeName"], sent["DeliveryMedium"]) == ("email", "EMAIL")
    mine = attributes(admin.get_user(AccessToken=token))
    assert (mine["email"], mine["name"]) == (old, "Nora ♥")
    [message] = server.messages(new)
    wrong = f"{(int(message['code']) + 1) % 10**6:06}"
    with pytest.raises(admin.exceptions.CodeMismatchException):
        admin.verify_user_attribute(AccessToken=token, AttributeName="email", Code=wrong)
    admin.verify_user_attribute(AccessToken=token, AttributeName="email", Code=message["code"])
    mine = attributes(admin.get_user(AccessToken=token))
    assert (mine["email"], mine["email_verified"]) == (new, "true")
    admin.delete_user_attributes(AccessToken=token, UserAttributeNames=["custom:tier"])
    assert "custom:tier" not in attributes(admin.admin_get_user(UserPoolId=pool_id, Username=new))

    with pytest.raises(admin.exceptions.NotAuthorizedException):
        admin.change_password(AccessToken=token, PreviousPassword="Wrong-horse-9", ProposedPassword=NEW)
    with pytest.raises(admin.exceptions.InvalidPasswordException):
        admin.change_password(AccessToken=token, PreviousPassword=PASSWORD, ProposedPassword="short")
    admin.change_password(AccessToken=token, PreviousPassword=PASSWORD, ProposedPassword=NEW)
    with pytest.raises(admin.exceptions.NotAuthorizedException):
        sign_in(admin, client_id, new)
    token = sign_in(admin, client_id, new, NEW)

    found = admin.list_users(UserPoolId=pool_id, Filter=f'email = "{new}"', AttributesToGet=["name"])["Users"]
    assert [attributes(one, "Attributes") for one in found] == [{"name": "Nora ♥"}]
    admin.admin_disable_user(UserPoolId=pool_id, Username="nora")
    with pytest.raises(admin.exceptions.NotAuthorizedException):
        sign_in(admin, client_id, new, NEW)
    assert admin.list_users(UserPoolId=pool_id, Filter='status = "Enabled"')["Users"] == []
    admin.admin_enable_user(UserPoolId=pool_id, Username="nora")
    token = sign_in(admin, client_id, new, NEW)

    admin.admin_reset_user_password(UserPoolId=pool_id, Username="nora")
    with pytest.raises(admin.exceptions.PasswordResetRequiredException):
        sign_in(admin, client_id, new, NEW)
    code = server.messages(new)[0]["code"]
    admin.confirm_forgot_password(ClientId=client_id, Username="nora", ConfirmationCode=code, Password=PASSWORD)
    token = sign_in(admin, client_id, new)

    admin.delete_user(AccessToken=token)
    with pytest.raises((admin.exceptions.NotAuthorizedException, admin.exceptions.UserNotFoundException)):
        admin.get_user(AccessToken=token)
    with pytest.raises(admin.exceptions.UserNotFoundException):
        admin.admin_get_user(UserPoolId=pool_id, Username="nora")
    assert admin.list_users_in_group(UserPoolId=pool_id, GroupName="editors")["Users"] == []

    admin.delete_group(UserPoolId=pool_id, GroupName="editors")
    assert admin.list_groups(UserPoolId=pool_id)["Groups"] == []
    admin.delete_user_pool(UserPoolId=pool_id)
    with pytest.raises(admin.exceptions.ResourceNotFoundException):
        admin.list_users(UserPoolId=pool_id)


def test_somebody_signs_himself_up_and_an_administrator_confirms_him(admin: Any) -> None:
    pool_id = a_pool(admin, UsernameAttributes=["email"])
    client_id = a_client(admin, pool_id)
    email = f"{uuid.uuid4()}@example.com"
    admin.sign_up(ClientId=client_id, Username=email, Password=PASSWORD)
    with pytest.raises(admin.exceptions.UserNotConfirmedException):
        sign_in(admin, client_id, email)
    admin.admin_confirm_sign_up(UserPoolId=pool_id, Username=email)
    assert sign_in(admin, client_id, email)
    admin.admin_update_user_attributes(
        UserPoolId=pool_id, Username=email, UserAttributes=[{"Name": "email_verified", "Value": "true"}]
    )
    admin.admin_delete_user(UserPoolId=pool_id, Username=email)


def test_what_belongs_to_a_pool_is_made_described_changed_and_removed(admin: Any) -> None:
    pool_id = a_pool(admin)
    client_id = a_client(admin, pool_id)

    prefix = f"d{uuid.uuid4().hex[:12]}"
    admin.create_user_pool_domain(UserPoolId=pool_id, Domain=prefix)
    described = admin.describe_user_pool_domain(Domain=prefix)["DomainDescription"]
    assert (described["UserPoolId"], described["Domain"]) == (pool_id, prefix)
    assert admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]["Domain"] == prefix

    admin.create_resource_server(UserPoolId=pool_id, **members.RESOURCE_SERVER)
    identifier = members.RESOURCE_SERVER["Identifier"]
    changed = {**members.RESOURCE_SERVER, "Name": "Changed", "Scopes": [{"ScopeName": "w", "ScopeDescription": "W"}]}
    admin.update_resource_server(UserPoolId=pool_id, **changed)
    which = {"UserPoolId": pool_id, "Identifier": identifier}
    assert admin.describe_resource_server(**which)["ResourceServer"] == {**changed, "UserPoolId": pool_id}
    admin.delete_resource_server(**which)

    arn = admin.describe_user_pool(UserPoolId=pool_id)["UserPool"]["Arn"]
    admin.tag_resource(ResourceArn=arn, Tags={"team": "blue", "stage": "test"})
    admin.untag_resource(ResourceArn=arn, TagKeys=["stage"])
    assert admin.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"team": "blue"}

    css = ".banner-customizable { padding: 1px; }"
    admin.set_ui_customization(UserPoolId=pool_id, CSS=css, ImageFile=pictures.png())
    look = admin.get_ui_customization(UserPoolId=pool_id)["UICustomization"]
    assert look["CSS"] == css
    logo = requests.get(look["ImageUrl"], timeout=60)
    assert logo.content == pictures.png()

    style = {"components": {"primaryButton": {"lightMode": {"defaults": {"backgroundColor": "ff0000ff"}}}}}
    made = admin.create_managed_login_branding(UserPoolId=pool_id, ClientId=client_id, Settings=style)
    branding = {"UserPoolId": pool_id, "ManagedLoginBrandingId": made["ManagedLoginBranding"]["ManagedLoginBrandingId"]}
    assert admin.describe_managed_login_branding(**branding)["ManagedLoginBranding"]["Settings"] == style
    admin.update_managed_login_branding(**branding, UseCognitoProvidedValues=True)
    mine = admin.describe_managed_login_branding_by_client(UserPoolId=pool_id, ClientId=client_id)
    assert mine["ManagedLoginBranding"]["UseCognitoProvidedValues"] is True
    admin.delete_managed_login_branding(**branding)

    links = {"cognito:default": "https://example.com/terms", "cognito:french": "https://example.com/fr"}
    kind = {"TermsName": "terms-of-use", "TermsSource": "LINK", "Enforcement": "NONE"}
    terms = admin.create_terms(UserPoolId=pool_id, ClientId=client_id, **kind, Links=links)["Terms"]
    which = {"UserPoolId": pool_id, "TermsId": terms["TermsId"]}
    assert admin.describe_terms(**which)["Terms"]["Links"] == links
    admin.update_terms(**which, Links={"cognito:default": "https://example.com/new"})
    [listed] = admin.list_terms(UserPoolId=pool_id)["Terms"]
    assert listed["TermsId"] == terms["TermsId"]
    admin.delete_terms(**which)

    with pytest.raises(admin.exceptions.InvalidParameterException, match="domain configured"):
        admin.delete_user_pool(UserPoolId=pool_id)
    admin.delete_user_pool_domain(UserPoolId=pool_id, Domain=prefix)
    admin.delete_user_pool(UserPoolId=pool_id)


def test_refusals_arrive_as_the_exceptions_of_the_model(admin: Any) -> None:
    pool_id = a_pool(admin, AliasAttributes=["email"])
    client_id = a_client(admin, pool_id)
    email = f"{uuid.uuid4()}@example.com"
    verified = {"email": email, "email_verified": "true"}
    a_user(admin, pool_id, "nora", **verified)
    admin.create_group(UserPoolId=pool_id, GroupName="editors")
    refused: list[tuple[str, Callable[[], Any]]] = [
        ("UsernameExistsException", lambda: a_user(admin, pool_id, "nora")),
        ("AliasExistsException", lambda: a_user(admin, pool_id, "ivan", **verified)),
        ("GroupExistsException", lambda: admin.create_group(UserPoolId=pool_id, GroupName="editors")),
        ("UserNotFoundException", lambda: admin.admin_get_user(UserPoolId=pool_id, Username="nobody")),
        ("ResourceNotFoundException", lambda: admin.get_group(UserPoolId=pool_id, GroupName="nobodies")),
        ("InvalidParameterException", lambda: admin.list_users(UserPoolId=pool_id, Filter='custom:x = "y"')),
        ("NotAuthorizedException", lambda: sign_in(admin, client_id, "nora", "Wrong-horse-9")),
        (
            "InvalidPasswordException",
            lambda: admin.admin_set_user_password(UserPoolId=pool_id, Username="nora", Password="short"),
        ),
        (
            "ScopeDoesNotExistException",
            lambda: admin.update_user_pool_client(
                UserPoolId=pool_id,
                ClientId=client_id,
                AllowedOAuthFlowsUserPoolClient=True,
                AllowedOAuthFlows=["code"],
                AllowedOAuthScopes=["https://nobody.example.com/read"],
                CallbackURLs=["https://app.example.com/"],
            ),
        ),
        (
            "InvalidOAuthFlowException",
            lambda: admin.update_user_pool_client(
                UserPoolId=pool_id,
                ClientId=client_id,
                AllowedOAuthFlowsUserPoolClient=True,
                AllowedOAuthFlows=["client_credentials"],
                AllowedOAuthScopes=[],
            ),
        ),
    ]
    for name, attempt in refused:
        with pytest.raises(getattr(admin.exceptions, name)) as caught:
            attempt()
        assert caught.value.response["Error"]["Code"] == name
        assert caught.value.response["Error"]["Message"]
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
