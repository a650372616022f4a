"""The keys of a pool: two, published before they sign, kept as long as what they signed can live."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from app import errors
from app.cache import STALE_AFTER
from app.config import Settings
from app.crypto import jose
from app.env import Env, Origin
from app.models import Client, Pool, SigningKey
from app.pools import find, user_pools
from app.tokens import certificates, issue, keys, revoke, verify
from app.tokens.keys import LONGEST_TOKEN, PUBLISHED_AHEAD
from tests.build import a_client, a_machine, a_pool, a_user
from tests.conftest import Clock
from tests.parallel import in_parallel

ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
SCOPE = "https://api.example.com/read"


def jwks(env: Env, pool: Pool) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(keys.of(env, pool).jwks)
    return found


def kids(env: Env, pool: Pool) -> set[str]:
    return {key["kid"] for key in jwks(env, pool)["keys"]}


def signers(env: Env, pool: Pool) -> tuple[str, str]:
    """The kids that sign now: ID tokens, access tokens."""
    found = keys.of(env, pool)
    return found.signer("id", env.now()).kid, found.signer("access", env.now()).kid


def rotate(env: Env, pool: Pool, *, emergency: bool = False) -> None:
    keys.rotate(env, pool, emergency=emergency)


def tokens(env: Env, client: Client, user: Any) -> issue.Tokens:
    with env.transaction():
        opened = issue.open_session(
            env,
            client,
            user,
            scope="openid aws.cognito.signin.user.admin",
            auth_time=env.now(),
            methods=["PASSWORD"],
            origin=Origin(),
        )
    return issue.signed(env, client, user, opened.session, oauth=True)


def verified(env: Env, token: str) -> verify.Verified:
    return verify.access_token(
        env, token, scope="aws.cognito.signin.user.admin", pool_of=lambda pool_id: find.pool(env, pool_id)
    )


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # in favour of a name that no other library knows yet
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_are_verified_with_what_is_published(env: Env, algorithm: str) -> None:
    """By another library, as a relying party does it."""
    pool = a_pool(env, algorithm=algorithm)
    client = a_client(env, pool)
    made = tokens(env, client, a_user(env, pool))
    published = KeySet.import_key_set(jwks(env, pool))  # type: ignore[arg-type]
    assert made.id
    for token, use in ((made.id, "id"), (made.access, "access")):
        found = jwt.decode(token, published, algorithms=[algorithm])
        assert found.claims["token_use"] == use and found.header["alg"] == algorithm
        assert found.header["kid"] in kids(env, pool)
    assert verified(env, made.access).user.username == "alice"


@pytest.mark.parametrize(("algorithm", "kind"), ALGORITHMS.items())
def test_a_pool_has_two_keys_and_publishes_nothing_private(env: Env, algorithm: str, kind: str) -> None:
    pool = a_pool(env, algorithm=algorithm)
    published = jwks(env, pool)["keys"]
    assert len(published) == 2
    for key in published:
        assert key["kty"] == kind and key["alg"] == algorithm and key["use"] == "sig"
        assert not PRIVATE & key.keys()
    one, other = signers(env, pool)
    assert {one, other} == kids(env, pool) and one != other


def test_private_keys_are_sealed_in_the_database_each_for_its_place(env: Env) -> None:
    a_pool(env)
    with env.reading() as session:
        rows = session.scalars(select(SigningKey)).all()
    for row in rows:
        assert "PRIVATE" not in row.sealed and not PRIVATE & row.public.keys()
        assert env.seal.open(row.sealed, about=f"signing key {row.kid}")
    with pytest.raises(Exception, match="sealed about something else"):
        env.seal.open(rows[0].sealed, about=f"signing key {rows[1].kid}")


def test_an_id_token_is_no_access_token_even_by_its_key(env: Env) -> None:
    pool = a_pool(env)
    made = tokens(env, a_client(env, pool), a_user(env, pool))
    assert made.id
    with pytest.raises(errors.TokenRefused):
        verified(env, made.id)


def test_a_token_of_another_pool_is_refused_by_its_signature(env: Env) -> None:
    """Who may make pools must not be able to make tokens of others: the issuer is claimed, the key decides."""
    mine, theirs = a_pool(env), a_pool(env)
    made = tokens(env, a_client(env, mine), a_user(env, mine))
    forged = (
        keys.of(env, mine)
        .signer("access", env.now())
        .sign(verified(env, made.access).claims | {"iss": f"{env.settings.base_url}/{theirs.id}"})
    )
    with pytest.raises(errors.TokenRefused):
        verified(env, forged)


# -- rotation --------------------------------------------------------------------------------------------------


def test_a_new_key_is_published_before_it_signs(env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    old, before = signers(env, pool), kids(env, pool)
    rotate(env, pool)
    assert kids(env, pool) > before and len(kids(env, pool)) == 4
    assert signers(env, pool) == old
    clock.forward(seconds=PUBLISHED_AHEAD.total_seconds() - 1)
    assert signers(env, pool) == old
    clock.forward(seconds=1)
    assert set(signers(env, pool)) == kids(env, pool) - before


def test_an_old_key_stays_until_the_longest_token_that_it_signed_has_ended(env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    client = a_client(env, pool, access_token_validity=24, id_token_validity=24)
    user = a_user(env, pool)
    old = kids(env, pool)
    rotate(env, pool)
    clock.forward(seconds=PUBLISHED_AHEAD.total_seconds() - 1)
    last = tokens(env, client, user)
    clock.forward(seconds=timedelta(hours=24).total_seconds() - 1)
    assert verified(env, last.access).user.username == "alice"
    assert old < kids(env, pool)
    clock.forward(seconds=2)
    assert not old & kids(env, pool), "nothing that they signed is alive"
    with pytest.raises(errors.TokenRefused):
        verified(env, last.access)
    assert verified(env, tokens(env, client, user).access)


def test_rotating_again_before_the_next_key_signs_leaves_no_gap(env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    client, user = a_client(env, pool), a_user(env, pool)
    made = []
    for _ in range(4):
        rotate(env, pool)
        for _ in range(4):
            made.append(tokens(env, client, user))
            clock.forward(seconds=PUBLISHED_AHEAD.total_seconds() / 3)
            for one in made[-8:]:
                assert verified(env, one.access)
    assert len({verified(env, one.access).claims["jti"] for one in made[-4:]}) == 4


def test_keys_that_have_gone_are_removed_with_the_next_rotation(env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    first = kids(env, pool)
    rotate(env, pool)
    clock.forward(seconds=(PUBLISHED_AHEAD + LONGEST_TOKEN).total_seconds())
    rotate(env, pool)
    with env.reading() as session:
        rows = set(session.scalars(select(SigningKey.kid)))
    assert not first & rows and len(rows) == 4


def test_in_an_emergency_the_old_key_is_forgotten_with_all_that_it_signed(env: Env, clock: Clock) -> None:
    pool, other = a_pool(env), a_pool(env)
    client, user = a_client(env, pool), a_user(env, pool)
    stolen = keys.of(env, pool).signer("access", env.now())
    made = tokens(env, client, user)
    untouched = kids(env, other)
    rotate(env, pool)  # also what was published for later may be known by now
    published = kids(env, pool)
    rotate(env, pool, emergency=True)
    assert not published & kids(env, pool) and len(kids(env, pool)) == 2
    assert set(signers(env, pool)) == kids(env, pool)
    for token in (made.access, stolen.sign({"iss": f"{env.settings.base_url}/{pool.id}", "token_use": "access"})):
        with pytest.raises(errors.TokenRefused):
            verified(env, token)
    assert verified(env, tokens(env, client, user).access)
    assert kids(env, other) == untouched


def test_a_token_that_was_verified_is_not_verified_again_and_is_refused_as_soon_as_anything_ends_it(
    env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = a_pool(env)
    client, user = a_client(env, pool), a_user(env, pool)
    asked: list[str] = []
    really = jose.verify
    monkeypatch.setattr(jose, "verify", lambda token, keys: asked.append(token) or really(token, keys))
    revoked, expired, forgotten = (tokens(env, client, user).access for _ in range(3))
    for _ in range(3):
        for token in (revoked, expired, forgotten):
            found = verified(env, token)
            found.claims["scope"] = "everything"  # what a caller does with the claims is seen by nobody else
    assert sorted(asked) == sorted((revoked, expired, forgotten))
    with env.transaction():
        revoke.session(env, verified(env, revoked).session.id)
    with pytest.raises(errors.TokenRefused, match="revoked"):
        verified(env, revoked)
    rotate(env, pool, emergency=True)
    with pytest.raises(errors.TokenRefused, match="signature"):
        verified(env, forgotten)
    another = tokens(env, client, user).access
    assert verified(env, another)
    clock.forward(days=1)
    with pytest.raises(errors.TokenRefused, match="expired"):
        verified(env, another)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_that_is_like_a_verified_one_but_for_one_character_is_another(env: Env, part: int) -> None:
    pool = a_pool(env)
    token = tokens(env, a_client(env, pool), a_user(env, pool)).access
    assert verified(env, token)
    parts = token.split(".")
    parts[part] = parts[part][:-3] + ("A" if parts[part][-3] != "A" else "B") + parts[part][-2:]
    with pytest.raises(errors.TokenRefused):
        verified(env, ".".join(parts))


def test_tokens_that_are_remembered_are_bounded_and_those_that_nobody_signed_are_not_among_them() -> None:
    known = keys.VerifiedTokens()

    def refuse(token: str) -> dict[str, Any]:
        raise jose.BadToken("signature")

    assert known.claims("good", lambda token: {"of": token}) == {"of": "good"}
    for number in range(2 * known.MOST):
        with pytest.raises(jose.BadToken):
            known.claims(f"bad {number}", refuse)
    assert known.claims("good", refuse) == {"of": "good"}
    for number in range(2 * known.MOST):
        known.claims(f"good {number}", lambda token: {"of": token})
    assert len(known._claims) <= known.MOST


def test_new_keys_are_not_made_while_others_wait_for_the_database(env: Env) -> None:
    """An RSA key takes longer than a whole sign-in."""
    pool = a_pool(env)
    before = kids(env, pool)
    with pytest.raises(RuntimeError, match="cannot make keys while a transaction is open"):
        with env.transaction():
            rotate(env, pool, emergency=True)
    assert kids(env, pool) == before


def test_other_processes_sign_with_the_new_key_within_a_second(
    env: Env, settings: Settings, clock: Clock, another_app: Callable[..., Flask], app: Flask
) -> None:
    pool = a_pool(env)
    machine = a_machine(env, pool)
    other = another_app(settings, now=clock, ticks=clock.ticks)
    elsewhere: Env = other.extensions["cognate"]
    with other.app_context():
        old = kids(elsewhere, pool)
    rotate(env, pool, emergency=True)
    clock.forward(seconds=STALE_AFTER)
    with other.app_context():
        assert kids(elsewhere, pool) == kids(env, pool) != old
        made = issue.for_machine(elsewhere, find.client(elsewhere, machine.id), SCOPE)
    published = KeySet.import_key_set(jwks(env, pool))  # type: ignore[arg-type]
    assert jwt.decode(made.access, published, algorithms=["RS256"]).claims["scope"] == SCOPE


def test_a_pool_that_was_deleted_since_it_was_read_has_none(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    user_pools.delete(env, pool)
    with pytest.raises(errors.UnknownPool):
        keys.of(env, pool)


# -- on schedule -----------------------------------------------------------------------------------------------


def every(env: Env, days: int) -> Env:
    return replace(env, settings=replace(env.settings, signing_key_days=days))


def test_keys_that_have_become_old_are_rotated_by_themselves(env: Env, clock: Clock) -> None:
    env = every(env, 90)
    young, old = a_pool(env), a_pool(env)
    clock.forward(days=89)
    keys.rotate(env, young)
    assert keys.rotate_due(env) == []
    before, signing = kids(env, old), signers(env, old)
    clock.forward(days=1)
    assert keys.rotate_due(env) == [old.id]
    assert kids(env, old) > before and signers(env, old) == signing, "published, before they sign"
    clock.forward(seconds=PUBLISHED_AHEAD.total_seconds())
    assert set(signers(env, old)) == kids(env, old) - before
    assert kids(env, old) > before, "what was signed is verified as long as it lives"
    clock.forward(seconds=LONGEST_TOKEN.total_seconds())
    assert kids(env, old) == set(signers(env, old))


def test_a_rotation_begins_the_time_anew(env: Env, clock: Clock) -> None:
    env = every(env, 90)
    pool = a_pool(env)
    clock.forward(days=90)
    assert [keys.rotate_due(env), keys.rotate_due(env)] == [[pool.id], []]
    clock.forward(days=89, hours=23)
    assert keys.rotate_due(env) == []
    clock.forward(hours=1)
    assert keys.rotate_due(env) == [pool.id]
    assert len(kids(env, pool)) == 4


def test_unless_a_schedule_is_set_keys_stay(env: Env, clock: Clock) -> None:
    a_pool(env)
    clock.forward(days=10_000)
    assert keys.rotate_due(env) == []


def test_the_key_of_the_certificate_is_not_rotated_with_them(env: Env, clock: Clock) -> None:
    env = every(env, 90)
    pool = a_pool(env)
    clock.forward(days=90)
    before = certificates.signing(env, pool)
    assert keys.rotate_due(env) == [pool.id]
    assert certificates.signing(env, pool) == before


def test_of_many_workers_at_once_one_rotates(app: Flask, env: Env, clock: Clock) -> None:
    env = every(env, 90)
    pool = a_pool(env, algorithm="ES256")
    clock.forward(days=90)
    done = in_parallel(app, *[lambda: keys.rotate_due(env)] * 6)
    assert sorted(done) == [[], [], [], [], [], [pool.id]]
    assert len(kids(env, pool)) == 4


def test_a_pool_that_is_deleted_meanwhile_gets_no_keys(env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    env = every(env, 90)
    pool = a_pool(env, algorithm="ES256")
    clock.forward(days=90)
    made = keys.pair

    def deleted(env: Env, pool: Pool, **more: Any) -> list[SigningKey]:
        found = made(env, pool, **more)
        user_pools.delete(env, pool)
        return found

    monkeypatch.setattr(keys, "pair", deleted)
    assert keys.rotate_due(env) == []
    with env.reading() as session:
        assert session.scalars(select(SigningKey).where(SigningKey.pool_id == pool.id)).all() == []
