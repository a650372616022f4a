"""The way of a request through the door: what is answered, in which form, and what never gets in."""

import io
import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import errors
from app.api import registry
from app.api.caller import Call
from app.api.dispatch import CONTENT_TYPE
from app.api.registry import ContractBroken, Operation
from app.env import Env
from app.models import Client, Pool
from tests import build
from tests.api.conftest import ANY_KEY, TARGET, Api, body

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def raw(http: FlaskClient, data: bytes, *, target: str = TARGET + "SignUp", **headers: str) -> TestResponse:
    return http.post("/", data=data, headers={"X-Amz-Target": target, "Content-Type": CONTENT_TYPE, **headers})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Call], Any]], None]:
    """Puts a function in place of the operation ConfirmSignUp, which takes a client only."""

    def play(run: Callable[[Call], Any]) -> None:
        monkeypatch.setitem(registry.OPERATIONS, "ConfirmSignUp", Operation("ConfirmSignUp", run))

    return play


CONFIRM = {"Username": "bob", "ConfirmationCode": "123456"}


# -- replies ---------------------------------------------------------------------------------------------------


def test_a_reply_has_cognitos_content_type_and_a_request_id(api: Api) -> None:
    answer = api.answer("ListUserPools", MaxResults=1)
    again = api.answer("ListUserPools", MaxResults=1)
    assert answer.status_code == 200
    assert answer.content_type == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-RequestId"] != again.headers["x-amzn-RequestId"]
    assert "Set-Cookie" not in answer.headers


def test_an_operation_with_an_empty_output_replies_an_empty_object(api: Api, env: Env, pool: Pool) -> None:
    build.a_user(env, pool)
    answer = api.answer("AdminSetUserPassword", UserPoolId=pool.id, Username="alice", Password="Another-horse-8")
    assert (answer.status_code, answer.data) == (200, b"{}")


def test_an_operation_without_output_replies_nothing(api: Api, pool: Pool) -> None:
    answer = api.answer("DeleteUserPool", UserPoolId=pool.id)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.content_type == "application/x-amz-json-1.1"


def test_a_refusal_is_told_in_body_and_headers(api: Api) -> None:
    answer = api.answer("InitiateAuth", ClientId="nobody", AuthFlow="USER_SRP_AUTH")
    assert answer.status_code == 400
    assert answer.content_type == "application/x-amz-json-1.1"
    assert body(answer) == {
        "__type": "ResourceNotFoundException",
        "message": "User pool client nobody does not exist.",
    }
    assert answer.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
    assert answer.headers["x-amzn-ErrorMessage"] == "User pool client nobody does not exist."


@pytest.mark.parametrize("content_type", ["application/x-amz-json-1.0", "application/json; charset=UTF-8"])
def test_other_json_types_are_taken_too(http: FlaskClient, content_type: str) -> None:
    answer = raw(http, b"{}", **{"Content-Type": content_type})
    assert body(answer)["__type"] == "InvalidParameterException"


