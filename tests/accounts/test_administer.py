"""Administrators make users."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, func, insert, select

from app import errors
from app.accounts import administer, find, passwords, profile, search
from app.db import Base
from app.env import Env, Origin
from app.models import AuthorizationCode, BrowserSession, Client, LoginSession, Pool, User
from app.policy import passwords as policy
from app.signin import flow, granting
from app.tokens import codes, issue, refresh
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_user
from tests.conftest import START, Clock

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


def test_what_is_for_administrators_can_be_given_at_the_start(env: Env) -> None:
    schema = [
        {"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True},
        {"name": "once", "attribute_data_type": "String", "mutable": False},
    ]
    user = invite(
        env, a_pool(env, schema=schema), attributes={"dev:custom:score": "7", "custom:once": "x", "nickname": ""}
    )
    assert user.attributes == {"dev:custom:score": "7", "custom:once": "x"}


def test_an_address_moves_only_when_it_is_given_as_verified(env: Env) -> None:
    pool = a_pool(env)
    invite(env, pool)
    unverified = {"email": "carol@example.com"}
    for word in ({}, {"email_verified": "false"}):
        other = invite(env, pool, f"other{len(word)}", attributes=unverified | word, force_alias=True)
        assert not other.verified("email")
    holder = find.existing(env, pool, "carol@example.com").user
    assert (holder.username, holder.email_verified) == ("carol", True)


def test_where_addresses_are_usernames_the_name_is_made_up_and_a_taken_address_refused(env: Env, sent: Sent) -> None:
    pool = a_pool(env, alias_attributes=None, username_attributes=["email"])
    user = administer.create(
        env,
        pool,
        username="carol@example.com",
        attributes={"email_verified": "true"},
        temporary_password=None,
        mediums=("EMAIL",),
    )
    assert user.username == user.sub and user.email == "carol@example.com" and user.email_verified
    assert "Your username is carol@example.com and" in sent("carol@example.com")[0].body
    for given in ({}, {"email_verified": "true"}):
        with pytest.raises(errors.UsernameExists, match="An account with the given email already exists."):
            invite(env, pool, "CAROL@example.com", attributes=given, force_alias=True)
    with pytest.raises(errors.InvalidParameter, match="Username should be an email."):
        invite(env, pool, "carol")


# -- without a password ----------------------------------------------------------------------------------------


def passwordless(env: Env, *factors: str) -> Pool:
    """A pool whose users may sign in with a code that is sent to them."""
    pool = a_pool(env)
    with env.transaction():
        row = env.db.get_one(Pool, pool.id)
        policies = {**row.settings["policies"], "sign_in_policy": {"allowed_first_auth_factors": [*factors]}}
        row.settings = {**row.settings, "policies": policies}
        env.configuration_changed()
    return row


def test_where_a_code_signs_in_a_user_may_do_without_a_password(env: Env, sent: Sent) -> None:
    pool = passwordless(env, "PASSWORD", "EMAIL_OTP")
    assert invite(env, pool).status == "CONFIRMED"
    assert find.existing(env, pool, "carol").password is None
    [message] = sent()
    assert (message.subject, message.body, message.code) == ("Your account", "Your username is carol.", None)
    client = a_client(env, pool)
    for password in ("", "x", PASSWORD):
        with pytest.raises((errors.NotAuthorized, errors.InvalidParameter)):
            begin(env, client, "carol", password)
    with pytest.raises(errors.UnsupportedUserState, match="Resend not possible"):
        administer.invite_again(env, pool, username="carol", temporary_password=None)


def test_the_pools_own_words_greet_him_unless_they_promise_a_password(env: Env, sent: Sent) -> None:
    pool = passwordless(env, "PASSWORD", "EMAIL_OTP")
    for said, expected in (
        ("Hello {username}!", "Hello carol!"),
        ("{username}, use {####}.", "Your username is carol."),
    ):
        template = {"email_message": said, "email_subject": "Welcome"}
        admin = {**pool.settings["admin_create_user_config"], "invite_message_template": template}
        pool.settings = {**pool.settings, "admin_create_user_config": admin}
        invite(env, pool)
        assert (sent()[0].subject, sent()[0].body) == ("Welcome", expected)
        administer.delete(env, pool, username="carol")


def test_a_pool_whose_trigger_would_examine_him_takes_nobody(env: Env) -> None:
    pool = a_pool(env)
    pool.settings = {**pool.settings, "lambda_config": {"pre_sign_up": "arn:aws:lambda:us-east-1:0:function:examine"}}
    with pytest.raises(errors.UnexpectedLambda, match="PreSignUp invocation failed"):
        invite(env, pool)


def test_there_too_one_may_be_given(env: Env, sent: Sent) -> None:
    pool = passwordless(env, "PASSWORD", "EMAIL_OTP")
    assert invite(env, pool, password="Temporary-1").status == "FORCE_CHANGE_PASSWORD"
    assert sent()[0].code == "Temporary-1"


def test_without_password_and_address_nobody_could_be_him(env: Env) -> None:
    pool = passwordless(env, "PASSWORD", "SMS_OTP")
    with pytest.raises(errors.InvalidParameter, match="needs an address: phone_number."):
        invite(env, pool)
    assert find.by_name(env, pool, "carol") is None


def test_other_factors_do_not_make_the_password_needless(env: Env) -> None:
    assert invite(env, passwordless(env, "PASSWORD", "WEB_AUTHN")).status == "FORCE_CHANGE_PASSWORD"


# -- disabled --------------------------------------------------------------------------------------------------


def begin(env: Env, client: Client, name: str = "alice", password: str = PASSWORD) -> Any:
    given = {"USERNAME": name, "PASSWORD": password}
    return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())


def an_authorization_code(env: Env, client: Client, user: User) -> str:
    with env.transaction():
        return codes.give(
            env,
            client,
            user.sub,
            redirect_uri=CALLBACK,
            scope="openid",
            nonce=None,
            code_challenge=None,
            auth_time=env.now(),
            methods=["PASSWORD"],
            browser_session_id=None,
        )


def test_what_a_disabled_user_had_and_had_begun_is_over_and_stays_over(env: Env) -> None:
    pool = a_pool(env)
    client, alice = a_client(env, pool), a_user(env, pool)
    tokens = granting.tokens(env, begin(env, client))
    code = an_authorization_code(env, client, alice)
    passwords.set_by_administrator(env, pool, username="alice", password=PASSWORD, permanent=False)
    asked = begin(env, client)
    with env.transaction():
        env.db.add(
            BrowserSession(
                digest="d",
                id="b",
                pool_id=pool.id,
                user_sub=alice.sub,
                client_id=client.id,
                auth_time=START,
                methods=["PASSWORD"],
                ip="",
                user_agent="",
                created_at=START,
                expires_at=START,
            )
        )
    administer.disable(env, pool, username="alice")

    with pytest.raises(errors.UserDisabled, match="User is disabled."):
        begin(env, client)
    administer.enable(env, pool, username="alice")
    with pytest.raises(errors.RefreshTokenRefused, match="revoked"):
        refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=Origin())
    with pytest.raises(errors.InvalidGrant):
        codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=Origin())
    with pytest.raises(errors.SessionInvalid):
        answer = {"USERNAME": "alice", "NEW_PASSWORD": "Another-horse-8"}
        flow.answer(env, client, challenge=asked.challenge, session=asked.handle, given=answer, origin=Origin())
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(BrowserSession)) == 0
    assert isinstance(begin(env, client), flow.Ask)


def test_only_what_changes_is_a_change(env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    a_user(env, pool)
    acts = (administer.disable, administer.disable, administer.enable, administer.enable)
    changed = []
    for act in acts:
        clock.forward(minutes=1)
        act(env, pool, username="alice")
        user = find.existing(env, pool, "alice").user
        changed.append(user.modified_at == env.now())
    assert changed == [True, False, True, False] and user.enabled


def test_a_redeemed_code_is_remembered_so_that_a_second_use_is_noticed(env: Env) -> None:
    pool = a_pool(env)
    client, alice = a_client(env, pool), a_user(env, pool)
    code = an_authorization_code(env, client, alice)
    codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=Origin())
    administer.disable(env, pool, username="alice")
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(AuthorizationCode)) == 1


@pytest.mark.parametrize("by", ["password", "authorization code"])
@pytest.mark.parametrize("end", [administer.disable, administer.delete])
def test_no_session_survives_an_end_that_overtakes_the_sign_in(app: Flask, env: Env, by: str, end: Any) -> None:
    """And nobody waits for another who waits for him: a redemption locks its code, then the user."""
    pool = a_pool(env)
    client, alice = a_client(env, pool), a_user(env, pool)
    start = threading.Barrier(5)
    outcomes: list[str] = []

    def run(act: Callable[[], Any]) -> None:
        with app.app_context():
            start.wait(timeout=60)
            try:
                act()
                outcomes.append("done")
            except (errors.NotAuthorized, errors.UserNotFound):
                outcomes.append("refused")

    def redeem(code: str) -> Callable[[], Any]:
        return lambda: codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=Origin())

    acts: list[Callable[[], Any]] = [lambda: end(env, pool, username="alice")]
    if by == "password":
        acts += [lambda: granting.tokens(env, begin(env, client))] * 4
    else:
        acts += [redeem(an_authorization_code(env, client, alice)) for _ in range(4)]
    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 5
    with env.reading() as session:
        left = select(func.count()).where(LoginSession.user_sub == alice.sub, LoginSession.revoked_at.is_(None))
        assert session.scalar(left) == 0


# -- deleted ---------------------------------------------------------------------------------------------------


def belonging(env: Env, sub: str) -> dict[str, int]:
    """How many rows of each table are a user's."""
    with env.reading() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table).where(column == sub)) or 0
            for name, table in Base.metadata.tables.items()
            for column in table.columns
            if column.name == "sub" or any(key.column.table.name == "user" for key in column.foreign_keys)
        }


