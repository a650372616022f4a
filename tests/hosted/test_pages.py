"""The pages in a real browser: light and dark, narrow and wide, by keyboard, without scripts."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Page as Tab

from app import create_app
from app.accounts import administer, codes, mfa
from app.accounts import find as find_user
from app.db import db
from app.messaging import outbox
from app.pools import find
from tests.build import PASSWORD, a_client, a_pool, a_user, an_app, with_factors
from tests.chromium import press
from tests.conftest import test_settings
from tests.distinct import keep_apart
from tests.ports import free_port
from tests.serving import serving

pytestmark = pytest.mark.browser

OWN = "My-own-words-9"
FACTORS = ("SMS_MFA", "SOFTWARE_TOKEN_MFA", "EMAIL_OTP")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (320, 1280)]


@dataclass
class Site:
    """A server with two pools, and an application that people come back to."""

    app: Flask
    base: str
    application: str
    query: str
    pool_id: str
    careful_query: str
    careful_pool_id: str
    """Where everybody needs a second factor."""
    people: int = 0

    def url(self, name: str) -> str:
        return f"{self.base}/{self.pool_id}/{name}?{self.query}"

    def careful(self, name: str) -> str:
        return f"{self.base}/{self.careful_pool_id}/{name}?{self.careful_query}"

    def code(self, to: str) -> str:
        with self.app.app_context():
            return str(outbox.kept(self.app.extensions["cognate"], to)[0].code)

    def link(self, name: str, to: str) -> str:
        """What a mail with a link would have led to; the pool sends codes."""
        code = self.code(to)
        with self.app.app_context():
            env = self.app.extensions["cognate"]
            who = codes.subject(env, find.pool(env, self.pool_id), name)
            given = {"user_name": name, "confirmation_code": code, "signature": codes.signature(env, who, code)}
        return f"{self.url('confirmUser')}&{urlencode(given)}"

    def a_name(self) -> str:
        self.people += 1
        return f"person{self.people}"

    def an_invitation(self) -> str:
        """The name of somebody who has to choose a password of his own."""
        name = self.a_name()
        with self.app.app_context():
            env = self.app.extensions["cognate"]
            pool = find.pool(env, self.pool_id)
            administer.create(env, pool, username=name, attributes={}, temporary_password=PASSWORD, silent=True)
        return name

    def somebody_careful(self, *, with_factors: bool) -> str:
        """The name of somebody who has all second factors, or none."""
        name = self.a_name()
        with self.app.app_context():
            env = self.app.extensions["cognate"]
            pool = find.pool(env, self.careful_pool_id)
            user = a_user(env, pool, name, email=f"{name}@example.com" if with_factors else None)
            if with_factors:
                an_app(env, user)
                with env.transaction():
                    row = find_user.locked(env, user.sub)
                    row.phone_number, row.phone_number_verified = "+442079460018", True
                    for factor in FACTORS:
                        mfa.switch_on(env, row, factor)
                    row.mfa = {**(row.mfa or {}), "preferred": None}
        return name


@pytest.fixture(scope="module")
def site(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "cognate.sqlite")
    other = Flask("application")
    other.add_url_rule("/callback", "callback", lambda: "You are back.")
    port = free_port()
    app = create_app(test_settings(f"sqlite:///{folder}/cognate.sqlite", data_dir=folder, port=port))
    with pytest.MonkeyPatch.context() as patch, serving(app, port) as base, serving(other) as elsewhere:
        keep_apart(patch, app.extensions["cognate"].now)
        application = f"{elsewhere}/callback"
        with app.app_context():
            env = app.extensions["cognate"]
            pool = a_pool(env, schema=[{"name": "phone_number", "required": True, "mutable": True}])
            client = a_client(env, pool, callback_urls=[application], prevent_user_existence_errors="ENABLED")
            a_user(env, pool)
            # Passwords are recovered by phone, so that an address can be a second factor.
            by_phone = {"recovery_mechanisms": [{"name": "verified_phone_number", "priority": 1}]}
            strict = with_factors(env, a_pool(env, account_recovery_setting=by_phone), "ON", *FACTORS)
            other_client = a_client(env, strict, callback_urls=[application])

        def query(client_id: str) -> str:
            given = {"client_id": client_id, "response_type": "code", "scope": "openid", "redirect_uri": application}
            return urlencode(given)

        yield Site(app, base, application, query(client.id), pool.id, query(other_client.id), strict.id)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def walk(site: Site, tab: Tab) -> Iterator[str]:
    """Every page in every state that people meet; yields its name each time."""
    tab.goto(f"{site.base}/")
    yield "status"
    tab.goto(site.url("login"))
    yield "sign in"
    press(tab, "#sign-in")
    yield "sign in, empty"
    tab.fill("#username", "alice")
    tab.fill("#password", "wrong")
    press(tab, "#sign-in")
    yield "sign in, refused"
    name = site.a_name()
    tab.goto(site.url("signup"))
    yield "sign up"
    press(tab, "#sign-up")
    yield "sign up, empty"
    tab.fill("#username", name)
    tab.fill("#email", f"{name}@example.com")
    tab.fill("#phone_number", "+44 20 7946 0018")
    tab.fill("#password", "weak")
    press(tab, "#sign-up")
    yield "sign up, refused"
    tab.fill("#password", PASSWORD)
    press(tab, "#sign-up")
    yield "confirm"
    tab.fill("#confirmation_code", "000000")
    press(tab, "#confirm")
    yield "confirm, refused"
    press(tab, "text=Send a new code")
    yield "resend"
    press(tab, "#resend")
    yield "confirm, sent again"
    tab.context.clear_cookies()
    tab.goto(site.url("confirmUser"))
    yield "confirm, in another browser"
    link = site.link(name, f"{name}@example.com")
    tab.goto(link)
    yield "link"
    press(tab, "#confirm")
    yield "link, confirmed"
    tab.goto(link)
    yield "link, used already"
    tab.goto(site.url("forgotPassword"))
    yield "forgot"
    tab.fill("#username", "alice")
    press(tab, "#send-code")
    yield "reset"
    press(tab, "#reset-password")
    yield "reset, empty"
    tab.goto(site.url("login"))
    tab.fill("#username", site.an_invitation())
    tab.fill("#password", PASSWORD)
    press(tab, "#sign-in")
    yield "new password"
    press(tab, "#set-password")
    yield "new password, empty"
    yield from walk_with_a_second_factor(site, tab)
    for code in ("redirect_mismatch", "server_error"):
        tab.goto(f"{site.base}/error?error={code}")
        yield f"error, {code}"
    tab.goto(site.url("login").replace("%2Fcallback", "%2Fanother-callback-that-nobody-registered"))
    yield "error, explained"
    tab.goto(f"{site.base}/dev/outbox")
    yield "outbox"
    tab.goto(f"{site.base}/dev/outbox?to=nobody@example.com")
    yield "outbox, empty"


def walk_with_a_second_factor(site: Site, tab: Tab) -> Iterator[str]:
    sign_in_carefully(site, tab, site.somebody_careful(with_factors=False))
    yield "set up"
    press(tab, "#way-email")
    yield "set up an address"
    press(tab, "#send-code")
    yield "set up an address, empty"
    press(tab, "text=Choose another way")
    press(tab, "#way-app")
    yield "set up an app"
    press(tab, "#verify")
    yield "set up an app, empty"
    tab.fill("#confirmation_code", pyotp.TOTP(tab.inner_text("#secret")).now())
    press(tab, "#verify")
    yield "recovery codes"
    tab.goto(site.careful("mfa/recovery"))
    yield "new recovery codes"
    press(tab, "#renew")
    yield "new recovery codes, empty"
    client_id = dict(parse_qsl(site.careful_query))["client_id"]
    tab.goto(f"{site.base}/{site.careful_pool_id}/logout?client_id={client_id}")
    yield "sign out"
    press(tab, "#sign-out")
    yield "signed out"
    sign_in_carefully(site, tab, site.somebody_careful(with_factors=True))
    yield "choose a factor"
    press(tab, "#way-sms")
    yield "code by message"
    press(tab, "text=Sign in as somebody else")
    sign_in_carefully(site, tab, site.somebody_careful(with_factors=True))
    press(tab, "#way-app")
    yield "code of the app"
    tab.fill("#confirmation_code", "000000")
    press(tab, "#verify")
    yield "code of the app, refused"
    press(tab, "text=Use a recovery code")
    yield "recovery code"
    press(tab, "#verify")
    yield "recovery code, empty"


def sign_in_carefully(site: Site, tab: Tab, name: str) -> None:
    tab.goto(site.careful("login"))
    tab.fill("#username", name)
    tab.fill("#password", PASSWORD)
    press(tab, "#sign-in")


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_every_page_is_for_everybody(browser: Browser, site: Site, scheme: Any, width: int) -> None:
    """No rule of axe is broken, nothing scrolls sideways, nothing is refused by the pages' own policy
    (requirements: 75-78)."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700})
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    wrong = []
    for name in walk(site, tab):
        found = Axe().run(tab, options={"rules": {"target-size": {"enabled": True}}})
        wrong += [f"{name}: {each['id']}: {each['help']}" for each in found.response["violations"]]
        if tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append(f"{name}: scrolls sideways")
    context.close()
    assert wrong == []
    assert [text for text in said if "the server responded with a status of" not in text] == []


