"""Refresh tokens that rotate, and the thieves that this is for."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from app import errors
from app.accounts import devices
from app.env import Env, Origin
from app.models import Client, LoginSession, Pool, User
from app.pools import app_clients, find, resource_servers, user_pools
from app.tokens import issue, refresh, revoke
from app.tokens.claims import API_SCOPE
from tests.build import a_client, a_pool, a_user, a_verifier
from tests.conftest import Clock
from tests.parallel import in_parallel
from tests.tokens.test_tokens import check, claims_of, issued

HERE = Origin("203.0.113.7", "Firefox/130.0")
ELSEWHERE = Origin("198.51.100.9", "curl/8.0")
GRACE = 20


def rotating(env: Env, pool: Pool, *, grace: int = GRACE, **more: Any) -> Client:
    rotation = {"feature": "ENABLED", "retry_grace_period_seconds": grace}
    flows = ["ALLOW_USER_PASSWORD_AUTH"]
    return a_client(env, pool, explicit_auth_flows=flows, refresh_token_rotation=rotation, **more)


def renew(env: Env, client: Client, token: str, origin: Origin = HERE, **more: Any) -> issue.Tokens:
    return refresh.tokens(env, client, token, oauth=False, origin=origin, **more)


def only_session(env: Env) -> LoginSession:
    with env.reading() as session:
        return session.scalars(select(LoginSession)).one()


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return rotating(env, pool)


@pytest.fixture
def user(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def chain(env: Env, client: Client, first: str, clock: Clock, times: int) -> list[str]:
    """The tokens of an honest client, which refreshes every hour."""
    tokens = [first]
    for _ in range(times):
        clock.forward(hours=1)
        tokens.append(renew(env, client, tokens[-1]).refresh or "")
    return tokens


# -- how it goes -----------------------------------------------------------------------------------------------


def test_each_refresh_gives_the_next_token(env: Env, client: Client, user: User, clock: Clock) -> None:
    first = issued(env, client, user).refresh
    tokens = chain(env, client, first, clock, 5)
    assert len(set(tokens)) == 6
    assert {len(token) for token in tokens} == {65}
    assert {token[: issue.FAMILY] for token in tokens} == {first[: issue.FAMILY]}


def test_rotation_keeps_who_and_when(env: Env, client: Client, user: User, clock: Clock) -> None:
    """Reference 6.4."""
    first = issued(env, client, user)
    clock.forward(minutes=30)
    second = renew(env, client, first.refresh)
    before, after = claims_of(env, client, first.access), claims_of(env, client, second.access)
    assert {claim for claim in before if before[claim] != after[claim]} == {"iat", "exp", "jti"}
    assert check(env, second.access).user.sub == user.sub


def test_no_successor_lives_longer_than_the_first_would_have(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    """Requirement 21: it is used every day, and ends all the same."""
    token = issued(env, client, user).refresh
    for _ in range(29):
        clock.forward(days=1)
        token = renew(env, client, token).refresh or ""
    clock.forward(days=1)
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has expired"):
        renew(env, client, token)


def test_neither_a_token_nor_its_successor_is_stored(env: Env, client: Client, user: User, clock: Clock) -> None:
    tokens = chain(env, client, issued(env, client, user).refresh, clock, 1)
    stored = str(vars(only_session(env)))
    for token in tokens:
        assert token not in stored and token[issue.FAMILY :] not in stored and token[: issue.FAMILY] not in stored


def test_the_row_notes_where_it_was_last_used(env: Env, client: Client, user: User, clock: Clock) -> None:
    token = issued(env, client, user).refresh
    clock.forward(hours=1)
    renew(env, client, token, ELSEWHERE)
    row = only_session(env)
    assert (row.ip, row.user_agent, row.active_at) == (ELSEWHERE.ip, ELSEWHERE.user_agent, env.now())


def test_it_costs_two_statements(env: Env, client: Client, user: User, statements: Callable[[], list[str]]) -> None:
    token = issued(env, client, user).refresh
    statements()
    renew(env, client, token)
    assert len(statements()) == 2


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        (API_SCOPE, {"email", "email_verified", "name"}),
        ("openid email", {"email", "email_verified"}),
        (f"openid email {API_SCOPE}", {"email", "email_verified", "name"}),
        ("https://api.example.com/read", None),
    ],
)
def test_the_api_tells_no_more_of_a_user_than_his_session_may(
    env: Env, pool: Pool, scope: str, attributes: set[str] | None
) -> None:
    """Whoever was given scopes at the OAuth endpoints does not widen them by refreshing at the other door."""
    resource_servers.create(
        env, pool, identifier="https://api.example.com", name="API", scopes=[("read", "Read"), ("write", "Write")]
    )
    client = a_client(env, pool, allowed_oauth_scopes=["openid", "email", API_SCOPE, "https://api.example.com/read"])
    alice = a_user(env, pool, name="Alice")
    identity = renew(env, client, issued(env, client, alice, scope=scope, oauth=True).refresh).id
    if attributes is None:
        assert identity is None
    else:
        told = claims_of(env, client, identity or "").keys()
        assert told & {"email", "email_verified", "name"} == attributes


# -- a repeated call -------------------------------------------------------------------------------------------


def test_whoever_did_not_get_the_answer_asks_again_and_gets_the_same(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    """Requirement 20."""
    first = issued(env, client, user).refresh
    second = renew(env, client, first).refresh
    clock.forward(seconds=GRACE - 1)
    again = renew(env, client, first)
    assert again.refresh == second
    assert check(env, again.access).user.sub == user.sub
    assert renew(env, client, second or "").refresh not in (first, second, None)


def test_the_grace_ends_to_the_second_and_asking_does_not_prolong_it(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    first = issued(env, client, user).refresh
    second = renew(env, client, first).refresh or ""
    for _ in range(GRACE - 1):
        clock.forward(seconds=1)
        renew(env, client, first)
    clock.forward(seconds=1)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, first)
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been revoked"):
        renew(env, client, second)


def test_a_client_without_grace_has_none(env: Env, pool: Pool, user: User) -> None:
    strict = rotating(env, pool, grace=0)
    first = issued(env, strict, user).refresh
    renew(env, strict, first)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, strict, first)


def test_fifty_refreshes_at_once_get_one_successor(app: Flask, env: Env, client: Client, user: User) -> None:
    first = issued(env, client, user).refresh
    outcomes = in_parallel(app, *[lambda: renew(env, client, first)] * 50)
    assert len({outcome.refresh for outcome in outcomes}) == 1
    assert len({claims_of(env, client, outcome.access)["jti"] for outcome in outcomes}) == 50
    assert renew(env, client, outcomes[0].refresh).refresh not in (first, outcomes[0].refresh)


def test_of_fifty_at_once_without_grace_one_moves_on_and_the_alarm_is_raised(
    app: Flask, env: Env, pool: Pool, user: User
) -> None:
    strict = rotating(env, pool, grace=0)
    first = issued(env, strict, user).refresh
    outcomes = in_parallel(app, *[lambda: renew(env, strict, first)] * 50)
    won = [outcome for outcome in outcomes if isinstance(outcome, issue.Tokens)]
    assert len(won) == 1
    assert any(isinstance(outcome, errors.RefreshTokenReuse) for outcome in outcomes)
    with pytest.raises(errors.RefreshTokenRefused, match="revoked"):
        renew(env, strict, won[0].refresh or "")


# -- a call that is executed late ------------------------------------------------------------------------------


def quickly(env: Env, client: Client, first: str, clock: Clock, times: int) -> list[str]:
    """The tokens of a client that refreshes once a second."""
    tokens = [first]
    for _ in range(times):
        clock.forward(seconds=1)
        tokens.append(renew(env, client, tokens[-1]).refresh or "")
    return tokens


def refused_as_late(env: Env, client: Client, token: str) -> None:
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been superseded"):
        renew(env, client, token, ELSEWHERE)


def test_a_refresh_that_is_executed_late_gets_nothing_and_ends_nothing(
    env: Env, client: Client, user: User, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its client has given up waiting, and refreshed twice since."""
    tokens = quickly(env, client, issued(env, client, user).refresh, clock, 2)
    before = vars(only_session(env)).copy()
    refused_as_late(env, client, tokens[0])
    after = vars(only_session(env))
    assert {name for name in before if before[name] != after[name]} == {"_sa_instance_state"}
    assert caplog.messages == [
        f"session {before['id']}: an earlier refresh token came back within the grace, and was refused"
    ]
    assert renew(env, client, tokens[1]).refresh == tokens[2], "the one between is still repeated"
    assert renew(env, client, tokens[2]).refresh


