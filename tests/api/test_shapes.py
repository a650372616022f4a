"""Input against the model: Cognito's sentences, word for word; and what is hostile."""

import json
import time
from typing import Any

import orjson
import pytest

from app import errors
from app.api import registry, shapes
from app.api.errors import Serialization

USER_POOL_ID = r"Member must satisfy regular expression pattern: [\w-]+_[0-9a-zA-Z]+"


def checked(operation: str, given: Any) -> dict[str, Any]:
    return shapes.check(registry.structure(registry.MODEL["operations"][operation]["input"]["shape"]), given)


def refused(operation: str, given: Any) -> str:
    with pytest.raises(errors.InvalidParameter) as refusal:
        checked(operation, given)
    return refusal.value.message


def broken(operation: str, given: Any) -> str:
    with pytest.raises(Serialization) as refusal:
        checked(operation, given)
    return refusal.value.message


POOL = {"UserPoolId": "us-east-1_abc"}


@pytest.mark.parametrize(
    ("operation", "given", "sentence"),
    [
        pytest.param(
            "DescribeUserPool",
            {"UserPoolId": "abc"},
            "1 validation error detected: Value 'abc' at 'userPoolId' failed to satisfy constraint: " + USER_POOL_ID,
            id="a pattern",
        ),
        pytest.param(
            "VerifySoftwareToken",
            {"UserCode": "Aaaa"},
            "2 validation errors detected: Value at 'userCode' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [0-9]+; Value at 'userCode' failed to satisfy constraint: Member must have "
            "length greater than or equal to 6",
            id="two constraints of one member, which is secret",
        ),
        pytest.param(
            "DescribeUserPool",
            {},
            "1 validation error detected: Value null at 'userPoolId' failed to satisfy constraint: "
            "Member must not be null",
            id="a required member that is missing",
        ),
        pytest.param(
            "DescribeUserPool",
            {"UserPoolId": None},
            "1 validation error detected: Value null at 'userPoolId' failed to satisfy constraint: "
            "Member must not be null",
            id="a required member that is null",
        ),
        pytest.param(
            "DescribeUserPool",
            {"UserPoolId": "x" * 54 + "_a"},
            f"1 validation error detected: Value '{'x' * 54}_a' at 'userPoolId' failed to satisfy constraint: "
            "Member must have length less than or equal to 55",
            id="too long",
        ),
        pytest.param(
            "ListUsers",
            {**POOL, "Limit": 61},
            "1 validation error detected: Value '61' at 'limit' failed to satisfy constraint: "
            "Member must have value less than or equal to 60",
            id="too great",
        ),
        pytest.param(
            "ListUserPools",
            {"MaxResults": 0},
            "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
            id="too small",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "MfaConfiguration": "MAYBE"},
            "1 validation error detected: Value 'MAYBE' at 'mfaConfiguration' failed to satisfy constraint: "
            "Member must satisfy enum value set: [OFF, ON, OPTIONAL]",
            id="not in the set",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "AliasAttributes": ["email", "nickname"]},
            "1 validation error detected: Value '[email, nickname]' at 'aliasAttributes' failed to satisfy constraint: "
            "Member must satisfy constraint: [Member must satisfy enum value set: "
            "[phone_number, email, preferred_username]]",
            id="a list of words",
        ),
        pytest.param(
            "SignUp",
            {"ClientId": "c", "Username": "u", "UserAttributes": [{"Name": "n" * 33, "Value": "s3cret" * 400}]},
            f"2 validation errors detected: Value '{'n' * 33}' at 'userAttributes.1.member.name' failed to satisfy "
            "constraint: Member must have length less than or equal to 32; Value at 'userAttributes.1.member.value' "
            "failed to satisfy constraint: Member must have length less than or equal to 2048",
            id="inside a list, and a secret value is not repeated",
        ),
        pytest.param(
            "SignUp",
            {"ClientId": "c", "Username": "u", "UserAttributes": [{"Name": "name"}, {"Value": "x"}]},
            "1 validation error detected: Value null at 'userAttributes.2.member.name' failed to satisfy constraint: "
            "Member must not be null",
            id="the second of a list",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "Policies": {"PasswordPolicy": {"MinimumLength": 5}}},
            "1 validation error detected: Value '5' at 'policies.passwordPolicy.minimumLength' failed to satisfy "
            "constraint: Member must have value greater than or equal to 6",
            id="two levels down",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "UserPoolTags": {"": "x"}},
            "1 validation error detected: Value at 'userPoolTags' failed to satisfy constraint: Map keys must satisfy "
            "constraint: [Member must have length less than or equal to 128, Member must have length greater than or "
            "equal to 1]",
            id="the key of a map",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "UserPoolTags": {"k": "x" * 257}},
            "1 validation error detected: Value at 'userPoolTags' failed to satisfy constraint: Map value must satisfy "
            "constraint: [Member must have length less than or equal to 256]",
            id="the value of a map",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "AcrConfiguration": {"Level1": {}}},
            "1 validation error detected: Value null at 'acrConfiguration.Level1.member.acrValue' failed to satisfy "
            "constraint: Member must not be null",
            id="a structure in a map",
        ),
        pytest.param(
            "CreateUserPool",
            {"PoolName": "p", "Schema": []},
            "1 validation error detected: Value at 'schema' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
            id="an empty list",
        ),
        pytest.param(
            "SignUp",
            {"ClientId": "c", "Username": "u", "Password": " spaces around "},
            "1 validation error detected: Value at 'password' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: ^[\S]+.*[\S]+$",
            id="a password, by the live service's pattern",
        ),
        pytest.param(
            "SignUp",
            {"ClientId": "c", "Username": "u", "UserAttributes": [{"Name": "name", "Value": "a\0b"}]},
            "1 validation error detected: Value at 'userAttributes.1.member.value' failed to satisfy constraint: "
            "Member must not contain the character U+0000",
            id="what PostgreSQL cannot store",
        ),
    ],
)
def test_a_constraint_is_named_in_cognitos_words(operation: str, given: Any, sentence: str) -> None:
    assert refused(operation, given) == sentence


