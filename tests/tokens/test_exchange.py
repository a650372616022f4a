"""Token exchange, and who would use it to have more than he was given."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from app import errors
from app.accounts import administer
from app.env import Env, Origin
from app.models import Client, Pool, User
from app.pools import app_clients, resource_servers
from app.tokens import exchange, issue, keys, revoke
from app.tokens.claims import API_SCOPE
from app.tokens.exchange import Derived, Presented
from tests.build import a_client, a_pool, a_user
from tests.conftest import Clock
from tests.tokens.test_tokens import check, issued, read
from tests.tokens.test_tokens import claims_of as plain_claims_of

API = "https://api.example.com"
BOTH = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION", "ALLOW_TOKEN_EXCHANGE_DELEGATION"]
SCOPES = ["openid", "email", f"{API}/read", f"{API}/write"]


@pytest.fixture
def pool(env: Env) -> Pool:
    pool = a_pool(env, algorithm="ES256")
    scopes = [("read", "Read"), ("write", "Write")]
    resource_servers.create(env, pool, identifier=API, name="API", scopes=scopes)
    return pool


@pytest.fixture
def user(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


@pytest.fixture
def app_client(env: Env, pool: Pool) -> Client:
    """The application that the user has signed in to."""
    return a_client(env, pool, allowed_oauth_scopes=[*SCOPES, API_SCOPE])


@pytest.fixture
def service(env: Env, pool: Pool) -> Client:
    """A service behind it, which exchanges what it is called with."""
    return a_client(env, pool, explicit_auth_flows=BOTH, allowed_oauth_scopes=SCOPES)


@pytest.fixture
def machine(env: Env, pool: Pool) -> Client:
    return app_clients.create(
        env,
        pool,
        name="Machine",
        settings={
            "allowed_oauth_flows": ["client_credentials"],
            "allowed_oauth_scopes": [f"{API}/read"],
            "allowed_oauth_flows_user_pool_client": True,
        },
        generate_secret=True,
        secret=None,
    )


def claims_of(env: Env, client: Client, token: str) -> dict[str, Any]:
    """Of an access token that was derived, which says what it is (RFC 9068, 2.1), or of an ID token."""
    access = read(env, client, token).claims["token_use"] == "access"
    return plain_claims_of(env, client, token, typ="at+jwt" if access else None)


def derive(env: Env, client: Client, subject: str, actor: str | None = None, **given: Any) -> Derived:
    usual: dict[str, Any] = {
        "wanted": "access",
        "scopes": [],
        "existing": client.oauth_scopes,
        "audience": None,
        "resource": None,
        "oauth": False,
    }
    kind = given.pop("kind", "access")
    acting = Presented(actor, given.pop("actor_kind", "access")) if actor is not None else None
    return exchange.derive(env, client, subject=Presented(subject, kind), actor=acting, **{**usual, **given})


def signed_in(env: Env, client: Client, user: User, scope: str = f"openid email {API}/read") -> issue.Tokens:
    tokens: issue.Tokens = issued(env, client, user, scope=scope, oauth=True)
    return tokens


# -- what comes out --------------------------------------------------------------------------------------------


def test_an_impersonation_looks_as_if_the_user_had_asked(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user)
    derived = derive(env, service, subject.access)
    before, after = plain_claims_of(env, app_client, subject.access), claims_of(env, service, derived.token)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"client_id", "jti", "version"}
    assert after["client_id"] == service.id
    assert (derived.kind, derived.scope, derived.expires_in) == ("access", f"openid email {API}/read", 3600)


def test_a_delegation_says_who_acts(env: Env, app_client: Client, service: Client, machine: Client, user: User) -> None:
    """RFC 8693, 4.1."""
    subject = signed_in(env, app_client, user).access
    actor = issue.for_machine(env, machine, f"{API}/read").access
    claims = claims_of(env, service, derive(env, service, subject, actor).token)
    assert claims["act"] == {"sub": machine.id}
    assert claims["sub"] == user.sub


@pytest.mark.parametrize("kind", ["access", "id"])
def test_a_person_may_act_too(env: Env, app_client: Client, service: Client, user: User, kind: str) -> None:
    bob = a_user(env, service.pool, "bob", email=None)
    subject, bobs = signed_in(env, app_client, user), signed_in(env, app_client, bob)
    actor = bobs.access if kind == "access" else bobs.id
    derived = derive(env, service, subject.access, actor, actor_kind=kind)
    assert claims_of(env, service, derived.token)["act"] == {"sub": bob.sub}


def test_who_acted_before_is_inside_and_is_not_washed_off(
    env: Env, app_client: Client, service: Client, machine: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user).access
    actor = issue.for_machine(env, machine, f"{API}/read").access
    bob = a_user(env, service.pool, "bob", email=None)
    once = derive(env, service, subject, actor).token
    twice = derive(env, service, once, signed_in(env, app_client, bob).access).token
    chain = {"sub": bob.sub, "act": {"sub": machine.id}}
    assert claims_of(env, service, twice)["act"] == chain
    assert claims_of(env, service, derive(env, service, twice).token)["act"] == chain, "without an actor it stays"
    token = twice
    for _ in range(exchange.LONGEST_CHAIN - 2):
        token = derive(env, service, token, actor).token
    with pytest.raises(errors.InvalidParameter, match="can be delegated 8 times"):
        derive(env, service, token, actor)
    with pytest.raises(errors.TokenRefused, match="must not be a delegated one"):
        derive(env, service, subject, once)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ([], f"openid email {API}/read"),
        ([f"{API}/read"], f"{API}/read"),
        (["email", "openid"], "email openid"),
        ([f"{API}/read", f"{API}/write"], f"{API}/read"),
        ([f"{API}/read", "nope", API_SCOPE], f"{API}/read"),
    ],
)
def test_scopes_are_what_was_asked_and_held_and_allowed(
    env: Env, app_client: Client, service: Client, user: User, asked: list[str], granted: str
) -> None:
    derived = derive(env, service, signed_in(env, app_client, user).access, scopes=asked)
    assert derived.scope == claims_of(env, service, derived.token)["scope"] == granted


def test_an_audience_or_a_resource_is_named(env: Env, app_client: Client, service: Client, user: User) -> None:
    """RFC 8707."""
    subject = signed_in(env, app_client, user).access
    assert "aud" not in claims_of(env, service, derive(env, service, subject).token)
    for given in ({"audience": API}, {"resource": API}, {"resource": "HTTPS://API.example.com/"}):
        claims = claims_of(env, service, derive(env, service, subject, **given).token)
        assert claims["aud"] == API
    with pytest.raises(errors.InvalidParameter, match="not for both"):
        derive(env, service, subject, audience=API, resource=API)
    for given in ({"resource": "https://other.example"}, {"audience": "https://other.example"}):
        with pytest.raises(errors.UnknownResource, match="Resource server https://other.example does not exist."):
            derive(env, service, subject, **given)


def test_an_access_token_is_not_made_to_pass_as_another_clients_id_token(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    """An audience is a registered resource server: no client, of this pool or another, whatever is registered."""
    subject = signed_in(env, app_client, user).access
    elsewhere = a_client(env, a_pool(env, algorithm="ES256"))
    for client_id in (app_client.id, service.id, elsewhere.id):
        for how in ("audience", "resource"):
            with pytest.raises(errors.UnknownResource):
                derive(env, service, subject, **{how: client_id})
    resource_servers.create(env, service.pool, identifier=app_client.id, name="A trap", scopes=[])
    with pytest.raises(errors.UnknownResource):
        derive(env, service, subject, audience=app_client.id)


def test_an_audience_is_kept_and_never_widened(env: Env, app_client: Client, service: Client, user: User) -> None:
    resource_servers.create(env, service.pool, identifier="billing", name="Billing", scopes=[])
    subject = signed_in(env, app_client, user).access
    once = derive(env, service, subject, resource=API).token
    for again in ({}, {"resource": API}, {"audience": API}):
        assert claims_of(env, service, derive(env, service, once, **again).token)["aud"] == API
    for other in ({"resource": "billing"}, {"audience": "billing"}):
        with pytest.raises(errors.InvalidTarget, match=f"for the resource {API}"):
            derive(env, service, once, **other)
    resource_servers.delete(env, service.pool, identifier=API)
    with pytest.raises(errors.UnknownResource):
        derive(env, service, once)


def test_who_was_called_with_a_token_does_not_make_a_sign_in_of_it(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    once = derive(env, service, signed_in(env, app_client, user).access, resource=API).token
    with pytest.raises(errors.InvalidTarget, match="gives no ID token"):
        derive(env, service, once, wanted="id")


def test_the_audience_of_a_session_stays_by_way_of_its_id_token(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    with env.transaction():
        opened = issue.open_session(
            env,
            app_client,
            user,
            scope=f"openid {API}/read",
            audience=API,
            auth_time=env.now(),
            methods=["PASSWORD"],
            origin=Origin(),
        )
    subject = issue.signed(env, app_client, user, opened.session, oauth=True)
    by_way = derive(env, service, subject.id or "", kind="id", wanted="id").token
    for identity in (subject.id or "", by_way):
        assert claims_of(env, service, derive(env, service, identity, kind="id").token)["aud"] == API


def test_who_was_called_with_a_token_does_not_act_as_its_subject(
    env: Env, app_client: Client, service: Client, machine: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user).access
    machines = issue.for_machine(env, machine, f"{API}/read", audience=API).access
    for actor in (machines, derive(env, service, subject, resource=API).token):
        with pytest.raises(errors.TokenRefused, match="must not be made out to a resource"):
            derive(env, service, subject, actor)


def test_a_token_for_a_resource_has_its_scopes_and_never_that_of_our_own_api(
    env: Env, app_client: Client, pool: Pool, user: User
) -> None:
    scopes = [*SCOPES, API_SCOPE, "billing/pay"]
    resource_servers.create(env, pool, identifier="billing", name="Billing", scopes=[("pay", "Pay")])
    allowed = a_client(env, pool, explicit_auth_flows=BOTH, allowed_oauth_scopes=scopes)
    subject = signed_in(env, app_client, user, scope=f"openid {API}/read billing/pay {API_SCOPE}").access
    assert derive(env, allowed, subject, resource=API).scope == f"openid {API}/read"
    assert derive(env, allowed, subject, resource="billing", scopes=["billing/pay", API_SCOPE]).scope == "billing/pay"
    for scope in (API_SCOPE, "billing/pay"):
        with pytest.raises(errors.InvalidTarget, match="None of the scopes"):
            derive(env, allowed, subject, resource=API, scopes=[scope])


def test_an_id_token_is_made_out_to_the_client_that_asks(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user)
    derived = derive(env, service, subject.access, wanted="id")
    claims = claims_of(env, service, derived.token)
    assert (claims["aud"], claims["token_use"], claims["sub"]) == (service.id, "id", user.sub)
    assert claims["email"] == "alice@example.com" and "nonce" not in claims and "at_hash" not in claims
    for named in ({"audience": API}, {"resource": API}):
        with pytest.raises(errors.InvalidParameter, match="made out to the client"):
            derive(env, service, subject.access, wanted="id", **named)


def test_an_id_token_tells_no_more_than_the_session_may_know(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    nothing = signed_in(env, app_client, user, scope=f"{API}/read").access
    with pytest.raises(errors.InvalidParameter, match="has no scope for an ID token"):
        derive(env, service, nothing, wanted="id")
    all_of_it = issued(env, app_client, user).access  # by API
    assert "email" in claims_of(env, service, derive(env, service, all_of_it, wanted="id").token)


def test_an_id_token_stands_for_the_scopes_of_its_session(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user)
    assert derive(env, service, subject.id or "", kind="id").scope == f"openid email {API}/read"
    with pytest.raises(errors.InvalidParameter, match="None of the scopes"):
        derive(env, service, subject.id or "", kind="id", scopes=[f"{API}/write"])


def test_what_a_token_lacks_does_not_come_back_by_way_of_an_id_token(
    env: Env, app_client: Client, pool: Pool, user: User
) -> None:
    allowed = a_client(env, pool, explicit_auth_flows=BOTH, allowed_oauth_scopes=["openid", "email", API_SCOPE])
    subject = signed_in(env, app_client, user, scope=f"openid email {API_SCOPE}").access
    narrow = derive(env, allowed, subject, scopes=["openid"]).token
    by_way = derive(env, allowed, narrow, wanted="id").token
    assert derive(env, allowed, by_way, kind="id").scope == "openid"
    assert derive(env, allowed, derive(env, allowed, by_way, kind="id", wanted="id").token, kind="id").scope == "openid"
    with pytest.raises(errors.InvalidParameter, match="None of the scopes"):
        derive(env, allowed, by_way, kind="id", scopes=[API_SCOPE])
    mail = derive(env, allowed, subject, scopes=["email"]).token
    with pytest.raises(errors.InvalidParameter, match="has no scope for an ID token"):
        derive(env, allowed, mail, wanted="id")


# -- what a derived token opens ------------------------------------------------------------------------------------


def test_a_derived_token_without_the_scope_does_not_open_the_profile(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user, scope=f"openid {API_SCOPE}").access
    derived = derive(env, service, subject).token
    assert check(env, derived, "openid").user.sub == user.sub
    with pytest.raises(errors.ScopeMissing):
        check(env, derived)
    allowed = a_client(env, service.pool, explicit_auth_flows=BOTH, allowed_oauth_scopes=["openid", API_SCOPE])
    assert check(env, derive(env, allowed, subject).token).user.sub == user.sub


def test_a_token_that_is_made_out_to_a_service_opens_nothing_here(
    env: Env, app_client: Client, pool: Pool, user: User
) -> None:
    """Nor does what is made of it."""
    allowed = a_client(env, pool, explicit_auth_flows=BOTH, allowed_oauth_scopes=["openid", API_SCOPE])
    subject = signed_in(env, app_client, user, scope=f"openid {API_SCOPE}").access
    for given in ({"audience": API}, {"resource": API}):
        derived = derive(env, allowed, subject, **given).token
        for token in (derived, derive(env, allowed, derived).token):
            for scope in ("openid", API_SCOPE):
                with pytest.raises(errors.TokenRefused, match="Invalid Access Token"):
                    check(env, token, scope)


@pytest.mark.parametrize("how", ["revoked", "signed out", "disabled", "deleted"])
def test_what_ends_the_session_ends_what_was_derived(
    env: Env, app_client: Client, service: Client, user: User, how: str
) -> None:
    subject = signed_in(env, app_client, user)
    once = derive(env, service, subject.access).token
    ends: dict[str, Callable[[], None]] = {
        "revoked": lambda: revoke.refresh_token(env, app_client, subject.refresh or ""),
        "signed out": lambda: revoke.everything_of(env, user),
    }
    if how == "disabled":
        administer.disable(env, service.pool, username="alice")
    elif how == "deleted":
        administer.delete(env, service.pool, username="alice")
    else:
        with env.transaction():
            ends[how]()
    for presented, kind in ((once, "access"), (subject.access, "access"), (subject.id or "", "id")):
        with pytest.raises((errors.TokenRefused, errors.UserNotFound)):
            derive(env, service, presented, kind=kind)
    with pytest.raises((errors.TokenRefused, errors.UserNotFound)):
        check(env, once, "openid")


def test_exchanging_again_and_again_does_not_prolong_anything(
    env: Env, app_client: Client, service: Client, user: User, clock: Clock
) -> None:
    token = signed_in(env, app_client, user).access
    for _ in range(5):
        clock.forward(minutes=11)
        derived = derive(env, service, token)
        token = derived.token
    assert derived.expires_in == 300
    clock.forward(minutes=5)
    with pytest.raises(errors.TokenRefused, match="Access Token has expired"):
        derive(env, service, token)


def test_it_lives_no_longer_than_the_client_is_given(env: Env, app_client: Client, pool: Pool, user: User) -> None:
    units = {"access_token": "minutes"}
    short = a_client(env, pool, explicit_auth_flows=BOTH, access_token_validity=5, token_validity_units=units)
    assert derive(env, short, signed_in(env, app_client, user).access).expires_in == 300


# -- who may, and with what -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flows", "impersonates", "delegates"),
    [
        ([], False, False),
        (["ALLOW_USER_SRP_AUTH"], False, False),
        (BOTH[:1], True, False),
        (BOTH[1:], False, True),
        (BOTH, True, True),
    ],
)
def test_each_kind_of_exchange_is_a_permission_of_its_own(
    env: Env, app_client: Client, pool: Pool, user: User, flows: list[str], impersonates: bool, delegates: bool
) -> None:
    client = a_client(env, pool, explicit_auth_flows=flows, allowed_oauth_scopes=SCOPES)
    token = signed_in(env, app_client, user).access
    for actor, may in ((None, impersonates), (token, delegates)):
        if may:
            assert derive(env, client, token, actor).token
        else:
            with pytest.raises(errors.InvalidParameter, match="Auth flow not enabled for this client"):
                derive(env, client, token, actor)


def test_tokens_of_another_pool_are_refused(env: Env, app_client: Client, service: Client, user: User) -> None:
    elsewhere = a_client(env, a_pool(env, algorithm="ES256"))
    foreign = issued(env, elsewhere, a_user(env, elsewhere.pool))
    mine = signed_in(env, app_client, user)
    with pytest.raises(errors.TokenRefused, match="Invalid Access Token"):
        derive(env, service, foreign.access)
    with pytest.raises(errors.TokenRefused, match="Invalid ID Token"):
        derive(env, service, foreign.id, kind="id")
    with pytest.raises(errors.TokenRefused, match="Invalid Access Token"):
        derive(env, service, mine.access, foreign.access)


def test_a_token_is_taken_for_what_it_is(
    env: Env, app_client: Client, service: Client, machine: Client, user: User
) -> None:
    """An ID token is no access token, a refresh token neither, and a machine no user."""
    mine = signed_in(env, app_client, user)
    machines = issue.for_machine(env, machine, f"{API}/read").access
    for token, kind in (
        (mine.id, "access"),
        (mine.access, "id"),
        (mine.refresh, "access"),
        (machines, "access"),
        (machines, "id"),
        ("", "access"),
        ("a.b.c", "id"),
    ):
        with pytest.raises(errors.TokenRefused):
            derive(env, service, token or "", kind=kind)
    for actor, kind in ((mine.id, "access"), (mine.refresh, "access"), (machines, "id"), ("", "access")):
        with pytest.raises(errors.TokenRefused):
            derive(env, service, mine.access, actor or "", actor_kind=kind)


def test_saml_and_what_nobody_knows_is_refused_clearly(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    token = signed_in(env, app_client, user).access
    for given in ({"kind": "saml2"}, {"kind": "jwt"}, {"actor": token, "actor_kind": "saml2"}):
        with pytest.raises(errors.InvalidParameter, match="Only access and ID tokens of the user pool"):
            derive(env, service, token, **given)
    with pytest.raises(errors.InvalidParameter, match="must be an access or an ID token"):
        derive(env, service, token, wanted="saml2")


def test_a_token_that_was_tampered_with_is_refused(env: Env, app_client: Client, service: Client, user: User) -> None:
    head, body, signature = signed_in(env, app_client, user).access.split(".")
    other = signed_in(env, app_client, user, scope="openid").access.split(".")[1]
    with pytest.raises(errors.TokenRefused, match="Could not verify signature"):
        derive(env, service, f"{head}.{other}.{signature}")


def test_an_access_token_signed_with_the_key_of_id_tokens_is_none(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    claims = plain_claims_of(env, app_client, signed_in(env, app_client, user).access)
    forged = keys.of(env, service.pool).signer("id", env.now()).sign(claims)
    with pytest.raises(errors.TokenRefused, match="Could not verify signature"):
        derive(env, service, forged)


def test_a_machine_that_is_deleted_acts_no_more(
    env: Env, app_client: Client, service: Client, machine: Client, user: User
) -> None:
    subject = signed_in(env, app_client, user).access
    actor = issue.for_machine(env, machine, f"{API}/read").access
    app_clients.delete(env, machine)
    with pytest.raises(errors.TokenRefused, match="revoked"):
        derive(env, service, subject, actor)


def test_a_disabled_actor_acts_no_more(env: Env, app_client: Client, service: Client, user: User) -> None:
    bob = a_user(env, service.pool, "bob", email=None)
    subject, actor = signed_in(env, app_client, user).access, signed_in(env, app_client, bob).access
    with env.transaction():
        env.db.execute(update(User).where(User.sub == bob.sub).values(enabled=False))
    with pytest.raises(errors.UserDisabled):
        derive(env, service, subject, actor)


def test_a_pool_with_a_trigger_that_would_speak_gives_none(
    env: Env, app_client: Client, service: Client, user: User
) -> None:
    token = signed_in(env, app_client, user).access
    service.pool.settings = {**service.pool.settings, "lambda_config": {"pre_token_generation": "arn"}}
    with pytest.raises(errors.UnexpectedLambda):
        derive(env, service, token)
