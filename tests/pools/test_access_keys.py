"""Access keys: shown once, ended at once, and limited to pools and actions."""

import pytest

from app import errors
from app.env import Env
from app.pools import access_keys
from tests.build import a_pool


def test_an_access_key_is_shown_once_and_can_be_ended(env: Env) -> None:
    pair = access_keys.create(env, description="tests")
    live = access_keys.live(env, pair.id)
    assert live and live.secret == pair.secret
    (row,) = access_keys.listed(env)
    assert pair.secret not in row.sealed
    access_keys.revoke(env, pair.id)
    assert access_keys.live(env, pair.id) is None
    assert access_keys.live(env, "AKIAUNKNOWN") is None
    with pytest.raises(errors.ResourceNotFound, match="There is no access key AKIAUNKNOWN"):
        access_keys.revoke(env, "AKIAUNKNOWN")


@pytest.mark.parametrize(
    ("patterns", "action", "may"),
    [
        (None, "DeleteUserPool", True),
        (["cognito-idp:*"], "DeleteUserPool", True),
        (["*"], "DeleteUserPool", True),
        (["cognito-idp:List*"], "ListUsers", True),
        (["cognito-idp:List*"], "AdminListDevices", False),
        (["cognito-idp:List*"], "DeleteUserPool", False),
        (["cognito-idp:List*", "cognito-idp:AdminGetUser"], "AdminGetUser", True),
        (["cognito-idp:AdminGetUser"], "AdminGetUserAuthFactors", False),
        (["cognito-idp:admingetuser"], "AdminGetUser", True),
        (["cognito-idp:*User"], "AdminGetUser", True),
        ([], "ListUsers", False),
    ],
)
def test_a_key_may_do_what_its_patterns_name(patterns: list[str] | None, action: str, may: bool) -> None:
    actions = tuple(patterns) if patterns is not None else None
    key = access_keys.Live(id="AKIA", secret="s", pools=None, actions=actions)
    assert key.may(f"cognito-idp:{action}", "us-east-1_abcdefghi") is may


def test_a_key_of_one_pool_may_touch_neither_another_nor_all(env: Env) -> None:
    mine, other = a_pool(env), a_pool(env)
    pair = access_keys.create(env, description="of one", pools=[mine.id])
    live = access_keys.live(env, pair.id)
    assert live
    assert live.may("cognito-idp:DeleteUserPool", mine.id)
    assert not live.may("cognito-idp:DeleteUserPool", other.id)
    assert not live.may("cognito-idp:ListUserPools", None)


@pytest.mark.parametrize(
    "pattern", ["s3:*", "ListUsers", "cognito-idp:", "cognito-idp:List Users", "", "cognito-idp:[A]"]
)
def test_a_pattern_that_can_match_nothing_is_refused(env: Env, pattern: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="is not a pattern of actions"):
        access_keys.create(env, description="x", actions=[pattern])
    assert access_keys.listed(env) == []


def test_a_key_for_a_pool_that_does_not_exist_is_refused(env: Env) -> None:
    with pytest.raises(errors.UnknownPool):
        access_keys.create(env, description="x", pools=["us-east-1_nobody123"])