def test_each_token_is_late_until_the_grace_of_its_own_use_is_over_however_often_it_comes(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    tokens = quickly(env, client, issued(env, client, user).refresh, clock, 3)
    for _ in range(GRACE - 2):
        for late in tokens[:2]:
            refused_as_late(env, client, late)
        clock.forward(seconds=1)
    refused_as_late(env, client, tokens[1])
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, tokens[0])
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been revoked"):
        renew(env, client, tokens[3])


def test_refreshing_on_does_not_prolong_the_time_in_which_a_token_is_late(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    first, *_ = quickly(env, client, issued(env, client, user).refresh, clock, 1)
    quickly(env, client, renew(env, client, first).refresh or "", clock, 6)
    clock.forward(seconds=GRACE - 6)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, first)


def test_a_session_remembers_so_many_tokens_and_no_more(env: Env, client: Client, user: User, clock: Clock) -> None:
    """Whoever refreshes more often within one grace drives the owner's token out: it sets off the alarm at once."""
    tokens = quickly(env, client, issued(env, client, user).refresh, clock, refresh.MOST_EARLIER + 2)
    assert len(only_session(env).earlier_digests or ()) == refresh.MOST_EARLIER
    refused_as_late(env, client, tokens[1])
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, tokens[0])


def test_what_is_remembered_is_forgotten_with_the_grace_and_never_a_token(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    tokens = quickly(env, client, issued(env, client, user).refresh, clock, 3)
    stored = str(only_session(env).earlier_digests)
    assert not any(token in stored or token[issue.FAMILY :] in stored for token in tokens)
    clock.forward(seconds=GRACE)
    renew(env, client, tokens[-1])
    assert only_session(env).earlier_digests is None


def test_a_made_up_token_of_the_family_is_not_late(env: Env, client: Client, user: User, clock: Clock) -> None:
    first, *_ = quickly(env, client, issued(env, client, user).refresh, clock, 3)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, first[: issue.FAMILY] + "x" * 43)


