"""Codes that prove an address: made, sent, taken. Six digits, so what protects them is how few may be tried."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from app import errors
from app.crypto.seal import same
from app.env import Env
from app.messaging import messages
from app.models import Code, Pool, Throttle, User

LIFETIME = {"sign_up": timedelta(hours=24), "forgot_password": timedelta(hours=1)}
TRIES = 5
"""Guesses for one code; then only a new one helps."""
PER_HOUR = {"sign_up": 5, "forgot_password": 5}
"""Codes sent to a user in an hour: with TRIES, at most 25 guesses an hour at a chance of one in a million each."""


def send(env: Env, pool: Pool, user: User, *, purpose: str, attribute: str) -> messages.Delivery:
    """Replace the live code of this purpose by a new one, and send it once the transaction has been committed.

    Inside a transaction. Raises errors.LimitExceeded.
    """
    now = env.now()
    address = getattr(user, attribute)
    # Two requests for one user replace one code: the second waits here until the first has committed.
    env.db.execute(select(User.sub).where(User.sub == user.sub).with_for_update())
    _count(env, pool, user, purpose)
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
    message = messages.verification(pool, attribute, address, code, purpose=purpose)
    env.after_commit(messages.sending(env, message))
    return messages.delivery(attribute, address)


def take(env: Env, user: User, *, purpose: str, code: str) -> Code:
    """Consume the code that was sent, or refuse. Inside a transaction; a wrong guess is counted in it and committed.

    The guess is counted by an UPDATE before it is compared: a thousand guesses in parallel are a thousand tries.
    Raises errors.ExpiredCode when there is none that lives, errors.CodeMismatch.
    """
    live = env.db.execute(
        update(Code)
        .where(Code.user_sub == user.sub, Code.purpose == purpose, Code.tries < TRIES, Code.expires_at > env.now())
        .values(tries=Code.tries + 1)
        .returning(Code.id, Code.digest)
    ).one_or_none()
    if live is None:
        raise errors.ExpiredCode
    if not same(live.digest, _digest(env, live.id, code)):
        raise errors.CodeMismatch
    taken = env.db.get_one(Code, live.id)
    env.db.delete(taken)
    return taken


def pending(env: Env, user: User, *, purpose: str) -> bool:
    """Whether a live code of this purpose waits."""
    with env.reading() as session:
        found = session.scalar(
            select(Code.id).where(Code.user_sub == user.sub, Code.purpose == purpose, Code.expires_at > env.now())
        )
    return found is not None


def _count(env: Env, pool: Pool, user: User, purpose: str) -> None:
    """Count what is sent, before it is; one UPDATE, so that parallel requests are counted too."""
    now = env.now()
    key = env.keyed.digest("codes sent", f"{pool.id} {purpose} {user.sub}")
    env.db.execute(delete(Throttle).where(Throttle.key == key, Throttle.expires_at <= now))
    count = env.db.scalar(
        update(Throttle).where(Throttle.key == key).values(count=Throttle.count + 1).returning(Throttle.count)
    )
    if count is None:
        env.db.add(Throttle(key=key, count=1, since=now, expires_at=now + timedelta(hours=1)))
        env.db.flush()
    elif count > PER_HOUR[purpose]:
        raise errors.LimitExceeded


def _digest(env: Env, code_id: str, code: str) -> str:
    """Bound to its row: a million digits could otherwise be hashed once and looked up everywhere."""
    return env.keyed.digest("code", f"{code_id} {code.strip()}")
