"""Every sealed value: opened to see whether it can be, and sealed anew under another key while servers run."""

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app.config import Settings, SettingsError
from app.crypto.seal import Seal
from app.db import table
from app.env import Env
from app.models import (
    AccessKey,
    Attempt,
    Client,
    Device,
    InstallationSecret,
    Password,
    Pool,
    SigningKey,
    SoftwareToken,
    User,
)
from app.models.seals import COLUMNS
from app.pools import access_keys, client_secrets, find
from app.tokens import certificates, keys
from app.upkeep import sealed_values
from app.upkeep.backup import Written
from app.upkeep.sealed_values import Broken, broken, broken_in, rotate, under_other_keys
from tests.build import a_client, a_pool, a_user, an_app
from tests.conftest import KEY
from tests.parallel import in_parallel
from tests.upkeep.conftest import opened

NEW = bytes(reversed(range(32)))
OLD_ID, NEW_ID = Seal(KEY).key_id, Seal(NEW).key_id


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool, secret=True)


@pytest.fixture
def alice(env: Env, pool: Pool, client: Client) -> User:
    """She has, and her pool has, a value in every column of the list."""
    user = a_user(env, pool)
    an_app(env, user)
    certificates.signing(env, pool)
    access_keys.create(env, description="", pools=None, actions=None)
    now = env.now()
    with env.transaction():
        env.db.execute(update(SoftwareToken).values(pending=env.seal.seal(b"next", about=f"totp secret of {user.sub}")))
        env.db.add(
            Device(
                key="a-device",
                user_sub=user.sub,
                group_key="group",
                name=None,
                salt="00",
                verifier=env.seal.seal(b"ab", about="device verifier a-device"),
                remembered=True,
                trusted=False,
                last_ip="",
                created_at=now,
                modified_at=now,
                authenticated_at=now,
            )
        )
        for number, notes in enumerate(
            (
                {"private": env.seal.seal(b"{}", about="parameters of a custom challenge"), "name": "alice"},
                {"name": "x"},
            )
        ):
            env.db.add(
                Attempt(
                    digest=f"attempt {number}",
                    client_id=client.id,
                    user_sub=user.sub,
                    flow="CUSTOM_AUTH",
                    asked="CUSTOM_CHALLENGE",
                    proven=[],
                    notes=notes,
                    created_at=now,
                    expires_at=now,
                    used_at=None,
                )
            )
    return user


def values(env: Env) -> Counter[str]:
    """How many values there are, by the id of their key."""
    found: Counter[str] = Counter()
    assert list(broken(env, found)) == []
    return found


def under(env: Env, settings: Settings, another_app: Callable[..., Flask], key: bytes, *others: bytes) -> Flask:
    """A server with this key, which opens what was sealed with the others too."""
    files = []
    for other in others:
        file = settings.data_dir / f"key-{Seal(other).key_id}"
        file.write_text(base64.b64encode(other).decode())
        files.append(file)
    return another_app(replace(settings, key=key, other_key_files=tuple(files)), now=env.now, ticks=env.ticks)


# -- verify ----------------------------------------------------------------------------------------------------


def test_each_column_of_the_list_has_a_value_that_opens(env: Env, alice: User) -> None:
    for sealed in COLUMNS:
        with env.reading() as session:
            rows = session.execute(select(table(sealed.model))).mappings().all()
        texts = [sealed.of(row[sealed.column.key]) for row in rows]
        assert any(texts), f"{sealed.table}.{sealed.name}"
    assert set(values(env)) == {OLD_ID}


