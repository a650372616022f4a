"""A pool's whole configuration as one document, and back.

The words are those of the API, because people know them and every tool has them: what a section may say is what the
operation that sets it takes, checked by the same shapes, and it is set by that very operation. What the API lets nobody
change (sign-in names, letter case, attributes) is told apart here and made by app.pools.changes.

Of an existing pool a document changes what it names. What it leaves out stays; null is the default again; what it does
not list is removed only when asked to. So a document can be one pool's whole configuration or three lines for many
pools, and applied twice it changes nothing the second time. Users, secrets and signing keys are never in it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from app import errors
from app.api import caller, registry, shapes, wire
from app.cli.documents import Document, Path
from app.env import Env, Origin
from app.models import (
    BrandingAsset,
    Client,
    Domain,
    Group,
    ManagedLoginBranding,
    Pool,
    ResourceServer,
    Terms,
    UICustomization,
)
from app.models.branding import ALL
from app.models.pool import ACR_LEVELS
from app.policy.attributes import DEVELOPER, standard_attributes
from app.policy.request_rules import RuleError, compiled
from app.pools import app_clients, client_settings, find, own_settings, pool_settings, request_rules, user_pools
from app.pools.domains import CLASSIC
from app.pools.plans import NAMING, Plan, custom
from app.throttling.callers import AS_INSTALLED

Given = Mapping[str, Any]
"""A document that was checked."""
LEGACY = ("SmsVerificationMessage", "EmailVerificationMessage", "EmailVerificationSubject")
"""Another way to say what VerificationMessageTemplate says."""
STRUCTURAL = {
    "UsernameConfiguration": "username_configuration",
    "AliasAttributes": "alias_attributes",
    "UsernameAttributes": "username_attributes",
}
assert tuple(STRUCTURAL.values()) == NAMING  # noqa: S101 - whoever adds one adds it to both
OWN = {
    "EndSessionsWithPassword": "end_sessions_with_password",
    "RecentSignInMinutes": "recent_sign_in_minutes",
    "AuditSignIns": "audit_sign_ins",
    "AuditRetentionDays": "audit_retention_days",
    "RequestsPerAccount": "requests_per_account",
    "RequestsPerAddress": "requests_per_address",
    "RequestsPerClient": "requests_per_client",
}
"""What the section `Cognate` says, in the words of app.pools.own_settings. `Preset` says several of them at once."""
SET_OWN = "SetOwnSettings"
"""The action that sets these (see BEYOND_API)."""
SET_RULES = "SetRequestRules"
"""The action that sets `RequestRules` of the same section, which are replaced as a whole."""
BOUNDS = {
    "String": ("StringAttributeConstraints", (("MinLength", "shortest"), ("MaxLength", "longest"))),
    "Number": ("NumberAttributeConstraints", (("MinValue", "least"), ("MaxValue", "greatest"))),
}


# -- what a document may say -----------------------------------------------------------------------------------


def _taking(operation: str, *, without: Sequence[str] = (), **more: shapes.Shape) -> shapes.Structure:
    """What the operation takes beside the pool, all of it optional; and more."""
    taken = registry.structure(registry.MODEL["operations"][operation]["input"]["shape"]).members
    members = {name: one for name, one in taken.items() if name not in ("UserPoolId", *without)}
    return _structure(**{name: one.shape for name, one in members.items()}, **more)


def _structure(**members: shapes.Shape) -> shapes.Structure:
    return shapes.Structure({name: shapes.Member(shape, False, name, name) for name, shape in members.items()})


def _list_of(shape: shapes.Shape) -> shapes.Sequence:
    return shapes.Sequence(shape, 0, None, False)


def _shape() -> shapes.Structure:
    text = shapes.String(False, 0, None, None, None, ())
    look = _taking("SetUICustomization", without=["ClientId"])
    client = _taking(
        "UpdateUserPoolClient",
        GenerateSecret=shapes.Boolean(False),
        UICustomization=look,
        ManagedLogin=_taking("CreateManagedLoginBranding", without=["ClientId"]),
        Terms=_list_of(_taking("CreateTerms", without=["ClientId"])),
        SSOSession=_taking("SetUserPoolClientSessionConfiguration").members["SSOSession"].shape,
        RequirePKCE=shapes.Boolean(False),
    )
    attribute = _structure(
        Name=text,
        AttributeDataType=shapes.String(False, 0, None, None, None, ("String", "Number", "DateTime", "Boolean")),
        Mutable=shapes.Boolean(False),
        Required=shapes.Boolean(False),
        StringAttributeConstraints=_structure(MinLength=_BOUND, MaxLength=_BOUND),
        NumberAttributeConstraints=_structure(MinValue=_BOUND, MaxValue=_BOUND),
    )
    pool = _taking("CreateUserPool", without=[*LEGACY, "Schema", "MfaConfiguration"], Schema=_list_of(attribute))
    return _structure(
        Id=text,
        Pool=pool,
        Mfa=_taking("SetUserPoolMfaConfig"),
        SessionConfiguration=_taking("SetUserPoolSessionConfiguration"),
        Cognate=_structure(
            Preset=shapes.String(False, 0, None, None, None, tuple(own_settings.PRESETS)),
            EndSessionsWithPassword=shapes.Boolean(False),
            RecentSignInMinutes=shapes.Number(False, "integer", 0, own_settings.LONGEST),
            AuditSignIns=shapes.Boolean(False),
            AuditRetentionDays=shapes.Number(False, "integer", 0, own_settings.LONGEST_RETENTION),
            RequestsPerAccount=shapes.Number(False, "integer", AS_INSTALLED, own_settings.MOST_REQUESTS),
            RequestsPerAddress=shapes.Number(False, "integer", AS_INSTALLED, own_settings.MOST_REQUESTS),
            RequestsPerClient=shapes.Number(False, "integer", AS_INSTALLED, own_settings.MOST_REQUESTS),
            RequestRules=_structure(),  # a language of its own, which policy.request_rules checks
        ),
        LogConfigurations=_taking("SetLogDeliveryConfiguration").members["LogConfigurations"].shape,
        ResourceServers=_list_of(_taking("CreateResourceServer")),
        Groups=_list_of(_taking("CreateGroup")),
        Clients=_list_of(client),
        Domains=_list_of(_taking("CreateUserPoolDomain")),
        UICustomization=look,
    )


class _Bound(shapes.Scalar):
    """A bound of an attribute: text on the wire, and a number to everybody else."""

    def broken(self, value: Any) -> list[str]:
        try:
            int(value)
        except (TypeError, ValueError):
            return ["expected a whole number"]
        return []


_BOUND = _Bound(False)


def check(document: Document) -> dict[str, Any]:
    """The document, if it says only what can be said, and each thing once. Raises documents.DocumentError."""
    if not isinstance(document.value, dict):
        raise document.wrong((), "expected the sections of a pool, such as `Pool:` and `Clients:`")
    _check(document, (), _shape(), document.value)
    for section, name in KEYS.items():
        seen = set()
        for place, one in enumerate(document.value.get(section) or []):
            if section == "Clients" and not (one.get("ClientId") or one.get("ClientName")):
                raise document.wrong((section, place), "expected a ClientName")
            if section != "Clients" and not one.get(name):
                raise document.wrong((section, place), f"expected a {name}")
            if one.get(name) is not None and one[name] in seen:
                raise document.wrong((section, place, name), f"{one[name]} stands there twice")
            seen.add(one.get(name))
    for place, one in enumerate((document.value.get("Pool") or {}).get("Schema") or []):
        _check_attribute(document, ("Pool", "Schema", place), one)
    if (document.value.get("Cognate") or {}).get("RequestRules") is not None:
        check_rules(document, ("Cognate", "RequestRules"), document.value["Cognate"]["RequestRules"])
    return document.value


def check_rules(document: Document, path: Path, given: Any) -> None:
    """Raises documents.DocumentError for rules that are none, with the line and the name of the rule."""
    try:
        compiled(given, operations=registry.unsigned())
    except RuleError as wrong:
        raise document.wrong((*path, *wrong.path), wrong.reason) from None


def _check(document: Document, path: Path, shape: shapes.Shape, value: Any) -> None:
    if value is None:
        return
    match shape:
        case shapes.Structure(members=members):
            if not isinstance(value, dict):
                raise document.wrong(path, "expected names and values below it")
            for name, one in value.items():
                if name in members:
                    _check(document, (*path, name), members[name].shape, one)
                elif members:  # without any it is a JSON document of the customer's own
                    raise document.wrong((*path, name), f"no such setting; expected {', '.join(members)}")
        case shapes.Sequence(member=member):
            if not isinstance(value, list):
                raise document.wrong(path, "expected a list")
            for place, one in enumerate(value):
                _check(document, (*path, place), member, one)
        case shapes.Map(value=inner):
            if not isinstance(value, dict):
                raise document.wrong(path, "expected names and values below it")
            for name, one in value.items():
                _check(document, (*path, name), inner, one)
        case shapes.String() | shapes.Blob() if not isinstance(value, str):
            raise document.wrong(path, f"expected text; put it in quotes: '{value}'")
        case shapes.Number() if type(value) is not int:
            raise document.wrong(path, "expected a whole number")
        case shapes.Boolean() if not isinstance(value, bool):
            raise document.wrong(path, "expected true or false")
        case shapes.Scalar():
            broken = shape.broken(value)
            if broken:
                raise document.wrong(path, broken[0].replace("Member must", "it must"))


def _check_attribute(document: Document, path: Path, given: Mapping[str, Any]) -> None:
    """An attribute by its whole name, of the form that the API demands of the bare one."""
    name = given.get("Name")
    if not name:
        raise document.wrong(path, "expected a Name")
    bare = name.removeprefix(DEVELOPER).removeprefix("custom:")
    if name not in standard_attributes() and bare == name:
        raise document.wrong((*path, "Name"), f"{name} is no standard attribute; one of your own is custom:{name}")
    rules = registry.structure("SchemaAttributeType").members["Name"].shape
    broken = rules.broken(bare) if isinstance(rules, shapes.Scalar) else []
    if broken:
        raise document.wrong((*path, "Name"), broken[0].replace("Member must", "it must"))


KEYS = {"ResourceServers": "Identifier", "Groups": "GroupName", "Clients": "ClientId", "Domains": "Domain"}
"""By what the things of a section are told apart."""


# -- a pool as it is -------------------------------------------------------------------------------------------


def shown(env: Env, pool: Pool) -> dict[str, Any]:
    """The document of a pool, whole."""
    found: dict[str, Any] = {"Id": pool.id, "Pool": _pool(env, pool)}
    gets = {"Mfa": "GetUserPoolMfaConfig", "SessionConfiguration": "GetUserPoolSessionConfiguration"}
    for section, operation in gets.items():
        reply = call(env, operation, UserPoolId=pool.id)
        found[section] = {name: value for name, value in reply.items() if name != "UserPoolId"}
    found["Cognate"] = _own(own_settings.of(pool))
    rules = request_rules.document(pool)
    if rules is not None:
        found["Cognate"]["RequestRules"] = rules
    reply = call(env, "GetLogDeliveryConfiguration", UserPoolId=pool.id)
    found["LogConfigurations"] = reply["LogDeliveryConfiguration"].get("LogConfigurations", [])
    with env.reading() as session:

        def rows(model: Any, *by: Any) -> list[Any]:
            return list(session.scalars(select(model).where(model.pool_id == pool.id).order_by(*by)).unique())

        servers = rows(ResourceServer, ResourceServer.identifier)
        groups = rows(Group, Group.name)
        clients = rows(Client, Client.name, Client.id)
        domains = rows(Domain, Domain.custom)
        looks = {one.client_id: _look(one) for one in rows(UICustomization, UICustomization.client_id)}
        terms = rows(Terms, Terms.name)
        styles = {one.client_id: one for one in rows(ManagedLoginBranding, ManagedLoginBranding.id)}
        assets = list(
            session.scalars(
                select(BrandingAsset)
                .where(BrandingAsset.branding_id.in_([style.id for style in styles.values()]))
                .order_by(BrandingAsset.category, BrandingAsset.color_mode)
            )
        )
    found["ResourceServers"] = [_server(one) for one in servers]
    found["Groups"] = [_group(one) for one in groups]
    found["Clients"] = []
    for client in clients:
        one = _client(env, client)
        if client.id in looks:
            one["UICustomization"] = looks[client.id]
        if client.id in styles:
            style = styles[client.id]
            one["ManagedLogin"] = _style(style, [each for each in assets if each.branding_id == style.id])
        of_client = [_terms(each) for each in terms if each.client_id == client.id]
        if of_client:
            one["Terms"] = of_client
        found["Clients"].append(one)
    found["Domains"] = [_domain(one) for one in domains]
    if ALL in looks:
        found["UICustomization"] = looks[ALL]
    return found


def _pool(env: Env, pool: Pool) -> dict[str, Any]:
    described: dict[str, Any] = call(env, "DescribeUserPool", UserPoolId=pool.id)["UserPool"]
    members = _shape().members["Pool"].shape
    known = members.members if isinstance(members, shapes.Structure) else {}
    found = {"PoolName": described["Name"], **{name: described[name] for name in known if name in described}}
    found = {name: value for name, value in found.items() if value not in ({}, [])}
    # Said again by the password policy, and refused where the two are said and differ (reference: 2.2).
    invited = dict(found.get("AdminCreateUserConfig", {}))
    invited.pop("UnusedAccountValidityDays", None)
    if "AdminCreateUserConfig" in found:
        found["AdminCreateUserConfig"] = invited
    schema = [_attribute(one) for one in pool.settings["attributes"] if one != standard_attributes().get(one["name"])]
    if schema:
        found["Schema"] = schema
    return found


def _own(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {word: settings[own] for word, own in OWN.items()}


def _attribute(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Name": given["name"],
        "AttributeDataType": given["kind"],
        "Mutable": given["mutable"],
        "Required": given["required"],
    }
    if given["kind"] in BOUNDS:
        member, bounds = BOUNDS[given["kind"]]
        said = {word: given[own] for word, own in bounds if given.get(own) is not None}
        if said:
            found[member] = said
    return found


def _definition(given: Mapping[str, Any], present: Mapping[str, Any] | None) -> dict[str, Any]:
    """An attribute in our own words. What is left out is as it was; of a new one, as the API has it. Raises
    errors.InvalidParameter."""
    before = present or standard_attributes().get(given["Name"]) or {}
    kind = given.get("AttributeDataType") or before.get("kind") or "String"
    for other, (member, _) in BOUNDS.items():
        if other != kind and given.get(member):
            raise errors.InvalidParameter(f"{given['Name']}: {member} does not go with {kind}.")
    found: dict[str, Any] = {"name": given["Name"], "kind": kind}
    for word, own, default in (("Mutable", "mutable", True), ("Required", "required", False)):
        value = given.get(word)
        found[own] = before.get(own, default) if value is None else value
    if kind in BOUNDS:
        member, bounds = BOUNDS[kind]
        for word, own in bounds:
            said = given.get(member, {})
            value = before.get(own) if before.get("kind") == kind else None
            if said is None:
                value = None
            elif word in said:
                value = None if said[word] is None else int(said[word])
            if value is not None:
                found[own] = value
    return found


def _client(env: Env, client: Client) -> dict[str, Any]:
    described = call(env, "DescribeUserPoolClient", UserPoolId=client.pool_id, ClientId=client.id)["UserPoolClient"]
    known = _taking("UpdateUserPoolClient").members
    found = {name: described[name] for name in ("ClientName", "ClientId")}
    if client.confidential:
        found["GenerateSecret"] = True
    found.update({name: described[name] for name in known if name in described})
    reply = call(env, "GetUserPoolClientSessionConfiguration", UserPoolId=client.pool_id, ClientId=client.id)
    if reply.get("SSOSession"):
        found["SSOSession"] = reply["SSOSession"]
    if client.requires_pkce:
        found["RequirePKCE"] = True
    return found


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _server(row: ResourceServer) -> dict[str, Any]:
    scopes = [{"ScopeName": one["name"], "ScopeDescription": one["description"]} for one in row.scopes]
    return {"Identifier": row.identifier, "Name": row.name, "Scopes": scopes}


def _group(row: Group) -> dict[str, Any]:
    return _present(GroupName=row.name, Description=row.description, RoleArn=row.role_arn, Precedence=row.precedence)


def _domain(row: Domain) -> dict[str, Any]:
    return {"Domain": row.domain, **wire.outward(registry.structure("CreateUserPoolDomainRequest"), row.settings)}


def _look(row: UICustomization) -> dict[str, Any]:
    return _present(CSS=row.css, ImageFile=_base64(row.image))


def _style(row: ManagedLoginBranding, assets: Sequence[BrandingAsset]) -> dict[str, Any]:
    images = [
        _present(
            Category=one.category,
            ColorMode=one.color_mode,
            Extension=one.extension,
            Bytes=_base64(one.content),
            ResourceId=one.resource_id,
        )
        for one in assets
    ]
    if row.provided:
        return _present(UseCognitoProvidedValues=True, Assets=images or None)
    return _present(Settings=row.settings, Assets=images or None)


def _terms(row: Terms) -> dict[str, Any]:
    return {"TermsName": row.name, "TermsSource": row.source, "Enforcement": row.enforcement, "Links": row.links}


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode("ascii")


# -- the difference --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Action:
    """One thing to be done, and the lines that say what it changes."""

    lines: tuple[str, ...]
    operation: str
    members: Mapping[str, Any]
    of_client: str | None = None
    """The name of the client whose id it needs, when the document is about to make that client."""


@dataclass(frozen=True)
class Differences:
    """What a document changes in a pool."""

    structural: dict[str, Any]
    """For app.pools.plans."""
    actions: tuple[Action, ...]

    @property
    def lines(self) -> list[str]:
        return [line for action in self.actions for line in action.lines]


def structural(pool: Pool, given: Mapping[str, Any], *, prune: bool) -> dict[str, Any]:
    """What the document says of names and attributes, in the words of app.pools.plans."""
    said = given.get("Pool") or {}
    wanted: dict[str, Any] = {own: said[word] for word, own in STRUCTURAL.items() if word in said}
    if wanted.get("username_configuration"):
        wanted["username_configuration"] = {"case_sensitive": said["UsernameConfiguration"].get("CaseSensitive", True)}
    present = {one["name"]: one for one in pool.settings["attributes"]}
    if said.get("Schema") is not None:
        wanted["attributes"] = {one["Name"]: _definition(one, present.get(one["Name"])) for one in said["Schema"]}
        if prune:
            gone = {name: None for name in present if custom(name) and name not in wanted["attributes"]}
            wanted["attributes"].update(gone)
    return wanted


def differences(
    pool: Pool, present: Mapping[str, Any], given: Mapping[str, Any], *, prune: bool = False
) -> Differences:
    """What the document changes, and by which operations, in an order in which each finds what it needs."""
    actions = [
        *_removed(present, given, "Domains", "DeleteUserPoolDomain", prune),
        *_of_pool(present, given),
        *_many(present, given, "ResourceServers", "CreateResourceServer", "UpdateResourceServer"),
        *_many(present, given, "Domains", "CreateUserPoolDomain", "UpdateUserPoolDomain"),
        *_of_clients(present, given, prune),
        *_removed(present, given, "Clients", "DeleteUserPoolClient", prune),
        *_removed(present, given, "ResourceServers", "DeleteResourceServer", prune),
        *_many(present, given, "Groups", "CreateGroup", "UpdateGroup"),
        *_removed(present, given, "Groups", "DeleteGroup", prune),
        *_single(present, given, "Mfa", "SetUserPoolMfaConfig"),
        *_single(present, given, "SessionConfiguration", "SetUserPoolSessionConfiguration"),
        *_own_settings(present, given),
        *_rules(present, given),
        *_logs(present, given),
        *_looking("UICustomization", present, given),
    ]
    actions.sort(key=lambda action: not _takes_a_look_away(action))  # which is refused without a domain
    return Differences(structural(pool, given, prune=prune), tuple(actions))


def _takes_a_look_away(action: Action) -> bool:
    return action.operation == "SetUICustomization" and not {"CSS", "ImageFile"} & action.members.keys()


def structural_lines(planned: Plan) -> list[str]:
    """What a planned change changes, in the words of the document."""
    found: list[str] = []
    words = {own: word for word, own in STRUCTURAL.items()}
    for own in planned.after:
        if own == "username_configuration":
            before, after = (one[own]["case_sensitive"] for one in (planned.before, planned.after))
            found += _lines("Pool.UsernameConfiguration.CaseSensitive", before, after)
        elif own != "attributes":
            found += _lines(f"Pool.{words[own]}", planned.before[own], planned.after[own])
    for name, definition in (planned.after.get("attributes") or {}).items():
        was = planned.before["attributes"][name]
        before, after = (one and {k: v for k, v in _attribute(one).items() if k != "Name"} for one in (was, definition))
        found += (
            _lines(f"Pool.Schema[{name}]", before, after)
            if before and after
            else [f"{'+' if after else '-'} Pool.Schema[{name}]: {_short(after or before)}"]
        )
    return found


def lines_of_new(given: Given) -> list[str]:
    """What a document makes of nothing."""
    found: list[str] = []
    for section, value in given.items():
        if isinstance(value, list):
            names = (str(one.get("ClientName") or one.get(KEYS.get(section, "")) or "") for one in value)
            found += [f"+ {section}[{name}]" for name in names]
        elif isinstance(value, dict):
            found += [line for line in _lines(section, None, merged({}, value)) if line != f"+ {section}: {{}}"]
    return found


def merged(present: Any, given: Any, defaults: Any = None) -> Any:
    """What is there with what is given written over it: member by member; a list as a whole; null takes away, or is
    the default where there is one."""
    if not isinstance(given, dict):
        return given
    found = dict(present) if isinstance(present, dict) else {}
    usual = defaults if isinstance(defaults, dict) else {}
    for name, value in given.items():
        if value is not None:
            found[name] = merged(found.get(name), value, usual.get(name))
        elif name in usual:
            found[name] = usual[name]
        else:
            found.pop(name, None)
    return found


def _defaults() -> dict[str, Any]:
    """What is told of a section of which nothing was ever given, so that null can be compared with what is there."""
    pool = wire.outward(registry.structure("UserPoolType"), pool_settings.for_new_pool({}))
    pool["AdminCreateUserConfig"].pop("UnusedAccountValidityDays")
    levels = wire.outward(registry.structure("UserPoolType").members["AcrConfiguration"].shape, ACR_LEVELS)
    return {
        "Pool": {name: value for name, value in {**pool, "AcrConfiguration": levels}.items() if value not in ({}, [])},
        "Mfa": {"MfaConfiguration": "OFF"},
        "SessionConfiguration": wire.outward(
            registry.structure("GetUserPoolSessionConfigurationResponse"), user_pools.SESSIONS
        ),
        "ResourceServers": {"Scopes": []},
        "Domains": {"ManagedLoginVersion": CLASSIC},
        "Clients": wire.outward(registry.structure("UserPoolClientType"), client_settings.DEFAULTS),
        "SSOSession": wire.outward(
            registry.structure("GetUserPoolClientSessionConfigurationResponse"), app_clients.SESSION
        ),
    }


LASTING = {
    "UpdateUserPool": ("PoolName", "DcrConfiguration"),
    "UpdateUserPoolClient": ("ClientName",),
    "UpdateUserPoolDomain": ("CustomDomainConfig",),
    "UpdateGroup": ("Description", "RoleArn", "Precedence"),
    "UpdateTerms": ("TermsSource", "Enforcement", "Links"),
}
"""What an operation leaves as it was when it is not told."""


def _updating(operation: str, path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The lines of an update. Raises errors.InvalidParameter for what it cannot do, and would be asked for ever."""
    for name in LASTING.get(operation, ()):
        if name in before and name not in after:
            raise errors.InvalidParameter(f"{path}.{name} cannot be taken away, only changed.")
    return tuple(_lines(path, before, after))


