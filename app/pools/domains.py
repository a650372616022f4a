"""The host names of a pool's pages (reference: 7.1), and the proof that a custom one belongs to whoever has the pool.

Whoever may sign requests could otherwise take a name that somebody else is about to point here, and answer under it:
with pages that ask for passwords, with keys, with links in mails. So a custom domain is claimed first, and served once
it is proven: by a file under the domain's own address whose content is the pool's issuer. Until then the claim keeps
nobody else away. Where the setting for it is off, a claim is proven by itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import delete as deletion
from sqlalchemy import or_, select
from sqlalchemy import update as update_rows

from app import errors
from app.audit import record
from app.db import raising
from app.env import Env
from app.fetch import Unreadable
from app.models import Domain, Pool

log = logging.getLogger(__name__)

PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
CUSTOM = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")
RESERVED = ("aws", "amazon", "cognito")
CLASSIC, MANAGED = 1, 2
"""What ManagedLoginVersion can be: which of its two sets of pages a domain shows."""
NO_SUCH = "No such domain or user pool exists."


PROOF = "/.well-known/cognate-user-pool"
"""Where the file is looked for."""
SECONDS = 5.0
"""That one look at it may take."""
MOST = 1024
"""Bytes of it; an issuer has at most some three hundred."""
RETRY = timedelta(seconds=10)
"""How often at most a domain is looked at because somebody describes it."""
GIVEN_UP = timedelta(days=7)
"""For how long a claim is looked at by the server of its own accord."""
AT_ONCE = 20
"""Claims that one round of that looks at, those first that have waited longest."""


class Unproven(errors.InvalidParameter):
    """A domain whose proof was not found; the message says what was looked for, and what was found."""


def create(env: Env, pool: Pool, *, domain: str, custom: bool, settings: Mapping[str, Any]) -> Domain:
    """A prefix below the base host, or a custom domain. A pool has one of each at most; a name belongs to one pool.
    `settings`: `custom_domain_config` and `managed_login_version`, those that were given.

    A custom domain that another pool has claimed and not proven goes to the pool that can prove it.

    Raises errors.InvalidParameter, FeatureUnavailableInTier, UnknownPool (it was deleted meanwhile).
    """
    if custom and not CUSTOM.fullmatch(domain):
        raise errors.InvalidParameter(f"{domain} is not a domain name: expected one such as auth.example.com.")
    if custom and (domain == _host(env) or domain.endswith("." + _host(env))):
        raise errors.InvalidParameter("A custom domain cannot be the server's own host or below it; use a prefix.")
    if not custom and not PREFIX.fullmatch(domain):
        raise errors.InvalidParameter("Domain prefixes have lower-case letters, digits and inner hyphens only.")
    if not custom and any(word in domain for word in RESERVED):
        raise errors.InvalidParameter(
            f"The domain prefix must not contain {', '.join(RESERVED[:-1])} or {RESERVED[-1]}."
        )
    kept = {"managed_login_version": CLASSIC, **settings}
    proven = custom and env.settings.proof_of_domains == "off"
    rival = named(env, domain) if custom else None
    displaced = rival is not None and not rival.served and rival.pool_id != pool.id and not proven
    if displaced:
        try:
            _look(env, domain, pool.id)
        except Unproven:
            url, content = wanted(env, domain, pool.id)
            # What was found instead is for the operator: it can tell of a network that the caller does not see.
            raise errors.InvalidParameter(
                f"Another user pool has claimed {domain}, and not proven it. To have it, put {content} at {url}."
            ) from None
        proven = True
    now = env.now()
    row = Domain(
        domain=domain,
        pool_id=pool.id,
        custom=custom,
        settings=kept,
        created_at=now,
        proven_at=now if proven else None,
        tried_at=None,
    )
    taken = errors.InvalidParameter("Domain already associated with another user pool.")
    second = errors.InvalidParameter("The user pool already has a domain of this kind; delete it first.")
    with env.transaction():
        # Held, so that it is not deleted while it gets a domain, which would stand in the way of that.
        owner = env.db.get(Pool, pool.id, with_for_update={"read": True, "key_share": True})
        if owner is None:
            raise errors.UnknownPool(pool.id)
        _check_version(owner, kept)
        if displaced:
            env.db.execute(deletion(Domain).where(Domain.domain == domain, Domain.proven_at.is_(None)))
        with raising(env.db, pk_domain=taken, uq_domain_pool_id_custom=second):
            env.db.add(row)
        env.configuration_changed()
    return row


def named(env: Env, domain: str) -> Domain | None:
    """The domain of this name, whosever it is."""
    with env.reading() as session:
        return session.get(Domain, domain)


def described(env: Env, domain: str) -> Domain | None:
    """The domain of this name, after another look at the proof of one that waits for it, unless somebody has just
    looked: whoever polls sees it become active, and makes the server ask nobody more than once in RETRY."""
    row = named(env, domain)
    if row is None or row.served or not _turn(env, row, RETRY):
        return row
    try:
        return prove(env, domain)
    except Unproven as refused:
        log.info("%s", refused.message)
        return row


def prove(env: Env, domain: str) -> Domain:
    """Look for the proof of a domain now, and let it be served. Raises Unproven, errors.ResourceNotFound."""
    row = _existing(env, domain)
    if not row.served and env.settings.proof_of_domains != "off":
        _look(env, domain, row.pool_id)
    return accept(env, row)


def accept(env: Env, row: Domain) -> Domain:
    """Let a domain be served, on the word of whoever runs the server. Raises errors.ResourceNotFound for one that was
    deleted, or went to another pool, since it was looked at."""
    if row.served:
        return row
    with env.transaction():
        found = env.db.get(Domain, row.domain, with_for_update=True)
        if found is None or found.pool_id != row.pool_id:
            raise errors.ResourceNotFound(NO_SUCH)
        found.proven_at = found.proven_at or env.now()
        record.event(env, found.pool_id, "DomainProven", target=f"domain/{row.domain}")
        env.configuration_changed()
    return found


def prove_waiting(env: Env) -> list[Domain]:
    """Look once more at the proofs of domains that wait for them; returns those that are served from now on."""
    since = env.now() - GIVEN_UP
    with env.reading() as session:
        waiting = list(
            session.scalars(
                select(Domain)
                .where(Domain.custom.is_(True), Domain.proven_at.is_(None), Domain.created_at > since)
                .order_by(Domain.tried_at.is_not(None), Domain.tried_at, Domain.domain)
                .limit(AT_ONCE)
            )
        )
    found = []
    for row in waiting:
        if _turn(env, row, RETRY):
            with suppress(Unproven, errors.ResourceNotFound):
                found.append(prove(env, row.domain))
    return found


def listed(env: Env) -> list[Domain]:
    """Every custom domain of the installation, by name."""
    with env.reading() as session:
        return list(session.scalars(select(Domain).where(Domain.custom.is_(True)).order_by(Domain.domain)))


def wanted(env: Env, domain: str, pool_id: str) -> tuple[str, str]:
    """The URL at which a proof is looked for, and the content that it has to have."""
    return f"https://{domain}{PROOF}", f"{env.settings.base_url}/{pool_id}"


def _turn(env: Env, row: Domain, every: timedelta) -> bool:
    """Whether it is this caller's turn to look: of all workers and requests one, in such a time."""
    now = env.now()
    if env.settings.proof_of_domains == "off":
        return True
    due = or_(Domain.tried_at.is_(None), Domain.tried_at <= now - every)
    with env.transaction(counting=True):
        turn = update_rows(Domain).where(Domain.domain == row.domain, due).values(tried_at=now)
        return env.db.scalar(turn.returning(Domain.domain)) is not None


