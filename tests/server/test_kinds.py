"""Which lane a request takes: what may hash a password queues with its like; what never waits is answered at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from flask import Flask

from app.api.registry import OPERATIONS
from app.oauth import well_known
from app.oauth.well_known import Document
from app.server import kinds
from app.server.kinds import Kinds
from app.server.lanes import AtOnce, Lane


def lane(name: str) -> Lane:
    return Lane(name, 1, longest_wait=1.0, ticks=lambda: 0.0)


HEALTH, DOCUMENTS, PASSWORDS, OTHERS = map(lane, ("health", "documents", "passwords", "others"))


def lane_of(
    env: Any, *, method: str = "POST", path: str = "/", operation: str | None = None, body: Any = None
) -> Lane | AtOnce:
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    if operation is not None:
        environ["HTTP_X_AMZ_TARGET"] = f"AWSCognitoIdentityProviderService.{operation}"
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    return Kinds(env, health=HEALTH, documents=DOCUMENTS, passwords=PASSWORDS, others=OTHERS)(environ, sent)


NOTHING_KNOWN = SimpleNamespace(cache=SimpleNamespace(peek=lambda key: None, while_away=lambda key: None))


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("SignUp", {}, PASSWORDS),
        ("AdminSetUserPassword", {}, PASSWORDS),
        ("InitiateAuth", {"AuthFlow": "USER_PASSWORD_AUTH"}, PASSWORDS),
        ("InitiateAuth", {"AuthFlow": "USER_AUTH"}, PASSWORDS),
        ("AdminInitiateAuth", {"AuthFlow": "ADMIN_NO_SRP_AUTH"}, PASSWORDS),
        ("RespondToAuthChallenge", {"ChallengeName": "NEW_PASSWORD_REQUIRED"}, PASSWORDS),
        ("InitiateAuth", {"AuthFlow": "USER_SRP_AUTH"}, OTHERS),
        # Whoever says both is believed in what the operation will read.
        ("InitiateAuth", {"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientMetadata": {"a": "USER_PASSWORD_AUTH"}}, OTHERS),
        ("InitiateAuth", {"AuthFlow": "USER_PASSWORD_AUTH", "ClientMetadata": {"a": "REFRESH_TOKEN"}}, PASSWORDS),
        ("RespondToAuthChallenge", {"ChallengeName": "PASSWORD_VERIFIER"}, OTHERS),
        ("InitiateAuth", {"AuthFlow": ["USER_PASSWORD_AUTH"]}, OTHERS),
        ("InitiateAuth", [], OTHERS),
        ("InitiateAuth", b"{", OTHERS),
        ("InitiateAuth", b"\xff", OTHERS),
        ("GetUser", {}, OTHERS),
        ("NoSuchThing", {}, OTHERS),
        ("", {}, OTHERS),
    ],
)
def test_operations_that_may_hash_a_password(operation: str, body: Any, expected: Lane) -> None:
    assert lane_of(NOTHING_KNOWN, operation=operation, body=body) is expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/us-east-1_abc/login", PASSWORDS),
        ("POST", "/us-east-1_abc/confirmForgotPassword", PASSWORDS),
        ("GET", "/us-east-1_abc/login", OTHERS),
        ("POST", "/us-east-1_abc/oauth2/token", OTHERS),
        ("POST", "/", OTHERS),
        ("GET", "/healthz", HEALTH),
        ("GET", "/readyz", HEALTH),
        ("GET", "/us-east-1_abc/.well-known/jwks.json", DOCUMENTS),
        ("GET", "/.well-known/openid-configuration", DOCUMENTS),
    ],
)
def test_pages_and_endpoints(method: str, path: str, expected: Lane) -> None:
    assert lane_of(NOTHING_KNOWN, method=method, path=path) is expected


def test_what_the_names_mean_exists(app: Flask) -> None:
    assert kinds.HASHING <= OPERATIONS.keys()
    paths = {
        rule.rule.rpartition("/")[2].lower() for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())
    }
    assert kinds.PAGES <= paths
    assert kinds.HEALTH <= {rule.rule for rule in app.url_map.iter_rules()}


def test_a_document_in_memory_is_answered_at_once_and_by_what_was_found() -> None:
    """Found once: between two looks it could be dropped, and granian's thread would wait for the database."""
    document = Document(b"{}")
    env: Any = SimpleNamespace(cache=SimpleNamespace(peek=lambda key: document, while_away=lambda key: None))
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/us-east-1_abc/.well-known/jwks.json"}
    found = Kinds(env, health=HEALTH, documents=DOCUMENTS, passwords=PASSWORDS, others=OTHERS)(environ, b"")
    assert isinstance(found, AtOnce)
    assert environ[well_known.PREPARED] is document
    env.cache.peek = lambda key: None
    assert list(well_known.Prepared(lambda *_: [b"asked"], env)(environ, lambda *_: None)) == [b"{}"]


def test_the_header_of_the_api_chooses_no_lane_for_a_page() -> None:
    """Whoever sends it along with a form would put their hashes among the requests that need none."""
    assert lane_of(NOTHING_KNOWN, path="/us-east-1_abc/login", operation="GetUser", body={}) is PASSWORDS
