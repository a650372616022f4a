"""The pages that have no form: that the server runs, and what went wrong."""

from __future__ import annotations

from flask import Response, request, url_for

from app import web
from app.hosted import errors, theme
from app.hosted.page import bp


@bp.get("/", provide_automatic_options=False)
def status() -> Response:
    """For whoever opens the server's own address. (`POST /`, and its OPTIONS, are the API's.)"""
    settings = web.current_env().settings
    links = [("Is it alive?", url_for("health.alive")), ("Is it ready?", url_for("health.ready"))]
    if settings.development:
        links.append(("Demo application", url_for("demo.home")))
        links.append(("Messages that were sent", url_for("outbox.messages")))
    facts = {"version": web.version(), "mode": settings.mode, "links": links}
    return web.protect_page(Response(theme.current().draw("status.html", facts), mimetype="text/html"))


@bp.get("/error")
def error() -> Response:
    """The error page by an address of its own, as Cognito's pages have it; the doors answer with it where they are."""
    return errors.page(request.args.get("error", "error"))
