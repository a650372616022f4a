"""The settings of Spring Boot and NextAuth, held against discovery and authorize. No application runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from tests.journeys.conftest import WITHIN, RunningServer
from tests.journeys.quick_starts.pages import QuickStart
from tests.quick_start_pages import code, read, table

# What discovery says does not depend on the server's database.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", ["sqlite"], indirect=True)]
PAGE = "spring-and-nextauth.md"


@pytest.fixture
def registered(server: RunningServer, tmp_path: Path) -> Iterator[QuickStart]:
    one = QuickStart(PAGE, tmp_path, server, "3000")
    one.prepare()
    yield one


def discovery(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(server.demo["discovery_url"], timeout=WITHIN).json()
    return found


def test_the_endpoints_are_those_of_discovery(server: RunningServer) -> None:
    found = discovery(server)
    for row in table(PAGE, "Endpoints"):
        (member,), (value,) = code(row["member of discovery"]), code(row["value"])
        assert found[member] == value.replace("$ISSUER", server.demo["issuer"])


def test_discovery_has_what_spring_reads_by_issuer_uri(server: RunningServer) -> None:
    """What Spring Security's ClientRegistrations demands, and what the metadata parser under it does
    (OpenID Connect Discovery 1.0, 3)."""
    found = discovery(server)
    assert server.demo["discovery_url"] == f"{server.demo['issuer']}/.well-known/openid-configuration"
    assert found["issuer"] == server.demo["issuer"]
    assert {"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"} <= found.keys()
    assert found["subject_types_supported"] and found["response_types_supported"]
    assert "authorization_code" in found["grant_types_supported"]
    assert "client_secret_basic" in found["token_endpoint_auth_methods_supported"]
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    assert "end_session_endpoint" in found


def test_the_scopes_and_checks_are_supported(server: RunningServer) -> None:
    found = discovery(server)
    rows = {code(row["property"])[0]: row["value"] for row in table(PAGE, "Spring Boot: users who sign in")}
    (scopes,) = code(rows["registration.cognate.scope"])
    assert set(scopes.split(",")) <= set(found["scopes_supported"])
    assert "S256" in found["code_challenge_methods_supported"]
    columns = {row[""]: row for row in table(PAGE, "NextAuth (Auth.js)")}
    for version in ("Auth.js (`next-auth` 5)", "`next-auth` 4"):
        (path,) = code(columns["callback"][version])
        assert f'http://localhost:3000{path}"' in read(PAGE)  # is what the page registers


@pytest.mark.parametrize(
    ("callback", "more"),
    [
        ("http://localhost:8081/login/oauth2/code/cognate", {"nonce": "n-0S6_WzA2Mj", "state": "af0ifjsldkj="}),
        (
            "http://localhost:3000/api/auth/callback/cognito",
            {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"},
        ),
    ],
    ids=["Spring", "NextAuth"],
)
def test_the_registered_client_may_ask_as_these_do(
    server: RunningServer, registered: QuickStart, callback: str, more: dict[str, str]
) -> None:
    asked = {
        "response_type": "code",
        "client_id": registered.environ["CLIENT_ID"],
        "scope": "openid email profile",
        "redirect_uri": re.sub(r"\b3000\b", registered.port, callback),
        **more,
    }
    endpoint = discovery(server)["authorization_endpoint"]
    answer = requests.get(f"{endpoint}?{urlencode(asked)}", allow_redirects=False, timeout=WITHIN)
    assert answer.status_code == 302
    assert answer.headers["Location"].split("?")[0].endswith("/login")

    wrong = {**asked, "redirect_uri": asked["redirect_uri"] + "/"}
    answer = requests.get(f"{endpoint}?{urlencode(wrong)}", allow_redirects=False, timeout=WITHIN)
    assert answer.status_code == 400 and 'data-error="redirect_mismatch"' in answer.text


def test_a_secret_of_the_registered_client_is_taken_in_the_header_as_in_the_form(registered: QuickStart) -> None:
    """`client_secret_basic` of Spring; and NextAuth's choice. A code that is none is refused after the client was
    recognised."""
    client = (registered.environ["CLIENT_ID"], registered.environ["CLIENT_SECRET"])
    endpoint = discovery(registered.server)["token_endpoint"]
    asked = {"grant_type": "authorization_code", "code": "none", "redirect_uri": "http://localhost:8081/"}
    in_form = {"client_id": client[0], "client_secret": client[1]}
    for given in ({"auth": client, "data": asked}, {"data": asked | in_form}):
        answer = requests.post(endpoint, timeout=WITHIN, **given)
        assert json.loads(answer.text)["error"] == "invalid_grant"
    answer = requests.post(endpoint, timeout=WITHIN, auth=(client[0], "wrong"), data=asked)
    assert json.loads(answer.text)["error"] == "invalid_client"
