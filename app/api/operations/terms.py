"""Terms of use and privacy policies (reference: 6.9)."""

from __future__ import annotations

from typing import Any

from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.models import Terms
from app.pools import terms


@operation("CreateTerms")
def create_terms(call: Call) -> dict[str, Any]:
    """Give a client links to its terms of use or its privacy policy."""
    row = terms.create(
        call.env,
        call.client,
        name=call["TermsName"],
        source=call["TermsSource"],
        enforcement=call["Enforcement"],
        links=call.get("Links"),
    )
    return {"Terms": described(row)}


@operation("DescribeTerms")
def describe_terms(call: Call) -> dict[str, Any]:
    """Links, by their id."""
    return {"Terms": described(terms.existing(call.env, call.pool, call["TermsId"]))}


@operation("DescribeTermsByClient")
def describe_terms_by_client(call: Call) -> dict[str, Any]:
    """Links, by client and name."""
    return {"Terms": described(terms.of_client(call.env, call.client, call["TermsName"]))}


@operation("UpdateTerms")
def update_terms(call: Call) -> dict[str, Any]:
    """Change what is given."""
    row = terms.update(
        call.env,
        call.pool,
        terms_id=call["TermsId"],
        name=call.get("TermsName"),
        source=call.get("TermsSource"),
        enforcement=call.get("Enforcement"),
        links=call.get("Links"),
    )
    return {"Terms": described(row)}


@operation("DeleteTerms")
def delete_terms(call: Call) -> None:
    """Remove links."""
    terms.delete(call.env, call.pool, terms_id=call["TermsId"])


@operation("ListTerms")
def list_terms(call: Call) -> dict[str, Any]:
    """A page of the pool's, of all clients."""
    page = terms.listed(call.env, call.pool, limit=call.get("MaxResults"), token=call.get("NextToken"))
    reply: dict[str, Any] = {"Terms": [_summary(row) for row in page.rows]}
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


def described(row: Terms) -> dict[str, Any]:
    return {
        **_summary(row),
        "UserPoolId": row.pool_id,
        "ClientId": row.client_id,
        "TermsSource": row.source,
        "Links": row.links,
    }


def _summary(row: Terms) -> dict[str, Any]:
    return {
        "TermsId": row.id,
        "TermsName": row.name,
        "Enforcement": row.enforcement,
        "CreationDate": wire.moment(row.created_at),
        "LastModifiedDate": wire.moment(row.modified_at),
    }
