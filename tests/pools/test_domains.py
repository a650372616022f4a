"""Host names of pools: when several want one, and the proof that a custom one belongs to whoever has the pool."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from flask import Flask

from app import errors
from app.accounts import relying_party
from app.cache import STALE_AFTER
from app.env import Env
from app.fetch import Unreadable
from app.models import Domain, Pool
from app.oauth import well_known
from app.pools import domains, find, user_pools
from tests.build import a_client, a_pool
from tests.conftest import Clock, test_settings
from tests.parallel import in_parallel


def test_of_pools_that_want_one_name_at_once_one_has_it(app: Flask, env: Env) -> None:
    pools = [a_pool(env, algorithm="ES256") for _ in range(4)]
    acts = [lambda pool=pool: domains.create(env, pool, domain="people", custom=False, settings={}) for pool in pools]
    made = in_parallel(app, *acts)
    assert sorted(type(one).__name__ for one in made) == ["Domain", *["InvalidParameter"] * 3]
    [owner] = [pool for pool, one in zip(pools, made, strict=True) if type(one).__name__ == "Domain"]
    found = domains.named(env, "people")
    assert found is not None and found.pool_id == owner.id


def test_a_pool_that_wants_two_prefixes_at_once_has_one(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    names = ("a1", "a2", "a3", "a4")
    acts = [lambda name=name: domains.create(env, pool, domain=name, custom=False, settings={}) for name in names]
    made = in_parallel(app, *acts)
    assert sorted(type(one).__name__ for one in made) == ["Domain", *["InvalidParameter"] * 3]
    assert len(find.domains(env, pool)) == 1


def test_no_domain_is_left_of_a_pool_that_is_deleted_meanwhile(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    deleted, made = in_parallel(
        app,
        lambda: user_pools.delete(env, pool),
        lambda: domains.create(env, pool, domain="people", custom=False, settings={}),
    )
    there = domains.named(env, "people")
    if deleted is None:
        assert type(made).__name__ == "UnknownPool" and there is None
    else:
        assert type(deleted).__name__ == "InvalidParameter" and there is not None


def test_of_those_who_delete_one_at_once_one_has_deleted_it(app: Flask, env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    domains.create(env, pool, domain="people", custom=False, settings={})
    ended = in_parallel(app, *[lambda: domains.delete(env, pool, domain="people")] * 4)
    assert sorted(type(one).__name__ for one in ended) == [*["InvalidParameter"] * 3, "NoneType"]


# -- the proof of a custom domain --------------------------------------------------------------------------------------

NAME = "auth.example.com"


class Web:
    """What is found under the addresses of other people's hosts, and what was looked for there."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, url: str, *, private: bool, most: int, seconds: float) -> bytes:
        self.asked.append((url, private))
        if url not in self.files:
            raise Unreadable("the answer has the status 404")
        return self.files[url]

    def has(
        self, pool: Pool, *, scheme: str = "https", host: str = NAME, before: bytes = b"", after: bytes = b"\n"
    ) -> None:
        content = before + f"http://localhost:8080/{pool.id}".encode() + after
        self.files[f"{scheme}://{host}/.well-known/cognate-user-pool"] = content


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def proving(env: Env, web: Web) -> Env:
    """A server that serves no custom domain before it is proven."""
    return replace(env, settings=replace(env.settings, domain_proof="public"), fetch=web)


def claimed(env: Env, pool: Pool, name: str = NAME) -> Domain:
    return domains.create(env, pool, domain=name, custom=True, settings={})


def owner(env: Env, clock: Clock) -> str | None:
    clock.forward(seconds=STALE_AFTER)
    found = find.pool_by_host(env, NAME)
    return found.id if found else None


