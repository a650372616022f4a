"""What a pool's settings may be, what they are when nobody gives them, and which of them an update puts back
(reference: 2.2 to 2.7).

Every setting is stored and told as it was given, whether or not this version can do what it asks for; what it cannot
do is refused where it would have to act (policy.unbuilt).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from app import errors
from app.messaging.messages import CODE, USERNAME
from app.models.pool import ACR_LEVELS
from app.policy.attributes import looks_like_email
from app.policy.mailbox import mailbox
from app.pools import schema

Settings = dict[str, Any]

UPDATED = frozenset(
    """
    policies deletion_protection lambda_config auto_verified_attributes verification_message_template
    sms_authentication_message user_attribute_update_settings mfa_configuration device_configuration
    email_configuration sms_configuration user_pool_tags admin_create_user_config user_pool_add_ons
    account_recovery_setting user_pool_tier key_configuration issuer_configuration acr_configuration
    """.split()
)
"""What an update puts back to its default when it does not give it. All else stays: what cannot be changed, and what
other operations set."""
FIRST_FACTORS = ["PASSWORD"]
MOST_TAGS = 50
_FLAGS = ("require_uppercase", "require_lowercase", "require_numbers", "require_symbols")
_MIRRORS = {
    "sms_verification_message": "sms_message",
    "email_verification_message": "email_message",
    "email_verification_subject": "email_subject",
}
_BARE_VERSION = re.compile(r"arn:[^:]*:lambda:[^:]*:[^:]*:function:[^:]*:[0-9]+")


def for_new_pool(given: Mapping[str, Any]) -> Settings:
    """The settings of a new pool: as given, with defaults. Raises errors.InvalidParameter, UserPoolTagging."""
    kept = {name: value for name, value in given.items() if name not in UPDATED and value is not None}
    kept["attributes"] = schema.for_new_pool(kept.pop("schema", []))
    if kept.get("alias_attributes") and kept.get("username_attributes"):
        raise errors.InvalidParameter(
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool."
        )
    required = {one["name"] for one in kept["attributes"] if one["required"]}
    if "preferred_username" in required & set(kept.get("alias_attributes") or ()):
        raise errors.InvalidParameter("preferred_username cannot be both an alias and required.")
    if (given.get("mfa_configuration") or "OFF") != "OFF" and not given.get("sms_configuration"):
        raise errors.InvalidParameter(
            "SMS configuration is required to create a user pool with MFA; use SetUserPoolMfaConfig for other factors."
        )
    return _completed(kept, given)


def updated(present: Mapping[str, Any], given: Mapping[str, Any]) -> Settings:
    """A pool's settings after an update. Raises errors.InvalidParameter, UserPoolTagging."""
    policies = given.get("policies")
    if policies is None:
        # The one member of an update that is put back only in part (reference: 2.5).
        policies = {"sign_in_policy": present["policies"].get("sign_in_policy")}
    kept = {name: value for name, value in present.items() if name not in UPDATED}
    return _completed(kept, {**_without_echoes(present, given), "policies": policies})


def _without_echoes(present: Mapping[str, Any], given: Mapping[str, Any]) -> Settings:
    """An update without a legacy message that only says again what was described, beside a template that has another
    one by now: the template is the change. (Terraform's provider sends such; the service takes them.)"""
    template = given.get("verification_message_template") or {}
    before = present["verification_message_template"]
    echoed = {old for old, new in _MIRRORS.items() if new in template and given.get(old) == before.get(new)}
    return {name: value for name, value in given.items() if name not in echoed}


def _completed(kept: Settings, given: Mapping[str, Any]) -> Settings:
    """Settings that stay and settings that are given, the latter with their defaults."""
    found = {**kept, **{name: value for name, value in given.items() if name in UPDATED and value is not None}}
    found["policies"] = _policies(found)
    found["admin_create_user_config"] = _invitations(found)
    found["verification_message_template"] = _verification(found, given)
    found["lambda_config"] = _triggers(found.get("lambda_config") or {})
    found["email_configuration"] = {
        "email_sending_account": "COGNITO_DEFAULT",
        **found.get("email_configuration", {}),
    }
    found.setdefault("mfa_configuration", "OFF")
    found.setdefault("deletion_protection", "INACTIVE")
    found.setdefault("user_pool_tier", "ESSENTIALS")
    found["sms_mfa"] = _sms_mfa(found)
    if given.get("dcr_configuration") is not None:
        found["dcr_configuration"] = _registration(given["dcr_configuration"])
    for mirror in _MIRRORS:
        found.pop(mirror, None)
    _check(found)
    return found