@pytest.mark.parametrize("of_a_backup", [False, True])
def test_what_cannot_be_opened_is_named_with_its_pool_and_key(
    env: Env, alice: User, pool: Pool, seal: Seal, back_up: Callable[..., Written], of_a_backup: bool
) -> None:
    stranger = Seal(bytes(32))
    with env.transaction():
        env.db.execute(update(Password).values(srp_verifier=stranger.seal(b"x", about=f"srp verifier {alice.sub}")))
        moved = env.db.scalar(select(SigningKey.sealed).where(SigningKey.purpose == "id"))
        env.db.execute(update(SigningKey).where(SigningKey.purpose == "access").values(sealed=moved))
        env.db.execute(update(AccessKey).values(sealed="no sealed value"))
        env.db.execute(update(Attempt).where(Attempt.digest == "attempt 0").values(notes={"private": "v1.x.y"}))
    found: Counter[str] = Counter()
    if of_a_backup:
        listed = list(broken_in(opened(back_up().path, seal), seal, found))
    else:
        listed = list(broken(env, found))
    with env.reading() as session:
        kid = session.scalar(select(SigningKey.kid).where(SigningKey.purpose == "access")) or ""
        access_key = session.scalar(select(AccessKey.id)) or ""
    assert sorted(listed, key=lambda one: one.table) == [
        Broken("access_key", "sealed", access_key, None, None),
        Broken("attempt", "notes.private", "attempt 0", pool.id, None),
        Broken("password", "srp_verifier", alice.sub, pool.id, stranger.key_id),
        Broken("signing_key", "sealed", kid, pool.id, OLD_ID),
    ]
    assert found[OLD_ID] > 5


def test_a_value_that_a_request_cannot_open_is_named_in_the_log_and_not_shown(
    env: Env, alice: User, pool: Pool
) -> None:
    stranger = Seal(bytes(32))
    with env.transaction():
        sealed = {
            row.kid: stranger.seal(b"secret", about=f"signing key {row.kid}")
            for row in env.db.scalars(select(SigningKey))
        }
        for kid, text in sealed.items():
            env.db.execute(update(SigningKey).where(SigningKey.kid == kid).values(sealed=text))
    with pytest.raises(Exception, match=f"of pool {pool.id}, sealed with key {stranger.key_id}") as raised:
        keys._load(env, pool)
    assert not any(text.split(".")[2] in str(raised.value) for text in sealed.values())


# -- rotation --------------------------------------------------------------------------------------------------


def test_all_is_sealed_anew_and_the_older_key_is_needed_no_more(
    env: Env, settings: Settings, alice: User, client: Client, pool: Pool, another_app: Callable[..., Flask]
) -> None:
    before = values(env)
    secret, jwks = client_secrets.of(env, client), keys.of(env, pool).jwks
    both = under(env, settings, another_app, NEW, KEY)
    with both.app_context():
        told: list[int] = []
        done = rotate(both.extensions["cognate"], Seal(NEW, KEY), told.append)
    assert done.remaining == {} and done.sealed == before[OLD_ID] == told[-1]
    alone = under(env, settings, another_app, NEW)
    with alone.app_context():
        now = alone.extensions["cognate"]
        assert values(now) == {NEW_ID: before[OLD_ID]}
        assert client_secrets.of(now, find.client(now, client.id)) == secret
        assert keys.of(now, pool).jwks == jwks
        # What is only recognised is as it was: nobody is signed out.
        assert now.keyed.digest("x", "y") == env.keyed.digest("x", "y")
        with now.reading() as session:
            assert session.scalar(select(Attempt.notes).where(Attempt.digest == "attempt 0"))["name"] == "alice"  # type: ignore[index]
    with pytest.raises(SettingsError, match=f"that has the id {NEW_ID}"):
        under(env, settings, another_app, KEY)


def test_doing_it_twice_does_nothing_more(env: Env, alice: User) -> None:
    seal = Seal(NEW, KEY)
    assert rotate(env, seal).sealed > 0
    assert rotate(env, seal) == sealed_values.Rotated(0, {})


class Killed(BaseException):
    pass


