"""A person in front of the pages: opens one, fills in, presses, reads what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.env import Env
from app.models import Client, Pool, User
from tests.build import CALLBACK, a_client, a_pool, a_user

BASE = "http://localhost:8080"


class Page(HTMLParser):
    """What a page says and asks for."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.html = response.get_data(as_text=True)
        self.inputs: dict[str, str] = {}
        self.input_attributes: dict[str, dict[str, str | None]] = {}
        self.links: dict[str, str] = {}
        self.ids: set[str] = set()
        self.errors: dict[str, str] = {}
        self.words: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if tag == "input" and given.get("name"):
            self.inputs[str(given["name"])] = given.get("value") or ""
            self.input_attributes[str(given["name"])] = given
        if tag not in ("input", "meta", "link", "img", "source", "path", "circle", "br"):
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        while any(tag == opened for opened, _ in self._open) and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        self.words.append(text)
        for tag, given in self._open:
            if tag == "a":
                self.links[text] = given.get("href") or ""
            if str(given.get("id") or "").endswith("-error"):
                self.errors[str(given["id"]).removesuffix("-error")] = text

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def title(self) -> str:
        return self.words[0].partition(" · ")[0]


@dataclass
class Visitor:
    """A browser without a window. Follows redirects as long as they stay here; `went` are the addresses."""

    http: FlaskClient
    base: str = BASE
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    went: list[str] = field(default_factory=list)
    page: Page = field(init=False)

    def open(self, url: str) -> Page:
        return self._go("GET", url)

    def press(self, **fields: str) -> Page:
        """Fill in the form that is on the page, and send it."""
        return self.send({**self.page.inputs, **{self._name(name): value for name, value in fields.items()}})

    def send(self, fields: dict[str, str], **headers: str) -> Page:
        return self._go("POST", self.url, data=fields, headers={**self.headers, **headers})

    def _name(self, name: str) -> str:
        attribute = f"requiredAttributes[{name}]"
        return attribute if attribute in self.page.inputs else name

    def _go(self, method: str, url: str, **given: Any) -> Page:
        self.went = []
        given.setdefault("headers", self.headers)
        response = self.http.open(url, base_url=self.base, method=method, **given)
        while response.status_code in (302, 303) and self._is_here(response.location):
            url = response.location
            self.went.append(url)
            response = self.http.get(url, base_url=self.base, headers=self.headers)
        self.url = url
        if response.status_code in (302, 303):
            self.went.append(response.location)
        self.page = Page(response)
        return self.page

    def _is_here(self, location: str) -> bool:
        return location.startswith("/") or location.startswith(f"{self.base}/")

    @property
    def landed(self) -> str:
        """Where the last redirect led, outside."""
        return self.went[-1] if self.went else ""


@dataclass(frozen=True)
class Place:
    """A pool with a client, and the addresses of its pages."""

    app: Flask
    pool: Pool
    client: Client

    def path(self, name: str, **query: str) -> str:
        asked = {
            "client_id": self.client.id,
            "response_type": "code",
            "scope": "openid email",
            "redirect_uri": CALLBACK,
            "state": "s1",
            **query,
        }
        return f"/{self.pool.id}/{name}?{urlencode(asked)}"

    def a_user(self, username: str = "alice", **facts: Any) -> User:
        with self.app.app_context():
            return a_user(self.app.extensions["cognate"], self.pool, username, **facts)

    def do(self, what: Callable[[Env], Any]) -> Any:
        """A use-case, outside any request."""
        with self.app.app_context():
            return what(self.app.extensions["cognate"])


def a_place(app: Flask, pool: dict[str, Any] | None = None, **client: Any) -> Place:
    with app.app_context():
        env = app.extensions["cognate"]
        made = a_pool(env, **(pool or {}))
        given = {"prevent_user_existence_errors": "ENABLED", **client}
        return Place(app, made, a_client(env, made, **given))


@pytest.fixture
def place(app: Flask) -> Place:
    return a_place(app)


@pytest.fixture
def visitor(http: FlaskClient) -> Visitor:
    return Visitor(http)


@pytest.fixture
def visitors(app: Flask) -> Iterator[Callable[..., Visitor]]:
    """Browsers that share nothing."""
    yield lambda base=BASE, **headers: Visitor(app.test_client(), base, headers)


def signed_in(visitor: Visitor) -> bool:
    """Whether the last step led to the application, with a code."""
    return visitor.landed.startswith(f"{CALLBACK}?") and "code=" in urlsplit(visitor.landed).query
