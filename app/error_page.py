"""The error page, for every door that has to answer a browser which cannot be sent back to its application.

What the request named and what is registered instead goes to the log, in every mode, and onto the page in development
only: to a stranger it would tell how a client is set up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flask import Flask, Response, current_app

from app import errors
from app.env import Env
from app.logs import quoted
from app.models import Client, Pool
from app.pools import app_clients, find

log = logging.getLogger(__name__)

TOLD = 20
"""Registered values that a line of the log, or a list of a pool's clients, shows at most."""


@dataclass(frozen=True)
class Mismatch:
    """A value of the request that is not among those that are registered."""

    parameter: str
    """Its name in the request."""
    given: str
    of: str
    """Where it is not registered, such as `the CallbackURLs of the client "App" (1a2b3c)`."""
    registered: tuple[str, ...]
    """Empty where nothing is, and for a client_id in production, where the others are nobody's business."""
    advice: str

    def __str__(self) -> str:
        shown = ", ".join(quoted(one) for one in self.registered[:TOLD]) or "nothing"
        more = len(self.registered) - TOLD
        listed = shown if more <= 0 else f"{shown} and {more} more"
        told = "" if self.parameter == "client_id" else f"; registered: {listed}"
        return f"{self.parameter} {quoted(self.given)} is not one of {self.of}{told}. {self.advice}"


Draw = Callable[[str, Mismatch | None, int | None], Response]
Demand = Callable[[errors.ProofOfWorkDemanded], Response]


def drawn_by(app: Flask, draw: Draw, demand: Demand) -> None:
    """Say who draws the page, and the one that demands a proof of work in the place of another. (The door for people
    does; doors do not import one another.)"""
    app.extensions["cognate_error_page"] = draw
    app.extensions["cognate_demand"] = demand


def answer(code: str, mismatch: Mismatch | None = None, retry_after: int | None = None) -> Response:
    """The error page that has words for this code, with status 400 or what else its words say, and after how many
    seconds to try again."""
    if mismatch is not None:
        log.warning("%s: %s", code, mismatch)
    draw: Draw = current_app.extensions["cognate_error_page"]
    return draw(code, mismatch, retry_after)


def denied(refusal: errors.Forbidden) -> Response:
    """What a request gets in the place of a page that the rules of the pool refuse it."""
    if isinstance(refusal, errors.ProofOfWorkDemanded):
        demand: Demand = current_app.extensions["cognate_demand"]
        return demand(refusal)
    wait = refusal.retry_after
    return answer("denied") if wait is None else answer("denied_for_now", retry_after=wait)


def unknown_client(env: Env, pool: Pool, client_id: str) -> Mismatch:
    try:
        found = find.client(env, client_id)
        # It may be one that the same people use elsewhere; whose it is, is for the log and for development.
        advice = f"It is a client of the pool {found.pool_id}: the request went to another pool's address."
    except errors.UnknownClient:
        advice = f"`cognate client list {pool.id}` shows those that there are."
    known: Iterable[Client] = ()
    if env.settings.development:
        known = app_clients.listed(env, pool, limit=TOLD, token=None, kind=None).rows
    return Mismatch(
        "client_id",
        client_id,
        f"the clients of the pool {pool.id}",
        tuple(f"{one.id} ({one.name})" for one in known),
        advice,
    )


def redirect_uri(client: Client, given: str) -> Mismatch:
    return _uri("redirect_uri", client, given, client.callback_urls, "CallbackURLs")


def logout_uri(client: Client, given: str, *, parameter: str = "logout_uri") -> Mismatch:
    return _uri(parameter, client, given, client.logout_urls, "LogoutURLs")


def _uri(parameter: str, client: Client, given: str, registered: Iterable[str], setting: str) -> Mismatch:
    return Mismatch(
        parameter,
        given,
        f"the {setting} of the client {quoted(client.name)} ({client.id})",
        tuple(registered),
        "URLs are compared character by character, except for the port of a loopback address.",
    )
