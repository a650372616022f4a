"""Whatever is sent to an operation, it answers with a reply or with a refusal that it declares, and leaves the
database whole.

Every operation that is declared is fuzzed, without a list here. Half a minute on SQLite; COGNATE_FUZZ_EXAMPLES=2000
makes as many examples of each operation, new ones each time.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import exists, select, text
from werkzeug.test import TestResponse

from app import create_app
from app.api import errors as framework
from app.api import operations
from app.api.registry import OPERATIONS
from app.crypto import jose
from app.db import db
from app.models import (
    Alias,
    Client,
    Domain,
    Group,
    ManagedLoginBranding,
    Pool,
    UICustomization,
    User,
)
from app.models.branding import ALL
from app.policy.attributes import name_key
from tests import postgres
from tests.api import furnished, generate
from tests.api.conftest import ANY_KEY, TARGET, Api, body
from tests.api.generate import Asked
from tests.conftest import Clock, test_settings

pytestmark = pytest.mark.slow
operations.load()

GIVEN = os.environ.get("COGNATE_FUZZ_EXAMPLES")
EXAMPLES = int(GIVEN or 6)
SLOW = 60
"""Seconds for one answer, on a machine that has other things to do."""

FUZZED = settings(
    max_examples=EXAMPLES,
    derandomize=GIVEN is None,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


class World:
    """A furnished server, which can be put back to what it was."""

    def __init__(self, app: Flask, restore: Callable[[], None]) -> None:
        self.app = app
        self.api = Api(app.test_client())
        self._restore = restore
        with app.app_context():
            self._made = furnished.furnish(self.api)
        self.known = furnished.known(self._made)
        self._close()

    def restored(self) -> None:
        """As it was when it was furnished."""
        self._close()
        self._restore()
        self.app.extensions["cognate"].cache.drop()

    def _close(self) -> None:
        with self.app.app_context():
            db.engine.dispose()

    def call(self, asked: Asked) -> int:
        """As the wire carries it, also what is not JSON, such as half of a character; judged. Returns the status."""
        headers = {"X-Amz-Target": TARGET + asked.operation, "Authorization": ANY_KEY}
        sent = json.dumps(self._made.signed(asked.members), ensure_ascii=False).encode("utf-8", "surrogatepass")
        began = time.monotonic()
        answer = self.api.http.post("/", data=sent, headers=headers, content_type="application/x-amz-json-1.1")
        assert time.monotonic() - began < SLOW
        judge(asked.operation, answer)
        return answer.status_code


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A furnished server, one for the module: every test puts it back before it begins."""
    directory = tmp_path_factory.mktemp("fuzz")
    if request.param == "sqlite":
        path, kept = directory / "cognate.sqlite", directory / "kept.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"

        def keep() -> None:
            shutil.copy(path, kept)

        def restore() -> None:
            for beside in ("-wal", "-shm"):
                Path(f"{path}{beside}").unlink(missing_ok=True)
            shutil.copy(kept, path)

    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        name = f"fuzz{os.getpid()}"
        url = server.create(name, template=request.getfixturevalue("postgres_template"))

        def keep() -> None:
            server.create(f"{name}_kept", template=name)

        def restore() -> None:
            server.drop(name)
            server.create(name, template=f"{name}_kept")

    with pytest.MonkeyPatch.context() as patch:
        stock = itertools.cycle(request.getfixturevalue("rsa_keys"))
        generate_key = jose.generate
        patch.setattr(jose, "generate", lambda kind: next(stock) if kind == "RS256" else generate_key(kind))
        clock = Clock()
        app = create_app(test_settings(url, data_dir=directory), now=clock, ticks=clock.ticks)
        app.config["TESTING"] = True
        furnished = World(app, restore)
        keep()
        yield furnished
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(autouse=True)
def unhurried() -> None:
    """A long run is no test that hangs."""
    if GIVEN:
        faulthandler.cancel_dump_traceback_later()


def judge(operation: str, answer: TestResponse) -> None:
    """What every answer must be, whatever was asked. (The dispatcher has compared it with the model already.)"""
    assert answer.status_code in (200, 400, 413), answer.text
    assert "Traceback" not in answer.text
    said = body(answer)
    assert isinstance(said, dict)
    if answer.status_code == 200:
        assert bool(answer.data) is (OPERATIONS[operation].output is not None)
        return
    assert said.keys() == {"__type", "message"}
    assert answer.headers["x-amzn-ErrorType"] == said["__type"]
    assert said["__type"].removesuffix("Exception") in OPERATIONS[operation].refusals | framework.FRAMEWORK
    assert said["message"]


