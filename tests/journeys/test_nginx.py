"""Behind nginx as deploy/ configures it: signing in, and what a stranger tries at the proxy."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests import nginx
from tests.journeys.conftest import WITHIN, RunningServer, prepared
from tests.journeys.pages import sign_in
from tests.ports import free_port
from tests.server.test_serve import until

pytestmark = pytest.mark.slow
STRANGER = "203.0.113.9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One worker of four threads, so that a few requests would be enough to hold all of them."""
    nginx.program()
    running = prepared(tmp_path_factory.mktemp("server"), None)
    running.environ |= {
        "COGNATE_BASE_URL": f"https://localhost:{free_port()}",
        "COGNATE_TRUSTED_PROXIES": "1",
        "COGNATE_WORKERS": "1",
        "COGNATE_THREADS": "4",
    }
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def proxy(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[nginx.Configured]:
    folder = tmp_path_factory.mktemp("nginx")
    with nginx.serving(folder, upstream=f"127.0.0.1:{server.port}", base_url=server.demo["base_url"]) as there:
        yield there


@pytest.fixture
def outside(proxy: nginx.Configured) -> Iterator[requests.Session]:
    """Somebody on the other side of the proxy."""
    with requests.Session() as session:
        session.trust_env = False  # or REQUESTS_CA_BUNDLE, where it is set, would count for more
        session.verify = str(proxy.certificate)
        yield session


def test_somebody_signs_in_through_it(server: RunningServer, proxy: nginx.Configured) -> None:
    assert server.demo["sign_in_url"].startswith(server.environ["COGNATE_BASE_URL"])
    assert set(sign_in(server.demo, verify=str(proxy.certificate))) >= {"id_token", "access_token", "refresh_token"}


def test_the_logs_have_no_queries(server: RunningServer, proxy: nginx.Configured, outside: requests.Session) -> None:
    """They hold codes, states and tokens; so does the Referer of the page that follows."""
    url = f"{server.demo['issuer']}/login?code=a-secret-code&client_id={server.demo['clients']['spa']['client_id']}"
    outside.get(url, timeout=WITHIN, headers={"Referer": f"{server.demo['base_url']}/?state=a-secret-code"})
    # nginx writes the line after the answer.
    line = f'GET "/{server.demo["pool_id"]}/login" '
    written = until(lambda: line in (found := proxy.log("access")) and found, what="the line of the log")
    assert "a-secret-code" not in written + proxy.log("error")
    assert "?" not in written


def listed(url: str, verify: str | bool) -> int:
    """The status of a request that development takes with any key, but only from this machine; it claims to come from
    elsewhere. (Whoever may choose an address may choose this machine's, and whichever limits do not count.)"""
    body = b'{"MaxResults": 1}'
    signed = AWSRequest(
        "POST",
        f"{url}/",
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AWSCognitoIdentityProviderService.ListUserPools",
        },
    )
    SigV4Auth(Credentials("AKIAMADEUP0000000000", "made up"), "cognito-idp", "us-east-1").add_auth(signed)
    claims = {"X-Forwarded-For": STRANGER, "Forwarded": f"for={STRANGER}", "X-Real-IP": STRANGER}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            f"{url}/", data=body, headers={**dict(signed.headers), **claims}, verify=verify, timeout=WITHIN
        )
    return answer.status_code


def test_a_stranger_cannot_choose_an_address(server: RunningServer, proxy: nginx.Configured) -> None:
    assert listed(server.demo["base_url"], str(proxy.certificate)) == 200
    # A proxy that passed it on would have been believed.
    assert listed(server.base_url, True) == 400


def test_a_stranger_cannot_choose_a_host(server: RunningServer, outside: requests.Session) -> None:
    """The host chooses the pool, and is what links in mails would begin with."""
    base, path = server.demo["base_url"], "/.well-known/jwks.json"
    claims = {"X-Forwarded-Host": f"demo.{urlsplit(base).netloc}", "X-Forwarded-Proto": "http"}
    assert outside.get(base + path, headers=claims, timeout=WITHIN).status_code == 404
    # A proxy that passed it on would have been believed.
    assert requests.get(server.base_url + path, headers=claims, timeout=WITHIN).status_code == 200