@pytest.mark.parametrize(
    ("operation", "given", "sentence"),
    [
        ("DescribeUserPool", {"UserPoolId": 5}, "class java.lang.Integer can not be converted to an String"),
        ("DescribeUserPool", {"UserPoolId": True}, "class java.lang.Boolean can not be converted to an String"),
        ("DescribeUserPool", {"UserPoolId": {}}, "Start of structure or map found where not expected."),
        ("DescribeUserPool", {"UserPoolId": []}, "Start of structure or map found where not expected."),
        ("DescribeUserPool", [], "Unexpected field type"),
        ("DescribeUserPool", "us-east-1_abc", "Unexpected field type"),
        ("DescribeUserPool", None, "Unexpected field type"),
        ("ListUserPools", {"MaxResults": "5"}, "class java.lang.String can not be converted to an Integer"),
        ("ListUserPools", {"MaxResults": 5.5}, "class java.lang.Double can not be converted to an Integer"),
        ("ListUserPools", {"MaxResults": True}, "class java.lang.Boolean can not be converted to an Integer"),
        ("ListUserPools", {"MaxResults": 2**31}, "class java.lang.Integer can not be converted to an Integer"),
        ("ListUserPools", {"MaxResults": -(10**30)}, "class java.lang.Integer can not be converted to an Integer"),
        ("SignUp", {"UserAttributes": {}}, "Unexpected field type"),
        ("SignUp", {"UserAttributes": ["x"]}, "Unexpected field type"),
        ("SignUp", {"ClientMetadata": []}, "Unexpected field type"),
        ("SignUp", {"ClientMetadata": {"k": 1}}, "class java.lang.Integer can not be converted to an String"),
        (
            "CreateUserPoolClient",
            {"GenerateSecret": "true"},
            "class java.lang.String can not be converted to an Boolean",
        ),
        ("SetUICustomization", {"ImageFile": "!"}, "The value is not base64."),
    ],
)
def test_a_wrong_json_type_is_a_serialization_error(operation: str, given: Any, sentence: str) -> None:
    assert broken(operation, given) == sentence


def test_unknown_members_and_nulls_are_gone() -> None:
    given = {
        "ClientId": "c",
        "Username": "u",
        "Password": None,
        "Colour": {"deep": [1]},
        "ClientMetadata": {"a": "b", "c": None},
        "UserAttributes": [None, {"Name": "name", "Value": None, "Colour": "red"}],
    }
    assert checked("SignUp", given) == {
        "ClientId": "c",
        "Username": "u",
        "ClientMetadata": {"a": "b"},
        "UserAttributes": [{"Name": "name"}],
    }


