"""Devices: offered a key, confirmed, trusted for as long as nothing changes, and forgotten."""

import base64
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update

from app import errors
from app.accounts import devices, find, mfa, passwords, profile, sweep, trust
from app.crypto import srp
from app.crypto.seal import SealBroken
from app.env import Env, Origin
from app.models import Client, Device, LoginSession, Pool, User
from app.pools import user_pools
from app.pools.find import client as find_client
from app.signin import flow, granting
from app.signin.state import Ask, Granted
from app.tokens import issue, refresh, revoke
from app.tokens.issue import Tokens
from tests.build import PASSWORD, a_client, a_device, a_pool, a_user, a_verifier, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.parallel import in_parallel

HERE = Origin("203.0.113.7", "Firefox/130.0")
NOBODYS = "us-east-1_00000000-0000-4000-8000-000000000000"
ALWAYS = {"challenge_required_on_new_device": True, "device_only_remembered_on_user_prompt": False}
ON_REQUEST = {**ALWAYS, "device_only_remembered_on_user_prompt": True}


@pytest.fixture
def pool(env: Env) -> Pool:
    """It remembers every device, and asks for authenticator apps where users have one."""
    return with_factors(
        env, a_pool(env, algorithm="ES256", device_configuration=ALWAYS), "OPTIONAL", "SOFTWARE_TOKEN_MFA"
    )


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool)


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def begin(env: Env, client: Client, name: str = "alice", by: str = "USER_PASSWORD_AUTH") -> Any:
    return flow.begin(env, client, flow=by, given={"USERNAME": name, "PASSWORD": PASSWORD}, origin=HERE)


def sign_in(env: Env, client: Client, name: str = "alice", by: str = "USER_PASSWORD_AUTH") -> Tokens:
    step = begin(env, client, name, by)
    assert isinstance(step, Granted)
    return granting.tokens(env, step)


def with_an_app(env: Env, user: User) -> str:
    """An app that is asked for."""
    secret = an_app(env, user)
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": mfa.Setting(True, True)})
    return secret


def with_a_code(env: Env, client: Client, secret: str) -> Tokens:
    step = begin(env, client)
    assert isinstance(step, Ask)
    given = {"USERNAME": "alice", "SOFTWARE_TOKEN_MFA_CODE": app_code(secret, env.now())}
    granted = flow.answer(env, client, challenge="SOFTWARE_TOKEN_MFA", session=step.handle, given=given, origin=HERE)
    assert isinstance(granted, Granted)
    return granting.tokens(env, granted)


def offered(tokens: Tokens) -> str:
    assert tokens.new_device is not None
    return tokens.new_device.key


def session_of(env: Env, tokens: Tokens) -> LoginSession:
    with env.reading() as database:
        return database.scalars(select(LoginSession).where(LoginSession.device_key == offered(tokens))).one()


def confirming(env: Env, client: Client, user: User, tokens: Tokens, **other: Any) -> bool:
    key = offered(tokens)
    given: dict[str, Any] = {"key": key, "name": None, "origin": HERE, **a_verifier("-abcdEFGH", key), **other}
    return devices.confirm(env, client, user, session_of(env, tokens), **given)


def trusted(env: Env, user: User, device: Device) -> bool:
    return devices.recognise(env, user, device.key).trusted


def renew(env: Env, client: Client, tokens: Tokens, key: str | None = None) -> Tokens:
    return refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=HERE, device_key=key)


# -- a key is offered ------------------------------------------------------------------------------------------


