"""Administrators make users."""

from collections.abc import Callable
from typing import Any

import pytest

from app import errors
from app.accounts import administer, find, search
from app.env import Env
from app.policy import passwords as policy
from tests.build import a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[Any]]


def invite(env: Env, pool: Any, username: str = "carol", **other: Any) -> Any:
    given = {"attributes": {"email": "carol@example.com", "email_verified": "true"}, "mediums": ("EMAIL",), **other}
    return administer.create(env, pool, username=username, temporary_password=given.pop("password", None), **given)


def test_the_user_is_told_his_name_and_a_temporary_password_that_fits_the_policy(env: Env, sent: Sent) -> None:
    pool = a_pool(env)
    user = invite(env, pool)
    assert user.status == "FORCE_CHANGE_PASSWORD"
    (message,) = sent("carol@example.com")
    assert message.subject == "Your temporary password"
    assert message.body == f"Your username is carol and temporary password is {message.code}."
    policy.check(pool, message.code)


def test_silently_nothing_is_sent(env: Env, sent: Sent) -> None:
    invite(env, a_pool(env), silent=True)
    assert sent() == []


def test_a_medium_without_an_address_is_passed_over(env: Env, sent: Sent) -> None:
    invite(env, a_pool(env), mediums=("SMS",))
    assert sent() == []


def test_an_invitation_is_renewed_until_it_is_used(env: Env, sent: Sent, clock: Clock) -> None:
    pool = a_pool(env)
    invite(env, pool)
    first = sent()[0].code
    clock.forward(days=6)
    administer.invite_again(env, pool, username="carol", temporary_password=None, mediums=("EMAIL",))
    assert sent()[0].code != first
    found = find.existing(env, pool, "carol")
    assert found.password and found.password.expires_at
    assert (found.password.expires_at - env.now()).days == 7

    a_user(env, pool, "dave", email=None)
    with pytest.raises(errors.UnsupportedUserState, match="Resend not possible. dave status is not FORCE_CHANGE"):
        administer.invite_again(env, pool, username="dave", temporary_password=None)
    with pytest.raises(errors.UserNotFound):
        administer.invite_again(env, pool, username="nobody", temporary_password=None)


def test_names_and_verified_addresses_are_unique(env: Env) -> None:
    pool = a_pool(env)
    invite(env, pool)
    with pytest.raises(errors.UsernameExists, match="User account already exists"):
        invite(env, pool)
    with pytest.raises(errors.AliasExists):
        invite(env, pool, "other")
    invite(env, pool, "other", force_alias=True)
    moved = find.by_name(env, pool, "carol@example.com")
    assert moved and moved.user.username == "other"


def test_what_does_not_fit_is_refused(env: Env) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.InvalidPassword):
        invite(env, pool, password="short")
    with pytest.raises(errors.InvalidParameter, match="non-mutable attribute sub"):
        invite(env, pool, attributes={"sub": "x"})
    with pytest.raises(errors.InvalidParameter, match="Email is required"):
        invite(env, pool, attributes={"email_verified": "true"})
    with pytest.raises(errors.InvalidParameter, match="could not be determined"):
        invite(env, pool, attributes={"custom:x": "1"})


def test_every_user_is_on_exactly_one_page(env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    for n in range(7):
        a_user(env, pool, f"user{n}", email=None)
        if n % 2:
            clock.forward(seconds=1)  # some are of the same moment
    seen: list[str] = []
    token = None
    while True:
        page = search.users(env, pool, limit=3, token=token)
        seen += [user.username for user in page.rows]
        token = page.token
        if token is None:
            break
    assert sorted(seen) == [f"user{n}" for n in range(7)]
    assert len(seen) == 7


def test_a_page_token_is_of_one_pool_and_one_hour(env: Env, clock: Clock) -> None:
    pool, other = a_pool(env), a_pool(env)
    for n in range(3):
        a_user(env, pool, f"user{n}", email=None)
    token = search.users(env, pool, limit=1, token=None).token
    assert token
    for wrong in (token[:-2] + "AA", "nonsense", ""):
        with pytest.raises(errors.InvalidParameter, match="Invalid pagination token"):
            search.users(env, pool, limit=1, token=wrong)
    with pytest.raises(errors.InvalidParameter):
        search.users(env, other, limit=1, token=token)
    clock.forward(hours=1, seconds=1)
    with pytest.raises(errors.InvalidParameter, match="expired"):
        search.users(env, pool, limit=1, token=token)


def test_a_name_means_the_username_before_the_sub_before_an_alias(env: Env) -> None:
    pool = a_pool(env, alias_attributes=["email", "preferred_username"])
    alice = a_user(env, pool, "alice")
    imitator = a_user(env, pool, alice.sub, email="x@example.com", preferred_username="alice")
    found = {name: find.existing(env, pool, name).user.sub for name in ("alice", "ALICE", "alice@example.com")}
    assert set(found.values()) == {alice.sub}
    # A username that imitates somebody's sub is a username first; the pool's owner chose to allow such names.
    assert find.existing(env, pool, alice.sub).user.sub == imitator.sub
    assert find.by_name(env, a_pool(env), "alice") is None
