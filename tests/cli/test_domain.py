"""`cognate domain`: which custom domains there are, and which are served."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest

from app import errors
from app.cache import STALE_AFTER
from app.env import Env
from app.pools import domains, find
from tests.build import a_pool
from tests.cli.conftest import Run
from tests.conftest import Clock

NAME = "auth.nobody.invalid"


def test_domains_are_listed_with_what_they_have_to_show(run: Run, env: Env) -> None:
    production = replace(env, settings=replace(env.settings, domain_proof="public"))
    waiting, served = a_pool(env), a_pool(env)
    domains.create(production, waiting, domain=NAME, custom=True, settings={})
    domains.create(env, served, domain="auth.example.com", custom=True, settings={})
    domains.create(env, served, domain="people", custom=False, settings={})
    heading, first, second = run("domain", "list").output.splitlines()
    assert heading.split() == ["DOMAIN", "POOL", "ID", "STATUS", "URL", "CONTENT"]
    assert first.split()[:3] == ["auth.example.com", served.id, "ACTIVE"]
    url = f"https://{NAME}/.well-known/cognate-user-pool"
    assert second.split() == [NAME, waiting.id, "CREATING", url, f"http://localhost:8080/{waiting.id}"]
    told = json.loads(run("domain", "list", "--json").output)
    assert told[1] == {
        "domain": NAME,
        "pool_id": waiting.id,
        "status": "CREATING",
        "url": url,
        "content": f"http://localhost:8080/{waiting.id}",
    }
    assert run("domain", "list").exit_code == 0


def test_a_proof_that_is_missing_is_said_and_the_operator_may_vouch(
    run: Run, env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*given: object, **how: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    pool = a_pool(env)
    domains.create(
        replace(env, settings=replace(env.settings, domain_proof="public")), pool, domain=NAME, custom=True, settings={}
    )
    missing = run("domain", "prove", NAME)
    assert isinstance(missing.exception, errors.InvalidParameter)
    assert f"Expected http://localhost:8080/{pool.id} as the content of https://{NAME}" in missing.exception.message
    assert "Name or service not known" in missing.exception.message
    declined = run("domain", "accept", NAME, typed="n\n")
    assert declined.exit_code == 1 and f"belong to whoever has the pool {pool.id}?" in declined.output
    assert find.pool_by_host(env, NAME) is None
    assert run("domain", "accept", NAME, "--yes").output == f"{NAME} is served.\n"
    clock.forward(seconds=STALE_AFTER)
    assert find.pool_by_host(env, NAME) is not None
    assert run("domain", "prove", NAME).output == f"{NAME} has been proven and is served.\n"


def test_a_domain_that_nobody_has_is_refused(run: Run) -> None:
    for command in (["prove"], ["accept", "--yes"]):
        done = run("domain", *command, "nobody.example.com")
        assert isinstance(done.exception, errors.ResourceNotFound), done.output
        assert done.exception.message.startswith("There is no custom domain nobody.example.com; ")


def test_a_question_is_no_part_of_the_json(run: Run, env: Env) -> None:
    domains.create(env, a_pool(env), domain=NAME, custom=True, settings={})
    done = run("domain", "accept", NAME, "--json", typed="y\n")
    assert json.loads(done.stdout) == {"domain": NAME, "status": "ACTIVE"}
    assert "belong to whoever" in done.stderr
