"""Request rules at the doors: what they are told of a request, and the cookie that shows a proof of work.

A request is inspected as soon as it is known which pool it is about, and before anything is done for it. Not inspected
are requests that do nothing (OPTIONS, addresses that do not exist), files of the theme, and the public documents by
which others verify tokens.
"""

from __future__ import annotations

from flask import Request, Response

from app import web
from app.env import Env
from app.models import Pool
from app.policy.request_rules import Facts
from app.pools import request_rules
from app.pools.proof_of_work import Pass


def at_a_page(asked: Request, *, answering: bool = False) -> None:
    """Of a page, or an endpoint of OAuth. `answering`: it brings the solution of a challenge. Raises
    errors.UnknownPool, RequestDenied, ProofOfWorkDemanded."""
    if asked.method == "OPTIONS":
        return
    pool = web.current_pool()
    if request_rules.document(pool) is not None:
        env = web.current_env()
        facts = _facts(asked, None)
        shown = asked.cookies.get(_cookie(env, pool), "")
        request_rules.enforce(env, pool, facts, shown=shown, answering=answering)


def at_the_api(env: Env, pool: Pool, operation: str) -> None:
    """Of an operation that anybody may call. No cookie counts at the API, so no proof of work does. Raises
    errors.RequestDenied, ProofOfWorkDemanded."""
    if request_rules.document(pool) is not None:
        request_rules.enforce(env, pool, _facts(web.this_request(), operation), shown="")


def show_pass(response: Response, env: Env, pool: Pool, made: Pass) -> None:
    """Let the browser show from now on that it has worked."""
    response.set_cookie(
        _cookie(env, pool),
        made.value,
        max_age=made.seconds,
        path="/",
        secure=env.settings.https,
        httponly=True,
        samesite="Lax",
    )


def _facts(asked: Request, operation: str | None) -> Facts:
    return Facts(asked.remote_addr or "", asked.method, asked.path, operation, asked.headers.get)


def _cookie(env: Env, pool: Pool) -> str:
    return web.cookie_name(env.settings, f"cognate-proof-{pool.id}")
