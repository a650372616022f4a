"""What is asked of each trigger, and what may come back (reference: 9.4): a question and a verdict for each.

In our own words; how they are spelled on the wire is for whoever carries them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Person:
    """Whom a question is about, and where."""

    pool_id: str
    client_id: str
    username: str
    """For a name that means nobody, as it was typed."""
    attributes: Mapping[str, str]
    """With `sub` and `cognito:user_status`; none of nobody's."""
    found: bool
    """False where the name means nobody, and the client must not learn that."""


@dataclass(frozen=True)
class Answered:
    """A challenge of this sign-in that has been answered."""

    challenge: str
    correct: bool
    metadata: str | None = None
    """What CreateAuthChallenge said of it."""


@dataclass(frozen=True)
class DefineAuthChallenge:
    """What comes next?"""

    who: Person
    session: tuple[Answered, ...]
    client_metadata: Mapping[str, str]


@dataclass(frozen=True)
class Defined:
    """The next challenge, or tokens, or no. A no goes before all else, and tokens before a challenge."""

    challenge: str | None = None
    issue_tokens: bool = False
    fail: bool = False

    def sound(self) -> bool:
        """Whether all is of the type that it says; for this and the verdicts that follow."""
        return _text(self.challenge) and isinstance(self.issue_tokens, bool) and isinstance(self.fail, bool)


@dataclass(frozen=True)
class CreateAuthChallenge:
    """What is the user to be asked?"""

    who: Person
    challenge: str
    session: tuple[Answered, ...]
    client_metadata: Mapping[str, str]


@dataclass(frozen=True)
class Created:
    public: Mapping[str, str] = field(default_factory=dict)
    """For whoever must answer."""
    private: Mapping[str, str] = field(default_factory=dict)
    """For whoever judges the answer; the client never sees it."""
    metadata: str | None = None

    def sound(self) -> bool:
        return _texts(self.public) and _texts(self.private) and _text(self.metadata)


@dataclass(frozen=True)
class VerifyAuthChallengeResponse:
    """Is the answer right?"""

    who: Person
    private: Mapping[str, str]
    answer: str
    client_metadata: Mapping[str, str]


@dataclass(frozen=True)
class Verified:
    correct: bool = False

    def sound(self) -> bool:
        return isinstance(self.correct, bool)


def _text(value: object) -> bool:
    """It may be written down, and PostgreSQL keeps no character 0."""
    return value is None or (isinstance(value, str) and "\0" not in value)


def _texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