def test_what_is_inside_a_secret_is_secret() -> None:
    said = refused(
        "InitiateAuth", {"ClientId": "c", "AuthFlow": "USER_AUTH", "AuthParameters": {"PASSWORD": "x" * 131073}}
    )
    assert "xxx" not in said
    assert "authParameters" in said


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "zoë-☃-٣", True),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "e\u0301", True),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "two words", False),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "two\u00a0words", False),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "zero\u200bwidth", False),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "private\ue000use", False),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+", "line\n", False),
        (r"[\p{L}\p{M}\p{S}\p{N}\p{P}\p{Z}]+", "two\u00a0words", True),
        (r"[^_\p{Z}][\p{L}\p{M}\p{S}\p{N}\p{P}][^_\p{Z}]+", "Google", True),
        (r"[^_\p{Z}][\p{L}\p{M}\p{S}\p{N}\p{P}][^_\p{Z}]+", "_oogle", False),
        (r"[\w-]+_[0-9a-zA-Z]+", "us-east-1_abc", True),
        (r"[\w-]+_[0-9a-zA-Z]+", "us-éast-1_abc", False),
        (r"[\w-]+_[0-9a-zA-Z]+", "us-east-1_abc\n", False),
        (r"[\w-]+_[0-9a-zA-Z]+", "us-east-1_\u0663", False),
        (r"^[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?$", "auth", True),
        (r"^[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?$", "auth\n", False),
        (r"[\p{L}\s*]*\{####\}[\p{L}\s*]*", "code {####} é", False),
        (r"[\p{L}\p{P}\s*]*\{####\}[\p{L}\p{P}\s*]*", "code {####} é", True),
        (r"[\p{L}\p{P}\s*]*\{####\}[\p{L}\p{P}\s*]*", "no code", False),
    ],
)
def test_patterns_mean_what_they_mean_in_java(pattern: str, text: str, matches: bool) -> None:
    assert shapes.matcher(pattern)(text) is matches


def test_every_shape_of_every_operation_compiles() -> None:
    for name, shape in registry.MODEL["shapes"].items():
        if shape["type"] == "structure" and not shape.get("document"):
            assert registry.structure(name)


def test_every_pattern_takes_the_values_of_a_tame_request() -> None:
    """A pattern that was translated wrongly would refuse what everybody sends."""
    assert checked(
        "CreateUserPool",
        {
            "PoolName": "My pool, 1",
            "EmailVerificationMessage": "Dein Schlüssel: {####} – viel Spaß!\n",
            "VerificationMessageTemplate": {"EmailMessageByLink": "Hier: {##klick##}.", "EmailSubject": "Grüße"},
            "SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::123456789012:role/service-role/sms"},
        },
    )


TOKENS = ("a", "@", "é", "{####}", "{##", "##}", ":", "arn:a:a:a:1:a", "-", "_0", ".", "0", "=", " a", "*")
"""What the model's patterns repeat, and part at."""


def patterns() -> dict[str, int]:
    """Those of the model, as they are applied, and the longest text that each has to look at."""
    found = {}
    for name, shape in registry.MODEL["shapes"].items():
        applied = registry.LIVE_PATTERNS.get(name, ("", shape.get("pattern")))[1]
        if applied is not None:
            found[applied] = max(found.get(applied, 0), shape.get("max", shapes.LONGEST))
    return found