def _lines(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(after, dict) and (before is None or isinstance(before, dict)) and (after or before):
        before = before or {}
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _lines(f"{path}.{name}" if path else name, before.get(name), after.get(name))
    elif before is None:
        yield f"+ {path}: {_short(after)}"
    elif after is None:
        yield f"- {path}: {_short(before)}"
    else:
        yield f"~ {path}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    if isinstance(value, str):
        # On one line, and nothing in it that moves the cursor of whoever reads it.
        plain = "".join(c if c.isprintable() else "?" for c in value)
        return plain if len(plain) <= 60 else f"{plain[:57]}..."
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_short(one)}" for name, one in value.items()) + "}"
    return str(value).lower()


def _of_pool(present: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Action]:
    apart = {*STRUCTURAL, "Schema"}
    before = {name: value for name, value in (present.get("Pool") or {}).items() if name not in apart}
    said = {name: value for name, value in (given.get("Pool") or {}).items() if name not in apart}
    after = {name: one for name, one in merged(before, said, _defaults()["Pool"]).items() if one not in ({}, [])}
    lines = _updating("UpdateUserPool", "Pool", before, after)
    if lines:
        # Whatever UpdateUserPool is not told again it resets (reference: 2.2).
        mfa = (present.get("Mfa") or {}).get("MfaConfiguration")
        yield Action(lines, "UpdateUserPool", {**after, **_present(MfaConfiguration=mfa)})