def examine(world: World) -> None:
    """The database is whole, and everything in it can be described, listed, and shown to people."""
    with world.app.app_context():
        pools, clients, users, domains, styles, groups = consistent()
        db.session.remove()
    api, http = world.api, world.api.http
    for pool in pools:
        arn = api("DescribeUserPool", UserPoolId=pool)["UserPool"]["Arn"]
        api("ListTagsForResource", ResourceArn=arn)
        for name in ("GetUserPoolMfaConfig", "GetUICustomization", "GetLogDeliveryConfiguration"):
            api(name, UserPoolId=pool)
        for name in ("ListUsers", "ListGroups", "ListResourceServers", "ListUserPoolClients", "ListTerms"):
            api(name, UserPoolId=pool)
        assert http.get(f"/{pool}/.well-known/openid-configuration").status_code == 200
    for pool, client in clients:
        callbacks = api("DescribeUserPoolClient", UserPoolId=pool, ClientId=client)["UserPoolClient"]
        api("GetUICustomization", UserPoolId=pool, ClientId=client)
        asked = {"client_id": client, "response_type": "code", "scope": "openid"}
        for uri in callbacks.get("CallbackURLs", [])[:2]:
            for path in ("login", "signup", "oauth2/authorize"):
                shown = http.get(f"/{pool}/{path}", query_string={**asked, "redirect_uri": uri})
                assert shown.status_code < 500, shown.text
    for pool, username in users:
        api("AdminGetUser", UserPoolId=pool, Username=username)
        api("AdminListGroupsForUser", UserPoolId=pool, Username=username)
    for pool, group in groups:
        api("ListUsersInGroup", UserPoolId=pool, GroupName=group)
    for domain in domains:
        api("DescribeUserPoolDomain", Domain=domain)
    for pool, style in styles:
        api("DescribeManagedLoginBranding", UserPoolId=pool, ManagedLoginBrandingId=style, ReturnMergedResources=True)


def consistent() -> tuple[list[Any], ...]:
    """Look for what the database itself does not forbid. Returns what there is to be looked at from outside."""
    session = db.session
    if db.engine.dialect.name == "sqlite":
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []
    named = exists().where(
        Alias.user_sub == User.sub,
        Alias.pool_id == User.pool_id,
        Alias.generation == Pool.generation,
        Alias.attribute == "username",
    )
    assert session.scalars(select(User.username).join(Pool, Pool.id == User.pool_id).where(~named)).all() == []
    held = select(Alias, User, Pool).join(User, User.sub == Alias.user_sub).join(Pool, Pool.id == Alias.pool_id)
    for alias, user, pool in session.execute(held):
        assert user.pool_id == alias.pool_id
        [rules] = [one for one in pool.namings if one.generation == alias.generation]
        assert name_key(rules, getattr(user, alias.attribute)) == alias.value
    # A customization of a client has no foreign key, since it may be of all clients.
    client = exists().where(Client.id == UICustomization.client_id, Client.pool_id == UICustomization.pool_id)
    orphans = select(UICustomization.client_id).where(UICustomization.client_id != ALL, ~client)
    assert session.scalars(orphans).all() == []
    return (
        list(session.scalars(select(Pool.id))),
        list(session.execute(select(Client.pool_id, Client.id))),
        list(session.execute(select(User.pool_id, User.username).limit(10))),
        list(session.scalars(select(Domain.domain))),
        list(session.execute(select(ManagedLoginBranding.pool_id, ManagedLoginBranding.id))),
        list(session.execute(select(Group.pool_id, Group.name))),
    )


READS = ("Get", "Describe", "List", "AdminGet", "AdminList")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_operation_answers_whatever_it_is_asked(world: World, operation: str) -> None:
    """On SQLite each example meets the same world, and so shrinks. PostgreSQL takes a while to give one back: there
    it is looked at when the operation has had all its examples."""
    each = world.app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite")
    world.restored()

    @FUZZED
    @given(generate.calls(operation, world.known))
    def ask(asked: Asked) -> None:
        if world.call(asked) == 200 and each and not operation.startswith(READS):
            examine(world)
            world.restored()

    ask()
    if not each:
        examine(world)


def test_the_database_is_whole_after_many_operations(world: World) -> None:
    """One after another in one world: each meets what those before it have left."""
    # Those that take everything away come rarely, or nothing would be left to look at.
    names = [name for name in sorted(OPERATIONS) for _ in range(1 if "Delete" in name else 6)]
    one = st.sampled_from(names).flatmap(lambda name: generate.calls(name, world.known))

    @settings(FUZZED, max_examples=3 * EXAMPLES)
    @given(st.lists(one, min_size=10, max_size=15))
    def ask(calls: list[Asked]) -> None:
        world.restored()
        for asked in calls:
            world.call(asked)
        examine(world)

    ask()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 5000,
        b'{"UserPoolId":' * 5000,
        b'{"UserPoolId": "\xff"}',
        b'{"UserPoolId": "\\ud800"}',
        b'{"UserPoolId": NaN}',
        b'{"UserPoolId": 1e999}',
        b'{"UserPoolId": ' + b"9" * 5000 + b"}",
        b"\x00",
        b"\xef\xbb\xbf{}",
        b'{"a":1}' * 2,
    ],
)
def test_a_body_that_is_no_call_is_refused(world: World, sent: bytes) -> None:
    headers = {"X-Amz-Target": TARGET + "DescribeUserPool", "Authorization": ANY_KEY}
    answer = world.api.http.post("/", data=sent, headers=headers, content_type="application/x-amz-json-1.1")
    judge("DescribeUserPool", answer)
    assert answer.status_code == 400
