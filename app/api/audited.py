"""What of an administrative call is written down in the audit: its parameters, their secrets masked, and its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api import shapes
from app.audit.masking import MASK, is_secret

NO_SECRET = frozenset({"ClientId"})
"""The model keeps client ids out of logs; but each link to a sign-in page has one, and the audit is to say which."""
OPEN_MAPS = frozenset({"AcrConfiguration", "AttributeMapping", "Attributes", "Links", "Tags", "UserPoolTags"})
"""Maps whose values are written down. In the others (AuthParameters, ClientMetadata, ProviderDetails) is anything."""
TARGETS = (
    *(("ClientId", "client"), ("GroupName", "group"), ("Domain", "domain"), ("Identifier", "resource-server")),
    *(("ManagedLoginBrandingId", "branding"), ("TermsId", "terms"), ("ResourceArn", "arn"), ("UserPoolId", "userpool")),
)
"""Members that name what a call is about, the nearest first."""
LONGEST = 1024
"""Characters of a text that are kept."""


def parameters(shape: shapes.Structure, members: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a call, without their secrets: what the model calls sensitive, and what is named like one."""
    return {name: _masked(shape.members[name].shape, name, value) for name, value in members.items()}


def target(members: Mapping[str, Any]) -> str:
    return next((f"{kind}/{members[name]}" for name, kind in TARGETS if members.get(name)), "")


def _masked(shape: shapes.Shape, name: str, value: Any) -> Any:
    match shape:
        case shapes.Structure():
            if name == "ContextData":
                return MASK
            return parameters(shape, value)
        case shapes.Sequence(member=member, secret=secret):
            return MASK if secret and name not in NO_SECRET else [_masked(member, name, one) for one in value]
        case shapes.Map(value=inner):
            return {key: _masked(inner, name, one) if name in OPEN_MAPS else MASK for key, one in value.items()}
        case shapes.Document():
            return "a document"
        case shapes.Blob():
            return f"{len(value)} bytes"
        case shapes.String(enum=values) if values and not shape.secret:
            return value
        case shapes.String():
            secret = (shape.secret or is_secret(name)) and name not in NO_SECRET
            return MASK if secret else value[:LONGEST]
    return MASK if shape.secret else value