def _single(present: Mapping[str, Any], given: Mapping[str, Any], section: str, operation: str) -> Iterator[Action]:
    before = present.get(section) or {}
    after = merged(before, given.get(section) or {}, _defaults().get(section))
    lines = tuple(_lines(section, before, after))
    if lines:
        yield Action(lines, operation, after)


def _own_settings(present: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Action]:
    said = dict(given.get("Cognate") or {})
    preset = said.pop("Preset", None)
    said.pop("RequestRules", None)
    bundle = _own(own_settings.PRESETS[preset]) if preset else {}
    before = present.get("Cognate") or {}
    after = merged({**before, **bundle}, said, _own(own_settings.COMPATIBLE))
    lines = tuple(_lines("Cognate", before, after))
    if lines:
        yield Action(lines, SET_OWN, after)


def _rules(present: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Action]:
    said = given.get("Cognate") or {}
    if "RequestRules" in said:
        before, after = (present.get("Cognate") or {}).get("RequestRules"), said["RequestRules"]
        lines = tuple(_lines("Cognate.RequestRules", before, after))
        if lines:
            yield Action(lines, SET_RULES, {"RequestRules": after})


def _logs(present: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Action]:
    if given.get("LogConfigurations") is None:
        return
    lines = tuple(_lines("LogConfigurations", present.get("LogConfigurations") or [], given["LogConfigurations"]))
    if lines:
        yield Action(lines, "SetLogDeliveryConfiguration", {"LogConfigurations": given["LogConfigurations"]})


