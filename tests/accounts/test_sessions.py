"""A user's sessions: which there are, how many there may be, and how they end."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import sessions
from app.accounts.sessions import Session
from app.env import Env, Origin
from app.models import BrowserSession, Client, LoginSession, Pool, User
from app.pools import find, user_pools
from app.signin import browser, flow, granting
from app.signin.state import Granted
from app.tokens import codes, issue, refresh, revoke
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock
from tests.parallel import in_parallel

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
HERE = Origin("203.0.113.7", FIREFOX)


def tracked(env: Env, pool: Pool, most: int = 20) -> Pool:
    return user_pools.set_sessions(env, pool, tracking="ENABLED", most=most)


@pytest.fixture
def client(env: Env) -> Client:
    pool = tracked(env, a_pool(env, algorithm="ES256"))
    return find.client(env, a_client(env, pool).id)


@pytest.fixture
def user(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def by_api(env: Env, client: Client, name: str = "alice", origin: Origin = HERE) -> issue.Tokens:
    given = {"USERNAME": name, "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=origin)
    assert isinstance(step, Granted)
    return granting.tokens(env, step)


def with_a_browser(env: Env, client: Client) -> str:
    """Sign in at the hosted pages; returns the cookie."""
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="HOSTED_PAGES", given=given, origin=HERE)
    assert isinstance(step, Granted)
    return browser.open_session(env, step)


def a_code(env: Env, client: Client, cookie: str) -> str:
    signed_in = browser.recognise(env, client.pool, cookie)
    assert signed_in is not None
    with env.transaction():
        return codes.give(
            env,
            client,
            signed_in.user.sub,
            redirect_uri=CALLBACK,
            scope="openid",
            nonce=None,
            code_challenge=None,
            auth_time=signed_in.auth_time,
            methods=signed_in.methods,
            browser_session_id=signed_in.session_id,
        )


def out_of(env: Env, client: Client, cookie: str) -> issue.Tokens:
    """Tokens for a browser that is signed in."""
    code = a_code(env, client, cookie)
    return codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=HERE)


def listed(env: Env, client: Client, user: User, **more: Any) -> list[Session]:
    return sessions.listed(env, client.pool, user, **more)


def refreshes(env: Env, client: Client, tokens: issue.Tokens) -> bool:
    try:
        refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=HERE)
    except errors.RefreshTokenRefused:
        return False
    return True


# -- which there are -------------------------------------------------------------------------------------------


def test_a_session_is_described(env: Env, client: Client, user: User, clock: Clock) -> None:
    tokens = by_api(env, client)
    began = env.now()
    clock.forward(hours=1)
    refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=Origin("198.51.100.9", "Boto3/1.34"))
    (one,) = listed(env, client, user)
    assert (one.kind, one.client_id, one.came_from, one.current) == ("tkn", client.id, None, False)
    assert (one.created_at, one.active_at) == (began, env.now())
    assert (one.ip, one.device) == ("198.51.100.9", "Boto3")


def test_a_name_is_the_rows_id_and_can_be_read_back(env: Env, client: Client, user: User) -> None:
    by_api(env, client)
    with env.reading() as session:
        row = session.scalars(select(LoginSession)).one()
    (one,) = listed(env, client, user)
    assert len(one.name) == 28 and one.name == one.name.lower() and one.name.isalnum()
    assert sessions._row_id(one.name[3:]) == row.id
    for edge in ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"):
        assert sessions._row_id(sessions._name("tkn", edge)[3:]) == edge


def test_the_one_that_asks_is_marked(env: Env, client: Client, user: User, clock: Clock) -> None:
    by_api(env, client)
    clock.forward(minutes=1)
    by_api(env, client)
    with env.reading() as session:
        newest = session.scalars(select(LoginSession).order_by(LoginSession.created_at.desc())).first()
    assert [one.current for one in listed(env, client, user, current=newest)] == [True, False]


def test_a_browser_and_what_came_out_of_it(env: Env, client: Client, user: User, clock: Clock) -> None:
    cookie = with_a_browser(env, client)
    other = find.client(env, a_client(env, client.pool).id)
    began = env.now()
    clock.forward(minutes=5)
    for each in (client, other):
        out_of(env, each, cookie)
    by_api(env, client)
    found = listed(env, client, user)
    (sso,) = [one for one in found if one.kind == "sso"]
    assert (sso.client_id, sso.created_at, sso.active_at) == (client.id, began, env.now())
    assert (sso.device, sso.ip, sso.came_from) == ("Firefox on Linux", "203.0.113.7", None)
    assert sorted(one.came_from or "" for one in found if one.kind == "tkn") == ["", sso.name, sso.name]


def test_the_most_recently_active_comes_first_and_what_has_ended_does_not_come(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    first, gone, last = (by_api(env, client) for _ in range(3))
    for tokens in (last, first):
        clock.forward(minutes=1)
        refreshes(env, client, tokens)
    with env.transaction():
        revoke.refresh_token(env, client, gone.refresh or "")
    with_a_browser(env, client)
    moments = [one.active_at for one in listed(env, client, user)]
    assert len(moments) == 3 and moments == sorted(moments, reverse=True)
    clock.forward(hours=2)
    assert [one.kind for one in listed(env, client, user)] == ["tkn", "tkn"], "the browser's hour is over"
    clock.forward(days=30)
    assert listed(env, client, user) == []


def test_nobody_sees_anybody_elses(env: Env, client: Client, user: User) -> None:
    bob = a_user(env, client.pool, "bob", email=None)
    by_api(env, client)
    with_a_browser(env, client)
    assert listed(env, client, bob) == []


def test_listing_costs_two_statements(
    env: Env, client: Client, user: User, statements: Callable[[], list[str]]
) -> None:
    by_api(env, client)
    statements()
    listed(env, client, user)
    assert len(statements()) == 2


def test_a_pool_that_does_not_track_lists_none_and_ends_none(env: Env) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    user = a_user(env, client.pool)
    by_api(env, client)
    for act in (
        lambda: listed(env, client, user),
        lambda: sessions.revoke(env, client.pool, user, "tkn" + "0" * 25, linked=False),
    ):
        with pytest.raises(errors.InvalidParameter, match="Session tracking is not enabled for the user pool."):
            act()


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/17.5 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile Safari/604.1", "Safari on iOS"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Boto3/1.34.0 md/Botocore#1.34.0 ua/2.0 os/linux", "Boto3"),
        ("aws-sdk-js/3.583 ua/2.0", "aws-sdk-js"),
        ("okhttp/4.12.0", "okhttp"),
        ("Mozilla/5.0", "unknown"),
        ("<script>", "unknown"),
        ("", "unknown"),
        ("a" * 5000, "a" * 1024),
    ],
)
def test_a_device_is_called_in_a_few_words(agent: str, device: str) -> None:
    assert sessions.described(agent) == device


# -- how many there may be -------------------------------------------------------------------------------------


def test_one_too_many_ends_the_one_that_was_used_least_recently(env: Env, client: Client, clock: Clock) -> None:
    """Reference 6.8."""
    tracked(env, client.pool, most=3)
    client = find.client(env, client.id)
    a_user(env, client.pool)
    tokens = []
    for _ in range(3):
        clock.forward(minutes=1)
        tokens.append(by_api(env, client))
    clock.forward(minutes=1)
    assert refreshes(env, client, tokens[0])
    clock.forward(minutes=1)
    tokens.append(by_api(env, client))
    assert [refreshes(env, client, each) for each in tokens] == [True, False, True, True]


def test_a_lower_bound_holds_from_the_next_sign_in_on(env: Env, client: Client, user: User, clock: Clock) -> None:
    for _ in range(5):
        clock.forward(minutes=1)
        by_api(env, client)
    pool = tracked(env, client.pool, most=2)
    assert len(sessions.listed(env, pool, user)) == 5
    clock.forward(minutes=1)
    newest = by_api(env, find.client(env, client.id))
    assert len(sessions.listed(env, pool, user)) == 2
    assert refreshes(env, find.client(env, client.id), newest)


def test_what_has_ended_and_what_is_anybody_elses_takes_no_room(env: Env, client: Client, clock: Clock) -> None:
    tracked(env, client.pool, most=2)
    client = find.client(env, client.id)
    for name in ("alice", "bob"):
        a_user(env, client.pool, name, email=None)
    kept, gone = by_api(env, client), by_api(env, client)
    with env.transaction():
        revoke.refresh_token(env, client, gone.refresh or "")
    for _ in range(2):
        by_api(env, client, "bob")
    clock.forward(minutes=1)
    by_api(env, client)
    assert refreshes(env, client, kept)


@pytest.mark.parametrize("how", ["api", "code"])
def test_many_sign_ins_at_once_are_never_too_many(app: Flask, env: Env, client: Client, user: User, how: str) -> None:
    tracked(env, client.pool, most=3)
    client = find.client(env, client.id)
    if how == "api":
        # No more: right passwords that are looked at together are counted together, and the sixth finds a lock.
        acts: list[Callable[[], Any]] = [lambda: by_api(env, client)] * 5
    else:
        cookie = with_a_browser(env, client)
        given = [a_code(env, client, cookie) for _ in range(8)]
        acts = [
            lambda code=code: codes.redeem(  # type: ignore[misc]
                env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=HERE
            )
            for code in given
        ]
    outcomes = in_parallel(app, *acts)
    assert all(isinstance(outcome, issue.Tokens) for outcome in outcomes)
    with env.reading() as session:
        alive = select(func.count()).where(LoginSession.revoked_at.is_(None))
        assert session.scalar(alive) == 3


def test_a_pool_that_does_not_track_counts_none(env: Env, statements: Callable[[], list[str]]) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    a_user(env, client.pool)
    statements()
    by_api(env, client)
    assert not any("UPDATE login_session" in statement for statement in statements())


# -- how they end ----------------------------------------------------------------------------------------------


def name_of(env: Env, client: Client, user: User, kind: str = "tkn") -> str:
    return next(one.name for one in listed(env, client, user) if one.kind == kind)


def end(env: Env, client: Client, user: User, name: str, *, linked: bool = False, **more: Any) -> None:
    sessions.revoke(env, client.pool, user, name, linked=linked, **more)


def test_a_session_that_is_revoked_gives_nothing_and_others_go_on(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    kept = by_api(env, client)
    clock.forward(minutes=1)
    gone = by_api(env, client)
    name = name_of(env, client, user)
    end(env, client, user, name)
    assert [refreshes(env, client, each) for each in (kept, gone)] == [True, False]
    with pytest.raises(errors.ResourceNotFound, match="Session does not exist."):
        end(env, client, user, name)


def test_one_cannot_revoke_the_session_that_one_asks_with(env: Env, client: Client, user: User) -> None:
    tokens = by_api(env, client)
    with env.reading() as session:
        mine = session.scalars(select(LoginSession)).one()
    with pytest.raises(errors.InvalidParameter):
        end(env, client, user, name_of(env, client, user), current=mine)
    assert refreshes(env, client, tokens)
    end(env, client, user, name_of(env, client, user))
    assert not refreshes(env, client, tokens)


@pytest.mark.parametrize("linked", [False, True])
def test_a_token_session_takes_its_browser_along_if_asked_to(
    env: Env, client: Client, user: User, linked: bool
) -> None:
    cookie = with_a_browser(env, client)
    one, other = out_of(env, client, cookie), out_of(env, client, cookie)
    end(env, client, user, name_of(env, client, user), linked=linked)
    assert (browser.recognise(env, client.pool, cookie) is None) is linked
    assert sorted(refreshes(env, client, each) for each in (one, other)) == [False, True]


@pytest.mark.parametrize("linked", [False, True])
def test_a_browser_takes_what_came_out_of_it_along_if_asked_to(
    env: Env, client: Client, user: User, linked: bool
) -> None:
    cookie, other_cookie = with_a_browser(env, client), with_a_browser(env, client)
    name = name_of(env, client, user, "sso")
    with env.reading() as session:
        ids = set(session.scalars(select(BrowserSession.id)))
    by_cookie = {each: out_of(env, client, each) for each in (cookie, other_cookie)}
    alone = by_api(env, client)
    assert sessions._row_id(name[3:]) in ids
    end(env, client, user, name, linked=linked)
    (gone,) = [each for each in by_cookie if browser.recognise(env, client.pool, each) is None]
    assert refreshes(env, client, by_cookie.pop(gone)) is not linked
    assert all(refreshes(env, client, each) for each in (*by_cookie.values(), alone))


def test_nobody_can_revoke_anybody_elses(env: Env, client: Client, user: User) -> None:
    bob = a_user(env, client.pool, "bob", email=None)
    cookie = with_a_browser(env, client)
    tokens = out_of(env, client, cookie)
    for kind in ("tkn", "sso"):
        for linked in (False, True):
            with pytest.raises(errors.ResourceNotFound):
                end(env, client, bob, name_of(env, client, user, kind), linked=linked)
    assert refreshes(env, client, tokens) and browser.recognise(env, client.pool, cookie)


def test_a_name_of_the_other_kind_and_a_number_that_is_no_id_mean_nothing(env: Env, client: Client, user: User) -> None:
    cookie = with_a_browser(env, client)
    tokens = out_of(env, client, cookie)
    tkn, sso = name_of(env, client, user), name_of(env, client, user, "sso")
    for name in ("sso" + tkn[3:], "tkn" + sso[3:], "tkn" + "z" * 25, "sso" + "z" * 25, "tkn" + "0" * 25):
        with pytest.raises(errors.ResourceNotFound):
            end(env, client, user, name, linked=True)
    assert refreshes(env, client, tokens) and browser.recognise(env, client.pool, cookie)


def test_of_many_revocations_at_once_one_finds_the_session(app: Flask, env: Env, client: Client, user: User) -> None:
    by_api(env, client)
    name = name_of(env, client, user)
    outcomes = in_parallel(app, *[lambda: end(env, client, user, name)] * 8)
    assert sorted(isinstance(outcome, errors.ResourceNotFound) for outcome in outcomes) == [False] + [True] * 7


def test_ends_that_meet_from_both_sides_do_not_wait_for_one_another_for_ever(
    app: Flask, env: Env, client: Client, user: User
) -> None:
    """A browser and what came out of it, each ended with the other, and everything ended besides."""
    cookie = with_a_browser(env, client)
    for _ in range(4):
        out_of(env, client, cookie)

    def ending(name: str) -> Callable[[], Any]:
        return lambda: end(env, client, user, name, linked=True)

    def leaving(tokens: issue.Tokens) -> Callable[[], Any]:
        return lambda: revoked(env, client, tokens, linked=True)

    def sign_out() -> None:
        with env.transaction():
            revoke.everything_of(env, user)

    given = [out_of(env, client, cookie) for _ in range(3)]
    in_parallel(app, *(ending(one.name) for one in listed(env, client, user)), *map(leaving, given), sign_out)
    assert listed(env, client, user) == []


def revoked(env: Env, client: Client, tokens: issue.Tokens, *, linked: bool) -> None:
    with env.transaction():
        revoke.refresh_token(env, client, tokens.refresh or "", linked=linked)


@pytest.mark.parametrize("linked", [False, True])
def test_a_refresh_token_takes_its_browser_along_if_asked_to_and_no_other_session(
    env: Env, client: Client, user: User, linked: bool
) -> None:
    """Reference 6.5."""
    cookie, other_cookie = with_a_browser(env, client), with_a_browser(env, client)
    one, other = out_of(env, client, cookie), out_of(env, client, cookie)
    revoked(env, client, one, linked=linked)
    assert (browser.recognise(env, client.pool, cookie) is None) is linked
    assert browser.recognise(env, client.pool, other_cookie)
    assert [refreshes(env, client, each) for each in (one, other)] == [False, True]


def test_another_clients_token_ends_neither_its_session_nor_its_browser(env: Env, client: Client, user: User) -> None:
    cookie = with_a_browser(env, client)
    tokens = out_of(env, client, cookie)
    thief = find.client(env, a_client(env, client.pool).id)
    revoked(env, thief, tokens, linked=True)
    assert refreshes(env, client, tokens) and browser.recognise(env, client.pool, cookie)


def test_a_pool_that_does_not_track_links_nothing(env: Env) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    a_user(env, client.pool)
    cookie = with_a_browser(env, client)
    tokens = out_of(env, client, cookie)
    revoked(env, client, tokens, linked=True)
    assert not refreshes(env, client, tokens) and browser.recognise(env, client.pool, cookie)


def test_a_code_from_before_signing_out_everywhere_gives_nothing(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    code = a_code(env, client, with_a_browser(env, client))
    clock.forward(seconds=1)
    with env.transaction():
        revoke.everything_of(env, user)
    with pytest.raises(errors.InvalidGrant, match="signed out everywhere"):
        codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=HERE)
    assert out_of(env, client, with_a_browser(env, client)).access, "a sign-in after it is another"


def test_no_redemption_survives_signing_out_everywhere(
    app: Flask, env: Env, client: Client, user: User, clock: Clock
) -> None:
    cookie = with_a_browser(env, client)
    given = [a_code(env, client, cookie) for _ in range(6)]

    def redeem(code: str) -> Callable[[], Any]:
        return lambda: codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=HERE)

    def sign_out() -> None:
        with env.transaction():
            revoke.everything_of(env, user)

    clock.forward(seconds=1)
    in_parallel(app, *(redeem(code) for code in given), sign_out)
    assert listed(env, client, user) == []
