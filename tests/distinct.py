"""Codes of which none is like another by chance.

Of six digits one in a million is equal to the one before, or to a wrong one that a test tries; a run of all tests draws
thousands. A code is therefore drawn again where it is near an earlier one of the same test, and the secret of an
authenticator app where its codes of the next half hour are. What draws them is otherwise as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pyotp
import pytest

from app.crypto import codes, totp

NEAR = 3
"""Tests make a wrong code from the right one by adding one to it."""
STEPS = range(-4, 64)
"""Of an authenticator app, beside the present one."""
TAKEN_FOR_WRONG = ["123456", "654321", "12345678", *(digit * length for digit in "0123456789" for length in (6, 8))]


def keep_apart(patch: pytest.MonkeyPatch, now: Callable[[], datetime]) -> None:
    """Until the patch is undone."""
    draw, new_secret = codes.digits, totp.new_secret
    used = {(len(code), int(code)) for code in TAKEN_FOR_WRONG}
    lock = threading.Lock()

    def taken(code: str) -> bool:
        return any((len(code), int(code) + near) in used for near in range(-NEAR, NEAR + 1))

    def digits(n: int) -> str:
        with lock:
            while taken(code := draw(n)):
                pass
            used.add((n, int(code)))
            return code

    def secret() -> str:
        step = int(now().timestamp()) // totp.PERIOD
        with lock:
            while True:
                drawn = new_secret()
                shows = pyotp.TOTP(drawn)
                mine = sorted(shows.generate_otp(step + offset) for offset in STEPS)
                apart = all(int(one) + NEAR < int(other) for one, other in zip(mine, mine[1:], strict=False))
                if apart and not any(map(taken, mine)):
                    used.update((len(code), int(code)) for code in mine)
                    return drawn

    patch.setattr(codes, "digits", digits)
    patch.setattr(totp, "new_secret", secret)
