"""Why a use-case said no: one class per reason, named once and drawn three times (api, oauth, hosted).

A class that derives directly from `Refusal` carries the name of a Cognito error without its `Exception`;
the API door needs no table to translate it. (One is not in Cognito's model: ServiceUnavailable.) A class below one of
those is a finer reason: the same code on the wire, told apart by the pages. Anything that is not a `Refusal` is a bug
and is answered as one.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """A clear no. `message` is Cognito's sentence; `field` names the input it is about, in our own words."""

    code: ClassVar[str] = ""
    """Name of the Cognito error without `Exception`."""
    message: str = ""
    field: str | None = None
    keep: ClassVar[bool] = False
    """True where the way to the refusal wrote something that must outlive it, such as a counted failure."""
    retry_after: int | None = None
    """Seconds after which it is worth trying again; None where time alone changes nothing."""

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        self.message = message if message is not None else type(self).message
        self.field = field if field is not None else type(self).field
        super().__init__(self.message)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if Refusal in cls.__bases__:
            cls.code = cls.__name__


# -- of the model: who may not, what is not there, what is wrong ----------------------------------------------


class NotAuthorized(Refusal):
    message = "Incorrect username or password."
    keep = True


class Forbidden(Refusal):
    message = "Request not allowed due to WAF block."


class AccessDenied(Refusal):
    message = "Access denied."


class Unauthorized(Refusal):
    message = "Unauthorized."


class ResourceNotFound(Refusal):
    message = "Requested resource does not exist."


class InvalidParameter(Refusal):
    message = "Invalid parameter."


class TooManyRequests(Refusal):
    message = "Too many requests"
    retry_after = 1


class LimitExceeded(Refusal):
    message = "Attempt limit exceeded, please try after some time."


class TooManyFailedAttempts(Refusal):
    message = "Too many failed attempts."


class InternalError(Refusal):
    message = "Internal server error."


class InternalServer(Refusal):
    message = "Internal server error."


class OperationNotEnabled(Refusal):
    message = "The operation is not enabled."


class UnsupportedOperation(Refusal):
    message = "The operation is not supported."


class ConcurrentModification(Refusal):
    message = "The resource was changed by another request; read it again and retry."


class PreconditionNotMet(Refusal):
    message = "A precondition was not met."


class ServiceQuotaExceeded(Refusal):
    message = "Service quota exceeded."


# -- not of the model: what is nobody's mistake, and passes ----------------------------------------------------


class ServiceUnavailable(Refusal):
    """The database cannot serve just now (app.outages). Whatever the use-case was to do, nothing of it is known to have
    been done. The model has no error for it; SDKs of AWS repeat whatever is answered with 503."""

    message = "The service is temporarily unavailable; please try again."
    retry_after = 2


# -- of the model: people and their passwords ------------------------------------------------------------------


class UserNotFound(Refusal):
    message = "User does not exist."


class UserNotConfirmed(Refusal):
    message = "User is not confirmed."


class UsernameExists(Refusal):
    message = "User already exists"
    field = "username"


class AliasExists(Refusal):
    message = "An account with the given email already exists."


class InvalidPassword(Refusal):
    message = "Password did not conform with policy"
    field = "password"


class PasswordHistoryPolicyViolation(Refusal):
    message = "Password has previously been used"
    field = "password"
    keep = True


class PasswordResetRequired(Refusal):
    message = "Password reset required for the user"


class CodeMismatch(Refusal):
    message = "Invalid verification code provided, please try again."
    field = "confirmation_code"
    keep = True


class ExpiredCode(Refusal):
    message = "Invalid code provided, please request a code again."
    field = "confirmation_code"
    keep = True


class CodeDeliveryFailure(Refusal):
    message = "The code could not be delivered."


class UnsupportedUserState(Refusal):
    message = "The user's state does not allow this."


class GroupExists(Refusal):
    message = "A group with the name already exists."


class UserImportInProgress(Refusal):
    message = "A user import is in progress."


# -- of the model: factors and devices -------------------------------------------------------------------------


class MFAMethodNotFound(Refusal):
    message = "The second factor was not found."


class EnableSoftwareTokenMFA(Refusal):
    message = "Code mismatch and fail enable Software Token MFA"


class SoftwareTokenMFANotFound(Refusal):
    message = "Software Token MFA has not been enabled by the userPool"


class DeviceKeyExists(Refusal):
    message = "The device key exists already."


class WebAuthnChallengeNotFound(Refusal):
    message = "The passkey challenge was not found."


class WebAuthnClientMismatch(Refusal):
    message = "The passkey was registered with another client."


class WebAuthnConfigurationMissing(Refusal):
    message = "The passkey configuration is missing."


class WebAuthnCredentialNotSupported(Refusal):
    message = "The passkey is not supported."


class WebAuthnNotEnabled(Refusal):
    message = "Passkeys are not enabled."


class WebAuthnOriginNotAllowed(Refusal):
    message = "The origin is not allowed."


class WebAuthnRelyingPartyMismatch(Refusal):
    message = "The passkey belongs to another relying party."


# -- of the model: tokens and clients --------------------------------------------------------------------------


class RefreshTokenReuse(Refusal):
    message = "Refresh token has been reused"
    keep = True


class UnsupportedTokenType(Refusal):
    message = "Unsupported token type."


class InvalidOAuthFlow(Refusal):
    message = "The OAuth flow is not valid."


