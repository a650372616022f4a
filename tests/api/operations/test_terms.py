"""Terms of use and privacy policies at the door."""

from typing import Any

import pytest

from app.env import Env
from app.models import Client, Pool
from tests import build
from tests.api.conftest import Api
from tests.conftest import Clock

LINKS = {"cognito:default": "https://example.com/terms", "cognito:german": "https://example.com/de?x=1#y"}
FIXED = {"TermsSource": "LINK", "Enforcement": "NONE"}
USE, PRIVACY = "terms-of-use", "privacy-policy"


def create(api: Api, client: Client, name: str = USE, **given: Any) -> dict[str, Any]:
    members = {"UserPoolId": client.pool_id, "ClientId": client.id, "TermsName": name, **FIXED, "Links": LINKS}
    made: dict[str, Any] = api("CreateTerms", **{**members, **given})["Terms"]
    return made


def test_terms_come_back_as_they_were_given(api: Api, pool: Pool, client: Client) -> None:
    made = create(api, client)
    assert {name: made[name] for name in ("UserPoolId", "ClientId", "TermsName", "Links", *FIXED)} == {
        "UserPoolId": pool.id,
        "ClientId": client.id,
        "TermsName": USE,
        "Links": LINKS,
        **FIXED,
    }
    by_client = {"UserPoolId": pool.id, "ClientId": client.id}
    by_id = {"UserPoolId": pool.id, "TermsId": made["TermsId"]}
    assert api("DescribeTerms", **by_id)["Terms"] == made
    assert api("DescribeTermsByClient", **by_client, TermsName=USE)["Terms"] == made
    assert api.refused("DescribeTermsByClient", **by_client, TermsName=PRIVACY)[0] == "ResourceNotFound"
    assert api("DeleteTerms", **by_id) == {}
    for operation in ("DescribeTerms", "DeleteTerms", "UpdateTerms"):
        assert api.refused(operation, **by_id) == ("ResourceNotFound", "Terms do not exist.")


def test_a_client_has_one_of_each_kind(api: Api, env: Env, pool: Pool, client: Client) -> None:
    create(api, client)
    policy = create(api, client, PRIVACY)
    create(api, build.a_client(env, pool))
    again = {"UserPoolId": pool.id, "ClientId": client.id, "TermsName": USE, **FIXED, "Links": LINKS}
    assert api.refused("CreateTerms", **again)[0] == "TermsExists"
    renamed = {"UserPoolId": pool.id, "TermsId": policy["TermsId"], "TermsName": USE}
    assert api.refused("UpdateTerms", **renamed)[0] == "TermsExists"
    assert api("UpdateTerms", **{**renamed, "TermsName": PRIVACY})["Terms"]["TermsName"] == PRIVACY


def test_an_update_changes_what_is_given(api: Api, pool: Pool, client: Client, clock: Clock) -> None:
    made = create(api, client)
    by_id = {"UserPoolId": pool.id, "TermsId": made["TermsId"]}
    clock.forward(minutes=1)
    renamed = api("UpdateTerms", **by_id, TermsName=PRIVACY)["Terms"]
    assert renamed["Links"] == LINKS and renamed["TermsName"] == PRIVACY
    assert renamed["CreationDate"] == made["CreationDate"] < renamed["LastModifiedDate"]
    fewer = {"cognito:french": "https://example.com/fr"}
    assert api("UpdateTerms", **by_id, Links=fewer)["Terms"]["Links"] == fewer
    assert api("DescribeTerms", **by_id)["Terms"]["Links"] == fewer


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "javascript:alert(1)",
        "//example.com",
        "/terms",
        "https://",
        "https:///terms",
        "https://user@example.com",
        "https://good.example\\@evil.example",
        "https://example.com:99999",
        "https://[x",
        "https://example.com/\"onclick='x'",
        "https://example.com/<b>",
    ],
)
def test_a_link_leads_to_a_host_by_https(api: Api, client: Client, url: str) -> None:
    members = {"UserPoolId": client.pool_id, "ClientId": client.id, "TermsName": USE, **FIXED}
    said = api.refused("CreateTerms", **members, Links={"cognito:default": url})
    assert said == ("InvalidParameter", "The link of cognito:default must be an absolute https URL.")
    made = create(api, client)
    by_id = {"UserPoolId": client.pool_id, "TermsId": made["TermsId"]}
    assert api.refused("UpdateTerms", **by_id, Links={"cognito:default": url}) == said


@pytest.mark.parametrize(
    "links", [None, {}, {"cognito:klingon": "https://example.com"}, {"default": "https://a.example"}]
)
def test_links_are_for_languages_that_there_are(api: Api, client: Client, links: Any) -> None:
    members = {"UserPoolId": client.pool_id, "ClientId": client.id, "TermsName": USE, **FIXED, "Links": links}
    assert api.refused("CreateTerms", **members)[0] == "InvalidParameter"


def test_all_terms_of_a_pool_are_listed_by_pages(api: Api, env: Env, pool: Pool) -> None:
    made = {create(api, build.a_client(env, pool), name)["TermsId"] for name in (USE, PRIVACY) for _ in range(2)}
    create(api, build.a_client(env, build.a_pool(env, algorithm="ES256")))
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = api("ListTerms", UserPoolId=pool.id, MaxResults=3, **more)
        seen += [one["TermsId"] for one in page["Terms"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert len(seen) == 4 and set(seen) == made
    assert set(page["Terms"][0]) == {"TermsId", "TermsName", "Enforcement", "CreationDate", "LastModifiedDate"}
    other = build.a_pool(env, algorithm="ES256")
    assert api("ListTerms", UserPoolId=other.id) == {"Terms": []}
    assert api.refused("ListTerms", UserPoolId=other.id, **more)[0] == "InvalidParameter"


def test_terms_are_not_there_for_another_pool(api: Api, env: Env, client: Client) -> None:
    made = create(api, client)
    other = build.a_pool(env, algorithm="ES256")
    for operation in ("DescribeTerms", "UpdateTerms", "DeleteTerms"):
        said = api.refused(operation, UserPoolId=other.id, TermsId=made["TermsId"])
        assert said == ("ResourceNotFound", "Terms do not exist.")
    by_client = {"UserPoolId": other.id, "ClientId": client.id, "TermsName": USE}
    assert api.refused("DescribeTermsByClient", **by_client)[0] == "ResourceNotFound"
    assert api.refused("CreateTerms", **by_client, **FIXED, Links=LINKS)[0] == "ResourceNotFound"
    assert api("DescribeTerms", UserPoolId=client.pool_id, TermsId=made["TermsId"])["Terms"] == made
