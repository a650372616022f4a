"""The hosted UI and the code flow without a browser: what a person sends, and then the application."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from tests.journeys.conftest import WITHIN


class Form(HTMLParser):
    """The fields of a page, with what they hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name"):
            self.fields[str(given["name"])] = given.get("value") or ""


def sign_in(demo: dict[str, Any], *, verify: str | bool = True) -> dict[str, str]:
    """Signs the demo's user in at its web application, and returns the tokens. `verify` is what requests calls so."""
    with requests.Session() as browser:
        browser.trust_env = False  # or REQUESTS_CA_BUNDLE, where it is set, would count for more
        browser.verify = verify
        client = demo["clients"]["web"]
        asked = {"client_id": client["client_id"], "response_type": "code", "redirect_uri": client["redirect_uri"]}
        page = browser.get(f"{demo['issuer']}/oauth2/authorize", params=asked | {"scope": "openid"}, timeout=WITHIN)
        style = re.search(r'href="([^"]+theme\.css)"', page.text)
        assert style and browser.get(urljoin(page.url, style[1]), timeout=WITHIN).status_code == 200
        given = {"username": demo["user"]["username"], "password": demo["user"]["password"]}
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
        answer = browser.post(
            page.url,
            data=Form(page.text).fields | given,
            headers={"Origin": origin},
            timeout=WITHIN,
            allow_redirects=False,
        )
        while not (there := answer.headers.get("Location", "")).startswith(client["redirect_uri"]):
            assert there, f"{answer.status_code} {answer.text}"
            answer = browser.get(urljoin(answer.url, there), timeout=WITHIN, allow_redirects=False)
        (code,) = parse_qs(urlsplit(there).query)["code"]
        tokens: dict[str, str] = browser.post(
            f"{demo['issuer']}/oauth2/token",
            data={"grant_type": "authorization_code", "code": code, "redirect_uri": client["redirect_uri"]},
            auth=(client["client_id"], client["client_secret"]),
            timeout=WITHIN,
        ).json()
        return tokens
