"""For which name a pool's passkeys are made, and which pages may ask for them (reference: 10.6).

A browser lets every page at or below the name ask, so whoever gets hold of some subdomain of it could lead people to
sign in there and pass their answers on. The origins are what stops that: pages of the pool's own, and those of its
clients, as far as they have registered an address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import Client, Domain, Pool

LOCAL = "localhost"
"""The one name whose pages browsers trust without https; with every name below it."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class RelyingParty:
    id: str
    """The name of a host, without port."""
    origins: frozenset[str]
    """As a browser writes them: `https://app.example.com`."""


@dataclass(frozen=True)
class _Addresses:
    """What a pool's configuration says of where its pages are."""

    custom: str | None
    prefix: str | None
    urls: tuple[str, ...]
    """Of its clients."""


def of(env: Env, pool: Pool) -> RelyingParty:
    """The configured name, else the pool's custom domain, else its prefix domain, else the server's own host.

    Raises errors.WebAuthnConfigurationMissing where that is an address: no browser takes one.
    """
    known = _addresses(env, pool)
    base = urlsplit(env.settings.base_url)
    configured = (pool.settings.get("web_authn_configuration") or {}).get("relying_party_id")
    hosted = f"{known.prefix}.{base.hostname}" if known.prefix else base.hostname
    name = configured or known.custom or hosted or ""
    if _is_address(name) or not name:
        raise errors.WebAuthnConfigurationMissing
    return RelyingParty(name, frozenset(_origins(env, name, known)))


def _addresses(env: Env, pool: Pool) -> _Addresses:
    def load() -> _Addresses:
        with env.aside() as session:
            domains = {
                row.custom: row.domain
                for row in session.scalars(select(Domain).where(Domain.pool_id == pool.id, Domain.served))
            }
            settings = session.scalars(select(Client.settings).where(Client.pool_id == pool.id)).all()
        urls = {url for one in settings for kind in ("callback_urls", "logout_urls") for url in one.get(kind) or ()}
        return _Addresses(domains.get(True), domains.get(False), tuple(sorted(urls)))

    return env.cache.get(("pages", pool.id), load)


def _origins(env: Env, name: str, known: _Addresses) -> Iterator[str]:
    base = urlsplit(env.settings.base_url)
    port = f":{base.port}" if base.port else ""
    urls = [f"https://{name}", env.settings.base_url, *known.urls]
    if known.prefix:
        urls.append(f"{base.scheme}://{known.prefix}.{env.settings.base_host}")
    if known.custom:
        urls += [f"{base.scheme}://{known.custom}", f"{base.scheme}://{known.custom}{port}"]
    for url in urls:
        origin = _origin(url, name)
        if origin is not None:
            yield origin


def _origin(url: str, name: str) -> str | None:
    """The origin of a page at or below the name; None for all others, and where anybody on the way could change the
    page."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host != name and not host.endswith(f".{name}"):
        return None
    local = host == LOCAL or host.endswith(f".{LOCAL}")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        return None
    if parts.port is None or parts.port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{parts.port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
