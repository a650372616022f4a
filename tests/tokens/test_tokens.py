"""Tokens: what is in them, what makes the next ones, what ends them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from app import errors
from app.crypto.base64url import decode, encode
from app.env import Env, Origin
from app.models import Client, LoginSession, User
from app.pools import find
from app.tokens import issue, keys, refresh, revoke, verify
from app.tokens.claims import API_SCOPE
from tests.build import a_client, a_machine, a_pool, a_user
from tests.conftest import Clock


def issued(env: Env, client: Client, user: User, *, scope: str = API_SCOPE, oauth: bool = False, **more: Any) -> Any:
    with env.transaction():
        opened = issue.open_session(
            env, client, user, scope=scope, auth_time=env.now(), methods=["PASSWORD"], origin=Origin()
        )
    return issue.signed(env, client, user, opened.session, oauth=oauth, refresh=opened.refresh, **more)


def read(env: Env, client: Client, token: str) -> jwt.Token:
    """Verified as a relying party does it: by the published keys."""
    published = KeySet.import_key_set(orjson.loads(keys.of(env, client.pool).jwks))
    return jwt.decode(token, published, algorithms=["RS256", "ES256", "EdDSA"])


def claims_of(env: Env, client: Client, token: str, *, typ: str | None = None) -> dict[str, Any]:
    """Claims of a token whose header says this type, or none."""
    decoded = read(env, client, token)
    assert set(decoded.header) == {"kid", "alg"} | ({"typ"} if typ else set())
    assert decoded.header.get("typ") == typ
    return decoded.claims


def check(env: Env, token: str, scope: str = API_SCOPE) -> verify.Verified:
    return verify.access_token(env, token, scope=scope, pool_of=lambda one: find.pool(env, one))


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env))


@pytest.fixture
def user(env: Env, client: Client) -> User:
    return a_user(env, client.pool, name="Alice", address="12 High Street", updated_at="1700000000")


def test_an_access_token_of_the_api(env: Env, client: Client, user: User) -> None:
    claims = claims_of(env, client, issued(env, client, user).access)
    now = int(env.now().timestamp())
    assert claims == {
        "sub": user.sub,
        "iss": f"http://localhost:8080/{client.pool_id}",
        "client_id": client.id,
        "origin_jti": claims["origin_jti"],
        "event_id": claims["event_id"],
        "token_use": "access",
        "scope": API_SCOPE,
        "auth_time": now,
        "exp": now + 3600,
        "iat": now,
        "jti": claims["jti"],
        "username": "alice",
    }


def test_an_access_token_of_the_oauth_endpoints_has_a_version(env: Env, client: Client, user: User) -> None:
    claims = claims_of(env, client, issued(env, client, user, scope="openid email", oauth=True).access)
    assert claims["version"] == 2
    assert claims["scope"] == "openid email"


@pytest.mark.parametrize(
    "address",
    [
        '{"a":1' + "0" * 30 + "}",
        '{"a":"\\ud800"}',
        '{"a":NaN}',
        '{"a":1e999}',
        '{"a":{"b":"c"}}',
        '{"a":' + "[" * 1000 + "]" * 1000 + "}",
        "[" * 2000,
        '["street"]',
        "null",
    ],
)
def test_an_address_that_only_looks_like_an_object_does_not_end_sign_ins(
    env: Env, client: Client, address: str
) -> None:
    user = a_user(env, client.pool, address=address)
    claims = claims_of(env, client, issued(env, client, user).id)
    assert claims["address"] == {"formatted": address}


def test_an_address_may_be_the_object_of_openid_connect(env: Env, client: Client) -> None:
    user = a_user(env, client.pool, address='{"locality":"Oslo","country":"Norge"}')
    assert claims_of(env, client, issued(env, client, user).id)["address"] == {"locality": "Oslo", "country": "Norge"}


def test_an_id_token_has_the_attributes_in_their_types(env: Env, client: Client, user: User) -> None:
    tokens = issued(env, client, user)
    claims = claims_of(env, client, tokens.id)
    access = claims_of(env, client, tokens.access)
    now = int(env.now().timestamp())
    assert claims == {
        "sub": user.sub,
        "email": "alice@example.com",
        "email_verified": True,
        "name": "Alice",
        "address": {"formatted": "12 High Street"},
        "updated_at": 1700000000,
        "iss": f"http://localhost:8080/{client.pool_id}",
        "cognito:username": "alice",
        "origin_jti": access["origin_jti"],
        "aud": client.id,
        "event_id": access["event_id"],
        "token_use": "id",
        "auth_time": now,
        "exp": now + 3600,
        "iat": now,
        "jti": claims["jti"],
    }
    assert claims["jti"] != access["jti"]


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        ("openid", {"email", "email_verified", "name", "address", "updated_at"}),
        ("openid email", {"email", "email_verified"}),
        ("openid profile", {"name", "address", "updated_at"}),
        ("openid phone", set()),
    ],
)
def test_scopes_choose_attributes(env: Env, client: Client, user: User, scope: str, attributes: set[str]) -> None:
    claims = claims_of(env, client, issued(env, client, user, scope=scope, oauth=True, nonce="n").id)
    protocol = "sub iss cognito:username nonce origin_jti aud event_id token_use auth_time exp iat jti at_hash"
    assert set(claims) - set(protocol.split()) == attributes
    assert claims["nonce"] == "n"


def test_without_openid_there_is_no_id_token(env: Env, client: Client, user: User) -> None:
    assert issued(env, client, user, scope="aws.cognito.signin.user.admin", oauth=True).id is None


def test_a_client_reads_what_it_may_read(env: Env, user: User, client: Client) -> None:
    limited = a_client(env, client.pool, read_attributes=["name"])
    claims = claims_of(env, limited, issued(env, limited, user).id)
    assert "name" in claims and "email" not in claims


def test_a_machine_is_its_own_subject(env: Env, statements: Callable[[], list[str]]) -> None:
    machine = a_machine(env, a_pool(env))
    issue.for_machine(env, machine, "https://api.example.com/read")
    statements()
    tokens = issue.for_machine(env, machine, "https://api.example.com/read")
    assert statements() == []
    claims = claims_of(env, machine, tokens.access)
    assert claims["sub"] == claims["client_id"] == machine.id
    assert "username" not in claims and "origin_jti" not in claims
    with pytest.raises(errors.TokenRefused, match="Invalid Access Token"):
        check(env, tokens.access)


# RFC 9864 names the curve instead; what clients of today know is EdDSA.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_pool_signs_by_its_algorithm_and_with_a_key_per_purpose(env: Env, algorithm: str) -> None:
    client = a_client(env, a_pool(env, algorithm=algorithm))
    user = a_user(env, client.pool)
    tokens = issued(env, client, user)
    heads = [orjson.loads(decode(token.split(".")[0])) for token in (tokens.access, tokens.id)]
    assert [head["alg"] for head in heads] == [algorithm, algorithm]
    assert heads[0]["kid"] != heads[1]["kid"]
    claims_of(env, client, tokens.id)
    assert check(env, tokens.access).user.sub == user.sub


def test_refreshing_keeps_who_and_when_and_gives_a_new_jti(env: Env, client: Client, user: User, clock: Clock) -> None:
    first = issued(env, client, user, nonce="n", scope="openid", oauth=True)
    clock.forward(minutes=30)
    second = refresh.tokens(env, client, first.refresh, oauth=True, origin=Origin())
    assert second.refresh is None
    before, after = (claims_of(env, client, tokens.id) for tokens in (first, second))
    for kept in ("sub", "auth_time", "origin_jti", "event_id", "aud"):
        assert before[kept] == after[kept]
    assert after["iat"] == before["iat"] + 1800
    assert after["jti"] != before["jti"]
    assert "nonce" not in after


def test_the_refresh_token_is_stored_hashed(env: Env, client: Client, user: User) -> None:
    tokens = issued(env, client, user)
    with env.reading() as session:
        assert tokens.refresh not in str(vars(session.scalars(select(LoginSession)).one()))


def test_a_refresh_token_is_of_one_client_and_lives_as_long_as_it_was_given(
    env: Env, client: Client, user: User, clock: Clock
) -> None:
    tokens = issued(env, client, user)
    with pytest.raises(errors.RefreshTokenRefused, match="Invalid Refresh Token"):
        refresh.tokens(env, a_client(env, client.pool), tokens.refresh, oauth=False, origin=Origin())
    with pytest.raises(errors.RefreshTokenRefused, match="Invalid Refresh Token"):
        refresh.tokens(env, client, tokens.refresh + "x", oauth=False, origin=Origin())
    clock.forward(days=29)
    refresh.tokens(env, client, tokens.refresh, oauth=False, origin=Origin())
    clock.forward(days=1)  # using it has not made it live longer
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has expired"):
        refresh.tokens(env, client, tokens.refresh, oauth=False, origin=Origin())


def test_signing_out_everywhere_ends_every_token(env: Env, client: Client, user: User) -> None:
    tokens = issued(env, client, user)
    with env.transaction():
        revoke.everything_of(env, user)
    with pytest.raises(errors.TokenRefused, match="Access Token has been revoked"):
        check(env, tokens.access)
    with pytest.raises(errors.RefreshTokenRefused, match="Refresh Token has been revoked"):
        refresh.tokens(env, client, tokens.refresh, oauth=False, origin=Origin())
    check(env, issued(env, client, user).access)  # a new sign-in is not affected


def test_revoking_a_refresh_token_ends_the_access_tokens_that_came_of_it(env: Env, client: Client, user: User) -> None:
    one, other = issued(env, client, user), issued(env, client, user)
    again = refresh.tokens(env, client, one.refresh, oauth=False, origin=Origin())
    with env.transaction():
        revoke.refresh_token(env, client, one.refresh)
    for token in (one.access, again.access):
        with pytest.raises(errors.TokenRefused, match="Access Token has been revoked"):
            check(env, token)
    check(env, other.access)


def test_revoking_what_is_not_ours_changes_nothing_and_tells_nothing(env: Env, client: Client, user: User) -> None:
    tokens = issued(env, client, user)
    other = a_client(env, client.pool)
    with env.transaction():
        revoke.refresh_token(env, other, tokens.refresh)
    with env.transaction():
        revoke.refresh_token(env, client, "unknown")
    check(env, tokens.access)
    with pytest.raises(errors.UnsupportedTokenType), env.transaction():
        revoke.refresh_token(env, client, tokens.access)


def test_a_client_without_revocation_has_no_origin_jti_but_can_be_signed_out(
    env: Env, user: User, client: Client
) -> None:
    plain = a_client(env, client.pool, enable_token_revocation=False)
    tokens = issued(env, plain, user)
    assert "origin_jti" not in claims_of(env, plain, tokens.access)
    with pytest.raises(errors.UnsupportedOperation), env.transaction():
        revoke.refresh_token(env, plain, tokens.refresh)
    with env.transaction():
        revoke.everything_of(env, user)
    with pytest.raises(errors.TokenRefused):
        check(env, tokens.access)


@pytest.mark.parametrize(
    ("change", "refusal", "sentence"),
    [
        ({"token_use": "id"}, errors.TokenRefused, "Invalid Access Token"),
        ({"iss": "https://elsewhere.example/us-east-1_abcdefghi"}, errors.TokenRefused, "Invalid Access Token"),
        ({"scope": "openid"}, errors.TokenRefused, "Access Token does not have required scopes"),
        ({"event_id": "00000000-0000-4000-8000-000000000000"}, errors.TokenRefused, "has been revoked"),
        ({"sub": "00000000-0000-4000-8000-000000000000"}, errors.UserNotFound, "User does not exist."),
    ],
)
def test_a_token_is_accepted_for_what_it_says(
    env: Env, client: Client, user: User, change: dict[str, str], refusal: type[errors.Refusal], sentence: str
) -> None:
    claims = claims_of(env, client, issued(env, client, user).access)
    forged = keys.of(env, client.pool).signer("access", env.now()).sign(claims | change)
    with pytest.raises(refusal, match=sentence):
        check(env, forged)


BEYOND = encode(orjson.dumps({"iss": "http://localhost:8080/us-east-1_\0"}))
"""A pool that PostgreSQL cannot be asked for."""


@pytest.mark.parametrize("what", ["", "a", "a.b", "a.b.c", "...", "é.é.é", "a" * 10000, f"e30.{BEYOND}.AAAA"])
def test_what_is_no_token_is_refused_politely(env: Env, what: str) -> None:
    with pytest.raises(errors.TokenRefused, match="Invalid Access Token"):
        check(env, what)


def test_tampering_is_noticed(env: Env, client: Client, user: User) -> None:
    head, body, signature = issued(env, client, user).access.split(".")
    claims = orjson.loads(decode(body)) | {"username": "mallory"}
    with pytest.raises(errors.TokenRefused, match="Could not verify signature for Access Token"):
        check(env, f"{head}.{encode(orjson.dumps(claims))}.{signature}")
    none = encode(orjson.dumps(orjson.loads(decode(head)) | {"alg": "none"}))
    with pytest.raises(errors.TokenRefused):
        check(env, f"{none}.{body}.")


def test_an_id_token_is_no_access_token_and_another_pools_is_not_ours(env: Env, client: Client, user: User) -> None:
    tokens = issued(env, client, user)
    with pytest.raises(errors.TokenRefused):
        check(env, tokens.id)
    with pytest.raises(errors.TokenRefused):
        verify.access_token(
            env, tokens.access, scope=API_SCOPE, pool_of=lambda one: find.pool(env, one), only=a_pool(env)
        )


def test_it_expires_to_the_second(env: Env, client: Client, user: User, clock: Clock) -> None:
    token = issued(env, client, user).access
    clock.moment += client.access_validity - timedelta(seconds=1)
    check(env, token)
    clock.forward(seconds=1)
    with pytest.raises(errors.TokenRefused, match="Access Token has expired"):
        check(env, token)


def test_a_disabled_user_has_no_valid_token(env: Env, client: Client, user: User) -> None:
    tokens = issued(env, client, user)
    with env.transaction():
        env.db.get_one(User, user.sub).enabled = False
    with pytest.raises(errors.UserDisabled):
        check(env, tokens.access)
    with pytest.raises(errors.UserDisabled):
        refresh.tokens(env, client, tokens.refresh, oauth=False, origin=Origin())


def test_validity_is_the_clients(env: Env, user: User, client: Client) -> None:
    short = a_client(
        env,
        client.pool,
        access_token_validity=5,
        id_token_validity=10,
        refresh_token_validity=60,
        token_validity_units={"access_token": "minutes", "id_token": "minutes", "refresh_token": "minutes"},
    )
    tokens = issued(env, short, user)
    now = int(env.now().timestamp())
    assert tokens.expires_in == 300
    assert claims_of(env, short, tokens.access)["exp"] == now + 300
    assert claims_of(env, short, tokens.id)["exp"] == now + 600
