"""The machine: `begin` a sign-in, `answer` a challenge, `settle` what was granted.

Each step reads, counts an attempt where the answer can be guessed, does what is slow, and then writes once. What was
read before the slow part is looked at again in that write: the user may have been disabled, or his password changed,
meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from app import errors, metrics, triggers
from app.accounts import devices, factors, find, lockout, nobody
from app.accounts.find import Found
from app.audit import record
from app.db import orphaned, table
from app.env import Env, Origin
from app.models import Attempt, Client, Password, Throttle, User
from app.policy import unbuilt
from app.policy.attributes import name_key
from app.signin import custom, plan, step_up
from app.signin.challenges import (
    custom_challenge,
    device_password_verifier,
    device_srp_auth,
    email_otp,
    mfa_setup,
    new_password_required,
    password,
    password_srp,
    password_srp_start,
    recovery_code,
    select_challenge,
    select_mfa_type,
    sms_mfa,
    sms_otp,
    software_token_mfa,
    web_authn,
)
from app.signin.state import HELD, Ask, Asked, Challenge, Chosen, Granted, Judged, Proof, SignIn, Step
from app.statements import Statement, columns, record_of
from app.tokens import claims

CHALLENGES: dict[str, Challenge] = {
    challenge.NAME: challenge
    for challenge in (
        password,
        password_srp,
        password_srp_start,
        select_challenge,
        custom_challenge,
        new_password_required,
        device_srp_auth,
        device_password_verifier,
        mfa_setup,
        select_mfa_type,
        software_token_mfa,
        sms_mfa,
        email_otp,
        sms_otp,
        recovery_code,
        web_authn,
    )
}

ALLOWED_BY = {
    "USER_PASSWORD_AUTH": "ALLOW_USER_PASSWORD_AUTH",
    "ADMIN_USER_PASSWORD_AUTH": "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "USER_SRP_AUTH": "ALLOW_USER_SRP_AUTH",
    "USER_AUTH": "ALLOW_USER_AUTH",
    "CUSTOM_AUTH": "ALLOW_CUSTOM_AUTH",
}
NOT_ENABLED = {
    "USER_PASSWORD_AUTH": "USER_PASSWORD_AUTH flow not enabled for this client",
    "USER_SRP_AUTH": "USER_SRP_AUTH is not enabled for the client.",
}
WITHOUT_DEVICES = frozenset({"ADMIN_USER_PASSWORD_AUTH", plan.PAGES})
"""Flows in which devices are not tracked (reference: 5.1): an administrator's server is nobody's device, and a browser
is recognised by its session."""

WRITTEN_DOWN = frozenset({"USER_AUTH", "CUSTOM_AUTH"})
"""Flows whose first step leaves a row for whatever name is given."""
LONGEST_NAME = 2048
"""Characters of an address, which is the longest name that somebody can have."""
LONGEST_KEY = 55
"""The same of a device's key."""
BEFORE_ANY_PROOF = frozenset(
    {"SELECT_CHALLENGE", "PASSWORD_SRP", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN", "CUSTOM_CHALLENGE"}
)
"""Challenges that are answered for names that mean nobody, too, and cost no hash."""
WITHOUT_SESSION = frozenset({"DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER"})
"""Challenges whose answers bring no session, or the one that the step before has used up, from some of the clients."""

_USERS, _ATTEMPTS, _PASSWORDS, _THROTTLE = table(User), table(Attempt), table(Password), table(Throttle)
_SELECT_USER_FOR_UPDATE = Statement(
    select(*columns(User), *claims.GROUP_COLUMNS, _THROTTLE.c.count)
    .select_from(
        claims.joining_groups(
            _USERS.outerjoin(_THROTTLE, _THROTTLE.c.key.in_([bindparam("common"), bindparam("near")]))
        )
    )
    .where(_USERS.c.sub == bindparam("sub"))
    .with_for_update(of=_USERS),
    claims.USER,
    claims.GROUP,
)
"""Only what is on the user's own row is current when this statement had to wait for a lock: PostgreSQL (READ
COMMITTED) reads the locked row again, and the joined ones as they were before. Nothing that admits or refuses may rest
on those."""
_USER_FOR_KEY_SHARE = Statement(
    select(_USERS.c.sub).where(_USERS.c.sub == bindparam("sub")).with_for_update(read=True, key_share=True)
)
_WAITING = select(*columns(Attempt), *columns(User), *columns(Password)).select_from(
    _ATTEMPTS.outerjoin(_USERS, _USERS.c.sub == _ATTEMPTS.c.user_sub).outerjoin(
        _PASSWORDS, _PASSWORDS.c.user_sub == _USERS.c.sub
    )
)
_RECORDS = (record_of(Attempt), record_of(User), record_of(Password))
_BY_HANDLE = Statement(_WAITING.where(_ATTEMPTS.c.digest == bindparam("handle")), *_RECORDS)
_BY_CHALLENGE = Statement(
    _WAITING.where(
        _ATTEMPTS.c.user_sub == bindparam("sub"),
        _ATTEMPTS.c.client_id == bindparam("client"),
        _ATTEMPTS.c.asked == bindparam("challenge"),
        _ATTEMPTS.c.used_at.is_(None),
        _ATTEMPTS.c.expires_at > bindparam("now"),
    ).order_by(_ATTEMPTS.c.created_at.desc()),
    *_RECORDS,
)
_WAIT = Statement(insert(_ATTEMPTS), inserts=[name for name in _ATTEMPTS.columns.keys() if name != "used_at"])
_USE_UP = Statement(
    update(_ATTEMPTS)
    .where(_ATTEMPTS.c.digest == bindparam("handle"), _ATTEMPTS.c.used_at.is_(None))
    .values(used_at=bindparam("now"))
    .returning(_ATTEMPTS.c.digest)
)


def begin(env: Env, client: Client, *, flow: str, given: Mapping[str, str], origin: Origin) -> Step:
    """The first step of a flow. `given` has the names of the challenge's parameters (USERNAME, PASSWORD, SRP_A).

    A pre authentication trigger, which is not built, refuses here, before the password is looked at (reference: 9.3);
    for every name, so that the refusal does not tell who exists.

    Raises errors.UnexpectedLambda, InvalidParameter, NotAuthorized, LockedOut, UserDisabled, UserNotConfirmed,
    PasswordResetRequired, UserNotFound (where the client may know), TooManyRequests, ResourceNotFound (a device that is
    not the user's); in CUSTOM_AUTH also what a trigger raises.
    """
    demand_enabled(client, flow)
    unbuilt.demand_no_trigger(client.pool, "pre_authentication")
    # What is made up takes some microseconds less than what is read. (A password that is wrong costs a hash for
    # everybody, whose own noise is larger.)
    with _counted(client), env.in_steps(client.hides_users and plan.FIRST.get(flow) != password.NAME):
        return _begin(env, client, flow, given, origin)


def demand_enabled(client: Client, flow: str) -> None:
    """Raises errors.InvalidParameter for a flow that the client may not use."""
    if flow in ALLOWED_BY and ALLOWED_BY[flow] not in client.auth_flows:
        raise errors.InvalidParameter(NOT_ENABLED.get(flow, "Auth flow not enabled for this client"))


def _begin(env: Env, client: Client, flow: str, given: Mapping[str, str], origin: Origin) -> Step:
    name = named(given)
    found = find.by_name(env, client.pool, name)
    sign_in = sign_in_of(env, client, flow, name, found, origin)
    # A password is counted, and so checked, anyhow; but not of who is refused before.
    if plan.FIRST.get(flow) != password.NAME or (found and not found.user.enabled and not sign_in.hides):
        lockout.check(env, sign_in.failures)
    sign_in = with_device_key(sign_in, given)
    _refuse_disabled(sign_in, before=True)
    if flow in WRITTEN_DOWN and (len(name) > LONGEST_NAME or "\0" in name):
        raise errors.InvalidParameter(f"USERNAME must have no more than {LONGEST_NAME} characters, and none that is 0.")
    if flow == "USER_AUTH":
        return _begin_with_a_choice(env, sign_in, given)
    if flow == custom.FLOW:
        return _begin_as_the_customer_says(env, sign_in, given)
    if plan.FIRST[flow] == password_srp.NAME:
        return Ask(password_srp.NAME, password_srp.ask(env, sign_in, given).params, handle=None)
    if flow == plan.PAGES:
        sign_in = replace(sign_in, notes=step_up.at_pages(sign_in.pool, given.get("TARGET_ACR_VALUES", "")))
    return _taken(env, sign_in, password, given)


def _begin_with_a_choice(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Step:
    """The first factor that is preferred, where it is offered; else the choice (reference: 5.5).

    Where the client hides who exists, everybody is offered what the pool allows: what a user has would tell that there
    is one. Whoever chooses what they do not have is asked for it like a name that means nobody (decision 010).
    """
    preferred = given.get("PREFERRED_CHALLENGE")
    if preferred and preferred not in plan.CHOICES:
        raise errors.InvalidParameter(f"PREFERRED_CHALLENGE must be one of {', '.join(plan.CHOICES)}.")
    wish = step_up.wish(env, sign_in, given)
    user, pool = sign_in.user, sign_in.pool
    if user is None and not sign_in.client.hides_users:
        if preferred in (None, password.NAME):  # a user migration trigger would be asked, now or once it is chosen
            unbuilt.demand_no_trigger(pool, "user_migration")
        raise errors.UserNotFound
    held = factors.held(env, user) if user else None
    has = factors.first(pool, user, held)
    if not has and not sign_in.client.hides_users:
        raise errors.InvalidParameter("The user has no factor to sign in with.")
    aim = step_up.aim(pool, user, held, wish, has)
    available = aim.available
    notes = step_up.notes(wish, aim)
    if sign_in.client.hides_users and not wish.by_token:
        available = factors.allowed_first(pool)
        notes[HELD] = list(has)
    notes[select_challenge.AVAILABLE] = list(available)
    now = replace(sign_in, proven=aim.credit, notes=notes)
    if aim.second and user is not None:
        return _onward_from_credit(env, now, user, given)
    if preferred in available:
        return _chosen(env, now, preferred, given, available)
    return _asked(env, now, select_challenge, select_challenge.ask(env, now, given), available=available)


def _onward_from_credit(env: Env, sign_in: SignIn, user: User, given: Mapping[str, str]) -> Step:
    """The second factor that follows what was met before."""
    now, following = _planned(sign_in, _situation(env, sign_in, user))
    if following is None:  # he had one a moment ago
        raise errors.SessionInvalid
    return _asked(env, now, CHALLENGES[following], CHALLENGES[following].ask(env, now, given))


def _begin_as_the_customer_says(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Step:
    """Reference: 5.3. A status is told early only where the client may know who exists."""
    triggers.demand(sign_in.pool, triggers.DEFINE)
    now = replace(sign_in, notes=custom.begun(given))
    if not sign_in.client.hides_users:
        if sign_in.user is None:
            raise errors.UserNotFound
        if sign_in.user.status == "UNCONFIRMED":
            raise errors.UserNotConfirmed
    return _onward(env, now, given)


def answer(
    env: Env,
    client: Client,
    *,
    challenge: str,
    session: str | None,
    given: Mapping[str, str],
    origin: Origin,
    pages: bool = False,
) -> Step:
    """The answer to a challenge, given by API or at the `pages`. What was begun at one is not answered at the other:
    whoever reads the session in the cookie of his browser would otherwise turn a sign-in for the client's scopes into
    tokens of the API, also where the client allows no flow of it.

    Raises what `begin` does, and errors.SessionInvalid, SessionExpired, SessionUsed, CodeMismatch, ExpiredCode."""
    module = CHALLENGES.get(challenge)
    if module is None:
        raise errors.InvalidParameter(f"The challenge {challenge} is not available in this version of Cognate.")
    with _counted(client), env.in_steps(client.hides_users and challenge in BEFORE_ANY_PROOF | WITHOUT_SESSION):
        if challenge == password_srp.NAME and not session:
            sign_in = _recovered(env, client, given, origin)
        elif challenge in WITHOUT_SESSION:
            sign_in = _resumed_without(env, client, challenge, session, given, origin)
        else:
            sign_in = resumed(env, client, challenge, session, origin)
        if (sign_in.flow == plan.PAGES) != pages:
            raise errors.SessionInvalid
        refuse_other_name(env, sign_in, given)
        return _taken(env, with_device_key(sign_in, given), module, given)


def _recovered(env: Env, client: Client, given: Mapping[str, str], origin: Origin) -> SignIn:
    """A sign-in by SRP that no row waits for: all of it is in the block that comes back."""
    block = password_srp.opened(env, client, given)
    if block.flow != "USER_SRP_AUTH":
        raise errors.InvalidParameter("Missing required parameter Session")
    found = find.by_name(env, client.pool, block.name) if block.known else None
    sign_in = sign_in_of(env, client, block.flow, block.typed or block.name, found, origin)
    _refuse_disabled(sign_in, before=True)
    return sign_in


def with_device_key(sign_in: SignIn, given: Mapping[str, str]) -> SignIn:
    """With the device that the client names, if it has named none before: some do so with the second step only.

    Raises errors.ResourceNotFound for what is nobody's key."""
    key = given.get("DEVICE_KEY")
    if not key or not tracks_devices(sign_in) or sign_in.device_key is not None:
        return sign_in
    if len(key) > LONGEST_KEY or "\0" in key:  # which no column could hold
        raise errors.ResourceNotFound(devices.UNKNOWN)
    return replace(sign_in, device_key=key)


def tracks_devices(sign_in: SignIn) -> bool:
    return sign_in.pool.device_tracking is not None and sign_in.flow not in WITHOUT_DEVICES


def refuse_other_name(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> None:
    """An answer that names somebody else than its session was not meant for it: any name of the same user will do.
    Raises errors.SessionInvalid."""
    name, user, pool = given.get("USERNAME"), sign_in.user, sign_in.pool
    if not name:
        return
    his = [sign_in.name, password_srp.username(env, sign_in)]
    if user is not None:
        names = (user.sub, user.username, user.email, user.phone_number, user.preferred_username)
        his += [one for one in names if one]
    if name_key(pool, name) not in {name_key(pool, one) for one in his}:
        raise errors.SessionInvalid


def settle(env: Env, granted: Granted) -> User:
    """Write down what a granted sign-in changed, and look again at what it rested on. Inside the transaction that
    makes tokens or a browser session of it. Returns the user's row, locked until the commit.

    Raises errors.UnexpectedLambda where the pool asks for what is not built.
    """
    unbuilt.demand_no_trigger(granted.sign_in.pool, "pre_authentication", "post_authentication")
    sign_in = granted.sign_in
    with _counted(sign_in.client):
        user, counted = _accept(env, sign_in, granted.proof)
    pool_id = sign_in.pool.id
    env.after_commit(lambda: metrics.sign_in(pool_id, "granted"))
    if counted:
        lockout.forget(env, sign_in.failures)
    client_id, met = sign_in.client.id, list(granted.proven)
    record.event(env, sign_in.pool, record.SIGN_IN, sub=user.sub, client=client_id, flow=sign_in.flow, met=met)
    return user


@contextmanager
def _counted(client: Client) -> Iterator[None]:
    """Count a refusal as the end of a sign-in."""
    try:
        yield
    except errors.Refusal as refused:
        metrics.sign_in(client.pool_id, type(refused).__name__)
        raise


def named(given: Mapping[str, str]) -> str:
    """Raises errors.InvalidParameter."""
    name = given.get("USERNAME")
    if not name:
        raise errors.InvalidParameter("Missing required parameter USERNAME", field="username")
    return name


def sign_in_of(env: Env, client: Client, flow: str, name: str, found: Found | None, origin: Origin) -> SignIn:
    """A name that means nobody is counted, and locks, like one that does."""
    pool = client.pool
    if found is None:
        failures = lockout.counter(env, pool, nobody=nobody.sub(env, pool, name), origin=origin)
        return SignIn(client, flow, name, None, None, failures, origin)
    failures = lockout.counter(env, pool, sub=found.user.sub, origin=origin)
    return SignIn(client, flow, name, found.user, found.password, failures, origin)


def _refuse_disabled(sign_in: SignIn, *, before: bool) -> None:
    """Where it is hidden who exists, only whoever knows the password learns that the user is disabled."""
    if sign_in.user is not None and not sign_in.user.enabled and not (before and sign_in.hides):
        raise errors.UserDisabled


def _taken(env: Env, sign_in: SignIn, challenge: Challenge, given: Mapping[str, str]) -> Step:
    """Take an answer: count it, look at it, and go on."""
    for name in challenge.NEEDS:
        if not given.get(name):
            field = name.lower() if name in ("USERNAME", "PASSWORD") else None
            raise errors.InvalidParameter(f"Missing required parameter {name}", field=field)
    if challenge.NAME == custom_challenge.NAME:
        sign_in = _used_at_once(env, sign_in)
    counting: AbstractContextManager[str | None] = nullcontext(None)
    if challenge.GUESSABLE:
        counting = lockout.attempt(env, sign_in.failures, client=sign_in.client.id)
    try:
        with counting as counted:
            said = challenge.answer(env, sign_in, given)
    except errors.NotAuthorized as wrong:
        # A wrong password by SRP: in this flow, what follows from it is for the customer's code to say.
        if not (
            custom.decides(sign_in) and challenge.NAME == password_srp.NAME and type(wrong) is errors.NotAuthorized
        ):
            raise
        said, counted = Judged(False), None
    match said:
        case Chosen(choice=choice):
            lockout.check(env, sign_in.failures)
            return _chosen(env, sign_in, choice, given)
        case Judged(correct=correct):
            met = (challenge.NAME,) if correct and sign_in.user is not None else ()
            notes = custom.answered(sign_in, challenge.NAME, correct=correct)
            return _onward(env, replace(sign_in, proven=(*sign_in.proven, *met), notes=notes), given)
        case Proof():
            return proceed(env, sign_in, said, met=challenge.NAME, given=given, counted=counted)


def _used_at_once(env: Env, sign_in: SignIn) -> SignIn:
    """Before it is judged, because nobody else counts such answers: of a thousand guesses that come in parallel for one
    question, one is looked at. Raises errors.SessionUsed."""
    if sign_in.attempt is None:
        raise errors.SessionInvalid
    with env.transaction(counting=True):
        _use_up(env, sign_in.attempt)
    return replace(sign_in, used=True)


def _take_back(env: Env, counted: str | None, sign_in: SignIn, refused: errors.Refusal) -> None:
    if counted is not None:
        with env.transaction(counting=True):
            lockout.forgive(env, counted)
            _failed(env, sign_in, refused)


def _failed(env: Env, sign_in: SignIn, refused: errors.Refusal) -> None:
    """For the audit. Inside a transaction. (Most that fail were counted, and are told by `lockout`.)"""
    sub = sign_in.user.sub if sign_in.user else None
    record.event(env, sign_in.pool, record.SIGN_IN_FAILED, sub=sub, refusal=refused, client=sign_in.client.id)


def _chosen(env: Env, sign_in: SignIn, choice: str, given: Mapping[str, str], available: tuple[str, ...] = ()) -> Step:
    """Go on with the first factor that was chosen, whose answer may have come along. (A passkey's cannot: it answers a
    challenge that has not been made yet.)"""
    if choice == password.NAME and given.get("PASSWORD"):
        return _taken(env, sign_in, password, given)
    challenge = CHALLENGES[plan.chosen(choice, given)]
    return _asked(env, sign_in, challenge, challenge.ask(env, sign_in, given), available=available)


def proceed(
    env: Env,
    sign_in: SignIn,
    proof: Proof,
    *,
    met: str,
    given: Mapping[str, str],
    counted: str | None = None,
) -> Step:
    """Ask what the plan says after a challenge that was met, or grant. `given` came with the answer, and may hold what
    the next one is asked with; `counted` is the counter that the attempt went to."""
    now = replace(
        sign_in,
        user=proof.user,
        proven=(*sign_in.proven, *(proof.met or (met,))),
        notes={**sign_in.notes, **proof.notes},
    )
    if custom.decides(now):
        now = replace(now, notes=custom.answered(now, met, correct=True))
    return _onward(env, now, given, proof=proof, counted=counted)


def _onward(
    env: Env,
    sign_in: SignIn,
    given: Mapping[str, str],
    *,
    proof: Proof | None = None,
    counted: str | None = None,
) -> Step:
    """The next step. With a `proof`, the one before was met."""
    try:
        now, proof, following = _following(env, sign_in, proof)
        if following is not None:
            challenge = CHALLENGES[following]
            asked = challenge.ask(env, now, {**custom.asked_with(now), **given})
    except errors.Refusal as refused:
        # The answer was right; it must not lock its owner out that he is told of something else.
        _take_back(env, counted, sign_in, refused)
        raise
    if following is not None:
        return _asked(env, now, challenge, asked, proof=proof, counted=counted)
    if proof is None:
        raise errors.NotAuthorized
    return Granted(proof.user, env.now(), now.judged, now, proof)


def _following(env: Env, sign_in: SignIn, proof: Proof | None) -> tuple[SignIn, Proof | None, str | None]:
    """What is asked next, and what has become known on the way there. Where the customer's code decides, the order of
    everybody else comes in as soon as a password has been given, and before there are tokens. The device comes last:
    SDKs expect tokens when it has proven itself."""
    now = sign_in
    if custom.decides(now):
        if proof is not None and plan.BY_PASSWORD.intersection(now.proven):
            now, demanded = _demanded(env, now, proof)
            if demanded is not None and demanded != device_srp_auth.NAME:
                return now, proof, demanded
        wanted = _wanted(env, now)
        if wanted is not None:
            return now, proof, wanted
        if proof is None and now.user is not None:
            proof = Proof(now.user, now.password if plan.BY_PASSWORD.intersection(now.proven) else None)
        now = replace(now, notes=custom.may_have_tokens(now))
    if proof is None:
        raise errors.NotAuthorized
    now, demanded = _demanded(env, now, proof)
    return now, proof, demanded


def _wanted(env: Env, sign_in: SignIn) -> str | None:
    try:
        return custom.next_challenge(env, sign_in)
    except errors.NotAuthorized as refused:  # that was the last answer
        if sign_in.attempt is not None and not sign_in.used:
            with env.transaction(counting=True):
                _use_up(env, sign_in.attempt)
                _failed(env, sign_in, refused)
        raise


def _demanded(env: Env, sign_in: SignIn, proof: Proof) -> tuple[SignIn, str | None]:
    """What the plan asks of whoever has proven himself; and who may not come in all the same is refused."""
    _refuse_disabled(replace(sign_in, user=proof.user), before=False)
    _refuse_status(env, proof)
    _refuse_passing_by(env, sign_in, proof.user)
    now = _with_device(env, sign_in, proof.user)
    return _planned(now, _situation(env, now, proof.user))


def _planned(sign_in: SignIn, situation: plan.Situation) -> tuple[SignIn, str | None]:
    following = plan.next_challenge(situation)
    sign_in = replace(sign_in, judged=situation.proven)
    if following == select_mfa_type.NAME:
        choice = {select_mfa_type.CHOICE: list(plan.to_choose(situation))}
        sign_in = replace(sign_in, notes={**sign_in.notes, **choice})
    return sign_in, following


def _refuse_passing_by(env: Env, sign_in: SignIn, user: User) -> None:
    """What came in place of a password is looked at again when it has come, and so is what came before: meanwhile he,
    or his pool, may have got a second factor, which it would pass by. Raises errors.SessionInvalid."""
    credit, fresh = step_up.credit(sign_in), step_up.fresh(sign_in)
    alone = set() if plan.BY_PASSWORD & fresh else fresh & set(plan.CHOICES)
    if sign_in.flow != "USER_AUTH" or not (alone or credit):
        return
    held = factors.held(env, user)
    allowed = set(factors.first(sign_in.pool, user, held))
    if credit:
        now = replace(_situation(env, sign_in, user), proven=credit)
        if user.status != "CONFIRMED" or step_up.counting(sign_in.pool, now.second, credit) != credit:
            raise errors.SessionInvalid
        allowed.update(plan.raising(now))
    if not alone <= allowed:
        raise errors.SessionInvalid


def _situation(env: Env, sign_in: SignIn, user: User) -> plan.Situation:
    """What the plan depends on; one statement where the pool has second factors."""
    pool = sign_in.pool
    held = factors.held(env, user) if pool.mfa != "OFF" else factors.NOTHING
    situation = plan.Situation(
        user.status,
        factors.judged(pool, user, held, sign_in.proven),
        mfa=pool.mfa,
        device=_standing(sign_in),
        by_passkey=sign_in.flow != plan.PAGES,
    )
    if pool.mfa == "OFF":
        return situation
    return replace(
        situation,
        second=factors.second(pool, user, held),
        chosen=sign_in.notes.get("chosen"),
        target=step_up.target(sign_in, user, held),
    )


def _with_device(env: Env, sign_in: SignIn, user: User) -> SignIn:
    """Only now: a stranger must not learn from a device whose it is. Raises errors.ResourceNotFound."""
    if sign_in.device_key is None or sign_in.device is not None:
        return sign_in
    try:
        return replace(sign_in, device=devices.recognise(env, user, sign_in.device_key))
    except errors.ResourceNotFound:
        _forget_device(env, sign_in)
        raise


def _forget_device(env: Env, sign_in: SignIn) -> None:
    """The client will repeat its answer, by the same session, and name no device."""
    if sign_in.attempt is None:
        return
    values: dict[str, Any] = {"notes": {**sign_in.attempt.notes, "device_key": None}}
    if sign_in.used:
        values["used_at"] = None
    with env.transaction(counting=True):
        env.db.execute(update(Attempt).where(Attempt.digest == sign_in.attempt.digest).values(values))


def _standing(sign_in: SignIn) -> str | None:
    """What the device is worth to the plan."""
    device, tracking = sign_in.device, sign_in.pool.device_tracking
    if device is None or tracking is None:
        return None
    return "trusted" if devices.stands_in(sign_in.pool, device) else "known"


def _asked(
    env: Env,
    sign_in: SignIn,
    challenge: Challenge,
    asked: Asked,
    *,
    proof: Proof | None = None,
    counted: str | None = None,
    available: tuple[str, ...] = (),
) -> Ask:
    """Write down what was asked, and waits for its answer. With a `proof`, the step before is accepted."""
    with env.transaction():
        if proof is not None:
            _accept(env, sign_in, proof)
        elif sign_in.attempt is not None and not sign_in.used:
            _hold(env, sign_in)
            _use_up(env, sign_in.attempt)
        if counted is not None:
            lockout.forgive(env, counted)
        handle = _wait(env, sign_in, challenge.NAME, asked.notes)
        if asked.write is not None:
            asked.write()
    return Ask(challenge.NAME, asked.params, handle, available)


def _hold(env: Env, sign_in: SignIn) -> None:
    """His row, before one of his attempts is touched: whoever disables or deletes him takes them in this order, and
    each would else wait for the other. Raises errors.NotAuthorized: he has been deleted since he was looked for."""
    if sign_in.user is None:
        return
    if _USER_FOR_KEY_SHARE.first(env, {"sub": sign_in.user.sub}) is None:
        raise errors.NotAuthorized


def again(env: Env, sign_in: SignIn, attempt: Attempt, notes: Mapping[str, Any]) -> str:
    """A step that leaves the challenge as it was asked: the session is used up, and a fresh one, which is returned,
    has these notes besides. Inside a transaction. Raises errors.SessionUsed."""
    _use_up(env, attempt)
    return _wait(env, sign_in, attempt.asked, notes)


def _wait(env: Env, sign_in: SignIn, challenge: str, notes: Mapping[str, Any]) -> str:
    """Write down what waits for its answer; the handle with which that comes. Raises errors.TooManyRequests where the
    user or the client was deleted a moment ago: whoever comes again is told."""
    handle, now = env.random.token(), env.now()
    row = {
        "digest": _digest(env, handle),
        "client_id": sign_in.client.id,
        "user_sub": sign_in.user.sub if sign_in.user else None,
        "flow": sign_in.flow,
        "asked": challenge,
        "proven": list(sign_in.proven),
        "notes": {**sign_in.notes, **notes, "name": sign_in.name, **_device_notes(sign_in)},
        "created_at": now,
        "expires_at": now + sign_in.client.session_validity,
    }
    with orphaned(errors.TooManyRequests()):
        _WAIT.execute(env, row)
    return handle


def _device_notes(sign_in: SignIn) -> dict[str, Any]:
    key = sign_in.device_key
    return {"device_key": key, "ip": sign_in.origin.ip} if key else {"device_key": None}


def client_of(env: Env, session: str) -> str:
    """The id of the client whose sign-in waits, for operations that name none. Raises errors.SessionInvalid."""
    found = _BY_HANDLE.first(env, {"handle": _digest(env, session)})
    if found is None:
        raise errors.SessionInvalid
    return str(found[0].client_id)


def _refuse_status(env: Env, proof: Proof) -> None:
    """Said only to someone who has proven himself: a status is told to nobody else (reference: 5)."""
    if proof.user.status == "EXTERNAL_PROVIDER":  # he signs in elsewhere, and by none of these flows
        raise errors.NotAuthorized
    if proof.user.status == "UNCONFIRMED":
        raise errors.UserNotConfirmed
    if proof.user.status == "RESET_REQUIRED":
        raise errors.PasswordResetRequired
    expires_at = proof.password.expires_at if proof.password else None
    if expires_at is not None and env.now() >= expires_at:
        raise errors.TemporaryPasswordExpired


def _accept(env: Env, sign_in: SignIn, proof: Proof) -> tuple[User, bool]:
    """The write of an accepted step; also whether attempts are counted. Raises when somebody else has changed what it
    rests on."""
    counters = {"common": sign_in.failures.common, "near": sign_in.failures.near or ""}
    user, counted = _locked(env, proof.user.sub, counters)
    if not user.enabled:
        raise errors.UserDisabled
    replaced = proof.password is not None and user.password_version != proof.user.password_version
    if replaced or user.status != proof.user.status:
        raise errors.NotAuthorized
    step_up.demand_live(env, sign_in, user)
    if sign_in.attempt is not None and not sign_in.used:
        _use_up(env, sign_in.attempt)
    if proof.write is not None:
        if proof.changes_user:
            proof.write(find.locked(env, user.sub))
            user, _ = _locked(env, user.sub, counters)
        else:
            proof.write(user)
    return user, counted


def _locked(env: Env, sub: str, counters: Mapping[str, str]) -> tuple[User, bool]:
    """The record of a user, with groups, whose row is locked until the commit; whether attempts are counted. Raises
    errors.NotAuthorized for one that was deleted."""
    rows = _SELECT_USER_FOR_UPDATE.rows(env, {**counters, "sub": sub})
    if not rows:
        raise errors.NotAuthorized
    groups = {row[1].name: row[1] for row in rows if row[1] is not None}  # for each counter there is each group
    return claims.with_groups(rows[0][0], groups.values()), any(row[2] is not None for row in rows)


def resumed(env: Env, client: Client, challenge: str, session: str | None, origin: Origin) -> SignIn:
    """The sign-in that waited. One statement. Raises errors.SessionInvalid, SessionUsed, SessionExpired."""
    if not session:
        raise errors.InvalidParameter("Missing required parameter Session")
    found = _BY_HANDLE.first(env, {"handle": _digest(env, session)})
    if found is None:
        raise errors.SessionInvalid
    attempt, user, stored = found
    stands_in = challenge == recovery_code.NAME and attempt.asked in recovery_code.STANDS_IN_FOR
    if attempt.client_id != client.id or not (attempt.asked == challenge or stands_in):
        raise errors.SessionInvalid
    if attempt.used_at is not None:
        raise errors.SessionUsed
    if attempt.expired(env.now()):
        raise errors.SessionExpired
    return _of(env, client, attempt, Found(user, stored) if user else None, origin)


def _resumed_without(
    env: Env, client: Client, challenge: str, session: str | None, given: Mapping[str, str], origin: Origin
) -> SignIn:
    """The sign-in that waits for this device, when its session does not come along: the newest of that user, device and
    address. It waits there because he has just proven himself, and whoever answers has yet to show that he has what the
    device has kept secret. Raises errors.SessionInvalid, SessionExpired."""
    if session:
        try:
            return resumed(env, client, challenge, session, origin)
        except (errors.SessionInvalid, errors.SessionUsed):  # the one that was good for the step before
            pass
    for name in ("USERNAME", "DEVICE_KEY"):
        if not given.get(name):
            raise errors.InvalidParameter(f"Missing required parameter {name}")
    sub = find.sub_by_name(env, client.pool, given["USERNAME"])
    waiting = {"sub": sub, "client": client.id, "challenge": challenge, "now": env.now()}
    for attempt, user, stored in _BY_CHALLENGE.rows(env, waiting) if sub else ():
        if attempt.notes.get("device_key") == given["DEVICE_KEY"] and attempt.notes.get("ip") == origin.ip:
            return _of(env, client, attempt, Found(user, stored), origin)
    raise errors.SessionInvalid


def _of(env: Env, client: Client, attempt: Attempt, found: Found | None, origin: Origin) -> SignIn:
    notes = attempt.notes
    return replace(
        sign_in_of(env, client, attempt.flow, notes["name"], found, origin),
        proven=tuple(attempt.proven),
        notes=notes,
        device_key=notes.get("device_key"),
        attempt=attempt,
    )


def _use_up(env: Env, attempt: Attempt) -> None:
    """One UPDATE, so that of parallel answers one is accepted. Raises errors.SessionUsed."""
    if _USE_UP.first(env, {"handle": attempt.digest, "now": env.now()}) is None:
        raise errors.SessionUsed


def _digest(env: Env, handle: str) -> str:
    return env.keyed.digest("sign-in session", handle)
