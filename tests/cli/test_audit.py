"""`cognate audit`, and that commands which write something are in it."""

import base64
import getpass
import json
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from app.audit import chain
from app.audit.masking import MASK
from app.env import Env
from app.models import AuditChain, AuditEvent, Pool
from app.pools import user_pools
from app.upkeep import archive
from tests.build import a_pool, a_user
from tests.cli.conftest import KEY_TEXT, Run


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def rotated(run: Run, pool: Pool) -> Pool:
    """A pool whose keys were rotated from the command line."""
    assert run("rotate-keys", pool.id).exit_code == 0
    return pool


def rows(env: Env) -> list[AuditEvent]:
    with env.reading() as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.at)))


def test_a_command_that_writes_is_told_with_who_ran_it_and_is_linked(env: Env, rotated: Pool) -> None:
    found = {row.kind: row for row in rows(env)}
    call, event = found["call"], found["event"]
    assert (call.operation, call.pool_id, event.operation) == ("cognate rotate-keys", rotated.id, "KeysRotated")
    assert call.request_id == event.request_id != "-"
    for row in (call, event):
        assert (row.actor_kind, row.actor, row.error_code) == ("command_line", getpass.getuser(), None)
        assert row.number is not None
    assert json.loads(call.parameters) == {"pool_id": rotated.id}


def test_a_command_that_reads_or_is_refused_has_no_row(env: Env, run: Run, pool: Pool) -> None:
    assert run("user", "list", pool.id).exit_code == 0
    assert run("rotate-keys", "us-east-1_AAAAAAAAA").exit_code != 0
    assert run("audit", "list").exit_code == 0
    assert rows(env) == []


def test_users_are_not_named(env: Env, run: Run, pool: Pool) -> None:
    alice = a_user(env, pool)
    assert run("recovery-codes", "end", pool.id, "alice").exit_code == 0
    (row,) = [row for row in rows(env) if row.kind == "call"]
    assert (row.user_sub, json.loads(row.parameters)["username"]) == (alice.sub, MASK)


def test_rows_are_listed_by_filters_newest_first(run: Run, env: Env, rotated: Pool) -> None:
    run("access-key", "create", "--description", "CI")
    found = json.loads(run("audit", "list", "--json").stdout)
    assert {row["operation"] for row in found} == {
        *("cognate access-key create", "AccessKeyCreated", "cognate rotate-keys", "KeysRotated")
    }
    mine = json.loads(run("audit", "list", "--pool", rotated.id, "--operation", "KeysRotated", "--json").stdout)
    assert [row["pool_id"] for row in mine] == [rotated.id]
    assert len(json.loads(run("audit", "list", "--limit", "1", "--json").stdout)) == 1
    assert json.loads(run("audit", "list", "--since", "2026-03-02", "--json").stdout) == []
    assert len(json.loads(run("audit", "list", "--until", "2026-03-01T12:00:01Z", "--json").stdout)) == 4
    assert json.loads(run("audit", "list", "--actor", "nobody", "--json").stdout) == []
    assert "KeysRotated" in run("audit", "list").stdout


def test_what_is_no_moment_is_refused(run: Run) -> None:
    refused = run("audit", "list", "--since", "yesterday")
    assert refused.exit_code == 2 and "expected one such as 2026-03-01" in refused.output


def test_it_is_exported_as_records_of_cloudtrail(run: Run, env: Env, rotated: Pool) -> None:
    lines = [json.loads(line) for line in run("audit", "export", "--pool", rotated.id).stdout.splitlines()]
    (event,) = [line for line in lines if line["eventName"] == "KeysRotated"]
    assert event["eventVersion"] == "1.11" and event["eventType"] == "AwsServiceEvent"
    assert event["eventTime"] == "2026-03-01T12:00:00Z"
    assert event["userIdentity"]["userName"] == getpass.getuser()
    assert (event["awsRegion"], event["eventSource"]) == ("us-east-1", "cognito-idp.amazonaws.com")
    assert event["responseElements"] is None and event["serviceEventDetails"] == {"emergency": False}
    assert event["additionalEventData"]["userPoolId"] == rotated.id


def test_a_whole_audit_is_verified(run: Run, rotated: Pool) -> None:
    found = run("audit", "verify", "--json")
    assert found.exit_code == 0
    said = json.loads(found.stdout)
    assert said["findings"] == [] and {one["pool_id"]: one["kept"] for one in said["chains"]} == {rotated.id: 2}


def test_a_broken_one_is_told_where(run: Run, env: Env, rotated: Pool) -> None:
    with env.transaction():
        env.db.execute(update(AuditEvent).where(AuditEvent.number == 1).values(actor="somebody"))
    found = run("audit", "verify")
    assert found.exit_code == 1
    assert "changed, or not written by this installation" in found.stdout