def test_a_sign_in_without_a_device_is_offered_a_key(env: Env, client: Client, alice: User) -> None:
    first, second = sign_in(env, client).new_device, sign_in(env, client).new_device
    assert first and second
    assert re.fullmatch(r"us-east-1_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first.key)
    assert first.key != second.key
    assert re.fullmatch("-[0-9A-Za-z]{8}", first.group_key)
    assert first.group_key == second.group_key  # of one user
    with env.reading() as database:
        assert database.scalar(select(func.count()).select_from(Device)) == 0


def test_each_user_has_a_group_of_his_own(env: Env, pool: Pool, alice: User) -> None:
    bob = a_user(env, pool, "bob", email=None)
    assert devices.group_key(env, pool, alice) != devices.group_key(env, pool, bob)


@pytest.mark.parametrize("by", sorted(flow.WITHOUT_DEVICES))
def test_flows_that_know_no_devices_offer_none(env: Env, pool: Pool, alice: User, by: str) -> None:
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    assert sign_in(env, a_client(env, pool, explicit_auth_flows=flows), by=by).new_device is None


def test_a_pool_that_tracks_nothing_offers_none(env: Env) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    a_user(env, client.pool)
    assert sign_in(env, client).new_device is None


def test_a_refresh_offers_none(env: Env, client: Client, alice: User) -> None:
    assert renew(env, client, sign_in(env, client)).new_device is None


# -- confirmed -------------------------------------------------------------------------------------------------


def test_a_confirmed_device_is_kept_with_its_verifier_sealed(env: Env, client: Client, alice: User) -> None:
    tokens = sign_in(env, client)
    device = a_device(env, client, alice, tokens)
    assert (device.user_sub, device.key, device.name) == (alice.sub, offered(tokens), "Her phone")
    assert tokens.new_device and device.group_key == tokens.new_device.group_key
    assert device.remembered and device.last_ip == HERE.ip
    opened = devices.opened_verifier(env, client.pool, device)
    assert opened not in device.verifier
    assert opened == srp.verifier(device.group_key, device.key, "made up by the device", device.salt)


def test_a_verifier_that_was_moved_to_another_device_does_not_open(env: Env, client: Client, alice: User) -> None:
    """By somebody who can write to the database, and knows the password of his own device."""
    his, hers = (a_device(env, client, alice, sign_in(env, client)) for _ in range(2))
    with env.transaction():
        env.db.execute(update(Device).where(Device.key == hers.key).values(verifier=his.verifier))
    with pytest.raises(SealBroken):
        devices.opened_verifier(env, client.pool, devices.recognise(env, alice, hers.key))


def test_a_pool_may_leave_it_to_the_user_what_is_remembered(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256", device_configuration=ON_REQUEST)
    client, alice = a_client(env, pool), a_user(env, pool)
    tokens = sign_in(env, client)
    assert confirming(env, client, alice, tokens) is True
    assert not devices.get(env, pool, alice, offered(tokens)).remembered
    devices.set_status(env, pool, alice, offered(tokens), remembered=True)
    assert devices.get(env, pool, alice, offered(tokens)).remembered


def test_a_device_is_confirmed_once(env: Env, client: Client, alice: User) -> None:
    """Whoever steals a token later does not put his own password in the place of the device's."""
    tokens = sign_in(env, client)
    assert confirming(env, client, alice, tokens) is False
    before = devices.recognise(env, alice, offered(tokens)).verifier
    with pytest.raises(errors.DeviceKeyExists):
        confirming(env, client, alice, tokens, **a_verifier("-abcdEFGH", offered(tokens), "the thief's"))
    assert devices.recognise(env, alice, offered(tokens)).verifier == before


def test_of_parallel_confirmations_one_is_taken(app: Flask, env: Env, client: Client, alice: User) -> None:
    tokens = sign_in(env, client)
    session = session_of(env, tokens)

    def confirm(password: str) -> bool:
        made = a_verifier("-abcdEFGH", offered(tokens), password)
        return devices.confirm(env, client, alice, session, key=offered(tokens), name=None, origin=HERE, **made)

    became = in_parallel(app, *[partial(confirm, f"password {n}") for n in range(4)])
    assert became.count(False) == 1
    assert sum(isinstance(one, errors.DeviceKeyExists) for one in became) == 3


def test_a_session_confirms_only_the_key_that_it_was_offered(env: Env, client: Client, pool: Pool, alice: User) -> None:
    bob = a_user(env, pool, "bob", email=None)
    mine, another, his = sign_in(env, client), sign_in(env, client), sign_in(env, client, "bob")
    for key in (offered(another), offered(his), NOBODYS):
        with pytest.raises(errors.InvalidParameter, match="Invalid device key given."):
            confirming(env, client, alice, mine, key=key)
    taken = a_device(env, client, bob, his)
    with pytest.raises(errors.DeviceKeyExists):
        confirming(env, client, alice, mine, key=taken.key)
    assert devices.recognise(env, bob, taken.key).verifier == taken.verifier


@pytest.mark.parametrize("ended", ["forgotten", "signed out"])
def test_a_session_that_has_ended_confirms_nothing(
    env: Env, client: Client, pool: Pool, alice: User, ended: str
) -> None:
    """Between the look at the token and the write: what was forgotten does not come back."""
    tokens = sign_in(env, client)
    session = session_of(env, tokens)
    if ended == "forgotten":
        devices.forget(env, pool, alice, a_device(env, client, alice, tokens).key)
    else:
        with env.transaction():
            revoke.everything_of(env, alice)
    made = a_verifier("-abcdEFGH", offered(tokens))
    with pytest.raises(errors.TokenRefused):
        devices.confirm(env, client, alice, session, key=offered(tokens), name=None, origin=HERE, **made)
    with pytest.raises(errors.ResourceNotFound):
        devices.recognise(env, alice, offered(tokens))


def encoded(number: int) -> str:
    return base64.b64encode(srp.pad(number)).decode("ascii")


@pytest.mark.parametrize(
    "tampered",
    [
        *({"password_verifier": encoded(v)} for v in (0, 1, srp.N - 1, srp.N, srp.N + 1, 2 * srp.N)),
        *({"password_verifier": text} for text in (None, "", "====", "@@@@", "AQI", "AQ\n==", "Aé==", "A" * 131072)),
        *({"salt": text} for text in (None, "", "@@@@", encoded(1 << 256), "A" * 131072)),
        {"name": "a\0b"},
    ],
)
def test_what_is_no_verifier_is_refused(env: Env, client: Client, alice: User, tampered: dict[str, Any]) -> None:
    """With some of them everybody would know what both sides derive."""
    tokens = sign_in(env, client)
    with pytest.raises(errors.InvalidParameter):
        confirming(env, client, alice, tokens, **tampered)
    with pytest.raises(errors.ResourceNotFound):
        devices.recognise(env, alice, offered(tokens))


# -- how many there are ----------------------------------------------------------------------------------------


def keys_of(env: Env, user: User) -> set[str]:
    with env.reading() as database:
        return set(database.scalars(select(Device.key).where(Device.user_sub == user.sub)))


def alive(env: Env) -> set[str | None]:
    """Keys of the sessions that have not ended."""
    with env.reading() as database:
        return set(database.scalars(select(LoginSession.device_key).where(LoginSession.revoked_at.is_(None))))


def test_keys_that_nobody_confirms_leave_with_their_sessions(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    for _ in range(3):
        sign_in(env, client)
    clock.forward(days=32)
    assert sweep.expired(env)["login_session"] == 3
    assert (keys_of(env, alice), alive(env)) == (set(), set())


def test_one_too_many_makes_the_least_recently_used_be_forgotten(
    env: Env, client: Client, pool: Pool, alice: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that loses its key each time leaves a device with each sign-in, and never comes back with any."""
    monkeypatch.setattr(devices, "MOST_OF_A_USER", 3)
    hers = a_device(env, client, a_user(env, pool, "bob", email=None), sign_in(env, client, "bob"))
    made = []
    for _ in range(3):
        clock.forward(seconds=1)
        made.append(a_device(env, client, alice, sign_in(env, client)))
    clock.forward(seconds=1)
    with env.transaction():
        devices.proved(env, made[0], HERE, trusted=False)
    clock.forward(seconds=1)
    tokens = sign_in(env, client)
    fourth = a_device(env, client, alice, tokens)
    assert keys_of(env, alice) == {made[0].key, made[2].key, fourth.key}
    assert alive(env) == {hers.key, made[0].key, made[2].key, fourth.key}
    with pytest.raises(errors.DeviceKeyExists):
        confirming(env, client, alice, tokens)
    assert len(keys_of(env, alice)) == 3


def test_those_that_are_remembered_are_kept_before_the_others(
    env: Env, client: Client, pool: Pool, alice: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "MOST_OF_A_USER", 2)
    made = []
    for remembered in (True, False, False):
        clock.forward(seconds=1)
        made.append(a_device(env, client, alice, sign_in(env, client)))
        devices.set_status(env, pool, alice, made[-1].key, remembered=remembered)
    assert keys_of(env, alice) == {made[0].key, made[2].key}


def test_the_number_holds_for_devices_that_are_confirmed_at_one_moment(
    app: Flask, env: Env, client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "MOST_OF_A_USER", 2)
    first = a_device(env, client, alice, sign_in(env, client)).key
    several = [sign_in(env, client) for _ in range(4)]
    sessions = [session_of(env, tokens) for tokens in several]

    def confirm(tokens: Tokens, session: LoginSession) -> bool:
        key = offered(tokens)
        made = a_verifier("-abcdEFGH", key)
        return devices.confirm(env, client, alice, session, key=key, name=None, origin=HERE, **made)

    acts = [partial(confirm, *each) for each in zip(several, sessions, strict=True)]
    assert in_parallel(app, *acts) == 4 * [False]
    left = keys_of(env, alice)
    assert len(left) == 2 and left <= {first, *map(offered, several)}
    assert alive(env) == left


def test_a_device_comes_back_or_is_forgotten_for_another_but_not_both(
    app: Flask, env: Env, client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "MOST_OF_A_USER", 1)
    device = a_device(env, client, alice, sign_in(env, client))
    tokens = sign_in(env, client)
    session, made = session_of(env, tokens), a_verifier("-abcdEFGH", offered(tokens))

    def come_back() -> None:
        with env.transaction():
            row = find.locked(env, alice.sub)
            devices.proved(env, device, HERE, trusted=False)
            issue.open_session(
                env, client, row, scope="", auth_time=env.now(), methods=[], origin=HERE, device_key=device.key
            )

    def confirm() -> bool:
        return devices.confirm(env, client, alice, session, key=offered(tokens), name=None, origin=HERE, **made)

    came_back, confirmed = in_parallel(app, come_back, confirm)
    assert confirmed is False
    assert came_back is None or isinstance(came_back, errors.ResourceNotFound)
    assert keys_of(env, alice) == {offered(tokens)} == alive(env)


# -- trusted ---------------------------------------------------------------------------------------------------


def test_a_password_alone_makes_no_device_trusted(env: Env, client: Client, alice: User) -> None:
    """It would stand in for the factor that alice sets up tomorrow."""
    assert not a_device(env, client, alice, sign_in(env, client)).trusted


def test_a_second_factor_does(env: Env, client: Client, alice: User) -> None:
    secret = with_an_app(env, alice)
    assert a_device(env, client, alice, with_a_code(env, client, secret)).trusted


def change_address(env: Env, client: Client, user: User) -> None:
    profile.update_attributes(env, client, user, attributes={"email": "elsewhere@example.com"})


def change_password(env: Env, client: Client, user: User) -> None:
    passwords.change(env, client, user, previous=PASSWORD, proposed="Another-horse-8")


def set_password(env: Env, client: Client, user: User) -> None:
    passwords.set_by_administrator(env, client.pool, username="alice", password="Another-horse-8", permanent=True)


def reset_password(env: Env, client: Client, user: User) -> None:
    passwords.reset_by_administrator(env, client.pool, username="alice")


def switch_off(env: Env, client: Client, user: User) -> None:
    mfa.prefer(env, user, {"SOFTWARE_TOKEN_MFA": mfa.Setting(False, None)})


def remove_app(env: Env, client: Client, user: User) -> None:
    mfa.remove_token(env, client.pool, username="alice")


CHANGES = [change_address, change_password, set_password, reset_password, switch_off, remove_app]


@pytest.mark.parametrize("change", CHANGES)
def test_trust_ends_with_what_it_rested_on(env: Env, client: Client, alice: User, change: Callable[..., None]) -> None:
    device = a_device(env, client, alice, with_a_code(env, client, with_an_app(env, alice)))
    change(env, client, alice)
    assert not trusted(env, alice, device)
    assert devices.recognise(env, alice, device.key).remembered  # it still proves itself


@pytest.mark.parametrize("change", CHANGES)
def test_a_session_from_before_a_change_brings_no_trust_back(
    env: Env, client: Client, alice: User, clock: Clock, change: Callable[..., None]
) -> None:
    """An old session in a stranger's hands, whose factors its owner has just replaced, has a key to confirm yet."""
    tokens = with_a_code(env, client, with_an_app(env, alice))
    clock.forward(seconds=1)
    change(env, client, alice)
    assert not a_device(env, client, alice, tokens).trusted


def test_another_users_devices_stay_trusted(env: Env, client: Client, pool: Pool, alice: User) -> None:
    bob = a_user(env, pool, "bob", email=None)
    device = a_device(env, client, alice, with_a_code(env, client, with_an_app(env, alice)))
    with env.transaction():
        trust.end(env, find.locked(env, bob.sub))
    assert trusted(env, alice, device)


def test_a_device_that_proves_itself_with_a_factor_is_trusted_again(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    device = a_device(env, client, alice, sign_in(env, client))
    clock.forward(minutes=1)
    for showed_factor in (False, True, False):  # the last takes nothing away
        with env.transaction():
            devices.proved(env, device, Origin("198.51.100.9"), trusted=showed_factor)
        now = devices.recognise(env, alice, device.key)
        assert (now.last_ip, now.authenticated_at) == ("198.51.100.9", clock.moment)
        assert now.modified_at == device.modified_at
        if showed_factor:
            assert now.trusted
    assert trusted(env, alice, device)


def test_a_device_that_is_forgotten_on_the_way_has_proven_nothing(
    env: Env, client: Client, pool: Pool, alice: User
) -> None:
    device = a_device(env, client, alice, sign_in(env, client))
    devices.forget(env, pool, alice, device.key)
    with pytest.raises(errors.ResourceNotFound, match="Device does not exist."), env.transaction():
        devices.proved(env, device, HERE, trusted=True)


def test_whether_it_is_remembered_says_nothing_of_trust(env: Env, client: Client, pool: Pool, alice: User) -> None:
    device = a_device(env, client, alice, sign_in(env, client))
    for remembered in (False, True):
        devices.set_status(env, pool, alice, device.key, remembered=remembered)
        now = devices.get(env, pool, alice, device.key)
        assert (now.remembered, now.trusted) == (remembered, False)


# -- looked at, and forgotten ----------------------------------------------------------------------------------


def test_another_users_device_is_unknown(env: Env, client: Client, pool: Pool, alice: User) -> None:
    bob = a_user(env, pool, "bob", email=None)
    device = a_device(env, client, alice, sign_in(env, client))
    for act in (
        lambda: devices.get(env, pool, bob, device.key),
        lambda: devices.set_status(env, pool, bob, device.key, remembered=False),
        lambda: devices.forget(env, pool, bob, device.key),
        lambda: devices.recognise(env, bob, device.key),
    ):
        with pytest.raises(errors.ResourceNotFound, match="Device does not exist."):
            act()
    assert devices.listed(env, pool, bob).rows == []
    assert devices.get(env, pool, alice, device.key).remembered


def test_devices_are_listed_a_page_at_a_time_oldest_first(
    env: Env, client: Client, pool: Pool, alice: User, clock: Clock
) -> None:
    bob = a_user(env, pool, "bob", email=None)
    made = []
    for _ in range(5):
        clock.forward(seconds=1)
        made.append(a_device(env, client, alice, sign_in(env, client)).key)
    a_device(env, client, bob, sign_in(env, client, "bob"))
    first = devices.listed(env, pool, alice, limit=2)
    assert first.token
    devices.forget(env, pool, alice, made[1])  # the place where the next page begins
    second = devices.listed(env, pool, alice, limit=2, token=first.token)
    last = devices.listed(env, pool, alice, limit=2, token=second.token)
    assert [row.key for page in (first, second, last) for row in page.rows] == made
    assert last.token is None
    assert len(devices.listed(env, pool, alice, limit=0).rows) == 4  # as if it were not given
    with pytest.raises(errors.InvalidParameter):
        devices.listed(env, pool, bob, token=first.token)


def test_forgetting_a_device_ends_its_sessions_and_no_others(env: Env, client: Client, pool: Pool, alice: User) -> None:
    lost, kept = sign_in(env, client), sign_in(env, client)
    devices_of_hers = [a_device(env, client, alice, tokens) for tokens in (lost, kept)]
    assert renew(env, client, lost, offered(lost))
    devices.forget(env, pool, alice, devices_of_hers[0].key)
    with pytest.raises(errors.RefreshTokenRefused, match="revoked"):
        renew(env, client, lost, offered(lost))
    assert renew(env, client, kept, offered(kept))
    with pytest.raises(errors.ResourceNotFound):
        devices.forget(env, pool, alice, devices_of_hers[0].key)


def test_a_sign_in_and_a_forgetting_at_one_moment_leave_no_session(
    app: Flask, env: Env, client: Client, pool: Pool, alice: User
) -> None:
    """Either the device is gone when it proves itself, or its new session is there to be ended."""
    device = a_device(env, client, alice, sign_in(env, client))

    def come_back() -> None:
        with env.transaction():
            find.locked(env, alice.sub)
            devices.proved(env, device, HERE, trusted=False)
            env.db.execute(update(LoginSession).where(LoginSession.device_key == device.key).values(revoked_at=None))

    in_parallel(app, come_back, partial(devices.forget, env, pool, alice, device.key))
    with env.reading() as database:
        assert all(row.revoked_at for row in database.scalars(select(LoginSession)))


def test_a_pool_that_stopped_tracking_knows_no_devices(env: Env, client: Client, pool: Pool, alice: User) -> None:
    tokens = sign_in(env, client)
    device = a_device(env, client, alice, tokens)
    offered_before = sign_in(env, client)
    user_pools.update(env, pool, name=None, settings={})
    now = find_client(env, client.id)
    for act in (
        lambda: devices.get(env, now.pool, alice, device.key),
        lambda: devices.listed(env, now.pool, alice),
        lambda: devices.set_status(env, now.pool, alice, device.key, remembered=False),
        lambda: devices.forget(env, now.pool, alice, device.key),
        lambda: confirming(env, now, alice, offered_before),
    ):
        with pytest.raises(errors.InvalidUserPoolConfiguration):
            act()
    assert sign_in(env, now).new_device is None
    assert renew(env, now, tokens)


def test_devices_go_with_their_user(env: Env, client: Client, alice: User) -> None:
    tokens = sign_in(env, client)
    session = session_of(env, tokens)
    a_device(env, client, alice, tokens)
    with env.transaction():
        env.db.execute(delete(User).where(User.sub == alice.sub))
    with env.reading() as database:
        assert database.scalars(select(Device)).all() == []
    made = a_verifier("-abcdEFGH", offered(tokens))
    with pytest.raises(errors.UserNotFound):
        devices.confirm(env, client, alice, session, key=offered(tokens), name=None, origin=HERE, **made)
