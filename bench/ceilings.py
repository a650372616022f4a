"""What this machine can do at best: the units R and P, and the work that no server can leave out.

CPU time of one process on one core, not time by the clock, so that other jobs disturb it little; and the same with
every core at it, because cores share caches and memory: Argon2id notices. The empty application says what a request
costs before anything is done for it.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from bench.scenarios import Work

BATCHES = 9
BATCH_SECONDS = 0.06


@dataclass(frozen=True)
class Ceilings:
    """Microseconds of one core for one of each; `busy` with every core at it."""

    cores: int
    rsa_sign: float
    rsa_verify: float
    argon2id: float
    argon2id_busy: float
    srp: float
    python_busy: float
    """The unit P: a fixed piece of Python that goes through more memory than a cache holds."""
    http: dict[str, float]
    """By server: one request to an empty application."""

    @property
    def r(self) -> float:
        """The unit of all budgets."""
        return self.rsa_sign

    def of(self, work: Work, *, requests: int, server: str | None) -> float:
        """The least that a conversation can cost, in microseconds of one core."""
        must = work.signatures * self.rsa_sign + work.verifications * self.rsa_verify + work.srp * self.srp
        return must + work.hashes * self.argon2id_busy + requests * self.http.get(server or "", 0.0)

    def per_second(self, microseconds: float) -> float:
        """How often all cores together can do what takes one of them so long."""
        return self.cores * 1e6 / microseconds if microseconds else float("inf")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def measure(seconds: float) -> Ceilings:
    """Some seconds of arithmetic; fewer where each scenario gets only a moment too."""
    batch = min(BATCH_SECONDS, seconds / 40)
    alone = _in_processes(1, ("rsa_sign", "rsa_verify", "argon2id", "srp"), batch)[0]
    together = _in_processes(cores(), ("argon2id", "python"), batch)
    return Ceilings(
        cores=cores(),
        argon2id_busy=statistics.mean(found["argon2id"] for found in together),
        python_busy=statistics.mean(found["python"] for found in together),
        http={},
        **alone,
    )


def empty(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The empty application: an answer as long as a JWKS of two keys, ready before anybody asked."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
    return [_BODY]


_BODY = b'{"keys":"' + b"x" * 900 + b'"}'


def _rsa() -> tuple[rsa.RSAPrivateKey, bytes]:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048), b"x" * 700


def _rsa_sign() -> Callable[[], object]:
    key, text = _rsa()
    padding, digest = PKCS1v15(), SHA256()
    return lambda: key.sign(text, padding, digest)


def _rsa_verify() -> Callable[[], object]:
    key, text = _rsa()
    padding, digest = PKCS1v15(), SHA256()
    signature, public = key.sign(text, padding, digest), key.public_key()
    return lambda: public.verify(signature, text, padding, digest)


def _argon2id() -> Callable[[], object]:
    # Late, as below: `empty` is served from this file, by a server that should be no larger than it has to be.
    from app.config import Settings
    from app.crypto.passwords import Hasher

    # The parameters of a server that was told nothing else.
    settings = Settings()
    hasher = Hasher(
        memory_kib=settings.argon2_memory_kib,
        time_cost=settings.argon2_time,
        parallelism=settings.argon2_parallelism,
        at_once=1,
        wait_seconds=1,
    )
    encoded = hasher.hash("correct horse")
    return lambda: hasher.verify(encoded, "correct horse")


def _srp() -> Callable[[], object]:
    from app.crypto import srp

    verifier = srp.verifier("pool", "user", "password", srp.new_salt())
    public = f"{pow(srp.g, srp.server_ephemeral(), srp.N):x}"

    def both_steps() -> bytes:
        b = srp.server_ephemeral()
        return srp.session_key(verifier=verifier, b=b, A=public, B=srp.server_public(verifier, b))

    return both_steps


def _python() -> Callable[[], object]:
    """What a request makes Python do, without a request: look things up that are far from each other, make small
    objects, and put them into text. A signature works in a few kilobytes and is as fast when other tenants have emptied
    the caches; Python then takes up to twice as long."""
    things = [_Thing(number, f"name {number * 7919 % THINGS}", {"of": number}) for number in range(THINGS)]
    by_name = {thing.name: thing for thing in things}
    place = 0

    def walk() -> int:
        nonlocal place
        seen = 0
        for _ in range(STEPS):
            place = (place * 1103515245 + 12345) % 2147483648
            thing = by_name[things[place % THINGS].name]
            copied = dict(thing.known, name=thing.name, number=thing.number + 1)
            seen += len(f"{copied['name']}:{copied['number']}:{len(copied)}")
        return seen

    return walk


@dataclass
class _Thing:
    number: int
    name: str
    known: dict[str, int]


THINGS = 100_000
"""Some 40 MB."""
STEPS = 200
"""Of one walk."""

_WORK = {"rsa_sign": _rsa_sign, "rsa_verify": _rsa_verify, "argon2id": _argon2id, "srp": _srp, "python": _python}


def _once(names: tuple[str, ...], seconds: float) -> dict[str, float]:
    return {name: _microseconds(_WORK[name](), seconds) for name in names}


def _microseconds(act: Callable[[], object], seconds: float) -> float:
    """CPU microseconds of one call: the median of some batches, the first of which only warms up."""
    found = []
    size = 1
    for batch in range(BATCHES + 1):
        before, end = time.process_time(), time.monotonic() + seconds
        done = 0
        while time.monotonic() < end:
            for _ in range(size):
                act()
            done += size
        used = time.process_time() - before
        if batch:
            found.append(used / done * 1e6)
        # Looking at the clock should not be what is measured.
        size = max(1, min(1000, done // 20))
    return statistics.median(found)


def _in_processes(count: int, names: tuple[str, ...], seconds: float) -> list[dict[str, float]]:
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(_once, names, seconds) for _ in range(count)]
        return [one.result() for one in asked]
