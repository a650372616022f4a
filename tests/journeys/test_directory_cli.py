"""An administrator at a shell, with the AWS command line: what he types, quoted as he would quote it."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys import members
from tests.journeys.conftest import RunningServer

pytestmark = pytest.mark.slow

Typed = Callable[..., "subprocess.CompletedProcess[str]"]
AWS = Path(sys.executable).parent / "aws"


@pytest.fixture
def typed(server: RunningServer, tmp_path: Path) -> Typed:
    """Runs a line in a shell where `aws` is the command line of this environment, and nobody's settings are read.
    Words that are given become the shell's variables."""
    key = server.demo["access_key"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": key["id"],
        "AWS_SECRET_ACCESS_KEY": key["secret"],
        "AWS_DEFAULT_REGION": server.region,
        "AWS_MAX_ATTEMPTS": "1",
    }
    aws = f'aws() {{ {shlex.quote(str(AWS))} --endpoint-url {server.base_url} "$@"; }}\n'

    def run(line: str, **words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/sh", "-c", aws + line],
            env=environ | words,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def answered(typed: Typed) -> Callable[..., Any]:
    """What a line that succeeds prints, as JSON."""

    def run(line: str, **words: str) -> Any:
        ran = typed(line, **words)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    return run


def test_a_pool_is_made_from_the_skeleton(answered: Callable[..., Any], tmp_path: Path) -> None:
    skeleton = answered("aws cognito-idp create-user-pool --generate-cli-skeleton")
    # The command line brings a model of its own, which may be older than ours.
    assert skeleton.keys() - members.NOT_GIVEN.keys() <= members.POOL.keys()
    filled = {name: members.POOL[name] for name in skeleton if name in members.POOL}
    (tmp_path / "pool.json").write_text(json.dumps(filled), encoding="utf-8")
    made = answered("aws cognito-idp create-user-pool --cli-input-json file://pool.json")["UserPool"]
    described = answered('aws cognito-idp describe-user-pool --user-pool-id "$POOL"', POOL=made["Id"])["UserPool"]
    assert members.unlike_pool(described, filled) == []


def test_people_are_found_listed_and_missed(typed: Typed, answered: Callable[..., Any]) -> None:
    pool = answered("aws cognito-idp create-user-pool --pool-name Shell --username-configuration CaseSensitive=false")
    words = {"POOL": pool["UserPool"]["Id"]}
    create = 'aws cognito-idp admin-create-user --user-pool-id "$POOL" --message-action SUPPRESS --username '
    for name in ("nora", "norman"):
        made = answered(
            f'{create} {name} --user-attributes Name=email,Value={name}@example.com Name=name,Value="No N."', **words
        )
        assert {"Name": "name", "Value": "No N."} in made["User"]["Attributes"]
    answered(
        create
        + """ivan --user-attributes '[{"Name": "email", "Value": "ivan@example.com"}, '"""
        + """'{"Name": "name", "Value": "Ivan \\"the\\" \\\\ O'"'"'Hara"}]'""",
        **words,
    )

    def found(how: str) -> list[str]:
        names = answered(
            f'aws cognito-idp list-users --user-pool-id "$POOL" --query "sort(Users[].Username)" {how}', **words
        )
        assert isinstance(names, list)
        return names

    assert found("--filter 'email = \"ivan@example.com\"'") == ["ivan"]
    assert found('--filter "username ^= \\"no\\""') == ["nora", "norman"]
    assert found(r"""--filter 'name = "ivan \"the\" \\ o'"'"'hara"'""") == ["ivan"]

    first = answered('aws cognito-idp list-users --user-pool-id "$POOL" --max-items 2 --page-size 1', **words)
    rest = answered(
        'aws cognito-idp list-users --user-pool-id "$POOL" --starting-token "$NEXT"', NEXT=first["NextToken"], **words
    )
    names = [user["Username"] for page in (first, rest) for user in page["Users"]]
    assert (len(first["Users"]), sorted(names)) == (2, ["ivan", "nora", "norman"])

    missing = typed('aws cognito-idp admin-get-user --user-pool-id "$POOL" --username nobody', **words)
    assert missing.returncode == 255
    assert missing.stdout == ""
    assert missing.stderr.strip() == (
        "An error occurred (UserNotFoundException) when calling the AdminGetUser operation: User does not exist."
    )
    wrong = typed('aws cognito-idp list-users --user-pool-id "$POOL" --filter "email = nora"', **words)
    assert wrong.returncode == 255
    assert "(InvalidParameterException) when calling the ListUsers operation" in wrong.stderr
