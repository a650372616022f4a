"""What a browser keeps for the application: sign-ins that it began, and the tokens of the one that succeeded.

Everything is in cookies, because each worker process has a memory of its own; sealed, so that nobody reads or alters
them, and in as many cookies as it takes, because a browser drops one of more than 4096 bytes without a word.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import orjson
from flask import Response, request

from app.crypto.seal import SealBroken
from app.demo.protocol import Begun, Failed, Tokens
from app.env import Env

PATH = "/demo"
TOKENS, BEGUN = "cognate-demo", "cognate-demo-begun"
LARGEST = 3800
"""Characters of a cookie's value; name and attributes count against the 4096 too."""
MOST = 8
"""Cookies of one value."""
TABS = 4
"""Sign-ins that one browser may have begun: in several tabs, or given up."""
PATIENCE = timedelta(hours=1)
"""For a person at the sign-in pages."""


@dataclass(frozen=True)
class SignedIn:
    tokens: Tokens
    csrf: str
    """What the forms of the page have to say."""
    refreshed: int = 0
    """How often."""


def signed_in(env: Env) -> SignedIn | None:
    found = _kept(env, TOKENS)
    return SignedIn(Tokens(**found["tokens"]), found["csrf"], found["refreshed"]) if found else None


def keep(env: Env, response: Response, session: SignedIn) -> None:
    _keep(env, response, TOKENS, asdict(session))


def forget(env: Env, response: Response) -> None:
    _keep(env, response, TOKENS, None)


def begun(env: Env, state: str) -> Begun | None:
    """The sign-in of this state, if this browser began it not long ago."""
    for one in _all_begun(env):
        if one["state"] == state:
            return Begun(one["state"], one["nonce"], one["verifier"])
    return None


def keep_begun(env: Env, response: Response, new: Begun) -> None:
    now = env.now().timestamp()
    _keep(env, response, BEGUN, [*_all_begun(env)[1 - TABS :], {**asdict(new), "at": now}], PATIENCE)


def take_begun(env: Env, response: Response, done: Begun) -> None:
    """Forget the one that is answered: an answer counts once."""
    left = [one for one in _all_begun(env) if one["state"] != done.state]
    _keep(env, response, BEGUN, left or None, PATIENCE)


def _all_begun(env: Env) -> list[dict[str, Any]]:
    oldest = (env.now() - PATIENCE).timestamp()
    return [one for one in _kept(env, BEGUN) or [] if one["at"] > oldest]


def _kept(env: Env, name: str) -> Any:
    parts: list[str] = []
    while (part := request.cookies.get(f"{name}-{len(parts)}")) and len(parts) < MOST:
        parts.append(part)
    try:
        return orjson.loads(zlib.decompress(env.seal.open("".join(parts), about=name)))
    except SealBroken:  # nothing, or of another installation on another port of this host
        return None


def _keep(env: Env, response: Response, name: str, value: Any, lifetime: timedelta | None = None) -> None:
    text = "" if value is None else env.seal.seal(zlib.compress(orjson.dumps(value)), about=name)
    parts = [text[at : at + LARGEST] for at in range(0, len(text), LARGEST)]
    if len(parts) > MOST:
        raise Failed("The tokens are larger than what a browser keeps in cookies.")
    where: dict[str, Any] = {"path": PATH, "secure": env.settings.https, "httponly": True, "samesite": "Lax"}
    for number, part in enumerate(parts):
        response.set_cookie(f"{name}-{number}", part, max_age=lifetime, **where)
    for number in range(len(parts), MOST):
        if f"{name}-{number}" in request.cookies:
            response.delete_cookie(f"{name}-{number}", **where)
