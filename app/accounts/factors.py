"""Which factors a user has, and which of them his pool takes, first or second (reference: 5.5, 10.2).

What he has is read here, in one statement; what follows from it are plain functions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select

from app.env import Env
from app.models import Passkey, Password, Pool, SoftwareToken, User
from app.statements import Statement
from app.tokens import assurance

TOTP = "SOFTWARE_TOKEN_MFA"
SMS = "SMS_MFA"
EMAIL = "EMAIL_OTP"
PASSKEY = "WEB_AUTHN"
ALL = (SMS, TOTP, EMAIL, PASSKEY)
"""In the order in which they are told."""
ADDED, REMOVED = "FactorAdded", "FactorRemoved"
"""Names of events in the audit."""
ADDRESS = {SMS: "phone_number", EMAIL: "email"}
"""The attribute whose address a factor's codes go to."""

FIRST_ADDRESS = {"EMAIL_OTP": "email", "SMS_OTP": "phone_number"}
"""The same for codes that come first."""

_HELD = Statement(
    select(
        exists().where(SoftwareToken.user_sub == bindparam("sub"), SoftwareToken.secret.is_not(None)),
        exists().where(Passkey.user_sub == bindparam("sub")),
        exists().where(Password.user_sub == bindparam("sub")),
    )
)


@dataclass(frozen=True)
class Held:
    """What a user has been registered with."""

    software_token: bool
    passkey: bool
    password: bool


NOTHING = Held(software_token=False, passkey=False, password=False)
"""Where a pool requires no second factor, what recovers a password does not depend on what somebody has."""


@dataclass(frozen=True)
class Second:
    """Second factors as a pool sees them for one user. All by Cognito's names."""

    usable: tuple[str, ...]
    """Those he can be asked for."""
    preferred: str | None
    """The one he is asked for where several are usable."""
    setups: tuple[str, ...]
    """Those that he could set up by himself now."""
    dormant: tuple[str, ...] = ()
    """Those that he has, and has not switched on."""


def held(env: Env, user: User) -> Held:
    """One statement."""
    return Held(*_HELD.first(env, {"sub": user.sub}) or ())


def switched_on(user: User) -> tuple[str, ...]:
    """Second factors that he, or an administrator, has switched on."""
    return tuple((user.mfa or {}).get("on", ()))


def preferred(user: User) -> str | None:
    """The one of them that he wants to be asked for."""
    return (user.mfa or {}).get("preferred")


def able(user: User, held: Held) -> dict[str, bool]:
    """Which second factors he could be asked for, whatever the pool offers: he has what it takes."""
    return {
        SMS: bool(user.phone_number),
        TOTP: held.software_token,
        EMAIL: bool(user.email),
        PASSKEY: held.passkey,
    }


def second(pool: Pool, user: User, held: Held) -> Second:
    """What may be asked of the user after the password (reference: 10.2).

    In a pool that requires a second factor, one that the user has counts as switched on: a verified authenticator app,
    else an address, unless it is the one that a forgotten password is recovered through, which would make one factor
    of two.
    """
    has = able(user, held)
    offered = pool.second_factors
    on = _on(pool, user, held)
    if on:
        usable = on
    elif pool.mfa == "ON" and TOTP in offered and held.software_token:
        usable = (TOTP,)
    else:
        through = recovery_channel(pool, user, held)
        usable = tuple(name for name in _by_address(pool, user, held) if ADDRESS[name] != through)
    first_asked = preferred(user)
    setups = tuple(name for name in offered if name == TOTP or (name == EMAIL and not user.email))
    return Second(
        usable, first_asked if first_asked in usable else None, setups, _dormant(pool, user, held, has, usable)
    )


def _on(pool: Pool, user: User, held: Held) -> tuple[str, ...]:
    """Factors that were switched on, that the user has, and that the pool takes."""
    if pool.mfa == "OFF":
        return ()
    has = able(user, held)
    return tuple(name for name in switched_on(user) if has.get(name) and name in (*pool.second_factors, PASSKEY))


def _by_address(pool: Pool, user: User, held: Held) -> tuple[str, ...]:
    """Codes to an address that count as switched on, though nobody has done so: in a pool that requires a second
    factor, of a user who has no other."""
    offered = pool.second_factors
    if pool.mfa != "ON" or _on(pool, user, held) or (TOTP in offered and held.software_token):
        return ()
    has = able(user, held)
    return tuple(name for name in offered if name in ADDRESS and has[name])


