from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import argon2
import pytest
from argon2.exceptions import HashingError, VerificationError

from app import errors
from app.crypto import passwords
from app.crypto.passwords import Hasher

LONG_ENOUGH_TO_BE_A_BUG = 30


def a_hasher(**given: Any) -> Hasher:
    weak: dict[str, Any] = {"memory_kib": 8, "time_cost": 1, "parallelism": 1, "at_once": 2, "wait_seconds": 30.0}
    return Hasher(**(weak | given))


def test_the_right_password_is_recognised_and_a_wrong_one_is_not() -> None:
    hasher = a_hasher()
    encoded = hasher.hash("correct horse battery staple")
    assert hasher.verify(encoded, "correct horse battery staple")
    assert not hasher.verify(encoded, "correct horse battery stapler")
    assert not hasher.verify(encoded, "Correct horse battery staple")
    assert not hasher.verify(encoded, "")


def test_a_hash_is_argon2id_with_the_parameters_given_and_its_own_salt() -> None:
    hasher = a_hasher(memory_kib=16, time_cost=2)
    assert hasher.hash("x").startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert hasher.hash("x") != hasher.hash("x")


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("\uff30\uff21\uff33\uff33", "PASS"),
        ("ﬁsh", "fish"),
        ("\u2460", "1"),
    ],
)
def test_two_ways_of_typing_the_same_characters_are_one_password(stored: str, typed: str) -> None:
    hasher = a_hasher()
    assert passwords.normalise(stored) == passwords.normalise(typed)
    assert hasher.verify(hasher.hash(stored), typed)
    assert hasher.verify(hasher.hash(typed), stored)


def test_spaces_case_and_length_are_kept() -> None:
    hasher = a_hasher()
    long = " Ab " * 100
    encoded = hasher.hash(long)
    assert hasher.verify(encoded, long)
    assert not hasher.verify(encoded, long[:-1])
    assert not hasher.verify(encoded, long.strip())


def test_what_is_longer_than_any_password_is_hashed_as_it_stands() -> None:
    """Normalising takes the square of the length of such a text, and anybody may send one: half a minute of the whole
    process for what the API takes."""
    text = "e\u0315\u0300" * 40_000
    assert passwords.normalise(text) == text
    assert passwords.normalise("e\u0315\u0300" * 600) != "e\u0315\u0300" * 600


def test_half_a_surrogate_pair_is_a_password_like_any_other() -> None:
    hasher = a_hasher()
    assert hasher.verify(hasher.hash("\ud800"), "\ud800")
    assert not hasher.verify(hasher.hash("a"), "\ud800")


