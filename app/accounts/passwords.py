"""Passwords that are changed, forgotten, or set by an administrator (reference: 4.5)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from app import errors
from app.accounts import attributes as writing
from app.accounts import codes, credentials, factors, find, known, limits, lockout, recovery_codes, trust
from app.audit import record
from app.env import NOWHERE, Env, Origin
from app.messaging.messages import Delivery
from app.models import Attempt, BrowserSession, Client, LoginSession, Password, Pool, User
from app.policy import passwords as policy
from app.policy import unbuilt
from app.tokens import revoke

PURPOSE = "forgot_password"
NO_ADDRESS = "Cannot reset password for the user as there is no registered/verified email or phone_number"
WRONG_STATE = "User password cannot be reset in the current state."
NOT_HIS_OWN = ("FORCE_CHANGE_PASSWORD", "EXTERNAL_PROVIDER")
"""States in which nobody sets a password of his own: only NEW_PASSWORD_REQUIRED ends a temporary one, because it also
asks for the attributes that are missing; and who comes from an identity provider has his password there."""


def change(
    env: Env, client: Client, user: User, *, previous: str | None, proposed: str, asking: LoginSession | None = None
) -> None:
    """Replace a password by another, for who knows it. Somebody without one sets the first: `previous` is None. Where
    the pool ends sessions with the password, the one that is `asking` goes on.

    Raises errors.InvalidPassword, InvalidParameter (no previous one given), LimitExceeded, NotAuthorized (a wrong
    one, or a state that does not allow it), PasswordHistoryPolicyViolation, PasswordResetRequired, UserNotConfirmed,
    UserNotFound, TooManyRequests.
    """
    pool = client.pool
    policy.check(pool, proposed)
    limits.check(env, pool, "change_password", user.sub)
    with env.reading() as session:
        stored = session.scalar(select(Password).where(Password.user_sub == user.sub))
    if stored is not None and previous is None:
        raise errors.InvalidParameter("Missing required parameter PreviousPassword", field="previous_password")
    if stored is None:
        right = previous is None
    else:
        right = env.passwords.verify(stored.hash, previous or "")
    chosen = _chosen(env, pool, user, proposed) if right else None
    with env.transaction():
        row = find.locked(env, user.sub)
        # Guesses sent in parallel were all compared, but only as many as the limit allows learn how it went.
        limits.count(env, pool, "change_password", row.sub)
        version = env.db.scalar(select(Password.version).where(Password.user_sub == row.sub))
        if chosen is None or version != (stored.version if stored else None):
            raise errors.NotAuthorized
        _check_may_change(row)
        replace(env, pool, row, _allowed(chosen), asking=asking)


def _chosen(
    env: Env, pool: Pool, user: User, password: str
) -> credentials.Prepared | errors.PasswordHistoryPolicyViolation:
    """The new password made ready, or why it cannot be. That is said where the call is counted: whoever could ask as
    often as he likes would find out which passwords somebody had."""
    try:
        return credentials.renew(env, pool, sub=user.sub, username=user.username, password=password)
    except errors.PasswordHistoryPolicyViolation as violation:
        return violation


def _allowed(chosen: credentials.Prepared | errors.PasswordHistoryPolicyViolation) -> credentials.Prepared:
    if isinstance(chosen, errors.Refusal):
        raise chosen
    return chosen


def _check_may_change(user: User) -> None:
    """What a token that was given out before does not say. Raises errors.UserDisabled, NotAuthorized,
    PasswordResetRequired, UserNotConfirmed."""
    if not user.enabled:
        raise errors.UserDisabled
    if user.status == "UNCONFIRMED":
        raise errors.UserNotConfirmed
    if user.status == "RESET_REQUIRED":
        raise errors.PasswordResetRequired
    if user.status in NOT_HIS_OWN:
        raise errors.NotAuthorized(WRONG_STATE)


def forgot(env: Env, client: Client, *, username: str, origin: Origin, hiding: bool | None = None) -> Delivery:
    """Send a code with which a new password can be set.

    `hiding` who exists, which is the client's choice (PreventUserExistenceErrors) unless the caller makes it, every
    name is answered like one to which a code was sent. Raises errors.LimitExceeded, UnexpectedLambda (a user migration
    trigger would be asked), and otherwise errors.UserNotFound, UserDisabled, NotAuthorized (a state in which a password
    cannot be reset), InvalidParameter (no verified address), CodeDeliveryFailure.
    """
    pool = client.pool
    hiding = client.hides_users if hiding is None else hiding
    if not pool.recovery:
        raise errors.NotAuthorized("Contact administrator to reset password.")
    # Migration is asked about unknown names only; where existence is hidden, its refusal must not tell them apart.
    if unbuilt.has_trigger(pool, "user_migration") and (hiding or find.sub_by_name(env, pool, username) is None):
        unbuilt.demand_no_trigger(pool, "user_migration")
    return codes.request(
        env,
        client,
        name=username,
        purpose=PURPOSE,
        channels=pool.recovery,
        choose=lambda user: _channel(env, pool, user),
        hiding=hiding,
        origin=origin,
    )


def _channel(env: Env, pool: Pool, user: User) -> str:
    """The best address by which he may set a new password. Raises errors.UserDisabled, NotAuthorized,
    InvalidParameter."""
    _check_resettable(user.status, user.enabled)
    channel = factors.recovers_by(env, pool, user)
    if channel is None:
        raise errors.InvalidParameter(NO_ADDRESS)
    return channel


def _check_resettable(status: str, enabled: bool) -> None:
    if not enabled:
        raise errors.UserDisabled
    if status in NOT_HIS_OWN:
        raise errors.NotAuthorized(WRONG_STATE)


def confirm_forgot(
    env: Env,
    client: Client,
    *,
    username: str,
    code: str,
    password: str,
    origin: Origin = NOWHERE,
    hiding: bool | None = None,
) -> None:
    """Set a new password with the code that was sent. The old one's sign-ins and browser sessions end.

    Raises errors.InvalidPassword, LimitExceeded, CodeMismatch, ExpiredCode (also in a state in which none can be asked
    for), PasswordHistoryPolicyViolation, TooManyRequests; unless `hiding` (see `forgot`), errors.UserNotFound,
    UserDisabled.
    """
    hiding = client.hides_users if hiding is None else hiding
    with env.in_steps(hiding):
        _confirm_forgot(env, client.pool, username, code, password, hiding, origin)


def _confirm_forgot(
    env: Env, pool: Pool, username: str, code: str, password: str, hiding: bool, origin: Origin
) -> None:
    unbuilt.demand_no_trigger(pool, "post_confirmation")
    policy.check(pool, password)
    who = codes.subject(env, pool, username)
    place = known.place(env, pool, who, origin)
    limits.check(env, pool, codes.LIMIT[PURPOSE], who, place)
    chosen = None
    # Only the right code is worth a hash: a wrong one for somebody costs what any for nobody does.
    if codes.fits(env, who, purpose=PURPOSE, code=code):
        with env.reading() as session:
            user = session.get(User, who)
        chosen = _chosen(env, pool, user, password) if user else None
    with env.transaction():
        # Only what decides: to make a whole user of it would take longer than for nobody.
        state = env.db.execute(select(User.status, User.enabled).where(User.sub == who).with_for_update()).one_or_none()
        limits.count(env, pool, codes.LIMIT[PURPOSE], who, place)
        try:
            if state is None:
                raise errors.UserNotFound
            if not state.enabled:
                raise errors.UserDisabled
        except errors.Refusal:
            if not hiding:
                raise
            raise codes.miss(env, pool, who, purpose=PURPOSE, code=code, hiding=True) from None
        if chosen is None or state.status in NOT_HIS_OWN:
            raise codes.miss(env, pool, who, purpose=PURPOSE, code=code, hiding=hiding)
        prepared = _allowed(chosen)
        taken = codes.take(env, pool, who, purpose=PURPOSE, code=code, hiding=hiding)
        row = env.db.get_one(User, who)
        if getattr(row, taken.attribute) == taken.destination:
            setattr(row, f"{taken.attribute}_verified", True)
        row.status = "CONFIRMED"
        replace(env, pool, row, prepared, told="PasswordReset")
        try:
            writing.claim_names(env, pool, row)
        except errors.AliasExists as clash:
            # Somebody else has proven the address since. The password is new all the same; the address stays his.
            setattr(row, f"{clash.field}_verified", False)


def reset_by_administrator(env: Env, pool: Pool, *, username: str) -> Delivery:
    """AdminResetUserPassword: the password no longer signs in, and a code goes out with which to set a new one.

    Raises errors.UserNotFound, UserDisabled, NotAuthorized (a state in which it cannot be reset), InvalidParameter (no
    verified address, or a pool in which only administrators set passwords); CodeDeliveryFailure when it is reset but
    the message could not leave.
    """
    found = find.existing(env, pool, username)
    if not pool.recovery:
        raise errors.InvalidParameter(
            "Cannot reset password for the user: in this user pool only administrators set passwords "
            "(AccountRecoverySetting is admin_only). Use AdminSetUserPassword."
        )
    with env.transaction():
        user = find.locked(env, found.user.sub)
        channel = _channel(env, pool, user)
        user.status = "RESET_REQUIRED"
        user.modified_at = env.now()
        record.event(env, pool, "PasswordResetRequired", sub=user.sub)
        _end_what_it_began(env, pool, user)
        return codes.send(env, pool, user, purpose=PURPOSE, attribute=channel, counted=False)


def set_by_administrator(env: Env, pool: Pool, *, username: str, password: str, permanent: bool) -> None:
    """AdminSetUserPassword: a permanent one confirms the user, whatever he was; a temporary one must be changed at
    the next sign-in.

    Raises errors.InvalidPassword, UserNotFound, PasswordHistoryPolicyViolation, TooManyRequests.
    """
    policy.check(pool, password)
    user = find.existing(env, pool, username).user
    prepared = credentials.renew(env, pool, sub=user.sub, username=user.username, password=password)
    with env.transaction():
        row = find.locked(env, user.sub)
        row.status = "CONFIRMED" if permanent else "FORCE_CHANGE_PASSWORD"
        replace(env, pool, row, prepared, temporary=not permanent, told="PasswordSet")


def replace(
    env: Env,
    pool: Pool,
    user: User,
    prepared: credentials.Prepared,
    *,
    temporary: bool = False,
    asking: LoginSession | None = None,
    begun_before: datetime | None = None,
    told: str = "PasswordChanged",
) -> None:
    """Store a new password and end what the old one began: attempts under way, browser sessions, the trust in devices,
    the lock, a code with which yet another could be set, recovery codes.

    Tokens stay, as in Cognito (reference: 4.5), unless the pool ends sessions with the password; then the one that is
    `asking` goes on, and so does a sign-in that was begun at `begun_before` or later. `told` is the event's name in the
    audit. Inside a transaction. Raises what `credentials.store` does.
    """
    now = env.now()
    expires_at = now + pool.password_policy.temporary_validity if temporary else None
    credentials.store(env, user, prepared, expires_at=expires_at)
    record.event(env, pool, told, sub=user.sub, temporary=temporary)
    _end_what_it_began(env, pool, user, asking=asking, begun_before=begun_before)
    codes.forget(env, user, purpose=PURPOSE)
    lockout.forget(env, lockout.counter(env, pool, sub=user.sub, origin=NOWHERE))
    user.modified_at = now


def _end_what_it_began(
    env: Env,
    pool: Pool,
    user: User,
    *,
    asking: LoginSession | None = None,
    begun_before: datetime | None = None,
) -> None:
    if pool.ends_sessions_with_password:
        revoke.sessions_before(env, user, but=asking.id if asking else None, begun_before=begun_before)
    recovery_codes.end(env, user)
    env.db.execute(delete(Attempt).where(Attempt.user_sub == user.sub, Attempt.used_at.is_(None)))
    env.db.execute(delete(BrowserSession).where(BrowserSession.user_sub == user.sub))
    trust.end(env, user)
