"""Password hashing: Argon2id (RFC 9106), a bounded number of them at once."""

from __future__ import annotations

import base64
import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import argon2
from argon2.exceptions import HashingError, VerificationError, VerifyMismatchError
from argon2.low_level import error_to_str

from app import errors, metrics, telemetry

_SALT_BYTES = 16
_HASH_BYTES = 32
_LONGEST_NORMALISED = 2048
"""Code points."""
_OUT_OF_MEMORY = error_to_str(-22)  # ARGON2_MEMORY_ALLOCATION_ERROR


def normalise(password: str) -> str:
    """The form in which passwords are hashed: NFKC (NIST SP 800-63B, 3.1.1.2), nothing cut off, case kept.

    One keyboard sends `é` as one code point, another as two; both mean the same password. What is longer than any
    password (policy.passwords) is left as it is: of a text that is all accents, normalising takes the square of its
    length.
    """
    if len(password) > _LONGEST_NORMALISED:
        return password
    return unicodedata.normalize("NFKC", password)


class Hasher:
    """Hashes passwords and checks them. Make one per process: it is the hasher that counts how many run at once.

    Every call normalises the password, takes `memory_kib` of memory and tens of milliseconds of one core (the GIL is
    released meanwhile) and must not be made inside a transaction. Without the bound, a crowd of parallel sign-ins
    takes all memory and all cores; with it, who cannot start within `wait_seconds` is told `errors.TooManyRequests`.
    """

    def __init__(self, *, memory_kib: int, time_cost: int, parallelism: int, at_once: int, wait_seconds: float) -> None:
        """`at_once` is the number of cores as a rule: more only makes everyone wait longer, each with memory taken."""
        self._argon2 = argon2.PasswordHasher(
            time_cost=time_cost,
            memory_cost=memory_kib,
            parallelism=parallelism,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._turns = threading.BoundedSemaphore(at_once)
        self._wait_seconds = wait_seconds
        # A hash of nothing: random where the digest would be, so no password is known to match, and it costs nothing
        # to make.
        self._decoy = (
            f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}"
            f"${_unpadded(secrets.token_bytes(_SALT_BYTES))}${_unpadded(secrets.token_bytes(_HASH_BYTES))}"
        )

    def hash(self, password: str) -> str:
        """The encoded hash (PHC string) with its parameters and a fresh salt. Raises errors.TooManyRequests."""
        with self._turn():
            return self._argon2.hash(_secret(password))

    def verify(self, encoded: str, password: str) -> bool:
        """Whether `encoded` was made from this password. Raises errors.TooManyRequests.

        A stored hash that cannot be read matches nothing, and takes as long to say so as one that can.
        """
        with self._turn():
            verdict = self._compare(encoded, password)
            if verdict is None:
                self._compare(self._decoy, password)
            return verdict is True

    def verify_nothing(self, password: str) -> None:
        """Work as hard as `verify`, and wait the same turn, for a user who does not exist or has no password.

        Answering sooner would tell a stranger who has an account. Raises errors.TooManyRequests.
        """
        with self._turn():
            self._compare(self._decoy, password)

    def outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than those of today and should be made again at sign-in."""
        try:
            return self._argon2.check_needs_rehash(encoded)
        except ValueError:
            return True

    def _compare(self, encoded: str, password: str) -> bool | None:
        """Match, mismatch, or None for a hash that cannot be read."""
        try:
            return self._argon2.verify(encoded, _secret(password))
        except VerifyMismatchError:
            return False
        except (VerificationError, ValueError) as failure:
            if str(failure) == _OUT_OF_MEMORY:
                raise
            return None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        began = time.perf_counter()
        metrics.HASHES_WAITING.add()
        try:
            mine = self._turns.acquire(timeout=self._wait_seconds)
        finally:
            metrics.HASHES_WAITING.add(by=-1)
        metrics.HASH_WAITS.observe(time.perf_counter() - began)
        if not mine:
            metrics.HASHES_REFUSED.add("turn")
            raise errors.TooManyRequests("Too many requests")
        try:
            with telemetry.hashing():
                yield
        except (HashingError, VerificationError) as failure:
            # A machine out of memory has not seen a wrong password: counting it as one would lock people out.
            if str(failure) == _OUT_OF_MEMORY:
                metrics.HASHES_REFUSED.add("memory")
                raise errors.TooManyRequests("Too many requests") from failure
            raise
        finally:
            self._turns.release()


def _secret(password: str) -> bytes:
    # JSON can carry half a surrogate pair; it is a wrong password, not an encoding error.
    return normalise(password).encode("utf-8", "surrogatepass")


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode("ascii")
