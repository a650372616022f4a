"""The devices that a user signs in from (reference: 10.5)."""

from __future__ import annotations

from sqlalchemy import select

from app import errors
from app.env import Env
from app.models import Device, User

UNKNOWN = "Device does not exist."
"""Amplify looks for this sentence, forgets the key it kept, and signs in without."""


def recognise(env: Env, user: User, key: str) -> Device:
    """The user's confirmed device of this key. Another user's is as unknown. Raises errors.ResourceNotFound."""
    with env.reading() as session:
        device = session.scalar(select(Device).where(Device.key == key, Device.user_sub == user.sub))
    if device is None:
        raise errors.ResourceNotFound(UNKNOWN)
    return device
