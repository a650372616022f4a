"""What the parts of the machine hand to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.env import Origin
from app.models import Attempt, Client, Password, User


@dataclass(frozen=True)
class SignIn:
    """A sign-in under way, as a challenge sees it. `user` is None where the name means nobody: the challenge then
    does the same work for nothing."""

    client: Client
    flow: str
    name: str
    """As it was typed, or as a step before handed it back."""
    user: User | None
    password: Password | None
    failures: str
    """The counter of failures (accounts.lockout)."""
    origin: Origin
    proven: tuple[str, ...] = ()
    attempt: Attempt | None = None
    """The row that waited for this answer, where there was one."""


@dataclass(frozen=True)
class Proof:
    """A challenge was met. `write` does what follows from it, inside the transaction that accepts the step."""

    user: User
    password: Password | None
    write: Callable[[User], None] | None = None
    """Called with the user's row, locked."""


@dataclass(frozen=True)
class Ask:
    """Answer this next. `handle` is the session to come back with; None where the params carry the state."""

    challenge: str
    params: Mapping[str, str]
    handle: str | None


@dataclass(frozen=True)
class Granted:
    """Who, when and how; never what for. Nothing of it is written down yet: `flow.settle` does that, in the
    transaction of whoever turns it into tokens or a browser session."""

    user: User
    auth_time: datetime
    proven: tuple[str, ...]
    sign_in: SignIn
    proof: Proof


Step = Ask | Granted
