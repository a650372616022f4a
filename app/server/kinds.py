"""Which lane a request belongs to: by what it will do to the machine, as far as its head and a look at its body tell.

A request in the wrong lane is answered as well, only at another's cost: what hashes among the rest still waits for its
turn at the hasher (app.crypto.passwords), and holds one of their threads meanwhile.
"""

from __future__ import annotations

from typing import Any

import orjson

from app.env import Env
from app.oauth import well_known
from app.server.lanes import AtOnce, Lane

HASHING = frozenset("SignUp ConfirmForgotPassword ChangePassword AdminCreateUser AdminSetUserPassword".split())
"""Operations that hash a password whatever is in them."""
FLOWS = frozenset("USER_PASSWORD_AUTH ADMIN_USER_PASSWORD_AUTH ADMIN_NO_SRP_AUTH USER_AUTH".split())
"""AuthFlows of InitiateAuth that may hash one."""
CHALLENGES = frozenset("PASSWORD NEW_PASSWORD_REQUIRED SELECT_CHALLENGE".split())
"""Challenges whose answers may."""
PAGES = frozenset("login newpassword signup confirmforgotpassword recovery".split())
"""The last segments of pages whose forms may, in lower case."""
DOCUMENTS = tuple(well_known.OPERATIONS)
"""How the paths of public documents end: whoever asks for one waits for nobody who needs the database for more."""
HEALTH = frozenset(("/healthz", "/readyz"))


class Kinds:
    def __init__(self, env: Env, *, health: Lane, documents: Lane, passwords: Lane, others: Lane) -> None:
        self._env = env
        self._at_once = AtOnce()
        self._health = health
        self._documents = documents
        self._passwords = passwords
        self._others = others

    def __call__(self, environ: dict[str, Any], body: bytes) -> Lane | AtOnce:
        path = environ["PATH_INFO"]
        if path.endswith("/"):  # the API; elsewhere the header means nothing, and must not choose a lane
            target = environ.get("HTTP_X_AMZ_TARGET", "")
            return self._passwords if _may_hash(target.rpartition(".")[2], body) else self._others
        if path in HEALTH:
            return self._health
        if path.endswith(DOCUMENTS):
            return self._at_once if self.in_memory(environ) else self._documents
        if environ["REQUEST_METHOD"] == "POST" and path.rpartition("/")[2].lower() in PAGES:
            return self._passwords
        return self._others

    def in_memory(self, environ: dict[str, Any]) -> bool:
        """Whether a request can be answered with what is in memory. It may not have been so when it came: nothing is
        believed for long while the database answers, and nothing else can be had when it does not."""
        document = well_known.prepared(self._env, environ)
        if document is not None:
            environ[well_known.PREPARED] = document
        return document is not None


def _may_hash(operation: str, body: bytes) -> bool:
    if operation in HASHING:
        return True
    if operation in ("InitiateAuth", "AdminInitiateAuth"):
        return _member(body, "AuthFlow") in FLOWS
    if operation in ("RespondToAuthChallenge", "AdminRespondToAuthChallenge"):
        return _member(body, "ChallengeName") in CHALLENGES
    return False


def _member(body: bytes, name: str) -> str | None:
    try:
        found = orjson.loads(body)[name]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) else None
