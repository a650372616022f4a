"""Proofs of work: a browser pays with a second of its time for requests that a rule of its pool holds to be suspicious.

A challenge is `<difficulty>.<lifetime>.<seconds since 1970>.<random>.<signature>`, and solved by a number whose
SHA-256, together with the challenge, begins with so many zero bits. For a solution there is a pass,
`<difficulty>.<seconds since 1970>.<random>.<signature>`, which the browser shows as a cookie. The signatures are keyed
hashes over the pool and the prefix of the address too: neither can be used at another pool, or from elsewhere.

Nothing is remembered. A pass is made of its challenge alone, and its time is that of the challenge: who sends a
solution twice gets the same pass twice, which is worth as much as a copy of the cookie. A pass can be shared within its
prefix for as long as it counts. What that may cost is bounded by rates, which come before or after the proof in the
rules.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from app.crypto.seal import same
from app.env import Env
from app.models import Pool
from app.policy.request_rules import prefix

SOLVED_WITHIN = 600
"""Seconds. The slowest phone has to find a solution, and somebody may open the page in a tab behind others."""
CLOCKS_DIFFER = 60
"""Seconds by which the clocks of two hosts may differ: what is made later than now is not taken, beyond that."""

_CHALLENGE = re.compile(r"([0-9]{1,2})\.([0-9]{1,5})\.([0-9]{10})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")
_PASS = re.compile(r"([0-9]{1,2})\.([0-9]{10})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")
_NUMBER = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True)
class Pass:
    """What a browser gets for a solution, and how long it is to keep it."""

    value: str
    seconds: int


def challenge(env: Env, pool: Pool, address: str, *, difficulty: int, lifetime: int) -> str:
    """A new one. No statement, and nothing is kept."""
    said = f"{difficulty}.{lifetime}.{_now(env):010}.{env.random.token(16)}"
    return f"{said}.{_signature(env, 'proof of work, challenge', pool, address, said)}"


def exchanged(env: Env, pool: Pool, address: str, *, challenge: str, number: str) -> Pass | None:
    """The pass for a solution; None for what is no solution, or not of a challenge that was given to this prefix for
    this pool a short time ago."""
    found = _CHALLENGE.fullmatch(challenge)
    if found is None or not _NUMBER.fullmatch(number):
        return None
    difficulty, lifetime, made, random, signature = found.groups()
    said = f"{difficulty}.{lifetime}.{made}.{random}"
    if not same(signature, _signature(env, "proof of work, challenge", pool, address, said)):
        return None
    if not _young(env, int(made), SOLVED_WITHIN) or zero_bits(challenge, number) < int(difficulty):
        return None
    said = f"{difficulty}.{made}.{random}"
    return Pass(f"{said}.{_signature(env, 'proof of work, pass', pool, address, said)}", int(lifetime))


def proven(env: Env, pool: Pool, address: str, *, given: str, difficulty: int, lifetime: int) -> bool:
    """Whether a pass is ours, of this pool and prefix, and good enough for a rule: one that was made for less work is
    not, nor one that is older than the rule says now."""
    found = _PASS.fullmatch(given)
    if found is None:
        return False
    worked, made, random, signature = found.groups()
    if int(worked) < difficulty or not _young(env, int(made), lifetime):
        return False
    said = f"{worked}.{made}.{random}"
    return same(signature, _signature(env, "proof of work, pass", pool, address, said))


def zero_bits(challenge: str, number: str) -> int:
    """How many bits of 0 the hash begins with."""
    digest = hashlib.sha256(f"{challenge}.{number}".encode("ascii")).digest()
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length()


def _now(env: Env) -> int:
    return int(env.now().timestamp())


def _young(env: Env, made: int, seconds: int) -> bool:
    return -CLOCKS_DIFFER <= _now(env) - made <= seconds


def _signature(env: Env, purpose: str, pool: Pool, address: str, said: str) -> str:
    return env.keyed.digest(purpose, f"{pool.id} {prefix(address)} {said}")
