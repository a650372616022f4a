"""A user pool: an issuer with its users, clients and rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, document


@dataclass(frozen=True)
class PasswordPolicy:
    """Rules for passwords. Lengths in code points; `temporary_validity` is how long an invitation can be used."""

    minimum_length: int
    uppercase: bool
    lowercase: bool
    numbers: bool
    symbols: bool
    history: int
    """How many passwords a user may not choose again, the present one among them."""
    temporary_validity: timedelta


@dataclass(frozen=True)
class SchemaAttribute:
    """One attribute that users of a pool may have; `name` is the whole name (`email`, `custom:tier`)."""

    name: str
    kind: str
    """`String`, `Number`, `DateTime` or `Boolean`."""
    mutable: bool
    required: bool
    shortest: int | None = None
    longest: int | None = None
    least: int | None = None
    greatest: int | None = None


@dataclass(frozen=True)
class Naming:
    """Rules by which names sign in. A pool has one in use; while it changes them, it builds a second beside it."""

    generation: int
    case_sensitive: bool
    alias_attributes: tuple[str, ...]
    """Attributes that sign in besides the username, once verified."""
    username_attributes: tuple[str, ...]
    """Attributes that take the username's place; the username itself is then the `sub`."""

    @property
    def sign_in_attributes(self) -> tuple[str, ...]:
        return self.username_attributes or self.alias_attributes


@dataclass(frozen=True)
class DeviceTracking:
    """How a pool treats the devices of its users (DeviceConfiguration; reference: 10.5)."""

    on_request: bool
    """Whether a confirmed device is remembered only when the user says so."""
    spares_mfa: bool
    """Whether a remembered device stands in for the second factor (ChallengeRequiredOnNewDevice)."""


ACR_LEVELS = {f"Level{n}": {"acr_value": f"urn:cognito:loa:{n}"} for n in range(1, 5)}
"""What the levels of authentication are called in a pool that does not name them (reference: 6.6)."""
TRIGGERS = {
    "pre_sign_up": "PreSignUp",
    "custom_message": "CustomMessage",
    "post_confirmation": "PostConfirmation",
    "pre_authentication": "PreAuthentication",
    "post_authentication": "PostAuthentication",
    "define_auth_challenge": "DefineAuthChallenge",
    "create_auth_challenge": "CreateAuthChallenge",
    "verify_auth_challenge_response": "VerifyAuthChallengeResponse",
    "pre_token_generation": "PreTokenGeneration",
    "pre_token_generation_config": "PreTokenGeneration",
    "user_migration": "UserMigration",
    "custom_sms_sender": "CustomSMSSender",
    "custom_email_sender": "CustomEmailSender",
}
"""Settings of LambdaConfig that name a function, and what errors call the trigger (reference: 9.1, 9.2)."""
AUDIT_RETENTION = 365
"""Days for which a pool's audit is kept that says nothing else."""
SECOND_FACTORS = ("SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP")
"""Second factors that a pool can offer, in Cognito's names and its order."""


