"""What must happen once, asked for at once over HTTP."""

from __future__ import annotations

import html
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.journeys.conftest import RunningServer

pytestmark = pytest.mark.slow

AT_ONCE = 16


def code_for(server: RunningServer) -> str:
    """A code for the demo user, who signs in at the hosted pages."""
    web, user = server.demo["clients"]["web"], server.demo["user"]
    browser = requests.Session()
    query = {"response_type": "code", "client_id": web["client_id"], "redirect_uri": web["redirect_uri"]}
    authorize = requests.get(server.demo["discovery_url"], timeout=60).json()["authorization_endpoint"]
    page = browser.get(authorize, params={**query, "scope": "openid"}, timeout=60)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    form = {"csrf_token": html.unescape(found[1]), "username": user["username"], "password": user["password"]}
    answer = browser.post(page.url, data=form, allow_redirects=False, timeout=60)
    assert answer.status_code == 303, answer.text
    back = browser.get(f"{server.base_url}{answer.headers['Location']}", allow_redirects=False, timeout=60)
    return parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]


def test_of_sixteen_redemptions_of_one_code_one_gets_tokens(server: RunningServer) -> None:
    """Requirement 6. The others are refused, and make the tokens worthless: one of them all was not the client."""
    endpoints = requests.get(server.demo["discovery_url"], timeout=60).json()
    web = server.demo["clients"]["web"]
    form = {"grant_type": "authorization_code", "code": code_for(server), "redirect_uri": web["redirect_uri"]}
    start = threading.Barrier(AT_ONCE)

    def redeem(_: int) -> Any:
        start.wait()
        credentials = (web["client_id"], web["client_secret"])
        return requests.post(endpoints["token_endpoint"], data=form, auth=credentials, timeout=60)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(redeem, range(AT_ONCE)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    header = {"Authorization": f"Bearer {winner['access_token']}"}
    assert requests.get(endpoints["userinfo_endpoint"], headers=header, timeout=60).status_code == 401
