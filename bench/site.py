"""What there is to ask: the endpoints that discovery names, the facts of `demo.json`, and which server may be asked.

Only a server on this machine is measured: a load generator pointed at somebody else's is an attack.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bench import wire
from bench.load import Address, Conversation, walk
from bench.wire import Answer, BadAnswer

WELL_KNOWN = "/.well-known/openid-configuration"
ALGORITHMS = ["RS256", "ES256", "EdDSA", "PS256", "RS384", "RS512", "ES384", "ES512"]


class Elsewhere(Exception):
    """A host that is not this machine, or nothing that can be measured."""


def address_of(url: str) -> Address:
    """Where to connect to. Raises Elsewhere for anything but plain HTTP on loopback."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise Elsewhere(f"{url}: {error}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise Elsewhere(f"{url}: an http:// URL is needed")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Elsewhere(f"{url}: {error}") from None
    addresses = [str(info[4][0]) for info in found]
    if not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        raise Elsewhere(f"{url} is not on this machine: only loopback addresses are measured")
    for address in addresses:
        try:
            socket.create_connection((address, port), timeout=5).close()
        except OSError:
            continue
        return address, port
    raise Elsewhere(f"{url}: nothing answers")


def fetch(address: Address, url: str) -> Answer:
    """One GET, from here."""
    answers: list[Answer] = []

    def talk() -> Conversation:
        answers.append((yield wire.get(url)))

    walk(address, talk())
    return answers[0]


@dataclass(frozen=True)
class Site:
    """A server under measurement, as the scenarios see it."""

    address: Address
    discovery_url: str
    document: dict[str, Any]
    jwks: dict[str, Any] = field(repr=False)
    facts: dict[str, Any] = field(repr=False)

    @classmethod
    def discover(cls, url: str | None, facts: dict[str, Any]) -> Site:
        """Look at the discovery document. Raises Elsewhere, also when an endpoint in it lies on another host."""
        discovery = facts.get("discovery_url") or (url or "").rstrip("/")
        if not discovery.endswith(WELL_KNOWN):
            discovery += WELL_KNOWN
        address = address_of(discovery)
        document = fetch(address, discovery).expect(200).json()
        for name, value in document.items():
            if name == "jwks_uri" or name.endswith("_endpoint"):
                # Requests are sent to the one address that was looked at above.
                if address_of(value)[1] != address[1]:
                    raise Elsewhere(f"{name} is {value}: it has to be where discovery is")
        jwks = fetch(address, document["jwks_uri"]).expect(200).json()
        if facts.get("base_url") and address_of(facts["base_url"])[1] != address[1]:
            raise Elsewhere(f"base_url is {facts['base_url']}: it has to be where discovery is")
        return cls(address, discovery, document, jwks, facts)

    def beside(self, name: str) -> Site:
        """Another pool of the same server, whose facts stand under this name."""
        return Site.discover(None, self.facts[name])

    @property
    def issuer(self) -> str:
        return str(self.document["issuer"])

    def client(self, *names: str) -> dict[str, Any] | None:
        """The first of these clients that the facts have."""
        clients = self.facts.get("clients", {})
        return next((clients[name] for name in names if name in clients), None)

    @property
    def users(self) -> list[dict[str, Any]]:
        return self.facts.get("users") or ([self.facts["user"]] if "user" in self.facts else [])

    def claims(self, token: Any, **expected: Any) -> dict[str, Any]:
        """What a token says, if a published key signed it and it is this issuer's and alive. Raises BadAnswer."""
        if not isinstance(token, str):
            raise BadAnswer(f"{token!r} is no token")
        try:
            claims = jwt.decode(token, KeySet.import_key_set(self.jwks), algorithms=ALGORITHMS).claims  # type: ignore[arg-type]
        except (JoseError, ValueError) as error:
            raise BadAnswer(f"the token cannot be verified: {type(error).__name__} {error}") from None
        now = time.time()
        if not isinstance(claims.get("exp"), int) or not now < claims["exp"]:
            raise BadAnswer(f"the token has expired, or never does: {claims.get('exp')}")
        for name, value in {"iss": self.issuer, **expected}.items():
            if claims.get(name) != value:
                raise BadAnswer(f"{name} is {claims.get(name)!r} instead of {value!r}")
        return claims
