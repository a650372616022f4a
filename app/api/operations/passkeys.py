"""A user's passkeys, by his access token (reference: 10.6)."""

from __future__ import annotations

from typing import Any

from app.accounts import passkeys
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.models import Passkey


@operation("StartWebAuthnRegistration")
def start_web_authn_registration(call: Call) -> dict[str, Any]:
    """What a browser makes one more passkey from."""
    call.demand_recent_sign_in()
    return {"CredentialCreationOptions": passkeys.start(call.env, call.client, call.user)}


@operation("CompleteWebAuthnRegistration")
def complete_web_authn_registration(call: Call) -> dict[str, Any]:
    """Keep the passkey that it made."""
    call.demand_recent_sign_in()
    passkeys.complete(call.env, call.client, call.user, credential=call["Credential"])
    return {}


@operation("ListWebAuthnCredentials")
def list_web_authn_credentials(call: Call) -> dict[str, Any]:
    """A page of one's passkeys."""
    page = passkeys.listed(call.env, call.user, limit=call.get("MaxResults"), token=call.get("NextToken"))
    reply: dict[str, Any] = {"Credentials": [_described(row) for row in page.rows]}
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


@operation("DeleteWebAuthnCredential")
def delete_web_authn_credential(call: Call) -> dict[str, Any]:
    """Forget one."""
    call.demand_recent_sign_in()
    passkeys.delete(call.env, call.user, credential_id=call["CredentialId"])
    return {}


def _described(row: Passkey) -> dict[str, Any]:
    found: dict[str, Any] = {
        "CredentialId": row.credential_id,
        "FriendlyCredentialName": row.name,
        "RelyingPartyId": row.rp_id,
        "AuthenticatorTransports": row.transports,
        "CreatedAt": wire.moment(row.created_at),
    }
    if row.attachment is not None:
        found["AuthenticatorAttachment"] = row.attachment
    return found
