"""Host names: whether those that pools are reached by lead anywhere, seen from this host."""

from __future__ import annotations

import ipaddress
import socket
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import select

from app.config import SettingsError
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject
from app.doctor.together import together
from app.env import Env
from app.errors import ServiceUnavailable
from app.models import Domain

tell = Group("dns")

SECONDS = 10.0
MOST = 50
"""Custom domains that are looked at."""


def check(subject: Subject) -> list[Finding]:
    host = urlsplit(subject.settings.base_url).hostname or ""
    names = {} if _is_address(host) else {host: "the host of COGNATE_BASE_URL"}
    found = [] if names else [tell.fine("name", f"{host} needs no DNS.")]
    try:
        with subject.environment() as env:
            custom, prefix = _domains(env)
    except (SettingsError, ServiceUnavailable):
        found.append(tell.skipped("domains", "The domains of pools are in the database, which cannot be read."))
        custom, prefix = [], None
    if prefix and names:
        # All of them are led here by one wildcard.
        names[f"{prefix}.{host}"] = f"a prefix domain, by the wildcard *.{host}"
    for domain in custom[:MOST]:
        if domain.served:
            names[domain.domain] = f"the custom domain of {domain.pool_id}"
        else:
            what = f"{domain.domain}, a custom domain of {domain.pool_id}, waits for its proof and is not served"
            found.append(tell.advice("proof", f"{what}.", f"cognate domain prove {domain.domain}"))
    if len(custom) > MOST:
        found.append(tell.skipped("domains", f"{len(custom) - MOST} more custom domains are not looked at."))
    looked_up = together({name: partial(_addresses, name) for name in names}, SECONDS)
    for name, outcome in looked_up.items():
        if isinstance(outcome, BaseException):
            said = getattr(outcome, "strerror", None) or str(outcome)
            what = f"{name}, {names[name]}, leads nowhere: {said}"
            found.append(tell.problem("name", f"{what}.", f"an A or AAAA record of {name}"))
        else:
            found.append(tell.fine("name", f"{name} leads to {', '.join(outcome[:3])}."))
    return found


def _domains(env: Env) -> tuple[list[Domain], str | None]:
    """Custom domains, and a prefix if there is any."""
    with env.reading() as session:
        custom = list(session.scalars(select(Domain).where(Domain.custom).order_by(Domain.domain).limit(10 * MOST)))
        prefix = session.scalar(select(Domain.domain).where(~Domain.custom).order_by(Domain.domain).limit(1))
    return custom, prefix


def _addresses(name: str) -> list[str]:
    return list(dict.fromkeys(str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True
