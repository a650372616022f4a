"""Devices at the door: offered, confirmed, looked at and forgotten, by their user and by administrators."""

from typing import Any

import pytest
from sqlalchemy import update

from app.env import Env
from app.models import Client, LoginSession, Pool, User
from tests import build
from tests.api.conftest import Api
from tests.conftest import Clock

UNKNOWN = ("ResourceNotFound", "Device does not exist.")


@pytest.fixture
def tracking(env: Env) -> Pool:
    return build.a_pool(env, algorithm="ES256", device_configuration={"device_only_remembered_on_user_prompt": True})


@pytest.fixture
def client(env: Env, tracking: Pool) -> Client:
    return build.a_client(env, tracking)


@pytest.fixture
def alice(env: Env, tracking: Pool) -> User:
    return build.a_user(env, tracking)


def sign_in(api: Api, client: Client, name: str = "alice") -> dict[str, Any]:
    how = {"USERNAME": name, "PASSWORD": build.PASSWORD}
    given = {"ClientId": client.id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": how}
    result: dict[str, Any] = api("InitiateAuth", **given)["AuthenticationResult"]
    return result


def confirming(tokens: dict[str, Any], **other: Any) -> dict[str, Any]:
    """What a client sends right after."""
    new = tokens["NewDeviceMetadata"]
    verifier = build.a_verifier(new["DeviceGroupKey"], new["DeviceKey"])
    secret = {"PasswordVerifier": verifier["password_verifier"], "Salt": verifier["salt"]}
    return {
        "AccessToken": tokens["AccessToken"],
        "DeviceKey": new["DeviceKey"],
        "DeviceSecretVerifierConfig": secret,
        **other,
    }


def of(tokens: dict[str, Any]) -> dict[str, str]:
    """A device, as its user names it."""
    return {"AccessToken": tokens["AccessToken"], "DeviceKey": tokens["NewDeviceMetadata"]["DeviceKey"]}


def by_administrator(client: Client, tokens: dict[str, Any]) -> dict[str, str]:
    key = tokens["NewDeviceMetadata"]["DeviceKey"]
    return {"UserPoolId": client.pool_id, "Username": "alice@example.com", "DeviceKey": key}


def refresh(client: Client, tokens: dict[str, Any], key: str | None) -> dict[str, Any]:
    """As the clients ask, which say null of a key that they do not have."""
    how = {"REFRESH_TOKEN": tokens["RefreshToken"], "DEVICE_KEY": key}
    return {"ClientId": client.id, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": how}


def test_a_device_is_offered_confirmed_and_described(api: Api, client: Client, alice: User, clock: Clock) -> None:
    tokens = sign_in(api, client)
    assert tokens["NewDeviceMetadata"].keys() == {"DeviceKey", "DeviceGroupKey"}
    assert api.refused("GetDevice", **of(tokens)) == UNKNOWN
    assert api("ConfirmDevice", **confirming(tokens, DeviceName="Her phone")) == {"UserConfirmationNecessary": True}
    made = clock.moment.timestamp()
    clock.forward(minutes=1)
    assert api("UpdateDeviceStatus", **of(tokens), DeviceRememberedStatus="remembered") == {}
    expected = {
        "DeviceKey": tokens["NewDeviceMetadata"]["DeviceKey"],
        "DeviceAttributes": [
            {"Name": "device_status", "Value": "valid"},
            {"Name": "device_name", "Value": "Her phone"},
            {"Name": "dev:device_remembered_status", "Value": "remembered"},
            {"Name": "last_ip_used", "Value": "127.0.0.1"},
        ],
        "DeviceCreateDate": made,
        "DeviceLastModifiedDate": made + 60,
        "DeviceLastAuthenticatedDate": made,
    }
    assert api("GetDevice", **of(tokens)) == {"Device": expected}
    assert api("AdminGetDevice", **by_administrator(client, tokens)) == {"Device": expected}
    assert api("ListDevices", AccessToken=tokens["AccessToken"]) == {"Devices": [expected]}


def test_a_device_without_a_name(api: Api, client: Client, alice: User) -> None:
    tokens = sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    told = {one["Name"]: one["Value"] for one in api("GetDevice", **of(tokens))["Device"]["DeviceAttributes"]}
    assert "device_name" not in told
    assert told["dev:device_remembered_status"] == "not_remembered"


def test_a_device_is_confirmed_once_and_by_its_own_session(api: Api, client: Client, alice: User) -> None:
    tokens, another = sign_in(api, client), sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    assert api.refused("ConfirmDevice", **confirming(tokens))[0] == "DeviceKeyExists"
    mixed = {**confirming(tokens), "AccessToken": another["AccessToken"]}
    assert api.refused("ConfirmDevice", **mixed)[0] == "DeviceKeyExists"
    mixed = {**confirming(another), "AccessToken": tokens["AccessToken"]}
    assert api.refused("ConfirmDevice", **mixed) == ("InvalidParameter", "Invalid device key given.")


def test_a_verifier_is_demanded(api: Api, client: Client, alice: User) -> None:
    tokens = sign_in(api, client)
    for given in ({}, {"PasswordVerifier": "Ag=="}, {"Salt": "Ag=="}, {"PasswordVerifier": "AA==", "Salt": "Ag=="}):
        asked = confirming(tokens, DeviceSecretVerifierConfig=given)
        assert api.refused("ConfirmDevice", **asked)[0] == "InvalidParameter"
    without = {name: value for name, value in confirming(tokens).items() if name != "DeviceSecretVerifierConfig"}
    assert api.refused("ConfirmDevice", **without)[0] == "InvalidParameter"


def test_only_a_confirmed_device_is_needed_to_refresh(api: Api, client: Client, alice: User) -> None:
    """A client that keeps none never sends the key; one that has lost its device's is not the same any more."""
    kept, dropped = sign_in(api, client), sign_in(api, client)
    api("ConfirmDevice", **confirming(kept))
    key = kept["NewDeviceMetadata"]["DeviceKey"]
    result = api("InitiateAuth", **refresh(client, kept, key))["AuthenticationResult"]
    assert "NewDeviceMetadata" not in result
    assert api.refused("InitiateAuth", **refresh(client, kept, None)) == ("NotAuthorized", "Invalid Refresh Token")
    assert api("InitiateAuth", **refresh(client, dropped, None))["AuthenticationResult"]
    by_exchange = {"ClientId": client.id, "RefreshToken": kept["RefreshToken"]}
    assert api.refused("GetTokensFromRefreshToken", **by_exchange) == ("NotAuthorized", "Invalid Refresh Token")
    assert api("GetTokensFromRefreshToken", **by_exchange, DeviceKey=key)["AuthenticationResult"]


@pytest.mark.parametrize("who", ["user", "administrator"])
def test_forgetting_signs_the_device_out(api: Api, client: Client, alice: User, who: str) -> None:
    tokens, at_home = sign_in(api, client), sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    if who == "user":
        from_home = {**of(tokens), "AccessToken": at_home["AccessToken"]}
        assert api("ForgetDevice", **from_home) == {}
        assert api.refused("ForgetDevice", **from_home) == UNKNOWN
    else:
        assert api("AdminForgetDevice", **by_administrator(client, tokens)) == {}
        assert api.refused("AdminForgetDevice", **by_administrator(client, tokens)) == UNKNOWN
    key = tokens["NewDeviceMetadata"]["DeviceKey"]
    assert api.refused("InitiateAuth", **refresh(client, tokens, key)) == (
        "NotAuthorized",
        "Refresh Token has been revoked",
    )
    assert api.refused("ListDevices", AccessToken=tokens["AccessToken"])[0] == "NotAuthorized"
    assert api("ListDevices", AccessToken=at_home["AccessToken"]) == {"Devices": []}


def test_who_forgets_the_device_that_asks_keeps_the_access_token_and_nothing_else(
    api: Api, client: Client, alice: User
) -> None:
    """Amplify lists the devices right after it. What it can no longer do is refresh, or confirm the device anew."""
    tokens, earlier = sign_in(api, client), sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    key, access = tokens["NewDeviceMetadata"]["DeviceKey"], tokens["AccessToken"]
    assert api("ForgetDevice", **of(tokens)) == {}
    assert api("ListDevices", AccessToken=access) == {"Devices": []}
    assert api("GetUser", AccessToken=access)["Username"] == "alice"
    for with_key in (key, None):
        refused = api.refused("InitiateAuth", **refresh(client, tokens, with_key))
        assert refused == ("NotAuthorized", "Refresh Token has expired")
    assert api.refused("GetTokensFromRefreshToken", ClientId=client.id, RefreshToken=tokens["RefreshToken"])
    assert api.refused("ConfirmDevice", **confirming(tokens))[0] == "InvalidParameter"
    assert api("InitiateAuth", **refresh(client, earlier, None))["AuthenticationResult"]
    api("RevokeToken", ClientId=client.id, Token=tokens["RefreshToken"])
    assert api.refused("GetUser", AccessToken=access) == ("NotAuthorized", "Access Token has been revoked")


def test_of_a_device_with_two_sessions_only_the_asking_one_keeps_its_access_token(
    api: Api, client: Client, alice: User, env: Env
) -> None:
    tokens, other = sign_in(api, client), sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    key = tokens["NewDeviceMetadata"]["DeviceKey"]
    with env.transaction():  # as after a second sign-in with the device
        env.db.execute(update(LoginSession).values(device_key=key))
    api("ForgetDevice", **of(tokens))
    assert api("ListDevices", AccessToken=tokens["AccessToken"]) == {"Devices": []}
    assert api.refused("ListDevices", AccessToken=other["AccessToken"])[0] == "NotAuthorized"


def test_devices_are_listed_a_page_at_a_time(api: Api, client: Client, alice: User, clock: Clock) -> None:
    keys = []
    for _ in range(3):
        clock.forward(seconds=1)
        tokens = sign_in(api, client)
        api("ConfirmDevice", **confirming(tokens))
        keys.append(tokens["NewDeviceMetadata"]["DeviceKey"])
    mine, her = {"AccessToken": tokens["AccessToken"]}, {"UserPoolId": client.pool_id, "Username": "alice"}
    for operation, whose in (("ListDevices", mine), ("AdminListDevices", her)):
        first = api(operation, **whose, Limit=2)
        second = api(operation, **whose, Limit=2, PaginationToken=first["PaginationToken"])
        assert [one["DeviceKey"] for one in (*first["Devices"], *second["Devices"])] == keys
        assert "PaginationToken" not in second
        assert api.refused(operation, **whose, PaginationToken="x")[0] == "InvalidParameter"


def test_an_administrator_says_what_is_remembered(api: Api, client: Client, alice: User) -> None:
    tokens = sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    which = by_administrator(client, tokens)
    for status in ("remembered", "not_remembered"):
        assert api("AdminUpdateDeviceStatus", **which, DeviceRememberedStatus=status) == {}
        told = api("AdminGetDevice", **which)["Device"]["DeviceAttributes"]
        assert {"Name": "dev:device_remembered_status", "Value": status} in told
    assert api.refused("AdminUpdateDeviceStatus", **which)[0] == "InvalidParameter"


@pytest.mark.parametrize("operation", ["GetDevice", "ForgetDevice"])
def test_a_device_alone_does_not_say_whose_it_is(api: Api, client: Client, alice: User, operation: str) -> None:
    """The model does not demand the token."""
    key = of(sign_in(api, client))["DeviceKey"]
    assert api.refused(operation, DeviceKey=key) == ("InvalidParameter", "Missing required parameter AccessToken")


def test_nobody_reaches_another_users_device(env: Env, api: Api, client: Client, alice: User) -> None:
    build.a_user(env, client.pool, "bob", email=None)
    hers, his = sign_in(api, client), sign_in(api, client, "bob")
    api("ConfirmDevice", **confirming(hers))
    asked = {**of(hers), "AccessToken": his["AccessToken"]}
    assert api.refused("GetDevice", **asked) == UNKNOWN
    assert api.refused("ForgetDevice", **asked) == UNKNOWN
    assert api.refused("UpdateDeviceStatus", **asked, DeviceRememberedStatus="remembered") == UNKNOWN
    for operation in ("AdminGetDevice", "AdminForgetDevice"):
        assert api.refused(operation, **{**by_administrator(client, hers), "Username": "bob"}) == UNKNOWN
        assert api.refused(operation, **{**by_administrator(client, hers), "Username": "x"})[0] == "UserNotFound"


def test_a_pool_that_stopped_tracking(api: Api, client: Client, alice: User) -> None:
    tokens = sign_in(api, client)
    api("ConfirmDevice", **confirming(tokens))
    api("UpdateUserPool", UserPoolId=client.pool_id)
    assert "NewDeviceMetadata" not in sign_in(api, client)
    assert api("InitiateAuth", **refresh(client, tokens, None))["AuthenticationResult"]
    which = by_administrator(client, tokens)
    for operation, given in (
        ("ConfirmDevice", confirming(tokens)),
        ("GetDevice", of(tokens)),
        ("ListDevices", {"AccessToken": tokens["AccessToken"]}),
        ("AdminForgetDevice", which),
        ("AdminListDevices", {name: which[name] for name in ("UserPoolId", "Username")}),
        ("AdminUpdateDeviceStatus", {**which, "DeviceRememberedStatus": "remembered"}),
    ):
        assert api.refused(operation, **given)[0] == "InvalidUserPoolConfiguration"
