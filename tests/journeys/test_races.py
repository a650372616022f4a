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

from tests.journeys.conftest import RunningServer, administrator

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


def test_refreshes_that_are_executed_late_disturb_nobody(server: RunningServer) -> None:
    """Among the processes of a server, at one moment with the refresh that they came before."""
    admin = administrator(server)
    pool = admin.create_user_pool(PoolName="Late")["UserPool"]["Id"]
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 60}
    flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    client = admin.create_user_pool_client(
        UserPoolId=pool, ClientName="App", ExplicitAuthFlows=flows, RefreshTokenRotation=rotation
    )["UserPoolClient"]["ClientId"]
    admin.admin_create_user(UserPoolId=pool, Username="alice", MessageAction="SUPPRESS")
    admin.admin_set_user_password(UserPoolId=pool, Username="alice", Password="Correct-horse-7", Permanent=True)
    given = {"USERNAME": "alice", "PASSWORD": "Correct-horse-7"}
    first = admin.admin_initiate_auth(
        UserPoolId=pool, ClientId=client, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=given
    )["AuthenticationResult"]["RefreshToken"]

    def refreshed(token: str) -> Any:
        try:
            answer = admin.get_tokens_from_refresh_token(ClientId=client, RefreshToken=token)
        except admin.exceptions.NotAuthorizedException as refused:
            return refused.response["message"]
        return answer["AuthenticationResult"]["RefreshToken"]

    good = refreshed(refreshed(first))
    start = threading.Barrier(AT_ONCE)

    def refresh(token: str) -> Any:
        start.wait()
        return refreshed(token)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = list(threads.map(refresh, [good, first] * (AT_ONCE // 2)))
    assert set(outcomes[1::2]) == {"Refresh Token has been superseded"}
    (successor,) = set(outcomes[::2])
    assert refreshed(successor) not in (first, good, successor)
    admin.close()