def _policies(settings: Mapping[str, Any]) -> Settings:
    """A password policy that is given has what it names; a pool without one demands everything (reference: 2.5)."""
    given = settings.get("policies") or {}
    password = given.get("password_policy")
    policy: Settings = {"minimum_length": 8, **dict.fromkeys(_FLAGS, password is None), **(password or {})}
    older = (settings.get("admin_create_user_config") or {}).get("unused_account_validity_days")
    days = policy.get("temporary_password_validity_days")
    if older is not None and days is not None and older != days:
        raise errors.InvalidParameter(
            "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays"
        )
    policy["temporary_password_validity_days"] = days or older or 7
    first = (given.get("sign_in_policy") or {}).get("allowed_first_auth_factors") or FIRST_FACTORS
    if "PASSWORD" not in first:
        raise errors.InvalidParameter("AllowedFirstAuthFactors must contain PASSWORD.")
    if "SOFTWARE_TOKEN" in first:
        raise errors.InvalidParameter("SOFTWARE_TOKEN cannot be a first factor.")
    return {"password_policy": policy, "sign_in_policy": {"allowed_first_auth_factors": list(first)}}


def _invitations(settings: Mapping[str, Any]) -> Settings:
    """Told with one life of temporary passwords in both places, so that what was described can be sent back."""
    given = settings.get("admin_create_user_config") or {}
    template = given.get("invite_message_template") or {}
    for member, called in (("sms_message", "SMSMessage"), ("email_message", "EmailMessage")):
        text = template.get(member)
        if text is not None and not (USERNAME in text and CODE in text):
            raise errors.InvalidParameter(f"{called} of InviteMessageTemplate must contain {USERNAME} and {CODE}.")
    days = settings["policies"]["password_policy"]["temporary_password_validity_days"]
    return {"allow_admin_create_user_only": False, **given, "unused_account_validity_days": days}


def _verification(settings: Mapping[str, Any], given: Mapping[str, Any]) -> Settings:
    """The template, with the three legacy members folded in; both given and different is refused (reference: 2.6)."""
    template = {
        "default_email_option": "CONFIRM_WITH_CODE",
        **(settings.get("verification_message_template") or {}),
    }
    for old, new in _MIRRORS.items():
        value = given.get(old)
        if value is not None and template.setdefault(new, value) != value:
            raise errors.InvalidParameter("The verification messages given in two places must be equal.")
    return template


def _triggers(given: Mapping[str, Any]) -> Settings:
    """A trigger before tokens has two names, and goes by both (reference: 9.1)."""
    found = {name: value for name, value in given.items() if value is not None}
    for name, value in found.items():
        arn = value.get("lambda_arn", "") if isinstance(value, Mapping) else value
        if _BARE_VERSION.fullmatch(arn):
            raise errors.InvalidParameter(f"{arn} in LambdaConfig names a version; name an alias instead.")
        if name in ("custom_sms_sender", "custom_email_sender") and "kms_key_id" not in found:
            raise errors.InvalidParameter("KMSKeyID is required with a CustomSMSSender or a CustomEmailSender.")
    arn, config = found.get("pre_token_generation"), found.get("pre_token_generation_config")
    if arn and config and arn != config["lambda_arn"]:
        raise errors.InvalidParameter("PreTokenGeneration and PreTokenGenerationConfig must name the same function.")
    if arn and not config:
        found["pre_token_generation_config"] = {"lambda_version": "V1_0", "lambda_arn": arn}
    if config:
        found["pre_token_generation"] = config["lambda_arn"]
    return found


def _registration(given: Mapping[str, Any]) -> Settings:
    """Dynamic registration of clients: an empty list of grants is not the default, it permits none (reference: 2.7)."""
    return {
        "enable_status": "Enabled",
        "open_dcr_enabled": False,
        "authenticated_grant_types": ["code", "client_credentials"],
        "open_dcr_grant_types": ["code"],
        **given,
    }


def _sms_mfa(settings: Mapping[str, Any]) -> bool:
    """Whether SMS is a second factor. A pool that has chosen others does not get the weakest of all by an update that
    names it for its codes."""
    if settings["mfa_configuration"] == "OFF" or not settings.get("sms_configuration"):
        return False
    return bool(settings.get("sms_mfa", False)) or not _other_factors(settings)


