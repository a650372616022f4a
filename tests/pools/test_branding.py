"""Branding and terms where two come at once, at the limit of a pool, and when their client goes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.env import Env
from app.models import BrandingAsset, Client, ManagedLoginBranding, Pool, Terms, UICustomization
from app.pools import app_clients, domains, managed_login, terms, ui_customization, user_pools
from app.pools.managed_login import Asset
from tests import pictures
from tests.build import a_client, a_pool

LINKS = {"cognito:default": "https://example.com/terms"}
LOGO = Asset("FORM_LOGO", "LIGHT", "PNG", pictures.png())
AT_ONCE = 4


@pytest.fixture
def pool(env: Env) -> Pool:
    made = a_pool(env, algorithm="ES256")
    domains.create(env, made, domain="people", custom=False, settings={})
    return made


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool)


def count(env: Env, model: Any) -> int:
    with env.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def at_once(app: Flask, *acts: Callable[[], Any]) -> Counter[str]:
    """What became of them: `done`, or the refusal's class."""
    start = threading.Barrier(len(acts))
    outcomes: list[str] = []

    def run(act: Callable[[], Any]) -> None:
        with app.app_context():
            start.wait()
            try:
                act()
                outcomes.append("done")
            except Exception as refused:
                outcomes.append(type(refused).__name__)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


def make_terms(env: Env, client: Client, name: str = "terms-of-use") -> Terms:
    return terms.create(env, client, name=name, source="LINK", enforcement="NONE", links=LINKS)


def make_style(env: Env, client: Client, **given: Any) -> managed_login.Style:
    return managed_login.create(env, client, **{"provided": None, "settings": {}, "assets": None, **given})


def test_of_many_terms_of_one_kind_one_is_made(app: Flask, env: Env, client: Client) -> None:
    outcomes = at_once(app, *[lambda: make_terms(env, client)] * AT_ONCE)
    assert outcomes == {"done": 1, "TermsExists": AT_ONCE - 1} and count(env, Terms) == 1


def test_two_terms_cannot_take_one_name_at_once(app: Flask, env: Env, pool: Pool, client: Client) -> None:
    policy = make_terms(env, client, "privacy-policy")
    outcomes = at_once(
        app,
        lambda: terms.update(env, pool, terms_id=policy.id, name="terms-of-use"),
        lambda: make_terms(env, client),
    )
    assert outcomes == {"done": 1, "TermsExists": 1}


def test_of_many_styles_of_one_client_one_is_made(app: Flask, env: Env, client: Client) -> None:
    outcomes = at_once(app, *[lambda: make_style(env, client, assets=[LOGO])] * AT_ONCE)
    assert outcomes == {"done": 1, "ManagedLoginBrandingExists": AT_ONCE - 1}
    assert count(env, ManagedLoginBranding) == count(env, BrandingAsset) == 1


def test_as_many_styles_as_come_at_once_do_not_pass_the_limit(
    app: Flask, env: Env, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert managed_login.MOST == 20
    monkeypatch.setattr(managed_login, "MOST", 2)
    clients = [a_client(env, pool) for _ in range(AT_ONCE)]
    outcomes = at_once(app, *[lambda client=client: make_style(env, client) for client in clients])
    assert outcomes == {"done": 2, "LimitExceeded": AT_ONCE - 2} and count(env, ManagedLoginBranding) == 2


def test_two_updates_of_a_style_lose_nothing(app: Flask, env: Env, pool: Pool, client: Client) -> None:
    style = make_style(env, client)

    def change(settings: dict[str, Any], asset: Asset) -> None:
        managed_login.update(
            env, pool, branding_id=style.row.id, provided=None, settings=settings, assets=[asset, LOGO]
        )

    dark = Asset("FORM_LOGO", "DARK", "PNG", pictures.png(2, 2))
    icon = Asset("FAVICON_ICO", "DYNAMIC", "ICO", pictures.ico())
    outcomes = at_once(app, lambda: change({"a": {"b": 1}}, dark), lambda: change({"a": {"c": 2}}, icon))
    assert outcomes == {"done": 2}
    found = managed_login.of_client(env, client)
    assert found.settings == {"a": {"b": 1, "c": 2}} and len(found.assets) == 3


def test_a_style_has_forty_pictures_however_they_come(env: Env, pool: Pool, client: Client, app: Flask) -> None:
    categories = [f"CATEGORY_{n}" for n in range(14)]
    assets = [Asset(name, mode, "PNG", pictures.png()) for name in categories for mode in ("LIGHT", "DARK", "DYNAMIC")]
    style = make_style(env, client, assets=assets[:40])
    with pytest.raises(errors.InvalidParameter, match="40"):
        managed_login.update(env, pool, branding_id=style.row.id, provided=None, settings=None, assets=assets[40:41])
    assert len(managed_login.of_client(env, client).assets) == 40


def test_settings_do_not_grow_by_being_merged(env: Env, pool: Pool, client: Client) -> None:
    style = make_style(env, client, settings={"a": "x" * 600_000})
    with pytest.raises(errors.InvalidParameter, match="must not exceed"):
        managed_login.update(
            env, pool, branding_id=style.row.id, provided=None, settings={"b": "x" * 600_000}, assets=None
        )
    assert managed_login.of_client(env, client).settings == style.settings


def test_of_many_customizations_at_once_one_row_is_left(app: Flask, env: Env, pool: Pool, client: Client) -> None:
    css = ".label-customizable { font-weight: 700 }"
    act = [lambda: ui_customization.put(env, pool, client, css=css, image=None)] * AT_ONCE
    assert at_once(app, *act) == {"done": AT_ONCE} and count(env, UICustomization) == 1


@pytest.mark.parametrize("again", range(3))
def test_nothing_is_left_of_a_client_that_goes_meanwhile(
    app: Flask, env: Env, pool: Pool, client: Client, again: int
) -> None:
    css = ".label-customizable { font-weight: 700 }"
    outcomes = at_once(
        app,
        lambda: ui_customization.put(env, pool, client, css=css, image=None),
        lambda: make_terms(env, client),
        lambda: make_style(env, client, assets=[LOGO]),
        lambda: app_clients.delete(env, client),
    )
    assert outcomes.keys() <= {"done", "UnknownClient"} and outcomes["done"] >= 1
    assert not any(count(env, model) for model in (UICustomization, Terms, ManagedLoginBranding, BrandingAsset))


def test_a_pool_goes_with_all_of_it(env: Env, pool: Pool, client: Client) -> None:
    ui_customization.put(env, pool, None, css=".label-customizable { font-weight: 700 }", image=pictures.png())
    make_terms(env, client)
    make_style(env, client, assets=[LOGO])
    domains.delete(env, pool, domain="people")
    user_pools.delete(env, pool)
    assert not any(count(env, model) for model in (UICustomization, Terms, ManagedLoginBranding, BrandingAsset))
    for act in (
        lambda: ui_customization.put(env, pool, None, css="", image=None),
        lambda: make_style(env, client),
        lambda: make_terms(env, client),
    ):
        with pytest.raises(errors.ResourceNotFound):
            act()