def test_a_late_token_of_a_session_that_has_ended_is_told_so(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    first, *_ = quickly(env, client, issued(env, client, user).refresh, clock, 2)
    with env.transaction():
        revoke.everything_of(env, user)
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been revoked"):
        renew(env, client, first)


def test_a_client_without_grace_has_no_late_tokens(env: Env, pool: Pool, user: User, clock: Clock) -> None:
    strict = rotating(env, pool, grace=0)
    tokens = [issued(env, strict, user).refresh]
    for _ in range(2):
        tokens.append(renew(env, strict, tokens[-1]).refresh or "")
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, strict, tokens[0])


def test_what_a_worker_of_the_version_before_lets_fall_counts_as_reuse(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    """It rotates without writing the list: what it leaves there is neither wrong nor lost."""
    tokens = quickly(env, client, issued(env, client, user).refresh, clock, 2)
    clock.forward(seconds=1)
    tokens.append(tokens[2][: issue.FAMILY] + "y" * 43)
    with env.transaction():
        env.db.execute(
            update(LoginSession).values(
                refresh_digest=issue.refresh_digest(env, tokens[3]),
                previous_digest=issue.refresh_digest(env, tokens[2]),
                rotated_at=env.now(),
            )
        )
    refused_as_late(env, client, tokens[0])
    tokens.append(renew(env, client, tokens[3]).refresh or "")
    for late in (tokens[0], tokens[2]):
        refused_as_late(env, client, late)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, tokens[1])


