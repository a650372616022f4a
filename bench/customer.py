"""The server with a customer's code in it: the three functions of CUSTOM_AUTH, which ask one question.

Measured is what the server does around them: a trigger of this process costs a call, one over the wire would cost what
the wire does.
"""

from __future__ import annotations

from functools import partial

from app import create_app, installation, triggers
from app.background import Background
from app.cli import main
from app.server import worker
from app.triggers import events

QUESTION, ANSWER = "6 x 7", "42"


def _define(question: events.DefineAuthChallenge) -> events.Defined:
    if question.session and question.session[-1].correct:
        return events.Defined(issue_tokens=True)
    return events.Defined(challenge="CUSTOM_CHALLENGE", fail=len(question.session) > 2)


FUNCTIONS = triggers.Functions(
    {
        triggers.DEFINE: _define,
        triggers.CREATE: lambda question: events.Created(public={"question": QUESTION}, private={"answer": ANSWER}),
        triggers.VERIFY: lambda question: events.Verified(question.answer == question.private["answer"]),
    }
)


def serve() -> None:
    """`cognate`, with the arguments of this process, whose workers make their application with the functions."""
    worker.create_app = partial(create_app, triggers=FUNCTIONS)  # type: ignore[attr-defined]
    main()


def __getattr__(name: str) -> object:
    """`app`, for gunicorn, which imports this module in each worker."""
    if name != "app":
        raise AttributeError(name)
    app = create_app(background=Background(), triggers=FUNCTIONS)
    installation.demand_ready(app)
    return app
