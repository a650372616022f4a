"""`cognate pool`: a pool as a file, and changes that the API does not make."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from app import errors
from app.accounts import find
from app.cache import STALE_AFTER
from app.cli import blueprint, documents
from app.cli import pool as pool_commands
from app.env import Env
from app.models import Pool
from app.pools import changes, client_secrets, domains, plans, resource_servers
from app.pools import find as pools
from app.pools.names import Collided
from tests import pictures
from tests.build import CALLBACK, a_client, a_machine, a_pool, a_user
from tests.cli.conftest import Run
from tests.conftest import Clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pool.yaml"


AS_INSTALLED = {"RequestsPerAccount": -1, "RequestsPerAddress": -1, "RequestsPerClient": -1}


def rewrite(file: Path, value: Any) -> str:
    file.write_text(documents.written(value))
    return str(file)


def shown(run: Run, pool_id: str) -> dict[str, Any]:
    done = run("pool", "show", pool_id)
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = yaml.safe_load(done.output)
    return found


def made_pool(done: Result) -> str:
    """The id of the pool that `apply` says it has made."""
    (found,) = re.findall(r"(?m)^Made the pool .*: pool_id (\S+)$", done.output)
    return str(found)


def again(env: Env, clock: Clock, pool: Pool) -> Pool:
    clock.forward(seconds=STALE_AFTER)
    return pools.pool(env, pool.id)


def refused(done: Result, kind: type[errors.Refusal] = errors.InvalidParameter) -> str:
    assert done.exit_code != 0 and isinstance(done.exception, kind), done.exception
    return done.exception.message


# -- a pool as a file ------------------------------------------------------------------------------------------


def full(env: Env) -> Pool:
    schema = [
        {"name": "tier", "attribute_data_type": "Number", "number_attribute_constraints": {"min_value": "0"}},
        {"name": "given_name", "attribute_data_type": "String", "required": True},
    ]
    pool = a_pool(env, schema=schema, user_pool_tags={"no": "1e3"})
    a_client(env, pool, read_attributes=["email", "custom:tier"])
    a_machine(env, pool)
    domains.create(env, pool, domain="people", custom=False, settings={})
    return pool


def test_a_pool_is_shown_and_applying_that_changes_nothing(run: Run, env: Env, file: Path) -> None:
    pool = full(env)
    document = shown(run, pool.id)
    assert document["Id"] == pool.id and document["Pool"]["PoolName"] == "People"
    assert document["Pool"]["UsernameConfiguration"] == {"CaseSensitive": False}
    assert document["Pool"]["UserPoolTags"] == {"no": "1e3"}
    assert [one["Name"] for one in document["Pool"]["Schema"]] == ["given_name", "custom:tier"]
    assert [(one["ClientName"], one.get("GenerateSecret")) for one in document["Clients"]] == [
        ("App", None),
        ("Machine", True),
    ]
    assert document["ResourceServers"][0]["Scopes"][0] == {"ScopeName": "read", "ScopeDescription": "Read"}
    assert document["Domains"] == [{"Domain": "people", "ManagedLoginVersion": 1}]
    for arguments in (["plan", pool.id], ["apply", pool.id], ["apply", pool.id, "--prune"], ["apply"]):
        done = run("pool", arguments[0], *arguments[1:2], rewrite(file, document), *arguments[2:])
        assert (done.exit_code, done.output) == (0, "Nothing to change.\n")


def test_a_client_is_made_to_use_pkce_and_a_later_update_leaves_it_so(
    run: Run, env: Env, file: Path, clock: Clock
) -> None:
    pool = a_pool(env)
    client = a_client(env, pool)

    def required() -> bool:
        clock.forward(seconds=STALE_AFTER)
        return pools.client(env, client.id).requires_pkce

    done = run(
        "pool", "apply", pool.id, rewrite(file, {"Clients": [{"ClientName": "App", "RequirePKCE": True}]}), "--yes"
    )
    assert done.output == "~ Clients[App].RequirePKCE: false -> true\nDone.\n", done.exception
    assert required()
    blueprint.call(env, "UpdateUserPoolClient", UserPoolId=pool.id, ClientId=client.id, CallbackURLs=[CALLBACK])
    assert required()
    document = shown(run, pool.id)
    assert document["Clients"][0]["RequirePKCE"] is True
    assert run("pool", "apply", pool.id, rewrite(file, document)).output == "Nothing to change.\n"
    copied = run("pool", "apply", rewrite(file, {**document, "Id": "us-east-1_Elsewhere"}), "--new", "--yes")
    assert shown(run, made_pool(copied))["Clients"][0]["RequirePKCE"] is True
    for off in (False, None):
        run("pool", "apply", pool.id, rewrite(file, document), "--yes")
        run("pool", "apply", pool.id, rewrite(file, {"Clients": [{"ClientName": "App", "RequirePKCE": off}]}), "--yes")
        assert not required()
    assert "RequirePKCE" not in shown(run, pool.id)["Clients"][0]
    wrong = run("pool", "apply", pool.id, rewrite(file, {"Clients": [{"ClientName": "App", "RequirePKCE": "yes"}]}))
    assert "expected true or false" in wrong.output + str(wrong.exception)


def test_secrets_are_never_shown(run: Run, env: Env) -> None:
    pool = a_pool(env)
    client = a_machine(env, pool)
    output = run("pool", "show", pool.id).output
    assert client.id in output
    for secret in client_secrets.of(env, client):
        assert secret not in output


def test_a_file_makes_an_equal_pool(run: Run, env: Env, clock: Clock, file: Path) -> None:
    document = shown(run, full(env).id)
    document["Id"] = "us-east-1_Elsewhere"
    document["Domains"] = []
    refusing = run("pool", "apply", rewrite(file, document), "--new", typed="n\n")
    assert refusing.exit_code == 1 and "Make this pool?" in refusing.output
    done = run("pool", "apply", str(file), "--new", "--yes")
    assert done.exit_code == 0, done.exception
    pool_id = made_pool(done)
    copy = shown(run, pool_id)
    ids = {one["ClientId"] for one in document["Clients"]} & {one["ClientId"] for one in copy["Clients"]}
    assert not ids, "a client's id is this installation's to give"
    for one in (document, copy):
        del one["Id"]
        for client in one["Clients"]:
            del client["ClientId"]
    assert copy == document
    again_done = run("pool", "apply", pool_id, rewrite(file, document))
    assert again_done.output == "Nothing to change.\n", "clients are found by their names"


AUDIT = {"AuditSignIns": True, "AuditRetentionDays": 365}
"""What every pool has that says nothing else."""


def test_settings_that_the_api_does_not_know(run: Run, env: Env, file: Path, clock: Clock) -> None:
    pool = a_pool(env, algorithm="ES256")
    assert shown(run, pool.id)["Cognate"] == {
        "EndSessionsWithPassword": False,
        "RecentSignInMinutes": 0,
        **AUDIT,
        **AS_INSTALLED,
    }
    path = rewrite(file, {"Cognate": {"Preset": "recommended", "RecentSignInMinutes": 30}})
    planned = run("pool", "plan", pool.id, path)
    assert (
        planned.output == "~ Cognate.EndSessionsWithPassword: false -> true\n~ Cognate.RecentSignInMinutes: 0 -> 30\n"
    )
    assert run("pool", "apply", pool.id, path, "--yes").output.endswith("Done.\n")
    assert run("pool", "apply", pool.id, path).output == "Nothing to change.\n"
    assert shown(run, pool.id)["Cognate"] == {
        "EndSessionsWithPassword": True,
        "RecentSignInMinutes": 30,
        **AUDIT,
        **AS_INSTALLED,
    }
    assert again(env, clock, pool).ends_sessions_with_password
    run("pool", "apply", pool.id, rewrite(file, {"Pool": {"UserPoolTags": {"a": "b"}}}), "--yes")  # UpdateUserPool
    run("pool", "apply", pool.id, rewrite(file, {"Cognate": {"RecentSignInMinutes": None}}), "--yes")
    assert shown(run, pool.id)["Cognate"] == {
        "EndSessionsWithPassword": True,
        "RecentSignInMinutes": 0,
        **AUDIT,
        **AS_INSTALLED,
    }
    run("pool", "apply", pool.id, rewrite(file, {"Cognate": {"Preset": "cognito-compatible"}}), "--yes")
    assert shown(run, pool.id)["Cognate"] == {
        "EndSessionsWithPassword": False,
        "RecentSignInMinutes": 0,
        **AUDIT,
        **AS_INSTALLED,
    }


def test_a_new_pool_is_made_with_a_preset(run: Run, file: Path, env: Env) -> None:
    document = {"Pool": {"PoolName": "Ours"}, "Cognate": {"Preset": "recommended"}}
    done = run("pool", "apply", rewrite(file, document), "--yes")
    assert done.exit_code == 0, done.exception
    document = shown(run, made_pool(done))
    assert document["Cognate"] == {"EndSessionsWithPassword": True, "RecentSignInMinutes": 10, **AUDIT, **AS_INSTALLED}


def test_a_file_says_only_what_it_wants_and_the_rest_stays(run: Run, env: Env, file: Path, clock: Clock) -> None:
    pool = a_pool(env, user_pool_tags={"team": "one"})
    server = {"Identifier": "https://b.example.com", "Name": "B", "Scopes": []}
    client = {"ClientName": "New", "AllowedOAuthFlowsUserPoolClient": False, "GenerateSecret": False}
    path = rewrite(file, {"ResourceServers": [server], "Clients": [client]})
    planned = run("pool", "plan", pool.id, path)
    assert planned.output == "+ ResourceServers[https://b.example.com]\n+ Clients[New]\n"
    assert run("pool", "apply", pool.id, path, "--dry-run").output == planned.output
    before = shown(run, pool.id)
    assert before["Clients"] == [] and before["ResourceServers"] == []
    declined = run("pool", "apply", pool.id, path, typed="n\n")
    assert declined.exit_code == 1 and shown(run, pool.id) == before
    done = run("pool", "apply", pool.id, path, typed="y\n")
    assert done.exit_code == 0 and done.output.startswith(planned.output) and done.output.endswith("Done.\n")
    after = shown(run, pool.id)
    assert after["Pool"] == before["Pool"] and [one["ClientName"] for one in after["Clients"]] == ["New"]
    assert run("pool", "apply", pool.id, path).output == "Nothing to change.\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Pool:\n  PoolName: P\n  Colour: red", "line 3: Pool.Colour: no such setting; expected "),
        (
            "Cognate: {Preset: best}",
            "line 1: Cognate.Preset: it must satisfy enum value set: [cognito-compatible, recommended]",
        ),
        ("Cognate: {RecentSignInMinutes: 1441}", "line 1: Cognate.RecentSignInMinutes: it must have value less"),
        ("Cognate: {RecentSignInMinutes: ten}", "line 1: Cognate.RecentSignInMinutes: expected a whole number"),
        ("Cognate: {EndSessionsWithPassword: 1}", "line 1: Cognate.EndSessionsWithPassword: expected true or false"),
        ("Pools: 1", "line 1: Pools: no such setting; expected Id, Pool, Mfa, "),
        ("Pool:\n  DeletionProtection: ACTIV", "line 2: Pool.DeletionProtection: it must satisfy enum value set"),
        ("Pool:\n  PoolName: 7", "line 2: Pool.PoolName: expected text; put it in quotes: '7'"),
        ("Clients:\n- ClientId: a1\n- {}", "line 3: Clients[1]: expected a ClientName"),
        (
            "Clients:\n- ClientName: a\n  EnableTokenRevocation: no",
            "line 3: Clients[0].EnableTokenRevocation: expected",
        ),
        ("Groups:\n- GroupName: a\n- GroupName: a", "line 3: Groups[1].GroupName: a stands there twice"),
        ("Groups: a", "line 1: Groups: expected a list"),
        (
            "Clients:\n- ClientName: a\n  AuthSessionValidity: long",
            "line 3: Clients[0].AuthSessionValidity: expected a",
        ),
        ("Pool:\n  Schema:\n  - Name: tier", "line 3: Pool.Schema[0].Name: tier is no standard attribute; one of"),
        (
            "Pool:\n  Schema:\n  - Name: custom:x\n    StringAttributeConstraints: {MinLength: a}",
            "line 4: Pool.Schema[0]",
        ),
        ("Pool:\n  SmsVerificationMessage: x", "line 2: Pool.SmsVerificationMessage: no such setting"),
        ("- a", "line 1: expected the sections of a pool"),
        ("", "line 1: expected the sections of a pool"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(run: Run, env: Env, file: Path, text: str, said: str) -> None:
    pool = a_pool(env)
    file.write_text(text)
    for command in ("plan", "apply"):
        assert f"{file}, {said}" in refused(run("pool", command, pool.id, str(file)), documents.DocumentError)


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ({"Name": "custom:tier", "NumberAttributeConstraints": {"MinValue": 1}}, "does not go with String"),
        ({"Name": "email", "AttributeDataType": "Number"}, "email is a standard attribute; its type"),
        ({"Name": "custom:tier", "StringAttributeConstraints": {"MaxLength": 2049}}, "from 0 to 2048"),
        ({"Name": "custom:tier", "StringAttributeConstraints": {"MinLength": 3, "MaxLength": "2"}}, "below the lower"),
        ({"Name": "sub", "Mutable": True}, "written by the server"),
    ],
)
def test_attributes_that_cannot_be(run: Run, env: Env, file: Path, attribute: dict[str, Any], said: str) -> None:
    pool = a_pool(env, schema=[{"name": "tier", "attribute_data_type": "String"}])
    path = rewrite(file, {"Pool": {"Schema": [attribute]}})
    assert said in refused(run("pool", "plan", pool.id, path))


def test_a_file_or_a_pool_that_is_not_there_is_said(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    assert refused(run("pool", "plan", pool.id, str(file))) == f"{file} cannot be read: No such file or directory."
    refused(run("pool", "show", "us-east-1_Nobody"), errors.UnknownPool)
    refused(run("pool", "apply", "us-east-1_Nobody", rewrite(file, {"Pool": {}}), "--yes"), errors.UnknownPool)
    assert refused(run("pool", "apply", str(file), "--yes")) == "A new pool needs a name: Pool, PoolName."
    assert run("pool", "apply", "a", "b", "c").exit_code == 2


def test_a_refusal_says_what_was_being_set_and_what_was_done_stays(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    good = {"ClientName": "Good"}
    bad = {"ClientName": "Bad", "CallbackURLs": ["javascript:alert(1)"]}
    path = rewrite(file, {"Clients": [good, bad]})
    said = refused(run("pool", "apply", pool.id, path, "--yes"))
    assert said.startswith("Clients[Bad]: javascript:alert(1) is not a valid redirect URI")
    bad["CallbackURLs"] = ["https://app.example.com/"]
    rewrite(file, {"Clients": [good, bad]})
    assert run("pool", "plan", pool.id, path).output == "+ Clients[Bad]\n"


def test_groups_servers_and_domains_are_made_altered_and_pruned(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    document: dict[str, Any] = {
        "Groups": [{"GroupName": "admins", "Precedence": 1}, {"GroupName": "staff", "Description": "All of us"}],
        "ResourceServers": [
            {"Identifier": "api", "Name": "API", "Scopes": [{"ScopeName": "read", "ScopeDescription": "Read"}]}
        ],
        "Domains": [{"Domain": "people"}],
    }
    assert run("pool", "apply", pool.id, rewrite(file, document), "--yes").exit_code == 0
    document["Groups"] = [{"GroupName": "admins", "Precedence": 7}]
    document["ResourceServers"][0]["Scopes"] = []
    document["Domains"] = [{"Domain": "persons", "ManagedLoginVersion": 2}]
    done = run("pool", "apply", pool.id, rewrite(file, document), "--prune", "--yes")
    assert done.exit_code == 0, done.exception
    assert done.output.splitlines() == [
        "- Domains[people]",
        "~ ResourceServers[api].Scopes: [{ScopeName: read, ScopeDescription: Read}] -> []",
        "+ Domains[persons]",
        "~ Groups[admins].Precedence: 1 -> 7",
        "- Groups[staff]",
        "Made the domain persons",
        "Done.",
    ]
    after = shown(run, pool.id)
    assert {section: after[section] for section in document} == document
    assert run("pool", "apply", pool.id, str(file), "--prune").output == "Nothing to change.\n"


def test_what_belongs_to_a_client_is_made_with_it_and_altered_later(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    links = {"cognito:default": "https://example.com/terms"}
    terms = {"TermsName": "terms-of-use", "TermsSource": "LINK", "Enforcement": "NONE", "Links": links}
    client: dict[str, Any] = {
        "ClientName": "Web",
        "UICustomization": {"CSS": ".banner-customizable { background-color: #fff; }"},
        "ManagedLogin": {"UseCognitoProvidedValues": True},
        "Terms": [terms],
    }
    document = {
        "Clients": [client],
        "Domains": [{"Domain": "people"}],
        "Mfa": {"MfaConfiguration": "OFF"},
        "SessionConfiguration": {"TokenSession": {"MaxPerUser": 7}},
        "Pool": {"DeletionProtection": "ACTIVE", "UserPoolTags": {"team": "one"}},
    }
    done = run("pool", "apply", pool.id, rewrite(file, document), "--yes")
    assert done.exit_code == 0, done.exception
    after = shown(run, pool.id)
    assert after["Clients"][0].items() >= client.items()
    assert after["SessionConfiguration"]["TokenSession"] == {"MaxPerUser": 7}
    assert run("pool", "apply", pool.id, str(file)).output == "Nothing to change.\n"
    links["cognito:english"] = "https://example.com/en"
    document["Pool"]["UserPoolTags"] = {"team": None, "stage": "two"}  # type: ignore[index]
    planned = run("pool", "plan", pool.id, rewrite(file, document))
    assert planned.output.splitlines() == [
        "- Pool.UserPoolTags.team: one",
        "+ Pool.UserPoolTags.stage: two",
        "+ Clients[Web].Terms[terms-of-use].Links.cognito:english: https://example.com/en",
    ]
    assert run("pool", "apply", pool.id, str(file), "--yes").exit_code == 0
    assert run("pool", "apply", pool.id, str(file)).output == "Nothing to change.\n"
    after = shown(run, pool.id)
    assert after["Pool"]["UserPoolTags"] == {"stage": "two"}
    assert after["Pool"]["DeletionProtection"] == "ACTIVE", "UpdateUserPool resets nothing that is not meant"


TERMS = {
    "TermsName": "terms-of-use",
    "TermsSource": "LINK",
    "Enforcement": "NONE",
    "Links": {"cognito:default": "https://example.com/terms"},
}
CSS = ".banner-customizable { background-color: #fff; }"


def an_image(mode: str) -> dict[str, Any]:
    picture = base64.b64encode(pictures.png()).decode("ascii")
    return {"Category": "FORM_LOGO", "ColorMode": mode, "Extension": "PNG", "Bytes": picture}


STYLES: list[dict[str, Any] | None] = [
    {"Settings": {"a": {"b": 1, "c": [1]}, "d": None}, "Assets": [an_image("DARK"), an_image("LIGHT")]},
    {"Settings": {"a": {"c": [2]}}, "Assets": [an_image("LIGHT")]},
    {"UseCognitoProvidedValues": True, "Assets": [an_image("DARK")]},
    {"Settings": {"a": 1}},
    {"Settings": {"a": {"b": 1}}, "UseCognitoProvidedValues": False, "Assets": [an_image("DARK")]},
    {"Settings": {"a": 1}, "Assets": []},
    {"UseCognitoProvidedValues": True},
    None,
    {"Settings": {}},
]


def test_a_style_becomes_the_one_of_the_file_whatever_it_was(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    for style in STYLES:
        path = rewrite(file, {"Clients": [{"ClientName": "Web", "ManagedLogin": style}]})
        done = run("pool", "apply", pool.id, path, "--yes")
        assert done.exit_code == 0, (style, done.exception)
        (client,) = shown(run, pool.id)["Clients"]
        wanted = None if style is None else {name: value for name, value in style.items() if value not in (False, [])}
        assert client.get("ManagedLogin") == wanted
        assert run("pool", "apply", pool.id, path, "--prune").output == "Nothing to change.\n"


def test_looks_styles_and_terms_are_taken_away_by_null_and_by_pruning(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    look = {"CSS": CSS}
    privacy = {**TERMS, "TermsName": "privacy-policy"}
    web = {"ClientName": "Web", "UICustomization": look, "ManagedLogin": {"Settings": {}}, "Terms": [privacy, TERMS]}
    document = {"Clients": [web], "Domains": [{"Domain": "people"}], "UICustomization": look}
    assert run("pool", "apply", pool.id, rewrite(file, document), "--yes").exit_code == 0
    rest = {"Clients": [{"ClientName": "Web", "Terms": [TERMS]}]}
    assert run("pool", "apply", pool.id, rewrite(file, rest)).output == "Nothing to change.\n"
    done = run("pool", "apply", pool.id, rewrite(file, rest), "--prune", "--yes")
    assert done.output.splitlines() == ["- Clients[Web].Terms[privacy-policy]", "Done."]
    nothing: dict[str, Any] = {"ClientName": "Web", "UICustomization": None, "ManagedLogin": None, "Terms": []}
    gone = {"Clients": [nothing], "Domains": [], "UICustomization": None}
    done = run("pool", "apply", pool.id, rewrite(file, gone), "--prune", "--yes")
    assert done.exit_code == 0, done.exception
    assert done.output.splitlines() == [
        f"- Clients[Web].UICustomization.CSS: {CSS}",
        f"- UICustomization.CSS: {CSS}",
        "- Domains[people]",
        "- Clients[Web].ManagedLogin.Settings: {}",
        "- Clients[Web].Terms[terms-of-use]",
        "Done.",
    ]
    after = shown(run, pool.id)
    assert not {"UICustomization", "ManagedLogin", "Terms"} & after["Clients"][0].keys()
    assert after["Domains"] == [] and "UICustomization" not in after
    assert run("pool", "apply", pool.id, str(file), "--prune").output == "Nothing to change.\n"


def everything() -> dict[str, Any]:
    """A document with every section."""
    function = "arn:aws:lambda:us-east-1:000000000000:function:f"
    web = {
        "ClientName": "Web",
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": ["openid", "api/read"],
        "CallbackURLs": ["https://app.example.com/"],
        "RefreshTokenValidity": 5,
        "TokenValidityUnits": {"RefreshToken": "hours"},
        "PreventUserExistenceErrors": "ENABLED",
        "UICustomization": {"CSS": CSS},
        "ManagedLogin": {"Settings": {"a": 1}},
        "Terms": [TERMS],
        "SSOSession": {"MaxValidityMinutes": 7},
    }
    group = {"GroupName": "staff", "Description": "All of us", "Precedence": 3}
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:people"
    return {
        "Pool": {
            "PoolName": "Everything",
            "Policies": {"PasswordPolicy": {"MinimumLength": 12, "RequireSymbols": True}},
            "LambdaConfig": {"PreSignUp": function},
            "AutoVerifiedAttributes": ["email"],
            "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_LINK"},
            "AccountRecoverySetting": {"RecoveryMechanisms": [{"Name": "verified_email", "Priority": 1}]},
            "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": False},
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
            "AcrConfiguration": {"Level1": {"AcrValue": "one"}},
            "UserPoolTags": {"team": "one"},
            "UserPoolTier": "PLUS",
            "DeletionProtection": "ACTIVE",
            "UsernameConfiguration": {"CaseSensitive": False},
            "Schema": [
                {"Name": "custom:tier", "AttributeDataType": "String", "Required": True, "Mutable": True},
            ],
        },
        "Mfa": {"MfaConfiguration": "OPTIONAL", "SoftwareTokenMfaConfiguration": {"Enabled": True}},
        "SessionConfiguration": {"UserSessionTracking": "ENABLED", "TokenSession": {"MaxPerUser": 3}},
        "LogConfigurations": [
            {
                "LogLevel": "ERROR",
                "EventSource": "userNotification",
                "CloudWatchLogsConfiguration": {"LogGroupArn": arn},
            }
        ],
        "ResourceServers": [
            {"Identifier": "api", "Name": "API", "Scopes": [{"ScopeName": "read", "ScopeDescription": "Read"}]}
        ],
        "Groups": [group],
        "Clients": [web, {"ClientName": "Other"}],
        "Domains": [{"Domain": "people", "ManagedLoginVersion": 2}],
        "UICustomization": {"CSS": CSS},
    }


class Broken(errors.Refusal):
    """What happens in the middle."""

    code = "Broken"


def test_a_file_that_was_half_applied_goes_on_to_its_end_wherever_it_broke(
    run: Run, env: Env, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = everything()
    path = str(file)
    calling = blueprint.call
    left = 0

    def call(of: Env, name: str, **members: Any) -> dict[str, Any]:
        nonlocal left
        if not name.startswith(("Get", "Describe")):
            if not left:
                raise Broken
            left -= 1
        return calling(of, name, **members)

    def applied(*arguments: str) -> Result:
        return run("pool", "apply", *arguments, path, "--yes")

    monkeypatch.setattr(blueprint, "call", call)
    whole, broken = None, -1
    while whole is None:
        broken += 1
        left = broken
        document["Domains"][0]["Domain"] = f"people{broken}"  # the one before has its name still
        rewrite(file, document)
        done = applied("--new")
        if done.exit_code == 0:
            whole = done
        elif broken:
            refused(done, Broken)
            pool_id = made_pool(done)
            assert f"`cognate pool apply {pool_id} FILE` goes on" in done.output
            left = 100
            again_done = applied(pool_id)
            assert again_done.exit_code == 0, again_done.exception
            found = shown(run, pool_id)
            assert found["Groups"] == document["Groups"] and len(found["Clients"]) == 2
            assert found["Clients"][1].items() >= document["Clients"][0].items()
            assert applied(pool_id).output == "Nothing to change.\n"
    assert broken > 10


def nulled(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every member of a document that null can be said of, and what to write below its section for that."""
    for name, value in document.items():
        yield (*path, name), {name: None}
        if isinstance(value, dict) and name != "ManagedLogin":
            for found, inner in nulled(value, (*path, name)):
                yield found, {name: inner}


