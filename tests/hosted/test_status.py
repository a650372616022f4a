"""The status page."""

from typing import Any

from flask.testing import FlaskClient

from app import __version__, create_app
from app.db import db
from tests.conftest import test_settings
from tests.hosted.conftest import BASE, Visitor


def test_the_status_page_says_what_runs_here(visitor: Visitor) -> None:
    page = visitor.open("/")
    assert (page.status, page.title) == (200, "Cognate is running")
    assert __version__ in page.text and "development" in page.text
    assert list(page.links.values()) == ["/healthz", "/readyz", "/demo", "/dev/outbox"]
    for url in page.links.values():
        assert visitor.open(url).status == 200


def test_the_address_is_shared_with_the_api(http: FlaskClient) -> None:
    assert http.get("/", base_url=BASE).mimetype == "text/html"
    assert http.post("/", base_url=BASE).mimetype != "text/html"
    assert http.options("/", base_url=BASE).status_code in (200, 204)


def test_in_production_there_is_no_outbox(database_url: str, tmp_path: Any) -> None:
    strong = {"argon2_memory_kib": 19456, "argon2_time": 2}
    app = create_app(test_settings(database_url, mode="production", data_dir=tmp_path, **strong))
    visitor = Visitor(app.test_client())
    page = visitor.open("/")
    assert list(page.links.values()) == ["/healthz", "/readyz"]
    for url in ("/demo", "/dev/outbox", "/dev/outbox.json"):
        assert visitor.open(url).status == 404
    with app.app_context():
        db.engine.dispose()
