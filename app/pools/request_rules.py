"""The request rules of a pool: kept as they were written, compiled once for each revision, tried before anything else.

They are a setting of the pool that Cognito does not have, as those of `own_settings` are: no operation of the API tells
or resets them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from app import errors
from app.env import Env
from app.logs import LONGEST_METHOD, one_word
from app.models import Pool
from app.policy import request_rules
from app.policy.request_rules import ALLOW, PROOF, Facts, Rule, Rules
from app.pools import find, proof_of_work, user_pools
from app.throttling import Limit, hit

log = logging.getLogger(__name__)

SETTING = "request_rules"


def document(pool: Pool) -> dict[str, Any] | None:
    """The rules as they were written; None where there are none."""
    found: dict[str, Any] | None = pool.settings.get(SETTING)
    return found


def configure(env: Env, pool: Pool, given: dict[str, Any] | None, *, operations: Collection[str]) -> Pool:
    """Put these in the place of all that there are; None takes them away. `operations`: the names that they may list.
    Raises policy.request_rules.RuleError, errors.UnknownPool."""
    if given is not None:
        request_rules.compiled(given, operations=operations)
    with env.transaction():
        row = user_pools.locked(env, pool)
        kept = {name: value for name, value in row.settings.items() if name != SETTING}
        row.settings = kept if given is None else {**kept, SETTING: given}
        user_pools.changed(env, row)
    return find.pool(env, pool.id)


def enforce(env: Env, pool: Pool, facts: Facts, *, shown: str, answering: bool = False) -> None:
    """Refuse what the rules of the pool refuse.

    `shown` is the pass of a proof of work. A request that is `answering` a challenge can have none yet. Raises
    errors.RequestDenied, ProofOfWorkDemanded.
    """
    written = pool.settings.get(SETTING)
    if written is None:
        return
    # With the time of the change: a pool that was read just before one must not leave its rules under the new revision.
    rules: Rules = env.cache.get((SETTING, pool.id, pool.modified_at), lambda: request_rules.compiled(written))

    def count(name: str, amount: int, seconds: int, whose: str) -> int | None:
        return hit(env, Limit(name, amount, seconds), pool.id, whose)

    def proven(rule: Rule) -> bool:
        return answering or proof_of_work.proven(
            env, pool, facts.address, given=shown, difficulty=rule.difficulty, lifetime=rule.lifetime
        )

    def counted(rule: Rule) -> None:
        _log(pool, rule.name, rule.action, facts)

    verdict = rules.verdict(facts, count, proven=proven, counted=counted)
    if verdict.action == ALLOW:
        return
    _log(pool, verdict.rule.name if verdict.rule else "default", verdict.action, facts)
    if verdict.action == PROOF and verdict.rule:
        raise errors.ProofOfWorkDemanded(verdict.rule.difficulty, verdict.rule.lifetime)
    raise errors.RequestDenied(verdict.wait)


def _log(pool: Pool, rule: str, action: str, facts: Facts) -> None:
    method, about = one_word(facts.method, LONGEST_METHOD), one_word(facts.operation or facts.path)
    log.info("request rule %s of %s: %s %s %s from %s", rule, pool.id, action, method, about, facts.address)