def fill(env: Env, client: Client, user: User) -> None:
    """Give him a row in every table that users have rows in."""
    pool = client.pool
    passwords.forgot(env, client, username=user.username, origin=Origin())
    an_authorization_code(env, client, user)
    known = {"user.sub": user.sub, "pool.id": pool.id, "group.pool_id": pool.id, "client.id": client.id}
    filled = belonging(env, user.sub)
    with env.transaction():
        issue.open_session(
            env, client, user, scope="openid", auth_time=env.now(), methods=["PASSWORD"], origin=Origin()
        )
        filled["login_session"] = 1
        for table in Base.metadata.sorted_tables:
            if table.name == "group" or filled.get(table.name) == 0:
                env.db.execute(insert(table).values({c.name: something(c, user, known) for c in table.columns}))


def something(column: Column[Any], user: User, known: dict[str, str]) -> Any:
    """A value that may stand in a column of a row of this user's."""
    for key in column.foreign_keys:
        return known.get(key.target_fullname, user.username)
    kinds = {bool: True, int: 0, str: user.username, object: START, dict: {}}
    return kinds[column.type.python_type]


@pytest.mark.parametrize("by", ["administrator", "himself"])
@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_of_a_deleted_user_is_left_and_nothing_of_others_goes(env: Env, by: str, enabled: bool) -> None:
    client = a_client(env, a_pool(env))
    alice, bob = a_user(env, client.pool), a_user(env, client.pool, "bob", email="bob@example.com")
    fill(env, client, alice)
    fill(env, client, bob)
    if not enabled:
        administer.disable(env, client.pool, username="alice")
    kept = belonging(env, bob.sub)
    assert all(kept.values()), "this test has to fill these tables too"
    if by == "administrator":
        administer.delete(env, client.pool, username="alice@example.com")
    else:
        profile.delete(env, alice)
    assert not any(belonging(env, alice.sub).values())
    assert belonging(env, bob.sub) == kept
    assert find.by_name(env, client.pool, "alice") is find.by_name(env, client.pool, "alice@example.com") is None


