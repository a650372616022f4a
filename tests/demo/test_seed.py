"""The demo: one pool with everything to try, made once, and facts that can be used as they are."""

import json
import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import cli, server
from app.config import Settings, SettingsError
from app.db import Base
from app.demo import seed
from app.env import Env
from app.models import Domain, Pool
from app.pools import access_keys, app_clients, find
from tests.conftest import test_settings


def facts(env: Env) -> dict[str, Any]:
    return seed.prepare(env)


def written(env: Env) -> Path:
    return env.settings.data_dir / "demo.json"


def rows(env: Env) -> dict[str, int]:
    with env.reading() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }


def test_the_facts_are_those_that_were_promised(env: Env) -> None:
    found = facts(env)
    assert found == json.loads(written(env).read_text())
    base, pool = env.settings.base_url, found["pool_id"]
    assert found["base_url"] == base and found["region"] == "us-east-1"
    assert found["issuer"] == f"{base}/{pool}"
    assert found["discovery_url"] == f"{base}/{pool}/.well-known/openid-configuration"
    assert found["outbox_url"] == f"{base}/dev/outbox"
    assert set(found["user"]) == {"username", "email", "password"}
    assert set(found["access_key"]) == {"id", "secret"}
    assert set(found["clients"]) == {"spa", "web", "machine", "app"}
    assert found["demo_url"] == f"{base}/demo" and found["sign_in_url"] == f"{base}/demo/sign-in"
    assert found["clients"]["app"]["redirect_uri"] == f"{base}/demo/callback"
    assert found["clients"]["app"]["logout_uri"] == f"{base}/demo"
    assert set(found["clients"]["spa"]) == {"client_id", "redirect_uri", "logout_uri", "scopes"}
    assert set(found["clients"]["web"]) == {"client_id", "client_secret", "redirect_uri", "logout_uri", "scopes"}
    assert set(found["clients"]["machine"]) == {"client_id", "client_secret", "scopes"}
    assert len(found["clients"]["machine"]["scopes"]) == 2


def test_every_fact_works(env: Env, http: FlaskClient) -> None:
    found = facts(env)
    machine, path = found["clients"]["machine"], f"/{found['pool_id']}"
    token = http.post(
        f"{path}/oauth2/token",
        data={"grant_type": "client_credentials", "scope": machine["scopes"][0]},
        auth=(machine["client_id"], machine["client_secret"]),
    )
    assert token.status_code == 200 and token.json["scope"] == machine["scopes"][0]  # type: ignore[index]
    page = http.get(found["sign_in_url"].removeprefix(found["base_url"]), follow_redirects=True)
    assert page.status_code == 200 and "Demo application" in page.text
    assert http.get(found["discovery_url"].removeprefix(found["base_url"])).json["issuer"] == found["issuer"]  # type: ignore[index]
    live = access_keys.live(env, found["access_key"]["id"])
    assert live and live.secret == found["access_key"]["secret"]
    signed_in = http.post(
        "/",
        json={
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": found["clients"]["spa"]["client_id"],
            "AuthParameters": {"USERNAME": found["user"]["email"], "PASSWORD": found["user"]["password"]},
        },
        headers={"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"},
    )
    assert signed_in.status_code == 200, signed_in.text
    assert "AccessToken" in json.loads(signed_in.text)["AuthenticationResult"]


def test_the_facts_are_for_the_owner_only(env: Env) -> None:
    before = os.umask(0)
    try:
        facts(env)
    finally:
        os.umask(before)
    assert stat.S_IMODE(written(env).stat().st_mode) == 0o600
    assert not list(env.settings.data_dir.glob("*.draft"))


def test_a_second_start_changes_nothing(env: Env) -> None:
    first, before, status = facts(env), rows(env), written(env).stat()
    assert facts(env) == first and rows(env) == before
    again = written(env).stat()
    assert (again.st_mtime_ns, again.st_ino) == (status.st_mtime_ns, status.st_ino)


def test_the_urls_follow_the_settings_of_each_start(
    env: Env, settings: Settings, another_app: Callable[..., Flask]
) -> None:
    first = facts(env)
    moved = another_app(
        test_settings(
            settings.database_url, data_dir=settings.data_dir, base_url="https://demo.test", region="us-east-1"
        )
    )
    with moved.app_context():
        second = seed.prepare(moved.extensions["cognate"])
    assert second["pool_id"] == first["pool_id"] and second["user"] == first["user"]
    assert second["issuer"] == f"https://demo.test/{first['pool_id']}"
    assert json.loads(written(env).read_text()) == second


