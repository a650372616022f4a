"""A person with a passkey, in a real browser with a virtual authenticator: an application's page that speaks the API.

The page needs no library: browsers read and write the JSON of Web Authentication Level 3 themselves.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from flask import Flask
from playwright.sync_api import Browser, CDPSession
from playwright.sync_api import Page as Tab

from tests.journeys.conftest import RunningServer
from tests.serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PASSWORD = "Correct-horse-7"
SCRIPT = """
    async function call(operation, members) {
        const answer = await fetch(SERVER, {
            method: "POST",
            headers: {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "AWSCognitoIdentityProviderService." + operation,
            },
            body: JSON.stringify(members),
        });
        const said = await answer.json();
        return answer.ok ? said : {refused: said.__type};
    }
    async function create(options) {
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
        try {
            return (await navigator.credentials.create({publicKey})).toJSON();
        } catch (failed) {
            return {failed: failed.name};
        }
    }
    async function get(options) {
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options));
        try {
            return JSON.stringify((await navigator.credentials.get({publicKey})).toJSON());
        } catch (failed) {
            return JSON.stringify({failed: failed.name});
        }
    }
"""


@dataclass
class Application:
    """A page of a client's own, open in a browser, and the client's credentials at the server."""

    tab: Tab
    devices: CDPSession
    client_id: str
    username: str

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """An operation of the API, as the page calls it; `{"refused": type}` where it is refused."""
        found: dict[str, Any] = self.tab.evaluate("([name, members]) => call(name, members)", [operation, members])
        return found

    def password(self) -> dict[str, Any]:
        how = {"USERNAME": self.username, "PASSWORD": PASSWORD}
        return self.call("InitiateAuth", ClientId=self.client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=how)

    def passkey(self) -> dict[str, Any]:
        how = {"USERNAME": self.username, "PREFERRED_CHALLENGE": "WEB_AUTHN"}
        return self.call("InitiateAuth", ClientId=self.client_id, AuthFlow="USER_AUTH", AuthParameters=how)

    def create(self, token: str) -> dict[str, Any]:
        """What the browser makes of a registration that is started."""
        options = self.call("StartWebAuthnRegistration", AccessToken=token)["CredentialCreationOptions"]
        found: dict[str, Any] = self.tab.evaluate("options => create(options)", options)
        return found

    def get(self, asked: dict[str, Any]) -> str:
        """What the browser makes of a challenge."""
        assert asked["ChallengeName"] == "WEB_AUTHN", asked
        options = asked["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"]
        return str(self.tab.evaluate("options => get(options)", options))

    def respond(self, asked: dict[str, Any], credential: str) -> dict[str, Any]:
        return self.call(
            "RespondToAuthChallenge",
            ClientId=self.client_id,
            ChallengeName="WEB_AUTHN",
            Session=asked["Session"],
            ChallengeResponses={"USERNAME": self.username, "CREDENTIAL": credential},
        )

    def device(self, **other: Any) -> str:
        """A new device in the person's hand: an authenticator that can verify him, and does."""
        able = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
        options = {"protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", **able, **other}
        added = self.devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return str(added["authenticatorId"])