def test_it_goes_on_where_it_was_stopped(env: Env, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(values(env).values())
    seal, stops = Seal(NEW, KEY), iter([1, 3, 4])
    monkeypatch.setattr(sealed_values, "BATCH", 1)
    counted = 0
    for stop in stops:

        def tell(done: int, stop: int = stop) -> None:
            if done == stop:
                raise Killed

        with pytest.raises(Killed):
            rotate(env, seal, tell)
        counted += stop
    done = rotate(env, seal)
    assert counted + done.sealed == total and done.remaining == {}


def test_two_at_once_seal_each_value_once(app: Flask, env: Env, alice: User) -> None:
    total = sum(values(env).values())

    done = in_parallel(app, *[lambda: rotate(env, Seal(NEW, KEY)).sealed] * 4)
    assert sum(done) == total
    assert under_other_keys(env, NEW_ID) == {}


def test_a_value_that_a_server_changes_meanwhile_is_not_undone(
    env: Env, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read before; the server, which still seals with the older key, has written another since."""
    about = f"srp verifier {alice.sub}"
    changed = env.seal.seal(b"of her new password", about=about)
    real = sealed_values._reseal

    def meanwhile(*given: object) -> int:
        if given[2].column.key == "srp_verifier":  # type: ignore[attr-defined]
            with env.transaction():
                env.db.execute(update(Password).where(Password.srp_verifier != changed).values(srp_verifier=changed))
        return real(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(sealed_values, "_reseal", meanwhile)
        patch.setattr(sealed_values, "PASSES", 1)
        assert rotate(env, Seal(NEW, KEY)).remaining == {OLD_ID: 1}, "and it says that it is not done"
    assert rotate(env, Seal(NEW, KEY)).remaining == {}
    with env.reading() as session:
        now = session.scalar(select(Password.srp_verifier)) or ""
    assert Seal(NEW).open(now, about=about) == b"of her new password"


def test_what_cannot_be_opened_stays_and_is_told(env: Env, alice: User) -> None:
    stranger = Seal(bytes(32))
    text = stranger.seal(b"x", about=f"srp verifier {alice.sub}")
    with env.transaction():
        env.db.execute(update(Password).values(srp_verifier=text))
    assert rotate(env, Seal(NEW, KEY)).remaining == {stranger.key_id: 1}
    with env.reading() as session:
        assert session.scalar(select(Password.srp_verifier)) == text


def test_a_rolling_change_never_meets_what_a_process_cannot_open(
    env: Env, settings: Settings, alice: User, client: Client, another_app: Callable[..., Flask]
) -> None:
    """The steps of docs/backup.md: each server may be one step before or behind another."""
    steps = [(KEY, ()), (KEY, (NEW,)), (NEW, (KEY,)), (NEW, ())]
    for number, (before, after) in enumerate(zip(steps, steps[1:], strict=False)):
        servers = [under(env, settings, another_app, key, *others) for key, others in (before, after)]
        for app in servers:
            with app.app_context():
                mine = app.extensions["cognate"]
                a_user(mine, find.pool(mine, client.pool_id), f"user{number}{servers.index(app)}", email=None)
        for app in servers:
            with app.app_context():
                values(app.extensions["cognate"])
        if after == (NEW, (KEY,)):
            with servers[1].app_context():
                assert rotate(servers[1].extensions["cognate"], Seal(NEW, KEY)).remaining == {}
            for app in servers:
                with app.app_context():
                    values(app.extensions["cognate"])
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(Password)) == 7


def test_the_secrets_of_the_installation_are_among_them(env: Env) -> None:
    rotate(env, Seal(NEW, KEY))
    with env.reading() as session:
        texts = session.scalars(select(InstallationSecret.sealed)).all()
    assert [text.split(".")[1] for text in texts] == [NEW_ID, NEW_ID]


def test_a_file_of_another_key_has_to_hold_one(settings: Settings, another_app: Callable[..., Flask]) -> None:
    (settings.data_dir / "wrong").write_text("x")
    for name in ("wrong", "nothing"):
        with pytest.raises(SettingsError, match=f"The key file .*{name}"):
            another_app(replace(settings, other_key_files=(Path(settings.data_dir / name),)))