class ScopeDoesNotExist(Refusal):
    message = "Invalid scope requested."


class DuplicateProvider(Refusal):
    message = "The provider exists already."


class UnsupportedIdentityProvider(Refusal):
    message = "The identity provider is not supported."


# -- of the model: configuration of a pool ---------------------------------------------------------------------


class InvalidUserPoolConfiguration(Refusal):
    message = "The user pool's configuration is not valid for this."


class FeatureUnavailableInTier(Refusal):
    message = "The feature is not available in this tier."


class TierChangeNotAllowed(Refusal):
    message = "The tier cannot be changed."


class UserPoolAddOnNotEnabled(Refusal):
    message = "The user pool add-on is not enabled."


class UserPoolTagging(Refusal):
    message = "The tags are not valid."


class ManagedLoginBrandingExists(Refusal):
    message = "The client has a style already."


class TermsExists(Refusal):
    message = "The terms exist already."


class InvalidSmsRoleAccessPolicy(Refusal):
    message = "The role may not send SMS."


class InvalidSmsRoleTrustRelationship(Refusal):
    message = "The role does not trust the service."


class InvalidEmailRoleAccessPolicy(Refusal):
    message = "The role may not send e-mail."


# -- of the model: triggers ------------------------------------------------------------------------------------


class UnexpectedLambda(Refusal):
    message = "The trigger could not be invoked."


class UserLambdaValidation(Refusal):
    message = "The trigger refused."


class InvalidLambdaResponse(Refusal):
    message = "Unrecognizable lambda output"


# -- finer reasons: the same word on the wire, another sentence for people -------------------------------------


class UserDisabled(NotAuthorized):
    message = "User is disabled."


class LockedOut(NotAuthorized):
    """Too many wrong passwords in a row (reference: 4.8)."""

    message = "Password attempts exceeded"


class TemporaryPasswordExpired(NotAuthorized):
    message = "Temporary password has expired and must be reset by an administrator."


class SessionUsed(NotAuthorized):
    message = "Invalid session for the user, session can only be used once."


class SessionExpired(NotAuthorized):
    message = "Invalid session for the user, session is expired."


class SessionInvalid(NotAuthorized):
    message = "Invalid session for the user."


class CodeUsed(ExpiredCode):
    """The code of an authenticator app that has been taken already. Nothing is written on the way to it."""

    message = "Your software token has already been used once."
    keep = False


class SecretRefused(NotAuthorized):
    """A client's secret, or a hash made with it, that is missing or wrong."""


class RateLimited(TooManyRequests):
    """More requests than the server takes from this caller (throttling.callers)."""

    def __init__(self, retry_after: int = TooManyRequests.retry_after) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooOften(LimitExceeded):
    """What may be done a number of times in an hour (accounts.limits, accounts.networks)."""

    # Never what is left of the hour: it would tell a stranger when the owner of a name has last done something.
    retry_after = 3600


class TooManyCodes(TooManyRequests):
    """Codes that were sent to one user within the hour (accounts.limits), where the API has no LimitExceeded."""

    message = "Attempt limit exceeded, please try after some time."
    retry_after = 3600


class RequestDenied(Forbidden):
    """By a rule of the pool (pools.request_rules)."""

    def __init__(self, retry_after: int | None = None) -> None:
        """`retry_after`: seconds after which the rate of the rule allows more, if it has one."""
        super().__init__()
        self.retry_after = retry_after


class ProofOfWorkDemanded(Forbidden):
    """By a rule of the pool: a browser may prove that it has worked for this request, and come again
    (pools.proof_of_work)."""

    message = "This request needs a proof of work, which a browser gives at the pages of the pool."

    def __init__(self, difficulty: int = 0, lifetime: int = 0) -> None:
        """As the rule has them (policy.request_rules)."""
        super().__init__()
        self.difficulty = difficulty
        self.lifetime = lifetime


class SignUpClosed(NotAuthorized):
    message = "SignUp is not permitted for this user pool"


class AlreadyConfirmed(NotAuthorized):
    message = "User cannot be confirmed. Current status is CONFIRMED"


class SignInTooOld(NotAuthorized):
    """A live access token, for something that the pool allows after a recent sign-in only (accounts.recency)."""

    message = "Sign in again, and repeat the request with the new access token."


class TokenRefused(NotAuthorized):
    """An access token that cannot be accepted: the message says which of Cognito's five reasons."""

    message = "Invalid Access Token"


class ScopeMissing(TokenRefused):
    message = "Access Token does not have required scopes"


class RefreshTokenRefused(NotAuthorized):
    message = "Invalid Refresh Token"


class InvalidGrant(NotAuthorized):
    """An authorization code that cannot be redeemed (RFC 6749, 5.2)."""

    message = "The code is not valid."


class UnknownClient(ResourceNotFound):
    """No client has this id; the pages must then never redirect (RFC 6749, 4.1.2.1)."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"User pool client {client_id} does not exist.")


class UnknownPool(ResourceNotFound):
    def __init__(self, pool_id: str) -> None:
        super().__init__(f"User pool {pool_id} does not exist.")


class UnknownResource(ResourceNotFound):
    """No resource server has this identifier (RFC 8707, 2: invalid_target)."""


class InvalidTarget(InvalidParameter):
    """A token cannot be made out to this resource: it was granted for another, or with no scope of it (RFC 8707, 2)."""
