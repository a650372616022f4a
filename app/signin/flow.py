"""The machine: `begin` a sign-in, `answer` a challenge, `settle` what was granted.

Each step reads, counts an attempt where the answer can be guessed, does what is slow, and then writes once. What was
read before the slow part is looked at again in that write: the user may have been disabled, or his password changed,
meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, select, update

from app import errors
from app.accounts import devices, factors, find, lockout
from app.accounts.find import Found
from app.env import Env, Origin
from app.models import Attempt, Client, Password, Throttle, User
from app.policy import unbuilt
from app.policy.attributes import name_key
from app.signin import plan
from app.signin.challenges import new_password_required, password, password_srp
from app.signin.state import Ask, Challenge, Granted, Proof, SignIn, Step
from app.tokens import claims

CHALLENGES: dict[str, Challenge] = {
    challenge.NAME: challenge for challenge in (password, password_srp, new_password_required)
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
WITHOUT_DEVICES = frozenset({"ADMIN_USER_PASSWORD_AUTH", "HOSTED_PAGES"})
"""Flows in which devices are not tracked (reference: 5.1): an administrator's server is nobody's device, and a browser
is recognised by its session."""

_AGAIN = (
    select(User, Password.version, Throttle.count)
    .outerjoin(Password, Password.user_sub == User.sub)
    .outerjoin(Throttle, Throttle.key.in_([bindparam("common"), bindparam("near")]))
    .where(User.sub == bindparam("sub"))
    .with_for_update(of=User)
    .options(claims.WITH_GROUPS)
)


def begin(env: Env, client: Client, *, flow: str, given: Mapping[str, str], origin: Origin) -> Step:
    """The first step of a flow. `given` has the names of the challenge's parameters (USERNAME, PASSWORD, SRP_A).

    Raises errors.InvalidParameter, NotAuthorized, LockedOut, UserDisabled, UserNotConfirmed, PasswordResetRequired,
    UserNotFound (where the client may know), TooManyRequests, ResourceNotFound (a device that is not the user's).
    """
    if flow in ALLOWED_BY and ALLOWED_BY[flow] not in client.auth_flows:
        raise errors.InvalidParameter(NOT_ENABLED.get(flow, "Auth flow not enabled for this client"))
    # What is made up takes some microseconds less than what is read. (A password that is wrong costs a hash for
    # everybody, whose own noise is larger.)
    with env.in_steps(client.hides_users and plan.FIRST.get(flow) != password.NAME):
        return _begin(env, client, flow, given, origin)


def _begin(env: Env, client: Client, flow: str, given: Mapping[str, str], origin: Origin) -> Step:
    name = _named(given)
    with env.reading():  # one look for both questions
        found = find.by_name(env, client.pool, name)
        sign_in = _sign_in(env, client, flow, name, found, origin)
        if plan.FIRST[flow] != password.NAME:  # which is counted, and so checked, anyhow
            lockout.check(env, sign_in.failures)
    if client.pool.device_tracking and flow not in WITHOUT_DEVICES and given.get("DEVICE_KEY"):
        sign_in = replace(sign_in, device_key=given["DEVICE_KEY"])
    _refuse_disabled(sign_in, before=True)
    if plan.FIRST[flow] == password_srp.NAME:
        return Ask(password_srp.NAME, password_srp.ask(env, sign_in, given).params, handle=None)
    return _taken(env, sign_in, password, given)


def answer(
    env: Env, client: Client, *, challenge: str, session: str | None, given: Mapping[str, str], origin: Origin
) -> Step:
    """The answer to a challenge. Raises what `begin` does, and errors.SessionInvalid, SessionExpired, SessionUsed,
    CodeMismatch, ExpiredCode."""
    module = CHALLENGES.get(challenge)
    if module is None:
        raise errors.InvalidParameter(f"The challenge {challenge} is not available in this version of Cognate.")
    if challenge == password_srp.NAME and not session:
        sign_in = _recovered(env, client, given, origin)
    else:
        sign_in = _resumed(env, client, challenge, session, origin)
    return _taken(env, sign_in, module, given)


def _recovered(env: Env, client: Client, given: Mapping[str, str], origin: Origin) -> SignIn:
    """A sign-in by SRP that no row waits for: all of it is in the block that comes back."""
    block = password_srp.opened(env, client, given)
    if block.flow != "USER_SRP_AUTH":
        raise errors.InvalidParameter("Missing required parameter Session")
    with env.reading():
        found = find.by_name(env, client.pool, block.name) if block.known else None
        sign_in = _sign_in(env, client, block.flow, block.name, found, origin)
    if client.pool.device_tracking:
        sign_in = replace(sign_in, device_key=given.get("DEVICE_KEY"))
    _refuse_disabled(sign_in, before=True)
    return sign_in


def settle(env: Env, granted: Granted) -> User:
    """Write down what a granted sign-in changed, and look again at what it rested on. Inside the transaction that
    makes tokens or a browser session of it. Returns the user's row, locked until the commit.

    Raises errors.UnexpectedLambda where the pool asks for what is not built.
    """
    unbuilt.demand_no_trigger(granted.sign_in.pool, "pre_authentication", "post_authentication")
    user, counted = _accept(env, granted.sign_in, granted.proof)
    if counted:
        lockout.forget(env, granted.sign_in.failures)
    return user


def _named(given: Mapping[str, str]) -> str:
    name = given.get("USERNAME")
    if not name:
        raise errors.InvalidParameter("Missing required parameter USERNAME", field="username")
    return name


def _sign_in(env: Env, client: Client, flow: str, name: str, found: Found | None, origin: Origin) -> SignIn:
    """A name that means nobody is counted, and locks, like one that does."""
    pool = client.pool
    if found is None:
        failures = lockout.counter(env, pool, nobody=name_key(pool, name), origin=origin)
        return SignIn(client, flow, name, None, None, failures, origin)
    failures = lockout.counter(env, pool, sub=found.user.sub, origin=origin)
    return SignIn(client, flow, name, found.user, found.password, failures, origin)


def _refuse_disabled(sign_in: SignIn, *, before: bool) -> None:
    """Where the client hides who exists, only someone who knows the password learns that he is disabled."""
    if sign_in.user is not None and not sign_in.user.enabled and not (before and sign_in.client.hides_users):
        raise errors.UserDisabled


def _taken(env: Env, sign_in: SignIn, challenge: Challenge, given: Mapping[str, str]) -> Step:
    """Take an answer: count it, look at it, and go on."""
    for name in challenge.NEEDS:
        if not given.get(name):
            field = name.lower() if name in ("USERNAME", "PASSWORD") else None
            raise errors.InvalidParameter(f"Missing required parameter {name}", field=field)
    counted = None
    if challenge.GUESSABLE:
        with env.transaction():
            counted = lockout.attempt(env, sign_in.failures)
    try:
        proof = challenge.answer(env, sign_in, given)
    except errors.TooManyRequests:  # it was not looked at
        with env.transaction():
            lockout.forgive(env, counted or "")
        raise
    return proceed(env, sign_in, proof, met=challenge.NAME, given=given, counted=counted)


def proceed(
    env: Env, sign_in: SignIn, proof: Proof, *, met: str, given: Mapping[str, str], counted: str | None = None
) -> Step:
    """Ask what the plan says after a challenge that was met, or grant. `given` came with the answer, and may hold what
    the next one is asked with; `counted` is the counter that the attempt went to."""
    now = replace(
        sign_in,
        user=proof.user,
        proven=(*sign_in.proven, *(proof.met or (met,))),
        notes={**sign_in.notes, **proof.notes},
    )
    _refuse_disabled(now, before=False)
    _refuse_status(env, proof)
    now = _with_device(env, now, proof.user)
    following = plan.next_challenge(_situation(env, now, proof.user))
    if following is None:
        return Granted(proof.user, env.now(), now.proven, now, proof)
    return _asked(env, now, CHALLENGES[following], given, proof=proof, counted=counted)


def _situation(env: Env, sign_in: SignIn, user: User) -> plan.Situation:
    """What the plan depends on; one statement where the pool has second factors."""
    pool = sign_in.pool
    situation = plan.Situation(user.status, sign_in.proven, mfa=pool.mfa, device=_standing(sign_in))
    if pool.mfa == "OFF":
        return situation
    second = factors.second(pool, user, factors.held(env, user))
    return replace(situation, second=second, chosen=sign_in.notes.get("chosen"))


def _with_device(env: Env, sign_in: SignIn, user: User) -> SignIn:
    """Only now: a stranger must not learn from a device whose it is. Raises errors.ResourceNotFound."""
    if sign_in.device_key is None or sign_in.device is not None:
        return sign_in
    return replace(sign_in, device=devices.recognise(env, user, sign_in.device_key))


def _standing(sign_in: SignIn) -> str | None:
    """What the device is worth to the plan."""
    device, tracking = sign_in.device, sign_in.pool.device_tracking
    if device is None or tracking is None:
        return None
    return "trusted" if tracking.spares_mfa and device.remembered and device.trusted else "known"


def _asked(
    env: Env,
    sign_in: SignIn,
    challenge: Challenge,
    given: Mapping[str, str],
    *,
    proof: Proof | None = None,
    counted: str | None = None,
    available: tuple[str, ...] = (),
) -> Ask:
    """Ask a challenge, and write down what waits for its answer. With a `proof`, the step before is accepted."""
    asked = challenge.ask(env, sign_in, given)
    handle, now = env.random.token(), env.now()
    with env.transaction():
        if proof is not None:
            _accept(env, sign_in, proof)
        elif sign_in.attempt is not None:
            _use_up(env, sign_in.attempt)
        if counted is not None:
            lockout.forgive(env, counted)
        env.db.add(
            Attempt(
                digest=_digest(env, handle),
                client_id=sign_in.client.id,
                user_sub=sign_in.user.sub if sign_in.user else None,
                flow=sign_in.flow,
                asked=challenge.NAME,
                proven=list(sign_in.proven),
                notes=_notes(sign_in, asked.notes),
                created_at=now,
                expires_at=now + sign_in.client.session_validity,
                used_at=None,
            )
        )
        if asked.send is not None:
            env.after_commit(asked.send)
    return Ask(challenge.NAME, asked.params, handle, available)


def _notes(sign_in: SignIn, added: Mapping[str, Any]) -> dict[str, Any]:
    return {**sign_in.notes, **added, "name": sign_in.name, "device_key": sign_in.device_key}


def _refuse_status(env: Env, proof: Proof) -> None:
    """Said only to someone who has proven himself: a status is told to nobody else (reference: 5)."""
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
    rows = env.db.execute(_AGAIN, {**counters, "sub": proof.user.sub}).unique().all()
    if not rows:
        raise errors.NotAuthorized
    user, version, _ = rows[0]
    if not user.enabled:
        raise errors.UserDisabled
    if user.status != proof.user.status or (proof.password is not None and version != proof.password.version):
        raise errors.NotAuthorized
    if sign_in.attempt is not None:
        _use_up(env, sign_in.attempt)
    if proof.write is not None:
        proof.write(user)
    return user, any(row.count is not None for row in rows)


def _resumed(env: Env, client: Client, challenge: str, session: str | None, origin: Origin) -> SignIn:
    """The sign-in that waited. One statement. Raises errors.SessionInvalid, SessionUsed, SessionExpired."""
    if not session:
        raise errors.InvalidParameter("Missing required parameter Session")
    query = (
        select(Attempt, User, Password)
        .outerjoin(User, User.sub == Attempt.user_sub)
        .outerjoin(Password, Password.user_sub == User.sub)
        .where(Attempt.digest == _digest(env, session))
    )
    with env.reading() as database:
        found = database.execute(query).one_or_none()
    if found is None:
        raise errors.SessionInvalid
    attempt, user, stored = found
    if attempt.client_id != client.id or attempt.asked != challenge:
        raise errors.SessionInvalid
    if attempt.used_at is not None:
        raise errors.SessionUsed
    if attempt.expired(env.now()):
        raise errors.SessionExpired
    name = attempt.notes["name"]
    sign_in = _sign_in(env, client, attempt.flow, name, Found(user, stored) if user else None, origin)
    return replace(
        sign_in,
        proven=tuple(attempt.proven),
        notes=attempt.notes,
        device_key=attempt.notes.get("device_key"),
        attempt=attempt,
    )


def _use_up(env: Env, attempt: Attempt) -> None:
    """One UPDATE, so that of parallel answers one is accepted. Raises errors.SessionUsed."""
    used = env.db.scalar(
        update(Attempt)
        .where(Attempt.digest == attempt.digest, Attempt.used_at.is_(None))
        .values(used_at=env.now())
        .returning(Attempt.digest)
    )
    if used is None:
        raise errors.SessionUsed


def _digest(env: Env, handle: str) -> str:
    return env.keyed.digest("sign-in session", handle)
