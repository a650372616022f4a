"""Codes that prove an address: made, sent, taken. Six digits, so what protects them is how few may be tried.

Where the client hides who exists (PreventUserExistenceErrors; reference: 3.4), whoever asks for a code by name, or
guesses at one, gets the same answer for everybody, after the same steps against the same tables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from sqlalchemy import delete, insert, select, update

from app import errors, metrics
from app.accounts import addresses, find, known, limits, nobody
from app.crypto.seal import same
from app.env import Env, Origin
from app.messaging import messages
from app.models import Client, Code, Domain, Pool, User

LIFETIME = {
    "sign_up": timedelta(hours=24),
    "verify_email": timedelta(hours=24),
    "verify_phone_number": timedelta(hours=24),
    "forgot_password": timedelta(hours=1),
}
"""By purpose: what the code proves, of which a user has one live code each."""
LIMIT = {
    "sign_up": "resend_confirmation_code",
    "verify_email": "send_attribute_code",
    "verify_phone_number": "send_attribute_code",
    "forgot_password": "forgot_password",
}
"""Which of `limits.PER_HOUR` sending one counts against."""
TO_PROVE = frozenset({"sign_up", "verify_email", "verify_phone_number"})
"""Purposes whose codes go to an address that nobody has proven yet: guesses are counted by the address as well."""
TRIES = 5
"""Guesses for one code; then only a new one helps. The hourly limits bound the guesses across several codes."""

log = logging.getLogger(__name__)


def send(
    env: Env,
    pool: Pool,
    user: User,
    *,
    purpose: str,
    attribute: str,
    address: str | None = None,
    counted: bool = True,
    bounded: bool = True,
    hiding: bool = False,
    client: Client | None = None,
) -> messages.Delivery:
    """Replace the live code of this purpose by a new one, and send it once the transaction has been committed.

    It goes to `address`, or to the user's present one. Inside a transaction. Not `counted` is what the user did not
    ask for, and what is counted elsewhere; not `bounded` by the address is what an administrator asks for. A `client`
    whose pages the user can open gives a mail a link to them (accounts.links), where the pool wants that.

    Raises errors.LimitExceeded; but `hiding` who exists, what would be too much for the address is not sent, and told
    as if it were: how many codes go there tells of other people's accounts.
    """
    now = env.now()
    address = getattr(user, attribute) if address is None else address
    # Two requests for one user replace one code: the second waits here until the first has committed.
    env.db.execute(select(User.sub).where(User.sub == user.sub).with_for_update())
    if counted:
        limits.count(env, pool, LIMIT[purpose], user.sub)
    if bounded and not addresses.is_proven(user, attribute, address):
        if not addresses.may_send(env, pool, attribute, address):
            metrics.RATE_LIMITED.add("codes_to_address")
            if not hiding:
                raise errors.TooOften
            return messages.delivery(attribute, address)
    code = env.random.digits(6)
    env.db.execute(delete(Code).where(Code.user_sub == user.sub, Code.purpose == purpose))
    code_id = env.random.uuid()
    env.db.execute(
        insert(Code).values(
            id=code_id,
            user_sub=user.sub,
            purpose=purpose,
            attribute=attribute,
            destination=address,
            digest=_digest(env, code_id, code),
            tries=0,
            created_at=now,
            expires_at=now + LIFETIME[purpose],
        )
    )
    link = _link(env, client, user, code) if client and attribute == "email" else None
    message = messages.verification(pool, attribute, address, code, purpose=purpose, link=link)
    env.after_commit(messages.sending(env, message))
    return messages.delivery(attribute, address)


def request(
    env: Env,
    client: Client,
    *,
    name: str,
    purpose: str,
    channels: Sequence[str],
    choose: Callable[[User], str],
    hiding: bool,
    origin: Origin,
) -> messages.Delivery:
    """Send a code to whom a name means, or seem to.

    `choose` says to which of his addresses, or refuses; `hiding` who exists, what it refuses is answered like what it
    does not, and so is a name that means nobody. The code is then made and sent after the answer, which it must not
    delay; if it cannot be sent, the log has that.
    `channels` are the attributes that such codes go to, for those who have none. Raises what `choose` does,
    errors.UserNotFound, LimitExceeded, CodeDeliveryFailure, UnexpectedLambda.
    """
    with env.in_steps(hiding):
        return _request(env, client, name, purpose, channels, choose, hiding, origin)


def _request(
    env: Env,
    client: Client,
    name: str,
    purpose: str,
    channels: Sequence[str],
    choose: Callable[[User], str],
    hiding: bool,
    origin: Origin,
) -> messages.Delivery:
    pool = client.pool
    for channel in channels:
        messages.demand_own_words(pool, channel)
    who = subject(env, pool, name)
    # Links lead to the page for sign-ups, so other codes are sent as such.
    pages = client if purpose == "sign_up" else None
    with env.transaction():
        # His row before the count, as whoever uses such a code takes them; where nothing is sent yet, it is only read.
        user = env.db.get(User, who, with_for_update=None if hiding else True)
        limits.count(env, pool, LIMIT[purpose], who, known.place(env, pool, who, origin))
        try:
            if user is None:
                raise errors.UserNotFound("Username/client id combination not found.")
            attribute = choose(user)
        except errors.Refusal:
            if not hiding:
                raise
            attribute = None
        if user is not None and attribute is not None and not hiding:
            return send(env, pool, user, purpose=purpose, attribute=attribute, counted=False, client=pages)
    # What is different comes after the answer, which is the same for everybody and takes as long.
    env.later(lambda: _send_unseen(env, pool, who, purpose, attribute, choose, pages))
    told = simulated(env, pool, name, user, channels)
    if user is not None and attribute is not None:
        return messages.delivery(attribute, getattr(user, attribute))
    return told


def _send_unseen(
    env: Env,
    pool: Pool,
    who: str,
    purpose: str,
    attribute: str | None,
    choose: Callable[[User], str],
    pages: Client | None,
) -> None:
    """Send a code that somebody was promised, if there is anybody; nobody waits for how it went."""
    if attribute is None:
        return
    try:
        with env.transaction():
            user = find.locked(env, who)
            # He may have been confirmed, disabled or moved since.
            if choose(user) == attribute:
                send(env, pool, user, purpose=purpose, attribute=attribute, counted=False, client=pages)
    except (errors.CodeDeliveryFailure, errors.ServiceUnavailable) as failed:
        log.warning("a code for %s was not sent: %s", purpose, failed.message)
    except errors.Refusal:
        return


def simulated(
    env: Env, pool: Pool, name: str, user: User | None = None, channels: Sequence[str] = ("email",)
) -> messages.Delivery:
    """Where a code would have gone, that went nowhere: the same answer for the same name, each time.

    To an address of the user, if there is one: codes of another purpose go there, and two answers that contradict
    each other would tell. Else to what the name shows, or to one that looks like those of the pool's users.
    """
    alike = nobody.neighbour(env, pool, name, tuple(channels))  # for everybody: it takes as long
    for attribute in channels:
        if user is not None and getattr(user, attribute):
            return messages.delivery(attribute, getattr(user, attribute))
    shown = nobody.address(env, pool, name)
    if shown is not None and shown[0] in channels:
        return messages.delivery(*shown)
    for attribute in channels:
        if attribute in alike:
            return messages.delivery(attribute, alike[attribute])
    # Nobody has an address. One that the pool neither verifies nor signs in with, nobody has proven.
    usual = {*pool.auto_verified, *pool.sign_in_attributes}
    attribute = next((channel for channel in channels if channel in usual), "email")
    number = env.keyed.number("simulated address", nobody.sub(env, pool, name), 2)
    if attribute == "phone_number":
        return messages.delivery(attribute, f"+{int.from_bytes(number) % 10_000:04}")
    letters = "".join(chr(ord("a") + byte % 26) for byte in number)
    return messages.delivery(attribute, f"{letters[0]}@{letters[1]}")


def subject(env: Env, pool: Pool, name: str) -> str:
    """By what somebody is counted: their `sub`, or a stand-in of it for a name that means nobody."""
    return find.sub_by_name(env, pool, name) or f"nobody {nobody.sub(env, pool, name)}"


@dataclass(frozen=True)
class Taken:
    """A code that came back: what it proves."""

    attribute: str
    destination: str
    disputed: bool
    """Whether somebody has guessed wrong of late at codes that went to this address: this one may be a guess too."""


def take(env: Env, pool: Pool, sub: str, *, purpose: str, code: str, hiding: bool = False) -> Taken:
    """Consume the code that was sent, or refuse. Inside a transaction; a wrong guess is counted in it and committed.

    The guess is counted by an UPDATE before it is compared: a thousand guesses in parallel are a thousand tries.
    Raises errors.ExpiredCode when there is none that lives, errors.CodeMismatch for a wrong one, errors.LimitExceeded
    where too many were wrong about its address. `hiding` who exists, every wrong one is a mismatch, as it is for a name
    that means nobody: whether a code waits would tell that somebody asked for it. Then only the right one, too late, is
    told to have expired.
    """
    refusal, found, disputed = _guessed(env, pool, sub, purpose, code, hiding)
    if refusal is not None or found is None:
        raise refusal or errors.ExpiredCode
    taken = env.db.get_one(Code, found)
    env.db.delete(taken)
    return Taken(taken.attribute, taken.destination, disputed)


def miss(env: Env, pool: Pool, who: str, *, purpose: str, code: str, hiding: bool) -> errors.Refusal:
    """What `take` would say, for somebody whom no code can help: the guess counts all the same, and the right one is a
    mismatch too. Inside a transaction. `who` is a `subject`."""
    return _guessed(env, pool, who, purpose, code, hiding)[0] or errors.CodeMismatch()


def fits(env: Env, who: str, *, purpose: str, code: str) -> bool:
    """Whether `take` would take this code now: for what is slow and worth doing only then. `take` decides."""
    with env.reading() as session:
        found = session.execute(
            select(Code.id, Code.digest).where(
                Code.user_sub == who, Code.purpose == purpose, Code.tries < TRIES, Code.expires_at > env.now()
            )
        ).one_or_none()
    return found is not None and same(found.digest, _digest(env, found.id, code))


def forget(env: Env, user: User, *, purpose: str) -> None:
    """Make the code worthless. Inside a transaction."""
    env.db.execute(delete(Code).where(Code.user_sub == user.sub, Code.purpose == purpose))


def _link(env: Env, client: Client, user: User, code: str) -> str | None:
    """To the page that takes the code (reference: 2.6), where the pool wants links. A pool needs no domain for it: the
    path form works for every one."""
    pool = client.pool
    if not messages.by_link(pool):
        return None
    mine = (Domain.pool_id == pool.id, Domain.custom.is_(True), Domain.served)
    custom = env.db.scalar(select(Domain.domain).where(*mine))
    base = f"https://{custom}" if custom else f"{env.settings.base_url}/{pool.id}"
    told = {"client_id": client.id, "user_name": user.username, "confirmation_code": code}
    return f"{base}/confirmUser?{urlencode({**told, 'signature': signature(env, user.sub, code)})}"


def signature(env: Env, who: str, code: str) -> str:
    """Of the link with a code: whoever has it was sent the code, and does not guess."""
    return env.keyed.digest("link", f"{who} {code}")


def _guessed(
    env: Env, pool: Pool, who: str, purpose: str, code: str, hiding: bool
) -> tuple[errors.Refusal | None, str | None, bool]:
    """Count a guess; what is to be said to it, the id of the code it was about, and whether it is disputed."""
    found = env.db.execute(
        update(Code)
        .where(Code.user_sub == who, Code.purpose == purpose)
        .values(tries=Code.tries + 1)
        .returning(Code.id, Code.digest, Code.tries, Code.expires_at, Code.attribute, Code.destination)
    ).one_or_none()
    guess = None
    if purpose in TO_PROVE:
        # Also for nobody, by a stand-in, so that the same is written.
        about = (found.attribute, found.destination) if found else ("nobody", who)
        guess = addresses.guess(env, pool, *about)
        if guess is None:
            return (errors.CodeMismatch() if hiding else errors.LimitExceeded()), None, True
    # Also for nobody, whom it cannot fit.
    right = same(found.digest if found else "", _digest(env, found.id if found else who, code))
    if found is None:
        return (errors.CodeMismatch() if hiding else errors.ExpiredCode()), None, True
    lives = found.tries <= TRIES and env.now() < found.expires_at
    disputed = guess is not None and guess.disputed
    if right:
        if guess is not None:
            addresses.take_back(env, guess)
        return (None if lives else errors.ExpiredCode()), found.id, disputed
    return (errors.CodeMismatch() if lives or hiding else errors.ExpiredCode()), found.id, disputed


def _digest(env: Env, code_id: str, code: str) -> str:
    """Bound to its row: a million digits could otherwise be hashed once and looked up everywhere."""
    return env.keyed.digest("code", f"{code_id} {code.strip()}")
