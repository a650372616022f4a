"""Many who ask: half of a request, without reading, or for more than there is."""

from __future__ import annotations

import re
import time
from collections import Counter

from bench.ceilings import cores
from bench.load import generators
from bench.scenarios import CodeFlow, Jwks, Password, UserInfo
from bench.site import Site, fetch
from bench.wire import BadAnswer
from chaos import hostile
from chaos.conversations import Healthz
from chaos.hostile import Kind
from chaos.load import figures
from chaos.trial import DISTURBED, UNDISTURBED, Paces, Trial, failures, fault

HALF = 1000
SLOW = 200
TIMES = 5
GOODPUT = 0.9
HONEST = ("429", "503")
REFUSED_WITHIN = 1.0
QUICK = 50.0
"""Milliseconds."""


@fault("half-bodies")
def half_bodies(trial: Trial) -> None:
    """A thousand connections send half a body each, and whenever one is closed, it comes again. Others sign in."""
    _crowded(trial, "half bodies", HALF)


@fault("half-heads")
def half_heads(trial: Trial) -> None:
    """A thousand connections send half a head each, and whenever one is closed, it comes again. Others sign in."""
    _crowded(trial, "half heads", HALF)


@fault("slow-readers")
def slow_readers(trial: Trial) -> None:
    """Two hundred connections ask for much, and read one byte a second. Others sign in."""
    _crowded(trial, "slow readers", SLOW)


def _crowded(trial: Trial, kind: Kind, count: int) -> None:
    hostile.allow_descriptors(4 * HALF)  # inherited by the server
    trial.serve()
    path = _large(trial.site) if kind == "slow readers" else f"/{trial.site.facts['pool_id']}/.well-known/jwks.json"
    trial.ask(_signing_in(trial.site), patience=20)
    trial.undisturbed(2 * trial.durations.calm)
    with hostile.crowd(kind, trial.site.address, count, path) as came:
        with trial.disturbed():
            time.sleep(2 * trial.durations.harm)
    trial.note(f"{came} of {count} connections were open at once")
    trial.recovers(time.monotonic(), target=5)
    trial.unharmed()


def _signing_in(site: Site) -> Paces:
    return [(Password(site), 8), (UserInfo(site), 8), (Jwks(site), 8)]


def _large(site: Site) -> str:
    """The path of the largest file that pages need."""
    client = CodeFlow.client(site)
    query = f"?response_type=code&client_id={client['client_id']}&redirect_uri={client['redirect_uri']}"
    page = fetch(site.address, f"{site.facts['base_url']}/{site.facts['pool_id']}/login{query}").expect(200)
    found = re.search(rb'"(?:https?://[^"/]+)?(/static/[^"]+\.css)"', page.body)
    if not found:
        raise BadAnswer("the page has no style sheet")
    return found[1].decode()


@fault("overload")
def overload(trial: Trial) -> None:
    """Five times as many sign-ins by password as there is capacity for. As many as before are served, the rest is told
    so at once, and whoever needs no password hash does not notice."""
    trial.serve()
    light = [Healthz(trial.site), Jwks(trial.site), UserInfo(trial.site)]
    trial.ask([(scenario, 15) for scenario in light])
    trial.undisturbed(2 * trial.durations.calm)
    capacity = _capacity(trial)
    with trial.ask_also([(Password(trial.site), TIMES * capacity)]) as flood:
        time.sleep(2)
        begin, taken = time.monotonic(), flood.cpu_seconds()
        with trial.disturbed():
            time.sleep(2 * trial.durations.harm)
        end = time.monotonic()
        # A flood comes from elsewhere; this one is made on the machine that is to stand it.
        left = 1 - (flood.cpu_seconds() - taken) / (cores() * (end - begin))
    trial.recovers(end, target=10)
    served = [one for one in flood.asked if one.outcome == "answered" and begin <= one.ended < end]
    goodput = len(served) / (end - begin)
    asked = figures(flood.asked)
    trial.note(f"capacity {capacity:.0f}/s, asked {TIMES * capacity:.0f}/s, served {goodput:.1f}/s: {_told(asked.p99)}")
    trial.note(f"asking took {1 - left:.0%} of the machine, so that {left * capacity:.0f}/s is what is left to serve")
    others = Counter(one.detail for one in flood.asked if one.outcome != "answered" and one.detail not in HONEST)
    shown = ", ".join(f"{count}x {what}" for what, count in others.most_common(3))
    trial.claim("the rest is refused with 429 or 503 and Retry-After", not others, shown)
    trial.claim("some had to be refused", asked.refused > 0, f"{asked.refused} of {asked.asked}")
    share = goodput / (left * capacity)
    trial.claim(f"at least {GOODPUT} of the capacity is served", share >= GOODPUT, f"{share:.2f}", timed=True)
    slowest = max((one.seconds for one in flood.asked if one.outcome == "refused"), default=0.0)
    trial.claim("whoever is refused knows within a second", slowest <= REFUSED_WITHIN, f"{slowest:.2f} s", timed=True)
    during = trial.figures(DISTURBED)
    trial.claim("none of the light requests fails or is refused", during.answered == during.asked, failures(during))
    for scenario in light:
        before, now = (trial.figures(phase, scenario.name).p99 for phase in (UNDISTURBED, DISTURBED))
        shown = f"{_told(now)}, undisturbed {_told(before)}"
        trial.claim(f"p99 of {scenario.name} ≤ {QUICK:g} ms", now is not None and now <= QUICK, shown, timed=True)


def _capacity(trial: Trial) -> float:
    """Sign-ins a second that are served, beside all that is asked already, when just so many ask that none has to be
    refused."""
    with generators(Password(trial.site), processes=1, connections=4 * cores()) as ready:
        outcome, took = ready.run(warm_up=1, seconds=3 if trial.short else 8, limit=100_000, rate=None, at=lambda: None)
    if not outcome.seconds:
        raise BadAnswer(f"the capacity cannot be measured: {'; '.join(outcome.messages) or 'nothing was answered'}")
    return len(outcome.seconds) / took


def _told(milliseconds: float | None) -> str:
    return "none" if milliseconds is None else f"p99 {milliseconds:.0f} ms"
