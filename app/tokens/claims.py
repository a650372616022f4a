"""What goes into a token (reference: 6.2, 6.3): names, types and order as Cognito has them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import FromClause

from app.config import Settings
from app.db import table
from app.models import Client, Group, LoginSession, Membership, Pool, User
from app.policy import attributes as policy
from app.statements import columns, record_of
from app.tokens import assurance

API_SCOPE = "aws.cognito.signin.user.admin"
"""The scope that lets an access token act on its user's own profile; all that a sign-in by API gives."""
ACCESS_TYPE = "at+jwt"
"""The type in the header of an access token with an audience (RFC 9068, 2.1): whoever expects an ID token is warned.
Others have none, as in Cognito."""
SCOPE_ATTRIBUTES = {
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
}
OIDC_SCOPES = ("openid", "email", "phone", "profile")


_OF_GROUP = ("name", "precedence", "role_arn")
USER, GROUP = record_of(User, "groups"), record_of(Group, only=_OF_GROUP)
"""Records of a user with groups, and of a group. A hot statement selects from `joining_groups`, its last columns are
GROUP_COLUMNS, and it has a row for each group."""
GROUP_COLUMNS = columns(Group, _OF_GROUP)


def joining_groups(of: FromClause) -> FromClause:
    """What a hot statement selects from, with the groups of its user."""
    member, group = table(Membership), table(Group)
    return of.outerjoin(member, member.c.user_sub == table(User).c.sub).outerjoin(
        group, (group.c.pool_id == member.c.pool_id) & (group.c.name == member.c.group_name)
    )


def with_groups(user: User, groups: Iterable[Group | None]) -> User:
    """The record of a user (USER) with these groups."""
    return cast(Any, user)._replace(groups=[group for group in groups if group is not None])  # type: ignore[no-any-return]


def issuer(settings: Settings, pool: Pool) -> str:
    return f"{settings.base_url}/{pool.id}"


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def of_access(
    *,
    iss: str,
    client: Client,
    user: User,
    session: LoginSession,
    scope: str,
    audience: str | None,
    oauth: bool,
    jti: str,
    now: datetime,
) -> dict[str, Any]:
    """Claims of a person's access token. `audience` is the resource that it is made out to; `oauth`: whether the OAuth
    endpoints issue it, not the API."""
    claims: dict[str, Any] = {"sub": user.sub}
    if session.device_key is not None:
        claims["device_key"] = session.device_key
    groups = _by_weight(user)
    if groups:
        claims["cognito:groups"] = [group.name for group in groups]
    claims["iss"] = iss
    if oauth:
        claims["version"] = 2
    if audience is not None:
        claims["aud"] = audience
    claims["client_id"] = client.id
    if client.revocable:
        claims["origin_jti"] = session.origin_jti
    claims.update(
        event_id=session.id,
        token_use="access",
        scope=scope,
        auth_time=seconds(session.auth_time),
        exp=seconds(now + client.access_validity),
        iat=seconds(now),
        jti=jti,
        username=user.username,
    )
    return claims | assurance.claims(client.pool, session)


def of_machine(
    *, iss: str, client: Client, scope: str, audience: str | None, jti: str, now: datetime
) -> dict[str, Any]:
    """Claims of a machine's access token (client_credentials): the client is its own subject."""
    return {
        "sub": client.id,
        **({"aud": audience} if audience is not None else {}),
        "token_use": "access",
        "scope": scope,
        "auth_time": seconds(now),
        "iss": iss,
        "exp": seconds(now + client.access_validity),
        "iat": seconds(now),
        "version": 2,
        "jti": jti,
        "client_id": client.id,
    }


def of_id(
    *,
    iss: str,
    client: Client,
    user: User,
    session: LoginSession,
    scopes: list[str] | None,
    jti: str,
    now: datetime,
    at_hash: str | None,
    nonce: str | None,
) -> dict[str, Any]:
    """Claims of an ID token: who, how and when, and the attributes that the client may read; where there are `scopes`,
    those among them that these stand for."""
    claims: dict[str, Any] = {"at_hash": at_hash} if at_hash else {}
    claims["sub"] = user.sub
    claims.update(_of_groups(_by_weight(user)))
    claims.update(_attributes(readable_attributes(client, user, scopes)))
    claims["iss"] = iss
    claims["cognito:username"] = user.username
    if nonce:
        claims["nonce"] = nonce
    if client.revocable:
        claims["origin_jti"] = session.origin_jti
    claims.update(
        aud=client.id,
        event_id=session.id,
        token_use="id",
        auth_time=seconds(session.auth_time),
        exp=seconds(now + client.id_validity),
        iat=seconds(now),
        jti=jti,
    )
    return claims | assurance.claims(client.pool, session)


def _by_weight(user: User) -> list[Group]:
    """A user's groups, the strongest first; of those that weigh the same, by name."""
    return sorted(user.groups, key=lambda group: (*_weight(group), group.name))


def _weight(group: Group) -> tuple[bool, int]:
    """The lowest precedence is the strongest, and none at all the weakest (reference: 11.1)."""
    return group.precedence is None, group.precedence or 0


def _of_groups(groups: list[Group]) -> dict[str, Any]:
    """The three claims of groups in an ID token, those that there are something for. The preferred role is that of the
    strongest group which has one; where two are equally strong and their roles differ, nobody can say which."""
    if not groups:
        return {}
    found: dict[str, Any] = {"cognito:groups": [group.name for group in groups]}
    with_role = [group for group in groups if group.role_arn]
    if with_role:
        found["cognito:roles"] = _distinct(with_role)
        strongest = _distinct(group for group in with_role if _weight(group) == _weight(with_role[0]))
        if len(strongest) == 1:
            found["cognito:preferred_role"] = strongest[0]
    return found


def _distinct(groups: Iterable[Group]) -> list[str | None]:
    return list(dict.fromkeys(group.role_arn for group in groups))


def readable_attributes(client: Client, user: User, scopes: list[str] | None) -> dict[str, str]:
    """Attributes by what the client may read and, at the OAuth endpoints, by scope. Without `sub`; all strings.

    With `openid` as the only OpenID scope all readable attributes come, as Cognito documents it; as soon as one of
    email, phone and profile is asked for, only what the asked ones stand for. (The reference leaves this open.)
    """
    found = policy.readable(user.all_attributes, client.readable)
    del found["sub"]
    if scopes is None or not set(scopes) & set(OIDC_SCOPES[1:]):
        return found
    elsewhere = {name for names in SCOPE_ATTRIBUTES.values() for name in names}
    wanted = {name for scope in scopes for name in SCOPE_ATTRIBUTES.get(scope, ())}
    if "profile" in scopes:
        wanted |= found.keys() - elsewhere
    return {name: value for name, value in found.items() if name in wanted}


def _attributes(values: dict[str, str]) -> dict[str, Any]:
    """In the types that an ID token has: booleans, a number, an object; custom attributes stay strings."""
    typed: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("email_verified", "phone_number_verified"):
            typed[name] = value == "true"
        elif name == "updated_at":
            typed[name] = int(value)
        elif name == "address":
            typed[name] = _address(value)
        else:
            typed[name] = value
    return typed


def _address(value: str) -> dict[str, Any]:
    """An address is stored as the JSON object of OIDC Core 5.1.1, whose members are all texts, or as plain text, which
    is its `formatted`. What only looks like such an object is plain text: of a number that no token can carry, or a
    thousand brackets, its user could not sign in any more."""
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and all(isinstance(one, str) for one in parsed.values()):
        return parsed
    return {"formatted": value}
