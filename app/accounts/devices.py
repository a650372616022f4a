"""The devices that a user signs in from (reference: 10.5).

A sign-in without one is offered a key. The device makes up a password for it, confirms the key with that password's SRP
verifier, and from then on proves at every sign-in to be the same device. What it may stand in for is another question:
it is trusted only once a second factor has been shown together with it, and until the password or a factor changes.
"""

from __future__ import annotations

import base64
import binascii

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import aliased

from app import errors
from app.accounts import find, profile
from app.audit import record
from app.crypto import srp
from app.db import raising
from app.env import Env, Origin
from app.models import Client, Device, LoginSession, Pool, User, seals
from app.models.pool import DeviceTracking
from app.paging import Page, page
from app.tokens import assurance, revoke

UNKNOWN = "Device does not exist."
"""Amplify looks for this sentence, forgets the key it kept, and signs in without."""
NOT_TRACKED = "User pool does not have device tracking enabled."
REMEMBERED = "DeviceRemembered"
"""Name of the event in the audit; whether it is so now is among its details."""
NOT_OFFERED = "Invalid device key given."
MOST = 60
"""Of a page."""
MOST_OF_A_USER = 100
"""Confirmed devices. Cognito has no such bound; but a client that loses its key each time leaves one per sign-in."""
LONGEST_SALT = 32
"""Bytes; clients draw 16."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def new_key(env: Env) -> str:
    """For a device that has none. Nothing is stored but in the login session that it is offered to."""
    return f"{env.settings.region}_{env.random.uuid()}"


def group_key(env: Env, pool: Pool, user: User) -> str:
    """What stands for the pool's name in the SRP of the user's devices: always the same, so that nothing has to be
    stored before a device is confirmed."""
    number = int.from_bytes(env.keyed.number("device group key", f"{pool.id} {user.sub}", 16), "big")
    chosen = []
    for _ in range(8):
        number, which = divmod(number, len(LETTERS))
        chosen.append(LETTERS[which])
    return "-" + "".join(chosen)


def confirm(
    env: Env,
    client: Client,
    user: User,
    session: LoginSession,
    *,
    key: str,
    name: str | None,
    password_verifier: str | None,
    salt: str | None,
    origin: Origin,
) -> bool:
    """Write down the device that was offered this key with the tokens of this session. `password_verifier` and `salt`
    are base64, as the client's SRP pads its numbers. Returns whether it is remembered only when the user says so.

    It is trusted if the session showed a password and something besides, and nothing of the user's has changed since:
    a session from before he changed his factors must not bring the trust back that the change has ended. Where he has
    MOST_OF_A_USER already, another of his is forgotten for it.

    Raises errors.DeviceKeyExists, InvalidParameter (also for a key that was not offered to this session),
    InvalidUserPoolConfiguration, TokenRefused, UserDisabled, UserNotFound.
    """
    tracking = _demand_tracking(client.pool)
    if name is not None and "\0" in name:
        raise errors.InvalidParameter("DeviceName must have no null character.")
    verifier, salt_bytes = _verifier(password_verifier), _salt(salt)
    now = env.now()
    device = Device(
        key=key,
        user_sub=user.sub,
        group_key=group_key(env, client.pool, user),
        name=name,
        salt=salt_bytes.hex(),
        verifier=env.seal.seal(f"{verifier:x}".encode("ascii"), about=seals.device_verifier(key)),
        remembered=not tracking.on_request,
        trusted=False,
        last_ip=origin.ip,
        created_at=now,
        modified_at=now,
        authenticated_at=now,
    )
    with env.transaction():
        row = profile.present(env, user)
        # Since the token was looked at, somebody may have forgotten the device, which is not to come back.
        offered = env.db.execute(
            select(LoginSession.device_key, LoginSession.revoked_at).where(LoginSession.id == session.id)
        ).one_or_none()
        if offered is None or offered.revoked_at is not None:
            raise errors.TokenRefused("Access Token has been revoked")
        if offered.device_key != key:
            taken = env.db.scalar(select(Device.key).where(Device.key == key))
            raise errors.DeviceKeyExists if taken else errors.InvalidParameter(NOT_OFFERED)
        device.trusted = "mfa" in assurance.methods(session.methods) and row.modified_at <= session.created_at
        with raising(env.db, pk_device=errors.DeviceKeyExists()):
            env.db.add(device)
        target = f"device/{key}"
        record.event(env, client.pool, REMEMBERED, sub=user.sub, target=target, remembered=device.remembered)
        _make_room(env, user, key)
    return tracking.on_request


def recognise(env: Env, user: User, key: str) -> Device:
    """The user's confirmed device of this key. Another user's is as unknown. Raises errors.ResourceNotFound."""
    with env.reading() as session:
        device = session.scalar(select(Device).where(Device.key == key, Device.user_sub == user.sub))
    if device is None:
        raise errors.ResourceNotFound(UNKNOWN)
    return device


def opened_verifier(env: Env, pool: Pool, device: Device) -> str:
    """The SRP verifier of its password, in hex."""
    return env.seal.open(device.verifier, about=seals.device_verifier(device.key), pool=pool.id).decode("ascii")


def stands_in(pool: Pool, device: Device) -> bool:
    """Whether it stands in for a second factor now."""
    tracking = pool.device_tracking
    return tracking is not None and tracking.spares_mfa and device.remembered and device.trusted


def proved(env: Env, device: Device, origin: Origin, *, trusted: bool, stood_in: bool = False) -> None:
    """It has just shown to be the same device; with `trusted`, together with a second factor; or it `stood_in` for one.
    Inside a transaction. Raises errors.ResourceNotFound when it has been forgotten meanwhile, SessionInvalid when the
    trust that it stood in by has ended."""
    trust = {"trusted": True} if trusted else {}
    there = env.db.scalar(
        update(Device)
        .where(Device.key == device.key, Device.user_sub == device.user_sub)
        .values(last_ip=origin.ip, authenticated_at=env.now(), **trust)
        .returning(Device.trusted)
        .execution_options(synchronize_session=False)
    )
    if there is None:
        raise errors.ResourceNotFound(UNKNOWN)
    if stood_in and not there:
        raise errors.SessionInvalid


def demand(env: Env, user: User, key: str) -> None:
    """That it is still there, and will be until the commit: inside a transaction, with his row locked.
    Raises errors.ResourceNotFound."""
    if env.db.scalar(select(Device.key).where(Device.key == key, Device.user_sub == user.sub)) is None:
        raise errors.ResourceNotFound(UNKNOWN)


def get(env: Env, pool: Pool, user: User, key: str) -> Device:
    """Raises errors.ResourceNotFound, InvalidUserPoolConfiguration."""
    _demand_tracking(pool)
    return recognise(env, user, key)


def listed(env: Env, pool: Pool, user: User, *, limit: int | None = None, token: str | None = None) -> Page[Device]:
    """A page of the user's devices, oldest first. Raises errors.InvalidParameter for a token that is not of this list,
    InvalidUserPoolConfiguration."""
    _demand_tracking(pool)
    query = select(Device).where(Device.user_sub == user.sub)
    by = (Device.created_at, Device.key)
    return page(env, query, by=by, size=limit or MOST, token=token, about=f"devices of {user.sub}")


def set_status(env: Env, pool: Pool, user: User, key: str, *, remembered: bool) -> None:
    """Whether it is remembered, which it must be to stand in for a second factor; that it is trusted is not for anybody
    to say. Raises errors.ResourceNotFound, InvalidUserPoolConfiguration."""
    _demand_tracking(pool)
    with env.transaction():
        there = env.db.scalar(
            update(Device)
            .where(Device.key == key, Device.user_sub == user.sub)
            .values(remembered=remembered, modified_at=env.now())
            .returning(Device.key)
        )
        if there is None:
            raise errors.ResourceNotFound(UNKNOWN)
        record.event(env, pool, REMEMBERED, sub=user.sub, target=f"device/{key}", remembered=remembered)


def forget(env: Env, pool: Pool, user: User, key: str, *, asking: LoginSession | None = None) -> None:
    """Whoever has the device is signed out of it. A user `asking` for it with the device itself keeps the access token
    (tokens.revoke.device). Raises errors.ResourceNotFound, InvalidUserPoolConfiguration, UserNotFound."""
    _demand_tracking(pool)
    with env.transaction():
        find.locked(env, user.sub)  # several of his sessions end, as others may end them at this moment
        if not _forget(env, user, Device.key == key, asking=asking.id if asking else None):
            raise errors.ResourceNotFound(UNKNOWN)


def _make_room(env: Env, user: User, key: str) -> None:
    """Forget what are too many beside the device of this key: those that are not remembered first, and of these the one
    that has not signed in for longest. To refuse the new one instead would keep him out who has lost the old ones, for
    some SDKs take it for a failed sign-in. Inside a transaction, with his row locked: of two that are confirmed at
    once, the second counts the first."""
    others = aliased(Device)
    kept = (others.remembered.desc(), others.authenticated_at.desc(), others.created_at.desc(), others.key)
    too_many = select(others.key).where(others.user_sub == user.sub, others.key != key).order_by(*kept)
    _forget(env, user, Device.key.in_(too_many.offset(MOST_OF_A_USER - 1)))


def _forget(env: Env, user: User, which: ColumnElement[bool], *, asking: str | None = None) -> list[str]:
    """The keys of the devices of his that are gone, and so are their sessions. Inside a transaction, with his row."""
    gone = env.db.scalars(
        delete(Device)
        .where(Device.user_sub == user.sub, which)
        .returning(Device.key)
        .execution_options(synchronize_session=False)
    ).all()
    for key in gone:
        record.event(env, user.pool_id, "DeviceForgotten", sub=user.sub, target=f"device/{key}")
        revoke.device(env, user, key, asking=asking)
    return list(gone)


def _demand_tracking(pool: Pool) -> DeviceTracking:
    if pool.device_tracking is None:
        raise errors.InvalidUserPoolConfiguration(NOT_TRACKED)
    return pool.device_tracking


def _verifier(given: str | None) -> int:
    """A power of g as an honest client computes it: with 0, 1 or -1 anybody would know what both sides derive."""
    verifier = int.from_bytes(_decoded(given, "PasswordVerifier", longest=len(srp.pad(srp.N))), "big")
    if not 1 < verifier < srp.N - 1:
        raise errors.InvalidParameter("PasswordVerifier must be a number of the SRP group.")
    return verifier


def _salt(given: str | None) -> bytes:
    return _decoded(given, "Salt", longest=LONGEST_SALT)


def _decoded(given: str | None, member: str, *, longest: int) -> bytes:
    expected = errors.InvalidParameter(f"{member} must be base64 of 1 to {longest} bytes.")
    # Before it is decoded: a member may have 128 KB.
    if not given or len(given) > 4 * (longest // 3 + 1):
        raise expected
    try:
        decoded = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise expected from None
    if not 1 <= len(decoded) <= longest:
        raise expected
    return decoded