# -- what never gets in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (
            "",
            "The header X-Amz-Target is missing. It names the operation: "
            "AWSCognitoIdentityProviderService.InitiateAuth, for example.",
        ),
        ("SignUp", "The X-Amz-Target header names no operation of Amazon Cognito user pools."),
        (TARGET + "Signup", "The X-Amz-Target header names no operation of Amazon Cognito user pools."),
        (TARGET, "The X-Amz-Target header names no operation of Amazon Cognito user pools."),
        ("DynamoDB_20120810.SignUp", "The X-Amz-Target header names no operation of Amazon Cognito user pools."),
        (TARGET + "GetCSVHeader", "GetCSVHeader is not available in this version of Cognate."),
    ],
)
def test_an_unknown_operation_is_refused(http: FlaskClient, target: str, sentence: str) -> None:
    answer = raw(http, b"{}", target=target)
    assert answer.status_code == 400
    assert body(answer) == {"__type": "UnknownOperationException", "message": sentence}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"x"', id="a text"),
        pytest.param(b"{'a': 1}", id="no JSON"),
        pytest.param(b'{"Limit": NaN}', id="not a number"),
        pytest.param(b'{"Limit": Infinity}', id="infinity"),
        pytest.param(b'{"Username": "\xff\xfe"}', id="not UTF-8"),
        pytest.param('{"Username": "é"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"Username": "x"}', id="a byte order mark"),
        pytest.param(b'{"Username": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"Username": "a\x00b"}', id="a raw zero byte"),
        pytest.param(b'{"Username": 12345678901234567890123456789012345678901234567890}', id="a huge number"),
        pytest.param(b'{"Username": ' + b"9" * 100_000 + b"}", id="a number of 100,000 digits"),
        pytest.param(b'{"a":' * 20_000, id="depth"),
        pytest.param(b'{"UserAttributes":' + b"[" * 500 + b"]" * 500 + b"}", id="lists of lists"),
        pytest.param(b'{"Username": "a"} {"Username": "b"}', id="two objects"),
    ],
)
def test_what_is_no_json_object_of_the_right_types_is_refused(http: FlaskClient, data: bytes) -> None:
    answer = raw(http, data)
    assert answer.status_code == 400
    assert body(answer)["__type"] == "SerializationException"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_is_refused(http: FlaskClient, content_type: str) -> None:
    """A page elsewhere can send these without asking first."""
    answer = raw(http, b'{"ClientId": "x"}', **{"Content-Type": content_type})
    assert body(answer) == {
        "__type": "SerializationException",
        "message": "The Content-Type must be application/x-amz-json-1.1.",
    }


