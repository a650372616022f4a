"""Codes of an authenticator app: TOTP (RFC 6238) with what every app understands, SHA-1, 30 seconds and six digits."""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime

import pyotp

from app.crypto.seal import same

SECRET_BYTES = 32
"""256 bits: 52 characters of base32, as Cognito's are. RFC 4226 (4, R6) asks for 160."""
PERIOD = 30
"""Seconds of a step."""
DIGITS = 6
TOLERATED = 1
"""Steps by which the clock of an app may be ahead or behind (RFC 6238, 5.2)."""

_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)


def new_secret() -> str:
    """A secret to share with an app: base32 without padding."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii").rstrip("=")


def step_of(secret: str, code: str, moment: datetime) -> int | None:
    """The step, counted from 1970, to which a code belongs; None for a wrong one. Only one within the tolerance, and
    of two the later.

    A code is right again and again: whoever takes one remembers its step and takes none up to it another time
    (RFC 6238, 5.2).
    """
    totp = _totp(secret)
    now = totp.timecode(moment)
    given = "".join(code.split())  # apps show it as "123 456"
    if not _CODE.fullmatch(given):
        return None
    # All of them are compared, so that the time tells nothing of the clock of an app.
    steps = [step for step in range(now - TOLERATED, now + TOLERATED + 1) if same(totp.generate_otp(step), given)]
    return max(steps, default=None)


def uri(secret: str, *, issuer: str, account: str) -> str:
    """What the QR code says: `otpauth://totp/<issuer>:<account>?secret=…&issuer=…` (the Key URI format)."""
    return _totp(secret).provisioning_uri(name=account, issuer_name=issuer)


def _totp(secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD)
