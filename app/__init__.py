"""Cognate: a self-hosted OAuth 2 / OpenID Connect server that speaks the API of Amazon Cognito user pools.

`create_app` is the one place where things are put together: settings and the world outside go in, a WSGI application
with four doors comes out. docs/architecture.md shows the house.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.engine import make_url

from app import api, config, health, hosted, installation, oauth, readiness, web
from app.audit.reads import Reads
from app.background import Background, at_once
from app.cache import Cache
from app.cache.version import Version
from app.config import Settings, SettingsError
from app.crypto import codes
from app.crypto.passwords import Hasher
from app.crypto.seal import KeyedHash
from app.db import db, engine_options, reading_options
from app.env import Env, Fetch, Keyed, Sender, Triggers
from app.fetch import Reader
from app.installation import Secrets
from app.messaging.email import Nowhere, Smtp
from app.messaging.outbox import Outbox
from app.models import Revision
from app.oauth import well_known
from app.outages import Outages
from app.slots import Slots
from app.throttling import counters
from app.triggers import Functions

ROOT = Path(__file__).resolve().parent.parent

__version__ = "0.1.0"


def utcnow() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] = utcnow,
    ticks: Callable[[], float] = time.monotonic,
    mail: Sender | None = None,
    sms: Sender | None = None,
    triggers: Triggers | None = None,
    fetch: Fetch | None = None,
    background: Background | None = None,
    secrets: Secrets | None = None,
) -> web.Application:
    """The application. Without settings they are read from the environment. Without a background, and in development,
    what could wait for the answer is done before it. With the installation's secrets, which another process has opened,
    no database is needed now.

    Raises config.SettingsError, also where there is no database or no key: `installation.prepare` makes them.
    """
    settings = settings or config.read(os.environ)
    logging.getLogger("authlib").setLevel(logging.INFO)  # at DEBUG it writes whole tokens
    if not settings.https:
        # Authlib refuses http; config.py has allowed it for loopback and development only.
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

    app = web.Application("app", root_path=str(ROOT / "app"), static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(
            settings.database_url,
            settings.connections,
            settings.database_limits,
            synchronous=settings.sqlite_synchronous,
        ),
        MAX_CONTENT_LENGTH=2 * 1024 * 1024,
        **web.cookie_configuration(settings),
    )
    installation.demand_database(settings)
    db.init_app(app)

    # In development a code is in the outbox by the time of the answer: that is what tests wait for.
    unseen = None if settings.development else background
    seal = installation.seal(settings)
    opened = secrets or installation.open_secrets(app, seal)
    app.secret_key = opened.cookies if opened else None
    outages = Outages(ticks)
    reads = app.extensions["cognate_reads"] = Reads()
    keyed = KeyedHash(opened.hashes) if opened else _Unopened()
    with app.app_context():
        engine = db.engine
    env = Env(
        settings=settings,
        engine=engine,
        sessions=db.session,
        now=now,
        ticks=ticks,
        random=codes,
        seal=seal,
        keyed=keyed,
        hasher=Hasher(
            memory_kib=settings.argon2_memory_kib,
            time_cost=settings.argon2_time,
            parallelism=settings.argon2_parallelism,
            at_once=settings.hashes_at_once,
            wait_seconds=settings.hash_patience,
        ),
        mail=mail or _mail(settings, now),
        sms=sms or _sms(settings, now),
        triggers=triggers or Functions(),
        fetch=fetch or Reader(),
        cache=_cache(app, settings, ticks, outages, serving=background is not None),
        counters=counters.of(settings, ticks=ticks, now=now, engine=lambda: db.engine, outages=outages, keyed=keyed),
        reads=reads,
        outages=outages,
        writes=_writes(settings, serving=background is not None),
        reading_options=reading_options(settings.database_url),
        later=unseen or at_once,
        sleep=time.sleep if unseen else lambda seconds: None,
    )
    if background is not None:
        background.of(app)
    web.install(app, env, version=__version__)
    readiness.of(app, settings, seal, ticks, serving=background is not None)
    health.open_on(app)
    for door in (api, oauth, hosted):
        door.open_on(app, env)
    if settings.development:
        from app.demo import application  # which production does not even load

        application.open_on(app)
    app.wsgi_app = web.Forwarded(  # type: ignore[method-assign]
        well_known.Prepared(web.PoolByPath(web.Asked(app.wsgi_app)), env), settings.trusted_proxies
    )
    app.wsgi_app = web.RequestId(app.wsgi_app, app, adopt=settings.trusted_proxies > 0)  # type: ignore[method-assign]
    app.wsgi_app = web.WithoutSurroundings(app.wsgi_app, os.environ)  # type: ignore[method-assign]
    return app


def _mail(settings: Settings, now: Callable[[], datetime]) -> Sender:
    if settings.smtp_host:
        return Smtp(settings)
    return Outbox(db.session, now) if settings.development else Nowhere("E-mail", "set COGNATE_SMTP_HOST.")


def _sms(settings: Settings, now: Callable[[], datetime]) -> Sender:
    if settings.development:
        return Outbox(db.session, now)
    return Nowhere("SMS", "this version of Cognate has no SMS gateway; verify e-mail addresses instead.")


def _writes(settings: Settings, *, serving: bool) -> Slots:
    """Of the threads for requests that hash nothing one is left to those that only read. (Two slots at least, because
    a sweep takes one for as long as it deletes.) A command waits for whatever there is to wait for."""
    return Slots("writes", max(2, settings.threads - 1) if serving else sys.maxsize, patience=settings.write_patience)


def _cache(app: Flask, settings: Settings, ticks: Callable[[], float], outages: Outages, *, serving: bool) -> Cache:
    """The cache of a process. One that serves makes the file that the processes of a host share, and listens for what
    other hosts change; a command begins with nothing cached and leaves nothing behind."""
    url = make_url(settings.database_url)
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite:
        path = Path(f"{url.database}-version")
    else:
        found = url.get_dialect()().create_connect_args(url)[1]
        database = f"{found.get('host')}:{found.get('port')}/{found.get('dbname')}"
        path = settings.data_dir / f"{hashlib.sha256(database.encode()).hexdigest()[:16]}-version"
    version = Version(path, make=serving)
    revision = _revision_of(reading_options(settings.database_url), outages)
    cache = partial(Cache, revision, ticks, version, one_host=sqlite)
    if sqlite or not serving:
        return cache()
    from app.cache.listener import Listener  # with the driver of PostgreSQL, which nobody else needs at the start

    listener = Listener(settings.database_url, version.heard)
    app.extensions["cognate_listener"] = listener
    return cache(listen=listener.ensure)


def _revision_of(options: dict[str, Any], outages: Outages) -> Callable[[], int]:
    """Asks on a connection of its own, outside whatever transaction is open."""

    def revision() -> int:
        with outages.translated(), db.engine.connect().execution_options(**options) as connection:
            return int(connection.scalar(select(Revision.number)) or 0)

    return revision


class _Unopened(Keyed):
    """Stands in until the database has been migrated: `cognate migrate` needs an application, but no secrets."""

    def digest(self, purpose: str, value: str) -> str:
        raise SettingsError("The database has not been migrated; run `cognate migrate`.")

    def number(self, purpose: str, value: str, size_bytes: int) -> bytes:
        raise SettingsError("The database has not been migrated; run `cognate migrate`.")
