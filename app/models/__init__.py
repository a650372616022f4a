"""The tables, and the questions a row answers about itself. No queries, no clock: `now` is an argument.

One module per thing. Rows of configuration (`Pool`, `Client`) are handed around detached, out of the cache, and are
never written to; whoever changes one loads it in his own transaction.
"""

from app.models.access_key import AccessKey
from app.models.attempt import Attempt, Spent
from app.models.audit import AuditChain, AuditEvent
from app.models.branding import BrandingAsset, ManagedLoginBranding, UICustomization
from app.models.client import Client, ClientSecret
from app.models.code import Code
from app.models.credential import Password
from app.models.device import Device
from app.models.domain import Domain
from app.models.factor import RecoveryCode, SoftwareToken
from app.models.group import Group, Membership
from app.models.installation import InstallationSecret, ProvisionedLimit, Restoration, Revision
from app.models.message import OutboxMessage
from app.models.passkey import Passkey, PasskeyRegistration
from app.models.pool import Naming, Pool
from app.models.pool_change import PoolChange
from app.models.resource_server import ResourceServer
from app.models.session import BrowserSession, LoginSession
from app.models.signing_key import SigningKey
from app.models.terms import Terms
from app.models.throttle import RateCounter, Throttle
from app.models.token import AuthorizationCode
from app.models.user import Alias, FormerPassword, User

__all__ = [
    "AccessKey",
    "Alias",
    "Attempt",
    "AuditChain",
    "AuditEvent",
    "AuthorizationCode",
    "BrandingAsset",
    "BrowserSession",
    "Client",
    "ClientSecret",
    "Code",
    "Device",
    "Domain",
    "FormerPassword",
    "Group",
    "InstallationSecret",
    "LoginSession",
    "ManagedLoginBranding",
    "Membership",
    "Naming",
    "OutboxMessage",
    "Passkey",
    "PasskeyRegistration",
    "Password",
    "Pool",
    "PoolChange",
    "ProvisionedLimit",
    "RateCounter",
    "RecoveryCode",
    "ResourceServer",
    "Restoration",
    "Revision",
    "SigningKey",
    "SoftwareToken",
    "Spent",
    "Terms",
    "Throttle",
    "UICustomization",
    "User",
]
