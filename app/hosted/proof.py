"""The page that lets a browser work before it goes on, where a rule of the pool demands that.

It is shown in the place of the page that was asked for, at that page's own address. Its script solves the challenge,
sends the solution, and loads the address again: there is no place to go to that anybody could choose. A form that was
sent is not done in part and not kept: who sent it begins again.
"""

from __future__ import annotations

import orjson
from flask import Response, request, url_for

from app import web
from app.errors import ProofOfWorkDemanded
from app.hosted import errors, theme
from app.hosted.page import bp, refuse_other_sites
from app.inspection import show_pass
from app.pools import proof_of_work

LARGEST = 4096
"""Bytes of a solution."""


def demanded(refusal: ProofOfWorkDemanded) -> Response:
    """The answer to a request that has none to show."""
    if "text/html" not in request.headers.get("Accept", "").lower():
        body = {
            "error": "access_denied",
            "error_description": refusal.message,
            "request_id": web.request_id(),
        }
        return web.protect_page(Response(orjson.dumps(body), 403, content_type="application/json"))
    if request.method not in ("GET", "HEAD"):
        return errors.page("begin_again")
    env, pool = web.current_env(), web.current_pool()
    made = proof_of_work.challenge(
        env, pool, request.remote_addr or "", difficulty=refusal.difficulty, lifetime=refusal.lifetime
    )
    facts = {
        "challenge": made,
        "difficulty": refusal.difficulty,
        "answer_at": url_for("hosted.proof"),
        "request_id": web.request_id(),
    }
    response = Response(theme.current().draw("proof.html", facts), 403, mimetype="text/html")
    return web.protect_page(response, connects=True)


@bp.post("/proof")
def proof() -> Response:
    """A solution: the browser gets its pass, or is told that this was none."""
    request.max_content_length = LARGEST
    env, pool = web.current_env(), web.current_pool()
    refuse_other_sites(env)
    made = proof_of_work.exchanged(
        env,
        pool,
        request.remote_addr or "",
        challenge=request.form.get("challenge", ""),
        number=request.form.get("number", ""),
    )
    if made is None:
        body = {"error": "invalid_request", "error_description": "This solves no challenge that was given to you."}
        return web.protect_page(Response(orjson.dumps(body), 400, content_type="application/json"))
    response = Response(status=204)
    show_pass(response, env, pool, made)
    return web.protect_page(response)
