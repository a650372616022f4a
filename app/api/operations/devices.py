"""The devices that users sign in from: confirmed, looked at and forgotten (reference: 10.5)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.accounts import devices, find
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.models import Device, Pool, User
from app.paging import Page


@operation("ConfirmDevice")
def confirm_device(call: Call) -> dict[str, Any]:
    """Take up the key that came with the tokens."""
    call.demand_recent_sign_in()  # a device may stand in for a second factor
    given = call.get("DeviceSecretVerifierConfig", {})
    necessary = devices.confirm(
        call.env,
        call.client,
        call.user,
        call.session,
        key=call["DeviceKey"],
        name=call.get("DeviceName"),
        password_verifier=given.get("PasswordVerifier"),
        salt=given.get("Salt"),
        origin=call.origin,
    )
    return {"UserConfirmationNecessary": necessary}


@operation("GetDevice")
def get_device(call: Call) -> dict[str, Any]:
    """One of one's own."""
    return {"Device": _described(devices.get(call.env, *_own(call), call["DeviceKey"]))}


# The lists of errors forgot that there may be no such user, here and where they are listed.
@operation("AdminGetDevice", also=(errors.UserNotFound,))
def admin_get_device(call: Call) -> dict[str, Any]:
    """One of a user's."""
    return {"Device": _described(devices.get(call.env, *_his(call), call["DeviceKey"]))}


@operation("ListDevices")
def list_devices(call: Call) -> dict[str, Any]:
    """A page of one's own."""
    return _listed(_page(call, *_own(call)))


@operation("AdminListDevices", also=(errors.UserNotFound,))
def admin_list_devices(call: Call) -> dict[str, Any]:
    """A page of a user's."""
    return _listed(_page(call, *_his(call)))


@operation("UpdateDeviceStatus")
def update_device_status(call: Call) -> dict[str, Any]:
    """Have one's own remembered, or not."""
    devices.set_status(call.env, *_own(call), call["DeviceKey"], remembered=_remembered(call))
    return {}


@operation("AdminUpdateDeviceStatus")
def admin_update_device_status(call: Call) -> dict[str, Any]:
    """The same for another."""
    devices.set_status(call.env, *_his(call), call["DeviceKey"], remembered=_remembered(call))
    return {}


@operation("ForgetDevice")
def forget_device(call: Call) -> dict[str, Any]:
    """Delete one of one's own, and sign it out."""
    devices.forget(call.env, *_own(call), call["DeviceKey"], asking=call.session)
    return {}


@operation("AdminForgetDevice")
def admin_forget_device(call: Call) -> dict[str, Any]:
    """The same for another."""
    devices.forget(call.env, *_his(call), call["DeviceKey"])
    return {}


def _own(call: Call) -> tuple[Pool, User]:
    """Of the caller. The model does not demand the token everywhere, but has no other way to say who he is."""
    if "AccessToken" not in call.members:
        raise errors.InvalidParameter("Missing required parameter AccessToken")
    return call.client.pool, call.user


def _his(call: Call) -> tuple[Pool, User]:
    """Of the user whom an administrator names."""
    return call.pool, find.existing(call.env, call.pool, call["Username"]).user


def _page(call: Call, pool: Pool, user: User) -> Page[Device]:
    return devices.listed(call.env, pool, user, limit=call.get("Limit"), token=call.get("PaginationToken"))


def _remembered(call: Call) -> bool:
    if "DeviceRememberedStatus" not in call.members:
        raise errors.InvalidParameter("Missing required parameter DeviceRememberedStatus")
    return bool(call["DeviceRememberedStatus"] == "remembered")


def _listed(page: Page[Device]) -> dict[str, Any]:
    reply: dict[str, Any] = {"Devices": [_described(row) for row in page.rows]}
    if page.token is not None:
        reply["PaginationToken"] = page.token
    return reply


def _described(row: Device) -> dict[str, Any]:
    told = {"device_status": "valid"}
    if row.name is not None:
        told["device_name"] = row.name
    told["dev:device_remembered_status"] = "remembered" if row.remembered else "not_remembered"
    told["last_ip_used"] = row.last_ip
    return {
        "DeviceKey": row.key,
        "DeviceAttributes": wire.attribute_list(told),
        "DeviceCreateDate": wire.moment(row.created_at),
        "DeviceLastModifiedDate": wire.moment(row.modified_at),
        "DeviceLastAuthenticatedDate": wire.moment(row.authenticated_at),
    }