def _dormant(pool: Pool, user: User, held: Held, has: dict[str, bool], usable: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses count when they are proven. Not the one that a forgotten password is recovered through."""
    if pool.mfa == "OFF":
        return ()
    through = recovery_channel(pool, user, held)
    taken = (*pool.second_factors, *((PASSKEY,) if pool.passkeys_count_twice else ()))
    return tuple(
        name
        for name in taken
        if has[name]
        and name not in usable
        and (name not in ADDRESS or (user.verified(ADDRESS[name]) and ADDRESS[name] != through))
    )


def recovery_channel(pool: Pool, user: User, held: Held) -> str | None:
    """The attribute that a forgotten password would be recovered through: the best that is proven. Never one that the
    second factor goes to: whoever reads that mailbox would then need nothing else (reference: 2.7).

    Where a second factor is required and codes to addresses are all that the user could be asked for, recovery takes an
    address that leaves one for them. If none does, the factor comes first in a pool that has not said how passwords are
    recovered, or its users could not sign in; a pool that has said so meant it.
    """
    second = {ADDRESS[name] for name in switched_on(user) if name in ADDRESS and name in pool.second_factors}
    proven = [name for name in pool.recovery if user.verified(name) and name not in second]
    asked = {ADDRESS[name] for name in _by_address(pool, user, held)}
    if not asked:
        return next(iter(proven), None)
    apart = [name for name in proven if asked - {name}]
    return next(iter(apart if apart or not pool.chooses_recovery else proven), None)


def recovers_by(env: Env, pool: Pool, user: User) -> str | None:
    """The same, of what is in the database now. One statement where the pool requires a second factor, else none."""
    return recovery_channel(pool, user, held(env, user) if pool.mfa == "ON" else NOTHING)


def judged(pool: Pool, user: User, held: Held, proven: tuple[str, ...]) -> tuple[str, ...]:
    """The challenges that were met, with what tokens.assurance has to know beside them: that a code went to the address
    which recovers the password."""
    return (*proven, *assurance.adds_nothing(proven, recovery_channel(pool, user, held)))


def configured(user: User, held: Held) -> tuple[str, ...]:
    """What he has to sign in with, first or second, in the names of GetUserAuthFactors, whatever the pool makes of it:
    what it does, the choice in USER_AUTH shows (reference: 6.9)."""
    has = {
        "PASSWORD": held.password,
        "EMAIL_OTP": user.verified("email"),
        "SMS_OTP": user.verified("phone_number"),
        PASSKEY: held.passkey,
        "SOFTWARE_TOKEN": held.software_token,
    }
    return tuple(name for name, there in has.items() if there)


def first(pool: Pool, user: User | None, held: Held | None) -> tuple[str, ...]:
    """First factors that a user can choose from, in the names of PREFERRED_CHALLENGE (reference: 5.5). None for a name
    that means nobody.

    Whoever has to set a password, or has a second factor, gets in by a password only: a code or a passkey alone would
    pass the second factor by.
    """
    allowed = pool.first_factors
    if user is None or held is None or user.status == "EXTERNAL_PROVIDER":  # who signs in elsewhere
        return ()
    password = ("PASSWORD_SRP", "PASSWORD") if "PASSWORD" in allowed and held.password else ()
    if held.password and user.status == "FORCE_CHANGE_PASSWORD":
        return password
    able = {"EMAIL_OTP": bool(user.email), "SMS_OTP": bool(user.phone_number), PASSKEY: held.passkey}
    others = tuple(name for name in ("EMAIL_OTP", "SMS_OTP", PASSKEY) if name in allowed and able[name])
    if pool.mfa == "ON" or (pool.mfa == "OPTIONAL" and second(pool, user, held).usable):
        others = tuple(name for name in others if name == PASSKEY and pool.passkeys_count_twice)
    return password + others


def allowed_first(pool: Pool) -> tuple[str, ...]:
    """All of them that some user of the pool could choose, in the same order."""
    allowed = pool.first_factors
    password = ("PASSWORD_SRP", "PASSWORD") if "PASSWORD" in allowed else ()
    passkey = (PASSKEY,) if PASSKEY in allowed and (pool.mfa != "ON" or pool.passkeys_count_twice) else ()
    return password + by_code_alone(pool) + passkey


def by_code_alone(pool: Pool) -> tuple[str, ...]:
    """Codes by which somebody could sign in who has nothing else. None where a second factor is always asked for."""
    return tuple(name for name in FIRST_ADDRESS if name in pool.first_factors) if pool.mfa != "ON" else ()
