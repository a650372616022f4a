"""User pools: made, described, changed, listed, deleted; their second factors, sessions and certificate
(reference: 2, 10.1, 6.8)."""

from __future__ import annotations

from typing import Any

from app.api import registry, wire
from app.api.caller import Call
from app.api.registry import operation
from app.env import Env
from app.models import Pool
from app.pools import find, mfa, user_pools
from app.pools.pool_settings import FIRST_FACTORS
from app.tokens import certificates

CONSTRAINTS = {
    "String": ("StringAttributeConstraints", (("MinLength", "shortest"), ("MaxLength", "longest"))),
    "Number": ("NumberAttributeConstraints", (("MinValue", "least"), ("MaxValue", "greatest"))),
}


@operation("CreateUserPool")
def create_user_pool(call: Call) -> dict[str, Any]:
    """Make a pool. The reply is what DescribeUserPool will say."""
    settings = wire.inward(call.operation.input, call.members)
    pool = user_pools.create(call.env, name=settings.pop("pool_name"), settings=settings)
    return {"UserPool": described(call.env, pool)}


@operation("DescribeUserPool")
def describe_user_pool(call: Call) -> dict[str, Any]:
    """A pool with all its settings, defaults included."""
    return {"UserPool": described(call.env, call.pool)}


@operation("ListUserPools")
def list_user_pools(call: Call) -> dict[str, Any]:
    """A page of pools in the order of their ids."""
    page = user_pools.listed(call.env, limit=call["MaxResults"], token=call.get("NextToken"))
    reply: dict[str, Any] = {
        "UserPools": [
            {
                "Id": pool.id,
                "Name": pool.name,
                "LambdaConfig": wire.outward(
                    registry.structure("LambdaConfigType"), pool.settings.get("lambda_config") or {}
                ),
                "CreationDate": wire.moment(pool.created_at),
                "LastModifiedDate": wire.moment(pool.modified_at),
            }
            for pool in page.rows
        ]
    }
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


@operation("UpdateUserPool")
def update_user_pool(call: Call) -> dict[str, Any]:
    """Change a pool. What is left out goes back to its default."""
    settings = wire.inward(call.operation.input, call.members)
    del settings["user_pool_id"]
    user_pools.update(call.env, call.pool, name=settings.pop("pool_name", None), settings=settings)
    return {}


@operation("AddCustomAttributes")
def add_custom_attributes(call: Call) -> dict[str, Any]:
    """Give a pool's users more attributes, which then stay."""
    given = wire.inward(call.operation.input, call.members)["custom_attributes"]
    user_pools.add_custom_attributes(call.env, call.pool, given)
    return {}


@operation("SetUserPoolMfaConfig")
def set_user_pool_mfa_config(call: Call) -> dict[str, Any]:
    """Say which second factors and passkeys a pool has; those left out it has no longer."""
    given = wire.inward(call.operation.input, call.members)
    return _factors(mfa.configure(call.env, call.pool, given))


@operation("GetUserPoolMfaConfig")
def get_user_pool_mfa_config(call: Call) -> dict[str, Any]:
    """The second factors and passkeys of a pool."""
    return _factors(call.pool)


@operation("SetUserPoolSessionConfiguration")
def set_user_pool_session_configuration(call: Call) -> dict[str, Any]:
    """Say whether sessions are tracked, and how many a user may have."""
    most = call["TokenSession"]["MaxPerUser"]
    return _sessions(user_pools.set_sessions(call.env, call.pool, tracking=call["UserSessionTracking"], most=most))


@operation("GetUserPoolSessionConfiguration")
def get_user_pool_session_configuration(call: Call) -> dict[str, Any]:
    """Whether sessions are tracked, and how many a user may have."""
    return _sessions(call.pool)


@operation("GetSigningCertificate")
def get_signing_certificate(call: Call) -> dict[str, Any]:
    """The certificate that SAML requests of the pool are signed with."""
    return {"Certificate": certificates.signing(call.env, call.pool)}


@operation("DeleteUserPool")
def delete_user_pool(call: Call) -> None:
    """Remove a pool and everything in it, for ever."""
    user_pools.delete(call.env, call.pool)


def _factors(pool: Pool) -> dict[str, Any]:
    found: dict[str, Any] = wire.outward(registry.structure("GetUserPoolMfaConfigResponse"), mfa.configuration(pool))
    return found


def _sessions(pool: Pool) -> dict[str, Any]:
    found = pool.settings.get("session_configuration", user_pools.SESSIONS)
    shape = registry.structure("GetUserPoolSessionConfigurationResponse")
    return {"UserPoolId": pool.id, **wire.outward(shape, found)}


def described(env: Env, pool: Pool) -> dict[str, Any]:
    """A pool's settings in the words of the API, with what belongs to them elsewhere or is always the same."""
    found: dict[str, Any] = wire.outward(registry.structure("UserPoolType"), pool.settings)
    found.setdefault("LambdaConfig", {})
    found.setdefault("UserPoolTags", {})
    found["Policies"].setdefault("SignInPolicy", {"AllowedFirstAuthFactors": FIRST_FACTORS})
    template = found["VerificationMessageTemplate"]
    for old, new in (
        ("SmsVerificationMessage", "SmsMessage"),
        ("EmailVerificationMessage", "EmailMessage"),
        ("EmailVerificationSubject", "EmailSubject"),
    ):
        if new in template:
            found[old] = template[new]
    found["AcrConfiguration"] = {f"Level{n}": {"AcrValue": name} for n, name in enumerate(pool.acr_values, 1)}
    for domain in find.domains(env, pool):
        found["CustomDomain" if domain.custom else "Domain"] = domain.domain
    found.update(
        Id=pool.id,
        Name=pool.name,
        Arn=f"arn:aws:cognito-idp:{env.settings.region}:{env.settings.account_id}:userpool/{pool.id}",
        CreationDate=wire.moment(pool.created_at),
        LastModifiedDate=wire.moment(pool.modified_at),
        EstimatedNumberOfUsers=user_pools.count_users(env, pool),
        SchemaAttributes=[_schema_attribute(attribute) for attribute in pool.settings["attributes"]],
    )
    return found


def _schema_attribute(attribute: dict[str, Any]) -> dict[str, Any]:
    """One attribute; its bounds are strings on the wire, and not there where there are none."""
    found = {
        "Name": attribute["name"],
        "AttributeDataType": attribute["kind"],
        "DeveloperOnlyAttribute": attribute["name"].startswith("dev:"),
        "Mutable": attribute["mutable"],
        "Required": attribute["required"],
    }
    if attribute["kind"] in CONSTRAINTS:
        member, bounds = CONSTRAINTS[attribute["kind"]]
        found[member] = {wire_name: str(attribute[own]) for wire_name, own in bounds if own in attribute}
    return found
