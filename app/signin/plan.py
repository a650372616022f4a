"""What is asked next: the only place that decides it. Pure, so that a table can test it."""

from __future__ import annotations

from app.models import User

FIRST = {
    "USER_PASSWORD_AUTH": "PASSWORD",
    "USER_SRP_AUTH": "PASSWORD_VERIFIER",
    "HOSTED_PAGES": "PASSWORD",
}
"""The first challenge of each flow."""


def next_challenge(user: User, proven: tuple[str, ...]) -> str | None:
    """The challenge after those that were met; None when the sign-in is complete."""
    if user.status == "FORCE_CHANGE_PASSWORD" and "NEW_PASSWORD_REQUIRED" not in proven:
        return "NEW_PASSWORD_REQUIRED"
    return None
