"""`python -m bench.enumeration`: can a stranger tell by the time of an answer who has an account?

Where a client hides who exists (PreventUserExistenceErrors), answers are the same word for word; what is left is how
long they take. Each operation is asked about people who exist and names that mean nobody, at random, one at a time
over one connection, as somebody would who listens closely. No name is asked twice by one operation: after a few tries
the limits answer, and those treat all names alike.

The measure is the probability that a random answer about somebody took longer than a random one about nobody (the
area under the ROC curve; Mann and Whitney's U). At 0.5 nothing can be told; at 1 or 0 one answer tells.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import secrets
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from bench.srp import N, g
from bench.target import NotStarted, Target, started
from tests import postgres
from tests.messaging import mail_server

SHOWS = 0.6
"""From here on (and below 1 less it) the difference is called one: so far from the middle chance does not reach with
200 tries each, of which the standard error is 0.029."""
WRONG_CODE = "wrong!"
PASSWORD = "Unlikely-horse-7"  # noqa: S105


@dataclass(frozen=True)
class Question:
    """What is asked about a name. `known` says among which people: `confirmed`, or `signed_up` and not yet; in another
    pool, those with `choices` of a first factor, or whom the `customer` asks."""

    title: str
    operation: str
    known: str
    members: Callable[[str], Mapping[str, Any]]


def _flow(flow: str, **given: str) -> Callable[[str], Mapping[str, Any]]:
    return lambda name: {"AuthFlow": flow, "AuthParameters": {"USERNAME": name, **given}}


def _named(**given: str) -> Callable[[str], Mapping[str, Any]]:
    return lambda name: {"Username": name, **given}


ELSEWHERE = ("choices", "customer")
"""Pools beside the demo's."""
QUESTIONS = (
    Question("a wrong password", "InitiateAuth", "confirmed", _flow("USER_PASSWORD_AUTH", PASSWORD="wrong")),
    Question("SRP, first step", "InitiateAuth", "confirmed", _flow("USER_SRP_AUTH", SRP_A=f"{pow(g, 65537, N):x}")),
    Question("USER_AUTH, the choice", "InitiateAuth", "choices", _flow("USER_AUTH")),
    Question(
        "USER_AUTH, a code by e-mail", "InitiateAuth", "choices", _flow("USER_AUTH", PREFERRED_CHALLENGE="EMAIL_OTP")
    ),
    Question("CUSTOM_AUTH", "InitiateAuth", "customer", _flow("CUSTOM_AUTH")),
    Question("ForgotPassword", "ForgotPassword", "confirmed", _named()),
    Question(
        "ConfirmForgotPassword, a code waits",
        "ConfirmForgotPassword",
        "confirmed",
        _named(ConfirmationCode=WRONG_CODE, Password=PASSWORD),
    ),
    Question("ResendConfirmationCode, confirmed", "ResendConfirmationCode", "confirmed", _named()),
    Question("ResendConfirmationCode", "ResendConfirmationCode", "signed_up", _named()),
    Question("ConfirmSignUp, confirmed", "ConfirmSignUp", "confirmed", _named(ConfirmationCode=WRONG_CODE)),
    Question("ConfirmSignUp, a code waits", "ConfirmSignUp", "signed_up", _named(ConfirmationCode=WRONG_CODE)),
)


@dataclass(frozen=True)
class Times:
    """Seconds that answers took."""

    somebody: list[float]
    nobody: list[float]

    @property
    def auc(self) -> float:
        """How probably one about somebody takes longer than one about nobody; ties count half."""
        below = sorted(self.nobody)
        wins = sum(bisect_left(below, one) + bisect_right(below, one) for one in self.somebody)
        return wins / (2 * len(self.somebody) * len(self.nobody))

    @property
    def error(self) -> float:
        """Standard error of `auc` where nothing can be told."""
        n, m = len(self.somebody), len(self.nobody)
        return sqrt((n + m + 1) / (12 * n * m))


