"""The machine: `begin` a sign-in, `answer` a challenge, `settle` what was granted.

Each step reads, then does what is slow, then writes once. Failures are counted in that write, and what was read
before the slow part is looked at again there: the user may have been disabled, or his password changed, meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import bindparam, select, update

from app import errors
from app.accounts import find, lockout
from app.accounts.find import Found
from app.env import Env, Origin
from app.models import Attempt, Client, Password, Throttle, User
from app.policy import unbuilt
from app.policy.attributes import name_key
from app.signin import plan
from app.signin.challenges import new_password_required, password, password_srp
from app.signin.state import Ask, Granted, Proof, SignIn, Step
from app.tokens import claims

ALLOWED_BY = {"USER_PASSWORD_AUTH": "ALLOW_USER_PASSWORD_AUTH", "USER_SRP_AUTH": "ALLOW_USER_SRP_AUTH"}
NOT_ENABLED = {
    "USER_PASSWORD_AUTH": "USER_PASSWORD_AUTH flow not enabled for this client",
    "USER_SRP_AUTH": "USER_SRP_AUTH is not enabled for the client.",
}

_AGAIN = (
    select(User, Password.version, Throttle.count, Throttle.locked_until)
    .outerjoin(Password, Password.user_sub == User.sub)
    .outerjoin(Throttle, Throttle.key == bindparam("failures"))
    .where(User.sub == bindparam("sub"))
    .with_for_update(of=User)
    .options(claims.WITH_GROUPS)
)


def begin(env: Env, client: Client, *, flow: str, given: Mapping[str, str], origin: Origin) -> Step:
    """The first step of a flow. `given` has the names of the challenge's parameters (USERNAME, PASSWORD, SRP_A).

    Raises errors.InvalidParameter, NotAuthorized, LockedOut, UserDisabled, UserNotConfirmed, PasswordResetRequired,
    UserNotFound (where the client may know), TooManyRequests.
    """
    if flow in ALLOWED_BY and ALLOWED_BY[flow] not in client.auth_flows:
        raise errors.InvalidParameter(NOT_ENABLED[flow])
    # A salt that is made up takes some microseconds less than one that is read. (A password that is wrong costs a
    # hash for everybody, whose own noise is larger.)
    with env.in_steps(client.hides_users and plan.FIRST[flow] == password_srp.NAME):
        return _begin(env, client, flow, given, origin)


def _begin(env: Env, client: Client, flow: str, given: Mapping[str, str], origin: Origin) -> Step:
    name = _named(given)
    with env.reading():  # one look for both questions
        found = find.by_name(env, client.pool, name)
        sign_in = _sign_in(env, client, flow=flow, name=name, found=found, origin=origin)
    _refuse_disabled(sign_in, before=True)
    if plan.FIRST[flow] == password_srp.NAME:
        return Ask(password_srp.NAME, password_srp.ask(env, sign_in, given), handle=None)
    proof = _counting(env, sign_in, lambda: password.answer(env, sign_in, given))
    return _onward(env, sign_in, proof, met=password.NAME)


def answer(
    env: Env, client: Client, *, challenge: str, session: str | None, given: Mapping[str, str], origin: Origin
) -> Step:
    """The answer to a challenge. Raises what `begin` does, and errors.SessionInvalid, SessionExpired, SessionUsed."""
    if challenge == password_srp.NAME:
        return _answer_srp(env, client, given, origin)
    if challenge == new_password_required.NAME:
        sign_in = _resumed(env, client, challenge, session, origin)
        proof = new_password_required.answer(env, sign_in, given)
        return _onward(env, sign_in, proof, met=challenge)
    raise errors.InvalidParameter(f"The challenge {challenge} is not available in this version of Cognate.")


def _answer_srp(env: Env, client: Client, given: Mapping[str, str], origin: Origin) -> Step:
    block = password_srp.opened(env, client, given)
    with env.reading():
        found = find.by_name(env, client.pool, block.name) if block.known else None
        sign_in = _sign_in(env, client, flow="USER_SRP_AUTH", name=block.name, found=found, origin=origin)
    _refuse_disabled(sign_in, before=True)
    proof = _counting(env, sign_in, lambda: password_srp.answer(env, sign_in, block, given))
    return _onward(env, sign_in, proof, met=password_srp.NAME)


def settle(env: Env, granted: Granted) -> User:
    """Write down what a granted sign-in changed, and look again at what it rested on. Inside the transaction that
    makes tokens or a browser session of it. Returns the user's row, locked until the commit.

    Raises errors.UnexpectedLambda and errors.InvalidUserPoolConfiguration where the pool asks for what is not built.
    """
    pool = granted.sign_in.client.pool
    unbuilt.demand_no_second_factor(pool)
    unbuilt.demand_no_trigger(pool, "pre_authentication", "post_authentication")
    return _accept(env, granted.sign_in, granted.proof)


def _named(given: Mapping[str, str]) -> str:
    name = given.get("USERNAME")
    if not name:
        raise errors.InvalidParameter("Missing required parameter USERNAME", field="username")
    return name


def _sign_in(env: Env, client: Client, *, flow: str, name: str, found: Found | None, origin: Origin) -> SignIn:
    """Raises errors.LockedOut. A name that means nobody is counted, and locks, like one that does."""
    pool = client.pool
    failures = lockout.key_of(env, pool, found.user.sub if found else f"nobody {name_key(pool, name)}")
    lockout.check(env, failures)
    return SignIn(
        client=client,
        flow=flow,
        name=name,
        user=found.user if found else None,
        password=found.password if found else None,
        failures=failures,
        origin=origin,
    )


def _refuse_disabled(sign_in: SignIn, *, before: bool) -> None:
    """Where the client hides who exists, only someone who knows the password learns that he is disabled."""
    if sign_in.user is not None and not sign_in.user.enabled and not (before and sign_in.client.hides_users):
        raise errors.UserDisabled


def _counting(env: Env, sign_in: SignIn, challenge: Callable[[], Proof]) -> Proof:
    """Run a challenge; where it refuses the answer as wrong, count that before passing the refusal on."""
    try:
        return challenge()
    except (errors.NotAuthorized, errors.UserNotFound) as wrong:
        with env.transaction():
            lockout.failed(env, sign_in.failures)
        raise wrong from None


def _onward(env: Env, sign_in: SignIn, proof: Proof, *, met: str) -> Step:
    """Ask what the plan says, or grant."""
    _refuse_disabled(sign_in, before=False)
    _refuse_status(env, proof)
    proven = (*sign_in.proven, met)
    following = None if met == new_password_required.NAME else plan.next_challenge(proof.user, proven)
    if following is None:
        return Granted(proof.user, env.now(), proven, sign_in, proof)
    handle = env.random.token()
    now = env.now()
    with env.transaction():
        user = _accept(env, sign_in, proof)
        env.db.add(
            Attempt(
                digest=_digest(env, handle),
                client_id=sign_in.client.id,
                user_sub=user.sub,
                flow=sign_in.flow,
                asked=following,
                proven=list(proven),
                notes={"name": sign_in.name},
                created_at=now,
                expires_at=now + sign_in.client.session_validity,
                used_at=None,
            )
        )
    return Ask(following, new_password_required.ask(env, sign_in.client, proof.user), handle)


def _refuse_status(env: Env, proof: Proof) -> None:
    """Said only to someone who has proven himself: a status is told to nobody else (reference: 5)."""
    if proof.user.status == "UNCONFIRMED":
        raise errors.UserNotConfirmed
    if proof.user.status == "RESET_REQUIRED":
        raise errors.PasswordResetRequired
    expires_at = proof.password.expires_at if proof.password else None
    if expires_at is not None and env.now() >= expires_at:
        raise errors.TemporaryPasswordExpired


def _accept(env: Env, sign_in: SignIn, proof: Proof) -> User:
    """The write of an accepted step. Raises when somebody else has changed what it rests on."""
    now = env.now()
    row = env.db.execute(_AGAIN, {"failures": sign_in.failures, "sub": proof.user.sub}).unique().one_or_none()
    if row is None:
        raise errors.NotAuthorized
    user, version, failures, locked_until = row
    if not user.enabled:
        raise errors.UserDisabled
    if user.status != proof.user.status or (proof.password is not None and version != proof.password.version):
        raise errors.NotAuthorized
    # Guesses under way in parallel when the lock fell must not succeed after it.
    if locked_until is not None and now < locked_until:
        raise errors.LockedOut
    if sign_in.attempt is not None:
        _use_up(env, sign_in.attempt)
    if proof.write is not None:
        proof.write(user)
    if failures:
        lockout.succeeded(env, sign_in.failures)
    found: User = user
    return found


def _resumed(env: Env, client: Client, challenge: str, session: str | None, origin: Origin) -> SignIn:
    """The sign-in that waited. One statement. Raises errors.SessionInvalid, SessionUsed, SessionExpired."""
    if not session:
        raise errors.InvalidParameter("Missing required parameter Session")
    query = (
        select(Attempt, User, Password)
        .join(User, User.sub == Attempt.user_sub)
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
    return SignIn(
        client=client,
        flow=attempt.flow,
        name=attempt.notes["name"],
        user=user,
        password=stored,
        failures=lockout.key_of(env, client.pool, user.sub),
        origin=origin,
        proven=tuple(attempt.proven),
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
