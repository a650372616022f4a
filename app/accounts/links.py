"""Links in mails, which prove an address as the code in them would be typed in (CONFIRM_WITH_LINK; reference: 2.6).

Programs open the links of mails before people do, to look for viruses. So opening one changes nothing but the count of
guesses: it says what the link would do, and the person does it by a button.
"""

from __future__ import annotations

from app import errors
from app.accounts import attributes, codes, find, known, limits, profile, sign_up
from app.env import Env, Origin
from app.messaging import messages
from app.models import Client, Pool

CONFIRM_SIGN_UP = sign_up.PURPOSE
VERIFY_EMAIL = attributes.PURPOSE["email"]


def purpose(env: Env, client: Client, *, username: str, code: str, origin: Origin) -> str:
    """What the link would do: CONFIRM_SIGN_UP or VERIFY_EMAIL. Nothing is confirmed and the code stays as it is.

    Looking is counted like guessing, before it is looked: it must not be a free way to find a code. Raises
    errors.CodeMismatch or ExpiredCode for a link that does nothing, whoever it names, and LimitExceeded.
    """
    pool = client.pool
    with env.in_steps():
        who = codes.subject(env, pool, username)
        with env.transaction():
            wanted = _purpose(pool, sign_up.lock_statuses(env, [who]).get(who))
            limits.count(env, pool, "open_link", who, known.place(env, pool, who, origin))
            codes.check(env, pool, who, purpose=wanted, code=code)
        return wanted


def follow(env: Env, client: Client, *, username: str, code: str, origin: Origin) -> str:
    """Do what the link is for; what it was is returned. Raises what `purpose` does, and errors.AliasExists where
    somebody else signs in with the address by now."""
    pool = client.pool
    with env.in_steps():
        who = codes.subject(env, pool, username)
        with env.reading() as session:
            wanted = _purpose(pool, session.scalar(find.SELECT_STATUS, {"sub": who}))
        try:
            if wanted == CONFIRM_SIGN_UP:
                sign_up.confirm(env, client, username=username, code=code, origin=origin, hiding=True)
            else:
                profile.verify_as(env, pool, who, attribute="email", code=code, hiding=True)
        except (errors.UserNotFound, errors.UserDisabled):
            raise errors.CodeMismatch from None  # who exists is told to nobody who only has a link
        return wanted


def _purpose(pool: Pool, status: str | None) -> str:
    """The code that a user of this status gets links for. A user who has not confirmed their sign-up gets that one,
    whatever address it went to; and where a pool sends no links, codes for other addresses are for their owners only,
    who bring an access token."""
    confirmed = status is not None and status != "UNCONFIRMED"
    return VERIFY_EMAIL if confirmed and messages.by_link(pool) else CONFIRM_SIGN_UP
