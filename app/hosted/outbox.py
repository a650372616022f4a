"""What would have been sent to people, for development: as a page, and as JSON for scripts."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, request

from app import web
from app.hosted import errors, theme
from app.messaging import outbox
from app.models import OutboxMessage

bp = Blueprint("outbox", __name__, url_prefix="/dev")


@bp.before_request
def _only_for_this_machine() -> Response | None:
    """Codes and links are in there: not for the neighbours, and not for a page of another site."""
    return None if web.is_this_machine(request.remote_addr or "", request.host) else errors.page("not_here")


@bp.get("/outbox")
def messages() -> Response:
    facts = {"messages": _asked(), "to": _to()}
    return web.protect_page(Response(theme.current().draw("outbox.html", facts), mimetype="text/html"))


@bp.get("/outbox.json")
def messages_as_json() -> Response:
    found = [
        {
            "to": message.to,
            "channel": message.channel,
            "purpose": message.purpose,
            "subject": message.subject,
            "body": message.body,
            "code": message.code,
            "link": message.link,
            "pool_id": message.pool_id,
            "sent_at": message.sent_at,
        }
        for message in _asked()
    ]
    response = Response(orjson.dumps(found, option=orjson.OPT_UTC_Z), content_type="application/json")
    return web.protect_page(response)


def _asked() -> list[OutboxMessage]:
    return outbox.kept(web.current_env(), _to())


def _to() -> str | None:
    # No address has a space in it: in a query it is a plus that was not escaped.
    return request.args.get("to", "").rstrip().replace(" ", "+").replace("\0", "") or None