def test_a_request_that_was_overtaken_twice_between_looking_and_writing_ends_nothing(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    first = issued(env, client, user).refresh
    stuck = refresh.find(env, client, first)
    last = quickly(env, client, first, clock, 2)[-1]
    with pytest.raises(errors.RefreshTokenRefused, match="superseded"):
        refresh.renewed(env, client, stuck, oauth=False, origin=HERE)
    assert renew(env, client, last).refresh


def test_a_request_that_was_overtaken_twice_and_waited_too_long_ends_the_session(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    first = issued(env, client, user).refresh
    stuck = refresh.find(env, client, first)
    last = quickly(env, client, first, clock, 2)[-1]
    clock.forward(seconds=GRACE)
    with pytest.raises(errors.RefreshTokenReuse):
        refresh.renewed(env, client, stuck, oauth=False, origin=HERE)
    with pytest.raises(errors.RefreshTokenRefused, match="revoked"):
        renew(env, client, last)


def test_many_late_requests_at_one_moment_do_not_disturb_the_good_one(
    app: Flask, env: Env, client: Client, user: User, clock: Clock
) -> None:
    """Stuck before and after they looked, in threads of their own."""
    first = issued(env, client, user).refresh
    stuck = refresh.find(env, client, first)
    good = quickly(env, client, first, clock, 2)[-1]
    outcomes = in_parallel(
        app,
        *[lambda: renew(env, client, good)] * 6,
        *[lambda: renew(env, client, first)] * 6,
        *[lambda: refresh.renewed(env, client, stuck, oauth=False, origin=HERE)] * 6,
    )
    assert all(isinstance(outcome, issue.Tokens) for outcome in outcomes[:6]), outcomes
    assert len({outcome.refresh for outcome in outcomes[:6]}) == 1
    assert all(isinstance(outcome, errors.RefreshTokenRefused) for outcome in outcomes[6:]), outcomes
    assert renew(env, client, outcomes[0].refresh).refresh


def test_an_old_token_among_late_ones_still_ends_the_session(
    app: Flask, env: Env, client: Client, user: User, clock: Clock
) -> None:
    """A late request is no cover for a thief with a token from an hour ago."""
    old = issued(env, client, user).refresh
    newer = chain(env, client, old, clock, 1)[-1]
    clock.forward(hours=1)
    tokens = quickly(env, client, newer, clock, 2)
    outcomes = in_parallel(
        app, *[lambda: renew(env, client, tokens[0])] * 4, *[lambda: renew(env, client, old, ELSEWHERE)] * 4
    )
    assert not any(isinstance(outcome, issue.Tokens) for outcome in outcomes)
    assert only_session(env).revoked_at is not None


# -- thieves ---------------------------------------------------------------------------------------------------


def test_a_thief_who_comes_after_the_owner_ends_the_session_for_both(
    env: Env, client: Client, user: User, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Requirement 19. The log says which session it was, and nothing that could be used."""
    stolen = issued(env, client, user).refresh
    owners = renew(env, client, stolen)
    clock.forward(minutes=5)
    with pytest.raises(errors.RefreshTokenReuse, match="Refresh token has been reused"):
        renew(env, client, stolen, ELSEWHERE)
    assert only_session(env).revoked_at == env.now()
    assert caplog.messages == [f"session {only_session(env).id} has ended: a used refresh token came back"]
    with pytest.raises(errors.RefreshTokenRefused, match="revoked"):
        renew(env, client, owners.refresh or "")
    with pytest.raises(errors.TokenRefused, match="revoked"):
        check(env, owners.access)


def test_a_thief_who_comes_before_the_owner_is_found_when_the_owner_comes(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    stolen = issued(env, client, user).refresh
    thiefs = renew(env, client, stolen, ELSEWHERE)
    clock.forward(minutes=5)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, stolen)
    with pytest.raises(errors.TokenRefused, match="revoked"):
        check(env, thiefs.access)
    with pytest.raises(errors.RefreshTokenRefused):
        renew(env, client, thiefs.refresh or "", ELSEWHERE)


@pytest.mark.parametrize("age", [1, 2, 5])
def test_an_old_token_is_noticed_however_old_it_is(
    env: Env, client: Client, user: User, clock: Clock, age: int
) -> None:
    tokens = chain(env, client, issued(env, client, user).refresh, clock, 5)
    clock.forward(seconds=GRACE)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, tokens[-1 - age], ELSEWHERE)
    with pytest.raises(errors.RefreshTokenRefused):
        renew(env, client, tokens[-1])


def test_who_knows_the_family_only_cannot_go_on_in_it(env: Env, client: Client, user: User) -> None:
    """He has had one of its tokens in his hands, so that the session ends; but he gets nothing."""
    first = issued(env, client, user).refresh
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, first[: issue.FAMILY] + "x" * 43)
    with pytest.raises(errors.RefreshTokenRefused):
        renew(env, client, first)


def test_a_family_that_was_made_up_is_unknown(env: Env, client: Client, user: User) -> None:
    first = issued(env, client, user).refresh
    for made_up in ("", "x", "x" * 65, "x" * issue.FAMILY + first[issue.FAMILY :], first[1:]):
        with pytest.raises(errors.RefreshTokenRefused, match="Invalid Refresh Token"):
            renew(env, client, made_up)
    assert renew(env, client, first).refresh


def test_another_client_can_neither_use_a_token_nor_end_its_session(
    env: Env, pool: Pool, client: Client, user: User, clock: Clock
) -> None:
    tokens = chain(env, client, issued(env, client, user).refresh, clock, 3)
    thief = rotating(env, pool)
    for token in (*tokens, tokens[0][: issue.FAMILY] + "x" * 43):
        with pytest.raises(errors.RefreshTokenRefused, match="Invalid Refresh Token"):
            renew(env, thief, token)
    assert renew(env, client, tokens[-1]).refresh


def test_the_owner_and_a_thief_at_one_moment_leave_one_line_at_most(
    app: Flask, env: Env, client: Client, user: User, clock: Clock
) -> None:
    """The thief has the token before, the owner the good one."""
    old, good = chain(env, client, issued(env, client, user).refresh, clock, 1)
    clock.forward(seconds=GRACE)
    outcomes = in_parallel(app, *[lambda: renew(env, client, good), lambda: renew(env, client, old, ELSEWHERE)] * 5)
    assert all(isinstance(outcome, errors.NotAuthorized | errors.RefreshTokenReuse) for outcome in outcomes[1::2])
    assert only_session(env).revoked_at is not None
    for outcome in outcomes[::2]:
        if isinstance(outcome, issue.Tokens):
            with pytest.raises(errors.RefreshTokenRefused):
                renew(env, client, outcome.refresh or "")


def test_no_refresh_outlives_an_end_that_overtakes_it(app: Flask, env: Env, client: Client, user: User) -> None:
    first = issued(env, client, user).refresh

    def end() -> None:
        with env.transaction():
            revoke.everything_of(env, user)

    outcomes = in_parallel(app, end, *[lambda: renew(env, client, first)] * 6)
    for outcome in outcomes[1:]:
        if isinstance(outcome, issue.Tokens):
            with pytest.raises(errors.RefreshTokenRefused):
                renew(env, client, outcome.refresh or "")
            with pytest.raises(errors.TokenRefused):
                check(env, outcome.access)


def test_a_session_that_goes_between_looking_and_writing_gives_nothing(env: Env, client: Client, user: User) -> None:
    first = issued(env, client, user).refresh
    found = refresh.find(env, client, first)
    with env.transaction():
        env.db.execute(delete(LoginSession))
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been revoked"):
        refresh.renewed(env, client, found, oauth=False, origin=HERE)


def test_a_disabled_user_is_refused_and_his_token_is_not_used_up(env: Env, client: Client, user: User) -> None:
    first = issued(env, client, user).refresh
    with env.transaction():
        env.db.execute(update(User).values(enabled=False))
    with pytest.raises(errors.UserDisabled):
        renew(env, client, first)
    with env.transaction():
        env.db.execute(update(User).values(enabled=True))
    assert renew(env, client, first).refresh


# -- switching it on and off ------------------------------------------------------------------------------------


def test_tokens_of_before_begin_to_rotate_when_the_client_does(env: Env, pool: Pool, user: User, clock: Clock) -> None:
    plain = a_client(env, pool)
    first = issued(env, plain, user).refresh
    assert renew(env, plain, first).refresh is None
    settings = {name: value for name, value in plain.settings.items() if name != "explicit_auth_flows"}
    app_clients.update(env, plain, name=None, settings={**settings, "refresh_token_rotation": {"feature": "ENABLED"}})
    now_rotating = find.client(env, plain.id)
    second = renew(env, now_rotating, first).refresh
    assert second is not None
    app_clients.update(env, plain, name=None, settings=settings)
    plain_again = find.client(env, plain.id)
    assert renew(env, plain_again, second).refresh is None
    assert renew(env, plain_again, second).refresh is None, "the newest stays good"
    with pytest.raises(errors.RefreshTokenRefused, match="Invalid Refresh Token"):
        renew(env, plain_again, first)


# -- sessions that are tracked, or bound to a device --------------------------------------------------------------


def tracked(env: Env, pool: Pool, most: int = 20) -> None:
    user_pools.set_sessions(env, pool, tracking="ENABLED", most=most)


@pytest.mark.parametrize("rotates", [True, False])
def test_a_tracked_session_is_noted_at_each_refresh(
    env: Env, pool: Pool, user: User, clock: Clock, rotates: bool, statements: Callable[[], list[str]]
) -> None:
    tracked(env, pool)
    client = find.client(env, (rotating(env, pool) if rotates else a_client(env, pool)).id)
    token = issued(env, client, user).refresh
    clock.forward(hours=1)
    statements()
    renew(env, client, token, ELSEWHERE)
    assert len([one for one in statements() if "login_session" in one]) == 2
    row = only_session(env)
    assert (row.ip, row.active_at, row.auth_time) == (ELSEWHERE.ip, env.now(), env.now() - timedelta(hours=1))


def test_a_session_that_is_not_tracked_is_only_read(
    env: Env, pool: Pool, user: User, statements: Callable[[], list[str]]
) -> None:
    client = a_client(env, pool)
    token = issued(env, client, user).refresh
    statements()
    renew(env, client, token, ELSEWHERE)
    assert [one.split()[0] for one in statements()] == ["SELECT"]


def test_a_tracked_session_that_ends_meanwhile_gives_nothing(env: Env, pool: Pool, user: User) -> None:
    tracked(env, pool)
    client = find.client(env, a_client(env, pool).id)
    found = refresh.find(env, client, issued(env, client, user).refresh)
    with env.transaction():
        revoke.everything_of(env, user)
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been revoked"):
        refresh.renewed(env, client, found, oauth=False, origin=HERE)


DEVICE = "us-east-1_0a1b2c3d-0000-4000-8000-000000000001"


def of_a_device(env: Env, client: Client, user: User, *, confirmed: bool = True) -> str:
    with env.transaction():
        opened = issue.open_session(
            env, client, user, scope=API_SCOPE, auth_time=env.now(), methods=[], origin=HERE, device_key=DEVICE
        )
    if confirmed:
        made = a_verifier("-abcdEFGH", DEVICE)
        devices.confirm(env, client, user, opened.session, key=DEVICE, name=None, origin=HERE, **made)
    return opened.refresh


@pytest.mark.parametrize("rotates", [True, False])
def test_a_session_of_a_device_is_refreshed_with_its_key_only(env: Env, rotates: bool) -> None:
    """Reference 5.4, 10.5."""
    pool = a_pool(env, algorithm="ES256", device_configuration={})
    client = rotating(env, pool) if rotates else a_client(env, pool)
    token = of_a_device(env, client, a_user(env, pool))
    wrong: Sequence[str | None] = (None, "", DEVICE[:-1] + "2", DEVICE.upper())
    for key in wrong:
        with pytest.raises(errors.RefreshTokenRefused, match="Invalid Refresh Token"):
            renew(env, client, token, device_key=key)
    tokens = renew(env, client, token, device_key=DEVICE)
    claims = claims_of(env, client, tokens.access)
    assert list(claims)[:2] == ["sub", "device_key"] and claims["device_key"] == DEVICE
    assert "device_key" not in claims_of(env, client, tokens.id or "")


def test_a_thief_without_the_devices_key_sets_off_the_alarm(env: Env, clock: Clock) -> None:
    pool = a_pool(env, algorithm="ES256", device_configuration={})
    client = rotating(env, pool)
    token = of_a_device(env, client, a_user(env, pool))
    successor = renew(env, client, token, device_key=DEVICE).refresh or ""
    clock.forward(seconds=GRACE)
    with pytest.raises(errors.RefreshTokenReuse):
        renew(env, client, token)
    with pytest.raises(errors.RefreshTokenRefused, match="revoked"):
        renew(env, client, successor, device_key=DEVICE)


@pytest.mark.parametrize("key", [None, DEVICE])
def test_a_key_that_was_offered_and_not_taken_up_is_not_asked_for(env: Env, key: str | None) -> None:
    """A client that keeps no devices does not send it."""
    pool = a_pool(env, algorithm="ES256", device_configuration={})
    client = rotating(env, pool)
    assert renew(env, client, of_a_device(env, client, a_user(env, pool), confirmed=False), device_key=key).refresh


def test_a_pool_that_no_longer_looks_at_devices_asks_for_no_key(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256", device_configuration={})
    client = rotating(env, pool)
    token = of_a_device(env, client, a_user(env, pool))
    user_pools.update(env, pool, name=None, settings={})
    assert renew(env, find.client(env, client.id), token).refresh


# -- what can still be granted ---------------------------------------------------------------------------------------

API = "https://api.example.com"


@pytest.fixture
def readers(env: Env, pool: Pool) -> Client:
    """A client that may read and write an API."""
    scopes = [("read", "Read"), ("write", "Write")]
    resource_servers.create(env, pool, identifier=API, name="API", scopes=scopes)
    allowed = ["openid", f"{API}/read", f"{API}/write"]
    return a_client(env, pool, allowed_oauth_scopes=allowed)


def test_a_scope_that_was_removed_since_is_not_given_again(env: Env, readers: Client, user: User) -> None:
    """Neither one that no longer exists, nor one that the client is no longer allowed."""
    token = issued(env, readers, user, scope=f"openid {API}/read {API}/write", oauth=True).refresh
    resource_servers.update(env, readers.pool, identifier=API, name="API", scopes=[("read", "Read")])
    renewed = renew(env, readers, token)
    assert renewed.scope == claims_of(env, readers, renewed.access)["scope"] == f"openid {API}/read"
    app_clients.update(env, readers, name=None, settings={**readers.settings, "allowed_oauth_scopes": ["openid"]})
    assert renew(env, find.client(env, readers.id), token).scope == "openid"


def test_a_session_of_which_no_scope_is_left_is_not_renewed(env: Env, pool: Pool, readers: Client, user: User) -> None:
    """And where tokens rotate, the refused one is good again when the scope is."""
    rotates = rotating(env, pool, allowed_oauth_scopes=readers.oauth_scopes)
    token = issued(env, rotates, user, scope=f"{API}/write", oauth=True).refresh
    resource_servers.update(env, pool, identifier=API, name="API", scopes=[])
    with pytest.raises(errors.RefreshTokenRefused, match="None of the scopes"):
        renew(env, rotates, token)
    resource_servers.update(env, pool, identifier=API, name="API", scopes=[("write", "Write")])
    assert renew(env, rotates, token).scope == f"{API}/write"


def test_what_a_sign_in_by_the_api_gives_depends_on_no_oauth_setting(env: Env, pool: Pool, user: User) -> None:
    plain = a_client(env, pool, allowed_oauth_scopes=["openid"])
    assert renew(env, plain, issued(env, plain, user).refresh).scope == API_SCOPE


@pytest.mark.parametrize("secret", [True, False])
def test_a_server_that_refreshes_does_not_move_the_session_to_its_own_address(
    env: Env, pool: Pool, user: User, secret: bool
) -> None:
    client = rotating(env, pool, secret=secret)
    with env.transaction():
        opened = issue.open_session(
            env, client, user, scope=API_SCOPE, auth_time=env.now(), methods=["PASSWORD"], origin=HERE
        )
    renew(env, client, opened.refresh, ELSEWHERE)
    assert only_session(env).ip == (HERE if secret else ELSEWHERE).ip


def test_a_session_whose_resource_has_gone_is_not_renewed(env: Env, pool: Pool, readers: Client, user: User) -> None:
    with env.transaction():
        opened = issue.open_session(
            env,
            readers,
            user,
            scope=f"openid {API}/read",
            audience=API,
            auth_time=env.now(),
            methods=["PASSWORD"],
            origin=HERE,
        )
    assert claims_of(env, readers, renew(env, readers, opened.refresh).access, typ="at+jwt")["aud"] == API
    resource_servers.delete(env, pool, identifier=API)
    with pytest.raises(errors.UnknownResource, match="does not exist"):
        renew(env, readers, opened.refresh)
