"""Lists a page at a time: places, tokens, and what is done to them."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app import errors
from app.crypto.base64url import decode, encode
from app.env import Env
from app.models import Pool
from app.paging import LIVES, Page, page
from tests import build
from tests.conftest import Clock

BY_NAME = (Pool.name, Pool.id)


def pools(env: Env, *names: str) -> None:
    for name in names:
        made = build.a_pool(env, algorithm="ES256")
        with env.transaction():
            env.db.get_one(Pool, made.id).name = name


def listed(env: Env, *, token: str | None = None, size: int = 1, about: str = "pools", **other: object) -> Page[Pool]:
    return page(env, select(Pool), **{"by": BY_NAME, "size": size, "token": token, "about": about, **other})  # type: ignore[arg-type]


def walk(env: Env, **other: object) -> list[list[str]]:
    found = []
    token = None
    while True:
        one = listed(env, token=token, **other)  # type: ignore[arg-type]
        found.append([pool.name for pool in one.rows])
        token = one.token
        if token is None:
            return found


def test_the_last_page_has_no_token_even_when_it_is_full(env: Env) -> None:
    pools(env, "a", "b", "c", "d")
    assert walk(env, size=2) == [["a", "b"], ["c", "d"]]
    assert walk(env, size=3) == [["a", "b", "c"], ["d"]]
    assert walk(env, size=4) == [["a", "b", "c", "d"]]


def test_an_empty_list_is_one_empty_page(env: Env) -> None:
    assert listed(env) == Page([], None)


def test_rows_of_one_name_are_told_apart(env: Env) -> None:
    pools(env, "a", "a", "a")
    assert walk(env) == [["a"], ["a"], ["a"]]


def test_a_list_begins_after_its_place(env: Env) -> None:
    pools(env, "a", "b", "ba", "c")
    assert walk(env, after=("b", "")) == [["b"], ["ba"], ["c"]]
    assert walk(env, after=("b", "zz")) == [["ba"], ["c"]]
    assert walk(env, after=("c", "zz")) == [[]]


def test_what_comes_before_the_place_is_not_shown_again_and_what_comes_after_is(env: Env) -> None:
    pools(env, "b", "d")
    token = listed(env).token
    pools(env, "a", "c")
    with env.transaction():
        env.db.delete(env.db.scalars(select(Pool).where(Pool.name == "b")).one())
    assert [pool.name for pool in listed(env, token=token, size=9).rows] == ["c", "d"]


def test_moments_are_places_too(env: Env, clock: Clock) -> None:
    by = (Pool.created_at, Pool.id)
    for name in ("a", "b", "c"):
        pools(env, name)
        clock.forward(milliseconds=1)
    assert walk(env, by=by) == [["a"], ["b"], ["c"]]
    second = env.now() - timedelta(milliseconds=2)
    assert walk(env, by=by, after=(second, "")) == [["b"], ["c"]]


def test_a_token_shows_nobody_what_a_row_is_found_by(env: Env) -> None:
    pools(env, "alice@example.com", "b")
    token = listed(env).token
    assert token is not None
    assert b"alice" not in decode(token) and "alice" not in token
    assert not set(token) & set(" \t\r\n")


def test_a_token_that_was_changed_or_made_up_is_refused(env: Env) -> None:
    pools(env, "a", "b")
    token = listed(env).token
    assert token is not None
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for wrong in (changed, token[:-4], token + token, "", "null", encode(b'[["a","b"],[false,false],9e9]'), "\x00é漢"):
        with pytest.raises(errors.InvalidParameter, match=r"^Invalid pagination token\.$"):
            listed(env, token=wrong)


def test_a_token_is_of_one_list_in_one_order(env: Env) -> None:
    pools(env, "a", "b")
    token = listed(env).token
    for other in ({"about": "pools of somebody else"}, {"by": (Pool.id,)}, {"by": (*BY_NAME, Pool.created_at)}):
        with pytest.raises(errors.InvalidParameter, match="Invalid pagination token"):
            listed(env, token=token, **other)  # type: ignore[arg-type]


def test_a_token_is_accepted_for_an_hour(env: Env, clock: Clock) -> None:
    pools(env, "a", "b")
    token = listed(env).token
    clock.forward(seconds=LIVES)
    assert [pool.name for pool in listed(env, token=token).rows] == ["b"]
    clock.forward(seconds=1)
    with pytest.raises(errors.InvalidParameter, match="expired"):
        listed(env, token=token)


def test_a_page_is_one_statement(env: Env, statements: object) -> None:
    pools(env, "a", "b", "c")
    statements()  # type: ignore[operator]
    token = listed(env).token
    listed(env, token=token)
    assert len(statements()) == 2  # type: ignore[operator]