@pytest.mark.parametrize("printed", [("verify", "--json"), ("export",)])
def test_what_was_printed_before_finds_what_was_taken_away_since(
    run: Run, env: Env, rotated: Pool, tmp_path: Path, printed: tuple[str, ...]
) -> None:
    kept = tmp_path / "anchors"
    kept.write_text(run("audit", *printed).stdout)
    assert run("audit", "verify", "--anchors", str(kept)).exit_code == 0
    with env.transaction():
        env.db.execute(delete(AuditEvent))
        env.db.execute(delete(AuditChain))
    assert run("audit", "verify").exit_code == 0
    found = run("audit", "verify", "--anchors", str(kept))
    assert found.exit_code == 1 and "truncated" in found.stdout


def test_what_has_no_anchors_is_refused(run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "other"
    kept.write_text("{}\n")
    refused = run("audit", "verify", "--anchors", str(kept))
    assert refused.exit_code == 1 and "has no anchors" in refused.output


def test_a_pool_that_is_gone_is_still_listed(run: Run, env: Env, rotated: Pool) -> None:
    user_pools.delete(env, rotated)
    chain.link(env)
    assert len(json.loads(run("audit", "list", "--pool", rotated.id, "--json").stdout)) == 2


# -- what upkeep and rules leave ----------------------------------------------------------------------------------


def test_rules_that_are_applied_and_a_backup_that_is_made_are_told(
    env: Env, run: Run, pool: Pool, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("Rules: [{Name: all, Action: deny}]")
    assert run("rules", "apply", pool.id, str(rules)).exit_code == 0
    assert run("backup", str(tmp_path / "saved")).exit_code == 0
    found = {row.operation: row for row in rows(env) if row.kind == "call"}
    assert found.keys() == {"cognate rules apply", "cognate backup"}
    assert found["cognate rules apply"].pool_id == pool.id
    saved = found["cognate backup"]
    assert json.loads(saved.parameters) == {"file": str(tmp_path / "saved")}


def test_the_passphrase_of_a_backup_is_not_told(
    env: Env, run: Run, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SCRYPT", {"n": 2, "r": 8, "p": 1})
    typed = "correct horse\ncorrect horse\n"
    assert run("backup", str(tmp_path / "saved"), "--passphrase", typed=typed).exit_code == 0
    (row,) = rows(env)
    assert "correct horse" not in row.parameters


def test_a_new_key_encryption_key_is_told(
    env: Env, run: Run, rotated: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was written before it still verifies."""
    (tmp_path / "before").write_text(KEY_TEXT)
    monkeypatch.setenv("COGNATE_OTHER_KEY_FILES", str(tmp_path / "before"))
    monkeypatch.setenv("COGNATE_KEY", base64.b64encode(bytes(reversed(range(32)))).decode("ascii"))
    assert run("rotate-kek").exit_code == 0
    assert "cognate rotate-kek" in [row.operation for row in rows(env)]
    assert run("audit", "verify").exit_code == 0


def test_a_restored_database_verifies_and_says_why_anchors_have_seen_more(
    env: Env, run: Run, rotated: Pool, tmp_path: Path
) -> None:
    saved, early, late = (str(tmp_path / name) for name in ("saved", "early", "late"))
    Path(early).write_text(run("audit", "verify", "--json").stdout)
    assert run("backup", saved).exit_code == 0
    for _ in range(2):
        assert run("rotate-keys", rotated.id).exit_code == 0
        assert run("access-key", "create", "--description", "CI").exit_code == 0
    Path(late).write_text(run("audit", "verify", "--json").stdout)
    assert run("restore", saved, "--replace").exit_code == 0
    restored = {row.operation: row for row in rows(env)}
    assert restored.keys() == {
        "cognate rotate-keys",
        "KeysRotated",
        "cognate restore",
        "BackupRestored",
    }
    assert json.loads(restored["BackupRestored"].parameters) == {"made_at": "2026-03-01 12:00:00"}
    assert all(row.number is not None for row in restored.values())
    assert run("audit", "verify").exit_code == 0
    assert run("audit", "verify", "--anchors", early).exit_code == 0
    found = run("audit", "verify", "--anchors", late)
    assert found.exit_code == 1
    assert "truncated: an anchor has seen row 6, and the chain ends at 2 (a backup of 2026-03-01 12:00:00 UTC was" in (
        found.stdout
    )
    # What is written from here on takes the numbers of rows that are gone: that is told as well.
    for _ in range(3):
        assert run("rotate-keys", rotated.id).exit_code == 0
    found = run("audit", "verify", "--anchors", late)
    assert found.exit_code == 1 and "the chain was made anew (a backup of" in found.stdout


def test_whoever_has_the_database_cannot_say_that_a_backup_was_restored(
    env: Env, run: Run, rotated: Pool, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    late.write_text(run("audit", "verify", "--json").stdout)
    with env.transaction():
        env.db.execute(delete(AuditEvent).where(AuditEvent.kind == "call"))
        env.db.execute(delete(AuditChain))
        env.db.execute(
            update(AuditEvent).values(
                pool_id="", number=None, digest=None, operation="BackupRestored", parameters='{"made_at":"x"}'
            )
        )
    found = run("audit", "verify", "--anchors", str(late))
    assert found.exit_code == 1
    assert "truncated" in found.stdout and "a backup of" not in found.stdout
