"""How a pool's pages look: classic customization, and styles of managed login (reference: 7.9)."""

from __future__ import annotations

import base64
from typing import Any

from app.api import shapes, wire
from app.api.caller import Call
from app.api.registry import operation
from app.env import Env
from app.models import BrandingAsset, Pool, UICustomization
from app.models.branding import ALL
from app.pools import managed_login, ui_customization
from app.pools.managed_login import Asset, Style
from app.tokens import claims


@operation("SetUICustomization")
def set_ui_customization(call: Call) -> dict[str, Any]:
    """CSS and logo of a client's classic pages, or of all."""
    client = None if call.get("ClientId", ALL) == ALL else call.client
    row = ui_customization.put(call.env, call.pool, client, css=call.get("CSS"), image=call.get("ImageFile"))
    return {"UICustomization": _customization(call.env, call.pool, row)}


@operation("GetUICustomization")
def get_ui_customization(call: Call) -> dict[str, Any]:
    """A client's customization, else that of all; empty if there is none."""
    client = None if call.get("ClientId", ALL) == ALL else call.client
    row = ui_customization.of(call.env, call.pool, client)
    return {"UICustomization": _customization(call.env, call.pool, row)}


def _customization(env: Env, pool: Pool, row: UICustomization | None) -> dict[str, Any]:
    if row is None:
        return {}
    found = {
        "UserPoolId": row.pool_id,
        "ClientId": row.client_id,
        "CSSVersion": row.css_version,
        "CreationDate": wire.moment(row.created_at),
        "LastModifiedDate": wire.moment(row.modified_at),
    }
    if row.css is not None:
        found["CSS"] = row.css
    name = ui_customization.logo_name(row)
    if name is not None:
        # By path, below the base URL: it leads there whatever names the pool's pages have besides.
        found["ImageUrl"] = f"{claims.issuer(env.settings, pool)}/branding/{row.client_id}/{name}"
    return found


@operation("CreateManagedLoginBranding")
def create_managed_login_branding(call: Call) -> dict[str, Any]:
    """Give a client's managed login pages a style."""
    style = managed_login.create(
        call.env,
        call.client,
        provided=call.get("UseCognitoProvidedValues"),
        settings=call.get("Settings"),
        assets=_assets(call),
    )
    return {"ManagedLoginBranding": _style(style)}


@operation("DescribeManagedLoginBranding")
def describe_managed_login_branding(call: Call) -> dict[str, Any]:
    """A style, by its id."""
    merged = call.get("ReturnMergedResources", False)
    style = managed_login.existing(call.env, call.pool, call["ManagedLoginBrandingId"], merged=merged)
    return {"ManagedLoginBranding": _style(style)}


@operation("DescribeManagedLoginBrandingByClient")
def describe_managed_login_branding_by_client(call: Call) -> dict[str, Any]:
    """A client's style."""
    style = managed_login.of_client(call.env, call.client, merged=call.get("ReturnMergedResources", False))
    return {"ManagedLoginBranding": _style(style)}


@operation("UpdateManagedLoginBranding")
def update_managed_login_branding(call: Call) -> dict[str, Any]:
    """Change what is given of a style. (The model lets both ids be left out, and says nothing of what that means.)"""
    for member in ("UserPoolId", "ManagedLoginBrandingId"):
        if member not in call.members:
            raise shapes.missing(member)
    style = managed_login.update(
        call.env,
        call.pool,
        branding_id=call["ManagedLoginBrandingId"],
        provided=call.get("UseCognitoProvidedValues"),
        settings=call.get("Settings"),
        assets=_assets(call),
    )
    return {"ManagedLoginBranding": _style(style)}


@operation("DeleteManagedLoginBranding")
def delete_managed_login_branding(call: Call) -> None:
    """Remove a style."""
    managed_login.delete(call.env, call.pool, branding_id=call["ManagedLoginBrandingId"])


def _assets(call: Call) -> list[Asset] | None:
    given = call.get("Assets")
    if given is None:
        return None
    return [
        Asset(
            category=one["Category"],
            color_mode=one["ColorMode"],
            extension=one["Extension"],
            content=one.get("Bytes"),
            resource_id=one.get("ResourceId"),
        )
        for one in given
    ]


def _style(style: Style) -> dict[str, Any]:
    row = style.row
    found = {
        "ManagedLoginBrandingId": row.id,
        "UserPoolId": row.pool_id,
        "UseCognitoProvidedValues": row.provided,
        "Assets": [_asset(one) for one in style.assets],
        "CreationDate": wire.moment(row.created_at),
        "LastModifiedDate": wire.moment(row.modified_at),
    }
    if style.settings is not None:
        found["Settings"] = style.settings
    return found


def _asset(row: BrandingAsset) -> dict[str, Any]:
    found = {"Category": row.category, "ColorMode": row.color_mode, "Extension": row.extension}
    if row.content is not None:
        found["Bytes"] = base64.b64encode(row.content).decode("ascii")
    if row.resource_id is not None:
        found["ResourceId"] = row.resource_id
    return found
