"""Which factors a user has, and which of them his pool takes, first or second (reference: 5.5, 10.2).

What he has is read here, in one statement; what follows from it are plain functions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select

from app.env import Env
from app.models import Passkey, Password, Pool, SoftwareToken, User

TOTP = "SOFTWARE_TOKEN_MFA"
SMS = "SMS_MFA"
EMAIL = "EMAIL_OTP"
PASSKEY = "WEB_AUTHN"
ADDRESS = {SMS: "phone_number", EMAIL: "email"}
"""The attribute whose address a factor's codes go to."""

_HELD = select(
    exists().where(SoftwareToken.user_sub == bindparam("sub"), SoftwareToken.secret.is_not(None)),
    exists().where(Passkey.user_sub == bindparam("sub")),
    exists().where(Password.user_sub == bindparam("sub")),
)


@dataclass(frozen=True)
class Held:
    """What a user has been registered with."""

    software_token: bool
    passkey: bool
    password: bool


@dataclass(frozen=True)
class Second:
    """Second factors as a pool sees them for one user. All by Cognito's names."""

    usable: tuple[str, ...]
    """Those he can be asked for."""
    preferred: str | None
    """The one he is asked for where several are usable."""
    setups: tuple[str, ...]
    """Those that he could set up by himself now."""


def held(env: Env, user: User) -> Held:
    """One statement."""
    with env.reading() as session:
        return Held(*session.execute(_HELD, {"sub": user.sub}).one())


def switched_on(user: User) -> tuple[str, ...]:
    """Second factors that he, or an administrator, has switched on."""
    return tuple((user.mfa or {}).get("on", ()))


def second(pool: Pool, user: User, held: Held) -> Second:
    """What may be asked of him after his password (reference: 10.2).

    In a pool that requires a second factor, one that he has counts as switched on: a verified authenticator app, else
    an address, unless it is the one that a forgotten password is recovered through, which would make one factor of two.
    """
    able = {
        TOTP: held.software_token,
        SMS: bool(user.phone_number),
        EMAIL: bool(user.email),
        PASSKEY: held.passkey,
    }
    offered = pool.second_factors
    on = tuple(name for name in switched_on(user) if able.get(name) and name in (*offered, PASSKEY))
    if pool.mfa != "ON" or on:
        usable = on if pool.mfa != "OFF" else ()
    elif TOTP in offered and held.software_token:
        usable = (TOTP,)
    else:
        through = recovery_channel(pool, user)
        usable = tuple(name for name in offered if name != TOTP and able[name] and ADDRESS[name] != through)
    preferred = (user.mfa or {}).get("preferred")
    setups = tuple(name for name in offered if name == TOTP or (name == EMAIL and not user.email))
    return Second(usable, preferred if preferred in usable else None, setups)


def recovery_channel(pool: Pool, user: User) -> str | None:
    """The attribute that a forgotten password would be recovered through."""
    return next((attribute for attribute in pool.recovery if user.verified(attribute)), None)


def first(pool: Pool, user: User | None, held: Held | None) -> tuple[str, ...]:
    """First factors to choose from, in the names of PREFERRED_CHALLENGE (reference: 5.5).

    Whoever has to set a password, or has a second factor, gets in by a password only: a code or a passkey alone would
    pass the second factor by. For a name that means nobody, what most users of the pool could choose.
    """
    allowed = pool.first_factors
    password = ("PASSWORD_SRP", "PASSWORD") if "PASSWORD" in allowed else ()
    if user is None or held is None:
        return password + tuple(name for name in ("EMAIL_OTP", "SMS_OTP") if name in allowed)
    if not held.password:
        password = ()
    elif user.status == "FORCE_CHANGE_PASSWORD":
        return password
    able = {"EMAIL_OTP": bool(user.email), "SMS_OTP": bool(user.phone_number), PASSKEY: held.passkey}
    others = tuple(name for name in ("EMAIL_OTP", "SMS_OTP", PASSKEY) if name in allowed and able[name])
    if pool.mfa == "ON" or (pool.mfa == "OPTIONAL" and second(pool, user, held).usable):
        others = tuple(name for name in others if name == PASSKEY and pool.passkeys_count_twice)
    return password + others