def _many(
    present: Mapping[str, Any], given: Mapping[str, Any], section: str, create: str, update: str
) -> Iterator[Action]:
    key = KEYS[section]
    there = {one[key]: one for one in present.get(section) or []}
    usual = _defaults().get(section)
    for one in given.get(section) or []:
        name = one[key]
        before = there.get(name)
        after = merged(before or {}, one, usual)
        if before is None:
            yield Action((f"+ {section}[{name}]",), create, after)
        elif before != after:
            yield Action(_updating(update, f"{section}[{name}]", before, after), update, after)


def _removed(
    present: Mapping[str, Any], given: Mapping[str, Any], section: str, operation: str, prune: bool
) -> Iterator[Action]:
    if not prune or given.get(section) is None:
        return
    key = KEYS[section]
    if section == "Clients":
        kept = {there["ClientId"] for there, _ in _paired(present, given) if there}
    else:
        kept = {one[key] for one in given[section]}
    for one in present.get(section) or []:
        if one[key] not in kept:
            yield Action((f"- {section}[{one.get('ClientName', one[key])}]",), operation, {key: one[key]})


def _paired(
    present: Mapping[str, Any], given: Mapping[str, Any]
) -> list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]:
    """Each client of the document with the one that is there: of its id, or else of its name, since another
    installation gives other ids."""
    left = {one["ClientId"]: one for one in present.get("Clients") or []}
    listed = given.get("Clients") or []
    by_id = {place: left.pop(one["ClientId"]) for place, one in enumerate(listed) if one.get("ClientId") in left}
    pairs: list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]] = []
    for place, one in enumerate(listed):
        there = by_id.get(place)
        if there is None:
            named = [other for other in left.values() if other["ClientName"] == one.get("ClientName")]
            there = left.pop(named[0]["ClientId"]) if named else None
        pairs.append((there, one))
    return pairs