@pytest.mark.parametrize("damage", ["", "not json", "[]", "{}", '{"pool_id": 1}', '{"pool_id": "us-east-1_gone00000"}'])
def test_a_file_that_was_lost_or_damaged_makes_a_new_demo_beside_the_old(env: Env, damage: str) -> None:
    first = facts(env)
    written(env).write_text(damage)
    second = facts(env)
    assert second["pool_id"] != first["pool_id"]
    assert find.pool(env, first["pool_id"])
    with env.reading() as session:
        names = set(session.scalars(select(Domain.domain)))
        assert session.scalar(select(func.count()).select_from(Pool)) == 2
    assert "demo" in names and len(names) == 2
    assert json.loads(written(env).read_text()) == second


def test_what_is_printed_is_whole_and_copyable(env: Env) -> None:
    found = facts(env)
    lines = dict(line.strip().split("  ", 1) for line in seed.printed(found).strip().splitlines())
    assert list(lines) == ["Sign in", "as", "Discovery", "Machine token", "AWS CLI", "Outbox"]
    columns = {
        line.index(value.strip())
        for line, value in zip(seed.printed(found).strip("\n").splitlines(), lines.values(), strict=True)
    }
    assert len(columns) == 1, "aligned"
    curl = shlex.split(lines["Machine token"])
    assert curl[0] == "curl" and curl[-1] == f"{found['issuer']}/oauth2/token"
    aws = shlex.split(lines["AWS CLI"])
    assert aws[-1] == found["base_url"] and f"AWS_SECRET_ACCESS_KEY={found['access_key']['secret']}" in aws
    assert found["user"]["password"] in lines["as"]


def test_there_is_no_demo_in_production(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    production = test_settings(settings.database_url, data_dir=tmp_path, mode="production")
    monkeypatch.setattr(cli, "_settings", lambda: production)
    monkeypatch.setattr(server, "serve", lambda settings: pytest.fail("served"))
    with pytest.raises(SettingsError, match="COGNATE_MODE=development"):
        cli.cognate(["demo"], standalone_mode=False)
    assert not (tmp_path / "demo.json").exists()


def test_a_demo_on_a_server_elsewhere_needs_no_directory_beforehand(
    settings: Settings, another_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = another_app(test_settings(settings.database_url, data_dir=tmp_path / "not" / "there"))
    with app.app_context():
        seed.prepare(app.extensions["cognate"])
    assert (tmp_path / "not" / "there" / "demo.json").exists()


# -- a demo of before there was an application -------------------------------------------------------------------


def test_a_demo_of_before_gets_the_client_of_its_application(env: Env, http: FlaskClient) -> None:
    first = facts(env)
    app_clients.delete(env, find.client(env, first["clients"]["app"]["client_id"]))
    old = json.loads(written(env).read_text())
    del old["clients"]["app"]
    written(env).write_text(json.dumps(old))
    assert http.get("/demo/sign-in").status_code == 404
    second = facts(env)
    assert second["pool_id"] == first["pool_id"] and second["clients"]["web"] == first["clients"]["web"]
    assert second["clients"]["app"] != first["clients"]["app"]
    assert http.get("/demo/sign-in").status_code == 303
    assert facts(env) == second


def test_a_client_that_somebody_deleted_is_made_again(env: Env) -> None:
    first = facts(env)
    app_clients.delete(env, find.client(env, first["clients"]["app"]["client_id"]))
    second = facts(env)
    assert second["clients"]["app"]["client_id"] != first["clients"]["app"]["client_id"]
    assert facts(env) == second


def test_the_urls_of_the_application_follow_and_those_of_others_stay(
    env: Env, settings: Settings, another_app: Callable[..., Flask]
) -> None:
    first = facts(env)
    client = find.client(env, first["clients"]["app"]["client_id"])
    more = {"callback_urls": [*client.callback_urls, "https://mine.example/callback"]}
    app_clients.update(env, client, name=None, settings={**client.settings, **more})
    moved = another_app(test_settings(settings.database_url, data_dir=settings.data_dir, port=9999))
    with moved.app_context():
        env = moved.extensions["cognate"]
        second = seed.prepare(env)
        client = find.client(env, second["clients"]["app"]["client_id"])
    assert client.id == first["clients"]["app"]["client_id"]
    assert second["clients"]["app"]["client_secret"] == first["clients"]["app"]["client_secret"]
    assert client.callback_urls == ["http://localhost:9999/demo/callback", "https://mine.example/callback"]
    assert client.logout_urls == ["http://localhost:9999/demo"]
    assert client.settings["require_pkce"]
