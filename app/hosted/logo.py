"""The logo of a pool's classic pages, as it was uploaded (reference: 7.9)."""

from __future__ import annotations

from flask import Response, request

from app import web
from app.hosted import theme
from app.hosted.page import bp
from app.pools import ui_customization


@bp.get("/branding/<client_id>/<name>")
def logo(client_id: str, name: str) -> Response:
    """A client's logo or, under `ALL`, the pool's. The name says which picture it is, so browsers keep it for ever.

    Somebody else's bytes from our own host: they are the type that was checked at the upload, and a browser that is
    led to take them for a page after all must neither run nor fetch anything.
    """
    found = ui_customization.logo(web.current_env(), web.current_pool(), client_id, name)
    if found is None:
        return Response("There is no such file.\n", 404, content_type="text/plain; charset=utf-8")
    content, kind = found
    response = Response(content, content_type=kind)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = theme.FOR_EVER
    response.set_etag(name)
    response.make_conditional(request)
    return response
