"""A passkey, first factor or second (reference: 5.5, 10.6)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import errors
from app.accounts import factors, find, nobody, passkeys, relying_party
from app.accounts.relying_party import RelyingParty
from app.crypto import webauthn
from app.crypto.base64url import encode
from app.crypto.webauthn import Credential, Reason
from app.env import Env
from app.models import User
from app.signin.state import Asked, Proof, SignIn

NAME = factors.PASSKEY
NEEDS = ("CREDENTIAL",)
GUESSABLE = False
"""A signature is not found by trying."""
_CHALLENGE = "passkey_challenge"
_NOBODYS_KEY = "pQECAyYgASFYIGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
"""A public key that answers for nobody are compared with, so that they take as long. It opens nothing."""
_SHAPES = ((16, ("hybrid", "internal")), (20, ("hybrid", "internal")), (32, ("internal",)))
"""Length in bytes and transports of credentials, as the common authenticators make them."""


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Options for the browser, with the user's passkeys. A name that means nobody gets one of the same shape, the same
    each time; so does somebody whose passkeys the pool no longer takes.

    Raises errors.UserNotFound where the client may know, InvalidUserPoolConfiguration.
    """
    user = sign_in.user
    if user is None and not sign_in.client.hides_users:
        raise errors.UserNotFound
    party = _party(env, sign_in)
    known = [passkeys.described(one) for one in passkeys.of(env, user, party.id)] if user else []
    challenge = env.random.token()
    options = webauthn.request_options(
        challenge=challenge,
        rp_id=party.id,
        user_verification=passkeys.demands_verification(sign_in.pool, user),
        allow=known or _invented(env, sign_in),
    )
    return Asked({"CREDENTIAL_REQUEST_OPTIONS": orjson.dumps(options).decode("utf-8")}, notes={_CHALLENGE: challenge})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Look at what the browser brings, with the policy that holds now: it may have become stricter since.

    Raises errors.InvalidParameter for what is no such answer; NotAuthorized for a wrong one, UserNotFound where the
    client may know.
    """
    user, party = sign_in.user, _party(env, sign_in)
    challenge = sign_in.notes.get(_CHALLENGE)
    if challenge is None:  # nobody was asked
        raise errors.SessionInvalid
    try:
        brought = webauthn.assertion(given["CREDENTIAL"])
        mine = passkeys.of(env, user, party.id) if user else []
        passkey = next((one for one in mine if one.credential_id == brought.credential_id), None)
        said = webauthn.verify(
            brought,
            webauthn.Expected(challenge, party.id, party.origins, passkeys.demands_verification(sign_in.pool, user)),
            public_key=passkey.public_key if passkey else _NOBODYS_KEY,
            user_handle=passkeys.handle(env, user) if user else "",
        )
    except webauthn.Refused as refused:
        if refused.reason is Reason.MALFORMED:
            raise errors.InvalidParameter("The CREDENTIAL is not a public key credential of a sign-in.") from None
        raise _wrong(sign_in) from None
    if user is None or passkey is None:
        raise _wrong(sign_in)
    passkeys.check_count(passkey, said.sign_count)
    used = passkey

    def write(row: User) -> None:
        passkeys.use(env, used, said)

    return Proof(user, sign_in.password, write)


def _wrong(sign_in: SignIn) -> errors.Refusal:
    wrong = errors.NotAuthorized()
    return wrong if sign_in.user is not None else find.absent(sign_in.client, wrong)


def _party(env: Env, sign_in: SignIn) -> RelyingParty:
    try:
        return relying_party.of(env, sign_in.pool)
    except errors.WebAuthnConfigurationMissing as missing:  # which these operations have no word for
        raise errors.InvalidUserPoolConfiguration(missing.message) from None


def _invented(env: Env, sign_in: SignIn) -> list[Credential]:
    """Mostly one. Some users have two or three, and so must some of those who are nobody."""
    who = sign_in.user.sub if sign_in.user else nobody.sub(env, sign_in.pool, sign_in.name)
    number = env.keyed.number("invented passkeys", f"{sign_in.pool.id} {who}", 1)[0]
    return [_an_invented(env, f"{sign_in.pool.id} {who} {n}") for n in range(1 + (number > 190) + (number > 240))]


def _an_invented(env: Env, about: str) -> Credential:
    raw = env.keyed.number("invented passkey", about, 33)
    size, transports = _SHAPES[raw[32] % len(_SHAPES)]
    return Credential(encode(raw[:size]), transports)
