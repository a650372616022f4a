"""What the parts of the machine hand to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.accounts.lockout import Counter
from app.env import Env, Origin
from app.models import Attempt, Client, Device, Password, Pool, User
from app.signin import plan

HELD = "held"
"""Note: first factors that the user has, where more are offered."""


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
    failures: Counter
    origin: Origin
    proven: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()
    """The same, with what tokens.assurance has to know beside it (accounts.factors.judged)."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What earlier steps left for later ones."""
    device_key: str | None = None
    """As the client sent it; nothing is known of it."""
    device: Device | None = None
    """The user's device of that key, looked up when he has proven himself. It has proven nothing yet."""
    attempt: Attempt | None = None
    """The row that waited for this answer, where there was one."""
    used: bool = False
    """Whether that row has been used up already."""

    @property
    def pool(self) -> Pool:
        return self.client.pool

    @property
    def hides(self) -> bool:
        """Whether whoever has proven nothing must not learn who exists. At the pages nobody does."""
        return self.client.hides_users or self.flow == plan.PAGES

    def has(self, choice: str) -> bool:
        """Whether the user has a first factor, where what is offered does not tell."""
        return choice in self.notes.get(HELD, (choice,))


@dataclass(frozen=True)
class Asked:
    """What a challenge tells whoever must answer it, and what it wants to find again with the answer."""

    params: Mapping[str, str]
    notes: Mapping[str, Any] = field(default_factory=dict)
    write: Callable[[], None] | None = None
    """Inside the transaction that writes down what is asked; what it sends waits for the commit."""


@dataclass(frozen=True)
class Proof:
    """A challenge was met. `write` does what follows from it, inside the transaction that accepts the step."""

    user: User
    password: Password | None
    write: Callable[[User], None] | None = None
    """Called with the user, whose row is locked."""
    changes_user: bool = False
    """Whether `write` changes that row: it is then given the ORM's object, and what follows sees the change."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """For the challenges after it."""
    met: tuple[str, ...] = ()
    """Names of what was met, where that is not the challenge alone."""


@dataclass(frozen=True)
class Chosen:
    """What was answered is which first factor is to be asked for. It proves nothing."""

    choice: str
    """In the words of PREFERRED_CHALLENGE."""


@dataclass(frozen=True)
class Judged:
    """The customer's code has looked at the answer. What follows from it, it says as well: also of a right one."""

    correct: bool


Answer = Proof | Chosen | Judged


class Challenge(Protocol):
    """What a module of `challenges` has. Both functions are called with no transaction open, where reading and slow
    work belong; they know neither what came before nor what comes next."""

    NAME: str

    @property
    def NEEDS(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """Parameters without which an answer is refused, before anything is counted."""

    GUESSABLE: bool
    """Whether a wrong answer may be a guess, so that each one counts against the lock."""

    def ask(self, env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked: ...

    def answer(self, env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Answer: ...


@dataclass(frozen=True)
class Ask:
    """Answer this next. `handle` is the session to come back with; None where the params carry the state."""

    challenge: str
    params: Mapping[str, str]
    handle: str | None
    available: tuple[str, ...] = ()
    """First factors that could be chosen, in the flow where there is a choice."""


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