CONTROLS = """() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea')]
    .filter(each => each.checkVisibility() && !each.hidden).map(each => each.outerHTML)"""
FOCUSED = """() => {
    const each = document.activeElement, style = getComputedStyle(each);
    const seen = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
    return each === document.body ? null : [each.outerHTML, seen];
}"""


# By then the browser has moved the focus, and does not do so again.
PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def test_every_control_is_reached_by_keyboard_and_shows_it(context: BrowserContext, site: Site) -> None:
    """Requirements: 76."""
    tab = context.new_page()
    for name in walk(site, tab):
        wanted = tab.evaluate(CONTROLS)
        tab.evaluate(PAINTED)
        tab.evaluate("() => document.activeElement.blur()")
        reached = []
        for _ in range(len(wanted) + 2):
            tab.keyboard.press("Tab")
            found = tab.evaluate(FOCUSED)
            if found:
                assert found[1], f"{name}: the focus is not to be seen on {found[0]}"
                reached.append(found[0])
        assert set(wanted) <= set(reached), name
        assert [each for each in reached if each in wanted][: len(wanted)] or not wanted


def test_the_hand_is_where_one_begins(context: BrowserContext, site: Site) -> None:
    """Requirements: 75: the focus is on the first field that is wrong, else on the first that is empty."""
    begins = {
        "sign in": "username",
        "sign in, empty": "username",
        "sign in, refused": "password",
        "sign up, empty": "username",
        "sign up, refused": "password",
        "confirm": "confirmation_code",
        "confirm, refused": "confirmation_code",
        "reset": "confirmation_code",
        "set up an address": "email",
        "set up an app, empty": "confirmation_code",
        "new recovery codes": "password",
        "code by message": "confirmation_code",
        "code of the app, refused": "confirmation_code",
        "recovery code": "confirmation_code",
    }
    tab = context.new_page()
    for name in walk(site, tab):
        if name in begins:
            # The browser moves the focus when it first paints.
            tab.wait_for_function("id => document.activeElement?.id === id", arg=begins[name])