def test_names_of_a_deleted_user_are_free_and_his_sub_is_not_used_again(env: Env) -> None:
    pool = a_pool(env)
    first = a_user(env, pool)
    administer.delete(env, pool, username=first.sub)
    assert a_user(env, pool).sub != first.sub
    assert find.by_name(env, pool, first.sub) is None


def test_a_user_is_deleted_once_and_in_his_own_pool(env: Env) -> None:
    pool, other = a_pool(env), a_pool(env)
    alice = a_user(env, pool)
    for act in (administer.delete, administer.disable, administer.enable):
        for name in ("alice", alice.sub, "alice@example.com"):
            with pytest.raises(errors.UserNotFound):
                act(env, other, username=name)
    administer.delete(env, pool, username="alice")
    with pytest.raises(errors.UserNotFound):
        administer.delete(env, pool, username="alice")


# -- finding ---------------------------------------------------------------------------------------------------


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


def test_a_name_means_the_sub_before_the_username_before_an_alias(env: Env) -> None:
    pool = a_pool(env, alias_attributes=["email", "preferred_username"])
    alice = a_user(env, pool, "alice")
    imitator = a_user(env, pool, alice.sub, email="x@example.com", preferred_username="alice")
    found = {name: find.existing(env, pool, name).user.sub for name in ("alice", "ALICE", "alice@example.com")}
    assert set(found.values()) == {alice.sub}
    assert find.existing(env, pool, alice.sub).user.sub == alice.sub
    assert find.existing(env, pool, imitator.sub).user.sub == imitator.sub
    assert find.by_name(env, a_pool(env), "alice") is None
