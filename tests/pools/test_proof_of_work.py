"""Proofs of work, and what somebody tries who would rather not work, or only once for everybody."""

import itertools

import pytest

from app.env import Env
from app.models import Pool
from app.pools import proof_of_work
from app.pools.proof_of_work import Pass
from tests.build import a_pool
from tests.conftest import Clock

HERE, NEXT_DOOR, ELSEWHERE = "192.0.2.7", "192.0.2.200", "198.51.100.7"
RULE = {"difficulty": 8, "lifetime": 600}


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


def solved(challenge: str, difficulty: int = 8) -> str:
    return next(str(n) for n in itertools.count() if proof_of_work.zero_bits(challenge, str(n)) >= difficulty)


def unsolved(challenge: str, difficulty: int = 8) -> str:
    return next(str(n) for n in itertools.count() if proof_of_work.zero_bits(challenge, str(n)) < difficulty)


def a_challenge(env: Env, pool: Pool, address: str = HERE, **rule: int) -> str:
    return proof_of_work.challenge(env, pool, address, **{**RULE, **rule})


def a_pass(env: Env, pool: Pool, address: str = HERE, **rule: int) -> Pass:
    challenge = a_challenge(env, pool, address, **rule)
    number = solved(challenge, rule.get("difficulty", 8))
    found = proof_of_work.exchanged(env, pool, address, challenge=challenge, number=number)
    assert found is not None
    return found


def proven(env: Env, pool: Pool, given: str, address: str = HERE, **rule: int) -> bool:
    return proof_of_work.proven(env, pool, address, given=given, **{**RULE, **rule})


def exchanged(env: Env, pool: Pool, challenge: str, number: str, address: str = HERE) -> Pass | None:
    return proof_of_work.exchanged(env, pool, address, challenge=challenge, number=number)


def test_a_solution_is_worth_a_pass_for_as_long_as_the_rule_says(env: Env, pool: Pool, clock: Clock) -> None:
    made = a_pass(env, pool)
    assert made.seconds == 600 and proven(env, pool, made.value)
    assert proven(env, pool, made.value, NEXT_DOOR)
    clock.forward(seconds=600)
    assert proven(env, pool, made.value)
    clock.forward(seconds=1)
    assert not proven(env, pool, made.value)


def test_a_number_that_solves_nothing_is_worth_nothing(env: Env, pool: Pool) -> None:
    challenge = a_challenge(env, pool)
    for number in (unsolved(challenge), "", "-1", "1e3", "1" * 17, "٣", f"{solved(challenge)}\n"):
        assert exchanged(env, pool, challenge, number) is None


def test_a_solution_from_another_address_is_worth_nothing(env: Env, pool: Pool) -> None:
    challenge = a_challenge(env, pool)
    assert exchanged(env, pool, challenge, solved(challenge), ELSEWHERE) is None


def test_a_solution_for_another_pool_is_worth_nothing(env: Env, pool: Pool) -> None:
    challenge = a_challenge(env, pool)
    assert exchanged(env, a_pool(env, algorithm="ES256"), challenge, solved(challenge)) is None


def test_a_solution_can_be_sent_until_the_challenge_is_too_old(env: Env, pool: Pool, clock: Clock) -> None:
    challenge = a_challenge(env, pool)
    number = solved(challenge)
    clock.forward(seconds=proof_of_work.SOLVED_WITHIN)
    assert exchanged(env, pool, challenge, number) is not None
    clock.forward(seconds=1)
    assert exchanged(env, pool, challenge, number) is None


def test_a_solution_that_is_sent_again_gives_the_same_pass_and_no_more_time(env: Env, pool: Pool, clock: Clock) -> None:
    challenge = a_challenge(env, pool)
    number = solved(challenge)
    first = exchanged(env, pool, challenge, number)
    clock.forward(seconds=500)
    assert exchanged(env, pool, challenge, number) == first and first is not None
    clock.forward(seconds=101)
    assert not proven(env, pool, first.value)


@pytest.mark.parametrize("member", range(5))
def test_a_challenge_that_was_made_easier_or_otherwise_changed_is_none(env: Env, pool: Pool, member: int) -> None:
    parts = a_challenge(env, pool, difficulty=24).split(".")
    parts[member] = {0: "0", 1: "86400", 2: "1772366401", 3: "A" * 22, 4: "A" * 43}[member]
    changed = ".".join(parts)
    assert exchanged(env, pool, changed, solved(changed, 1)) is None


@pytest.mark.parametrize("member", range(4))
def test_a_forged_pass_is_none(env: Env, pool: Pool, member: int) -> None:
    parts = a_pass(env, pool).value.split(".")
    parts[member] = {0: "24", 1: "1772366430", 2: "A" * 22, 3: "A" * 43}[member]
    assert not proven(env, pool, ".".join(parts))


@pytest.mark.parametrize("given", ["", ".", "8.1.a.b", "é" * 80, "8." * 40])
def test_what_is_no_pass_at_all_is_none(env: Env, pool: Pool, given: str) -> None:
    assert not proven(env, pool, given)


def test_a_challenge_is_no_pass_and_a_pass_no_challenge(env: Env, pool: Pool) -> None:
    """Their signatures are not of one purpose: who gets the one for nothing must not have the other."""
    difficulty, _, made, random, signature = a_challenge(env, pool).split(".")
    assert not proven(env, pool, f"{difficulty}.{made}.{random}.{signature}")


def test_a_pass_of_another_pool_or_from_elsewhere_is_none(env: Env, pool: Pool) -> None:
    made = a_pass(env, pool)
    assert not proven(env, a_pool(env, algorithm="ES256"), made.value)
    assert not proven(env, pool, made.value, ELSEWHERE)
    assert not proven(env, pool, made.value, "2001:db8::1")
    assert not proven(env, pool, made.value, "")


def test_a_pass_for_less_work_does_not_do_where_a_rule_demands_more(env: Env, pool: Pool) -> None:
    made = a_pass(env, pool, difficulty=9)
    assert proven(env, pool, made.value, difficulty=9) and proven(env, pool, made.value, difficulty=8)
    assert not proven(env, pool, made.value, difficulty=10)


def test_a_rule_that_was_made_stricter_holds_for_passes_that_are_out(env: Env, pool: Pool, clock: Clock) -> None:
    made = a_pass(env, pool, lifetime=86400)
    clock.forward(seconds=61)
    assert proven(env, pool, made.value, lifetime=86400) and not proven(env, pool, made.value, lifetime=60)


def test_a_pass_from_the_future_is_none(env: Env, pool: Pool, clock: Clock) -> None:
    made = a_pass(env, pool)
    clock.forward(seconds=-61)
    assert not proven(env, pool, made.value)


def test_two_visitors_of_one_moment_have_two_challenges(env: Env, pool: Pool) -> None:
    assert a_challenge(env, pool) != a_challenge(env, pool)
