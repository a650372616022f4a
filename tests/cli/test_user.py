"""`cognate user`."""

import json

import pytest

from app import errors
from app.accounts import factors, groups, mfa
from app.accounts import search as searching
from app.env import Env
from tests.build import PASSWORD, a_pool, a_user, an_app, with_factors
from tests.cli.conftest import Run
from tests.conftest import Clock


def names(output: str) -> list[str]:
    return [one["username"] for one in json.loads(output)]


def test_users_are_listed_oldest_first(run: Run, env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    alice = a_user(env, pool)
    clock.forward(seconds=1)
    a_user(env, pool, "bob", email=None, status="UNCONFIRMED")
    heading, *lines = run("user", "list", pool.id).output.splitlines()
    assert heading.split() == ["USERNAME", "STATUS", "ENABLED", "EMAIL", "CREATED", "SUB"]
    assert lines[0].split() == [
        *("alice", "CONFIRMED", "yes", "alice@example.com", "2026-03-01", "12:00:00", alice.sub)
    ]
    assert lines[1].split()[:4] == ["bob", "UNCONFIRMED", "yes", "-"]
    assert json.loads(run("user", "list", pool.id, "--json").output)[0] == {
        "username": "alice",
        "status": "CONFIRMED",
        "enabled": True,
        "email": "alice@example.com",
        "created": "2026-03-01T12:00:00Z",
        "sub": alice.sub,
    }


def test_a_list_ends_at_its_limit_and_says_so_beside_it(
    run: Run, env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "PAGE", 2)
    pool = a_pool(env)
    for number in range(5):
        a_user(env, pool, f"user{number}", email=None)
        clock.forward(seconds=1)
    everybody = [f"user{number}" for number in range(5)]
    for limit in (1, 2, 3, 4):
        done = run("user", "list", pool.id, "--json", "--limit", str(limit))
        assert names(done.stdout) == everybody[:limit]
        assert done.stderr == f"These are the first {limit}; --limit shows more, --all everybody.\n"
    for options in ([], ["--limit", "5"], ["--all"]):
        done = run("user", "list", pool.id, "--json", *options)
        assert names(done.stdout) == everybody and done.stderr == ""


def test_users_are_searched_for_as_by_the_api(run: Run, env: Env) -> None:
    pool = a_pool(env)
    a_user(env, pool)
    a_user(env, pool, "bob", email="bob@example.com")
    done = run("user", "list", pool.id, "--json", "--filter", 'email ^= "BOB@"')
    assert names(done.output) == ["bob"]
    assert isinstance(run("user", "list", pool.id, "--filter", "email").exception, errors.InvalidParameter)


def test_a_user_is_shown_by_any_name_and_without_secrets(run: Run, env: Env) -> None:
    pool = with_factors(env, a_pool(env), "OPTIONAL", factors.TOTP)
    alice = a_user(env, pool, given_name="Alice")
    groups.create(env, pool, name="staff", description=None, role_arn=None, precedence=None)
    groups.add(env, pool, name="staff", username="alice")
    secret = an_app(env, alice)
    mfa.prefer(env, alice, {factors.TOTP: mfa.Setting(True, True)})
    for name in ("alice", "ALICE", "alice@example.com", alice.sub):
        found = json.loads(run("user", "show", pool.id, name, "--json").output)
        assert found["sub"] == alice.sub and found["groups"] == ["staff"]
    assert found["second_factors"] == ["SOFTWARE_TOKEN_MFA"] == [found["preferred_factor"]]
    assert found["attributes"] == {"email": "alice@example.com", "email_verified": "true", "given_name": "Alice"}
    output = run("user", "show", pool.id, "alice").output
    lines = [line.split(maxsplit=1) for line in output.splitlines() if line]
    assert ["username", "alice"] in lines and ["email", "alice@example.com"] in lines
    assert secret not in output and PASSWORD not in output
    refused = run("user", "show", pool.id, "nobody")
    assert refused.output == "" and isinstance(refused.exception, errors.UserNotFound)


def test_a_name_moves_no_cursor_of_whoever_lists_it(run: Run, env: Env) -> None:
    pool = a_pool(env)
    a_user(env, pool, "eve", email=None, name="\x1b[2J\nroot  CONFIRMED\u202e")
    for output in (run("user", "list", pool.id).output, run("user", "show", pool.id, "eve").output):
        assert "\x1b" not in output and "\u202e" not in output
        assert not any(line.startswith("root") for line in output.splitlines())