def test_a_domain_is_served_once_its_owner_has_proven_it(proving: Env, web: Web, clock: Clock) -> None:
    pool = a_pool(proving, algorithm="ES256")
    row = claimed(proving, pool)
    assert (row.served, web.asked) == (False, [])
    assert owner(proving, clock) is None
    with pytest.raises(domains.Unproven) as refused:
        domains.prove(proving, NAME)
    said = refused.value.message
    assert f"Expected http://localhost:8080/{pool.id} as the content of https://{NAME}/.well-known/" in said
    assert "https://auth.example.com/.well-known/cognate-user-pool: the answer has the status 404" in said
    web.has(pool)
    assert domains.prove(proving, NAME).served
    assert owner(proving, clock) == pool.id
    assert {private for _, private in web.asked} == {False}


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_file_may_be_had_by_either_scheme_and_end_in_a_line(proving: Env, web: Web, scheme: str) -> None:
    pool = a_pool(proving, algorithm="ES256")
    claimed(proving, pool)
    web.has(pool, scheme=scheme, after=b"\r\n")
    assert domains.prove(proving, NAME).served


def test_a_file_of_another_pool_or_with_more_in_it_proves_nothing(proving: Env, web: Web) -> None:
    """A host that shows what anybody sends it must not thereby belong to them."""
    pool, other = a_pool(proving, algorithm="ES256"), a_pool(proving, algorithm="ES256")
    claimed(proving, pool)
    for prepare in (
        lambda: web.has(other),
        lambda: web.has(pool, before=b"You asked for "),
        lambda: web.has(pool, after=b"/x"),
        lambda: web.has(pool, host="example.com"),
    ):
        web.files.clear()
        prepare()
        with pytest.raises(domains.Unproven):
            domains.prove(proving, NAME)


def test_nothing_leads_to_a_domain_that_is_not_proven(proving: Env, env: Env, web: Web, clock: Clock) -> None:
    """Not discovery, not a passkey, and not a link in a mail (tests/hosted/test_sign_up.py)."""
    pool = a_pool(proving, algorithm="ES256")
    client = a_client(proving, pool)
    claimed(proving, pool)
    clock.forward(seconds=STALE_AFTER)
    assert NAME not in well_known.endpoints(proving, pool)
    assert NAME not in relying_party.of(proving, client).origins
    web.has(pool)
    domains.prove(proving, NAME)
    clock.forward(seconds=STALE_AFTER)
    assert well_known.endpoints(proving, pool) == f"https://{NAME}"


def test_a_claim_keeps_nobody_away_who_can_prove(proving: Env, web: Web, clock: Clock) -> None:
    """Claiming the names of others costs nothing, so it must not be worth anything."""
    squatter, rightful = a_pool(proving, algorithm="ES256"), a_pool(proving, algorithm="ES256")
    claimed(proving, squatter)
    with pytest.raises(errors.InvalidParameter) as refused:
        claimed(proving, rightful)
    said = refused.value.message
    assert f"put http://localhost:8080/{rightful.id} at https://{NAME}/.well-known/" in said and "404" not in said
    web.has(rightful)
    assert claimed(proving, rightful).served
    assert owner(proving, clock) == rightful.id
    web.has(squatter)
    with pytest.raises(errors.InvalidParameter, match="already associated with another user pool"):
        claimed(proving, squatter)


def test_whoever_describes_it_sees_it_become_active_and_asks_nobody_too_often(
    proving: Env, web: Web, clock: Clock
) -> None:
    pool = a_pool(proving, algorithm="ES256")
    claimed(proving, pool)
    for _ in range(5):
        row = domains.described(proving, NAME)
        assert row is not None and not row.served
    assert len(web.asked) == 2, "once by https and once by http"
    web.has(pool)
    assert not domains.described(proving, NAME).served  # type: ignore[union-attr]
    clock.forward(seconds=10)
    assert domains.described(proving, NAME).served  # type: ignore[union-attr]
    asked = len(web.asked)
    clock.forward(seconds=10)
    assert domains.described(proving, NAME).served  # type: ignore[union-attr]
    assert len(web.asked) == asked


