"""How surely somebody signed in, in the words of his tokens: `amr` (RFC 8176) and `acr` (OpenID Connect Core 1.0, 2;
reference: 6.6). Both are made from the challenges that he met and from nothing else, so that no setting can make a
token claim what did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.models import LoginSession, Pool

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
    "DEVICE_PASSWORD_VERIFIER": ("swk",),
}
"""What each challenge proves. One that is not listed, such as a customer's own, proves nothing that has a name."""
PASSWORDS = frozenset({"PASSWORD", "PASSWORD_VERIFIER", "NEW_PASSWORD_REQUIRED"})
CODES = frozenset({"SMS_OTP", "SMS_MFA", "EMAIL_OTP"})
STRONG_SECOND = frozenset({"SOFTWARE_TOKEN_MFA", "WEB_AUTHN"})


def methods(met: Iterable[str]) -> list[str]:
    """`amr` of the challenges that were met, with `mfa` where they were of two kinds."""
    met = list(met)
    found = list(dict.fromkeys(method for challenge in met for method in METHODS.get(challenge, ())))
    if PASSWORDS & set(met) and METHODS.keys() & (set(met) - PASSWORDS):
        found.append("mfa")
    return found


def level(met: Iterable[str]) -> int:
    """1: a password only. 2: a code only. 3: a passkey, or a password and something one has. 4: a password, and a
    second factor that is not sent to an address."""
    proven = set(met) & METHODS.keys()
    if PASSWORDS & proven:
        return 4 if STRONG_SECOND & proven else 3 if proven - PASSWORDS else 1
    if "WEB_AUTHN" in proven:
        return 3
    return 2 if CODES & proven else 1


def claims(pool: Pool, session: LoginSession) -> dict[str, Any]:
    """`acr` and `amr` of a session's tokens: only where the pool names its levels or the client asked for them
    (`acr_values`). Applications moved from Cognito's older tiers have never seen these claims, and some compare what
    they get with a list."""
    if not (session.acr_asked or pool.settings.get("acr_configuration")):
        return {}
    stated: dict[str, Any] = {"acr": pool.acr_values[level(session.methods) - 1]}
    found = methods(session.methods)
    return {**stated, "amr": found} if found else stated
