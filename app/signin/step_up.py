"""A sign-in with a level to reach (reference: 6.6): TARGET_ACR_VALUES, ACCESS_TOKEN and MAX_AGE of USER_AUTH, and
`acr_values` at the pages.

The levels are tried in their order, and the first that the user can reach with what he has is the one that the sign-in
aims at: choices that do not lead there are not offered. Where he can reach none, he signs in as ever, and his tokens
say how far he came; whoever asks must read that (`acr`), as OpenID Connect has it.

An access token brings along what was met to get it, so that only the rest is asked. That is worth a password, and so
it is handled like one: it must be live, of this client and this user, when the sign-in begins and when it ends; and it
buys nothing by itself. A stolen one that has reached the level already must not be good for a refresh token; nor may
the thief set up a factor with it, and then show that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from app import errors
from app.accounts import factors
from app.accounts.factors import Held, Second
from app.env import Env
from app.models import LoginSession, Pool, User
from app.signin import plan
from app.signin.state import SignIn
from app.tokens import assurance, verify
from app.tokens.claims import API_SCOPE

ACR_ASKED = "acr_asked"
"""Note: that the client wants its tokens to say how he signed in."""
TARGET = "target"
"""Note: the level that is aimed at, 1 to 4."""
LEVELS = "levels"
"""Note: the levels that a sign-in at the pages is asked for, the wanted one first."""
CREDIT = "credit"
"""Note: challenges that were met before, to get the access token. They are among those proven."""
CREDIT_OF = "credit_of"
"""Note: the session that they were met for."""

_CREDITED = frozenset({*plan.BY_PASSWORD, *plan.SECOND, "SMS_OTP"}) - {"RECOVERY_CODE"}
"""What counts again. A device and a new password do not: their names stand for more than the proof in what follows.
Nor does a recovery code, which is good once."""


@dataclass(frozen=True)
class Wish:
    """What a client asks for, as it stands in the request."""

    levels: tuple[int, ...] = ()
    credit: tuple[str, ...] = ()
    session_id: str | None = None
    by_token: bool = False
    """Whether an access token of the user came along: who has that knows that the user exists."""


@dataclass(frozen=True)
class Aim:
    """What comes of it for one user. `second` says that the credit is followed by a second factor; else `available` are
    the first factors to choose from."""

    target: int
    available: tuple[str, ...]
    credit: tuple[str, ...] = ()
    second: bool = False


def wish(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Wish:
    """Raises errors.InvalidParameter; errors.TokenRefused and what tokens.verify.access_token raises for an access
    token that is not live, not of this client, or not of the user who is named."""
    age = given.get("MAX_AGE")
    if age and not (age.isascii() and age.isdigit() and len(age) < 10):
        raise errors.InvalidParameter("MAX_AGE must be a number of seconds.")
    named, token = given.get("TARGET_ACR_VALUES"), given.get("ACCESS_TOKEN")
    if not named:
        if token:
            raise errors.InvalidParameter("ACCESS_TOKEN must come with TARGET_ACR_VALUES.")
        return Wish()
    levels = levels_named(sign_in.pool, named)
    if not levels:
        called = ", ".join(sign_in.pool.acr_values)
        raise errors.InvalidParameter(f"TARGET_ACR_VALUES must name a level of the user pool: {called}.")
    if not token:
        return Wish(levels)
    brought = verify.access_token(env, token, scope=API_SCOPE, pool_of=_never, only=sign_in.pool)
    session, user = brought.session, sign_in.user
    if user is None or session.user_sub != user.sub or session.client_id != sign_in.client.id:
        raise errors.TokenRefused
    # One that was derived (tokens.exchange) for another client, or for somebody who acts, is in other hands than his.
    if brought.claims["client_id"] != sign_in.client.id or "act" in brought.claims:
        raise errors.TokenRefused
    old = age is not None and (env.now() - session.auth_time).total_seconds() > int(age or 0)
    # With a password that is to be changed, he has proven less than he had when he got the token; and a factor or an
    # address may have been put there with the token itself.
    if old or user.status != "CONFIRMED" or user.modified_at > session.created_at:
        return Wish(levels, by_token=True)
    return Wish(levels, tuple(name for name in session.methods if name in _CREDITED), session.id, by_token=True)


def levels_named(pool: Pool, text: str) -> tuple[int, ...]:
    """Levels, 1 to 4, by the names that the pool has for them; those that it does not have are passed over."""
    called = pool.acr_values
    return tuple(dict.fromkeys(called.index(name) + 1 for name in text.split() if name in called))


def _never(pool_id: str) -> Pool:
    raise errors.UnknownPool(pool_id)


def aim(
    pool: Pool,
    user: User | None,
    held: Held | None,
    wish: Wish,
    available: tuple[str, ...],
    *,
    by_passkey: bool = True,
) -> Aim:
    """The first of the levels that can be reached, and by what. `available` are the first factors that he has."""
    second = factors.second(pool, user, held) if user is not None and held is not None else Second((), None, ())

    def judged(*proven: str) -> tuple[str, ...]:
        return factors.judged(pool, user, held, proven) if user is not None and held is not None else proven

    for credit in dict.fromkeys((counting(pool, second, wish.credit), ())):
        more = _beside(user, credit, available)
        for target in wish.levels:
            if assurance.level(judged(*credit)) >= target:
                break  # what he has met before buys nothing by itself
            now = plan.Situation("CONFIRMED", judged(*credit), pool.mfa, second, target=target, by_passkey=by_passkey)
            if plan.raising(now):
                return Aim(target, (), credit, second=True)
            leading = tuple(choice for choice in more if _leads(now, judged(*credit, _as_met(choice))))
            if leading:
                return Aim(target, leading, credit)
    return Aim(1, available)


def at_pages(pool: Pool, acr_values: str) -> dict[str, Any]:
    """What a sign-in at the pages notes. Which of the levels he can reach is looked up when he has shown who he is: not
    before, or the time of a wrong password would tell whether there is anybody to look up."""
    levels = levels_named(pool, acr_values)
    return {LEVELS: list(levels)} if levels else {}


def target(sign_in: SignIn, user: User, held: Held) -> int:
    """The level that a sign-in aims at, 1 where it aims at none."""
    if LEVELS in sign_in.notes:
        return _by_pages(sign_in.pool, user, held, tuple(sign_in.notes[LEVELS]))
    return int(sign_in.notes.get(TARGET, 1))


def falls_short(env: Env, pool: Pool, user: User, methods: tuple[str, ...], levels: tuple[int, ...]) -> bool:
    """Whether he could reach one of the levels, at the pages, that the challenges which he has met do not. One
    statement, and none without levels."""
    return bool(levels) and assurance.level(methods) < _by_pages(pool, user, factors.held(env, user), levels)


def _by_pages(pool: Pool, user: User, held: Held, levels: tuple[int, ...]) -> int:
    return aim(pool, user, held, Wish(levels), ("PASSWORD",), by_passkey=False).target


def counting(pool: Pool, second: Second, credit: tuple[str, ...]) -> tuple[str, ...]:
    """What of a credit counts as the user stands now. Where a second factor is asked for, a code or a passkey that came
    in place of a password then, or a factor that he has switched off since, must not pass for it."""
    if pool.mfa != "ON" and not second.usable:
        return credit
    taken = {*plan.BY_PASSWORD, *second.usable, *((factors.PASSKEY,) if pool.passkeys_count_twice else ())}
    return tuple(name for name in credit if name in taken)


def _beside(user: User | None, credit: tuple[str, ...], available: tuple[str, ...]) -> tuple[str, ...]:
    """First factors that would be something else than what was met before. Whoever has only the token can change an
    address with it: codes to one that is not proven add nothing."""
    if not credit:
        return available
    met = {_as_met(choice) for choice in credit}
    return tuple(
        choice
        for choice in available
        if _as_met(choice) not in met
        and (choice not in factors.FIRST_ADDRESS or (user and user.verified(factors.FIRST_ADDRESS[choice])))
    )


def _as_met(choice: str) -> str:
    """The two ways of a password are one."""
    return "PASSWORD" if choice in ("PASSWORD_SRP", *plan.BY_PASSWORD) else choice


def _leads(now: plan.Situation, proven: tuple[str, ...]) -> bool:
    """Whether the target is reached with this, or with a second factor after it."""
    return assurance.level(proven) >= now.target or bool(plan.raising(replace(now, proven=proven)))


def notes(wish: Wish, aim: Aim) -> dict[str, Any]:
    if not wish.levels:
        return {}
    kept: dict[str, Any] = {ACR_ASKED: True, TARGET: aim.target}
    return {**kept, CREDIT: list(aim.credit), CREDIT_OF: wish.session_id} if aim.credit else kept


def credit(sign_in: SignIn) -> tuple[str, ...]:
    return tuple(sign_in.notes.get(CREDIT, ()))


def fresh(sign_in: SignIn) -> set[str]:
    """What was met in this sign-in itself."""
    return set(sign_in.proven) - set(credit(sign_in))


def demand_live(env: Env, sign_in: SignIn, user: User) -> None:
    """That nothing has ended the session whose credit this is, or changed its user since: inside the transaction that
    accepts a step, and both rows are locked, so that signing out everywhere comes before it or after. One statement, of
    sign-ins with a credit only. Raises errors.TokenRefused."""
    session_id = sign_in.notes.get(CREDIT_OF)
    if session_id is None:
        return
    living = (
        select(LoginSession.id)
        .where(LoginSession.id == session_id, LoginSession.revoked_at.is_(None))
        .where(LoginSession.created_at >= user.modified_at)
    )
    if env.db.scalar(living.with_for_update()) is None:
        raise errors.TokenRefused("Access Token has been revoked")