def test_everything_works_without_scripts(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    name = site.a_name()
    tab.goto(site.url("login"))
    press(tab, "text=Create an account")
    tab.fill("#username", name)
    tab.fill("#email", f"{name}@example.com")
    tab.fill("#phone_number", "+44 20 7946 0018")
    tab.fill("#password", PASSWORD)
    tab.keyboard.press("Enter")
    tab.click("text=Send a new code")
    press(tab, "#resend")
    tab.fill("#confirmation_code", site.code(f"{name}@example.com"))
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{site.application}?*")
    context.clear_cookies()

    tab.goto(site.url("login"))
    press(tab, "text=Forgot your password?")
    tab.fill("#username", name)
    press(tab, "#send-code")
    tab.fill("#confirmation_code", site.code(f"{name}@example.com"))
    tab.fill("#password", OWN)
    press(tab, "#reset-password")
    assert tab.input_value("#username") == name
    tab.fill("#password", OWN)
    tab.click("#sign-in")
    tab.wait_for_url(f"{site.application}?*")
    context.clear_cookies()

    tab.goto(site.url("login"))
    tab.fill("#username", site.an_invitation())
    tab.fill("#password", PASSWORD)
    tab.click("#sign-in")
    tab.fill("#phone_number", "+44 20 7946 0018")
    tab.fill("#password", OWN)
    tab.click("#set-password")
    tab.wait_for_url(f"{site.application}?*")
    assert tab.inner_text("body") == "You are back."
    context.close()


def test_a_second_factor_works_without_scripts(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    name = site.somebody_careful(with_factors=False)
    sign_in_carefully(site, tab, name)
    tab.click("#way-app")
    secret = tab.inner_text("#secret")
    tab.fill("#confirmation_code", pyotp.TOTP(secret).now())
    tab.keyboard.press("Enter")
    code = tab.inner_text("#codes li:nth-child(4)")
    assert tab.locator("button").count() == 0
    tab.click("#kept")
    tab.wait_for_url(f"{site.application}?*")
    context.clear_cookies()

    sign_in_carefully(site, tab, name)
    press(tab, "text=Use a recovery code")
    tab.fill("#confirmation_code", code)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{site.application}?*")
    context.clear_cookies()

    sign_in_carefully(site, tab, site.somebody_careful(with_factors=True))
    press(tab, "#way-sms")
    tab.fill("#confirmation_code", site.code("+442079460018"))
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{site.application}?*")
    context.close()


COPIED = "text => navigator.clipboard.readText().then(read => read === text)"


def test_all_codes_are_copied_at_once_and_can_be_printed(browser: Browser, site: Site) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    sign_in_carefully(site, tab, site.somebody_careful(with_factors=False))
    press(tab, "#way-app")
    secret = tab.inner_text("#secret")
    tab.click("text=Copy")
    tab.wait_for_function(COPIED, arg=secret)
    tab.fill("#confirmation_code", pyotp.TOTP(secret).now())
    # Pressed twice, a button sends once: the second answer would take the place of the page with the codes.
    with tab.expect_navigation():
        tab.dblclick("#verify")
    tab.click("text=Copy")
    shown = tab.locator("#codes code").all_inner_texts()
    assert len(shown) == 10
    tab.wait_for_function(COPIED, arg="\n".join(shown))
    tab.evaluate("window.print = () => { document.title = 'printed' }")
    tab.click("text=Print")
    assert tab.title() == "printed"
    tab.emulate_media(media="print")
    assert tab.is_visible("#codes") and not tab.is_visible("#kept")
    context.close()


def test_a_script_shows_the_password_and_ticks_the_rules(context: BrowserContext, site: Site) -> None:
    """Requirements: 47."""
    tab = context.new_page()
    tab.goto(site.url("signup"))
    tab.fill("#password", "Aa1-aaaa")
    assert tab.locator(".rule-met").count() == 5
    tab.click("text=Show")
    assert tab.get_attribute("#password", "type") == "text"
    tab.click("text=Hide")
    assert tab.get_attribute("#password", "type") == "password"


def test_no_page_can_be_framed(context: BrowserContext, site: Site) -> None:
    tab = context.new_page()
    tab.goto(site.application)
    tab.set_content(f'<iframe src="{site.url("login")}"></iframe>')
    tab.wait_for_timeout(300)
    frame = tab.frames[1]
    assert frame.url != site.url("login") or "Sign in" not in frame.content()


def test_a_form_of_another_site_signs_nobody_in(context: BrowserContext, site: Site) -> None:
    """Requirements: 69: a real browser says where a form comes from."""
    tab = context.new_page()
    tab.goto(site.url("login"))
    token = tab.input_value("[name=csrf_token]")
    tab.goto(site.application)
    fields = {"csrf_token": token, "username": "alice", "password": PASSWORD}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    tab.set_content(f'<form method="post" action="{site.url("login")}">{inputs}<button>Go</button></form>')
    tab.click("button")
    tab.wait_for_selector("#error")
    assert "This form came from somewhere else" in tab.title()
