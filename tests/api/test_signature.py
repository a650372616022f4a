"""Signature Version 4: what boto3 signs is understood, and whatever was changed since is refused."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from app.api import shapes
from app.config import Settings
from app.env import Env
from app.pools import access_keys, domains
from tests.api.conftest import ANY_KEY, TARGET, body
from tests.build import a_client, a_pool
from tests.conftest import Clock, test_settings


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Production: the only mode in which every signature is looked at."""
    return test_settings(database_url, data_dir=tmp_path, mode="production", argon2_memory_kib=19456, argon2_time=2)


@pytest.fixture
def key(env: Env) -> access_keys.Pair:
    return access_keys.create(env, description="test")


@pytest.fixture(autouse=True)
def _botocore_asks_our_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    def now(remove_tzinfo: bool = True) -> datetime:
        return clock().replace(tzinfo=None) if remove_tzinfo else clock()

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)


@dataclass(frozen=True)
class Request:
    """A request as it travels."""

    headers: dict[str, str]
    body: bytes = b'{"MaxResults": 5}'
    url: str = "/"

    def with_header(self, name: str, value: str | None) -> "Request":
        headers = {other: text for other, text in self.headers.items() if other.lower() != name.lower()}
        return replace(self, headers=headers if value is None else {**headers, name: value})

    def with_authorization(self, old: str, new: str) -> "Request":
        assert old in self.headers["Authorization"]
        return self.with_header("Authorization", self.headers["Authorization"].replace(old, new))


def signed(
    key: access_keys.Pair,
    *,
    operation: str = "ListUserPools",
    region: str = "us-east-1",
    service: str = "cognito-idp",
    host: str = "localhost",
    url: str = "/",
    payload: bytes = b'{"MaxResults": 5}',
    unsigned: tuple[str, ...] = (),
    **more: str,
) -> Request:
    """Signed by botocore, `unsigned` headers left out of what it signs."""

    class Signer(botocore.auth.SigV4Auth):
        def headers_to_sign(self, request: AWSRequest) -> Any:
            found = super().headers_to_sign(request)
            for name in unsigned:
                del found[name]
            return found

    request = AWSRequest(
        "POST",
        f"http://{host}{url}",
        data=payload,
        headers={"X-Amz-Target": TARGET + operation, "Content-Type": "application/x-amz-json-1.1", **more},
    )
    Signer(Credentials(key.id, key.secret), service, region).add_auth(request)
    return Request({"Host": host, **dict(request.headers.items())}, payload, url)


Send = Callable[[Request], tuple[str, str]]


@pytest.fixture
def send(http: FlaskClient) -> Send:
    """Sends a request from somewhere in the world: type and sentence of the refusal, or `ok`."""

    def sending(request: Request) -> tuple[str, str]:
        answer = http.post(
            request.url,
            data=request.body,
            headers=request.headers,
            environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
        )
        if answer.status_code == 200:
            return "ok", ""
        assert answer.status_code == 400
        return body(answer)["__type"].removesuffix("Exception"), body(answer)["message"]

    return sending


def test_what_botocore_signs_is_understood(send: Send, key: access_keys.Pair) -> None:
    assert send(signed(key)) == ("ok", "")


def test_a_port_a_query_and_odd_spaces_are_understood(send: Send, key: access_keys.Pair) -> None:
    assert send(signed(key, host="localhost:8080")) == ("ok", "")
    assert send(signed(key, url="/?b=2&a=%20x&a=1")) == ("ok", "")
    assert send(signed(key, **{"X-Amz-User-Agent": "aws-sdk   js  "})) == ("ok", "")


def test_a_payload_hash_in_the_headers_is_held_to_the_payload(send: Send, key: access_keys.Pair) -> None:
    payload = b'{"MaxResults": 5}'
    assert send(signed(key, **{"X-Amz-Content-SHA256": hashlib.sha256(payload).hexdigest()})) == ("ok", "")
    for stated in (hashlib.sha256(b"").hexdigest(), "UNSIGNED-PAYLOAD", ""):
        assert send(signed(key, **{"X-Amz-Content-SHA256": stated}))[0] == "InvalidSignature"


