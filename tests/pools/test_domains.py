"""Host names of pools, when several want one."""

from flask import Flask

from app.env import Env
from app.pools import domains, find, user_pools
from tests.build import a_pool
from tests.parallel import in_parallel


def test_of_pools_that_want_one_name_at_once_one_has_it(app: Flask, env: Env) -> None:
    pools = [a_pool(env, algorithm="ES256") for _ in range(4)]
    acts = [lambda pool=pool: domains.create(env, pool, domain="people", custom=False, settings={}) for pool in pools]
    made = in_parallel(app, *acts)
    assert sorted(type(one).__name__ for one in made) == ["Domain", *["InvalidParameter"] * 3]
    [owner] = [pool for pool, one in zip(pools, made, strict=True) if type(one).__name__ == "Domain"]
    found = domains.named(env, "people")
    assert found is not None and found.pool_id == owner.id


def test_a_pool_that_wants_two_prefixes_at_once_has_one(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    names = ("a1", "a2", "a3", "a4")
    acts = [lambda name=name: domains.create(env, pool, domain=name, custom=False, settings={}) for name in names]
    made = in_parallel(app, *acts)
    assert sorted(type(one).__name__ for one in made) == ["Domain", *["InvalidParameter"] * 3]
    assert len(find.domains(env, pool)) == 1


def test_no_domain_is_left_of_a_pool_that_is_deleted_meanwhile(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    deleted, made = in_parallel(
        app,
        lambda: user_pools.delete(env, pool),
        lambda: domains.create(env, pool, domain="people", custom=False, settings={}),
    )
    there = domains.named(env, "people")
    if deleted is None:
        assert type(made).__name__ == "UnknownPool" and there is None
    else:
        assert type(deleted).__name__ == "InvalidParameter" and there is not None


def test_of_those_who_delete_one_at_once_one_has_deleted_it(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    domains.create(env, pool, domain="people", custom=False, settings={})
    ended = in_parallel(app, *[lambda: domains.delete(env, pool, domain="people")] * 4)
    assert sorted(type(one).__name__ for one in ended) == [*["InvalidParameter"] * 3, "NoneType"]
