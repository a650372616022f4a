"""What a visitor need not say twice: who he is, where a code went, which sign-in waits for its next answer.

It is kept in Flask's cookie: signed, but readable by whoever has the browser, and as often as he likes. So nothing
here is secret, and nothing is a permission: the handle of a waiting sign-in and the ticket of a sign-up are checked by
`signin`, which wrote them.
"""

from __future__ import annotations

from typing import Any

from flask import session

from app.models import Pool

_KEY = "visit"


def _visit(pool: Pool) -> dict[str, Any]:
    # Of one pool at a time: in the path form pools share a host, and what was said to one must not show at another.
    # A cookie that grew with every pool would one day pass 4 kB, where browsers drop it, and every form with it.
    visit: dict[str, Any] = session.get(_KEY, {})
    return visit if visit.get("pool") == pool.id else {"pool": pool.id}


def keep(pool: Pool, **facts: Any) -> None:
    """Remember these beside what is remembered already; None forgets."""
    session[_KEY] = {name: value for name, value in {**_visit(pool), **facts}.items() if value is not None}


def kept(pool: Pool, name: str) -> Any:
    return _visit(pool).get(name)


def said(pool: Pool) -> dict[str, str]:
    """`notice` or `problem` that the page before left for this one; told once."""
    visit = _visit(pool)
    found: dict[str, str] = {name: visit[name] for name in ("notice", "problem") if name in visit}
    if found:
        keep(pool, notice=None, problem=None)
    return found


def forget() -> None:
    """Everything, the CSRF token included: who signs in begins anew, whatever a stranger planted before."""
    session.clear()