MISMATCH = "The request signature we calculated does not match the signature you provided."
ATTACKS: dict[str, tuple[Callable[[Request], Request], str, str]] = {
    "another body": (lambda r: replace(r, body=b'{"MaxResults": 6}'), "InvalidSignature", MISMATCH),
    "no body": (lambda r: replace(r, body=b""), "InvalidSignature", MISMATCH),
    "another operation": (
        lambda r: r.with_header("X-Amz-Target", TARGET + "DescribeUserPool"),
        "InvalidSignature",
        MISMATCH,
    ),
    "another host": (lambda r: r.with_header("Host", "other.example.com"), "InvalidSignature", MISMATCH),
    "another query": (lambda r: replace(r, url="/?x=1"), "InvalidSignature", MISMATCH),
    "another content type": (
        lambda r: r.with_header("Content-Type", "application/json"),
        "InvalidSignature",
        MISMATCH,
    ),
    "another moment": (
        lambda r: r.with_header("X-Amz-Date", "20260301T120001Z"),
        "InvalidSignature",
        MISMATCH,
    ),
    "a moment that is none": (lambda r: r.with_header("X-Amz-Date", "yesterday"), "IncompleteSignature", "X-Amz-Date"),
    "no moment": (lambda r: r.with_header("X-Amz-Date", None), "IncompleteSignature", "X-Amz-Date"),
    "a header that was signed is gone": (
        lambda r: r.with_header("Content-Type", "application/json").with_authorization("content-type;", ""),
        "InvalidSignature",
        MISMATCH,
    ),
    "the host left out of the list": (
        lambda r: r.with_authorization("host;", ""),
        "InvalidSignature",
        "'host' must be a 'SignedHeader'",
    ),
    "the region changed": (
        lambda r: r.with_authorization("us-east-1", "eu-west-1"),
        "InvalidSignature",
        "Credential should be scoped to a valid region",
    ),
    "the service changed": (
        lambda r: r.with_authorization("cognito-idp", "sts"),
        "InvalidSignature",
        "Credential should be scoped to correct service: 'cognito-idp'.",
    ),
    "the end of the scope changed": (
        lambda r: r.with_authorization("aws4_request", "aws5_request"),
        "InvalidSignature",
        "Credential should be scoped with a valid terminator",
    ),
    "the day changed": (
        lambda r: r.with_authorization("/20260301/", "/20260302/"),
        "InvalidSignature",
        "Date in Credential scope",
    ),
    "an unknown key": (
        lambda r: r.with_authorization("Credential=AKIA", "Credential=AKIB"),
        "UnrecognizedClient",
        "The security token included in the request is invalid.",
    ),
    "no signature at all": (
        lambda r: r.with_header("Authorization", None),
        "MissingAuthenticationToken",
        "Missing Authentication Token",
    ),
    "another scheme": (
        lambda r: r.with_header("Authorization", "Bearer x"),
        "IncompleteSignature",
        "AWS4-HMAC-SHA256",
    ),
    "no parts": (
        lambda r: r.with_header("Authorization", "AWS4-HMAC-SHA256 nothing"),
        "IncompleteSignature",
        "Authorization header requires 'Credential' parameter.",
    ),
    "no signature part": (
        lambda r: r.with_authorization("Signature=", "Sig="),
        "IncompleteSignature",
        "Authorization header requires 'Signature' parameter.",
    ),
    "a short credential": (
        lambda r: r.with_authorization("/aws4_request", ""),
        "IncompleteSignature",
        "Credential must have exactly 5",
    ),
    "an empty signature": (
        lambda r: r.with_header("Authorization", r.headers["Authorization"].rpartition("=")[0] + "=,"),
        "IncompleteSignature",
        "Authorization header requires 'Signature' parameter.",
    ),
    "a signature that is not ASCII": (
        lambda r: r.with_header("Authorization", r.headers["Authorization"].rpartition("=")[0] + "=é"),
        "InvalidSignature",
        MISMATCH,
    ),
    "a query where a header belongs": (
        lambda r: replace(r.with_header("Authorization", None), url="/?X-Amz-Algorithm=AWS4-HMAC-SHA256"),
        "MissingAuthenticationToken",
        "Missing Authentication Token",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_is_refused(send: Send, key: access_keys.Pair, attack: str) -> None:
    change, code, sentence = ATTACKS[attack]
    said = send(change(signed(key)))
    assert said[0] == code
    assert sentence in said[1]


@pytest.mark.parametrize("name", ["X-Amz-Target", "Host"])
def test_what_decides_the_request_must_be_signed(send: Send, key: access_keys.Pair, name: str) -> None:
    """Signed correctly, but over fewer headers: whoever overhears it could change the one that is left out."""
    assert send(signed(key, unsigned=(name.lower(),))) == (
        "InvalidSignature",
        f"'{name.lower()}' must be a 'SignedHeader' in the AWS Authorization.",
    )


@pytest.mark.parametrize(("region", "service"), [("eu-west-1", "cognito-idp"), ("us-east-1", "sts")])
def test_a_signature_for_elsewhere_is_refused(send: Send, key: access_keys.Pair, region: str, service: str) -> None:
    assert send(signed(key, region=region, service=service))[0] == "InvalidSignature"


def test_a_wrong_secret_is_refused(send: Send, key: access_keys.Pair) -> None:
    said = send(signed(access_keys.Pair(key.id, "x" * 40)))
    assert said[0] == "InvalidSignature" and said[1].startswith(MISMATCH)


def test_an_old_signature_is_refused(send: Send, key: access_keys.Pair, clock: Clock) -> None:
    request = signed(key)
    clock.forward(minutes=5)
    assert send(request) == ("ok", "")
    clock.forward(seconds=1)
    assert send(request) == (
        "InvalidSignature",
        "Signature expired: 20260301T120000Z is now earlier than 20260301T120001Z (20260301T120501Z - 5 min.)",
    )


def test_a_signature_from_the_future_is_refused(send: Send, key: access_keys.Pair, clock: Clock) -> None:
    clock.forward(minutes=6)
    request = signed(key)
    clock.forward(minutes=-6)
    assert send(request) == (
        "InvalidSignature",
        "Signature not yet current: 20260301T120600Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)",
    )


def test_a_revoked_key_is_refused_at_once(send: Send, env: Env, key: access_keys.Pair) -> None:
    assert send(signed(key)) == ("ok", "")
    access_keys.revoke(env, key.id)
    assert send(signed(key))[0] == "UnrecognizedClient"


def test_a_key_that_another_host_has_revoked_is_refused_at_once(
    send: Send, env: Env, key: access_keys.Pair, settings: Settings, clock: Clock, another_app: Callable[..., Flask]
) -> None:
    assert send(signed(key)) == ("ok", "")
    elsewhere = another_app(settings, now=clock, ticks=clock.ticks)
    with elsewhere.app_context():
        access_keys.revoke(elsewhere.extensions["cognate"], key.id)
    assert send(signed(key))[0] == "UnrecognizedClient"


def test_a_limited_key_that_is_revoked_during_its_request_is_not_without_limits(
    send: Send, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signature has been verified; then it goes; then it is asked what it may do."""
    key = access_keys.create(env, description="limited", actions=["cognito-idp:DescribeUserPool"])
    assert send(signed(key))[0] == "AccessDenied"
    check = shapes.check

    def revoked_meanwhile(*given: Any) -> Any:
        access_keys.revoke(env, key.id)
        return check(*given)

    monkeypatch.setattr(shapes, "check", revoked_meanwhile)
    assert send(signed(key))[0] == "UnrecognizedClient"


def test_the_signature_that_would_be_right_is_told_to_nobody(
    http: FlaskClient, key: access_keys.Pair, caplog: pytest.LogCaptureFixture
) -> None:
    right = signed(key)
    caplog.set_level(logging.DEBUG)
    signature = right.headers["Authorization"].rpartition("=")[2]
    wrong = right.with_authorization(signature, "0" * 64)
    answer = http.post("/", data=wrong.body, headers=wrong.headers)
    assert answer.status_code == 400
    assert signature not in answer.text + str(answer.headers) + caplog.text
    assert key.secret not in answer.text + caplog.text


def test_nothing_of_a_body_is_looked_at_before_its_signature(send: Send, key: access_keys.Pair) -> None:
    assert send(replace(signed(key), body=b"{"))[0] == "InvalidSignature"
    assert send(signed(key, payload=b"{"))[0] == "Serialization"


def test_in_production_loopback_is_nobody_special(http: FlaskClient) -> None:
    headers = {"X-Amz-Target": TARGET + "ListUserPools", "Authorization": ANY_KEY}
    answer = http.post("/", json={"MaxResults": 1}, headers=headers)
    assert body(answer)["__type"] == "IncompleteSignatureException"


class TestInDevelopment:
    @pytest.fixture
    def settings(self, database_url: str, tmp_path: Path) -> Settings:
        return test_settings(database_url, data_dir=tmp_path)

    @pytest.mark.parametrize(
        ("peer", "headers", "code"),
        [
            ("127.0.0.1", {}, "ok"),
            ("::1", {}, "ok"),
            ("192.0.2.7", {}, "IncompleteSignature"),
            ("", {}, "IncompleteSignature"),
            ("127.0.0.1", {"Origin": "https://evil.example.com"}, "IncompleteSignature"),
            ("127.0.0.1", {"Authorization": "nothing"}, "IncompleteSignature"),
            ("127.0.0.1", {"Host": "127.0.0.1:8080"}, "ok"),
            ("127.0.0.1", {"Host": "evil.example:8080"}, "IncompleteSignature"),
            ("127.0.0.1", {"Host": "localhost.evil.example"}, "IncompleteSignature"),
        ],
    )
    def test_any_key_will_do_from_this_machine_but_not_for_a_page_in_its_browser(
        self, http: FlaskClient, peer: str, headers: dict[str, str], code: str
    ) -> None:
        answer = http.post(
            "/",
            json={"MaxResults": 1},
            headers={"X-Amz-Target": TARGET + "ListUserPools", "Authorization": ANY_KEY, **headers},
            environ_overrides={"REMOTE_ADDR": peer},
        )
        assert (body(answer).get("__type", "ok")).removesuffix("Exception") == code

    def test_unsigned_is_still_refused(self, http: FlaskClient) -> None:
        answer = http.post("/", json={"MaxResults": 1}, headers={"X-Amz-Target": TARGET + "ListUserPools"})
        assert body(answer)["__type"] == "MissingAuthenticationTokenException"


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    """The application on a real socket."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_boto3_itself_is_served(port: int, key: access_keys.Pair) -> None:
    cognito = boto3.client(
        "cognito-idp",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert cognito.list_user_pools(MaxResults=5)["UserPools"] == []
    with pytest.raises(cognito.exceptions.ResourceNotFoundException, match="User pool us-east-1_None does not exist."):
        cognito.describe_user_pool(UserPoolId="us-east-1_None")
    cognito.close()


# -- keys with limits --------------------------------------------------------------------------------------------


def test_a_limited_key_is_told_which_action_and_resource_it_lacks(send: Send, env: Env) -> None:
    mine, other = a_pool(env, algorithm="ES256"), a_pool(env, algorithm="ES256")
    key = access_keys.create(
        env, description="limited", pools=[mine.id], actions=["cognito-idp:List*", "cognito-idp:TagResource"]
    )

    def asked(operation: str, **members: object) -> tuple[str, str]:
        return send(signed(key, operation=operation, payload=json.dumps(members).encode()))

    def denied(operation: str, resource: str) -> tuple[str, str]:
        return "AccessDenied", (
            f"User: arn:aws:iam::000000000000:user/{key.id} is not authorized to perform: cognito-idp:{operation} "
            f"on resource: {resource}"
        )

    def arn(pool_id: str) -> str:
        return f"arn:aws:cognito-idp:us-east-1:000000000000:userpool/{pool_id}"

    assert asked("ListUsers", UserPoolId=mine.id) == ("ok", "")
    assert asked("DescribeUserPool", UserPoolId=mine.id) == denied("DescribeUserPool", arn(mine.id))
    assert asked("ListUsers", UserPoolId=other.id) == denied("ListUsers", arn(other.id))
    assert asked("ListUserPools", MaxResults=5) == denied("ListUserPools", "*")
    for pool, prefix in ((mine, "mine"), (other, "another")):
        domains.create(env, pool, domain=prefix, custom=False, settings={})
    assert asked("DescribeUserPoolDomain", Domain="mine") == denied("DescribeUserPoolDomain", "*")
    all_of_mine = access_keys.create(env, description="one pool", pools=[mine.id])
    payload = {name: json.dumps({"Domain": name}).encode() for name in ("mine", "another", "nobodys")}
    said = {
        name: send(signed(all_of_mine, operation="DescribeUserPoolDomain", payload=given))[0]
        for name, given in payload.items()
    }
    assert said == {"mine": "ok", "another": "AccessDenied", "nobodys": "AccessDenied"}
    # A pool that does not exist is answered like one of somebody else.
    assert asked("ListUsers", UserPoolId="us-east-1_nobody123") == denied("ListUsers", arn("us-east-1_nobody123"))


def test_what_needs_no_signature_needs_no_permission(http: FlaskClient, env: Env) -> None:
    """The service ignores a signature on these; SDKs with credentials send one all the same."""
    client = a_client(env, a_pool(env, algorithm="ES256"))
    key = access_keys.create(env, description="nothing", actions=[])
    payload = json.dumps({"ClientId": client.id, "Username": "nobody"}).encode()
    request = signed(key, operation="ForgotPassword", payload=payload)
    answer = http.post("/", data=request.body, headers=request.headers, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert body(answer)["__type"] == "UserNotFoundException"


def test_the_limits_of_a_known_key_hold_in_development_too(
    another_app: Callable[..., Flask], database_url: str, tmp_path: Path, env: Env, clock: Clock
) -> None:
    """There any key will do, and signatures are not looked at; but whoever limits a key wants to see it limited."""
    key = access_keys.create(env, description="limited", actions=["cognito-idp:List*"])
    laptop = another_app(test_settings(database_url, data_dir=tmp_path), now=clock, ticks=clock.ticks)
    authorization = ANY_KEY.replace("anybody", key.id)

    def said(operation: str) -> str:
        headers = {"X-Amz-Target": TARGET + operation, "Authorization": authorization}
        payload = {"MaxResults": 5, "PoolName": "p"}
        answer = laptop.test_client().post("/", json=payload, headers=headers)
        return str(body(answer).get("__type", "ok"))

    assert said("ListUserPools") == "ok"
    assert said("CreateUserPool") == "AccessDeniedException"
