"""Names that lead nowhere."""

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app.config import Settings
from app.doctor import names
from app.doctor.finding import ADVICE, FINE, PROBLEM, SKIPPED, Finding
from app.doctor.subject import Subject
from app.env import Env
from app.pools import domains
from tests.build import a_pool

KNOWN = {"idp.example.com": "192.0.2.10", "auth.customer.example": "192.0.2.11", "shop.idp.example.com": "192.0.2.10"}


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The world's names."""
    known = dict(KNOWN)

    def look(name: str, *rest: Any, **more: Any) -> list[Any]:
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return known


@pytest.fixture
def public(subject: Subject, app: Flask, env: Env) -> Subject:
    """An installation with a name, a prefix domain and two custom ones, of which one has been proven."""
    settings = replace(subject.settings, base_url="https://idp.example.com")
    pool, other = a_pool(env), a_pool(env)
    domains.create(env, pool, domain="shop", custom=False, settings={})
    domains.create(env, pool, domain="auth.customer.example", custom=True, settings={})
    unproven = replace(env, settings=replace(env.settings, domain_proof="public"))
    domains.create(unproven, other, domain="auth.other.example", custom=True, settings={})
    return replace(subject, settings=settings)


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in found]


def test_all_lead_somewhere(public: Subject, resolver: dict[str, str]) -> None:
    found = names.check(public)
    assert told(found) == [("proof", ADVICE), *[("name", FINE)] * 3]
    assert found[0].fix == "cognate domain prove auth.other.example"


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_one_leads_nowhere(public: Subject, resolver: dict[str, str], name: str) -> None:
    del resolver[name]
    (found,) = (one for one in names.check(public) if one.state == PROBLEM)
    assert found.what.startswith(name) and "Name or service not known" in found.what
    assert found.fix == f"an A or AAAA record of {name}"


def test_without_the_database_the_base_url_is_still_looked_at(
    resolver: dict[str, str], unopened: Callable[[Settings], Subject]
) -> None:
    subject = unopened(Settings(mode="development", base_url="https://idp.example.com"))
    assert told(names.check(subject)) == [("domains", SKIPPED), ("name", FINE)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_an_address_needs_no_name(unopened: Callable[[Settings], Subject], host: str) -> None:
    found = names.check(unopened(Settings(mode="development", base_url=f"http://{host}:8080")))
    assert told(found) == [("name", FINE), ("domains", SKIPPED)]