@pytest.mark.parametrize(
    "stored",
    ["", "plain text", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$!$!", "$argon2id$ö"],
)
def test_a_stored_hash_that_cannot_be_read_matches_nothing_and_costs_as_much(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = a_hasher()
    tried = _verified_hashes(monkeypatch)
    assert not hasher.verify(stored, "password")
    assert not hasher.verify(stored, stored)
    assert [encoded for encoded in tried if encoded != stored] == [hasher._decoy] * 2
    assert hasher.outdated(stored)


def test_nobody_is_verified_with_the_work_of_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = a_hasher(memory_kib=16, time_cost=2)
    real = hasher.hash("password")
    tried = _verified_hashes(monkeypatch)
    hasher.verify_nothing("password")
    [decoy] = tried
    assert decoy.rsplit("$", 2)[0] == real.rsplit("$", 2)[0]
    assert [len(part) for part in decoy.split("$")] == [len(part) for part in real.split("$")]
    assert hasher.verify(decoy, "password") is False


def test_a_hash_with_other_parameters_is_outdated() -> None:
    encoded = a_hasher().hash("x")
    assert not a_hasher().outdated(encoded)
    assert a_hasher(memory_kib=16).outdated(encoded)
    assert a_hasher(time_cost=2).outdated(encoded)
    assert a_hasher(memory_kib=16).verify(encoded, "x")


def test_no_more_than_the_bound_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = 0
    most = 0
    lock = threading.Lock()
    pair = threading.Barrier(2)

    def meet(self: argon2.PasswordHasher, password: bytes) -> str:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        pair.wait(LONG_ENOUGH_TO_BE_A_BUG)
        with lock:
            inside -= 1
        return "hash"

    monkeypatch.setattr(argon2.PasswordHasher, "hash", meet)
    hasher = a_hasher(at_once=2)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(hasher.hash, "abcdefgh")) == ["hash"] * 8
    assert most == 2


def test_who_cannot_start_in_time_is_sent_away_and_the_next_one_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    started, finish = threading.Event(), threading.Event()
    real_hash = argon2.PasswordHasher.hash

    def slow(self: argon2.PasswordHasher, password: bytes) -> str:
        started.set()
        assert finish.wait(LONG_ENOUGH_TO_BE_A_BUG)
        return real_hash(self, password)

    hasher = a_hasher(at_once=1, wait_seconds=0.0)
    encoded = hasher.hash("x")
    monkeypatch.setattr(argon2.PasswordHasher, "hash", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(hasher.hash, "first")
        assert started.wait(LONG_ENOUGH_TO_BE_A_BUG)
        for attempt in (
            lambda: hasher.hash("x"),
            lambda: hasher.verify(encoded, "x"),
            lambda: hasher.verify_nothing("x"),
        ):
            with pytest.raises(errors.TooManyRequests, match="Too many requests"):
                attempt()
        finish.set()
        assert first.result(LONG_ENOUGH_TO_BE_A_BUG).startswith("$argon2id$")
    assert hasher.verify(encoded, "x")


def test_who_waits_gets_the_turn_that_becomes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    started, finish = threading.Event(), threading.Event()

    def slow(self: argon2.PasswordHasher, password: bytes) -> str:
        started.set()
        assert finish.wait(LONG_ENOUGH_TO_BE_A_BUG)
        return password.decode()

    monkeypatch.setattr(argon2.PasswordHasher, "hash", slow)
    hasher = a_hasher(at_once=1, wait_seconds=LONG_ENOUGH_TO_BE_A_BUG)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(hasher.hash, "first")
        assert started.wait(LONG_ENOUGH_TO_BE_A_BUG)
        second = threads.submit(hasher.hash, "second")
        assert not second.done()
        finish.set()
        assert first.result(LONG_ENOUGH_TO_BE_A_BUG) == "first"
        assert second.result(LONG_ENOUGH_TO_BE_A_BUG) == "second"


def test_a_turn_is_given_back_when_hashing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = a_hasher(at_once=1, wait_seconds=0.0)

    def broken(self: argon2.PasswordHasher, password: bytes) -> str:
        raise HashingError("Threading failure")

    with monkeypatch.context() as patch:
        patch.setattr(argon2.PasswordHasher, "hash", broken)
        with pytest.raises(HashingError):
            hasher.hash("x")
    assert hasher.verify(hasher.hash("x"), "x")


def test_a_machine_without_memory_is_busy_and_has_not_seen_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = a_hasher()
    encoded = hasher.hash("x")

    def no_memory_to_hash(self: argon2.PasswordHasher, password: bytes) -> str:
        raise HashingError("Memory allocation error")

    def no_memory_to_verify(self: argon2.PasswordHasher, hash: str, password: bytes) -> bool:
        raise VerificationError("Memory allocation error")

    monkeypatch.setattr(argon2.PasswordHasher, "hash", no_memory_to_hash)
    monkeypatch.setattr(argon2.PasswordHasher, "verify", no_memory_to_verify)
    for attempt in (
        lambda: hasher.hash("x"),
        lambda: hasher.verify(encoded, "x"),
        lambda: hasher.verify_nothing("x"),
    ):
        with pytest.raises(errors.TooManyRequests):
            attempt()


def _verified_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on, every encoded hash that Argon2 is asked to compare with."""
    seen: list[str] = []
    real = argon2.PasswordHasher.verify

    def noted(self: argon2.PasswordHasher, hash: str, password: bytes) -> bool:
        seen.append(hash)
        return real(self, hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noted)
    return seen