@pytest.fixture
def application(server: RunningServer, browser: Browser) -> Iterator[Application]:
    """Of a pool of its own, in which passkeys may come first and may be second."""
    app = Flask("application")
    script = f"const SERVER = {json.dumps(server.base_url + '/')};{SCRIPT}"
    app.add_url_rule("/", "page", lambda: f"<!doctype html><title>App</title><script>{script}</script>")
    key = server.demo["access_key"]
    with serving(app) as base:
        cognito = boto3.client(
            "cognito-idp",
            endpoint_url=server.base_url,
            region_name=server.region,
            aws_access_key_id=key["id"],
            aws_secret_access_key=key["secret"],
        )
        factors = {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN"]}}
        pool = cognito.create_user_pool(PoolName="Passkeys", Policies=factors)["UserPool"]["Id"]
        cognito.set_user_pool_mfa_config(
            UserPoolId=pool,
            MfaConfiguration="OPTIONAL",
            SoftwareTokenMfaConfiguration={"Enabled": True},
            WebAuthnConfiguration={"RelyingPartyId": "localhost"},
        )
        client = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName="Page",
            CallbackURLs=[f"{base}/"],
            ExplicitAuthFlows=["ALLOW_USER_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            PreventUserExistenceErrors="ENABLED",
        )["UserPoolClient"]["ClientId"]
        name = f"person{uuid.uuid4().hex[:8]}"
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        context = browser.new_context()
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.goto(f"{base}/")
        devices = context.new_cdp_session(tab)
        devices.send("WebAuthn.enable")
        yield Application(tab, devices, client, name)
        context.close()
        cognito.delete_user_pool(UserPoolId=pool)
        cognito.close()


def test_a_person_registers_a_passkey_and_signs_in_with_it(application: Application) -> None:
    application.device()
    token = application.password()["AuthenticationResult"]["AccessToken"]
    made = application.create(token)
    assert application.call("CompleteWebAuthnRegistration", AccessToken=token, Credential=made) == {}
    # The browser knows that this device has one, because the options name it.
    assert application.create(token) == {"failed": "InvalidStateError"}
    [listed] = application.call("ListWebAuthnCredentials", AccessToken=token)["Credentials"]
    assert listed["CredentialId"] == made["id"]
    assert (listed["RelyingPartyId"], listed["AuthenticatorAttachment"]) == ("localhost", "platform")
    assert listed["AuthenticatorTransports"] == ["internal"]

    asked = application.passkey()
    answer = application.get(asked)
    result = application.respond(asked, answer)["AuthenticationResult"]
    assert application.call("GetUser", AccessToken=result["AccessToken"])["Username"] == application.username
    assert application.respond(asked, answer) == {"refused": "NotAuthorizedException"}

    gone = application.call("DeleteWebAuthnCredential", AccessToken=token, CredentialId=made["id"])
    assert gone == {}
    # Asked for all the same, as it would be of nobody; with one that no device has.
    again = application.passkey()
    assert again["ChallengeName"] == "WEB_AUTHN"
    assert made["id"] not in again["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"]


def test_a_person_has_a_phone_and_a_key(application: Application) -> None:
    """Two devices, one user; each signs in, with whichever is at hand."""
    token = application.password()["AuthenticationResult"]["AccessToken"]
    for kind in ({"transport": "internal", "defaultBackupEligibility": True}, {"transport": "usb"}):
        device = application.device(**kind)
        made = application.create(token)
        assert application.call("CompleteWebAuthnRegistration", AccessToken=token, Credential=made) == {}
        for _ in range(2):
            asked = application.passkey()
            assert "AuthenticationResult" in application.respond(asked, application.get(asked))
        application.devices.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device})
    listed = application.call("ListWebAuthnCredentials", AccessToken=token)["Credentials"]
    assert [one["AuthenticatorAttachment"] for one in listed] == ["platform", "cross-platform"]


def test_a_person_who_wants_it_is_asked_for_it_after_the_password(application: Application) -> None:
    device = application.device()
    token = application.password()["AuthenticationResult"]["AccessToken"]
    made = application.create(token)
    assert application.call("CompleteWebAuthnRegistration", AccessToken=token, Credential=made) == {}
    wanted = application.call("SetUserMFAPreference", AccessToken=token, WebAuthnMfaSettings={"Enabled": True})
    assert wanted == {}
    asked = application.password()
    options = json.loads(asked["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"])
    assert options["userVerification"] == "required"
    # Without his finger the browser gives nothing away.
    found = {"authenticatorId": device, "isUserVerified": False}
    application.devices.send("WebAuthn.setUserVerified", found)
    assert json.loads(application.get(asked)) == {"failed": "NotAllowedError"}
    application.devices.send("WebAuthn.setUserVerified", {**found, "isUserVerified": True})
    assert "AuthenticationResult" in application.respond(asked, application.get(asked))


def test_a_page_of_somebody_else_gets_no_further_than_the_server(application: Application) -> None:
    """Another port is another page to the server, although browsers lend it the same passkeys."""
    application.device()
    token = application.password()["AuthenticationResult"]["AccessToken"]
    made = application.create(token)
    assert application.call("CompleteWebAuthnRegistration", AccessToken=token, Credential=made) == {}
    page = application.tab.content()
    elsewhere = Flask("elsewhere")
    elsewhere.add_url_rule("/", "page", lambda: page)
    with serving(elsewhere) as base:
        application.tab.goto(f"{base}/")
        asked = application.passkey()
        answer = application.get(asked)
        assert "signature" in json.loads(answer)["response"]
        assert application.respond(asked, answer) == {"refused": "NotAuthorizedException"}