class Caller:
    """One connection to the JSON API."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def close(self) -> None:
        self._connection.close()

    def ask(self, client_id: str, operation: str, members: Mapping[str, Any]) -> tuple[float, int, dict[str, Any]]:
        """Seconds, status and body of an answer."""
        body = json.dumps({"ClientId": client_id, **members})
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        }
        began = time.perf_counter()
        self._connection.request("POST", "/", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return time.perf_counter() - began, answer.status, json.loads(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Status 1 when answers differ in anything but time."""
    options = _parse(arguments)
    try:
        with _database(options.database) as url, _mail(options.mail) as settings:
            with started("granian", url, settings=settings, users=options.tries + 1) as target:
                return _measure(target, options.tries, random.Random(options.seed))  # noqa: S311 - an order
    except (NotStarted, postgres.NotFound, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.enumeration", description="Can answers be told by their time?")
    parser.add_argument(
        "--tries", type=int, default=200, help="of each operation, about somebody and about nobody (200)"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--mail", choices=["smtp", "none"], default="smtp", help="to a mail server here, or nowhere")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the order of the questions")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _database(name: str) -> Iterator[str | None]:
    if name == "sqlite":
        yield None
        return
    with postgres.start() as server:
        yield server.create("enumeration")


@contextlib.contextmanager
def _mail(kind: str) -> Iterator[dict[str, str]]:
    """Settings of the server for the mail server that runs meanwhile: the nearest there can be."""
    if kind == "none":
        yield {}
        return
    with mail_server.running() as mail:
        yield {"smtp_host": "127.0.0.1", "smtp_port": str(mail.port), "smtp_tls": "none"}


def _measure(target: Target, tries: int, order: random.Random) -> int:
    with contextlib.closing(Caller(target.url)) as caller:
        return _compare(caller, target, tries, order)


def _compare(caller: Caller, target: Target, tries: int, order: random.Random) -> int:
    facts = target.facts
    here = facts["clients"]["spa"]["client_id"]
    clients = {pool: facts[pool]["clients"]["spa"]["client_id"] for pool in ELSEWHERE}
    people = {
        "confirmed": [user["username"] for user in facts["users"][1:]],
        "signed_up": [_signed_up(caller, here, number) for number in range(tries)],
        **{pool: [user["username"] for user in facts[pool]["users"][:tries]] for pool in ELSEWHERE},
    }
    print(f"{'':36}{'somebody, ms':^24}{'nobody, ms':^24}")
    print(f"{'':36}" + f"{'p10':>8}{'p50':>8}{'p90':>8}" * 2 + f"{'AUC':>8}")
    differs = False
    for number, question in enumerate(QUESTIONS):
        # As long and as varied as the names of those who exist.
        strangers = [
            f"{name.rstrip('0123456789')}{n + 5000 + 1000 * number}" for n, name in enumerate(people["confirmed"])
        ]
        client_id = clients.get(question.known, here)
        times, answers = _asked(caller, client_id, question, people[question.known], strangers, order)
        told = "" if 1 - SHOWS < times.auc < SHOWS else "  can be told"
        columns = "".join(f"{1000 * value:8.2f}" for side in (times.somebody, times.nobody) for value in _spread(side))
        print(f"{question.title:36}{columns}{times.auc:8.3f}{told}", flush=True)
        if len(answers) > 1:
            differs = True
            print(f"  answers differ: {answers}")
    print(f"\nStandard error of the AUC: {times.error:.3f}; {tries} tries of each.")
    return 1 if differs else 0


def _asked(
    caller: Caller,
    client_id: str,
    question: Question,
    known: Sequence[str],
    strangers: Sequence[str],
    order: random.Random,
) -> tuple[Times, set[tuple[int, str]]]:
    names = [(True, name) for name in known] + [(False, name) for name in strangers]
    order.shuffle(names)
    times, answers = Times([], []), set()
    for somebody, name in names:
        seconds, status, said = caller.ask(client_id, question.operation, question.members(name))
        (times.somebody if somebody else times.nobody).append(seconds)
        answers.add((status, str(said.get("__type") or sorted(said))))
    return times, answers


def _signed_up(caller: Caller, client_id: str, number: int) -> str:
    name = f"fresh{number}"
    email = {"Name": "email", "Value": f"{name}@example.com"}
    given = {"Username": name, "Password": PASSWORD, "UserAttributes": [email]}
    _, status, said = caller.ask(client_id, "SignUp", given)
    if status != 200 and said.get("__type") != "CodeDeliveryFailureException":
        raise NotStarted(f"nobody can sign up: {said}")
    return name


def _spread(seconds: Sequence[float]) -> tuple[float, float, float]:
    tenths = quantiles(seconds, n=10, method="inclusive")
    return tenths[0], tenths[4], tenths[8]


if __name__ == "__main__":
    sys.exit(main())