def _other_factors(settings: Mapping[str, Any]) -> bool:
    """Whether there is a second factor but SMS: the member counts, not what is in it (reference: 10.1)."""
    others = ("software_token_mfa_configuration", "email_mfa_configuration")
    return any(settings.get(factor) is not None for factor in others)


def _check(settings: Mapping[str, Any]) -> None:
    """Refuse what contradicts itself."""
    key = settings.get("key_configuration") or {}
    if key.get("key_type") == "CUSTOMER_MANAGED_KEY" or key.get("kms_key_arn"):
        # Nothing here could honour it: what is secret is sealed with the installation's own key.
        raise errors.InvalidParameter(
            "A customer-managed key is not available in this version of Cognate; leave KeyConfiguration out."
        )
    verified_first = (settings.get("user_attribute_update_settings") or {}).get(
        "attributes_require_verification_before_update"
    )
    if not set(verified_first or ()) <= set(settings.get("auto_verified_attributes") or ()):
        raise errors.InvalidParameter(
            "AttributesRequireVerificationBeforeUpdate must be among the AutoVerifiedAttributes."
        )
    _check_recovery((settings.get("account_recovery_setting") or {}).get("recovery_mechanisms") or [])
    levels = {**ACR_LEVELS, **(settings.get("acr_configuration") or {})}
    if len({level["acr_value"] for level in levels.values()}) < len(levels):
        raise errors.InvalidParameter("The names of AcrConfiguration must be unique, with those of the other levels.")
    check_sms(settings.get("sms_configuration") or {})
    _check_sender(settings.get("email_configuration") or {})
    check_factors(settings)
    check_tags(settings.get("user_pool_tags") or {})


def _check_recovery(mechanisms: list[Mapping[str, Any]]) -> None:
    names = Counter(mechanism["name"] for mechanism in mechanisms)
    if "admin_only" in names and len(mechanisms) > 1:
        raise errors.InvalidParameter("admin_only cannot be combined with other recovery mechanisms.")
    if len(names) < len(mechanisms) or len({mechanism["priority"] for mechanism in mechanisms}) < len(mechanisms):
        raise errors.InvalidParameter("Recovery mechanisms must have different names and different priorities.")


def _check_sender(given: Mapping[str, Any]) -> None:
    if given.get("from"):
        try:
            mailbox(given["from"])
        except ValueError:
            raise errors.InvalidParameter(
                "From in EmailConfiguration must be an e-mail address, or a name and an address, such as "
                "Example <no-reply@example.com>."
            ) from None
    reply_to = given.get("reply_to_email_address")
    if reply_to and not looks_like_email(reply_to):
        raise errors.InvalidParameter("ReplyToEmailAddress in EmailConfiguration must be an e-mail address.")


def check_sms(given: Mapping[str, Any]) -> None:
    """Raises errors.InvalidParameter where two ways of sending are given."""
    if given.get("sns_caller_arn") and given.get("eums_sms"):
        raise errors.InvalidParameter("Only one of SnsCallerArn and EumsSms can be given.")


def check_factors(settings: Mapping[str, Any]) -> None:
    """Refuse a second factor that nobody can have, and one that a first factor would pass by (reference: 10.1, 10.6).

    Raises errors.InvalidParameter.
    """
    if settings["mfa_configuration"] == "OFF":
        return
    if not settings.get("sms_mfa") and not _other_factors(settings):
        raise errors.InvalidParameter(
            "At least one of [SmsMfaConfiguration] or [SoftwareTokenMfaConfiguration] must be provided."
        )
    first = settings["policies"].get("sign_in_policy", {}).get("allowed_first_auth_factors", FIRST_FACTORS)
    passkeys = (settings.get("web_authn_configuration") or {}).get("factor_configuration")
    both = settings["mfa_configuration"] == "ON" and set(first) - {"PASSWORD"}
    if both and passkeys != "MULTI_FACTOR_WITH_USER_VERIFICATION":
        raise errors.InvalidParameter(
            "MFA cannot be ON together with first factors other than PASSWORD, unless the FactorConfiguration of "
            "passkeys is MULTI_FACTOR_WITH_USER_VERIFICATION."
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises errors.UserPoolTagging (reference: 11.5)."""
    if len(tags) > MOST_TAGS:
        raise errors.UserPoolTagging(f"A user pool has at most {MOST_TAGS} tags.")
    for key in tags:
        if key.lower().startswith("aws:"):
            raise errors.UserPoolTagging(f"The tag {key} cannot be set: aws: is reserved.")
