"""What one answer has said, the next request sees: through two workers of one server, and through two servers.

Every call comes on a connection of its own, so that chance decides which worker takes it. A write and what is read
after its answer are a pair; three hundred pairs of each kind of installation, and none may be stale. COGNATE_PAIRS=1000
looks longer.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.server.test_serve import GUNICORN, ROOT, WITHIN, Running

TARGET = "AWSCognitoIdentityProviderService."
PAIRS = int(os.environ.get("COGNATE_PAIRS") or 300)
NOTIFIED = 0.1
"""Seconds after which an unsigned request at another host sees what an answer has said."""
EACH = 20
"""Clients, and APIs, that are changed in turn."""
API = "https://api.example.com"


@dataclass
class Door:
    """One server's port, and how it is called."""

    running: Running
    key: Credentials

    @property
    def port(self) -> int:
        return self.running.port

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        connection.request("POST", path, body, {**headers, "Connection": "close"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read() or b"{}")
        connection.close()
        return answer

    def signed(self, operation: str, **members: Any) -> dict[str, Any]:
        body = json.dumps(members).encode()
        headers = {"X-Amz-Target": TARGET + operation, "Content-Type": "application/x-amz-json-1.1"}
        request = AWSRequest("POST", f"http://127.0.0.1:{self.port}/", data=body, headers=headers)
        SigV4Auth(self.key, "cognito-idp", "us-east-1").add_auth(request)
        return self.post("/", body, dict(request.headers.items()))

    def done(self, operation: str, **members: Any) -> dict[str, Any]:
        """A write that must not be refused."""
        answer = self.signed(operation, **members)
        assert "__type" not in answer, f"{operation}: {answer}"
        return answer

    def refresh(self, client_id: str) -> str:
        """What InitiateAuth says to a refresh token that is none: whether the client may refresh at all."""
        body = {"ClientId": client_id, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": {"REFRESH_TOKEN": "none"}}
        headers = {"X-Amz-Target": TARGET + "InitiateAuth", "Content-Type": "application/x-amz-json-1.1"}
        answer = self.post("/", json.dumps(body).encode(), headers)
        return str(answer["message"])

    def scope(self, pool_id: str, client_id: str, secret: str) -> str:
        """Of a token for client credentials; or why there is none."""
        basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
        answer = self.post(f"/{pool_id}/oauth2/token", b"grant_type=client_credentials", headers)
        return str(answer.get("scope") or answer["error"])

    def document(self, pool_id: str, name: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        connection.request("GET", f"/{pool_id}/.well-known/{name}", headers={"Connection": "close"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


Look = Callable[[Door], str | None]
"""Reads at a door, and says what is stale there."""


def differs(what: str, found: object, expected: object) -> str | None:
    return None if found == expected else f"{what}: {found}, not {expected}"


@dataclass
class World:
    """A pool that is changed at one door, and looked at through another."""

    door: Door
    pool_id: str = ""
    clients: list[str] = field(default_factory=list)
    machines: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool_id = self.door.done("CreateUserPool", PoolName="People")["UserPool"]["Id"]
        self.clients = [self._client() for _ in range(EACH)]
        for number in range(EACH):
            api = f"{API}/{number}"
            self._api("CreateResourceServer", api, "read")
            made = self.door.done(
                "CreateUserPoolClient",
                UserPoolId=self.pool_id,
                ClientName="Machine",
                GenerateSecret=True,
                AllowedOAuthFlowsUserPoolClient=True,
                AllowedOAuthFlows=["client_credentials"],
                AllowedOAuthScopes=[f"{api}/read"],
            )["UserPoolClient"]
            self.machines.append((api, made["ClientId"], made["ClientSecret"]))
        self.door.done("AdminCreateUser", UserPoolId=self.pool_id, Username="alice")

    def _client(self) -> str:
        made = self.door.done("CreateUserPoolClient", UserPoolId=self.pool_id, ClientName="App")
        return str(made["UserPoolClient"]["ClientId"])

    def _api(self, operation: str, identifier: str, *scopes: str) -> None:
        named = [{"ScopeName": name, "ScopeDescription": name} for name in scopes]
        self.door.done(operation, UserPoolId=self.pool_id, Identifier=identifier, Name="API", Scopes=named)

    # -- read without a signature

    def flow(self, number: int) -> Look:
        """UpdateUserPoolClient allows a flow or takes it away; then InitiateAuth."""
        client, allowed = self.clients[number % EACH], number // EACH % 2 == 0
        flows = ["ALLOW_REFRESH_TOKEN_AUTH"] if allowed else ["ALLOW_USER_SRP_AUTH"]
        self.door.done("UpdateUserPoolClient", UserPoolId=self.pool_id, ClientId=client, ExplicitAuthFlows=flows)
        said = "Invalid Refresh Token" if allowed else "Auth flow not enabled for this client"
        return lambda door: differs("InitiateAuth", door.refresh(client), said)

    def scope(self, number: int) -> Look:
        """UpdateResourceServer takes away a scope or brings it back; then a token for client credentials."""
        (api, client, secret), there = self.machines[number % EACH], number // EACH % 2 == 1
        self._api("UpdateResourceServer", api, "read" if there else "write")
        expected = f"{api}/read" if there else "invalid_scope"
        return lambda door: differs("scope", door.scope(self.pool_id, client, secret), expected)

    def domain(self, number: int) -> Look:
        """A custom domain comes and goes; then the discovery document, which is served without Flask."""
        there, name = number % 2 == 0, f"{number // 2}.example.com"
        more = {"CustomDomainConfig": {"CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/1"}}
        operation = "CreateUserPoolDomain" if there else "DeleteUserPoolDomain"
        self.door.done(operation, UserPoolId=self.pool_id, Domain=name, **(more if there else {}))
        host = name if there else "localhost"
        return lambda door: differs(
            "discovery",
            urlsplit(door.document(self.pool_id, "openid-configuration")["token_endpoint"]).hostname,
            host,
        )

    def gone(self, number: int) -> Look:
        """A client is deleted; then InitiateAuth of it."""
        client = self._client()
        self.door.done("DeleteUserPoolClient", UserPoolId=self.pool_id, ClientId=client)
        said = f"User pool client {client} does not exist."
        return lambda door: differs("InitiateAuth of nobody", door.refresh(client), said)

    # -- read with one

    def described(self, number: int) -> Look:
        """UpdateUserPool, then DescribeUserPool."""
        tags = {"number": str(number)}
        self.door.done("UpdateUserPool", UserPoolId=self.pool_id, UserPoolTags=tags)
        return lambda door: differs(
            "DescribeUserPool",
            door.signed("DescribeUserPool", UserPoolId=self.pool_id)["UserPool"]["UserPoolTags"],
            tags,
        )

    def attribute(self, number: int) -> Look:
        """AddCustomAttributes, then a user gets one."""
        attribute = {"Name": f"n{number}", "AttributeDataType": "String"}
        self.door.done("AddCustomAttributes", UserPoolId=self.pool_id, CustomAttributes=[attribute])
        given = [{"Name": f"custom:n{number}", "Value": "x"}]
        return lambda door: differs(
            "AdminUpdateUserAttributes",
            door.signed("AdminUpdateUserAttributes", UserPoolId=self.pool_id, Username="alice", UserAttributes=given),
            {},
        )

    def client(self, number: int) -> Look:
        """A client comes, and goes, and is described."""
        client = self._client()
        self.door.signed("DescribeUserPoolClient", UserPoolId=self.pool_id, ClientId=client)
        self.door.done("DeleteUserPoolClient", UserPoolId=self.pool_id, ClientId=client)
        return lambda door: differs(
            "DescribeUserPoolClient",
            door.signed("DescribeUserPoolClient", UserPoolId=self.pool_id, ClientId=client).get("__type"),
            "ResourceNotFoundException",
        )

    def pool(self, number: int) -> Look:
        """A pool goes, and is described."""
        pool_id = self.door.done("CreateUserPool", PoolName="Short-lived")["UserPool"]["Id"]
        self.door.done("DescribeUserPool", UserPoolId=pool_id)
        self.door.done("DeleteUserPool", UserPoolId=pool_id)
        return lambda door: differs(
            "DescribeUserPool of nothing",
            door.signed("DescribeUserPool", UserPoolId=pool_id).get("__type"),
            "ResourceNotFoundException",
        )


def command(running: Running, *arguments: str) -> str:
    """What a command prints that is run beside the server."""
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        cwd=ROOT,
        env=running.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def access_key(running: Running) -> Credentials:
    given = dict(line.split("=", 1) for line in command(running, "access-key", "create").splitlines() if "=" in line)
    return Credentials(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])


Serve = Callable[..., Door]


@pytest.fixture
def serve(database_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers with two workers each on one database, with data directories of their own, as hosts have."""
    started: list[Running] = []

    def start(host: str, *program: str) -> Door:
        directory = tmp_path / host
        directory.mkdir()
        running = Running(directory, *program, database_url=database_url, access_log="off", domain_proof="off")
        started.append(running)
        key = access_key(running)
        running.start()
        return Door(running, key)

    yield start
    for running in started:
        assert running.end() == 0
        assert "Traceback" not in running.log
    for running in started:
        running.clean_up()


def shared_out(*kinds: tuple[Callable[[int], Look], int]) -> Iterator[Look]:
    """PAIRS changes, of each kind as many of a thousand as it says, and one at least."""
    return often(*((kind, max(1, round(share * PAIRS / 1000))) for kind, share in kinds))


def often(*kinds: tuple[Callable[[int], Look], int]) -> Iterator[Look]:
    """Changes of these kinds, each as often as it says, in turn."""
    left = [(kind, iter(range(count))) for kind, count in kinds]
    while left:
        for kind, numbers in list(left):
            number = next(numbers, None)
            if number is None:
                left.remove((kind, numbers))
            else:
                yield kind(number)


@pytest.mark.slow
def test_what_one_worker_has_answered_the_other_one_knows(serve: Serve) -> None:
    door = serve("one")
    world = World(door)
    stale, pairs = [], 0
    for look in shared_out(
        (world.flow, 350),
        (world.scope, 250),
        (world.domain, 180),
        (world.described, 120),
        (world.gone, 40),
        (world.attribute, 30),
        (world.client, 25),
        (world.pool, 5),
    ):
        pairs += 1
        if found := look(door):
            stale.append(found)
    assert stale == [] and pairs == pytest.approx(PAIRS, abs=4)


@pytest.mark.slow
def test_what_a_command_has_done_all_workers_know(serve: Serve) -> None:
    """It is a process of its own beside the server's."""
    door = serve("one")
    world = World(door)
    doomed = access_key(door.running)
    before = {key["kid"] for key in door.document(world.pool_id, "jwks.json")["keys"]}
    intruder = Door(door.running, doomed)
    for _ in range(10):  # by now both have it in their caches
        assert "UserPools" in intruder.signed("ListUserPools", MaxResults=1)
    command(door.running, "rotate-keys", world.pool_id, "--emergency")
    for _ in range(10):
        assert before.isdisjoint(key["kid"] for key in door.document(world.pool_id, "jwks.json")["keys"])
    command(door.running, "access-key", "revoke", doomed.access_key)
    for _ in range(10):
        assert intruder.signed("ListUserPools", MaxResults=1)["__type"] == "UnrecognizedClientException"


@pytest.mark.slow
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_the_workers_of_another_server_know_too(serve: Serve, preload: tuple[str, ...]) -> None:
    """gunicorn, which makes the application before it forks its workers if it is told to."""
    door = serve("one", *GUNICORN, "--no-control-socket", *preload)
    world = World(door)
    assert [found for look in often((world.flow, 60), (world.described, 20)) if (found := look(door))] == []


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_one_server_has_answered_the_administrator_of_another_one_knows(serve: Serve) -> None:
    one, other = serve("one"), serve("other")
    world = World(one)
    stale, pairs = [], 0
    for look in shared_out((world.described, 900), (world.attribute, 50), (world.client, 45), (world.pool, 5)):
        pairs += 1
        if found := look(other):
            stale.append(found)
    assert stale == [] and pairs == pytest.approx(PAIRS, abs=4)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_one_server_has_answered_another_one_knows_a_tenth_of_a_second_later(
    serve: Serve,
) -> None:
    """Without a signature. Meanwhile other things are changed, and the same one not before it has been looked at."""
    one, other = serve("one"), serve("other")
    world = World(one)
    stale, pairs = [], 0
    waiting: deque[tuple[float, Look]] = deque()

    def look(most: int) -> None:
        """At what is due, and until no more than `most` wait."""
        while waiting and (len(waiting) > most or waiting[0][0] <= time.monotonic()):
            due, late = waiting.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            if found := late(other):
                stale.append(found)

    for change in shared_out((world.flow, 500), (world.scope, 450), (world.gone, 50)):
        pairs += 1
        waiting.append((time.monotonic() + NOTIFIED, change))
        look(EACH - 1)
    look(0)
    assert stale == [] and pairs == pytest.approx(PAIRS, abs=4)
