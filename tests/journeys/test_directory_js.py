"""The directory with the AWS SDK for JavaScript: `js/directory.mjs` runs in Node, and what it prints is looked at here.

Needs Node 20 and what `make test` installs with npm; without them it is skipped.
"""

import json
import subprocess
from typing import Any

import pytest

from tests.journeys import members
from tests.journeys.conftest import RunningServer
from tests.journeys.javascript import HERE, node

pytestmark = pytest.mark.slow

SCHEMA = [{"Name": "tier", "AttributeDataType": "String", "Mutable": True}]


@pytest.fixture(scope="module")
def done(server: RunningServer) -> Any:
    """What the script has seen."""
    given = {
        "endpoint": server.base_url,
        "region": server.region,
        "key": server.demo["access_key"],
        "pool": members.POOL,
        "poolChanged": members.POOL_CHANGED,
        "client": members.CLIENT,
        "clientChanged": members.CLIENT_CHANGED,
        "resourceServer": members.RESOURCE_SERVER,
        "schema": SCHEMA,
    }
    ran = subprocess.run(
        [node(), "directory.mjs"], cwd=HERE, input=json.dumps(given), capture_output=True, text=True, timeout=110
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_pool_and_a_client_with_every_member_are_described_as_they_were_given(done: Any) -> None:
    seen = done["everyMember"]
    assert members.unlike_pool(seen["pool"], members.POOL) == []
    assert members.unlike_pool(seen["poolChanged"], members.POOL_CHANGED) == []
    assert members.unlike_client(seen["client"], members.CLIENT) == []
    assert members.unlike_client(seen["clientChanged"], members.CLIENT_CHANGED) == []
    assert seen["datesAreDates"] is True


def test_every_list_comes_whole_page_by_page(done: Any) -> None:
    seen = done["lists"]
    assert len(seen["pages"]) == 6
    for name, pages in seen["pages"].items():
        assert [len(page) for page in pages] == [2, 2, 1], name
        assert len({one for page in pages for one in page}) == 5, name
    assert seen["poolIsListed"] is True


def test_a_person_lives_through_it_without_credentials(done: Any) -> None:
    seen = done["life"]
    attributes = {one["Name"]: one["Value"] for one in seen["user"]["UserAttributes"]}
    assert seen["user"]["Username"] == "nora"
    assert (attributes["email"], attributes["email_verified"]) == (seen["moved"], "true")
    assert seen["left"] == []


def test_refusals_are_instances_of_the_exceptions_of_the_model(done: Any) -> None:
    refusals = done["life"]["refusals"]
    assert [one and one["name"] for one in refusals] == [
        "UsernameExistsException",
        "GroupExistsException",
        "NotAuthorizedException",
        "UserNotFoundException",
        "ResourceNotFoundException",
        "InvalidParameterException",
        "InvalidPasswordException",
        "CodeMismatchException",
    ]
    for one in refusals:
        assert one["instance"] and one["service"] and one["status"] == 400 and one["message"], one
