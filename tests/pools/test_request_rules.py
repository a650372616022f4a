"""The rules of a pool: kept, changed as a whole, and in force from the next request on."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from app import errors
from app.env import Env
from app.models import Pool
from app.policy.request_rules import Facts, RuleError
from app.pools import find, mfa, own_settings, request_rules, user_pools
from tests.build import a_pool
from tests.conftest import Clock

NOBODY: dict[str, Any] = {"Rules": [{"Name": "nobody", "Action": "deny"}]}
OFTEN: dict[str, Any] = {
    "Rules": [{"Name": "often", "Action": "deny", "When": {"Rate": {"Requests": 2, "Seconds": 60}}}]
}


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


def configured(env: Env, pool: Pool, document: dict[str, Any] | None) -> Pool:
    return request_rules.configure(env, pool, document, operations={"SignUp"})


def visit(env: Env, pool: Pool, address: str = "192.0.2.7") -> str | int:
    """How a request ends: `allowed`, `denied`, or the seconds to wait."""
    try:
        request_rules.enforce(env, pool, Facts(address, "GET", "/login", None, lambda name: None), shown="")
    except errors.RequestDenied as denied:
        return denied.retry_after or "denied"
    return "allowed"


def test_a_pool_without_rules_lets_everything_through(env: Env, pool: Pool) -> None:
    assert request_rules.document(pool) is None and visit(env, pool) == "allowed"


def test_rules_hold_once_they_are_configured_and_until_they_are_taken_away(env: Env, pool: Pool) -> None:
    pool = configured(env, pool, NOBODY)
    assert visit(env, pool) == "denied" and request_rules.document(pool) == NOBODY
    pool = configured(env, pool, {"Rules": []})
    assert visit(env, pool) == "allowed"
    pool = configured(env, pool, None)
    assert visit(env, pool) == "allowed" and request_rules.document(pool) is None


def test_a_document_with_a_mistake_changes_nothing(env: Env, pool: Pool) -> None:
    pool = configured(env, pool, NOBODY)
    with pytest.raises(RuleError):
        configured(
            env, pool, {"Rules": [*NOBODY["Rules"], {"Name": "x", "Action": "deny", "When": {"Operation": "X"}}]}
        )
    assert request_rules.document(find.pool(env, pool.id)) == NOBODY


def test_no_operation_of_the_api_and_no_preset_resets_them(env: Env, pool: Pool) -> None:
    configured(env, pool, NOBODY)
    user_pools.update(env, pool, name="Others", settings={})
    mfa.configure(env, pool, {})
    own_settings.configure(env, pool, own_settings.PRESETS["cognito-compatible"])
    assert request_rules.document(find.pool(env, pool.id)) == NOBODY


def test_a_pool_that_was_read_before_a_change_leaves_no_old_rules_behind(env: Env, pool: Pool, clock: Clock) -> None:
    """A request that is still under way when the rules change compiles the old ones, under the new revision."""
    before = configured(env, pool, NOBODY)
    clock.forward(seconds=1)
    after = configured(env, pool, {"Rules": []})
    assert visit(env, before) == "denied"
    assert visit(env, after) == "allowed"


def test_a_rate_is_counted_for_each_pool_and_its_wait_is_told(env: Env, pool: Pool, clock: Clock) -> None:
    pool, other = configured(env, pool, OFTEN), configured(env, a_pool(env, algorithm="ES256"), OFTEN)
    assert [visit(env, pool) for _ in range(3)] == ["allowed", "allowed", 60]
    assert visit(env, other) == "allowed" and visit(env, pool, "198.51.100.1") == "allowed"
    clock.forward(seconds=60)
    assert visit(env, pool) == "allowed"


def test_rules_cost_no_statement(env: Env, pool: Pool, statements: Any) -> None:
    pool = find.pool(env, configured(env, pool, OFTEN).id)
    visit(env, pool)
    statements()
    visit(env, pool)
    assert statements() == []


def test_what_counts_or_refuses_is_in_the_log_and_moves_no_cursor_there(
    env: Env, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = configured(env, pool, {"Rules": [{"Name": "seen", "Action": "count"}, *NOBODY["Rules"]]})
    with caplog.at_level(logging.INFO, "app.pools.request_rules"), pytest.raises(errors.RequestDenied):
        facts = Facts("192.0.2.7", "GET", "/branding/\x1b[2J\nforged", None, lambda name: None)
        request_rules.enforce(env, pool, facts, shown="")
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"request rule seen of {pool.id}: count GET /branding/")
    assert second.startswith(f"request rule nobody of {pool.id}: deny GET ") and second.endswith("from 192.0.2.7")
    assert "\n" not in first + second and "\x1b" not in first + second
