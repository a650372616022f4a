"""Randomness in the forms that clients expect; all of it from the operating system, through `secrets`."""

from __future__ import annotations

import base64
import secrets
import string
import uuid as uuids

_LOWER_AND_DIGITS = string.ascii_lowercase + string.digits
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_BASE32 = string.ascii_uppercase + "234567"

# A temporary password is read from a mail or a screen and typed: nothing that looks like something else, and no
# symbol that means something to HTML, to a shell or at the end of a sentence. All symbols are in Cognito's set.
_UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_LOWER = "abcdefghijkmnpqrstuvwxyz"
_DIGITS = "23456789"
_SYMBOLS = "@#%*+=_-"
_SHORTEST_TEMPORARY_PASSWORD = 12
_WRITTEN_DOWN = "abcdefghjkmnpqrstuvwxyz23456789"


def digits(n: int) -> str:
    """`n` decimal digits, zeros in front included; each digit is worth 3.3 bits."""
    return f"{secrets.randbelow(10**n):0{n}d}"


def token(nbytes: int = 32) -> str:
    """`nbytes` random bytes as base64url without padding: 43 characters for 32."""
    return secrets.token_urlsafe(nbytes)


def uuid() -> str:
    """A version 4 UUID (RFC 9562), such as a `sub`."""
    return str(uuids.UUID(bytes=secrets.token_bytes(16), version=4))


def pool_id(region: str) -> str:
    """`<region>_` and 9 letters and digits, such as `us-east-1_A1b2C3d4E`."""
    return f"{region}_{_drawn(_LETTERS_AND_DIGITS, 9)}"


def client_id() -> str:
    """26 lower-case letters and digits; 134 bits, so unique over all pools without asking."""
    return _drawn(_LOWER_AND_DIGITS, 26)


def client_secret() -> str:
    """52 lower-case letters and digits; 268 bits."""
    return _drawn(_LOWER_AND_DIGITS, 52)


def access_key_id() -> str:
    """The public half of a SigV4 credential: `AKIA` and 16 of A-Z and 2-7."""
    return "AKIA" + _drawn(_BASE32, 16)


def access_key_secret() -> str:
    """The secret half of a SigV4 credential: 40 characters of base64, 240 bits."""
    return base64.b64encode(secrets.token_bytes(30)).decode("ascii")


def temporary_password(length: int, *, upper: bool, lower: bool, digits: bool, symbols: bool) -> str:
    """A password that a pool's policy accepts, `length` characters and never fewer than 12; at least 60 bits.

    Each flag is one of Cognito's `Require…` rules: at least one character of that kind is there, in no known place.
    Letters and digits fill the rest; symbols come only where they are asked for.
    """
    required = [
        kind for kind, wanted in ((_UPPER, upper), (_LOWER, lower), (_DIGITS, digits), (_SYMBOLS, symbols)) if wanted
    ]
    drawn = [secrets.choice(kind) for kind in required]
    filling = _UPPER + _LOWER + _DIGITS
    drawn += _drawn(filling, max(length, _SHORTEST_TEMPORARY_PASSWORD) - len(drawn))
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def recovery_code() -> str:
    """`xxxxx-xxxxx-xxxxx`, for paper: 74 bits, of letters and digits that nobody confuses."""
    return "-".join(_drawn(_WRITTEN_DOWN, 5) for _ in range(3))


def _drawn(alphabet: str, n: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(n))
