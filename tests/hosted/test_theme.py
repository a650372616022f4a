"""Static files, and themes that override the default one file by file."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config import Settings, SettingsError
from app.hosted import theme
from app.hosted.theme import Theme
from tests.hosted.conftest import Page, Place, Visitor


@pytest.fixture
def version(app: Flask) -> str:
    found: Theme = app.extensions["cognate_theme"]
    return found.version


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("theme.css", "text/css; charset=utf-8"),
        ("theme.js", "text/javascript; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
    ],
)
def test_a_static_file_is_kept_for_ever(http: FlaskClient, version: str, name: str, content_type: str) -> None:
    response = http.get(f"/static/{version}/{name}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers and "Cookie" not in response.headers.get("Vary", "")
    again = http.get(f"/static/{version}/{name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_what_an_old_server_says_to_a_new_page_is_not_kept(http: FlaskClient) -> None:
    response = http.get("/static/0123456789abcdef/theme.css")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "name",
    [
        "nothing.css",
        "../theme.toml",
        "..%2f..%2ftheme.toml",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..%5ctheme.toml",
        "a\0",
    ],
)
def test_nothing_outside_is_served(http: FlaskClient, version: str, name: str) -> None:
    assert http.get(f"/static/{version}/{name}").status_code in (404, 308)


def test_every_file_that_a_page_names_is_there(visitor: Visitor, place: Place) -> None:
    page: Page = visitor.open(place.path("login"))
    named = [part.split('"')[1] for part in page.html.split("=") if part.startswith('"/static/')]
    assert len(named) >= 4
    for url in named:
        assert visitor.http.get(url).headers["Cache-Control"] == theme.FOR_EVER


def test_a_theme_overrides_file_by_file(tmp_path: Path) -> None:
    for name in ("own", "default"):
        (tmp_path / name / "templates").mkdir(parents=True)
        (tmp_path / name / "static").mkdir()
        (tmp_path / name / "templates" / f"{name}.html").write_text(name)
        (tmp_path / name / "templates" / "both.html").write_text(f"{name} {{{{ x }}}}")
        (tmp_path / name / "static" / f"{name}.css").write_text(name)
        (tmp_path / name / "static" / "both.css").write_text(name)
    (tmp_path / "own" / "static" / "secret.txt").write_text("no")
    made = Theme(tmp_path / "own", tmp_path / "default")
    assert [made.draw(f"{name}.html", {"x": "<"}) for name in ("own", "default", "both")] == [
        "own",
        "default",
        "own &lt;",
    ]
    assert made.files == {"own.css": b"own", "default.css": b"default", "both.css": b"own"}
    assert made.version != Theme(tmp_path / "default").version
    with pytest.raises(LookupError, match=r"nothing\.css"):
        made.url("nothing.css")


@pytest.mark.parametrize("name", ["nowhere", "../themes", ""])
def test_an_unknown_theme_ends_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match="COGNATE_THEME"):
        theme.install(Flask("x"), Settings(theme=name))