def test_the_server_looks_for_itself_for_a_week(proving: Env, web: Web, clock: Clock) -> None:
    early, late = a_pool(proving, algorithm="ES256"), a_pool(proving, algorithm="ES256")
    claimed(proving, early)
    assert domains.prove_waiting(proving) == []
    web.has(early)
    clock.forward(minutes=1)
    assert [row.domain for row in domains.prove_waiting(proving)] == [NAME]
    assert domains.prove_waiting(proving) == []
    claimed(proving, late, "late.example.com")
    clock.forward(days=7)
    asked = len(web.asked)
    assert domains.prove_waiting(proving) == [] and len(web.asked) == asked


def test_an_operator_may_vouch_for_it(proving: Env, clock: Clock) -> None:
    pool = a_pool(proving, algorithm="ES256")
    domains.accept(proving, claimed(proving, pool))
    assert owner(proving, clock) == pool.id


def test_a_private_network_is_asked_only_where_the_setting_says_so(env: Env, web: Web) -> None:
    private = replace(env, settings=replace(env.settings, domain_proof="private"), fetch=web)
    pool = a_pool(private, algorithm="ES256")
    claimed(private, pool)
    web.has(pool)
    domains.prove(private, NAME)
    assert web.asked[-1][1] is True


def test_where_the_proof_is_off_a_claim_is_enough(env: Env, proving: Env, web: Web, clock: Clock) -> None:
    """Which is so in development, whose tools make custom domains and expect them to work; also for those that were
    claimed before it was switched off."""
    assert env.settings.proof_of_domains == "off"
    assert test_settings(env.settings.database_url, mode="production").proof_of_domains == "public"
    pool = a_pool(env, algorithm="ES256")
    claimed(proving, pool)
    plain = replace(env, fetch=web)
    assert domains.described(plain, NAME).served  # type: ignore[union-attr]
    assert owner(env, clock) == pool.id
    assert claimed(plain, a_pool(env, algorithm="ES256"), "other.example.com").served
    assert web.asked == []


def test_a_prefix_needs_no_proof(proving: Env) -> None:
    pool = a_pool(proving, algorithm="ES256")
    assert domains.create(proving, pool, domain="people", custom=False, settings={}).served
    assert find.pool_by_host(proving, "people.localhost:8080") is not None


def test_a_domain_that_is_deleted_while_it_is_looked_at_is_not_served(proving: Env, web: Web) -> None:
    pool = a_pool(proving, algorithm="ES256")
    row = claimed(proving, pool)
    domains.delete(proving, pool, domain=NAME)
    with pytest.raises(errors.ResourceNotFound):
        domains.accept(proving, row)
    with pytest.raises(errors.ResourceNotFound):
        domains.prove(proving, NAME)


def test_the_api_tells_the_state_and_the_endpoints_wait_for_it(
    another_app: Callable[..., Flask], database_url: str, tmp_path: Path, clock: Clock, env: Env, web: Web
) -> None:
    settings = test_settings(database_url, data_dir=tmp_path, domain_proof="public")
    http = another_app(settings, now=clock, ticks=clock.ticks, fetch=web).test_client()
    pool = a_pool(env)

    def call(operation: str, **members: object) -> dict[str, object]:
        headers = {
            "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
            "Authorization": "AWS4-HMAC-SHA256 Credential=anybody/20260301/us-east-1/cognito-idp/aws4_request, "
            "SignedHeaders=host, Signature=0",
        }
        answer = http.post("/", json=members, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = orjson.loads(answer.data)
        return found

    certificate = {"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/x"}
    call("CreateUserPoolDomain", Domain=NAME, UserPoolId=pool.id, CustomDomainConfig=certificate)

    def status() -> object:
        clock.forward(seconds=10)
        return call("DescribeUserPoolDomain", Domain=NAME)["DomainDescription"]["Status"]  # type: ignore[index]

    assert status() == "CREATING"
    path = "/.well-known/openid-configuration"
    assert http.get(path, base_url=f"https://{NAME}").status_code == 404
    assert call("DescribeUserPool", UserPoolId=pool.id)["UserPool"]["CustomDomain"] == NAME  # type: ignore[index]
    web.has(pool)
    assert status() == "ACTIVE"
    assert http.get(path, base_url=f"https://{NAME}").status_code == 200
