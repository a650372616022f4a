"""The password itself: USER_PASSWORD_AUTH, and the sign-in page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import update

from app import errors
from app.accounts import credentials, find
from app.env import Env
from app.models import Password, User
from app.policy import unbuilt
from app.signin.state import Asked, Proof, SignIn

NAME = "PASSWORD"
NEEDS = ("PASSWORD",)
GUESSABLE = True


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """For the password alone: the name has been said."""
    return Asked({"USERNAME": sign_in.name})


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Compare, at the same cost whether or not there is such a user.

    Raises errors.NotAuthorized for a wrong one, UserNotFound where the client may know; UnexpectedLambda where a user
    migration trigger would be asked about the name.
    """
    password = given["PASSWORD"]
    stored = sign_in.password
    if sign_in.user is None or stored is None:
        env.passwords.verify_nothing(password)
        raise _refusal(sign_in)
    if not env.passwords.verify(stored.hash, password):
        raise _refusal(sign_in)
    return Proof(sign_in.user, stored, _hash_again(env, sign_in, sign_in.user, stored, password))


def _refusal(sign_in: SignIn) -> errors.Refusal:
    """What a wrong password is told. User migration is asked about unknown names only; until it is built, who exists
    would show in its refusal. So where that is hidden, every wrong password is refused in the same way."""
    if sign_in.user is None or sign_in.hides:
        unbuilt.demand_no_trigger(sign_in.pool, "user_migration")
    wrong = errors.NotAuthorized()
    return wrong if sign_in.user is not None else find.absent(sign_in.client, wrong)


def _hash_again(
    env: Env, sign_in: SignIn, user: User, stored: Password, password: str
) -> Callable[[User], None] | None:
    """With today's parameters, where the installation changed them since, and with a verifier that a version before did
    not make: only now is the password at hand."""
    complete = stored.srp_sub_verifier is not None or user.username == user.sub
    if complete and not env.passwords.outdated(stored.hash):
        return None
    prepared = credentials.prepare(env, sign_in.client.pool, sub=user.sub, username=user.username, password=password)

    def write(row: User) -> None:
        env.db.execute(
            update(Password)
            .where(Password.user_sub == row.sub, Password.version == stored.version)
            .values(
                hash=prepared.hash,
                srp_salt=prepared.srp_salt,
                srp_verifier=prepared.srp_verifier,
                srp_sub_verifier=prepared.srp_sub_verifier,
            )
        )

    return write