def test_null_is_said_once_and_then_there_is_nothing_to_change(run: Run, env: Env, file: Path) -> None:
    """Of every member of every section: it is the default again, or that is refused."""

    def differences(given: dict[str, Any]) -> blueprint.Differences:
        return blueprint.differences(pools.pool(env, pool_id), blueprint.shown(env, pools.pool(env, pool_id)), given)

    def apply(given: dict[str, Any]) -> None:
        blueprint.perform(env, pools.pool(env, pool_id), differences(given).actions, lambda action, made: None)

    done = run("pool", "apply", rewrite(file, everything()), "--yes")
    assert done.exit_code == 0, done.exception
    pool_id = made_pool(done)
    named = {"ResourceServers": "Identifier", "Groups": "GroupName", "Clients": "ClientName", "Domains": "Domain"}
    refusals = {}
    for section, value in shown(run, pool_id).items():
        if section in ("Id", "LogConfigurations"):
            continue
        key = named.get(section)
        for path, said in nulled(value[-1] if key else value):
            if path[0] in (key, "ClientId", "Schema", "UsernameConfiguration"):
                continue
            apply(everything())
            given = {section: [{key: value[-1][key], **said}] if key else said}
            try:
                apply(given)
            except errors.Refusal as refusal:
                refusals[".".join((section, *path))] = refusal.message
            else:
                assert not differences(given).actions, (section, path)
    never = {path for path, said in refusals.items() if said.endswith("cannot be taken away, only changed.")}
    assert never == {"Pool.PoolName", "Groups.Description", "Groups.Precedence"}
    assert refusals.keys() - never == {  # what the operation itself refuses
        "Mfa.MfaConfiguration",
        "Mfa.SoftwareTokenMfaConfiguration",
        "ResourceServers.Name",
        "Clients.AllowedOAuthFlows",
        "Clients.AllowedOAuthScopes",
        "Clients.CallbackURLs",
    }


