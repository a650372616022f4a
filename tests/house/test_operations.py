"""Every operation of the published model is declared, but for those listed here by name until they are built.

A new botocore that brings new operations, or takes some away, shows here.
"""

from app.api import operations, registry

NOT_BUILT_YET = {
    "user_pools": "CreateUserPoolReplica UpdateUserPoolReplica DeleteUserPoolReplica ListUserPoolReplicas",
    "app_clients": "",
    "domains": "",
    "resource_servers": "",
    "identity_providers": """
        CreateIdentityProvider DescribeIdentityProvider UpdateIdentityProvider DeleteIdentityProvider
        ListIdentityProviders GetIdentityProviderByIdentifier AdminLinkProviderForUser AdminDisableProviderForUser
    """,
    "branding": "",
    "terms": "",
    "tags_limits_logs": "",
    "risk": """
        DescribeRiskConfiguration SetRiskConfiguration AdminListUserAuthEvents AdminUpdateAuthEventFeedback
        UpdateAuthEventFeedback
    """,
    "groups": "",
    "imports": """
        CreateUserImportJob DescribeUserImportJob ListUserImportJobs StartUserImportJob StopUserImportJob GetCSVHeader
    """,
    "sign_up": "",
    "sign_in": "",
    "tokens": "",
    "passwords": "",
    "profile": "",
    "users": "",
    "mfa": "",
    "passkeys": "",
    "devices": "",
    "sessions": "",
}


def test_what_is_not_built_is_listed_by_name_and_nothing_else_is_missing() -> None:
    operations.load()
    missing = {name for names in NOT_BUILT_YET.values() for name in names.split()}
    assert registry.NAMES - registry.OPERATIONS.keys() == missing


def test_an_operation_stands_in_the_module_that_it_belongs_to() -> None:
    """Modules of operations are named after what they are about; these are the only ones."""
    operations.load()
    modules = {operation.run.__module__.rpartition(".")[2] for operation in registry.OPERATIONS.values()}
    assert modules <= NOT_BUILT_YET.keys()
    assert all(operation.run.__doc__ for operation in registry.OPERATIONS.values())
