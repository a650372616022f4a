"""Reading the audit: rows by filters, and as records of the shape that CloudTrail gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import or_, select, tuple_

from app.audit import acting
from app.audit.record import only_reads
from app.config import Settings
from app.env import Env
from app.models import AuditEvent

PAGE = 500
SOURCE = "cognito-idp.amazonaws.com"
VERSION = "1.11"
"""Of CloudTrail's records, in this shape."""


@dataclass(frozen=True)
class Wanted:
    """Which rows; None: whatever it is."""

    pool_id: str | None = None
    """Empty: those that are about no one pool."""
    since: datetime | None = None
    until: datetime | None = None
    """Not itself."""
    actor: str | None = None
    """A user's `sub`, the id of an access key, or who ran a command."""
    operation: str | None = None
    target: str | None = None
    """What it is about, or the `sub` of the user."""


def rows(env: Env, wanted: Wanted, *, newest_first: bool) -> Iterator[AuditEvent]:
    """By time, a page at a time."""
    query = select(AuditEvent)
    for column, value in (
        (AuditEvent.pool_id, wanted.pool_id),
        (AuditEvent.actor, wanted.actor),
        (AuditEvent.operation, wanted.operation),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEvent.at < wanted.until)
    if wanted.target is not None:
        query = query.where(or_(AuditEvent.target == wanted.target, AuditEvent.user_sub == wanted.target))
    place = tuple_(AuditEvent.at, AuditEvent.id)
    order = (AuditEvent.at.desc(), AuditEvent.id.desc()) if newest_first else (AuditEvent.at, AuditEvent.id)
    last: AuditEvent | None = None
    while True:
        page = query.order_by(*order).limit(PAGE)
        if last is not None:
            seen = tuple_(last.at, last.id)
            page = page.where(place < seen if newest_first else place > seen)
        with env.reading() as session:
            found = session.scalars(page).all()
        yield from found
        if len(found) < PAGE:
            return
        last = found[-1]


def record(settings: Settings, row: AuditEvent) -> dict[str, Any]:
    """A row as CloudTrail would record it. What CloudTrail has no member for is in `additionalEventData`."""
    called = row.kind == "call"
    given: dict[str, Any] = orjson.loads(row.parameters)
    return {
        "eventVersion": VERSION,
        "userIdentity": _identity(settings, row),
        "eventTime": f"{row.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": SOURCE,
        "eventName": row.operation,
        "awsRegion": settings.region,
        "sourceIPAddress": row.ip or "cognate",
        "userAgent": row.user_agent or None,
        "errorCode": f"{row.error_code}Exception" if row.error_code else None,
        "errorMessage": row.error_message,
        "requestParameters": given if called else None,
        "responseElements": None,
        "additionalEventData": {
            "userPoolId": row.pool_id or None,
            "sub": row.user_sub,
            "target": row.target or None,
            "chain": {"number": row.number, "digest": row.digest},
        },
        "requestID": row.request_id,
        "eventID": row.id,
        "readOnly": called and only_reads(row.operation),
        "eventType": "AwsApiCall" if called else "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": settings.account_id,
        "serviceEventDetails": None if called else given,
        "eventCategory": "Management",
    }


def _identity(settings: Settings, row: AuditEvent) -> dict[str, Any]:
    account = settings.account_id
    match row.actor_kind:
        case acting.ACCESS_KEY:
            return {
                "type": "IAMUser",
                "principalId": row.actor,
                "arn": f"arn:aws:iam::{account}:user/{row.actor}",
                "accountId": account,
                "accessKeyId": row.actor,
            }
        case acting.USER:
            return {"type": "Unknown", "principalId": row.actor, "accountId": account}
        case acting.COMMAND_LINE:
            return {"type": "Root", "principalId": row.actor, "accountId": account, "userName": row.actor}
        case acting.SERVICE:
            return {"type": "AWSService", "invokedBy": SOURCE}
    return {"type": "Unknown", "accountId": account}