NESTED = ("UICustomization", "ManagedLogin", "Terms", "SSOSession", "RequirePKCE")


def _of_clients(present: Mapping[str, Any], given: Mapping[str, Any], prune: bool) -> Iterator[Action]:
    usual = _defaults()["Clients"]
    for there, one in _paired(present, given):
        name = str(one.get("ClientName") or (there or {}).get("ClientName"))
        where = f"Clients[{name}]"
        plain = {key: value for key, value in one.items() if key not in (*NESTED, "ClientId")}
        if plain.get("GenerateSecret") is False and not (there or {}).get("GenerateSecret"):
            del plain["GenerateSecret"]
        if there is None:
            if not one.get("ClientName"):
                raise errors.InvalidParameter(
                    f"There is no client {one.get('ClientId')}; a new one needs a ClientName."
                )
            # Its id is given out where it is made: nobody can have one that is another pool's already.
            yield Action((f"+ {where}",), "CreateUserPoolClient", merged({}, plain))
        else:
            before = {key: value for key, value in there.items() if key not in NESTED}
            after = merged(before, plain, usual)
            if after.get("GenerateSecret", False) != before.get("GenerateSecret", False):
                raise errors.InvalidParameter(
                    f"Client {there['ClientId']} ({name}): whether a client has a secret is decided when it is made. "
                    "AddUserPoolClientSecret and DeleteUserPoolClientSecret change which."
                )
            lines = _updating("UpdateUserPoolClient", where, before, after)
            if lines:
                after.pop("GenerateSecret", None)
                yield Action(lines, "UpdateUserPoolClient", after)
        yield from _of_client(where, name, there or {}, one, prune)