def test_a_stranger_cannot_choose_what_the_log_is_searched_for(
    server: RunningServer, proxy: nginx.Configured, outside: requests.Session
) -> None:
    chosen = "somebody-elses-request"
    answer = outside.get(f"{server.demo['base_url']}/healthz", headers={"X-Request-Id": chosen}, timeout=WITHIN)
    assert answer.headers["X-Request-Id"] != chosen
    # A proxy that passed it on would have been believed.
    answer = requests.get(f"{server.base_url}/healthz", headers={"X-Request-Id": chosen}, timeout=WITHIN)
    assert answer.headers["X-Request-Id"] == chosen


def doctor(server: RunningServer, proxy: nginx.Configured, **settings: str) -> tuple[int, list[tuple[str, str]]]:
    """What `cognate doctor` says of the proxy, to an operator whose machine trusts its certificate."""
    environ = server.environ | {"SSL_CERT_FILE": str(proxy.certificate)} | settings
    command = [*server.command[:-1], "doctor", "--json", "--only", "proxy", "--only", "tls"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=WITHIN)
    found = json.loads(done.stdout)["findings"]
    return done.returncode, [(one["name"], one["state"]) for one in found]


def test_the_doctor_finds_nothing_wrong_with_it(server: RunningServer, proxy: nginx.Configured) -> None:
    assert doctor(server, proxy) == (0, [("served", "fine"), ("proxy", "fine")])


def test_the_doctor_finds_a_server_that_believes_strangers(server: RunningServer, proxy: nginx.Configured) -> None:
    """It is asked past the proxy, under an address that has no certificate."""
    past = {"COGNATE_BASE_URL": server.base_url}
    assert doctor(server, proxy, **past) == (1, [("https", "fine"), ("host", "problem"), ("address", "problem")])


def test_half_a_request_holds_no_thread_of_the_server(
    server: RunningServer, proxy: nginx.Configured, outside: requests.Session
) -> None:
    """Twice as many as there are threads; directly at the server, four would be enough."""
    where = urlsplit(server.demo["base_url"])
    context = ssl.create_default_context(cafile=str(proxy.certificate))
    opened: list[ssl.SSLSocket] = []
    try:
        for _ in range(8):
            plain = socket.create_connection(("127.0.0.1", where.port), timeout=WITHIN)
            opened.append(context.wrap_socket(plain, server_hostname="localhost"))
            opened[-1].sendall(
                b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-amz-json-1.1\r\n"
                b"X-Amz-Target: AWSCognitoIdentityProviderService.SignUp\r\nContent-Length: 1000\r\n\r\n{"
                % where.netloc.encode()
            )
        # Within the ten seconds after which nginx gives the others up.
        assert outside.get(f"{server.demo['base_url']}/healthz", timeout=5).status_code == 200
    finally:
        for connection in opened:
            connection.close()


def test_a_body_that_is_too_large_is_refused_before_the_server(
    server: RunningServer, outside: requests.Session
) -> None:
    answer = outside.post(f"{server.demo['base_url']}/", data=b"x" * (2 * 1024 * 1024 + 1), timeout=WITHIN)
    assert (answer.status_code, answer.headers["Server"]) == (413, "nginx")


def test_more_connections_of_one_address_than_it_may_have_are_refused_with_a_time(
    server: RunningServer, proxy: nginx.Configured
) -> None:
    """As Cognate refuses: whoever repeats what came too often knows from Retry-After that it did, and when to."""
    context = ssl.create_default_context(cafile=str(proxy.certificate))
    port = urlsplit(server.demo["base_url"]).port
    half = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345"
    with ExitStack() as opened:

        def half_a_request() -> ssl.SSLSocket:
            plain = opened.enter_context(socket.create_connection(("localhost", port), timeout=WITHIN))
            secured = opened.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            secured.sendall(half)
            return secured

        for _ in range(100):
            half_a_request()
        refused = half_a_request().recv(65536)
    assert refused.startswith(b"HTTP/1.1 429 "), refused
    assert b"\r\nRetry-After: 1\r\n" in refused
