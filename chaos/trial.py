"""One fault, from the undisturbed server to what is left when all is over: phases, claims, and the verdict of both."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.scenarios import Jwks, Password, Refresh, Scenario, UserInfo
from bench.site import Site
from chaos import load as loads
from chaos.conversations import Codes, MailedSignUp, SignUp, lost
from chaos.load import Figures, Load, figures
from chaos.postgresql import Cluster
from chaos.processes import WITHIN, until
from chaos.server import Cognate, Prepared, Seeds

Database = Literal["SQLite", "PostgreSQL"]
UNDISTURBED, DISTURBED, RECOVERED = "undisturbed", "with the fault", "recovered"
PROMISING = {one.name for one in (SignUp, MailedSignUp, Codes)}
"""Conversations that acknowledge what has to be there afterwards."""
Paces = Sequence[tuple[Scenario, float]]


class NotPossible(Exception):
    """Something that this machine or this server has not; the text says what."""


@dataclass(frozen=True)
class Claim:
    """A sentence that holds or does not."""

    text: str
    holds: bool
    measured: str = ""
    timed: bool = False
    """Whether it is about time, and so also about the machine and what else runs there. What is left are facts."""


@dataclass
class Finding:
    """What was seen of one fault."""

    fault: str
    database: str
    phases: dict[str, Figures] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_possible: str = ""

    @property
    def verdict(self) -> str:
        if self.not_possible:
            return "skipped"
        return "PASS" if self.claims and all(claim.holds for claim in self.claims) else "FAIL"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


@dataclass(frozen=True)
class Durations:
    """Seconds."""

    calm: float
    """Of the undisturbed phase, and of the recovered one."""
    harm: float
    """That a fault lasts which ends by being lifted."""
    share: float
    """Of the usual load: where facts are looked at, it must not be more than a busy machine can take."""


LONG, SHORT = Durations(8, 15, 1.0), Durations(1.5, 2.5, 0.5)


@dataclass
class Trial:
    """What a story about a fault works with."""

    program: Path
    seeds: Seeds
    home: Path
    finding: Finding
    short: bool
    _stack: contextlib.ExitStack
    _spans: dict[str, tuple[float, float, tuple[str, ...]]] = field(default_factory=dict)
    server: Cognate = field(init=False)
    prepared: Prepared = field(init=False)
    site: Site = field(init=False)
    load: Load = field(init=False)
    _kinds: tuple[str, ...] = ()

    @property
    def durations(self) -> Durations:
        return SHORT if self.short else LONG

    # -- the world ---------------------------------------------------------------------------------------------

    def prepare(self) -> Prepared:
        """Seeded data, with a PostgreSQL server that runs."""
        self.prepared = self.seeds.copy(self.finding.database)
        if self.prepared.cluster is not None:
            self._stack.callback(self.prepared.cluster.stop)
            self.prepared.cluster.start()
        return self.prepared

    def also_stop(self, cluster: Cluster) -> None:
        """When the trial is over."""
        self._stack.callback(cluster.stop)

    def serve(
        self, database_url: str | None = None, environ: Mapping[str, str] | None = None, /, **settings: str
    ) -> Cognate:
        """A server, prepared and started, that is gone when the trial is over."""
        if not hasattr(self, "prepared"):
            self.prepare()
        self.server = self.serve_also(database_url, environ, **settings)
        if "tls_certificate" not in settings and "base_url" not in settings:
            self.site = self.server.site()
        return self.server

    def serve_also(
        self, database_url: str | None = None, environ: Mapping[str, str] | None = None, /, **settings: str
    ) -> Cognate:
        """Another server on the same data."""
        cluster = self.prepared.cluster
        url = database_url or (cluster.url if cluster else None)
        server = Cognate(self.program, self.prepared.directory, url, settings, environ)
        self._stack.callback(server.stop)
        server.start()
        return server

    def usual(self) -> Paces:
        """A little of all that an installation does."""
        site = self.site
        paces: Paces = [
            (Jwks(site), 8),
            (UserInfo(site), 8),
            (Refresh(site), 4),
            (Password(site), 3),
            (SignUp(site), 2),
            (Codes(site), 3),
        ]
        return [(scenario, self.durations.share * pace) for scenario, pace in paces]

    def ask(self, paces: Paces | None = None, **more: Any) -> Load:
        """Begin to ask. The kinds that are asked now are those that figures and claims are about."""
        chosen = paces or self.usual()
        self.load = self._stack.enter_context(loads.load(self.site.address, chosen, **more))
        self._kinds = tuple(scenario.name for scenario, _ in chosen)
        return self.load

    def ask_also(self, paces: Paces, **more: Any) -> contextlib.AbstractContextManager[Load]:
        """Ask something that is beside the figures."""
        return loads.load(self.site.address, paces, **more)

    # -- phases ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def phase(self, name: str, *kinds: str) -> Iterator[None]:
        """What begins meanwhile are the figures of this name."""
        begin = time.monotonic()
        yield
        self._spans[name] = (begin, time.monotonic(), kinds or self._kinds)

    def undisturbed(self, seconds: float | None = None) -> None:
        with self.phase(UNDISTURBED):
            time.sleep(seconds or self.durations.calm)

    def disturbed(self, *kinds: str) -> contextlib.AbstractContextManager[None]:
        return self.phase(DISTURBED, *kinds)

    def settles(self, since: float, *, within: float = WITHIN) -> float | None:
        """Seconds until all was answered again; None if that does not come."""
        return self.load.settled(since, within=within)

    def recovers(self, since: float, *, target: float) -> None:
        """The end of most stories: it answers again, all of it, in time, and what it acknowledged is there."""
        seconds = self.settles(since)
        self.claim("it answers again", seconds is not None)
        if seconds is not None:
            self.claim(f"within {target:g} s", seconds <= target, f"{seconds:.1f} s", timed=True)
            with self.phase(RECOVERED):
                time.sleep(self.durations.calm)
        self.load.stop()
        if seconds is not None:
            after = self.figures(RECOVERED)
            self.claim("then none fails", after.failed == 0, failures(after))
            self.claim("and none is refused", after.refused == 0, f"{after.refused} of {after.asked}", timed=True)
        self.nothing_is_lost()

    def figures(self, name: str, *kinds: str) -> Figures:
        """Of a phase that is over, as far as requests have ended."""
        begin, end, theirs = self._spans[name]
        return figures(self.load.between(begin, end, *(kinds or theirs)))

    # -- claims ------------------------------------------------------------------------------------------------

    def claim(self, text: str, holds: bool, measured: str = "", *, timed: bool = False) -> None:
        self.finding.claims.append(Claim(text, bool(holds), measured, timed))

    def note(self, text: str) -> None:
        self.finding.notes.append(text)

    def nothing_is_lost(self) -> None:
        """Looks for all that was acknowledged, at the server as it is now."""
        acknowledged = self.load.acknowledged
        if not PROMISING & set(self._kinds):
            return
        what = "nothing acknowledged is lost"
        if not self.server.running or not until(self.server.answers):
            self.claim(what, False, "it cannot be asked")
            return
        gone = lost(self.site, acknowledged)
        found = f"{len(gone)} of {len(acknowledged)}" + "".join(f", a {one.what}" for one in gone[:3])
        self.claim(what, not gone and bool(acknowledged), found)

    def worker_count(self, before: int) -> None:
        """As many workers as there were."""
        self.claim(
            "there are as many workers as before",
            until(lambda: self.server.running and len(self.server.workers()) >= before),
        )

    def no_more_refused(self) -> None:
        """None, where none is refused without the fault: a machine with other things to do refuses some anyway."""
        before, during = self.figures(UNDISTURBED), self.figures(DISTURBED)
        share, usual = (one.refused / max(one.asked, 1) for one in (during, before))
        shown = f"{during.refused} of {during.asked}, undisturbed {before.refused} of {before.asked}"
        self.claim("none is refused that was not before", share <= usual, shown, timed=True)

    def unharmed(self, *, most: float = 2.0, kinds: Sequence[str] = ()) -> None:
        """All others go on as if nothing were: the load has to have been stopped."""
        before, during = self.figures(UNDISTURBED, *kinds), self.figures(DISTURBED, *kinds)
        self.claim("no other request fails", during.failed == 0, failures(during))
        self.no_more_refused()
        if before.p99 is None or during.p99 is None:
            self.claim("others are answered", False)
            return
        self.claim(
            f"p99 of the others at most {most:g} times the undisturbed one",
            during.p99 <= most * before.p99,
            f"{during.p99:.0f} ms beside {before.p99:.0f} ms",
            timed=True,
        )

    def finish(self) -> None:
        """Figures of all phases, from what is known in the end."""
        if hasattr(self, "load"):
            with contextlib.suppress(Exception):
                self.load.stop()
            for name in self._spans:
                self.finding.phases[name] = self.figures(name)


def failures(found: Figures) -> str:
    return f"{found.failed} of {found.asked}" + "".join(f"; {n}x {what}" for what, n in found.troubles.items())


Story = Callable[[Trial], None]


@dataclass(frozen=True)
class Fault:
    """Something that happens to an installation."""

    name: str
    story: Story
    databases: tuple[Database, ...]

    @property
    def about(self) -> str:
        return " ".join((self.story.__doc__ or "").split())


FAULTS: dict[str, Fault] = {}


def fault(name: str, *databases: Database) -> Callable[[Story], Story]:
    """Puts a story on the list; on SQLite, unless others are named."""

    def listed(story: Story) -> Story:
        FAULTS[name] = Fault(name, story, databases or ("SQLite",))
        return story

    return listed


def attempt(chosen: Fault, database: Database, *, program: Path, seeds: Seeds, home: Path, short: bool) -> Finding:
    """Live through a fault. What cannot even be set up is a finding, too."""
    finding = Finding(chosen.name, database)
    trial: Trial | None = None
    try:
        with contextlib.ExitStack() as stack:
            trial = Trial(program, seeds, home, finding, short, stack)
            try:
                chosen.story(trial)
            finally:
                trial.finish()
    except NotPossible as missing:
        finding.not_possible = str(missing)
    except Exception as error:  # a harness that fell is no proof that the server stands
        lines = str(error).strip().splitlines() or [""]
        told = " … ".join(dict.fromkeys(line[:300] for line in (lines[0], lines[-1])))
        finding.claims.append(Claim("the trial can be held", False, f"{type(error).__name__}: {told}"))
    if finding.verdict == "FAIL" and trial is not None and hasattr(trial, "server"):
        finding.notes += [f"log: {line}" for line in trial.server.log_tail()]
    return finding
