"""Second factors of a user: his authenticator app, what is switched on, and what he prefers (reference: 10.1, 10.3).

Whatever changes them ends what rested on those that the user had: sign-ins under way, and the trust in devices; and
recovery codes, where a factor is replaced or the last one goes (accounts.recovery_codes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete

from app import errors
from app.accounts import codes, factors, find, lockout, passwords, profile, recovery_codes, software_token, trust
from app.audit import record
from app.env import Env, Origin
from app.models import Attempt, Client, Pool, User


@dataclass(frozen=True)
class Setting:
    """What is wanted of one factor; None leaves that as it is."""

    enabled: bool | None
    preferred: bool | None


def associate(env: Env, client: Client, user: User) -> str:
    """A new secret for the user's authenticator app, in base32. The one in use stays until `verify`.

    Raises errors.SoftwareTokenMFANotFound, UserNotFound, UserDisabled.
    """
    _check_offered(client.pool)
    secret, write = software_token.begin(env, user)
    with env.transaction():
        profile.present(env, user)
        write()
    return secret


def verify(env: Env, client: Client, user: User, *, code: str, name: str | None, origin: Origin) -> None:
    """Take the new secret into use, by the first code that the app shows. Whether it is asked for is another matter
    (`prefer`). A wrong code is counted like one at the sign-in.

    Raises errors.EnableSoftwareTokenMFA, InvalidParameter (no secret waits), SoftwareTokenMFANotFound, LockedOut,
    UserNotFound, UserDisabled.
    """
    _check_offered(client.pool)
    software_token.check_name(name)
    secret = software_token.waiting(env, user)
    failures = lockout.counter(env, client.pool, sub=user.sub, origin=origin)
    with lockout.attempt(env, failures, at="FactorRefused", client=client.id) as counted:
        matched = software_token.fits(env, user, secret, code)
        if matched is None:
            raise errors.EnableSoftwareTokenMFA
    with env.transaction():
        row = profile.present(env, user)
        if software_token.stands(env, row)[0]:
            recovery_codes.end(env, row)
        software_token.take_into_use(env, matched, name=name, first=False)
        lockout.forgive(env, counted)
        record.event(env, row.pool_id, factors.ADDED, sub=row.sub, factor=factors.TOTP)
        changed(env, row)


def remove_token(env: Env, pool: Pool, *, username: str) -> None:
    """Unregister a user's authenticator app. Raises errors.UserNotFound; InvalidParameter where he has none."""
    found = find.existing(env, pool, username)
    with env.transaction():
        row = find.locked(env, found.user.sub)
        if not software_token.remove(env, row):
            raise errors.InvalidParameter(software_token.NOT_SET_UP)
        record.event(env, row.pool_id, factors.REMOVED, sub=row.sub, factor=factors.TOTP)
        switch_off(env, row, factors.TOTP)


def prefer(env: Env, user: User, wanted: Mapping[str, Setting]) -> None:
    """Switch factors on or off, and say which is asked for where there are several.

    Raises errors.InvalidParameter, UserNotFound, UserDisabled.
    """
    with env.transaction():
        row = profile.present(env, user)
        if wanted.get(factors.TOTP, Setting(None, None)).enabled:
            in_use, waits = software_token.stands(env, row)
            if not in_use:
                raise errors.InvalidParameter(software_token.NOT_VERIFIED if waits else software_token.NOT_SET_UP)
        _set(env, row, wanted)


def prefer_by_administrator(env: Env, pool: Pool, *, username: str, wanted: Mapping[str, Setting]) -> None:
    """The same for a user of the pool. Raises errors.InvalidParameter, UserNotFound."""
    found = find.existing(env, pool, username)
    with env.transaction():
        _set(env, find.locked(env, found.user.sub), wanted)


def switch_on(env: Env, user: User, factor: str) -> None:
    """A factor that has been set up to be asked for: it is also the preferred one. Inside a transaction, on the user's
    locked row."""
    _write(env, user, on=[*factors.switched_on(user), factor], preferred=factor)


def switch_off(env: Env, user: User, factor: str) -> None:
    """A factor that he has no longer. Inside a transaction, on the user's locked row."""
    on = [name for name in factors.switched_on(user) if name != factor]
    _write(env, user, on=on, preferred=factors.preferred(user))


def _check_offered(pool: Pool) -> None:
    if factors.TOTP not in pool.second_factors:
        raise errors.SoftwareTokenMFANotFound


def _set(env: Env, row: User, wanted: Mapping[str, Setting]) -> None:
    """Refuses before anything is written."""
    if sum(bool(setting.preferred) for setting in wanted.values()) > 1:
        raise errors.InvalidParameter("Only one MFA method can be preferred.")
    able = factors.able(row, factors.held(env, row))
    on, preferred = set(factors.switched_on(row)), factors.preferred(row)
    for factor, setting in wanted.items():
        if setting.enabled:
            if not able[factor]:
                raise errors.InvalidParameter(f"User does not have delivery config set to turn on {factor}")
            on.add(factor)
        elif setting.enabled is False:
            on.discard(factor)
        if setting.preferred and factor not in on:
            raise errors.InvalidParameter(f"{factor} cannot be preferred while it is not enabled.")
        if setting.preferred:
            preferred = factor
        elif setting.preferred is False and preferred == factor:
            preferred = None
    if on != set(factors.switched_on(row)) or preferred != factors.preferred(row):
        _write(env, row, on=on, preferred=preferred)


def _write(env: Env, user: User, *, on: set[str] | list[str], preferred: str | None) -> None:
    user.mfa = {"on": [name for name in factors.ALL if name in on], "preferred": preferred if preferred in on else None}
    user.modified_at = env.now()
    record.event(env, user.pool_id, "FactorsSwitched", sub=user.sub, **user.mfa)
    if not on:
        recovery_codes.end(env, user)
    changed(env, user)


def changed(env: Env, user: User) -> None:
    """He has got or lost a factor. Sign-ins under way end: they were asked for those that he had. So does a code that
    recovers his password: it may have gone to what is now a factor. Inside a transaction, on the user's locked row."""
    trust.end(env, user)
    codes.forget(env, user, purpose=passwords.PURPOSE)
    env.db.execute(delete(Attempt).where(Attempt.user_sub == user.sub, Attempt.used_at.is_(None)))