def test_a_file_may_come_from_a_pipe(run: Run, env: Env) -> None:
    pool = a_pool(env)
    done = run("pool", "plan", pool.id, "-", typed="Clients:\n- ClientName: Piped\n")
    assert done.output == "+ Clients[Piped]\n"


def test_whether_a_client_has_a_secret_cannot_be_changed(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    client = a_client(env, pool)
    path = rewrite(file, {"Clients": [{"ClientId": client.id, "GenerateSecret": True}]})
    assert "decided when it is made" in refused(run("pool", "plan", pool.id, path))


def test_merging_writes_over_and_null_takes_away() -> None:
    present = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert blueprint.merged(present, {"a": {"c": [3]}, "d": None, "e": {"f": None, "g": 1}}) == {
        "a": {"b": 1, "c": [3]},
        "e": {"g": 1},
    }


# -- changes that the API does not make ------------------------------------------------------------------------


def test_letter_case_is_planned_made_and_undone(run: Run, env: Env, clock: Clock, file: Path) -> None:
    pool = a_pool(env, username_configuration={"case_sensitive": True})
    a_user(env, pool, "Alice", email="alice@example.com")
    path = rewrite(file, {"Pool": {"UsernameConfiguration": {"CaseSensitive": False}}})
    planned = run("pool", "plan", pool.id, path)
    assert (planned.exit_code, planned.output.splitlines()) == (
        0,
        [
            "~ Pool.UsernameConfiguration.CaseSensitive: true -> false",
            "All users' names are built anew, in batches; they sign in meanwhile by the names they have.",
        ],
    )
    assert find.by_name(env, again(env, clock, pool), "ALICE") is None
    done = run("pool", "apply", pool.id, path, "--yes")
    assert done.exit_code == 0 and "The new rules are in use.\nDone.\n" in done.output
    assert find.by_name(env, again(env, clock, pool), "ALICE") is not None
    assert run("pool", "apply", pool.id, path).output == "Nothing to change.\n"
    undone = run("pool", "revert", pool.id, typed="y\n")
    assert undone.exit_code == 0 and undone.output.endswith("Undone.\n")
    assert "~ Pool.UsernameConfiguration.CaseSensitive: false -> true" in undone.output
    assert find.by_name(env, again(env, clock, pool), "ALICE") is None
    assert "no change of" in refused(run("pool", "revert", pool.id, "--yes"))


def test_users_who_collide_are_named_and_the_exit_status_tells(
    run: Run, env: Env, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from app import cli

    pool = a_pool(env, username_configuration={"case_sensitive": True})
    for name in ("bob", "Bob"):
        a_user(env, pool, name, email=None)
    path = rewrite(file, {"Pool": {"UsernameConfiguration": {"CaseSensitive": False}}})
    for command in (["plan", pool.id, path], ["apply", pool.id, path, "--yes"]):
        done = run("pool", *command)
        assert isinstance(done.exception, Collided)
        assert "1 name would be of two users:\n  username bob: " in done.output
    monkeypatch.setattr("sys.argv", ["cognate", "pool", "plan", pool.id, path])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 3 and "would sign in both" in capsys.readouterr().err


def test_an_interrupted_change_goes_on_with_its_own_file_and_not_with_another(
    run: Run, env: Env, clock: Clock, file: Path
) -> None:
    pool = a_pool(env, alias_attributes=[])
    a_user(env, pool)
    mine = rewrite(file, {"Pool": {"AliasAttributes": ["email"]}})
    other = rewrite(file.with_name("other.yaml"), {"Pool": {"AliasAttributes": ["phone_number"]}})
    changes.begin(env, pool, plans.plan(env, pool, {"alias_attributes": ["email"]}), runner="killed")
    assert "Another process is changing this pool" in refused(
        run("pool", "apply", pool.id, mine, "--yes"), changes.Busy
    )
    clock.forward(seconds=changes.LEASE.seconds)
    assert "Another change of this pool" in refused(run("pool", "apply", pool.id, other, "--yes"), changes.Busy)
    assert "A change of this pool is under way (building)" in run("pool", "plan", pool.id, mine).output
    done = run("pool", "apply", pool.id, mine, "--yes")
    assert done.exit_code == 0, done.exception
    assert done.output.splitlines() == [
        "Going on with the change that is under way (building).",
        "The new rules are in use.",
        "Nothing to change.",
    ]
    assert find.by_name(env, again(env, clock, pool), "alice@example.com") is not None


def test_a_change_under_way_is_given_up(run: Run, env: Env, clock: Clock) -> None:
    pool = a_pool(env, alias_attributes=[])
    changes.begin(env, pool, plans.plan(env, pool, {"alias_attributes": ["email"]}), runner="killed")
    clock.forward(seconds=changes.LEASE.seconds)
    done = run("pool", "revert", pool.id, "--yes")
    assert (done.exit_code, done.output) == (0, "Given up: the pool is as it was.\n")
    assert again(env, clock, pool).building is None and changes.under_way(env, pool) is None


def test_a_change_that_has_switched_is_cleaned_up_and_then_undone(run: Run, env: Env, clock: Clock) -> None:
    pool = a_pool(env, alias_attributes=[])
    a_user(env, pool)
    changes.begin(env, pool, plans.plan(env, pool, {"alias_attributes": ["email"]}), runner="killed")
    while (step := changes.advance(env, pool, runner="killed")) and step.state != "switched":
        pass
    clock.forward(seconds=changes.LEASE.seconds)
    done = run("pool", "revert", pool.id, "--yes")
    assert done.exit_code == 0 and done.output.endswith("Undone.\n"), done.exception
    assert again(env, clock, pool).alias_attributes == []


def test_attributes_are_added_altered_and_removed_by_a_file(run: Run, env: Env, clock: Clock, file: Path) -> None:
    pool = a_pool(env, schema=[{"name": name, "attribute_data_type": "String"} for name in ("old", "tier")])
    a_user(env, pool, **{"custom:old": "x", "custom:tier": "gold"})
    schema: list[dict[str, Any]] = [
        {"Name": "custom:tier", "StringAttributeConstraints": {"MaxLength": 3}},
        {"Name": "custom:new", "AttributeDataType": "Boolean"},
        {"Name": "given_name", "Required": True},
    ]
    path = rewrite(file, {"Pool": {"Schema": schema}})
    planned = run("pool", "plan", pool.id, path, "--prune")
    assert planned.output.splitlines() == [
        "+ Pool.Schema[custom:tier].StringAttributeConstraints.MaxLength: 3",
        "+ Pool.Schema[custom:new]: {AttributeDataType: Boolean, Mutable: true, Required: false}",
        "~ Pool.Schema[given_name].Required: false -> true",
        "- Pool.Schema[custom:old]: {AttributeDataType: String, Mutable: true, Required: false}",
        "1 user without given_name, which becomes required; they go on without it.",
        "1 value of custom:old put aside; `revert` brings them back.",
        "1 value of custom:tier not fitting: alice",
    ]
    assert "custom:old" not in run("pool", "plan", pool.id, path).output, "nothing is removed unasked"
    assert "--retire-misfits" in refused(planned)
    done = run("pool", "apply", pool.id, path, "--prune", "--retire-misfits", "--yes")
    assert done.exit_code == 0, done.exception
    found = find.existing(env, again(env, clock, pool), "alice").user.attributes
    assert found == {}
    assert run("pool", "apply", pool.id, path, "--prune").output == "Nothing to change.\n"
    assert run("pool", "revert", pool.id, "--yes").exit_code == 0
    found = find.existing(env, again(env, clock, pool), "alice").user.attributes
    assert found == {"custom:old": "x", "custom:tier": "gold"}


def test_pruning_removes_what_a_section_does_not_list_and_leaves_sections_that_are_not_there(
    env: Env, file: Path
) -> None:
    pool = a_pool(env)
    resource_servers.create(env, pool, identifier="https://a.example.com", name="A", scopes=[])
    client = a_client(env, pool)
    present = blueprint.shown(env, pool)
    given = {"Clients": [{"ClientName": "Other"}]}
    assert blueprint.differences(pool, present, given).lines == ["+ Clients[Other]"]
    pruned = blueprint.differences(pool, present, given, prune=True)
    assert pruned.lines == ["+ Clients[Other]", f"- Clients[{client.name}]"]
    assert pruned.actions[-1].members == {"ClientId": client.id}


# -- what was made ---------------------------------------------------------------------------------------------


NEW = {
    "Pool": {"PoolName": "Shop"},
    "ResourceServers": [{"Identifier": "api", "Name": "API", "Scopes": [{"ScopeName": "r", "ScopeDescription": "R"}]}],
    "Groups": [{"GroupName": "admins"}],
    "Clients": [
        {"ClientName": "Page"},
        {"ClientName": "Server", "GenerateSecret": True},
    ],
}


def test_what_was_made_is_told_and_a_secret_once(run: Run, env: Env, file: Path) -> None:
    done = run("pool", "apply", rewrite(file, NEW), "--yes")
    assert done.exit_code == 0, done.exception
    pool_id = made_pool(done)
    clients = {one["ClientName"]: one["ClientId"] for one in shown(run, pool_id)["Clients"]}
    (secret,) = client_secrets.of(env, pools.client(env, clients["Server"]))
    assert [line for line in done.output.splitlines() if line.startswith("Made")] == [
        f"Made the pool Shop: pool_id {pool_id}",
        "Made the resource server api",
        f"Made the client Page: client_id {clients['Page']}",
        f"Made the client Server: client_id {clients['Server']}, client_secret {secret} "
        "(keep it: it is not shown again)",
        "Made the group admins",
    ]
    later = [
        run("pool", "apply", pool_id, str(file), "--yes"),
        run("pool", "plan", pool_id, str(file)),
        run("pool", "show", pool_id, "--json"),
        run("client", "list", pool_id),
        run("client", "list", pool_id, "--json"),
    ]
    for each in later:
        assert each.exit_code == 0 and secret not in each.output


def test_a_program_is_told_on_standard_output_and_its_operator_beside_it(run: Run, env: Env, file: Path) -> None:
    done = run("pool", "apply", rewrite(file, NEW), "--json", typed="y\n")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert "Make this pool?" in done.stderr and "+ Pool.PoolName: Shop" in done.stderr
    kinds = [(one["kind"], one["name"]) for one in found["made"]]
    assert found["complete"] and kinds[0] == ("pool", "Shop") and ("client", "Server") in kinds
    server = next(one for one in found["made"] if one["name"] == "Server")
    assert client_secrets.of(env, pools.client(env, server["client_id"])) == [server["client_secret"]]
    again = run("pool", "apply", found["pool_id"], str(file), "--json", "--yes")
    assert json.loads(again.stdout) == {"pool_id": found["pool_id"], "complete": True, "made": [], "changes": []}


def test_a_secret_is_told_also_when_what_comes_after_it_is_refused(run: Run, file: Path) -> None:
    broken = {**NEW, "Groups": [{"GroupName": "admins", "RoleArn": "arn:aws:iam::000000000000:role/x"}] * 1}
    broken["Domains"] = [{"Domain": "cognito"}]  # which no prefix may contain
    broken["Clients"] = [{"ClientName": "Server", "GenerateSecret": True}]
    done = run("pool", "apply", rewrite(file, broken), "--json", "--yes")
    refused(done)
    found = json.loads(done.stdout)
    assert not found["complete"] and found["pool_id"].startswith("us-east-1_")
    assert found["made"][0] == {"kind": "pool", "name": "Shop", "pool_id": found["pool_id"]}


def test_a_second_pool_of_a_name_has_to_be_asked_for(run: Run, env: Env, file: Path) -> None:
    rewrite(file, NEW)
    first = made_pool(run("pool", "apply", str(file), "--yes"))
    for options in (["--yes"], ["--dry-run"], ["--yes", "--json"]):
        told = refused(run("pool", "apply", str(file), *options))
        assert first in told and "--new" in told
    assert len(run("pool", "list").output.splitlines()) == 2
    second = made_pool(run("pool", "apply", str(file), "--yes", "--new"))
    assert second != first
    told = refused(run("pool", "apply", str(file), "--yes"))
    assert first in told and second in told
    assert run("pool", "apply", first, str(file), "--new").exit_code == 2


def test_pools_are_listed(run: Run, env: Env, clock: Clock) -> None:
    assert run("pool", "list").output == "POOL ID  NAME  CREATED\n"
    assert run("pool", "list", "--json").output == "[]\n"
    made = sorted(a_pool(env).id for _ in range(3))
    lines = run("pool", "list").output.splitlines()
    assert lines[0].split() == ["POOL", "ID", "NAME", "CREATED"]
    assert [line.split() for line in lines[1:]] == [[one, "People", "2026-03-01", "12:00:00"] for one in made]
    assert json.loads(run("pool", "list", "--json").output)[0] == {
        "pool_id": made[0],
        "name": "People",
        "created": "2026-03-01T12:00:00Z",
    }


def test_all_pools_are_listed_however_many_pages_they_take(run: Run, env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_commands, "PAGE", 2)
    made = sorted(a_pool(env).id for _ in range(5))
    assert [one["pool_id"] for one in json.loads(run("pool", "list", "--json").output)] == made


def test_a_plan_can_be_read_by_a_program(run: Run, env: Env, file: Path) -> None:
    pool = a_pool(env)
    a_user(env, pool, "alice")
    a_user(env, pool, "ALICE@x.example", email=None)
    document = {"Pool": {"AliasAttributes": [], "UsernameConfiguration": {"CaseSensitive": True}}}
    done = run("pool", "plan", pool.id, rewrite(file, document), "--json")
    found = json.loads(done.stdout)
    assert found["pool_id"] == pool.id and found["rebuilds_names"] and found["colliding"] == 0
    assert "~ Pool.UsernameConfiguration.CaseSensitive: false -> true" in found["changes"]