class Pool(Base):
    __tablename__ = "pool"

    id: Mapped[str] = mapped_column(String(55), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    algorithm: Mapped[str] = mapped_column(String(8))
    """How its tokens are signed: RS256, ES256 or EdDSA."""
    settings: Mapped[dict[str, Any]]
    """The configuration as it was given, with defaults filled in, in our own words."""
    generation: Mapped[int]
    """Of the names in use (models.user.Alias)."""
    building: Mapped[dict[str, Any] | None] = mapped_column(document)
    """The settings of the names that are being built beside them, while there are any."""
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]

    @property
    def short_id(self) -> str:
        """The id without its region: the `poolName` of SRP (reference: 5.2)."""
        return self.id.partition("_")[2]

    @property
    def password_policy(self) -> PasswordPolicy:
        given = self.settings["policies"]["password_policy"]
        days = given.get("temporary_password_validity_days") or 7
        return PasswordPolicy(
            minimum_length=given["minimum_length"],
            uppercase=given["require_uppercase"],
            lowercase=given["require_lowercase"],
            numbers=given["require_numbers"],
            symbols=given["require_symbols"],
            history=given.get("password_history_size") or 0,
            temporary_validity=timedelta(days=days),
        )

    @property
    def naming(self) -> Naming:
        """The rules in use."""
        return _naming(self.generation, self.settings)

    @property
    def namings(self) -> list[Naming]:
        """The rules that a name which is written must follow: those in use, and those that are being built."""
        if self.building is None:
            return [self.naming]
        return [self.naming, _naming(self.generation + 1, self.building)]

    @property
    def case_sensitive(self) -> bool:
        return self.naming.case_sensitive

    @property
    def alias_attributes(self) -> list[str]:
        """Attributes that sign in besides the username, once verified."""
        return list(self.settings.get("alias_attributes", []))

    @property
    def username_attributes(self) -> list[str]:
        """Attributes that take the username's place; the username itself is then the `sub`."""
        return list(self.settings.get("username_attributes", []))

    @property
    def sign_in_attributes(self) -> list[str]:
        return self.username_attributes or self.alias_attributes

    @property
    def auto_verified(self) -> list[str]:
        return list(self.settings.get("auto_verified_attributes", []))

    @property
    def open_to_sign_up(self) -> bool:
        return not self.settings["admin_create_user_config"]["allow_admin_create_user_only"]

    @property
    def protected(self) -> bool:
        return bool(self.settings["deletion_protection"] == "ACTIVE")

    @property
    def recovery(self) -> list[str]:
        """Channels for a forgotten password, best first: `phone_number`, `email`; empty: an administrator only."""
        given = self._recovery_mechanisms
        if not given:
            return ["phone_number", "email"]
        ordered = sorted(given, key=lambda mechanism: int(mechanism["priority"]))
        return [m["name"].removeprefix("verified_") for m in ordered if m["name"] != "admin_only"]

    @property
    def chooses_recovery(self) -> bool:
        """Whether the pool has an AccountRecoverySetting. Without one, a second factor comes before recovery."""
        return bool(self._recovery_mechanisms)

    @property
    def _recovery_mechanisms(self) -> list[dict[str, Any]]:
        return list(self.settings.get("account_recovery_setting", {}).get("recovery_mechanisms") or ())

    @property
    def mfa(self) -> str:
        """`OFF`, `OPTIONAL` or `ON`."""
        return str(self.settings.get("mfa_configuration") or "OFF")

    @property
    def second_factors(self) -> tuple[str, ...]:
        """Those of SECOND_FACTORS that it offers; none while MFA is off."""
        if self.mfa == "OFF":
            return ()
        offered = {
            "SMS_MFA": self.settings.get("sms_mfa"),
            "SOFTWARE_TOKEN_MFA": (self.settings.get("software_token_mfa_configuration") or {}).get("enabled"),
            "EMAIL_OTP": self.settings.get("email_mfa_configuration") is not None,
        }
        return tuple(name for name in SECOND_FACTORS if offered[name])

    @property
    def first_factors(self) -> tuple[str, ...]:
        """AllowedFirstAuthFactors: some of PASSWORD, EMAIL_OTP, SMS_OTP, WEB_AUTHN."""
        policy = self.settings["policies"].get("sign_in_policy") or {}
        return tuple(policy.get("allowed_first_auth_factors") or ("PASSWORD",))

    @property
    def passkeys_count_twice(self) -> bool:
        """Whether a passkey that verified its user is both factors (reference: 10.6)."""
        given = self.settings.get("web_authn_configuration") or {}
        return bool(given.get("factor_configuration") == "MULTI_FACTOR_WITH_USER_VERIFICATION")

    @property
    def device_tracking(self) -> DeviceTracking | None:
        """None where devices are not looked at."""
        given = self.settings.get("device_configuration")
        if given is None:
            return None
        return DeviceTracking(
            on_request=bool(given.get("device_only_remembered_on_user_prompt")),
            spares_mfa=bool(given.get("challenge_required_on_new_device")),
        )

    @property
    def ends_sessions_with_password(self) -> bool:
        """Whether a new password ends the sessions that the old one began (pools.own_settings)."""
        return bool(self.settings.get("end_sessions_with_password"))

    @property
    def recent_sign_in(self) -> timedelta | None:
        """How old a sign-in may be for an access token of it to change what somebody signs in with; None where that
        does not matter (pools.own_settings)."""
        minutes = self.settings.get("recent_sign_in_minutes") or 0
        return timedelta(minutes=minutes) if minutes else None

    @property
    def audits_sign_ins(self) -> bool:
        """Whether sign-ins, and those that failed, are in the audit (pools.own_settings)."""
        return bool(self.settings.get("audit_sign_ins", True))

    @property
    def audit_retention_days(self) -> int:
        """How long its audit is kept; 0: for ever (pools.own_settings)."""
        return int(self.settings.get("audit_retention_days", AUDIT_RETENTION))

    @property
    def most_sessions(self) -> int | None:
        """How many token sessions a user may have; None where they are not tracked (reference: 6.8)."""
        given = self.settings.get("session_configuration") or {}
        if given.get("user_session_tracking") != "ENABLED":
            return None
        return int(given["token_session"]["max_per_user"])

    @property
    def acr_values(self) -> tuple[str, ...]:
        """What the four levels of authentication are called, the lowest first (AcrConfiguration)."""
        given = self.settings.get("acr_configuration") or {}
        return tuple(str(given.get(level, called)["acr_value"]) for level, called in ACR_LEVELS.items())

    @property
    def schema(self) -> dict[str, SchemaAttribute]:
        return {one["name"]: SchemaAttribute(**one) for one in self.settings["attributes"]}


def _naming(generation: int, settings: dict[str, Any]) -> Naming:
    return Naming(
        generation=generation,
        case_sensitive=bool((settings.get("username_configuration") or {}).get("case_sensitive", True)),
        alias_attributes=tuple(settings.get("alias_attributes", [])),
        username_attributes=tuple(settings.get("username_attributes", [])),
    )
