"""Tags, logs and limits, when several write them at once: nobody undoes what another has written."""

from collections.abc import Callable
from typing import Any

from flask import Flask

from app.env import Env
from app.pools import find, limits, logs, tags
from tests.build import a_pool
from tests.parallel import in_parallel

NOTIFICATIONS = {
    "event_source": "userNotification",
    "log_level": "ERROR",
    "cloud_watch_logs_configuration": {"log_group_arn": "arn:aws:logs:us-east-1:123456789012:log-group:cognito"},
}


def test_tags_of_many_are_all_kept(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256", user_pool_tags={"old": ""})

    def tag(name: str) -> Callable[[], Any]:
        return lambda: tags.put(env, pool, {name: name})

    acts = [
        *map(tag, "abcd"),
        lambda: tags.remove(env, pool, ["old"]),
        lambda: logs.configure(env, pool, [NOTIFICATIONS]),
    ]
    assert in_parallel(app, *acts) == [*[None] * 5, [NOTIFICATIONS]]
    now = find.pool(env, pool.id)
    assert tags.of(now) == {name: name for name in "abcd"}
    assert logs.of(now) == [NOTIFICATIONS]


def test_no_more_than_fifty_even_when_they_come_at_once(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256", user_pool_tags={f"t{n}": "" for n in range(48)})

    def tag(name: str) -> Callable[[], Any]:
        return lambda: tags.put(env, pool, {name: ""})

    done = in_parallel(app, *map(tag, "abcde"))
    assert sorted(type(one).__name__ for one in done) == [*["InvalidParameter"] * 3, *["NoneType"] * 2]
    assert len(tags.of(find.pool(env, pool.id))) == 50


def test_of_limits_set_at_once_one_is_kept(app: Flask, env: Env) -> None:
    def raised(value: int) -> Callable[[], Any]:
        return lambda: limits.provision(env, "UserList", value)

    done = in_parallel(app, *map(raised, (31, 32, 33, 34)))
    assert limits.current(env, "UserList") in done
