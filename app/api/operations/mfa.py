"""Second factors of a user (reference: 10.1, 10.3)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.accounts import factors, find, mfa
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.models import User
from app.signin import set_up

MEMBERS = {
    "SMSMfaSettings": factors.SMS,
    "SoftwareTokenMfaSettings": factors.TOTP,
    "EmailMfaSettings": factors.EMAIL,
    "WebAuthnMfaSettings": factors.PASSKEY,
}
ONE_PROOF = "Either AccessToken or Session must be given, and not both."


# Between the proof and the write, a user can be deleted; the list of errors forgot that.
@operation("AssociateSoftwareToken", also=(errors.UserNotFound,))
def associate_software_token(call: Call) -> dict[str, Any]:
    """A secret for an authenticator app: of a user who is signed in, or who has to set one up to be."""
    if _by_token(call):
        call.demand_recent_sign_in()
        return {"SecretCode": mfa.associate(call.env, call.client, call.user)}
    secret, session = set_up.begin(call.env, call["Session"], origin=call.origin)
    return {"SecretCode": secret, "Session": session}


@operation("VerifySoftwareToken")
def verify_software_token(call: Call) -> dict[str, Any]:
    """The first code that the app shows."""
    code, name = call["UserCode"], call.get("FriendlyDeviceName") or None
    if _by_token(call):
        call.demand_recent_sign_in()
        mfa.verify(call.env, call.client, call.user, code=code, name=name, origin=call.origin)
        return {"Status": "SUCCESS"}
    session = set_up.verify(call.env, call["Session"], code=code, name=name, origin=call.origin)
    return {"Status": "SUCCESS", "Session": session}


@operation("AdminDeleteSoftwareToken")
def admin_delete_software_token(call: Call) -> dict[str, Any]:
    """Unregister a user's authenticator app."""
    mfa.remove_token(call.env, call.pool, username=call["Username"])
    return {}


@operation("SetUserMFAPreference")
def set_user_mfa_preference(call: Call) -> dict[str, Any]:
    """Switch one's factors on or off, and prefer one."""
    call.demand_recent_sign_in()
    mfa.prefer(call.env, call.user, _settings(call))
    return {}


@operation("AdminSetUserMFAPreference")
def admin_set_user_mfa_preference(call: Call) -> dict[str, Any]:
    """The same for another."""
    mfa.prefer_by_administrator(call.env, call.pool, username=call["Username"], wanted=_settings(call))
    return {}


@operation("SetUserSettings")
def set_user_settings(call: Call) -> dict[str, Any]:
    """The older way, which knows codes by SMS only."""
    call.demand_recent_sign_in()
    mfa.prefer(call.env, call.user, _options(call))
    return {}


@operation("AdminSetUserSettings")
def admin_set_user_settings(call: Call) -> dict[str, Any]:
    """The same for another."""
    mfa.prefer_by_administrator(call.env, call.pool, username=call["Username"], wanted=_options(call))
    return {}


@operation("GetUserAuthFactors")
def get_user_auth_factors(call: Call) -> dict[str, Any]:
    """What one can sign in with."""
    return _factors(call, call.user)


@operation("AdminGetUserAuthFactors")
def admin_get_user_auth_factors(call: Call) -> dict[str, Any]:
    """What a user can sign in with."""
    return _factors(call, find.existing(call.env, call.pool, call["Username"]).user)


def _by_token(call: Call) -> bool:
    """Whether it is the access token that proves who asks, and not a session. Raises errors.InvalidParameter."""
    by_token = "AccessToken" in call.members
    if by_token == ("Session" in call.members):
        raise errors.InvalidParameter(ONE_PROOF)
    return by_token


def _settings(call: Call) -> dict[str, mfa.Setting]:
    found = {}
    for member, factor in MEMBERS.items():
        given = call.get(member)
        if given is not None:
            found[factor] = mfa.Setting(given.get("Enabled"), given.get("PreferredMfa"))
    return found


def _options(call: Call) -> dict[str, mfa.Setting]:
    """SMS to the phone is all that can be said; an empty list switches it off."""
    options = call["MFAOptions"]
    if any(option != wire.MFA_BY_SMS for option in options):
        raise errors.InvalidParameter("MFAOptions can hold DeliveryMedium SMS for the AttributeName phone_number only.")
    return {factors.SMS: mfa.Setting(bool(options), None)}


def _factors(call: Call, user: User) -> dict[str, Any]:
    configured = factors.configured(user, factors.held(call.env, user))
    told = wire.second_factors(user)
    told.pop("MFAOptions", None)
    return {"Username": user.username, **told, "ConfiguredUserAuthFactors": list(configured)}
