"""A person with a second factor, at the pages: sets up an authenticator app, uses it, loses it, and has a code sent."""

import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
import requests
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.chromium import press
from tests.journeys.conftest import RunningServer, administrator
from tests.journeys.test_browser import Application, relying_party
from tests.serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PASSWORD = "Correct-horse-7"
PHONE = "+442079460018"


@dataclass
class Careful:
    """An application whose pool demands a second factor of everybody."""

    cognito: Any
    pool_id: str
    application: Application

    def a_person(self, **attributes: str) -> str:
        name = f"person{uuid.uuid4().hex[:8]}"
        given = {"email": f"{name}@example.com", "email_verified": "true", **attributes}
        self.cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=name,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": key, "Value": value} for key, value in given.items()],
        )
        self.cognito.admin_set_user_password(UserPoolId=self.pool_id, Username=name, Password=PASSWORD, Permanent=True)
        return name


@pytest.fixture
def careful(server: RunningServer) -> Iterator[Careful]:
    app = relying_party()
    cognito = administrator(server)
    with serving(app) as base:
        pool_id = cognito.create_user_pool(
            PoolName=f"Careful {secrets.token_hex(4)}",
            AccountRecoverySetting={"RecoveryMechanisms": [{"Name": "verified_email", "Priority": 1}]},
        )["UserPool"]["Id"]
        cognito.set_user_pool_mfa_config(
            UserPoolId=pool_id,
            MfaConfiguration="ON",
            SoftwareTokenMfaConfiguration={"Enabled": True},
            SmsMfaConfiguration={"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"}},
        )
        made = cognito.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName="Relying party",
            GenerateSecret=True,
            CallbackURLs=[f"{base}/callback"],
            LogoutURLs=[f"{base}/"],
            AllowedOAuthFlows=["code"],
            AllowedOAuthScopes=["openid", "email"],
            AllowedOAuthFlowsUserPoolClient=True,
            SupportedIdentityProviders=["COGNITO"],
            PreventUserExistenceErrors="ENABLED",
        )["UserPoolClient"]
        found = f"{server.base_url}/{pool_id}/.well-known/openid-configuration"
        one = Application(base, requests.get(found, timeout=60).json(), made["ClientId"], made["ClientSecret"])
        app.extensions["application"] = one
        app.extensions["oauth"].register(
            "cognate",
            client_id=one.client_id,
            client_secret=one.client_secret,
            server_metadata_url=found,
            client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
        )
        yield Careful(cognito, pool_id, one)
    cognito.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def sign_in(tab: Tab, careful: Careful, name: str) -> None:
    """Sign out, wherever one is, and in again with the password."""
    tab.goto(f"{careful.application.base}/logout?cognito")
    tab.wait_for_url(f"{careful.application.base}/")
    tab.click("text=Sign in")
    tab.fill("#username", name)
    tab.fill("#password", PASSWORD)
    tab.click("#sign-in")


def test_a_person_sets_up_an_app_and_signs_in_with_it_and_without(careful: Careful, tab: Tab) -> None:
    name = careful.a_person()
    here = expect(tab.locator("body"))

    sign_in(tab, careful, name)
    tab.click("#way-app")
    app = pyotp.TOTP(tab.inner_text("#secret"))
    began = time.time()
    tab.fill("#confirmation_code", app.at(int(began)))
    tab.fill("#app_name", "My phone")
    tab.click("#verify")
    expect(tab.locator("#codes li")).to_have_count(10)
    codes = tab.locator("#codes li").all_inner_texts()
    # Nobody loses the sign-in, or sees the codes again, by loading the page once more.
    tab.reload()
    here.to_have_text(f"Signed in as {name}@example.com")

    sign_in(tab, careful, name)
    expect(tab.locator("#where")).to_contain_text("My phone")
    # The next one, which an app may show half a minute early: the first has been used.
    tab.fill("#confirmation_code", app.at(int(max(time.time(), began + 30))))
    tab.click("#verify")
    here.to_have_text(f"Signed in as {name}@example.com")

    sign_in(tab, careful, name)
    press(tab, "text=Use a recovery code")
    tab.fill("#confirmation_code", codes[0])
    tab.click("#verify")
    here.to_have_text(f"Signed in as {name}@example.com")

    sign_in(tab, careful, name)
    press(tab, "text=Use a recovery code")
    tab.fill("#confirmation_code", codes[0])
    tab.click("#verify")
    expect(tab.locator("#confirmation_code-error")).to_contain_text("used already")
    tab.fill("#confirmation_code", codes[1])
    tab.click("#verify")
    here.to_have_text(f"Signed in as {name}@example.com")

    given = careful.application.tokens
    assert len(given) == 4
    assert {token["userinfo"]["cognito:username"] for token in given} == {name}
    assert careful.application.issuers == [careful.application.discovery["issuer"]] * 4


def test_a_person_signs_in_with_a_code_that_is_sent(server: RunningServer, careful: Careful, tab: Tab) -> None:
    name = careful.a_person(phone_number=PHONE, phone_number_verified="true")
    sign_in(tab, careful, name)
    expect(tab.locator("#where")).to_contain_text("+*******0018")
    right = server.messages(PHONE)[0]["code"]
    tab.fill("#confirmation_code", f"{(int(right) + 1) % 10**6:06}")
    tab.click("#verify")
    expect(tab.locator("#confirmation_code-error")).to_contain_text("not right")
    tab.fill("#confirmation_code", right)
    tab.click("#verify")
    expect(tab.locator("body")).to_have_text(f"Signed in as {name}@example.com")
    assert careful.application.tokens[-1]["userinfo"]["cognito:username"] == name
