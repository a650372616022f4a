"""Rates at the endpoints of OAuth: 429 with Retry-After, and a page where a browser cannot be sent back."""

from dataclasses import replace

import pytest

from app.config import Settings
from app.env import Env
from tests.conftest import Clock
from tests.oauth.relying_party import RelyingParty, error


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, requests_per_address=3, requests_per_account=2)


def test_a_public_client_is_refused_by_address_and_told_when_to_come_again(
    relying_party: RelyingParty, clock: Clock
) -> None:
    for _ in range(3):
        assert error(relying_party.refresh("unknown")) == "invalid_grant"
    refused = relying_party.refresh("unknown")
    assert error(refused, 429) == "temporarily_unavailable"
    assert refused.headers["Retry-After"] == "60"
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert refused.headers["Access-Control-Expose-Headers"] == "Retry-After"
    clock.forward(minutes=1)
    assert error(relying_party.refresh("unknown")) == "invalid_grant"


def test_a_client_that_shows_its_secret_has_no_address(confidential: RelyingParty) -> None:
    assert {error(confidential.refresh("unknown")) for _ in range(5)} == {"invalid_grant"}


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke"])
def test_secrets_cannot_be_tried_without_end(confidential: RelyingParty, path: str) -> None:
    form = {"client_id": confidential.client.id, "client_secret": "wrong", "grant_type": "refresh_token", "token": "x"}
    answers = [confidential.post(path, form) for _ in range(4)]
    assert [answer.json["error"] for answer in answers] == ["invalid_client"] * 3 + ["temporarily_unavailable"]
    # Nor does the right one help from there: it would tell that it is right.
    assert error(confidential.refresh("unknown"), 429) == "temporarily_unavailable"


def test_userinfo_is_limited_for_each_user(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    assert [relying_party.userinfo(token).status_code for _ in range(3)] == [200, 200, 429]
    assert relying_party.userinfo(token).headers["Retry-After"] == "60"


def test_a_browser_gets_a_page_that_says_when_to_try_again(env: Env, relying_party: RelyingParty) -> None:
    answers = [relying_party.authorize() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [302] * 3 + [429]
    assert answers[3].headers["Retry-After"] == "60" and answers[3].mimetype == "text/html"
    assert "Please try again in 60 seconds." in answers[3].text and 'data-error="too_many"' in answers[3].text
