"""CSS and logo of the classic pages: a client's own, or what holds for all that have none (reference: 7.9)."""

from __future__ import annotations

import hashlib
import re

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import Client, Domain, Pool, UICustomization
from app.models.branding import ALL
from app.policy import css as stylesheets
from app.policy import images

LARGEST_LOGO = 100 * 1024
"""Bytes. The published model lets 131,072 pass; the documentation says 100 kB."""
LARGEST_REQUEST = 135 * 1024
"""Bytes of CSS and logo as they come, which is in base64."""
_CLIENT_ID = re.compile(r"[\w+]{1,128}", re.ASCII)
"""What can be one, or `ALL`. PostgreSQL refuses to be asked for some of what a path can hold."""
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg"}


def put(env: Env, pool: Pool, client: Client | None, *, css: str | None, image: bytes | None) -> UICustomization | None:
    """Customize a client's pages, or everybody's (`None`). Returns what there is then: nothing, if nothing was given.

    What is given takes the place of what there was, and what is not given is gone: it is by giving neither that tools
    take a customization back. (The reference leaves this open.)

    Raises errors.InvalidParameter (CSS or picture is not allowed, or the pool has no domain), UnknownPool,
    UnknownClient.
    """
    stylesheets.rules(css or "")
    image_type = _image_type(image) if image else None
    if len((css or "").encode("utf-8")) + (len(image or b"") + 2) // 3 * 4 > LARGEST_REQUEST:
        raise errors.InvalidParameter(f"CSS and image file together must not exceed {LARGEST_REQUEST} bytes.")
    client_id = client.id if client else ALL
    now = env.now()
    with env.transaction():
        # One at a time in a pool: of two that find no row, both would make one.
        if env.db.get(Pool, pool.id, with_for_update={"key_share": True}) is None:
            raise errors.UnknownPool(pool.id)
        # Whoever deletes the client waits, and then deletes this row too.
        held = select(Client.id).where(Client.id == client_id).with_for_update(read=True, key_share=True)
        if client and env.db.scalar(held) is None:
            raise errors.UnknownClient(client.id)
        if env.db.scalar(select(Domain.domain).where(Domain.pool_id == pool.id).limit(1)) is None:
            raise errors.InvalidParameter("There has to be an existing domain associated with this user pool")
        row = env.db.get(UICustomization, (pool.id, client_id))
        if not css and not image:
            if row is not None:
                env.db.delete(row)
            return None
        if row is None:
            row = UICustomization(pool_id=pool.id, client_id=client_id, created_at=now)
            env.db.add(row)
        row.css = css or None
        row.css_version = now.strftime("%Y%m%d%H%M%S")
        row.image = image or None
        row.image_type = image_type
        row.modified_at = now
    return row


def of(env: Env, pool: Pool, client: Client | None) -> UICustomization | None:
    """What holds for a client: its own, else everybody's, if there is one."""
    asked = [ALL] if client is None else [client.id, ALL]
    with env.reading() as session:
        query = select(UICustomization).where(UICustomization.pool_id == pool.id, UICustomization.client_id.in_(asked))
        found = {row.client_id: row for row in session.scalars(query)}
    return next((found[client_id] for client_id in asked if client_id in found), None)


def logo(env: Env, pool: Pool, client_id: str, name: str) -> tuple[bytes, str] | None:
    """A logo and its type, by the name that `logo_name` gave it; another one's, or a former one's, is not there."""
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    with env.reading() as session:
        row = session.get(UICustomization, (pool.id, client_id))
    if row is None or row.image is None or row.image_type is None or logo_name(row) != name:
        return None
    return row.image, row.image_type


def logo_name(row: UICustomization) -> str | None:
    """A file name that is another one for every other picture, so that what has it can be kept for ever."""
    if row.image is None or row.image_type is None:
        return None
    return f"{hashlib.sha256(row.image).hexdigest()[:32]}.{_EXTENSIONS[row.image_type]}"


def _image_type(image: bytes) -> str:
    kind = images.kind(image)
    if kind is None:
        raise errors.InvalidParameter("The image file must be a PNG or a JPEG.", field="image_file")
    if len(image) > LARGEST_LOGO:
        raise errors.InvalidParameter(f"The image file must not exceed {LARGEST_LOGO} bytes.", field="image_file")
    try:
        images.check(image, kind)
    except images.NotAnImage as why:
        raise errors.InvalidParameter(f"The image file is not valid: {why}.", field="image_file") from None
    return images.TYPES[kind]
