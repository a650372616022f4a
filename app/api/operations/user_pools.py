"""User pools: made, described, listed, deleted (reference: 2)."""

from __future__ import annotations

from typing import Any

from app.api import registry, wire
from app.api.caller import Call
from app.api.registry import operation
from app.env import Env
from app.models import Pool
from app.pools import find, user_pools

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
                "LambdaConfig": {},
                "CreationDate": wire.moment(pool.created_at),
                "LastModifiedDate": wire.moment(pool.modified_at),
            }
            for pool in page.rows
        ]
    }
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


@operation("DeleteUserPool")
def delete_user_pool(call: Call) -> None:
    """Remove a pool and everything in it, for ever."""
    user_pools.delete(call.env, call.pool)


def described(env: Env, pool: Pool) -> dict[str, Any]:
    """A pool's settings in the words of the API, with what belongs to them elsewhere or is always the same."""
    found: dict[str, Any] = wire.outward(registry.structure("UserPoolType"), pool.settings)
    found.setdefault("LambdaConfig", {})
    found.setdefault("UserPoolTags", {})
    found["Policies"]["SignInPolicy"] = {"AllowedFirstAuthFactors": ["PASSWORD"]}
    template = found["VerificationMessageTemplate"]
    for old, new in (
        ("SmsVerificationMessage", "SmsMessage"),
        ("EmailVerificationMessage", "EmailMessage"),
        ("EmailVerificationSubject", "EmailSubject"),
    ):
        if new in template:
            found[old] = template[new]
    levels = {f"Level{n}": {"AcrValue": f"urn:cognito:loa:{n}"} for n in range(1, 5)}
    found["AcrConfiguration"] = {**levels, **found.get("AcrConfiguration", {})}
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
