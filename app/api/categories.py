"""The category of each operation, by which its rate is limited (reference: 12.1)."""

from __future__ import annotations

from app.throttling.categories import ANSWERS

OPERATIONS = {
    "UserAuthentication": "AdminInitiateAuth InitiateAuth",
    ANSWERS: "AdminRespondToAuthChallenge RespondToAuthChallenge",
    "UserCreation": "AdminConfirmSignUp AdminCreateUser ConfirmSignUp CreateUserImportJob SignUp StartUserImportJob",
    "UserAccountRecovery": "AdminResetUserPassword AdminSetUserPassword ChangePassword ConfirmForgotPassword "
    "ForgotPassword",
    "UserRead": "AdminGetUser AdminGetUserAuthFactors GetUser GetUserAuthFactors",
    "UserUpdate": "AdminAddUserToGroup AdminDeleteUser AdminDeleteUserAttributes AdminDisableProviderForUser "
    "AdminDisableUser AdminEnableUser AdminLinkProviderForUser AdminRemoveUserFromGroup AdminUpdateUserAttributes "
    "DeleteUser DeleteUserAttributes UpdateUserAttributes VerifyUserAttribute",
    "UserToken": "AdminUserGlobalSignOut GetDerivedToken GetTokensFromRefreshToken GlobalSignOut RevokeToken",
    "UserResourceRead": "AdminGetDevice AdminListDevices AdminListGroupsForUser AdminListUserAuthEvents "
    "AdminListUserSessions GetDevice GetUserAttributeVerificationCode ListDevices ListUserSessions "
    "ListWebAuthnCredentials ResendConfirmationCode",
    "UserResourceUpdate": "AdminDeleteSoftwareToken AdminForgetDevice AdminRevokeUserSession AdminSetUserMFAPreference "
    "AdminSetUserSettings AdminUpdateAuthEventFeedback AdminUpdateDeviceStatus AssociateSoftwareToken "
    "CompleteWebAuthnRegistration ConfirmDevice DeleteWebAuthnCredential ForgetDevice RevokeUserSession "
    "SetUserMFAPreference SetUserSettings StartWebAuthnRegistration UpdateAuthEventFeedback UpdateDeviceStatus "
    "VerifySoftwareToken",
    "UserList": "ListUsers ListUsersInGroup",
    "UserPoolRead": "DescribeUserPool ListUserPools",
    "UserPoolUpdate": "CreateUserPool DeleteUserPool UpdateUserPool",
    "UserPoolClientRead": "DescribeUserPoolClient ListUserPoolClientSecrets ListUserPoolClients",
    "UserPoolClientUpdate": "AddUserPoolClientSecret CreateUserPoolClient DeleteUserPoolClient "
    "DeleteUserPoolClientSecret UpdateUserPoolClient",
    "ClientAuthentication": "GetClientToken",
}
"""By category. All others are about what belongs to a pool: they read it, or change it."""
_CATEGORY = {name: category for category, names in OPERATIONS.items() for name in names.split()}
_READS = ("Describe", "Get", "List")


def of(operation: str) -> str:
    found = _CATEGORY.get(operation)
    if found is None:
        return "UserPoolResourceRead" if operation.startswith(_READS) else "UserPoolResourceUpdate"
    return found
