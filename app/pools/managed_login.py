"""The style of a client's managed login pages: a document of settings, and pictures (reference: 7.9).

The service holds settings against a schema that it does not publish. Here any object is taken that is not too large;
what the pages do not know, they will not draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete as deletion
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import errors
from app.db import raising
from app.env import Env
from app.models import BrandingAsset, Client, ManagedLoginBranding, Pool
from app.policy import images

MOST = 20
"""Styles of a pool (reference: 12.2)."""
MOST_ASSETS = 40
LARGEST_SETTINGS = 1024 * 1024
"""Bytes of a style's settings, written as JSON: they are merged by every update, and would grow with each."""

DEFAULTS: dict[str, Any] = {
    "categories": {
        "global": {
            "colorSchemeMode": "DYNAMIC",
            "pageHeader": {"enabled": False},
            "pageFooter": {"enabled": False},
        },
    },
}
"""What a page does whose style does not say otherwise: the few settings that are true of this server's own theme, and
not a copy of the service's defaults, which nothing here would follow."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Asset:
    """A picture as it was given: its bytes, the id of one that the pool has, or both, which names it."""

    category: str
    color_mode: str
    extension: str
    content: bytes | None = None
    resource_id: str | None = None


@dataclass(frozen=True)
class Style:
    row: ManagedLoginBranding
    assets: list[BrandingAsset]
    settings: dict[str, Any] | None
    """Those that were asked for: its own, or merged with the defaults."""


def create(
    env: Env, client: Client, *, provided: bool | None, settings: Any | None, assets: Sequence[Asset] | None
) -> Style:
    """A client's style; it has none yet.

    Raises errors.InvalidParameter, ManagedLoginBrandingExists, LimitExceeded, UnknownPool, UnknownClient.
    """
    _check(provided, settings, assets)
    now = env.now()
    row = ManagedLoginBranding(
        id=env.random.uuid(),
        pool_id=client.pool_id,
        client_id=client.id,
        provided=bool(provided),
        settings=settings,
        created_at=now,
        modified_at=now,
    )
    with env.transaction():
        # One at a time in a pool, or as many as there are requests would pass the count.
        if env.db.get(Pool, client.pool_id, with_for_update={"key_share": True}) is None:
            raise errors.UnknownPool(client.pool_id)
        held = select(Client.id).where(Client.id == client.id).with_for_update(read=True, key_share=True)
        if env.db.scalar(held) is None:
            raise errors.UnknownClient(client.id)
        with raising(env.db, uq_managed_login_branding_client_id=errors.ManagedLoginBrandingExists()):
            env.db.add(row)
        of_pool = select(func.count()).where(ManagedLoginBranding.pool_id == client.pool_id)
        if (env.db.scalar(of_pool) or 0) > MOST:
            raise errors.LimitExceeded(f"Managed login branding limit exceeded: a user pool has at most {MOST}.")
        _put(env, row, assets or ())
        kept = _assets(env.db, row)
    return Style(row, kept, row.settings)


def existing(env: Env, pool: Pool, branding_id: str, *, merged: bool = False) -> Style:
    """Raises errors.ResourceNotFound; for the style of another pool too."""
    with env.reading() as session:
        return _style(session, _of(pool, session.get(ManagedLoginBranding, branding_id.lower())), merged)


def of_client(env: Env, client: Client, *, merged: bool = False) -> Style:
    """Raises errors.ResourceNotFound."""
    with env.reading() as session:
        row = session.scalar(select(ManagedLoginBranding).where(ManagedLoginBranding.client_id == client.id))
        if row is None:
            raise _unknown()
        return _style(session, row, merged)


def update(
    env: Env,
    pool: Pool,
    *,
    branding_id: str,
    provided: bool | None,
    settings: Any | None,
    assets: Sequence[Asset] | None,
) -> Style:
    """Back to the provided values, with such pictures as are given; or on with what is given: what is not given stays,
    so that a style larger than a request can be made by several. An object in the settings is merged, all else
    replaces; a picture replaces the one of its category and colour mode. Of two at once none is lost: each merges with
    what the other has written.

    Raises errors.InvalidParameter, ResourceNotFound.
    """
    _check(provided, settings, assets)
    with env.transaction():
        row = _of(pool, env.db.get(ManagedLoginBranding, branding_id.lower(), with_for_update=True))
        if provided:
            row.settings = None
            env.db.execute(deletion(BrandingAsset).where(BrandingAsset.branding_id == row.id))
        elif settings is not None:
            row.settings = _merged(row.settings or {}, settings)
            _check_size(row.settings)
        row.provided = bool(provided)
        row.modified_at = env.now()
        _put(env, row, assets or ())
        kept = _assets(env.db, row)
        if len(kept) > MOST_ASSETS:
            raise errors.InvalidParameter(f"A style has at most {MOST_ASSETS} assets.", field="assets")
    return Style(row, kept, row.settings)


def delete(env: Env, pool: Pool, *, branding_id: str) -> None:
    """Raises errors.ResourceNotFound."""
    this = (ManagedLoginBranding.id == branding_id.lower(), ManagedLoginBranding.pool_id == pool.id)
    with env.transaction():
        if env.db.scalar(deletion(ManagedLoginBranding).where(*this).returning(ManagedLoginBranding.id)) is None:
            raise _unknown()


def _check(provided: bool | None, settings: Any | None, assets: Sequence[Asset] | None) -> None:
    if provided and settings is not None:
        raise errors.InvalidParameter("Settings must be left out when UseCognitoProvidedValues is true.")
    if not provided and settings is None and assets is None:
        raise errors.InvalidParameter("Give Settings or Assets, or set UseCognitoProvidedValues to true.")
    if settings is not None:
        if not isinstance(settings, dict):
            raise errors.InvalidParameter("Settings must be a JSON object.", field="settings")
        _check_size(settings)
    seen = set()
    for asset in assets or ():
        if (asset.category, asset.color_mode) in seen:
            raise errors.InvalidParameter(
                f"{asset.category} has more than one asset for {asset.color_mode}.", field="assets"
            )
        seen.add((asset.category, asset.color_mode))
        if asset.content is None and asset.resource_id is None:
            raise errors.InvalidParameter(f"The asset {asset.category} has neither Bytes nor a ResourceId.")
        if asset.content is not None:
            try:
                images.check(asset.content, asset.extension)
            except images.NotAnImage as why:
                raise errors.InvalidParameter(
                    f"The asset {asset.category} is no valid {asset.extension}: {why}.", field="assets"
                ) from None


def _check_size(settings: Document) -> None:
    if len(orjson.dumps(settings)) > LARGEST_SETTINGS:
        raise errors.InvalidParameter(f"Settings must not exceed {LARGEST_SETTINGS} bytes.", field="settings")


def _merged(below: Document, above: Document) -> dict[str, Any]:
    """As deep as the deeper of the two, which came in with a limit."""
    found = dict(below)
    for key, value in above.items():
        beneath = found.get(key)
        found[key] = _merged(beneath, value) if isinstance(beneath, dict) and isinstance(value, dict) else value
    return found


def _put(env: Env, row: ManagedLoginBranding, assets: Sequence[Asset]) -> None:
    env.db.flush()
    for asset in assets:
        content = asset.content if asset.content is not None else _named(env, row.pool_id, asset)
        key = (row.id, asset.category, asset.color_mode)
        kept = env.db.get(BrandingAsset, key)
        if kept is None:
            kept = BrandingAsset(branding_id=row.id, category=asset.category, color_mode=asset.color_mode)
            env.db.add(kept)
        kept.extension = asset.extension
        kept.content = content
        kept.resource_id = asset.resource_id
        env.db.flush()


def _named(env: Env, pool_id: str, asset: Asset) -> bytes:
    """The picture that some style of this pool has under an id. (What else an id may stand for, the reference does not
    say.) Another pool's is not found."""
    query = (
        select(BrandingAsset.content)
        .join(ManagedLoginBranding, ManagedLoginBranding.id == BrandingAsset.branding_id)
        .where(
            ManagedLoginBranding.pool_id == pool_id,
            BrandingAsset.resource_id == asset.resource_id,
            BrandingAsset.extension == asset.extension,
        )
        .order_by(BrandingAsset.branding_id, BrandingAsset.category, BrandingAsset.color_mode)
        .limit(1)
    )
    found = env.db.scalar(query)
    if found is None:
        raise errors.InvalidParameter(
            f"There is no {asset.extension} with the ResourceId {asset.resource_id}.", field="assets"
        )
    return found


def _style(session: Session, row: ManagedLoginBranding, merged: bool) -> Style:
    settings = _merged(DEFAULTS, row.settings or {}) if merged else row.settings
    return Style(row, _assets(session, row), settings)


def _assets(session: Session, row: ManagedLoginBranding) -> list[BrandingAsset]:
    query = select(BrandingAsset).where(BrandingAsset.branding_id == row.id)
    return list(session.scalars(query.order_by(BrandingAsset.category, BrandingAsset.color_mode)))


def _of(pool: Pool, row: ManagedLoginBranding | None) -> ManagedLoginBranding:
    if row is None or row.pool_id != pool.id:
        raise _unknown()
    return row


def _unknown() -> errors.ResourceNotFound:
    return errors.ResourceNotFound("Managed login branding does not exist.")
