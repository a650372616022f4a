"""Whether a password may be chosen in a pool (reference: 2.5)."""

from __future__ import annotations

from app import errors
from app.crypto.passwords import normalise
from app.models import Pool

LONGEST = 256
"""Code points that a password may have at most, as Cognito has it."""
SYMBOLS = frozenset("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-")


def check(pool: Pool, password: str) -> None:
    """Refuse a password that the pool's policy does not allow. Only the first reason is given, length first.

    Raises errors.InvalidPassword.
    """
    policy = pool.password_policy
    text = normalise(password)
    if len(text) > LONGEST:
        raise _refused("Password too long")
    if text != text.strip():
        raise _refused("Password must not begin or end with a space")
    if len(text) < policy.minimum_length:
        raise _refused("Password not long enough")
    if policy.uppercase and not any("A" <= c <= "Z" for c in text):
        raise _refused("Password must have uppercase characters")
    if policy.lowercase and not any("a" <= c <= "z" for c in text):
        raise _refused("Password must have lowercase characters")
    if policy.numbers and not any("0" <= c <= "9" for c in text):
        raise _refused("Password must have numeric characters")
    if policy.symbols and not any(c in SYMBOLS or c == " " for c in text):
        raise _refused("Password must have symbol characters")


def _refused(reason: str) -> errors.InvalidPassword:
    return errors.InvalidPassword(f"Password did not conform with policy: {reason}")