def test_what_is_too_large_is_refused(app: Flask, http: FlaskClient) -> None:
    large = b'{"Username": "' + b"x" * app.config["MAX_CONTENT_LENGTH"] + b'"}'
    answer = raw(http, large)
    assert answer.status_code == 413
    assert body(answer)["__type"] == "RequestEntityTooLargeException"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_an_attacker_who_signs_nothing_gets_no_more_than_128_kib_read(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(orjson, "loads", lambda data: read.append(data) or {})
    for operation in ("SignUp", "GetUser", "GetDerivedToken", "UpdateAuthEventFeedback"):
        answer = raw(http, b"{}".ljust(128 * 1024 + 1), target=TARGET + operation)
        if operation in registry.OPERATIONS:
            assert answer.status_code == 413
            assert body(answer)["message"] == "The body must be no longer than 131072 bytes."
    assert read == []
    assert raw(http, b"{}".ljust(128 * 1024)).status_code == 400
    assert len(read) == 1


def test_a_body_that_does_not_say_how_long_it_is_is_not_cut(http: FlaskClient) -> None:
    for length, status in ((128 * 1024, 400), (128 * 1024 + 1, 413), (3_000_000, 413)):
        answer = http.post(
            "/",
            input_stream=io.BytesIO(b"{}".ljust(length)),
            headers={"X-Amz-Target": TARGET + "SignUp", "Content-Type": CONTENT_TYPE},
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert answer.status_code == status


def test_what_an_attacker_sends_without_a_signature_to_administrators_operations_is_not_parsed(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orjson, "loads", lambda data: pytest.fail("parsed"))
    for operation, declared in registry.OPERATIONS.items():
        if declared.who == "signed":
            answer = raw(http, b"{" * 500_000, target=TARGET + operation)
            assert body(answer)["__type"] == "MissingAuthenticationTokenException"


def test_a_signed_body_may_be_larger(api: Api) -> None:
    name, sentence = api.refused("CreateUserPool", PoolName="p", EmailVerificationMessage="x" * 1_000_000)
    assert (name, sentence[-20:]) == ("InvalidParameter", "than or equal to 20000"[-20:])


def test_of_two_members_with_one_name_the_last_is_checked_and_used(http: FlaskClient) -> None:
    """Checked and used alike is what matters: two parsers that disagree would open a hole."""
    answer = raw(http, b'{"ClientId": "fine", "Username": "u", "Password": "p" , "ClientId": "not fine"}')
    assert body(answer)["message"].startswith("2 validation errors detected: Value at 'clientId'")


def test_a_zero_character_is_refused_and_not_stored(http: FlaskClient, client: Client) -> None:
    given = f'{{"ClientId": "{client.id}", "Username": "u", "Password": "Correct-horse-7", "UserAttributes": '
    answer = raw(http, given.encode() + b'[{"Name": "name", "Value": "a\\u0000b"}]}')
    assert body(answer)["__type"] == "InvalidParameterException"


def test_only_post_is_an_operation(http: FlaskClient) -> None:
    assert http.put("/", headers={"X-Amz-Target": TARGET + "SignUp"}).status_code == 405


# -- refusals and bugs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["a\r\nSet-Cookie: session=evil", "a\nb", "a\x00b", "a\x7fb", "a\u2028b", "ключ", "x" * 5000],
)
def test_what_a_caller_sent_writes_no_headers(api: Api, client: Client, played: Any, text: str) -> None:
    def refuse(call: Call) -> None:
        raise errors.InvalidParameter(f"Value '{text}' is wrong")

    played(refuse)
    answer = api.answer("ConfirmSignUp", ClientId=client.id, **CONFIRM)
    assert body(answer)["message"] == f"Value '{text}' is wrong"
    said = answer.headers["x-amzn-ErrorMessage"]
    assert said.isascii() and said.isprintable() and len(said) <= 1024
    assert "Set-Cookie" not in answer.headers


def test_a_bug_is_logged_with_the_request_id_and_told_to_nobody(
    api: Api, client: Client, played: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(call: Call) -> None:
        raise RuntimeError("the secret is hunter2")

    played(fail)
    answer = api.answer("ConfirmSignUp", ClientId=client.id, **CONFIRM)
    assert answer.status_code == 500
    assert body(answer) == {"__type": "InternalErrorException", "message": "Internal server error."}
    assert "hunter2" not in answer.text + str(answer.headers)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert answer.headers["x-amzn-RequestId"] in record.getMessage()
    assert "hunter2" in caplog.text


def test_a_reply_that_the_model_does_not_allow_fails_the_test(api: Api, client: Client, played: Any) -> None:
    played(lambda call: {"Colour": "red"})
    with pytest.raises(ContractBroken):
        api.answer("ConfirmSignUp", ClientId=client.id, **CONFIRM)


def test_a_refusal_that_the_model_does_not_list_fails_the_test(api: Api, client: Client, played: Any) -> None:
    def refuse(call: Call) -> None:
        raise errors.GroupExists

    played(refuse)
    with pytest.raises(ContractBroken):
        api.answer("ConfirmSignUp", ClientId=client.id, **CONFIRM)


def test_an_operation_learns_who_is_asking(http: FlaskClient, client: Client, played: Any) -> None:
    seen: list[Call] = []
    played(lambda call: seen.append(call))
    answer = http.post(
        "/",
        json={"ClientId": client.id, **CONFIRM, "ClientMetadata": {"campaign": "spring"}},
        headers={"X-Amz-Target": TARGET + "ConfirmSignUp", "User-Agent": "sdk"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert answer.status_code == 200
    origin = seen[0].origin
    assert (origin.ip, origin.user_agent, origin.client_metadata) == ("192.0.2.7", "sdk", {"campaign": "spring"})


# -- browsers --------------------------------------------------------------------------------------------------


def test_a_browser_may_ask_and_then_send_any_header(http: FlaskClient) -> None:
    answer = http.options(
        "/",
        headers={
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-amz-target,content-type,x-custom",
        },
    )
    assert answer.status_code == 200
    assert answer.data == b""
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-amz-target,content-type,x-custom"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Max-Age"] == "172800"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("operation", ["GetUser", "ListUserPools", "Nothing"])
def test_every_answer_can_be_read_by_a_page(http: FlaskClient, operation: str) -> None:
    """Without these headers a browser hides the refusal from the SDK that caused it."""
    answer = http.post("/", json={}, headers={"X-Amz-Target": TARGET + operation, "Origin": "https://app.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    exposed = answer.headers["Access-Control-Expose-Headers"].split(",")
    assert {"x-amzn-RequestId", "x-amzn-ErrorType", "x-amzn-ErrorMessage", "Date"} <= set(exposed)


def test_a_success_can_be_read_too(http: FlaskClient, api: Api) -> None:
    answer = http.post(
        "/", json={"MaxResults": 1}, headers={"X-Amz-Target": TARGET + "ListUserPools", "Authorization": ANY_KEY}
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
