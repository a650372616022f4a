"""Cognito's sentences, to the letter: clients match on them, and some end with a full stop where others do not.

`SENTENCES` are the texts that public reports confirm, by exception, with `{}` for what is filled in. Each must be a
text of the code as it stands here, and no text of the code may be one of them but for its full stop. (What kind of
token has expired, and which second factor has no address, is filled in.)
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app"

SENTENCES = {
    "NotAuthorizedException": (
        "Incorrect username or password.",
        "User is disabled.",
        "Password attempts exceeded",
        "Temporary password has expired and must be reset by an administrator.",
        "Unable to verify secret hash for client {}",
        "Client {} is configured for secret but secret was not received",
        "Client {} is configured with secret but SECRET_HASH was not received",
        "Invalid session for the user.",
        "Invalid session for the user, session is expired.",
        "Invalid session for the user, session can only be used once.",
        "Invalid Access Token",
        "Could not verify signature for {}",
        "{} has expired",
        "Access Token has been revoked",
        "Access Token does not have required scopes",
        "Invalid Refresh Token",
        "Refresh Token has expired",
        "Refresh Token has been revoked",
        "SignUp is not permitted for this user pool",
        "A client attempted to write unauthorized attribute",
        "User cannot be confirmed. Current status is CONFIRMED",
        "User password cannot be reset in the current state.",
        "Contact administrator to reset password.",
    ),
    "UserNotFoundException": ("User does not exist.", "Username/client id combination not found."),
    "UserNotConfirmedException": ("User is not confirmed.",),
    "PasswordResetRequiredException": ("Password reset required for the user",),
    "UsernameExistsException": (
        "User already exists",
        "User account already exists",
        "An account with the given {} already exists.",
    ),
    "AliasExistsException": ("An account with the given email already exists.",),
    "CodeMismatchException": (
        "Invalid verification code provided, please try again.",
        "Invalid code received for user",
        "Invalid code or auth state for the user.",
    ),
    "ExpiredCodeException": (
        "Invalid code provided, please request a code again.",
        "Your software token has already been used once.",
    ),
    "LimitExceededException": ("Attempt limit exceeded, please try after some time.",),
    "TooManyRequestsException": ("Too many requests",),
    "InvalidPasswordException": (
        "Password not long enough",
        "Password must have uppercase characters",
        "Password must have lowercase characters",
        "Password must have numeric characters",
        "Password must have symbol characters",
    ),
    "InvalidParameterException": (
        "Missing required parameter {}",
        "USER_PASSWORD_AUTH flow not enabled for this client",
        "USER_SRP_AUTH is not enabled for the client.",
        "Auth flow not enabled for this client",
        "Initiate Auth method not supported.",
        "Custom auth lambda trigger is not configured for the user pool.",
        "User is already confirmed.",
        "Cannot resend codes. Auto verification not turned on.",
        "Cannot reset password for the user as there is no registered/verified email or phone_number",
        "Username should be an email.",
        "Username should be a phone number.",
        "Username should be either an email or a phone number.",
        "Username cannot be of email format, since user pool is configured for email alias.",
        "Username cannot be of phone number format, since user pool is configured for phone number alias.",
        "User {} should be empty or same as username, since username attribute is {}.",
        "Invalid email address format.",
        "Invalid phone number format.",
        "Attributes did not conform to the schema: {}",
        "{}: The attribute is required",
        "{}: The attribute {} is required",
        "Attributes did not conform to the schema: Type for attribute {{}} could not be determined",
        "user.{}: Attribute does not exist in the schema.\n",
        "Invalid user attributes: {}",
        "Invalid user attributes: {}: Required attribute cannot be deleted.",
        "user.{}: Attribute cannot be updated. (changing an immutable attribute)",
        "Attribute value for {} must not be null",
        "{} is required to verify/un-verify {}",
        "Invalid attributes given, {} is missing",
        "Invalid attribute name. Only phone_number and email can be verified.",
        "User has not verified software token mfa",
        "User has not set up software token mfa",
        "User does not have delivery config set to turn on {}",
        "Error while parsing filter.",
        "Invalid search attribute: {}",
        "Invalid range for token validity.",
        "Domain already associated with another user pool.",
        "User pool cannot be deleted. It has a domain configured that should be deleted first.",
        "{} already exists in user pool {}.",
        "Required custom attributes are not supported currently.",
        "{}: Existing attribute already has name {}.",
        "You can not change AttributeDataType or set developerOnlyAttribute for standard schema attribute {}",
        "Invalid AttributeDataType input, consider using the provided AttributeDataType enum.",
        "user.{}: String attributes cannot have a length of more than {}",
    ),
    "ResourceNotFoundException": (
        "User pool {} does not exist.",
        "User pool client {} does not exist.",
        "Device does not exist.",
        "Resource server {} does not exist.",
        "Group not found.",
    ),
    "GroupExistsException": ("A group with the name already exists.",),
    "EnableSoftwareTokenMFAException": ("Code mismatch and fail enable Software Token MFA",),
    "SoftwareTokenMFANotFoundException": ("Software Token MFA has not been enabled by the userPool",),
    "UnsupportedUserStateException": ("Resend not possible. {} status is not FORCE_CHANGE_PASSWORD",),
    "UnexpectedLambdaException": ("{} invocation failed due to error TriggersNotAvailable.",),
    "UserLambdaValidationException": ("{} failed with error {}.",),
    "InvalidLambdaResponseException": ("Unrecognizable lambda output",),
    "InvalidOAuthFlowException": (
        "client_credentials flow can not be selected along with code flow or implicit flow",
        "client_credentials flow can not be selected if client does not have a client secret.",
    ),
}
ALL = sorted({sentence for of_one in SENTENCES.values() for sentence in of_one})


@cache
def texts() -> frozenset[str]:
    """All texts of the code, with `{}` for what an f-string fills in."""
    found = set()
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str() as text):
                    found.add(text)
                case ast.JoinedStr(values=parts):
                    found.add("".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts))
    return frozenset(found)


@pytest.mark.parametrize("sentence", ALL)
def test_a_sentence_of_cognito_stands_in_the_code_to_the_letter(sentence: str) -> None:
    assert sentence in texts()


def test_no_sentence_differs_by_its_full_stop() -> None:
    other = {one.removesuffix(".") if one.endswith(".") else f"{one}." for one in ALL} - set(ALL)
    assert not other & texts()
