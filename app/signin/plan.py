"""What is asked next: the only place that decides it. Pure, so that a table can test it.

First factor, then a password of one's own, then the device or the second factor. In CUSTOM_AUTH the customer's
DefineAuthChallenge decides instead (signin.custom); what it cannot decide away, the rest of this order, stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.accounts.factors import Second

FIRST = {
    "USER_PASSWORD_AUTH": "PASSWORD",
    "ADMIN_USER_PASSWORD_AUTH": "PASSWORD",
    "USER_SRP_AUTH": "PASSWORD_VERIFIER",
    "HOSTED_PAGES": "PASSWORD",
}
"""The first challenge of each flow that leaves no choice."""
CHOICES = ("PASSWORD_SRP", "PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN")
"""First factors of USER_AUTH, the flow in which there is one."""
BY_PASSWORD = frozenset({"PASSWORD", "PASSWORD_VERIFIER"})
"""First factors after which a second may be asked for. A code or a passkey is none of them: where it may come first, it
is all that is asked (reference: 5.5)."""
SECOND = frozenset({"SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP", "WEB_AUTHN", "RECOVERY_CODE"})
"""Challenges that are a second factor, after a password."""


@dataclass(frozen=True)
class Situation:
    """All that the order depends on."""

    status: str
    """Of the user."""
    proven: tuple[str, ...]
    """Challenges that were met, in their order."""
    mfa: str = "OFF"
    """`OFF`, `OPTIONAL` or `ON`, of the pool."""
    second: Second = Second((), None, ())
    chosen: str | None = None
    """The second factor that was chosen, or has just been set up."""
    device: str | None = None
    """None: no device, or none that is tracked; `known`: it can prove itself; `trusted`: and be the second factor."""


def chosen(choice: str, given: Mapping[str, str]) -> str:
    """The challenge of a first factor that was chosen; with its public value, SRP is a step further."""
    return "PASSWORD_VERIFIER" if choice == "PASSWORD_SRP" and given.get("SRP_A") else choice


def next_challenge(now: Situation) -> str | None:
    """The challenge after those that were met; None when the sign-in is complete."""
    if now.status == "FORCE_CHANGE_PASSWORD" and "NEW_PASSWORD_REQUIRED" not in now.proven:
        return "NEW_PASSWORD_REQUIRED"
    if "DEVICE_PASSWORD_VERIFIER" not in now.proven:
        if "DEVICE_SRP_AUTH" in now.proven:
            return "DEVICE_PASSWORD_VERIFIER"
        if now.device == "trusted":
            return "DEVICE_SRP_AUTH"
    asked = _second_factor(now)
    if asked is not None:
        return asked
    if now.device == "known" and "DEVICE_PASSWORD_VERIFIER" not in now.proven:
        return "DEVICE_SRP_AUTH"
    return None


def _second_factor(now: Situation) -> str | None:
    if now.mfa == "OFF" or not BY_PASSWORD.intersection(now.proven) or SECOND.intersection(now.proven):
        return None
    if now.device == "trusted":
        return None
    if now.chosen is not None:
        return now.chosen
    if now.second.preferred is not None:
        return now.second.preferred
    if len(now.second.usable) > 1:
        return "SELECT_MFA_TYPE"
    if now.second.usable:
        return now.second.usable[0]
    return "MFA_SETUP" if now.mfa == "ON" else None
