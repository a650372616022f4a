"""How surely somebody signed in, in the words of his tokens: `amr` (RFC 8176) and `acr` (OpenID Connect Core 1.0, 2;
reference: 6.6). Both are made from the challenges that he met and from nothing else, so that no setting can make a
token claim what did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.models import LoginSession, Pool

TRUSTED_DEVICE = "TRUSTED_DEVICE"
"""Beside the proof of a device: that it stood in for a second factor then. One that a password alone has enrolled
proves that it is the same device, and no more."""
RECOVERS = {"email": "RECOVERED_BY_EMAIL", "phone_number": "RECOVERED_BY_PHONE"}
"""Beside a password and a code to an address, by the attribute: that the address recovered that password. Whoever reads
the mailbox then has both, so the code adds nothing to the password."""

METHODS = {
    "PASSWORD": ("pwd",),
    "PASSWORD_VERIFIER": ("pwd",),
    "NEW_PASSWORD_REQUIRED": ("pwd",),
    "SMS_OTP": ("otp", "sms"),
    "SMS_MFA": ("otp", "sms"),
    "EMAIL_OTP": ("otp", "email_otp"),
    "SOFTWARE_TOKEN_MFA": ("otp",),
    "RECOVERY_CODE": ("otp",),
    # Whether a key lives in hardware is attested by nobody here, so it is not claimed.
    "WEB_AUTHN": ("swk",),
    TRUSTED_DEVICE: ("swk",),
}
"""What each challenge proves. One that is not listed, such as a customer's own, proves nothing that has a name."""
PASSWORDS = frozenset({"PASSWORD", "PASSWORD_VERIFIER", "NEW_PASSWORD_REQUIRED"})
CODES = frozenset({"SMS_OTP", "SMS_MFA", "EMAIL_OTP"})
STRONG_SECOND = frozenset({"SOFTWARE_TOKEN_MFA", "WEB_AUTHN"})
CODES_TO = {"email": frozenset({"EMAIL_OTP"}), "phone_number": frozenset({"SMS_OTP", "SMS_MFA"})}


def methods(met: Iterable[str]) -> list[str]:
    """`amr` of the challenges that were met, with `mfa` where they were of two kinds."""
    met = list(met)
    found = list(dict.fromkeys(method for challenge in met for method in METHODS.get(challenge, ())))
    if _second(met):
        found.append("mfa")
    return found


def level(met: Iterable[str]) -> int:
    """1: a password only. 2: a code only, or with a password that the same mailbox recovers. 3: a passkey, or a
    password and something one has. 4: a password, and a second factor that is not sent to an address."""
    met = set(met)
    proven = met & METHODS.keys()
    second = _second(met)
    if second:
        return 4 if STRONG_SECOND & second else 3
    if "WEB_AUTHN" in proven:
        return 3
    return 2 if CODES & proven else 1


def adds_nothing(met: Iterable[str], attribute: str | None) -> tuple[str, ...]:
    """What is to be said beside challenges that were met where the password could be recovered through the address in
    this attribute: one of RECOVERS, if a code to it was met together with a password."""
    met = set(met)
    return (RECOVERS[attribute],) if attribute and PASSWORDS & met and CODES_TO[attribute] & met else ()


def _second(met: Iterable[str]) -> set[str]:
    """What was met beside a password, and counts."""
    met = set(met)
    if not PASSWORDS & met:
        return set()
    recovering = {code for attribute, mark in RECOVERS.items() if mark in met for code in CODES_TO[attribute]}
    return (met & METHODS.keys()) - PASSWORDS - recovering


def claims(pool: Pool, session: LoginSession) -> dict[str, Any]:
    """`acr` and `amr` of a session's tokens: only where the pool names its levels or the client asked for them
    (`acr_values`). Applications moved from Cognito's older tiers have never seen these claims, and some compare what
    they get with a list."""
    if not (session.acr_asked or pool.settings.get("acr_configuration")):
        return {}
    stated: dict[str, Any] = {"acr": pool.acr_values[level(session.methods) - 1]}
    found = methods(session.methods)
    return {**stated, "amr": found} if found else stated
