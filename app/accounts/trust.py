"""The trust that makes a device stand in for a second factor, and its end (reference: 10.5).

It rests on the password and the factors that were shown together with the device, so whoever changes one of those ends
it. Apart from `devices`, which come after all that they rest on.
"""

from __future__ import annotations

from sqlalchemy import update

from app.env import Env
from app.models import Device, User


def end(env: Env, user: User) -> None:
    """No device of his stands in for a second factor until it has been asked for one again: neither those that are
    confirmed, nor those that were offered a key and are not yet (`devices.confirm` looks at `modified_at`). Inside a
    transaction, with his row locked."""
    user.modified_at = env.now()
    env.db.execute(update(Device).where(Device.user_sub == user.sub, Device.trusted).values(trusted=False))
