"""What arrives of a request to the base URL: scheme, host and address, by way of the proxies that stand in front.

One request, with headers that a stranger could send. The server tells what it has seen (`health.seen`), to nobody but
whoever has the installation's key. Without a proxy in front, or with one that lets nothing of them through, it has seen
nothing of what was invented here.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from app import health
from app.config import Settings, SettingsError
from app.doctor import tls
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject

tell = Group("proxy")

SECONDS = 5.0
MOST = 64 * 1024
INVENTED_ADDRESS, INVENTED_HOST = "192.0.2.1", "invented.example"
TEMPLATE = "see deploy/nginx.conf.template"


@dataclass(frozen=True)
class Seen:
    """What the server has seen of the request."""

    scheme: str
    host: str
    address: str
    """Of the client, as limits and logs have it."""
    forwarded_for: tuple[str, ...]
    """What X-Forwarded-For said when it arrived."""
    forwarded_proto: str
    trusted_proxies: int


def check(subject: Subject) -> list[Finding]:
    settings = subject.settings
    try:
        with subject.environment() as env:
            proof = health.proof(env)
    except SettingsError:
        return [tell.skipped("base-url", "The server tells what it sees to whoever has the key and the database.")]
    try:
        status, body = _answer(settings, proof)
    except (OSError, http.client.HTTPException) as failed:
        said = getattr(failed, "strerror", None) or str(failed) or type(failed).__name__
        what = f"{settings.base_url} does not answer from here: {said}"
        fix = "start the server and the proxy; let the name lead to them, from this host too"
        return [tell.problem("base-url", f"{what}.", fix)]
    try:
        if status != 200:
            raise ValueError
        told = orjson.loads(body)
        seen = Seen(**{**told, "forwarded_for": tuple(told["forwarded_for"])})
    except (ValueError, TypeError, KeyError):
        what = f"{settings.base_url} is answered ({status}), but not by this installation's server"
        fix = "let the proxy pass every path on; run this with the server's own settings; compare both clocks"
        return [tell.problem("base-url", f"{what}.", fix)]
    found = list(of(seen, settings))
    return found or [tell.fine("proxy", f"The server sees {seen.scheme}://{seen.host}, asked for from {seen.address}.")]


def _answer(settings: Settings, proof: str) -> tuple[int, bytes]:
    url = urlsplit(settings.base_url)
    host = url.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, url.port, timeout=SECONDS, context=tls.trust(settings))
        if settings.https
        else http.client.HTTPConnection(host, url.port, timeout=SECONDS)
    )
    invented = {"X-Forwarded-For": INVENTED_ADDRESS, "X-Forwarded-Host": INVENTED_HOST}
    try:
        connection.request("GET", health.SEEN, headers={health.PROOF: proof, **invented})
        answer = connection.getresponse()
        return answer.status, answer.read(MOST)
    finally:
        connection.close()


def of(seen: Seen, settings: Settings) -> Iterator[Finding]:
    """What is to be said of a request that was seen like this."""
    if seen.trusted_proxies != settings.trusted_proxies:
        what = f"The server believes {seen.trusted_proxies} proxies, these settings {settings.trusted_proxies}"
        yield tell.problem("settings", f"{what}.", "run this with the server's own settings, or start the server again")
    yield from _scheme_and_host(seen, settings)
    yield from _address(seen)


def _scheme_and_host(seen: Seen, settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.base_url)
    if seen.host == INVENTED_HOST:
        what = "A stranger can choose the host: X-Forwarded-Host is believed as it was sent"
        yield tell.problem("host", f"{what}.", f"let the proxy set X-Forwarded-Host ({TEMPLATE})")
    elif seen.host != settings.base_host:
        what = f"The server sees the host {seen.host} and not {settings.base_host}: domains of pools find no pool"
        yield tell.problem("host", f"{what}.", f"let the proxy pass Host on, or set X-Forwarded-Host ({TEMPLATE})")
    if seen.scheme != url.scheme:
        fix = f"let the proxy set X-Forwarded-Proto ({TEMPLATE})"
        if seen.forwarded_proto == url.scheme and not seen.trusted_proxies:
            fix = "COGNATE_TRUSTED_PROXIES=<how many proxies a request passes>"
        yield tell.problem("scheme", f"The server sees {seen.scheme}, where the browser has {url.scheme}.", fix)


def _address(seen: Seen) -> Iterator[Finding]:
    told, believed = seen.forwarded_for, seen.trusted_proxies
    # Proxies append to the header or set it. Either way what follows the invented address was written by one of them.
    appended = told[told.index(INVENTED_ADDRESS) + 1 :] if INVENTED_ADDRESS in told else told
    right = f"COGNATE_TRUSTED_PROXIES={len(appended)}"
    if seen.address == INVENTED_ADDRESS:
        what = "Anybody can claim any address: X-Forwarded-For is believed as it was sent"
        yield tell.problem(
            "address", f"{what}.", f"{right}, which is how many proxies write it, or let the proxy set it ({TEMPLATE})"
        )
    elif len(appended) > believed:
        what = f"{len(appended)} proxies tell an address and {believed} are believed: users seem to come from"
        yield tell.problem("address", f"{what} {seen.address}, and limits by address hit all of them.", right)
    elif len(appended) < believed:
        what = f"{believed} proxies are believed and {len(appended)} tell an address: users seem to come from"
        fix = f"{right}, or let every proxy append to X-Forwarded-For ({TEMPLATE})"
        yield tell.problem("address", f"{what} {seen.address}.", fix)