@pytest.mark.parametrize(("pattern", "longest"), patterns().items())
def test_no_text_makes_a_pattern_hang_the_server(pattern: str, longest: int) -> None:
    matches = shapes.matcher(pattern)
    for head in ("", "arn:a:", "{##"):
        for token in TOKENS:
            for tail in ("", "\x01", " "):
                text = (head + token * (longest // len(token)))[: longest - 1] + tail
                began = time.process_time()
                matches(text)
                assert time.process_time() - began < 0.5, (head, token, tail)


@pytest.mark.parametrize(
    ("text", "matches"), [("a@b", True), ("a@b@c", True), ("@b", False), ("a@", False), ("@@@", True), ("ab", False)]
)
def test_an_address_has_something_before_its_sign_and_after_it(text: str, matches: bool) -> None:
    assert shapes.matcher(registry.MODEL["shapes"]["EmailAddressType"]["pattern"])(text) is matches


@pytest.mark.parametrize(
    ("text", "matches"), [("{##x##}", True), ("a{####}b", True), ("{##", False), ("##}{##", False), ("{###}", False)]
)
def test_a_link_has_an_end_after_its_beginning(text: str, matches: bool) -> None:
    pattern = registry.MODEL["shapes"]["EmailVerificationMessageByLinkType"]["pattern"]
    assert shapes.matcher(pattern)(text) is matches


def test_a_list_of_nothing_is_not_told_at_length() -> None:
    """All of them would be answered with thirty times their length, to anybody."""
    for empty in ({}, {"Name": ""}):
        said = refused("SignUp", {"ClientId": "1", "Username": "a", "UserAttributes": [empty] * shapes.MOST})
        assert said.startswith(f"{shapes.MOST_TOLD} validation errors detected: Value ")
        assert len(said) < 50_000


SIGN_UP = {"ClientId": "1", "Username": "a"}
DELETE = {"AccessToken": "a"}


@pytest.mark.parametrize(
    ("operation", "given", "sentence"),
    [
        ("SignUp", {**SIGN_UP, "UserAttributes": [object()] * 1001}, "'userAttributes' … equal to 1000"),
        ("SignUp", {**SIGN_UP, "UserAttributes": [None] * 100_000}, "'userAttributes' … equal to 1000"),
        ("DeleteUserAttributes", {**DELETE, "UserAttributeNames": [object()] * 1001}, "… equal to 1000"),
        ("SignUp", {**SIGN_UP, "ClientMetadata": dict.fromkeys(range(1001))}, "'clientMetadata' … equal to 1000"),
        ("CreateUserPool", {"PoolName": "p", "Schema": [object()] * 51}, "'schema' … equal to 50"),
        ("CreateUserPool", {"PoolName": "p", "AcrConfiguration": dict.fromkeys(range(5))}, "… equal to 4"),
        ("GetUser", {"AccessToken": "a." * 65_537}, "Value at 'accessToken' … equal to 131072"),
    ],
)
def test_a_size_is_looked_at_before_what_has_it(operation: str, given: Any, sentence: str) -> None:
    said = refused(operation, given)
    before, after = sentence.split("…")
    assert said.startswith("1 validation error detected: ") and before.strip() in said and said.endswith(after.strip())


def test_nothing_is_looked_at_beyond_what_is_told() -> None:
    """Of a list of words the first that is wrong is enough; of a list of structures a hundred."""
    refused("DeleteUserAttributes", {**DELETE, "UserAttributeNames": ["", object()]})
    refused("SignUp", {**SIGN_UP, "ClientMetadata": {"a": "x" * (shapes.LONGEST + 1), "b": object()}})
    refused("SignUp", {**SIGN_UP, "UserAttributes": [{}] * shapes.MOST_TOLD + [object()]})


@pytest.mark.parametrize("value", ["x" * 20_001, ["x" * 5000], ["x"] * 999])
def test_a_value_is_repeated_only_so_far(value: Any) -> None:
    member = {"AliasAttributes": value} if isinstance(value, list) else {"EmailVerificationMessage": value}
    said = refused("CreateUserPool", {"PoolName": "p", **member})
    assert len(said) < shapes.LONGEST_TOLD + 400
    assert "…' at '" in said


def test_a_key_that_is_wrong_is_not_repeated_as_a_path() -> None:
    said = refused("CreateUserPool", {"PoolName": "p", "AcrConfiguration": {"k" * 2000: {}}})
    assert "kkk" not in said


def test_deep_json_does_not_exhaust_the_stack() -> None:
    deep = b'{"ClientMetadata":' * 900 + b"{}" + b"}" * 900
    with pytest.raises(Serialization):
        checked("SignUp", orjson.loads(deep))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(b"[" * 100_000 + b"]" * 100_000)


def test_the_model_is_read_as_botocore_reads_it() -> None:
    """registry.py opens the file itself; what botocore's loader adds to it would go unnoticed."""
    from botocore.loaders import Loader

    theirs = json.loads(json.dumps(Loader().load_service_model("cognito-idp", "service-2")))
    for kind in ("operations", "shapes"):
        for name, described in theirs[kind].items():
            described.pop("documentation", None)
            for member in described.get("members", {}).values():
                member.pop("documentation", None)
            assert registry.MODEL[kind][name] == described
        assert registry.MODEL[kind].keys() == theirs[kind].keys()


BRANDING = {"UserPoolId": "us-east-1_abc", "ClientId": "abc"}


@pytest.mark.parametrize("document", [{}, {"A": {"b": [None, 1, 2.5, True, "é"], "c": None}}, [1], "x", 0, False])
def test_a_free_document_is_taken_as_it_is(document: Any) -> None:
    given = {**BRANDING, "Settings": document}
    assert checked("CreateManagedLoginBranding", given) == given


def test_a_free_document_that_is_null_is_not_there() -> None:
    assert checked("CreateManagedLoginBranding", {**BRANDING, "Settings": None}) == BRANDING


def nested(levels: int) -> Any:
    return orjson.loads('{"a":[' * (levels // 2) + "1" + "]}" * (levels // 2))


def test_a_free_document_has_a_depth() -> None:
    assert checked("CreateManagedLoginBranding", {**BRANDING, "Settings": nested(shapes.DEEPEST - 2)})
    for levels in (shapes.DEEPEST, 1000):
        said = refused("CreateManagedLoginBranding", {**BRANDING, "Settings": nested(levels)})
        assert "at 'settings' failed to satisfy constraint: Member must not be nested deeper" in said


@pytest.mark.parametrize("document", ["\0", {"a\0": 1}, {"a": [{"b": "c\0"}]}])
def test_a_free_document_has_no_character_that_cannot_be_stored(document: Any) -> None:
    assert "U+0000" in refused("CreateManagedLoginBranding", {**BRANDING, "Settings": document})
