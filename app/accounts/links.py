"""Links in mails, which prove an address as the code in them would be typed in (CONFIRM_WITH_LINK; reference: 2.6).

Programs open the links of mails before people do, to look for viruses. So opening one changes nothing but the count of
wrong guesses: it says what the link would do, and the person does it by a button.
"""

from __future__ import annotations

from app import errors
from app.accounts import attributes, codes, find, limits, profile, sign_up
from app.env import Env
from app.models import Client

CONFIRM_SIGN_UP = sign_up.PURPOSE
VERIFY_EMAIL = attributes.PURPOSE["email"]


def purpose(env: Env, client: Client, *, username: str, code: str) -> str:
    """What the link would do: CONFIRM_SIGN_UP or VERIFY_EMAIL. Nothing is confirmed and the code stays as it is.

    A wrong code is counted as a guess, in the same limits as where codes are typed in: looking must not be a free way
    to find one. Raises errors.CodeMismatch or ExpiredCode for a link that does nothing, whoever it names, and
    LimitExceeded.
    """
    with env.in_steps():
        who = codes.subject(env, client.pool, username)
        with env.transaction():
            found = sign_up.lock_statuses(env, [who]).get(who)
            wanted, limit = _meant(found)
            try:
                codes.check(env, who, purpose=wanted, code=code)
            except (errors.CodeMismatch, errors.ExpiredCode):
                limits.count(env, client.pool, limit, who)
                raise
        return wanted


def follow(env: Env, client: Client, *, username: str, code: str) -> str:
    """Do what the link is for; what it was is returned. Raises what `purpose` does, and errors.AliasExists where
    somebody else signs in with the address by now."""
    with env.in_steps():
        who = codes.subject(env, client.pool, username)
        with env.reading() as session:
            found = session.scalar(find.SELECT_STATUS, {"sub": who})
        wanted, _ = _meant(found)
        try:
            if wanted == CONFIRM_SIGN_UP:
                sign_up.confirm(env, client, username=username, code=code, hiding=True)
            else:
                profile.verify_as(env, client.pool, who, attribute="email", code=code)
        except (errors.UserNotFound, errors.UserDisabled):
            raise errors.CodeMismatch from None  # who exists is told to nobody who only has a link
        return wanted


def _meant(status: str | None) -> tuple[str, str]:
    """The code that a user of this status gets links for, and the limit of its guesses. A user who has not confirmed
    their sign-up gets that one, whatever address it went to."""
    if status is None or status == "UNCONFIRMED":
        return CONFIRM_SIGN_UP, "confirm_sign_up"
    return VERIFY_EMAIL, "verify_attribute"
