"""Starting and stopping, as a new user does it."""

import pytest
import requests

from tests.journeys.conftest import RunningServer

pytestmark = pytest.mark.slow


def test_a_second_start_finds_the_same_demo_and_ctrl_c_stops_it_cleanly(own_server: RunningServer) -> None:
    first = own_server.demo
    written = (own_server.directory / "demo.json").stat()
    assert own_server.stop() == 0
    own_server.start()
    assert own_server.demo == first
    again = (own_server.directory / "demo.json").stat()
    assert (again.st_mtime_ns, again.st_ino) == (written.st_mtime_ns, written.st_ino)
    assert again.st_mode & 0o077 == 0
    assert own_server.stop() == 0


def test_what_is_printed_can_be_used(own_server: RunningServer) -> None:
    demo = own_server.demo
    printed = (own_server.directory / "server.log").read_text()
    for fact in (demo["demo_url"], demo["discovery_url"], demo["outbox_url"], demo["user"]["password"]):
        assert fact in printed
    assert requests.get(demo["sign_in_url"], timeout=60).status_code == 200
    assert requests.get(demo["discovery_url"], timeout=60).json()["issuer"] == demo["issuer"]
