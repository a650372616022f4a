"""What is asked next: the only place that decides it. Pure, so that a table can test it.

First factor, then a password of one's own, then the device or the second factor. In CUSTOM_AUTH the customer's
DefineAuthChallenge decides instead (signin.custom); what it cannot decide away, the rest of this order, stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.accounts.factors import PASSKEY, Second
from app.tokens import assurance

PAGES = "HOSTED_PAGES"
"""The flow of the hosted pages, which is none of the API's."""
FIRST = {
    "USER_PASSWORD_AUTH": "PASSWORD",
    "ADMIN_USER_PASSWORD_AUTH": "PASSWORD",
    "USER_SRP_AUTH": "PASSWORD_VERIFIER",
    PAGES: "PASSWORD",
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
    """Challenges that were met, in their order, and what assurance has to know beside them."""
    mfa: str = "OFF"
    """`OFF`, `OPTIONAL` or `ON`, of the pool."""
    second: Second = Second((), None, ())
    chosen: str | None = None
    """The second factor that was chosen, or has just been set up."""
    device: str | None = None
    """None: no device, or none that is tracked; `known`: it can prove itself; `trusted`: and be the second factor."""
    target: int = 1
    """The level that the sign-in aims at, as assurance.level counts (signin.step_up)."""
    by_passkey: bool = True
    """Whether a passkey can be asked for on the way there. The pages cannot yet."""


def chosen(choice: str, given: Mapping[str, str]) -> str:
    """The challenge of a first factor that was chosen; with its public value, SRP is a step further."""
    return "PASSWORD_VERIFIER" if choice == "PASSWORD_SRP" and given.get("SRP_A") else choice


def next_challenge(now: Situation) -> str | None:
    """The challenge after those that were met; None when the sign-in is complete."""
    if now.status == "FORCE_CHANGE_PASSWORD" and "NEW_PASSWORD_REQUIRED" not in now.proven:
        return "NEW_PASSWORD_REQUIRED"
    if now.device == "trusted" and raising(now):
        now = replace(now, device="known")
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


def raising(now: Situation) -> tuple[str, ...]:
    """Second factors that bring a sign-in to its target, where what is asked of everybody does not. One that he has not
    switched on is asked for only where none that he has would do: it must not become a way around those."""
    if now.mfa == "OFF" or not BY_PASSWORD.intersection(now.proven) or "RECOVERY_CODE" in now.proven:
        return ()
    by_device = (assurance.TRUSTED_DEVICE,) if now.device == "trusted" else ()
    if _reaches(now, *by_device):
        return ()
    on, off = (tuple(name for name in some if _leads(now, name)) for some in (now.second.usable, now.second.dormant))
    return on or off


def to_choose(now: Situation) -> tuple[str, ...]:
    """Second factors, one of which is asked for."""
    return raising(now) or now.second.usable


def _leads(now: Situation, factor: str) -> bool:
    return _reaches(now, factor) and (now.by_passkey or factor != PASSKEY)


def _reaches(now: Situation, *met: str) -> bool:
    return assurance.level((*now.proven, *met)) >= now.target


def _second_factor(now: Situation) -> str | None:
    if not raising(now):
        if now.mfa == "OFF" or not BY_PASSWORD.intersection(now.proven) or SECOND.intersection(now.proven):
            return None
        if now.device == "trusted":
            return None
    among = to_choose(now)
    if now.chosen is not None and (now.chosen in among or not raising(now)):
        return now.chosen
    if now.second.preferred in among:
        return now.second.preferred
    if len(among) > 1:
        return "SELECT_MFA_TYPE"
    if among:
        return among[0]
    return "MFA_SETUP" if now.mfa == "ON" else None