def _of_client(
    where: str, name: str, there: Mapping[str, Any], one: Mapping[str, Any], prune: bool
) -> Iterator[Action]:
    """What belongs to a client and is set by operations of its own."""
    mine = _present(ClientId=there.get("ClientId"))
    of = None if mine else name
    for action in _looking(f"{where}.UICustomization", there, one):
        yield Action(action.lines, action.operation, {**action.members, **mine}, of)
    if "ManagedLogin" in one:
        for action in _styling(f"{where}.ManagedLogin", there.get("ManagedLogin"), one["ManagedLogin"]):
            yield Action(action.lines, action.operation, {**action.members, **mine}, of)
    before, said = ({name: each[name] for name in ("SSOSession",) if name in each} for each in (there, one))
    after = merged(before, said, _defaults()["SSOSession"])
    lines = tuple(_lines(where, before, after))
    if lines:
        yield Action(lines, "SetUserPoolClientSessionConfiguration", {**after, **mine}, of)
    required = there.get("RequirePKCE", False)
    wanted = bool(one.get("RequirePKCE", required))
    lines = tuple(_lines(f"{where}.RequirePKCE", required, wanted))
    if lines:
        yield Action(lines, "RequirePKCE", {"RequirePKCE": wanted, **mine}, of)
    kept = {terms["TermsName"]: terms for terms in there.get("Terms") or []}
    for terms in one.get("Terms") or []:
        path = f"{where}.Terms[{terms.get('TermsName')}]"
        was = kept.pop(terms.get("TermsName"), None)
        will = merged(was or {}, terms)
        lines = _updating("UpdateTerms", path, was or {}, will)
        if lines:
            yield Action(lines, "UpdateTerms" if was else "CreateTerms", {**will, **mine}, of)
    if prune and one.get("Terms") is not None:
        for gone in kept:
            yield Action((f"- {where}.Terms[{gone}]",), "DeleteTerms", {"TermsName": gone, **mine}, of)


