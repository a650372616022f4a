"""Codes that prove an address: made, sent, taken. Six digits, so what protects them is how few may be tried.

Where the client hides who exists (PreventUserExistenceErrors; reference: 3.4), whoever asks for a code by name, or
guesses at one, gets the same answer for everybody, after the same steps against the same tables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import urlencode

from sqlalchemy import delete, insert, select, update

from app import errors
from app.accounts import find, limits
from app.crypto.seal import same
from app.env import Env
from app.messaging import messages
from app.models import Client, Code, Domain, Pool, User
from app.policy.attributes import looks_like_email, looks_like_phone, name_key

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
    client: Client | None = None,
) -> messages.Delivery:
    """Replace the live code of this purpose by a new one, and send it once the transaction has been committed.

    It goes to `address`, or to the user's present one. Inside a transaction. Not `counted` is what the user did not
    ask for himself, and what is counted elsewhere. A `client` whose pages the user can open gives a mail a link to
    them (accounts.links), where the pool wants that. Raises errors.LimitExceeded.
    """
    now = env.now()
    address = getattr(user, attribute) if address is None else address
    # Two requests for one user replace one code: the second waits here until the first has committed.
    env.db.execute(select(User.sub).where(User.sub == user.sub).with_for_update())
    if counted:
        limits.count(env, pool, LIMIT[purpose], user.sub)
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
) -> messages.Delivery:
    """Send a code to whom a name means, or seem to.

    `choose` says to which of his addresses, or refuses; `hiding` who exists, what it refuses is answered like what it
    does not, and so is a name that means nobody. The code is then made and sent after the answer, which it must not
    delay; if it cannot be sent, the log has that.
    `channels` are the attributes that such codes go to, for those who have none. Raises what `choose` does,
    errors.UserNotFound, LimitExceeded, CodeDeliveryFailure, UnexpectedLambda.
    """
    with env.in_steps(hiding):
        return _request(env, client, name, purpose, channels, choose, hiding)


def _request(
    env: Env,
    client: Client,
    name: str,
    purpose: str,
    channels: Sequence[str],
    choose: Callable[[User], str],
    hiding: bool,
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
        limits.count(env, pool, LIMIT[purpose], who)
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
    if user is not None and attribute is not None:
        return messages.delivery(attribute, getattr(user, attribute))
    return simulated(env, pool, name, user, channels)


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
    except errors.CodeDeliveryFailure as failed:
        log.warning("a code for %s was not sent: %s", purpose, failed.message)
    except errors.Refusal:
        return


def simulated(
    env: Env, pool: Pool, name: str, user: User | None = None, channels: Sequence[str] = ("email",)
) -> messages.Delivery:
    """Where a code would have gone, that went nowhere: the same answer for the same name, each time.

    To an address of the user, if he has one: he gets codes of another purpose there, and two answers that contradict
    each other would tell. Else of the kind that the name or the pool's rules suggest.
    """
    for attribute in channels:
        if user is not None and getattr(user, attribute):
            return messages.delivery(attribute, getattr(user, attribute))
    name = name_key(pool, name)
    if looks_like_email(name) and "email" in channels:
        return messages.delivery("email", name)
    if looks_like_phone(name) and "phone_number" in channels:
        return messages.delivery("phone_number", name)
    # An address that the pool neither verifies nor signs in with, nobody has proven: no code would go there.
    usual = {*pool.auto_verified, *pool.sign_in_attributes}
    attribute = next((channel for channel in channels if channel in usual), "email")
    number = env.keyed.number("simulated address", f"{pool.id} {name}", 2)
    if attribute == "phone_number":
        return messages.delivery(attribute, f"+{int.from_bytes(number) % 10_000:04}")
    letters = "".join(chr(ord("a") + byte % 26) for byte in number)
    return messages.delivery(attribute, f"{letters[0]}@{letters[1]}")


def subject(env: Env, pool: Pool, name: str) -> str:
    """By what somebody is counted: his `sub`, or a stand-in of it for a name that means nobody."""
    nobody = f"nobody {env.keyed.digest('nobody', f'{pool.id} {name_key(pool, name)}')}"
    return find.sub_by_name(env, pool, name) or nobody


def take(env: Env, sub: str, *, purpose: str, code: str, hiding: bool = False) -> Code:
    """Consume the code that was sent, or refuse. Inside a transaction; a wrong guess is counted in it and committed.

    The guess is counted by an UPDATE before it is compared: a thousand guesses in parallel are a thousand tries.
    Raises errors.ExpiredCode when there is none that lives, errors.CodeMismatch for a wrong one. `hiding` who exists,
    every wrong one is a mismatch, as it is for a name that means nobody: whether a code waits would tell that
    somebody asked for it. Then only the right one, too late, is told to have expired.
    """
    refusal, found = _guessed(env, sub, purpose, code, hiding)
    if refusal is not None or found is None:
        raise refusal or errors.ExpiredCode
    taken = env.db.get_one(Code, found)
    env.db.delete(taken)
    return taken


def check(env: Env, who: str, *, purpose: str, code: str) -> None:
    """Refuse what `take` would refuse, and leave a right code as it is. Inside a transaction, in which a wrong guess is
    counted: it is counted before it is compared, and taken back where it was right. Raises errors.CodeMismatch,
    ExpiredCode."""
    refusal, found = _guessed(env, who, purpose, code, True)
    if refusal is not None or found is None:
        raise refusal or errors.CodeMismatch
    env.db.execute(update(Code).where(Code.id == found).values(tries=Code.tries - 1))


def miss(env: Env, who: str, *, purpose: str, code: str, hiding: bool) -> errors.Refusal:
    """What `take` would say, for somebody whom no code can help: the guess counts all the same, and the right one is a
    mismatch too. Inside a transaction. `who` is a `subject`."""
    return _guessed(env, who, purpose, code, hiding)[0] or errors.CodeMismatch()


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
    """To the page that takes the code (reference: 2.6), where the pool wants links and the client has
    pages; otherwise the code itself has to do. Also without a domain: the path form works for every pool."""
    pool = client.pool
    if not messages.by_link(pool) or "code" not in client.oauth_flows:
        return None
    custom = env.db.scalar(select(Domain.domain).where(Domain.pool_id == pool.id, Domain.custom.is_(True)))
    base = f"https://{custom}" if custom else f"{env.settings.base_url}/{pool.id}"
    query = urlencode({"client_id": client.id, "user_name": user.username, "confirmation_code": code})
    return f"{base}/confirmUser?{query}"


def _guessed(env: Env, who: str, purpose: str, code: str, hiding: bool) -> tuple[errors.Refusal | None, str | None]:
    """Count a guess; what is to be said to it, and the id of the code it was about."""
    found = env.db.execute(
        update(Code)
        .where(Code.user_sub == who, Code.purpose == purpose)
        .values(tries=Code.tries + 1)
        .returning(Code.id, Code.digest, Code.tries, Code.expires_at)
    ).one_or_none()
    # Also for nobody, whom it cannot fit.
    right = same(found.digest if found else "", _digest(env, found.id if found else who, code))
    if found is None:
        return (errors.CodeMismatch() if hiding else errors.ExpiredCode()), None
    lives = found.tries <= TRIES and env.now() < found.expires_at
    if right:
        return (None if lives else errors.ExpiredCode()), found.id
    return (errors.CodeMismatch() if lives or hiding else errors.ExpiredCode()), found.id


def _digest(env: Env, code_id: str, code: str) -> str:
    """Bound to its row: a million digits could otherwise be hashed once and looked up everywhere."""
    return env.keyed.digest("code", f"{code_id} {code.strip()}")
