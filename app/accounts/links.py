"""Links in mails, which prove an address as the code in them would be typed in (CONFIRM_WITH_LINK; reference: 2.6).

Programs open the links of mails before people do, to look for viruses. So opening one changes nothing: it says what the
link would do, and the person does it by a button.

A link is signed. Without that, its page would take guesses at the code in it from anybody, without an access token too,
and whoever only knows a name could use up the guesses that its owner's code has.
"""

from __future__ import annotations

from app import errors
from app.accounts import attributes, codes, find, profile, sign_up
from app.crypto.seal import same
from app.env import Env, Origin
from app.messaging import messages
from app.models import Client, Pool

CONFIRM_SIGN_UP = sign_up.PURPOSE
VERIFY_EMAIL = attributes.PURPOSE["email"]


def purpose(env: Env, client: Client, *, username: str, code: str, signature: str) -> str:
    """What the link would do: CONFIRM_SIGN_UP or VERIFY_EMAIL. Nothing is written. Raises errors.CodeMismatch for
    a link that does nothing, whoever it names."""
    pool = client.pool
    with env.in_steps():
        who = _addressee(env, pool, username, code, signature)
        wanted = _wanted(env, pool, who)
        if not codes.fits(env, who, purpose=wanted, code=code):
            raise errors.CodeMismatch
        return wanted


def follow(env: Env, client: Client, *, username: str, code: str, signature: str, origin: Origin) -> str:
    """Do what the link is for; what it was is returned. Raises what `purpose` does, errors.ExpiredCode, LimitExceeded,
    and errors.AliasExists where somebody else signs in with the address by now."""
    pool = client.pool
    with env.in_steps():
        who = _addressee(env, pool, username, code, signature)
        wanted = _wanted(env, pool, who)
        try:
            if wanted == CONFIRM_SIGN_UP:
                sign_up.confirm(env, client, username=username, code=code, origin=origin, hiding=True)
            else:
                profile.verify_as(env, pool, who, attribute="email", code=code, hiding=True)
        except (errors.UserNotFound, errors.UserDisabled):
            raise errors.CodeMismatch from None  # who exists is told to nobody who only has a link
        return wanted


def _addressee(env: Env, pool: Pool, username: str, code: str, signature: str) -> str:
    """Whom the link was made for, by their `sub`. Raises errors.CodeMismatch for one that was not made here."""
    who = codes.subject(env, pool, username)
    if not same(signature, codes.signature(env, who, code)):
        raise errors.CodeMismatch
    return who


def _wanted(env: Env, pool: Pool, who: str) -> str:
    with env.reading() as session:
        return _purpose(pool, session.scalar(find.SELECT_STATUS, {"sub": who}))


def _purpose(pool: Pool, status: str | None) -> str:
    """The code that a user of this status gets links for. A user who has not confirmed their sign-up gets that one,
    whatever address it went to; and where a pool sends no links, codes for other addresses are for their owners only,
    who bring an access token."""
    confirmed = status is not None and status != "UNCONFIRMED"
    return VERIFY_EMAIL if confirmed and messages.by_link(pool) else CONFIRM_SIGN_UP
