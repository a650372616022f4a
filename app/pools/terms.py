"""Links to a client's terms of use and privacy policy, one of each at most, by language (reference: 6.9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from sqlalchemy import delete as deletion
from sqlalchemy import select

from app import errors
from app.db import raising
from app.env import Env
from app.models import Client, Pool, Terms
from app.paging import Page, page

PAGE = 60
_VISIBLE = re.compile(r"[^\s\\<>\"'`{}|^\x00-\x1f\x7f]+")


def create(
    env: Env, client: Client, *, name: str, source: str, enforcement: str, links: Mapping[str, str] | None
) -> Terms:
    """Raises errors.InvalidParameter, TermsExists, UnknownClient (it was deleted meanwhile)."""
    if not links:
        raise errors.InvalidParameter("Links must name a URL in at least one language.", field="links")
    _check(links)
    now = env.now()
    row = Terms(
        id=env.random.uuid(),
        pool_id=client.pool_id,
        client_id=client.id,
        name=name,
        source=source,
        enforcement=enforcement,
        links=dict(links),
        created_at=now,
        modified_at=now,
    )
    with env.transaction():
        # Held: a client that goes meanwhile would leave a foreign key violated, and not a refusal.
        held = select(Client.id).where(Client.id == client.id).with_for_update(read=True, key_share=True)
        if env.db.scalar(held) is None:
            raise errors.UnknownClient(client.id)
        with raising(env.db, uq_terms_client_id_name=_taken(name)):
            env.db.add(row)
    return row


def existing(env: Env, pool: Pool, terms_id: str) -> Terms:
    """Raises errors.ResourceNotFound; for those of another pool too."""
    with env.reading() as session:
        return _of(pool, session.get(Terms, terms_id.lower()))


def of_client(env: Env, client: Client, name: str) -> Terms:
    """Raises errors.ResourceNotFound."""
    with env.reading() as session:
        found = session.scalar(select(Terms).where(Terms.client_id == client.id, Terms.name == name))
    if found is None:
        raise _unknown()
    return found


def update(
    env: Env,
    pool: Pool,
    *,
    terms_id: str,
    name: str | None = None,
    source: str | None = None,
    enforcement: str | None = None,
    links: Mapping[str, str] | None = None,
) -> Terms:
    """What is not given stays; links that are given take the place of all. Raises errors.ResourceNotFound,
    InvalidParameter, TermsExists."""
    if links is not None:
        _check(links)
    with env.transaction():
        row = _of(pool, env.db.get(Terms, terms_id.lower(), with_for_update=True))
        with raising(env.db, uq_terms_client_id_name=_taken(name or row.name)):
            row.name = name or row.name
            row.source = source or row.source
            row.enforcement = enforcement or row.enforcement
            row.links = row.links if links is None else dict(links)
            row.modified_at = env.now()
    return row


def delete(env: Env, pool: Pool, *, terms_id: str) -> None:
    """Raises errors.ResourceNotFound."""
    this = (Terms.id == terms_id.lower(), Terms.pool_id == pool.id)
    with env.transaction():
        if env.db.scalar(deletion(Terms).where(*this).returning(Terms.id)) is None:
            raise _unknown()


def listed(env: Env, pool: Pool, *, limit: int | None, token: str | None) -> Page[Terms]:
    """A page of all clients' terms. Raises errors.InvalidParameter for a token that is not of this list."""
    mine = select(Terms).where(Terms.pool_id == pool.id)
    return page(env, mine, by=(Terms.id,), size=limit or PAGE, token=token, about=f"terms of {pool.id}")


def _check(links: Mapping[str, str]) -> None:
    """Links that stand on the page where people sign up: https, to a host, and nothing that reads as another one.

    A link in any one language will do, `cognito:default` or not, as the model's text says."""
    for language, url in links.items():
        try:
            parts = urlsplit(url)
            fine = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine or "@" in parts.netloc or not _VISIBLE.fullmatch(url):
            raise errors.InvalidParameter(f"The link of {language} must be an absolute https URL.", field="links")


def _of(pool: Pool, row: Terms | None) -> Terms:
    if row is None or row.pool_id != pool.id:
        raise _unknown()
    return row


def _unknown() -> errors.ResourceNotFound:
    return errors.ResourceNotFound("Terms do not exist.")


def _taken(name: str) -> errors.TermsExists:
    return errors.TermsExists(f"The client has {name} terms already.")