def _looking(path: str, present: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Action]:
    """A look that is given; null is none."""
    before = present.get("UICustomization") or {}
    said = given.get("UICustomization", {})
    after = {} if said is None else merged(before, said)
    lines = tuple(_lines(path, before, after))
    if lines:
        yield Action(lines, "SetUICustomization", after)


def _styling(path: str, before: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> Iterator[Action]:
    """How a style becomes the one that is given. An update takes nothing away: where something has to go, all does,
    and what stays is given anew."""
    if given is None:
        if before is not None:
            yield Action(tuple(_lines(path, before, {})), "DeleteManagedLoginBranding", {})
        return
    after = _styled(before or {}, given)
    lines = tuple(_lines(path, before or {}, after))
    if not lines:
        return
    if before is not None and not after.get("UseCognitoProvidedValues") and _loses(before, after):
        yield Action((), "UpdateManagedLoginBranding", {"UseCognitoProvidedValues": True})
    yield Action(lines, "CreateManagedLoginBranding" if before is None else "UpdateManagedLoginBranding", after)


def _styled(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A style is the server's own or the customer's, and the customer's is one JSON document, in which null is null."""
    other = bool(given) and bool(given.get("UseCognitoProvidedValues")) != bool(before.get("UseCognitoProvidedValues"))
    found: dict[str, Any] = merged({} if other else before, {n: v for n, v in given.items() if n != "Settings"})
    found = {name: value for name, value in found.items() if value not in (False, [])}  # as it is told
    return {**found, "Settings": given["Settings"]} if given.get("Settings") is not None else found


def _loses(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether merging the one style into the other leaves something of it."""
    images = ({(each["Category"], each["ColorMode"]) for each in one.get("Assets") or []} for one in (before, after))
    was, will = images
    return not was <= will or _left(before.get("Settings"), after.get("Settings"))


def _left(before: Any, after: Any) -> bool:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return isinstance(before, dict) and after is None
    return any(name not in after or _left(value, after[name]) for name, value in before.items())


# -- doing it --------------------------------------------------------------------------------------------------


def call(env: Env, name: str, **members: Any) -> dict[str, Any]:
    """One operation of the API, as an administrator calls it. Raises what it refuses with."""
    operation = registry.OPERATIONS.get(name)
    if operation is None:
        raise errors.InvalidParameter(f"{name} is not available in this version of Cognate; leave out what needs it.")
    checked = shapes.check(operation.input, members)
    return operation.run(caller.identified(env, operation, checked, Origin())) or {}


def created(env: Env, given: Given) -> Pool:
    """A new pool with the settings of the document; what else is in it is applied to it afterwards. Raises
    errors.InvalidParameter."""
    said = merged({}, given.get("Pool") or {})
    if not said.get("PoolName"):
        raise errors.InvalidParameter("A new pool needs a name: Pool, PoolName.")
    if said.get("Schema"):
        said["Schema"] = [_wire_attribute(one) for one in said["Schema"]]
    return find.pool(env, call(env, "CreateUserPool", **said)["UserPool"]["Id"])


def _wire_attribute(given: Mapping[str, Any]) -> dict[str, Any]:
    """As CreateUserPool takes it: by the bare name, with bounds as text. It makes no custom attribute required; that
    is left to the change that follows."""
    name = given["Name"]
    definition = _definition(given, None)
    found: dict[str, Any] = {
        "Name": name.removeprefix(DEVELOPER).removeprefix("custom:"),
        "AttributeDataType": definition["kind"],
        "Mutable": definition["mutable"],
        "Required": definition["required"] and not custom(name),
    }
    if name.startswith(DEVELOPER):
        found["DeveloperOnlyAttribute"] = True
    if definition["kind"] in BOUNDS:
        member, bounds = BOUNDS[definition["kind"]]
        found[member] = {word: str(definition[own]) for word, own in bounds if own in definition}
    return found


def _require_pkce(env: Env, pool: Pool, members: Mapping[str, Any]) -> None:
    app_clients.require_pkce(env, find.client(env, members["ClientId"], pool), members["RequirePKCE"])


def _set_own(env: Env, pool: Pool, members: Mapping[str, Any]) -> None:
    own_settings.configure(env, pool, {OWN[word]: value for word, value in members.items() if word in OWN})


def _set_rules(env: Env, pool: Pool, members: Mapping[str, Any]) -> None:
    request_rules.configure(env, pool, members["RequestRules"], operations=registry.unsigned())


BEYOND_API: Mapping[str, Callable[[Env, Pool, Mapping[str, Any]], None]] = {
    "RequirePKCE": _require_pkce,
    SET_OWN: _set_own,
    SET_RULES: _set_rules,
}
"""What the document can set and no operation of the API can, by the name of its action."""


@dataclass(frozen=True)
class Made:
    """Something that did not exist before, with what its maker has to know of it."""

    kind: str
    name: str
    ids: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    """Of a client that has one. It is told here, and by the API; no file and no list has it."""

    @property
    def facts(self) -> dict[str, str]:
        found = {"kind": self.kind, "name": self.name, **self.ids}
        return found if self.secret is None else {**found, "client_secret": self.secret}

    def __str__(self) -> str:
        told = [f"{name} {value}" for name, value in self.ids.items()]
        if self.secret is not None:
            told.append(f"client_secret {self.secret} (keep it: it is not shown again)")
        return f"{self.kind} {_short(self.name)}" + (f": {', '.join(told)}" if told else "")


KINDS = {
    "CreateResourceServer": ("resource server", "Identifier"),
    "CreateGroup": ("group", "GroupName"),
    "CreateUserPoolDomain": ("domain", "Domain"),
}


def _made(action: Action, reply: Mapping[str, Any]) -> Made | None:
    if action.operation == "CreateUserPoolClient":
        client = reply["UserPoolClient"]
        return Made("client", client["ClientName"], {"client_id": client["ClientId"]}, client.get("ClientSecret"))
    if action.operation in KINDS:
        kind, key = KINDS[action.operation]
        return Made(kind, str(action.members[key]))
    return None


def perform(env: Env, pool: Pool, actions: Sequence[Action], done: Callable[[Action, Made | None], None]) -> None:
    """Do it, one operation after the other, and tell each at once with what it made. What was done when one refuses
    stays done: applied again, the document goes on from there. Raises what they refuse with, with the name of what was
    being set."""
    made: dict[str, str] = {}
    for action in actions:
        members = {"UserPoolId": pool.id, **action.members}
        if action.of_client is not None:
            members["ClientId"] = made[action.of_client]
        try:
            if action.operation in BEYOND_API:
                BEYOND_API[action.operation](env, pool, members)
                reply = {}
            else:
                reply = call(env, action.operation, **_with_ids(env, pool, action, members))
        except errors.Refusal as refused:
            what = action.lines[0][2:].partition(":")[0] if action.lines else action.operation
            refused.message = f"{what}: {refused.message}"
            raise
        if action.operation == "CreateUserPoolClient":
            made[str(action.members["ClientName"])] = reply["UserPoolClient"]["ClientId"]
        done(action, _made(action, reply))


def _with_ids(env: Env, pool: Pool, action: Action, members: dict[str, Any]) -> dict[str, Any]:
    """What is updated by an id of its own, found by what the document knows it by."""
    if action.operation in ("UpdateManagedLoginBranding", "DeleteManagedLoginBranding"):
        query = select(ManagedLoginBranding.id).where(ManagedLoginBranding.client_id == members.pop("ClientId"))
        with env.reading() as session:
            return {**members, "ManagedLoginBrandingId": session.scalar(query)}
    if action.operation in ("UpdateTerms", "DeleteTerms"):
        mine = (Terms.client_id == members.pop("ClientId"), Terms.name == members["TermsName"])
        with env.reading() as session:
            return {**members, "TermsId": session.scalar(select(Terms.id).where(*mine))}
    return members