def _look(env: Env, domain: str, pool_id: str) -> None:
    """Read the file: by https, or else by http, for a host that has no certificate yet. Raises Unproven."""
    env.nothing_open("fetch a proof")
    url, content = wanted(env, domain, pool_id)
    private = env.settings.proof_of_domains == "private"
    found = []
    for address in (url, url.replace("https://", "http://", 1)):
        try:
            read = env.fetch(address, private=private, most=MOST, seconds=SECONDS)
        except Unreadable as failed:
            found.append(f"{address}: {failed}")
            continue
        if read.strip() == content.encode("ascii"):
            return
        found.append(f"{address}: other content")
    raise Unproven(f"{domain} is not proven. Expected {content} as the content of {url}. Found: {'; '.join(found)}.")


def _existing(env: Env, domain: str) -> Domain:
    row = named(env, domain)
    if row is None:
        raise errors.ResourceNotFound(NO_SUCH)
    return row


def update(env: Env, pool: Pool, *, domain: str, settings: Mapping[str, Any]) -> Domain:
    """Change what is given of a domain; its name stays. Raises errors.InvalidParameter, FeatureUnavailableInTier."""
    with env.transaction():
        row = env.db.get(Domain, domain, with_for_update=True)
        if row is None or row.pool_id != pool.id:
            raise errors.InvalidParameter(NO_SUCH)
        if "custom_domain_config" in settings and not row.custom:
            raise errors.InvalidParameter("A domain prefix has no CustomDomainConfig: its certificate is the server's.")
        _check_version(pool, settings)
        row.settings = {**row.settings, **settings}
        env.configuration_changed()
    return row


def delete(env: Env, pool: Pool, *, domain: str) -> None:
    """Take a name from a pool; anybody may have it then. Raises errors.InvalidParameter: for a name that is another
    pool's too, so that nobody learns by trying whose is which."""
    with env.transaction():
        gone = env.db.scalar(
            deletion(Domain).where(Domain.domain == domain, Domain.pool_id == pool.id).returning(Domain.domain)
        )
        if gone is None:
            raise errors.InvalidParameter(NO_SUCH)
        env.configuration_changed()


def _check_version(pool: Pool, settings: Mapping[str, Any]) -> None:
    version = settings.get("managed_login_version", CLASSIC)
    if version not in (CLASSIC, MANAGED):
        raise errors.InvalidParameter(f"ManagedLoginVersion must be {CLASSIC} or {MANAGED}.")
    if version == MANAGED and pool.settings["user_pool_tier"] == "LITE":
        raise errors.FeatureUnavailableInTier("Managed login is not available in the Lite tier.")


def _host(env: Env) -> str:
    return env.settings.base_host.partition(":")[0]
